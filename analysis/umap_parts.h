/* SPDX-License-Identifier: ISC */
/*
 * umap_parts: the steps of umap.c, for it and for tests. Within analysis/ only.
 */
#ifndef ANALYSIS_UMAP_PARTS_H
#define ANALYSIS_UMAP_PARTS_H

#include "analysis/umap.h"

#include <stddef.h>

/* The fuzzy graph, symmetric, each edge in both its ends' rows. */
struct umap_graph {
	uint32_t n;
	uint32_t *start; /* (n + 1): of each point's edges; rows are in order of tail */
	uint32_t *tail;
	float *weight; /* (0, 1] */
};

/* rho, sigma (n): the distance of the nearest that is not at 0, and the width by which
 * the neighbors' weights add up to log2(k + 1). */
int umap_smooth(float *rho, float *sigma, uint32_t n, uint32_t k,
	const uint32_t *neighbor, const float *distance, struct pool *pool,
	struct err *e);
/* new: umap_graph_clear(). From weights exp(-max(0, d - rho) / sigma) of directed
 * edges, a + b - a b of both directions. */
int umap_graph_make(struct umap_graph *g, uint32_t n, uint32_t k,
	const uint32_t *neighbor, const float *distance, struct pool *pool,
	struct err *e);
/* Edges that would not be sampled once in n_epochs go. */
void umap_graph_prune(struct umap_graph *g, uint32_t n_epochs);
void umap_graph_clear(struct umap_graph *g);

/* 1 / (1 + a x^(2 b)), nearest to 1 up to min_dist and exp(-(x - min_dist) / spread)
 * behind it. */
int umap_curve(double *a, double *b, double min_dist, double spread, struct err *e);

/* xy (n, 2): where the points start, in [0, 10]; NaN for points without edges. */
int umap_start(float *xy, const struct umap_graph *g, const struct umap_params *p,
	struct pool *pool, struct err *e);
/* out (n, 2): the eigenvectors of the two largest eigenvalues, but the trivial one, of
 * D^-1/2 W D^-1/2 of a connected graph of at least 4 points, each of norm 1. */
int umap_spectral(float *out, const struct umap_graph *g, struct pool *pool,
	struct err *e);
/* a (n, n), symmetric, is spent: its diagonal becomes the eigenvalues; v (n, n): the
 * eigenvectors, as columns. In no order. */
void umap_eigen(double *a, double *v, size_t n);

struct umap_course {
	double a, b;
	uint32_t n_epochs;
	const struct umap_params *params;
	int (*progress)(void *ctx, uint32_t epoch, uint32_t n_epochs, struct err *e);
	void *ctx;
};
/* All epochs. */
int umap_descend(float *xy, const struct umap_graph *g, const struct umap_course *c,
	struct pool *pool, struct err *e);

#endif
