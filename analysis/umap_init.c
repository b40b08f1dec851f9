/* SPDX-License-Identifier: ISC */
#include "analysis/umap_parts.h"
#include "util/hash.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 10.0 /* of the square in which all start */
#define NOISE 1e-4
#define NONE UINT32_MAX
#define TURN 2.39996322972865332 /* the golden angle */

/* In [0, 1). */
static double
uniform(const struct umap_params *p, uint64_t i, uint64_t what)
{
	return (double)(hash_mix(p->seed, i, what, 1) >> 11) * 0x1p-53;
}

/* ---- connected components -------------------- */

struct component {
	uint32_t first; /* of its points in `points` */
	uint32_t n;
	uint32_t number; /* by the least of its points */
	double x, y, range; /* where it goes, and how far it spreads */
};

struct components {
	uint32_t *of; /* (n): each point's; NONE: it has no edges */
	uint32_t *points; /* (n), component by component */
	struct component *all;
	uint32_t n;
};

static void
components_clear(struct components *c)
{
	mem_free(c->of);
	mem_free(c->points);
	mem_free(c->all);
}

/* All that hangs together with the point; `points` is the queue. */
static uint32_t
spread(struct components *c, const struct umap_graph *g, uint32_t point, uint32_t first)
{
	uint32_t end = first;

	c->of[point] = c->n;
	c->points[end++] = point;
	for (uint32_t at = first; at < end; at++)
		for (uint32_t j = g->start[c->points[at]];
			j < g->start[c->points[at] + 1]; j++) {
			uint32_t to = g->tail[j];

			if (c->of[to] == NONE) {
				c->of[to] = c->n;
				c->points[end++] = to;
			}
		}
	return end - first;
}

