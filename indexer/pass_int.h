/* SPDX-License-Identifier: ISC */
/*
 * pass_int: what pass.c (batches, the model) and pass_consume.c (what is done with
 * a batch's activations) share. Nobody else's.
 */
#ifndef INDEXER_PASS_INT_H
#define INDEXER_PASS_INT_H

#include "indexer/fit.h"
#include "indexer/pass.h"

/* What of a batch goes through the model: all of it, or the windows that the source has
 * not, packed. */
struct pass_model {
	uint32_t *ids; /* (n_tokens) */
	uint8_t *counts; /* (n_tokens) */
	uint32_t *window_start; /* (n_windows + 1) */
	uint32_t *window; /* (n_windows) in the batch */
	uint32_t n_windows, n_tokens;
};

struct pass_sae {
	struct encoder encoder;
	const struct sparse *acts; /* of the batch: the encoder's, or `both` */
	struct sparse there, both; /* the source's, and those with the encoder's */
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
	struct pass_model model;
	float **x; /* (n_hooks) of (max_tokens, lm_hook_width) by model */
	struct stream_stats *stats; /* (n_hooks, n_threads) */
	struct lm_work **work; /* (n_threads) */
	uint32_t **piece_start; /* (n_threads) windows of a piece */
	struct err *err; /* (n_threads) */
	struct pass_sae *sae; /* (n_saes) */
	uint32_t n_saes; /* begun to be set up */
};

/* Whether it computes how well SAEs fit. */
bool pass_fits(const struct pass_job *job);
/* Whether the model runs on a part of the windows. */
static inline bool
pass_is_mixed(const struct pass_job *job)
{
	return job->lm != NULL && job->source != NULL && job->source->has != NULL;
}
/* What goes through the model of a batch that is filled (pass_model.c). */
int pass_model_init(struct pass *p, struct err *e);
void pass_model_clear(struct pass *p);
void pass_model_fill(struct pass *p);
/* Of an SAE whose encoder has run: p->sae[sae].acts, the source's among them. */
int pass_model_join(struct pass *p, uint32_t sae, struct err *e);
/* States, stored activations and sums from the batch's activations; errors are
 * left in p->err. */
void pass_consume(struct pass *p);
/* Fills the results' numbers after the last batch. */
int pass_conclude(struct pass *p, struct err *e);
/* All threads' sums into the first one's, between two batches. */
void pass_gather(struct pass *p);

#endif
