/* SPDX-License-Identifier: ISC */
/*
 * encode: a batch of residual streams through one SAE on all threads, each range of
 * features by one thread at a time, to activations by token.
 */
#ifndef INDEXER_ENCODE_H
#define INDEXER_ENCODE_H

#include "indexer/sparse.h"
#include "model/sae.h"
#include "util/pool.h"

struct encoder {
	const struct sae *sae;
	size_t n_threads, n_ranges, max_tokens;
	uint32_t *bound; /* (n_ranges + 1) features where ranges begin */
	struct sae_work **work; /* (n_threads) */
	struct kernel_hits *hits; /* (n_ranges) */
	float *y; /* (max_tokens, d_in) prepared */
	float *scale, *shift; /* (max_tokens) what decoding must undo */
	struct kernel_hit *best; /* TopK: (max_tokens, k) */
	uint32_t *n_best; /* TopK: (max_tokens) */
	struct kernel_hit **merge; /* TopK: (n_threads) candidates of one token */
	struct sparse acts; /* of the last batch */
	size_t most_hits; /* more of them in a batch are ERR_NOMEM; 0: any number */
};

/* borrowed: sae. new: encoder_clear(). */
int encoder_init(struct encoder *c, const struct sae *sae, size_t n_threads,
	size_t max_tokens, struct err *e);
void encoder_clear(struct encoder *c);
size_t encoder_bytes(const struct sae *sae, size_t max_tokens); /* without hits */

/* Fills c->acts, y, scale, shift from x (n_tokens, d_in). err: (n_threads), zeroed. */
int encoder_run(struct encoder *c, struct pool *pool, const float *x, uint32_t n_tokens,
	struct err *err, struct err *e);
/* Activations a token had in the last batch, on average. */
double encoder_density(const struct encoder *c);
/* What found activations of a batch may take: beyond, the encoder gives up. */
void encoder_limit(struct encoder *c, size_t hits_bytes);
#define ENCODER_FIRST_BATCH 512 /* tokens, before it is known how many features fire */

/* How many tokens, at most limit, the next batch may have if each has so many
 * activations and all may take hits_bytes. */
size_t encoder_batch(double density, size_t limit, size_t hits_bytes);

#endif
