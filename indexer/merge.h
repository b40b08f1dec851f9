/* SPDX-License-Identifier: ISC */
/*
 * merge: runs of parts of a corpus, each in a store of its own, into the run that one
 * index of the whole corpus would have given. Runs no model.
 */
#ifndef INDEXER_MERGE_H
#define INDEXER_MERGE_H

#include "indexer/options.h"

int merge_run(const struct options *o, struct err *e);

#endif
