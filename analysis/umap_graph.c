/* SPDX-License-Identifier: ISC */
#include "analysis/umap_parts.h"
#include "util/mem.h"

#include <math.h>
#include <string.h>

#define CHUNK 1024 /* points of an item */
#define N_HALVINGS 64
#define NEAR 1e-5 /* of the sum to log2(k + 1) */
#define LEAST_SIGMA 1e-3 /* of the mean distance */

/* ---- what is given -------------------- */

static int
check(uint32_t n, uint32_t k, const uint32_t *neighbor, const float *distance,
	struct err *e)
{
	for (size_t i = 0; i < (size_t)n * k; i++) {
		size_t point = i / k;

		if (neighbor[i] == UINT32_MAX)
			continue;
		if (neighbor[i] >= n)
			return err_arg(e, ERR_ARG, "neighbor",
				"point %zu: neighbor %u, but there are %u points",
				point, neighbor[i], n);
		if (neighbor[i] == point)
			return err_arg(e, ERR_ARG, "neighbor",
				"point %zu: its own neighbor", point);
		if (!(distance[i] >= 0 && distance[i] < INFINITY))
			return err_arg(e, ERR_ARG, "distance",
				"point %zu: distance %g to neighbor %u", point,
				(double)distance[i], neighbor[i]);
	}
	return 0;
}

/* ---- rho and sigma -------------------- */

struct smooth {
	float *rho, *sigma;
	const uint32_t *neighbor;
	const float *distance;
	uint32_t n, k;
	double mean; /* of all distances, each point's 0 to itself among them */
};

static double
mean_of(const struct smooth *s, size_t from, size_t to)
{
	double sum = 0, n = 0;

	for (size_t i = from; i < to; i++)
		if (s->neighbor[i] != UINT32_MAX) {
			sum += (double)s->distance[i];
			n++;
		}
	return sum / (n + (double)(s->k > 0 ? (to - from) / s->k : 1));
}

static double
sum_of_weights(const struct smooth *s, size_t from, float rho, double sigma)
{
	double sum = 0;

	for (size_t i = from; i < from + s->k; i++) {
		float d = s->distance[i] - rho;

		if (s->neighbor[i] != UINT32_MAX)
			sum += d > 0 ? exp(-((double)d / sigma)) : 1;
	}
	return sum;
}

static void
smooth_point(const struct smooth *s, uint32_t point)
{
	size_t from = (size_t)point * s->k;
	double want = log2((double)s->k + 1), low = 0, high = INFINITY, at = 1, least;
	float rho = 0;

	for (size_t i = from; i < from + s->k; i++)
		if (s->neighbor[i] != UINT32_MAX && s->distance[i] > 0 &&
			(rho == 0 || s->distance[i] < rho))
			rho = s->distance[i];
	for (int i = 0; i < N_HALVINGS; i++) {
		double sum = sum_of_weights(s, from, rho, at);

		if (fabs(sum - want) < NEAR)
			break;
		if (sum > want)
			high = at;
		else
			low = at;
		at = isinf(high) ? at * 2 : (low + high) / 2;
	}
	least = LEAST_SIGMA * (rho > 0 ? mean_of(s, from, from + s->k) : s->mean);
	s->rho[point] = rho;
	s->sigma[point] = (float)(at < least ? least : at);
}

static void
smooth_chunk(void *ctx, size_t i, size_t thread)
{
	const struct smooth *s = ctx;

	(void)thread;
	for (size_t p = i * CHUNK; p < (i + 1) * CHUNK && p < s->n; p++)
		smooth_point(s, (uint32_t)p);
}

int
umap_smooth(float *rho, float *sigma, uint32_t n, uint32_t k, const uint32_t *neighbor,
	const float *distance, struct pool *pool, struct err *e)
{
	struct smooth s = {rho, sigma, neighbor, distance, n, k, 0};

	if (check(n, k, neighbor, distance, e) < 0)
		return e != NULL ? e->code : ERR_ARG;
	s.mean = mean_of(&s, 0, (size_t)n * k);
	pool_run(pool, ((size_t)n + CHUNK - 1) / CHUNK, smooth_chunk, &s);
	return 0;
}

/* ---- the graph -------------------- */

/* Directed edges with their weights: each row in order of tail, and the same turned. */
struct edges {
	uint32_t n, k;
	uint32_t *to; /* (n, k), UINT32_MAX behind */
	float *weight; /* (n, k) */
	uint32_t *in_start; /* (n + 1) */
	uint32_t *in_from;
	float *in_weight;
};

static int
edges_new(struct edges *d, uint32_t n, uint32_t k, struct err *e)
{
	size_t all;

	*d = (struct edges){.n = n, .k = k};
	if (!mem_mul(n, k, &all) || all > UINT32_MAX / 2)
		return err_set(e, ERR_LIMIT, "%u points of %u neighbors are too many",
			n, k);
	d->to = mem_new(all, sizeof(*d->to));
	d->weight = mem_new(all, sizeof(*d->weight));
	d->in_start = mem_new((size_t)n + 1, sizeof(*d->in_start));
	d->in_from = mem_new(all, sizeof(*d->in_from));
	d->in_weight = mem_new(all, sizeof(*d->in_weight));
	if (d->to && d->weight && d->in_start && d->in_from && d->in_weight)
		return 0;
	return err_set(e, ERR_NOMEM, "no memory for the graph of %u points", n);
}

static void
edges_clear(struct edges *d)
{
	mem_free(d->to);
	mem_free(d->weight);
	mem_free(d->in_start);
	mem_free(d->in_from);
	mem_free(d->in_weight);
}

