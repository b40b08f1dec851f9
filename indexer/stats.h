/* SPDX-License-Identifier: ISC */
/*
 * stats: how much of a residual stream an SAE explains. Within a window doubles
 * are added in the order of its tokens, windows are added exactly, so that the
 * result depends neither on threads nor on batches.
 */
#ifndef INDEXER_STATS_H
#define INDEXER_STATS_H

#include "util/err.h"
#include "util/exact.h"

#include <stddef.h>
#include <stdint.h>

/* Sums over the counted positions of one hook. */
struct stream_stats {
	struct exact64 *sum; /* (d) */
	struct exact64 sum_squares;
	double *row; /* (2, d): one window's sums and squares */
	uint64_t n; /* positions */
	size_t d;
};
int stream_stats_init(struct stream_stats *s, size_t d, struct err *e);
void stream_stats_clear(struct stream_stats *s);
/* One window: rows x[i] (d) with counts[i] != 0 of n; ld floats from row to row. */
void stream_stats_add(struct stream_stats *s, const float *x, size_t ld,
	const uint8_t *counts, size_t n);
void stream_stats_merge(struct stream_stats *into, const struct stream_stats *from);
void stream_stats_reset(struct stream_stats *s); /* nothing added */
/* Sum over positions of ||x - mean||^2. */
double stream_stats_variance(const struct stream_stats *s);

/* Of the exact sum of squared errors over these positions: the fraction of variance that
 * is explained, and the mean squared error of a position. */
void stats_fit(const struct stream_stats *s, const struct exact64 *error,
	double *explained, double *mse);

#define STATS_CHARS 16
/* "0.831", or "not known" of a NAN. */
void stats_explained(char out[STATS_CHARS], double explained);

/* A double that may be too small for an exact sum is taken as 0. */
void stats_add(struct exact64 *sum, double v);
/* acc[j] += (x[j] - x_hat[j])^2 for j < d. */
void stats_error(double *acc, const float *x, const float *x_hat, size_t d);

#endif
