/* SPDX-License-Identifier: ISC */
/*
 * estimate: `saedb-index plan`: what an index of these inputs would take, from a small
 * part of it that is really done, in a store that is thrown away. Writes nothing to
 * the store that is named.
 */
#ifndef INDEXER_ESTIMATE_H
#define INDEXER_ESTIMATE_H

#include "indexer/options.h"

/* ERR_LIMIT when it would not fit the memory or the disk, after saying so. */
int estimate_run(const struct options *o, struct err *e);

#endif
