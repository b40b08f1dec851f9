/* SPDX-License-Identifier: ISC */
/*
 * cooccur: the features that fire on the same tokens as each feature of a run, over all
 * of its SAEs, counted from the stored activations: exactly, in shares that fit the
 * memory. What is written depends neither on threads nor on memory.
 */
#ifndef INDEXER_COOCCUR_H
#define INDEXER_COOCCUR_H

#include "indexer/pass.h"

struct cooccur_job {
	struct pool *pool;
	const struct windows *windows;
	struct run_writer *writer; /* its activations can be read */
	struct progress *progress;
	const struct pass_result *pass; /* (n_slots) of all features */
	uint32_t n_slots;
	uint64_t rule; /* enum cooccur_rule */
	size_t memory_bytes;
};

/* Writes LIMIT_COOCCURRENCE partners of every feature that fires, by Jaccard index;
 * nothing where the rule leaves them out. */
int cooccur_write(const struct cooccur_job *job, struct err *e);

#endif
