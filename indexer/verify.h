/* SPDX-License-Identifier: ISC */
/*
 * verify: takes a run's recorded inputs, checks that they are the same to the bit,
 * and recomputes random features by the plainest path in the code, alone and in
 * order: what is stored must be equal in everything.
 */
#ifndef INDEXER_VERIFY_H
#define INDEXER_VERIFY_H

#include "indexer/options.h"

/* ERR_MISMATCH on the first differences, which are printed one a line. */
int verify_run(const struct options *o, struct err *e);

#endif
