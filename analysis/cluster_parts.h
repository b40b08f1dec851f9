/* SPDX-License-Identifier: ISC */
/*
 * cluster_parts: the minimum spanning tree that cluster.c cuts up. Within analysis/
 * only.
 */
#ifndef ANALYSIS_CLUSTER_PARTS_H
#define ANALYSIS_CLUSTER_PARTS_H

#include "util/err.h"

#include <stdint.h>

struct span {
	uint32_t a, b;
	double length;
};

/* spans (n - 1): a minimum spanning tree of n points at xy (n, 2), all finite, under
 * mutual reachability: the larger of two points' distance and of each one's distance to
 * its min_size-th nearest, itself the first. Shortest first. n >= min_size. */
int cluster_span(struct span *spans, const float *xy, uint32_t n, uint32_t min_size,
	struct err *e);

/* Of the tree of merges that i is in; halves the way there. */
static inline uint32_t
cluster_root(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i) {
		parent[i] = parent[parent[i]];
		i = parent[i];
	}
	return i;
}

#endif
