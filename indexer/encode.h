/* SPDX-License-Identifier: ISC */
/*
 * encode: a batch of residual streams through one SAE on all threads, each piece of
 * the tokens by one thread, to activations by token. Ranges of features are for those
 * who go on with them.
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
	struct kernel_hits *hits; /* of each piece of the last batch */
	float *y; /* (max_tokens, d_in) prepared */
	float *scale, *shift; /* (max_tokens) what decoding must undo */
	struct sparse acts; /* of the last batch */
	size_t most_hits; /* more of them in a batch are ERR_NOMEM; 0: any number */
};

/* borrowed: sae. new: encoder_clear(). */
int encoder_init(struct encoder *c, const struct sae *sae, size_t n_threads,
	size_t max_tokens, struct err *e);
/* The same for features [first, first + count) alone, of a kind that does not choose. */
int encoder_init_part(struct encoder *c, const struct sae *sae, uint32_t first,
	uint32_t count, size_t n_threads, size_t max_tokens, struct err *e);
/* Only the ranges of that many features, for one that encodes nothing. */
int encoder_ranges(struct encoder *c, uint32_t n_features, size_t n_threads,
	struct err *e);
void encoder_clear(struct encoder *c);
size_t encoder_bytes(const struct sae *sae, size_t max_tokens); /* without hits */

/* Fills c->acts, y, scale, shift from x (n_tokens, d_in). err: (n_threads), zeroed. */
int encoder_run(struct encoder *c, struct pool *pool, const float *x, uint32_t n_tokens,
	struct err *err, struct err *e);
/* Fills only c->y, scale, shift: the activations come from elsewhere. */
void encoder_prepare(struct encoder *c, struct pool *pool, const float *x,
	uint32_t n_tokens);
/* Activations a token had in the last batch, on average. */
double encoder_density(const struct encoder *c);
/* What found activations of a batch may take: beyond, the encoder gives up. */
void encoder_limit(struct encoder *c, size_t hits_bytes);
#define ENCODER_FIRST_BATCH 512 /* tokens, before it is known how many features fire */

/* How many tokens, at most limit, the next batch may have if each has so many
 * activations and all may take hits_bytes. */
size_t encoder_batch(double density, size_t limit, size_t hits_bytes);

#endif
