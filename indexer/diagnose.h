/* SPDX-License-Identifier: ISC */
/*
 * diagnose: tries an SAE's rules, and their near alternatives, on some text, and
 * says which reconstruct the stream best. Writes no store; prints to standard
 * output.
 */
#ifndef INDEXER_DIAGNOSE_H
#define INDEXER_DIAGNOSE_H

#include "indexer/options.h"

/* ERR_MISMATCH when another rule fits an SAE clearly better than its own. */
int diagnose_run(const struct options *o, struct err *e);

#endif
