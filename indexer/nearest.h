/* SPDX-License-Identifier: ISC */
/*
 * nearest: the k nearest of all rows at once, by dot product, both ways in one pass:
 * of each row of one matrix among the others, or of two matrices' rows among each
 * other. Bounded by what the lists take, on all threads of a pool, without a lock.
 */
#ifndef INDEXER_NEAREST_H
#define INDEXER_NEAREST_H

#include "kernel/kernel.h"
#include "util/pool.h"

/* One of the matrices. */
struct nearest_side {
	const struct kernel_rows *rows; /* borrowed */
	const float *x; /* (n, d) what they were made of; borrowed */
	uint32_t n, d;
	uint32_t k; /* of each row's list */
	struct kernel_lists *lists; /* new: kernel_lists_free(), also on error */
};

/* b == NULL: a's rows among a's other rows. Lists are as kernel_best gives them, in
 * order; places left over have row UINT32_MAX. */
int nearest_find(struct nearest_side *a, struct nearest_side *b, struct pool *pool,
	struct err *e);

#endif