/* Puts an edge in its place among those of the row. */
static void
edge_insert(struct edges *d, size_t row, size_t n, uint32_t to, float weight)
{
	size_t at = row * d->k + n;

	for (; n > 0 && d->to[at - 1] > to; n--, at--) {
		d->to[at] = d->to[at - 1];
		d->weight[at] = d->weight[at - 1];
	}
	d->to[at] = to;
	d->weight[at] = weight;
}

static int
edges_of(struct edges *d, uint32_t row, const uint32_t *neighbor, const float *distance,
	float rho, float sigma, struct err *e)
{
	uint32_t *to = d->to + (size_t)row * d->k, n = 0;

	for (uint32_t j = 0; j < d->k; j++) {
		float over = distance[j] - rho;

		if (neighbor[j] != UINT32_MAX)
			edge_insert(d, row, n++, neighbor[j],
				over > 0 && sigma > 0
					? (float)exp(-((double)over / (double)sigma))
					: 1);
	}
	for (uint32_t j = 1; j < n; j++)
		if (to[j] == to[j - 1])
			return err_arg(e, ERR_ARG, "neighbor",
				"point %u: neighbor %u twice", row, to[j]);
	for (; n < d->k; n++)
		to[n] = UINT32_MAX;
	return 0;
}

static void
edges_turn(struct edges *d)
{
	uint32_t *start = d->in_start, sum = 0;

	for (size_t i = 0; i < (size_t)d->n * d->k; i++)
		if (d->to[i] != UINT32_MAX)
			start[d->to[i]]++;
	for (uint32_t i = 0; i <= d->n; i++) {
		uint32_t n = start[i];

		start[i] = sum;
		sum += n;
	}
	for (size_t i = 0; i < (size_t)d->n * d->k; i++)
		if (d->to[i] != UINT32_MAX) {
			uint32_t at = start[d->to[i]]++;

			d->in_from[at] = (uint32_t)(i / d->k);
			d->in_weight[at] = d->weight[i];
		}
	memmove(start + 1, start, d->n * sizeof(*start));
	start[0] = 0;
}

/* Both directions' edges of a row side by side; tail NULL: only counts them. */
static uint32_t
join(const struct edges *d, uint32_t row, uint32_t *tail, float *weight)
{
	size_t i = (size_t)row * d->k, i_end = i + d->k;
	uint32_t j = d->in_start[row], j_end = d->in_start[row + 1], n = 0;

	for (; (i < i_end && d->to[i] != UINT32_MAX) || j < j_end; n++) {
		uint32_t a = i < i_end ? d->to[i] : UINT32_MAX;
		uint32_t b = j < j_end ? d->in_from[j] : UINT32_MAX;
		float v = a <= b ? d->weight[i] : 0, w = b <= a ? d->in_weight[j] : 0;

		i += a <= b;
		j += b <= a;
		if (tail != NULL) {
			tail[n] = a < b ? a : b;
			weight[n] = (v + w) - v * w;
		}
	}
	return n;
}

static int
join_all(struct umap_graph *g, const struct edges *d, struct err *e)
{
	size_t sum = 0;

	g->start = mem_new((size_t)g->n + 1, sizeof(*g->start));
	if (g->start == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the graph");
	for (uint32_t i = 0; i < g->n; i++) {
		g->start[i] = (uint32_t)sum;
		sum += join(d, i, NULL, NULL);
	}
	g->start[g->n] = (uint32_t)sum;
	g->tail = mem_new(sum, sizeof(*g->tail));
	g->weight = mem_new(sum, sizeof(*g->weight));
	if (g->tail == NULL || g->weight == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the graph's %zu edges",
			sum);
	for (uint32_t i = 0; i < g->n; i++)
		join(d, i, g->tail + g->start[i], g->weight + g->start[i]);
	return 0;
}

int
umap_graph_make(struct umap_graph *g, uint32_t n, uint32_t k, const uint32_t *neighbor,
	const float *distance, struct pool *pool, struct err *e)
{
	float *rho = mem_new(n, sizeof(*rho)), *sigma = mem_new(n, sizeof(*sigma));
	struct edges d = {0};
	int rc = 0;

	*g = (struct umap_graph){.n = n};
	if (rho == NULL || sigma == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for %u points", n);
	if (rc == 0)
		rc = umap_smooth(rho, sigma, n, k, neighbor, distance, pool, e);
	if (rc == 0)
		rc = edges_new(&d, n, k, e);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = edges_of(&d, i, neighbor + (size_t)i * k, distance + (size_t)i * k,
			rho[i], sigma[i], e);
	if (rc == 0) {
		edges_turn(&d);
		rc = join_all(g, &d, e);
	}
	if (rc < 0)
		umap_graph_clear(g);
	edges_clear(&d);
	mem_free(rho);
	mem_free(sigma);
	return rc;
}

void
umap_graph_prune(struct umap_graph *g, uint32_t n_epochs)
{
	uint32_t n = 0, from = 0;
	float most = 0;

	for (uint32_t i = 0; i < g->start[g->n]; i++)
		most = fmaxf(most, g->weight[i]);
	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t to = g->start[i + 1];

		for (; from < to; from++) {
			g->tail[n] = g->tail[from];
			g->weight[n] = g->weight[from];
			n += g->weight[n] >= most / (float)n_epochs;
		}
		g->start[i + 1] = n;
	}
}

void
umap_graph_clear(struct umap_graph *g)
{
	mem_free(g->start);
	mem_free(g->tail);
	mem_free(g->weight);
	*g = (struct umap_graph){0};
}
