/* SPDX-License-Identifier: ISC */
#include "kernel/pass.h"

#include "util/paged.h"

#include <math.h>
#include <string.h>

#define LUCK 32 /* queries for each that may be searched in vain */

/*
 * An end is the k largest values, or the k smallest; both are found in one pass, or
 * one. Values are turned so that larger is better (the smallest: negated, and again
 * at the end). best[q] is a heap, its worst on top, until the end; kth[q] is the
 * float below that worst one's value, NaN while there is room: what is not above it
 * is not among the k best, in whatever order rows come.
 *
 * Rows in random order pass the k-th best so far k (1 + ln(n / k)) times. So a
 * sample of the rows comes first, of which only a few are kept: more than the k
 * best of all rows have in a sample but once in some 10,000 queries. The worst of
 * the few is the bar above which the k best are then looked for. They are found
 * whenever k above it are; else the query is searched again, without a sample.
 */
struct end {
	struct kernel_hit *best; /* (m, k) */
	float turn; /* 1 or -1 */
	/* Of each query of the chunk: */
	size_t *count; /* of its heap */
	float *kth;
	float *bar; /* NaN: none */
};

struct best {
	struct end end[2];
	size_t n_ends;
	size_t k;
	const float *bias; /* may be NULL */
	const float *scale; /* may be NULL */
	const uint32_t *skip; /* may be NULL */
	size_t query; /* first of the chunk */
	size_t room; /* of a heap, at most k */
	bool again; /* without a sample */
};

static bool
is_better(const struct kernel_hit *a, const struct kernel_hit *b)
{
	if (a->value != b->value)
		return a->value > b->value;
	return a->row < b->row;
}

static void
swap(struct kernel_hit *a, struct kernel_hit *b)
{
	struct kernel_hit t = *a;

	*a = *b;
	*b = t;
}

/* heap[at] sinks below what is worse. */
static void
sink(struct kernel_hit *heap, size_t n, size_t at)
{
	for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
		if (child + 1 < n && is_better(&heap[child], &heap[child + 1]))
			child++;
		if (!is_better(&heap[at], &heap[child]))
			return;
		swap(&heap[at], &heap[child]);
		at = child;
	}
}

static void
rise(struct kernel_hit *heap, size_t at)
{
	for (; at > 0 && is_better(&heap[(at - 1) / 2], &heap[at]); at = (at - 1) / 2)
		swap(&heap[(at - 1) / 2], &heap[at]);
}

/* The float below v; NaN below -inf. */
static float
below(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	if (v == 0)
		return -0x1p-149f;
	if (v == -INFINITY)
		return NAN;
	bits = v > 0 ? bits - 1 : bits + 1;
	memcpy(&v, &bits, sizeof(v));
	return v;
}

/* Whether v was among the best so far. */
static bool
keep(const struct best *b, const struct end *end, size_t query, uint32_t row, float v)
{
	struct kernel_hit *heap = end->best + query * b->k, hit;
	size_t *n = &end->count[query - b->query];

	hit = (struct kernel_hit){row, (uint32_t)query, v * end->turn};
	if (*n < b->room) {
		heap[*n] = hit;
		rise(heap, (*n)++);
	} else if (is_better(&hit, &heap[0])) {
		heap[0] = hit;
		sink(heap, b->room, 0);
	} else {
		return false;
	}
	if (*n == b->room)
		end->kth[query - b->query] = below(heap[0].value);
	return true;
}

static void
offer(struct kernel_pass *p, size_t query, uint32_t row)
{
	const struct best *b = p->ctx;
	size_t d = p->r->d;
	bool kept = false;
	float v;

	paged_touched(1);
	v = p->ops->dot(p->x + query * p->ldx, p->r->w + row * d, d);
	p->work->counts.tried++;
	v = v + (b->bias != NULL ? b->bias[row] : 0.0f);
	v = v * (b->scale != NULL ? b->scale[row] : 1.0f);
	if (isnan(v) || (b->skip != NULL && b->skip[query] == row))
		return;
	for (size_t i = 0; i < b->n_ends; i++)
		kept |= keep(b, &b->end[i], query, row, v);
	p->work->counts.kept += kept;
}

static int
tile_offers(struct kernel_pass *p, size_t query, size_t n_queries, size_t row,
	const uint32_t *mask, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < n_queries; i++)
		for (uint32_t bits = mask[i]; bits != 0; bits &= bits - 1)
			offer(p, query + i,
				(uint32_t)row + (uint32_t)__builtin_ctz(bits));
	return 0;
}

/* ---- the sample ---------------------------------------------------------- */

