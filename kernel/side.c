/* SPDX-License-Identifier: ISC */
/*
 * side: directions in which the queries are large, taken out of them before they
 * are quantised and multiplied in floats: the mean of a residual stream, its
 * leading principal components, dimensions of outliers. They are chosen from a
 * sample by power iteration, each from what the ones before left over. Any
 * choice is right, a good one makes the bound (int8.c) small.
 */
#include "kernel/int8.h"

#include "kernel/pass.h"
#include "util/mem.h"

#include <math.h>
#include <string.h>

#define SAMPLE 64 /* queries to learn from; as many to judge by */
#define SAMPLE_LEAST 24
#define STEPS 4 /* of the power iteration */
#define FLOATS_PER_BYTE 8.0 /* what a direction costs, in dimensions of bytes */
#define ROW_REST 0.008 /* ||rest|| / ||row||, about */

struct side {
	const struct kernel_ops *ops;
	size_t d;
	size_t n; /* queries of the sample */
	float *x; /* (2 n, d): to learn from, then to judge by */
	float *v; /* (d) */
};

/* Queries that can be bounded, evenly spread and of no larger norm than 1. */
static void
sample_fill(struct side *s, const struct kernel_pass *p, size_t query, size_t n)
{
	size_t each = n / (2 * s->n);
	float most = 0, norm;

	for (size_t i = 0; i < 2 * s->n; i++) {
		const float *x = p->x + (query + i * each) * p->ldx;
		/* every other one judges */
		size_t to = i / 2 + (i % 2) * s->n;

		norm = kernel_norm_up(x, s->d);
		if (norm <= 0x1p60f) {
			memcpy(s->x + to * s->d, x, s->d * sizeof(*x));
			most = norm > most ? norm : most;
		} else {
			memset(s->x + to * s->d, 0, s->d * sizeof(*x));
		}
	}
	for (size_t i = 0; most > 0x1p-60f && i < 2 * s->n * s->d; i++)
		s->x[i] /= most;
}

/* v = v / ||v||; false where that is not to be had. */
static bool
normalise(const struct side *s, float *v)
{
	float norm = kernel_norm(v, s->d);

	if (!(norm > 0x1p-40f) || !(norm < 0x1p40f))
		return false;
	for (size_t i = 0; i < s->d; i++)
		v[i] /= norm;
	return true;
}

/* u, from the largest query left, by u = sum_i (x_i.u) x_i, normalised. */
static bool
direction(struct side *s, float *u)
{
	size_t at = 0;
	float most = 0;

	for (size_t i = 0; i < s->n; i++) {
		float norm = kernel_norm(s->x + i * s->d, s->d);

		if (norm > most) {
			most = norm;
			at = i;
		}
	}
	memcpy(u, s->x + at * s->d, s->d * sizeof(*u));
	if (!normalise(s, u))
		return false;
	for (int step = 0; step < STEPS; step++) {
		memset(s->v, 0, s->d * sizeof(*s->v));
		for (size_t i = 0; i < s->n; i++) {
			const float *x = s->x + i * s->d;

			s->ops->axpy(s->v, x, s->ops->dot(x, u, s->d), s->d);
		}
		if (!normalise(s, s->v))
			return step > 0;
		memcpy(u, s->v, s->d * sizeof(*u));
	}
	return true;
}

/* About the bound of a query, in norms of a row, over the judging queries. */
static double
loss(const struct side *s)
{
	double sum = 0;

	for (size_t i = s->n; i < 2 * s->n; i++) {
		const float *x = s->x + i * s->d;
		float peak = 0;

		for (size_t j = 0; j < s->d; j++)
			peak = fabsf(x[j]) > peak ? fabsf(x[j]) : peak;
		sum += sqrt((double)s->d / 12) / 127 * (double)peak +
			ROW_REST * (double)kernel_norm(x, s->d);
	}
	return sum / (double)s->n;
}

/* Fills u (n_most, d); returns how many of them pay. */
static size_t
choose(struct side *s, float *u, size_t n_most)
{
	double least = loss(s), found;
	size_t n = 0;

	for (size_t j = 0; j < n_most && direction(s, u + j * s->d); j++) {
		const float *v = u + j * s->d;

		for (size_t i = 0; i < 2 * s->n; i++) {
			float *x = s->x + i * s->d;

			s->ops->axpy(x, v, -s->ops->dot(x, v, s->d), s->d);
		}
		found = loss(s) *
			(1 + FLOATS_PER_BYTE * (double)(j + 1) / (double)s->d);
		if (found < least) {
			least = found;
			n = j + 1;
		}
	}
	return n;
}

int
kernel_side_learn(struct kernel_pass *p, size_t query, size_t n, struct err *e)
{
	struct kernel_int8_work *k = &p->work->int8;
	size_t d = p->r->d, n_panels = (p->r->n + PANEL - 1) / PANEL;
	size_t n_most = d / 16 < INT8_SIDE_MOST ? d / 16 : INT8_SIDE_MOST;
	struct side s = {.ops = p->ops, .d = d, .n = n / 2 < SAMPLE ? n / 2 : SAMPLE};

	k->n_side = 0;
	k->serial = 0;
	if (n < SAMPLE_LEAST || n_most == 0)
		return 0;
	if (!kernel_room(&k->sample, &k->cap_sample, (2 * s.n + 1) * d,
		    sizeof(float)) ||
		!kernel_room(&k->side, &k->cap_side, n_most * d, sizeof(float)) ||
		!kernel_room(&k->side_norm, &k->cap_side_norm, n_most, sizeof(float)))
		return err_set(e, ERR_NOMEM, "no memory to search %zu rows", p->count);
	s.x = k->sample;
	s.v = k->sample + 2 * s.n * d;
	sample_fill(&s, p, query, n);
	n_most = choose(&s, k->side, n_most);
	if (!kernel_room(&k->side_panels, &k->cap_side_panels,
		    n_panels * n_most * PANEL, sizeof(float)) ||
		!kernel_room(&k->side_done, &k->cap_side_done, n_panels, 1))
		return err_set(e, ERR_NOMEM, "no memory to search %zu rows", p->count);
	memset(k->side_done, 0, n_panels);
	for (size_t j = 0; j < n_most; j++)
		k->side_norm[j] = kernel_norm_up(k->side + j * d, d);
	k->n_side = n_most;
	k->serial = p->r->serial;
	return 0;
}

const float *
kernel_side_panel(struct kernel_pass *p, size_t panel)
{
	struct kernel_int8_work *k = &p->work->int8;
	float *to = k->side_panels + panel * PANEL * k->n_side;
	size_t d = p->r->d, end = (panel + 1) * PANEL;

	if (k->n_side == 0 || k->side_done[panel])
		return to;
	end = end < p->r->n ? end : p->r->n;
	memset(to, 0, PANEL * k->n_side * sizeof(*to));
	for (size_t row = panel * PANEL; row < end; row++)
		for (size_t j = 0; j < k->n_side; j++)
			to[j * PANEL + row % PANEL] =
				p->ops->dot(k->side + j * d, p->r->w + row * d, d);
	k->side_done[panel] = 1;
	return to;
}
