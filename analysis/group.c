/* SPDX-License-Identifier: ISC */
#include "analysis/group.h"

#include "util/mem.h"

#include <stdbool.h>
#include <string.h>

#define ROUNDS 30 /* it settles in a few, or swings between two */
#define NEAREST 5u /* neighbors that have a vote: with more, all become one */

/* ---- which belong together ---------------------------------------------------- */

struct votes {
	const uint32_t *neighbor; /* (n, k) */
	const float *weight;
	uint32_t n, k, n_voting;
	uint32_t *group; /* (n) */
	double *vote; /* (n) of each group; zeros between points */
};

/* Whether j names i among its own: what both say counts four times. */
static bool
is_named(const struct votes *v, uint32_t j, uint32_t i)
{
	for (uint32_t m = 0; m < v->n_voting; m++)
		if (v->neighbor[(size_t)j * v->k + m] == i)
			return true;
	return false;
}

/* The group that most of a point's neighbors are in; its own where that is as good,
 * else the least. */
static uint32_t
elect(struct votes *v, uint32_t i)
{
	const uint32_t *near = v->neighbor + (size_t)i * v->k;
	uint32_t best = v->group[i];

	for (uint32_t m = 0; m < v->n_voting; m++) {
		double w = v->weight[(size_t)i * v->k + m];

		if (near[m] < v->n && w > 0)
			v->vote[v->group[near[m]]] +=
				is_named(v, near[m], i) ? 4 * w : w;
	}
	for (uint32_t m = 0; m < v->n_voting; m++) {
		uint32_t g = near[m] < v->n ? v->group[near[m]] : best;

		if (v->vote[g] > v->vote[best] ||
			(v->vote[g] == v->vote[best] && best != v->group[i] &&
				g < best))
			best = g;
	}
	for (uint32_t m = 0; m < v->n_voting; m++)
		if (near[m] < v->n)
			v->vote[v->group[near[m]]] = 0;
	return best;
}

/* Numbers from 0, by the least point; small ones are none. */
static uint32_t
renumber(uint32_t *group, uint32_t *size, uint32_t *number, uint32_t n,
	uint32_t min_size)
{
	uint32_t n_groups = 0;

	memset(size, 0, n * sizeof(*size));
	for (uint32_t i = 0; i < n; i++) {
		size[group[i]]++;
		number[i] = GROUP_NONE;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t g = group[i];

		if (size[g] >= min_size && number[g] == GROUP_NONE)
			number[g] = n_groups++;
	}
	for (uint32_t i = 0; i < n; i++)
		group[i] = number[group[i]];
	return n_groups;
}

int
group_points(uint32_t *group, uint32_t *n_groups, const uint32_t *neighbor,
	const float *weight, uint32_t n, uint32_t k, uint32_t min_size, struct err *e)
{
	struct votes v = {.neighbor = neighbor,
		.weight = weight,
		.n = n,
		.k = k,
		.n_voting = k < NEAREST ? k : NEAREST,
		.group = group};
	uint32_t *size = mem_new(2 * (size_t)n, sizeof(*size));
	bool moved = true;

	v.vote = mem_new(n, sizeof(*v.vote));
	if (size == NULL || v.vote == NULL) {
		mem_free(size);
		mem_free(v.vote);
		return err_set(e, ERR_NOMEM, "no memory for %u points", n);
	}
	for (uint32_t i = 0; i < n; i++)
		group[i] = i;
	for (int round = 0; round < ROUNDS && moved; round++) {
		moved = false;
		for (uint32_t i = 0; i < n; i++) {
			uint32_t g = elect(&v, i);

			moved |= g != group[i];
			group[i] = g;
		}
	}
	*n_groups = renumber(group, size, size + n, n, min_size);
	mem_free(size);
	mem_free(v.vote);
	return 0;
}