/* Of the k best, k n_rows / count are in the sample, give or take the root of
 * that; four roots more come once in 10,000 times. */
static bool
sample(struct kernel_pass *p, size_t at, size_t end, size_t n_rows)
{
	struct best *b = p->ctx;
	struct kernel_luck *luck = &p->work->luck;
	double n = (double)b->k * (double)n_rows / (double)p->count;
	size_t room = (size_t)(n + 4 * sqrt(n) + 2);

	(void)at;
	(void)end;
	if (luck->serial != p->r->serial)
		*luck = (struct kernel_luck){.serial = p->r->serial};
	if (b->again || room >= b->k || luck->n_missed * LUCK > luck->n + LUCK)
		return false;
	b->room = room;
	return true;
}

static void
sampled(struct kernel_pass *p, size_t at, size_t end)
{
	struct best *b = p->ctx;

	for (struct end *x = b->end; x < b->end + b->n_ends; x++)
		for (size_t i = at; i < end; i++)
			if (x->count[i] == b->room)
				x->bar[i] = x->best[(b->query + i) * b->k].value;
	b->room = b->k;
}

/* Could one of the k best have been excluded? */
static bool
is_missed(const struct best *b, size_t i)
{
	bool missed = false;

	for (const struct end *x = b->end; x < b->end + b->n_ends; x++)
		missed |= !isnan(x->bar[i]) &&
			(x->count[i] < b->k ||
				!(x->best[(b->query + i) * b->k].value > x->bar[i]));
	return missed;
}

/* Best first, turned back, the places left over marked. */
static void
finish_end(const struct end *x, size_t k, size_t query, size_t n)
{
	struct kernel_hit *hit = x->best + query * k;

	for (size_t left = n; left > 1; left--) {
		swap(&hit[0], &hit[left - 1]);
		sink(hit, left - 1, 0);
	}
	for (size_t i = 0; i < n; i++)
		hit[i].value = hit[i].value * x->turn;
	for (size_t i = n; i < k; i++)
		hit[i] = (struct kernel_hit){UINT32_MAX, (uint32_t)query,
			-INFINITY * x->turn};
}

/* The query whose counts are i's. */
static void
finish(const struct best *b, size_t query, size_t i)
{
	for (size_t j = 0; j < b->n_ends; j++)
		finish_end(&b->end[j], b->k, query, b->end[j].count[i]);
}

static int
run(struct kernel_pass *p, size_t query, size_t n, bool again, struct err *e)
{
	struct best *b = p->ctx;

	b->query = query;
	b->room = b->k;
	b->again = again;
	for (struct end *x = b->end; x < b->end + b->n_ends; x++)
		for (size_t i = 0; i < n; i++) {
			x->count[i] = 0;
			x->kth[i] = x->bar[i] = NAN;
		}
	return kernel_pass_run(p, query, n, e);
}

/* A chunk. What is searched again takes the places of queries that are done. */
static int
search(struct kernel_pass *p, size_t query, size_t n, struct err *e)
{
	struct kernel_work *w = p->work;
	struct best *b = p->ctx;
	int rc = run(p, query, n, false, e);

	w->luck.n += n;
	for (size_t at = 0, end; rc == 0 && at < n; at = end) {
		for (end = at; end < n && is_missed(b, end); end++)
			;
		if (at == end) {
			finish(b, query + at, at);
			end++;
			continue;
		}
		w->luck.n_missed += end - at;
		rc = run(p, query + at, end - at, true, e);
		for (size_t i = 0; rc == 0 && i < end - at; i++)
			finish(b, query + at + i, i);
		b->query = query;
	}
	return rc;
}

/* The terms of each row where the values are turned. Where the scale is negative the
 * least value counts, so the slack is subtracted. */
static void
terms_fill(struct kernel_pass *p, float *terms, size_t n)
{
	const struct best *b = p->ctx;
	size_t base = kernel_pass_first_panel(p->first) * PANEL;

	for (size_t i = 0; i < n; i++) {
		size_t row = base + i < p->r->n ? base + i : p->r->n - 1;
		float scale = (b->scale != NULL ? b->scale[row] : 1.0f);

		scale *= b->end[0].turn;
		terms[i] = scale < 0 ? -p->r->slack[row] : p->r->slack[row];
		terms[n + i] = b->bias != NULL ? b->bias[row] : 0.0f;
		terms[2 * n + i] = scale;
		if (!p->r->in_bytes)
			continue;
		terms[3 * n + i] = copysignf(p->r->bytes.norm[row], terms[i]);
		terms[4 * n + i] = copysignf(p->r->bytes.rest[row], terms[i]);
	}
	p->row_slack = terms;
	p->bias = terms + n;
	p->scale = terms + 2 * n;
	p->row_norm = terms + 3 * n;
	p->row_rest = terms + 4 * n;
}

