/* SPDX-License-Identifier: ISC */
/*
 * index: the command itself: inputs, cut, pass, finish, publish. See
 * ARCHITECTURE.md, "Indexing, in order".
 */
#ifndef INDEXER_INDEX_H
#define INDEXER_INDEX_H

#include "indexer/options.h"

int index_run(const struct options *o, struct err *e);

#endif