static int
compare_points(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int
components_find(struct components *c, const struct umap_graph *g, struct err *e)
{
	uint32_t first = 0;

	*c = (struct components){0};
	c->of = mem_new(g->n, sizeof(*c->of));
	c->points = mem_new(g->n, sizeof(*c->points));
	c->all = mem_new(g->n / 2 + 1, sizeof(*c->all)); /* each has two points */
	if (c->of == NULL || c->points == NULL || c->all == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u points", g->n);
	memset(c->of, 0xff, g->n * sizeof(*c->of));
	for (uint32_t i = 0; i < g->n; i++) {
		struct component *one = &c->all[c->n];

		if (c->of[i] != NONE || g->start[i + 1] == g->start[i])
			continue;
		one->first = first;
		one->number = c->n;
		one->n = spread(c, g, i, first);
		qsort(c->points + first, one->n, sizeof(*c->points), compare_points);
		first += one->n;
		c->n++;
	}
	return 0;
}

/* ---- where components go -------------------- */

static int
larger_first(const void *a, const void *b)
{
	const struct component *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Up to four on the axes, as in umap-learn; more on a spiral, each with room for its
 * number of points, the largest amid the others. */
static void
place(struct components *c, uint32_t n_points)
{
	uint32_t half = (c->n + 1) / 2, before = 0;

	if (c->n > 4)
		qsort(c->all, c->n, sizeof(*c->all), larger_first);
	for (uint32_t i = 0; i < c->n; i++) {
		struct component *one = &c->all[i];
		double share = (double)one->n / n_points, r = 0;

		if (c->n <= 4) {
			one->x = i % half == 0 ? (i < half ? 1 : -1) : 0;
			one->y = i % half == 1 ? (i < half ? 1 : -1) : 0;
			one->range = c->n == 1 ? SIDE : c->n == 2 ? 1 : sqrt(0.5);
			continue;
		}
		if (i > 0)
			r = sqrt((before + one->n / 2.0) / n_points);
		one->x = r * cos(i * TURN);
		one->y = r * sin(i * TURN);
		one->range = 0.7 * sqrt(share);
		before += one->n;
	}
	if (c->n == 1)
		c->all[0].x = 0;
}

/* ---- each component -------------------- */

/* new: the component's own graph. number (n): scratch. */
static int
cut_out(struct umap_graph *to, const struct umap_graph *g, const struct component *one,
	const uint32_t *points, uint32_t *number, struct err *e)
{
	size_t n_edges = 0;
	uint32_t at = 0;

	for (uint32_t i = 0; i < one->n; i++) {
		number[points[i]] = i;
		n_edges += g->start[points[i] + 1] - g->start[points[i]];
	}
	*to = (struct umap_graph){.n = one->n};
	to->start = mem_new((size_t)one->n + 1, sizeof(*to->start));
	to->tail = mem_new(n_edges, sizeof(*to->tail));
	to->weight = mem_new(n_edges, sizeof(*to->weight));
	if (to->start == NULL || to->tail == NULL || to->weight == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a graph of %u points",
			one->n);
	for (uint32_t i = 0; i < one->n; i++) {
		for (uint32_t j = g->start[points[i]]; j < g->start[points[i] + 1];
			j++) {
			to->tail[at] = number[g->tail[j]];
			to->weight[at++] = g->weight[j];
		}
		to->start[i + 1] = at;
	}
	return 0;
}

static void
put(float *xy, const struct component *one, const uint32_t *points, const float *own)
{
	float most = 0;

	for (size_t i = 0; i < 2 * (size_t)one->n; i++)
		most = fmaxf(most, fabsf(own[i]));
	for (uint32_t i = 0; i < one->n; i++) {
		double s = most > 0 ? one->range / (double)most : 0;

		xy[2 * (size_t)points[i]] = (float)(one->x + s * (double)own[2 * i]);
		xy[2 * (size_t)points[i] + 1] =
			(float)(one->y + s * (double)own[2 * i + 1]);
	}
}

static int
lay_out(float *xy, const struct umap_graph *g, const struct components *c,
	const struct component *one, const struct umap_params *p, float *own,
	uint32_t *number, struct pool *pool, struct err *e)
{
	const uint32_t *points = c->points + one->first;
	struct umap_graph part = {0};
	int rc = 0;

	if (one->n < 4) {
		for (uint32_t i = 0; i < 2 * one->n; i++)
			own[i] = (float)(2 * uniform(p, points[i / 2], 8 + i % 2) - 1);
	} else if (one->n == g->n) {
		rc = umap_spectral(own, g, pool, e);
	} else {
		rc = cut_out(&part, g, one, points, number, e);
		if (rc == 0)
			rc = umap_spectral(own, &part, pool, e);
	}
	if (rc == 0)
		put(xy, one, points, own);
	umap_graph_clear(&part);
	return rc;
}

static int
spectral_start(float *xy, const struct umap_graph *g, const struct umap_params *p,
	struct pool *pool, struct err *e)
{
	float *own = mem_new(g->n, 2 * sizeof(*own));
	uint32_t *number = mem_new(g->n, sizeof(*number));
	struct components c;
	int rc = components_find(&c, g, e);

	if (rc == 0 && (own == NULL || number == NULL))
		rc = err_set(e, ERR_NOMEM, "no memory for %u points", g->n);
	if (rc == 0)
		place(&c, g->n);
	for (uint32_t i = 0; rc == 0 && i < c.n; i++)
		rc = lay_out(xy, g, &c, &c.all[i], p, own, number, pool, e);
	components_clear(&c);
	mem_free(number);
	mem_free(own);
	return rc;
}

/* ---- the square -------------------- */

/* So that points which lie on one another can part: normally distributed. */
static void
add_noise(float *xy, uint32_t n, const struct umap_params *p)
{
	float most = 0;

	for (size_t i = 0; i < 2 * (size_t)n; i++)
		most = fmaxf(most, fabsf(xy[i]));
	for (size_t i = 0; i < n; i++) {
		double s = most > 0 ? SIDE / (double)most : 0, angle;
		double r = NOISE * sqrt(-2 * log(1 - uniform(p, i, 2)));

		angle = 2 * 3.14159265358979324 * uniform(p, i, 3);
		xy[2 * i] = (float)(s * (double)xy[2 * i] + r * cos(angle));
		xy[2 * i + 1] = (float)(s * (double)xy[2 * i + 1] + r * sin(angle));
	}
}

static void
fill_square(float *xy, uint32_t n)
{
	for (uint32_t b = 0; b < 2; b++) {
		float low = INFINITY, high = -INFINITY;

		for (size_t i = 0; i < n; i++) {
			low = fminf(low, xy[2 * i + b]);
			high = fmaxf(high, xy[2 * i + b]);
		}
		for (size_t i = 0; i < n; i++)
			xy[2 * i + b] = high > low
				? (xy[2 * i + b] - low) / (high - low) * (float)SIDE
				: xy[2 * i + b] - low;
	}
}

int
umap_start(float *xy, const struct umap_graph *g, const struct umap_params *p,
	struct pool *pool, struct err *e)
{
	int rc = 0;

	if (p->init == UMAP_RANDOM)
		for (size_t i = 0; i < 2 * (size_t)g->n; i++)
			xy[i] = (float)(SIDE * uniform(p, i / 2, 4 + i % 2));
	if (p->init == UMAP_SPECTRAL)
		rc = spectral_start(xy, g, p, pool, e);
	for (size_t i = 0; i < g->n; i++)
		if (g->start[i + 1] == g->start[i])
			xy[2 * i] = xy[2 * i + 1] = NAN;
	if (rc == 0 && p->init != UMAP_RANDOM)
		add_noise(xy, g->n, p);
	if (rc == 0)
		fill_square(xy, g->n);
	return rc;
}