/* What is kept of rows, and of queries of a chunk. */
static int
prepare(struct kernel_pass *p, struct err *e)
{
	struct best *b = p->ctx;
	struct kernel_work *k = p->work;
	size_t n = kernel_pass_n_panels(p->first, p->count) * PANEL;
	size_t chunk = kernel_pass_chunk(p->r), n_terms = p->r->in_bytes ? 5 : 3;
	float *of_queries;

	if (b->n_ends == 2)
		n_terms = 0;
	if (!kernel_room(&k->row_terms, &k->cap_row_terms, n_terms * n + 4 * chunk,
		    sizeof(float)) ||
		!kernel_room(&k->count, &k->cap_count, 2 * chunk, sizeof(*k->count)))
		return err_set(e, ERR_NOMEM, "no memory to search %zu rows", p->count);
	if (b->n_ends == 1)
		terms_fill(p, k->row_terms, n);
	else
		kernel_pass_terms(p);
	of_queries = k->row_terms + n_terms * n;
	for (size_t i = 0; i < 2; i++) {
		b->end[i].count = k->count + i * chunk;
		b->end[i].kth = of_queries + 2 * i * chunk;
		b->end[i].bar = of_queries + (2 * i + 1) * chunk;
	}
	p->kth = b->end[0].kth;
	p->least = b->end[1].kth;
	return 0;
}

static int
best_of_all(struct best *b, struct kernel_pass *p, size_t m, struct err *e)
{
	size_t n;
	int rc = kernel_pass_check(p->r, p->first, p->count, m, e);

	p->ops = kernel_ops();
	p->tile = tile_offers;
	p->sample = sample;
	p->sampled = sampled;
	p->ctx = b;
	if (rc < 0 || b->k == 0)
		return rc;
	rc = prepare(p, e);
	for (size_t query = 0; rc == 0 && query < m; query += n) {
		n = kernel_pass_take(p->r, m - query);
		rc = search(p, query, n, e);
	}
	return rc;
}

int
kernel_best(struct kernel_hit *best, size_t k, const struct kernel_rows *r,
	size_t first, size_t count, const float *x, size_t ldx, size_t m,
	const float *bias, const float *scale, bool smallest, const uint32_t *skip,
	struct kernel_work *w, struct err *e)
{
	struct best b = {
		.end = {{.best = best, .turn = smallest ? -1.0f : 1.0f}},
		.n_ends = 1,
		.k = k,
		.bias = bias,
		.scale = scale,
		.skip = skip,
	};
	struct kernel_pass p = {
		.r = r,
		.work = w,
		.first = first,
		.count = count,
		.x = x,
		.ldx = ldx,
		.scan = kernel_ops()->scan_best,
		.scan8 = kernel_int8()->scan_best,
	};

	return best_of_all(&b, &p, m, e);
}

int
kernel_ends(struct kernel_hit *largest, struct kernel_hit *smallest, size_t k,
	const struct kernel_rows *r, const float *x, size_t ldx, size_t m,
	struct kernel_work *w, struct err *e)
{
	struct best b = {
		.end = {{.best = largest, .turn = 1}, {.best = smallest, .turn = -1}},
		.n_ends = 2,
		.k = k,
	};
	struct kernel_pass p = {
		.r = r,
		.work = w,
		.count = r->n,
		.x = x,
		.ldx = ldx,
		.scan = kernel_ops()->scan_ends,
		.scan8 = kernel_int8()->scan_ends,
	};

	return best_of_all(&b, &p, m, e);
}

/* ---- merging ------------------------------------------------------------- */

static bool
comes_first(const struct kernel_hit *a, const struct kernel_hit *b, bool smallest)
{
	if (a->row == UINT32_MAX || b->row == UINT32_MAX)
		return a->row < b->row;
	if (a->value != b->value)
		return (a->value < b->value) == smallest;
	return a->row < b->row;
}

/* How many of the first k of both are a's is found first; then a is filled
 * from behind, so that nothing is overwritten before it is read. */
void
kernel_best_merge(struct kernel_hit *a, const struct kernel_hit *b, size_t k,
	bool smallest)
{
	size_t i = 0, j = 0;

	while (i + j < k) {
		if (comes_first(&b[j], &a[i], smallest))
			j++;
		else
			i++;
	}
	for (size_t to = k; j > 0; to--) {
		if (i > 0 && comes_first(&b[j - 1], &a[i - 1], smallest))
			a[to - 1] = a[--i];
		else
			a[to - 1] = b[--j];
	}
}
