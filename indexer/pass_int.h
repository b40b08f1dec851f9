/* SPDX-License-Identifier: ISC */
/*
 * pass_int: what pass.c (batches, the model) and pass_consume.c (what is done with
 * a batch's activations) share. Nobody else's.
 */
#ifndef INDEXER_PASS_INT_H
#define INDEXER_PASS_INT_H

#include "indexer/fit.h"
#include "indexer/pass.h"

struct pass_sae {
	struct encoder encoder;
	struct by_feature *ranges; /* (encoder.n_ranges) */
	struct fit fit;
	uint32_t *row_start; /* (longest window + 1) for the writer */
};

struct pass {
	const struct pass_job *job;
	struct pass_result *result; /* (n_saes) */
	size_t n_threads, max_tokens;
	uint32_t first, n_windows, n_tokens; /* of the batch */
	uint64_t n_counted; /* positions that count, in all batches */
	uint32_t *ids; /* (max_tokens) */
	uint8_t *counts; /* (max_tokens) whether it enters statistics */
	uint32_t *window_start; /* (n_windows + 1) */
	float **x; /* (n_hooks) of (max_tokens, lm_hook_width) */
	struct stream_stats *stats; /* (n_hooks, n_threads) */
	struct lm_work **work; /* (n_threads) */
	uint32_t **piece_start; /* (n_threads) windows of a piece */
	struct err *err; /* (n_threads) */
	struct pass_sae *sae; /* (n_saes) */
	uint32_t n_saes; /* begun to be set up */
};

/* Whether it computes how well SAEs fit. */
bool pass_fits(const struct pass_job *job);
/* States, stored activations and sums from the batch's activations; errors are
 * left in p->err. */
void pass_consume(struct pass *p);
/* Fills the results' numbers after the last batch. */
int pass_conclude(struct pass *p, struct err *e);
/* All threads' sums into the first one's, between two batches. */
void pass_gather(struct pass *p);

#endif
