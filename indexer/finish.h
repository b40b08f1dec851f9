/* SPDX-License-Identifier: ISC */
/*
 * finish: what depends on a feature's final maximum, or on all windows at once, cut
 * from the run's stored activations, and all records of one SAE written. The
 * features go in shares that fit the memory, and each share in ranges that threads
 * take.
 */
#ifndef INDEXER_FINISH_H
#define INDEXER_FINISH_H

#include "indexer/pass.h"
#include "indexer/words.h"

struct finish_job {
	struct pool *pool;
	const struct windows *windows;
	struct run_writer *writer;
	struct progress *progress;
	const struct words *words; /* the corpus' */
	uint32_t slot;
	const struct pass_result *pass;
	uint32_t interval_samples;
	uint64_t seed;
	size_t memory_bytes; /* for all shares at a time */
	/* Features that were sought; end 0: all. Of others there are no records. */
	uint32_t first, end;
};

/* Writes features, examples, postings, keywords, tokens and sums of one slot. */
int finish_sae(const struct finish_job *job, struct err *e);

#endif
