/* SPDX-License-Identifier: ISC */
#include "kernel/pass.h"

#include "util/paged.h"

#include <math.h>
#include <string.h>

#define AHEAD 128 /* floats of a row; the rest follows by itself */

struct above {
	const float *bias; /* may be NULL */
	const float *threshold; /* may be NULL */
	size_t most; /* hits of the chunk */
};

/* Waiting pairs, until the strip is through its block of rows. */
static int
tile_pairs(struct kernel_pass *p, size_t query, size_t n_queries, size_t row,
	const uint32_t *mask, struct err *e)
{
	struct kernel_work *k = p->work;
	size_t d = p->r->d;

	(void)e;
	for (size_t i = 0; i < n_queries; i++)
		for (uint32_t bits = mask[i]; bits != 0; bits &= bits - 1) {
			uint32_t j = (uint32_t)row + (uint32_t)__builtin_ctz(bits);

			kernel_prefetch(p->r->w + j * d, d < AHEAD ? d : AHEAD);
			k->pair[k->n_pairs++] =
				(struct kernel_pair){(uint32_t)(query + i), j};
		}
	return 0;
}

/* The canonical value decides each waiting pair. */
static int
decide_pairs(struct kernel_pass *p, struct err *e)
{
	struct kernel_work *k = p->work;
	const struct above *a = p->ctx;
	struct kernel_hit *hit;
	size_t n = 0, d = p->r->d;

	if (!kernel_hits_room(&k->found, k->n_pairs))
		return err_set(e, ERR_NOMEM, "no memory for %zu hits more", k->n_pairs);
	hit = k->found.hit + k->found.n;
	for (size_t i = 0; i < k->n_pairs; i++) {
		uint32_t query = k->pair[i].query, row = k->pair[i].row;
		float v;

		paged_touched(1);
		v = p->ops->dot(p->x + query * p->ldx, p->r->w + row * d, d);
		v = v + (a->bias != NULL ? a->bias[row] : 0.0f);
		hit[n] = (struct kernel_hit){row, query, v};
		n += v > (a->threshold != NULL ? a->threshold[row] : 0.0f);
	}
	k->found.n += n;
	k->counts.tried += k->n_pairs;
	k->counts.kept += n;
	k->n_pairs = 0;
	return k->found.n <= a->most ? 0 : err_set(e, ERR_LIMIT, "too many hits");
}

/* Of a float t and b: not above the exact t - b. A NaN on either side never
 * qualifies: infinity excludes all it can. */
static float
cut_of(float threshold, float bias)
{
	double cut = (double)threshold - (double)bias;

	return isnan(cut) ? INFINITY : nextafterf((float)cut, -INFINITY);
}

static int
prepare(struct kernel_pass *p, struct err *e)
{
	const struct above *a = p->ctx;
	size_t base = kernel_pass_first_panel(p->first) * PANEL;
	size_t n = kernel_pass_n_panels(p->first, p->count) * PANEL;
	struct kernel_work *k = p->work;
	size_t most = STRIP_MOST * (n < KERNEL_BLOCK_ROWS ? n : KERNEL_BLOCK_ROWS);

	if (!kernel_room(&k->row_terms, &k->cap_row_terms, n, sizeof(float)) ||
		!kernel_room(&k->pair, &k->cap_pair, most, sizeof(*k->pair)) ||
		!kernel_room(&k->count, &k->cap_count, kernel_pass_chunk(p->r) + 1,
			sizeof(*k->count)))
		return err_set(e, ERR_NOMEM, "no memory to search %zu rows", p->count);
	for (size_t i = 0; i < n; i++) {
		size_t row = base + i < p->r->n ? base + i : p->r->n - 1;

		k->row_terms[i] =
			cut_of(a->threshold != NULL ? a->threshold[row] : 0.0f,
				a->bias != NULL ? a->bias[row] : 0.0f);
	}
	kernel_pass_terms(p);
	p->cut = k->row_terms;
	k->n_pairs = 0;
	return 0;
}

/* Found hits of queries [query, query + n) go behind out's, by query; rows of
 * one query are in order already. */
static int
sort_hits(struct kernel_hits *out, struct kernel_work *k, size_t query, size_t n,
	struct err *e)
{
	if (!kernel_hits_room(out, k->found.n))
		return err_set(e, ERR_NOMEM, "no memory for %zu hits more", k->found.n);
	memset(k->count, 0, (n + 1) * sizeof(*k->count));
	for (size_t i = 0; i < k->found.n; i++)
		k->count[k->found.hit[i].query - query + 1]++;
	for (size_t i = 0; i < n; i++)
		k->count[i + 1] += k->count[i];
	for (size_t i = 0; i < k->found.n; i++) {
		const struct kernel_hit *hit = &k->found.hit[i];

		out->hit[out->n + k->count[hit->query - query]++] = *hit;
	}
	out->n += k->found.n;
	k->found.n = 0;
	return 0;
}

int
kernel_above(struct kernel_hits *out, const struct kernel_rows *r, size_t first,
	size_t count, const float *x, size_t ldx, size_t m, const float *bias,
	const float *threshold, struct kernel_work *k, struct err *e)
{
	struct above a = {bias, threshold, SIZE_MAX};
	struct kernel_pass p = {
		.r = r,
		.ops = kernel_ops(),
		.work = k,
		.first = first,
		.count = count,
		.x = x,
		.ldx = ldx,
		.scan = kernel_ops()->scan_above,
		.scan8 = kernel_int8()->scan_above,
		.tile = tile_pairs,
		.strip = decide_pairs,
		.ctx = &a,
	};
	size_t n;
	int rc = kernel_pass_check(r, first, count, m, e);

	if (rc < 0 || count == 0)
		return rc;
	k->found.n = 0;
	rc = prepare(&p, e);
	for (size_t query = 0; rc == 0 && query < m; query += n) {
		n = kernel_pass_take(r, m - query);
		if (out->most > 0)
			a.most = out->most > out->n ? out->most - out->n : 0;
		rc = kernel_pass_run(&p, query, n, e);
		if (rc == 0)
			rc = sort_hits(out, k, query, n, e);
	}
	return rc;
}
