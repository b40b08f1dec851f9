/* SPDX-License-Identifier: ISC */
/*
 * checkpoint: how far a pass has come, all of it: states, sums, counts. Given to the
 * store and taken from it block by block, so that a checkpoint takes no memory worth
 * counting. What comes back is compared with the job, and checked.
 */
#ifndef INDEXER_CHECKPOINT_H
#define INDEXER_CHECKPOINT_H

#include "indexer/pass_int.h"

/* Makes one, n_windows done, if it is time, if all is done, or if a signal came. */
int checkpoint_perhaps(struct pass *p, uint32_t n_windows, struct err *e);
/* Into a pass that has done nothing yet. */
int checkpoint_load(struct pass *p, struct err *e);

#endif
