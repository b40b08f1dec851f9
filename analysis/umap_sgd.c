/* SPDX-License-Identifier: ISC */
#include "analysis/umap_parts.h"
#include "kernel/kernel.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

#define N_PHASES 8
#define CHUNK 512 /* points of an item */

/*
 * Every edge stands in both its ends' rows, so a point's owner sees all that moves it.
 * An epoch has phases: the points i of one i % N_PHASES move at once, and read where
 * the others lay before the phase. So no thread reads what another writes, and most of
 * what a point reads is as new as in a descent that goes edge by edge.
 */
struct descent {
	float *xy;
	float *to; /* of the phase's points, in its order */
	uint32_t *
		order; /* (n): phase by phase; in each, alike numbers of samples together */
	uint32_t phase_start[N_PHASES + 1];
	uint32_t phase;
	uint32_t *rate;
	uint32_t *due; /* of each thread */
	size_t n_due;
	struct kernel_layout at;
};

/* ---- what is made once -------------------- */

static void
rates_of(struct descent *d, const struct umap_graph *g)
{
	float most = 0;

	for (uint32_t i = 0; i < g->start[g->n]; i++)
		most = g->weight[i] > most ? g->weight[i] : most;
	for (uint32_t i = 0; i < g->start[g->n]; i++) {
		double rate = (double)g->weight[i] / (double)most * 0x1p+32;

		d->rate[i] = rate < 0x1p+32 ? (uint32_t)rate : UINT32_MAX;
	}
}

struct load {
	uint32_t phase, point;
	uint64_t rate;
};

static int
compare_loads(const void *a, const void *b)
{
	const struct load *x = a, *y = b;

	if (x->phase != y->phase)
		return x->phase < y->phase ? -1 : 1;
	if (x->rate != y->rate)
		return x->rate < y->rate ? 1 : -1;
	return x->point < y->point ? -1 : x->point > y->point;
}

/* Points without edges do not move, and are left out. */
static int
order_points(struct descent *d, const struct umap_graph *g, struct err *e)
{
	struct load *load = mem_new(g->n, sizeof(*load));
	uint32_t n = 0;

	if (load == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u points", g->n);
	for (uint32_t i = 0; i < g->n; i++) {
		load[n] = (struct load){i % N_PHASES, i, 0};
		for (uint32_t j = g->start[i]; j < g->start[i + 1]; j++)
			load[n].rate += d->rate[j];
		n += g->start[i + 1] > g->start[i];
	}
	qsort(load, n, sizeof(*load), compare_loads);
	for (uint32_t i = 0; i < n; i++) {
		d->order[i] = load[i].point;
		d->phase_start[load[i].phase + 1] = i + 1;
	}
	for (uint32_t p = 1; p <= N_PHASES; p++)
		if (d->phase_start[p] < d->phase_start[p - 1])
			d->phase_start[p] = d->phase_start[p - 1];
	d->at.n_among = n;
	d->at.among = n < g->n ? d->order : NULL;
	mem_free(load);
	return 0;
}

static size_t
most_edges(const struct umap_graph *g)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < g->n; i++)
		if (g->start[i + 1] - g->start[i] > most)
			most = g->start[i + 1] - g->start[i];
	return most;
}

static int
descent_new(struct descent *d, float *xy, const struct umap_graph *g,
	const struct umap_course *c, size_t n_threads, struct err *e)
{
	size_t per_phase = g->n / N_PHASES + 1;

	*d = (struct descent){.xy = xy};
	d->n_due = (most_edges(g) + 1) * KERNEL_LAYOUT_LANES;
	d->to = mem_new(per_phase, 2 * sizeof(*d->to));
	d->order = mem_new(g->n, sizeof(*d->order));
	d->rate = mem_new(g->start[g->n], sizeof(*d->rate));
	d->due = mem_new(d->n_due, n_threads * sizeof(*d->due));
	if (d->to == NULL || d->order == NULL || d->rate == NULL || d->due == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a layout of %u points",
			g->n);
	rates_of(d, g);
	d->at = (struct kernel_layout){
		.xy = xy,
		.start = g->start,
		.tail = g->tail,
		.rate = d->rate,
		.negative_rate = c->params->negative_rate,
		.a = (float)c->a,
		.b = (float)c->b,
		.repulsion = (float)c->params->repulsion,
	};
	return order_points(d, g, e);
}

static void
descent_free(struct descent *d)
{
	mem_free(d->to);
	mem_free(d->order);
	mem_free(d->rate);
	mem_free(d->due);
}

/* ---- an epoch -------------------- */

static void
move_chunk(void *ctx, size_t i, size_t thread)
{
	const struct descent *d = ctx;
	size_t first = i * CHUNK, n;
	struct kernel_layout at = d->at;

	n = d->phase_start[d->phase + 1] - d->phase_start[d->phase];
	at.point = d->order + d->phase_start[d->phase] + first;
	at.n_points = n - first < CHUNK ? n - first : CHUNK;
	at.to = d->to + 2 * first;
	at.due = d->due + thread * d->n_due;
	kernel_layout(&at);
}

static void
epoch_run(struct descent *d, struct pool *pool)
{
	for (d->phase = 0; d->phase < N_PHASES; d->phase++) {
		size_t first = d->phase_start[d->phase];
		size_t n = d->phase_start[d->phase + 1] - first;

		pool_run(pool, (n + CHUNK - 1) / CHUNK, move_chunk, d);
		for (size_t i = 0; i < n; i++)
			memcpy(d->xy + 2 * (size_t)d->order[first + i], d->to + 2 * i,
				2 * sizeof(*d->to));
	}
}

int
umap_descend(float *xy, const struct umap_graph *g, const struct umap_course *c,
	struct pool *pool, struct err *e)
{
	struct descent d;
	int rc = descent_new(&d, xy, g, c, pool != NULL ? pool_n_threads(pool) : 1, e);

	for (uint32_t epoch = 1; rc == 0 && epoch <= c->n_epochs; epoch++) {
		double left = 1 - (double)(epoch - 1) / (double)c->n_epochs;

		d.at.epoch = epoch;
		d.at.alpha = (float)(c->params->learning_rate * left);
		d.at.key = (uint32_t)hash_mix(c->params->seed, epoch, 2, 0);
		epoch_run(&d, pool);
		if (c->progress != NULL)
			rc = c->progress(c->ctx, epoch, c->n_epochs, e);
	}
	descent_free(&d);
	return rc;
}
