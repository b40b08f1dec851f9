/* SPDX-License-Identifier: ISC */
/*
 * inspect: says what directories hold, a language model or an SAE: family,
 * shapes, hook, the rules that will be applied, hashes, and what is odd. Reads
 * nothing but the directories; prints to standard output.
 */
#ifndef INDEXER_INSPECT_H
#define INDEXER_INSPECT_H

#include "indexer/options.h"

/* o->dir: the directories. What is wrong with one stands in its place; if any
 * was wrong, an error says how many when all were looked at. */
int inspect_run(const struct options *o, struct err *e);

#endif
