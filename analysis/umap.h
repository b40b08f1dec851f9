/* SPDX-License-Identifier: ISC */
/*
 * umap: points laid out in the plane so that those that are near one another stay so,
 * by UMAP (McInnes, Healy, Melville 2018, arXiv 1802.03426), from the k nearest
 * neighbors of each. Does not search for neighbors.
 *
 * The layout is the same for a seed whatever the number of threads, and on every CPU
 * path: a point's owner alone moves it, and an epoch goes in phases that read the
 * others' places from before the phase. Memory, beside what is given: at most
 * 40 k + 200 bytes a point (800 at k = 15), and in each thread 64 bytes for each edge
 * of the point that has the most.
 */
#ifndef ANALYSIS_UMAP_H
#define ANALYSIS_UMAP_H

#include "util/err.h"
#include "util/pool.h"

#include <stdint.h>

#define UMAP_MOST_POINTS (UINT32_C(1) << 24)

enum umap_init {
	UMAP_SPECTRAL, /* the normalised Laplacian's eigenvectors */
	UMAP_PCA_XY, /* what is in xy */
	UMAP_RANDOM,
};

struct umap_params {
	uint32_t n_epochs; /* 0: 500 up to 10,000 points, else 200 */
	double min_dist, spread; /* 0.1, 1.0 */
	double learning_rate; /* 1.0 */
	uint32_t negative_rate; /* 5 */
	double repulsion; /* 1.0 */
	enum umap_init init;
	uint64_t seed;
};

/* umap-learn's defaults. */
void umap_params_init(struct umap_params *p);

/*
 * xy (n, 2). neighbor, distance (n, k): the k nearest of each point without itself,
 * nearest first (UINT32_MAX: none); distance >= 0 (for cosine: 1 - cosine). This is
 * n_neighbors = k + 1 in umap-learn, which counts the point itself.
 *
 * A point that has no neighbor and is nobody's gets no place: its xy is NaN, as in
 * umap-learn; but a single point (n = 1) lies at 0, 0.
 *
 * progress may be NULL; called by the caller's thread after each epoch (from 1);
 * returns nonzero to stop, which umap_layout then returns. n is at most
 * UMAP_MOST_POINTS. pool may be NULL.
 */
int umap_layout(float *xy, uint32_t n, uint32_t k, const uint32_t *neighbor,
	const float *distance, const struct umap_params *p, struct pool *pool,
	int (*progress)(void *ctx, uint32_t epoch, uint32_t n_epochs, struct err *e),
	void *ctx, struct err *e);

#endif
