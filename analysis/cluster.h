/* SPDX-License-Identifier: ISC */
/*
 * cluster: which points of a map lie together: HDBSCAN (Campello, Moulavi, Sander
 * 2013) in the plane, as scikit-learn's with min_cluster_size = min_samples =
 * min_size, Euclidean, clusters chosen by excess of mass. Where parts
 * meet at equal lengths there are several answers, and a few points may lie otherwise.
 */
#ifndef ANALYSIS_CLUSTER_H
#define ANALYSIS_CLUSTER_H

#include "util/err.h"

#include <stdint.h>

/* cluster (n): of each point the number of its cluster, or UINT32_MAX where it lies in
 * none, as points do that have no place (NaN). Numbers go by the least point in the
 * cluster. xy (n, 2). min_size >= 2: points that make a cluster. No random numbers: the
 * same points give the same clusters. */
int cluster_points(uint32_t *cluster, uint32_t *n_clusters, const float *xy, uint32_t n,
	uint32_t min_size, struct err *e);

#endif
