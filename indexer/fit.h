/* SPDX-License-Identifier: ISC */
/*
 * fit: how well an SAE reconstructs what it reads (of a transcoder: what it stands
 * for), summed over the counted positions so that the sums depend neither on
 * threads nor on batches.
 */
#ifndef INDEXER_FIT_H
#define INDEXER_FIT_H

#include "indexer/encode.h"
#include "indexer/stats.h"

struct fit {
	const struct sae *sae;
	size_t n_threads;
	struct exact64 *error; /* (n_threads) sums of squared errors */
	struct fit_work *work; /* (n_threads) */
};

/* borrowed: sae. new: fit_clear(), also on error. */
int fit_init(struct fit *f, const struct sae *sae, size_t n_threads, struct err *e);
void fit_clear(struct fit *f); /* of a zeroed one is fine */
/* The window of tokens [from, to) of the batch that c encoded: x (n_tokens, d_in) is
 * what it read, y (n_tokens, d_out) what it stands for, counts says which positions
 * count. Thread: each its own number. */
int fit_window(struct fit *f, const struct encoder *c, const float *x, const float *y,
	const uint8_t *counts, uint32_t from, uint32_t to, size_t thread,
	struct err *e);
/* All threads' sums into the first one's: the sum is the same. */
void fit_gather(struct fit *f);
/* Once, after the last window; y: the sums of what it stands for. explained is the
 * fraction of variance, mse the mean squared error of a position; NaN of a layer of a
 * cross-layer transcoder, which gives only a part. */
void fit_conclude(struct fit *f, const struct stream_stats *y, double *explained,
	double *mse);

#endif
