/* SPDX-License-Identifier: ISC */
#include "kernel/pass.h"

#include "util/paged.h"

#include <math.h>

/*
 * Values are turned so that larger is better (smallest: scale is negated, and
 * the value again at the end). best[q] is a heap, its worst on top, until the
 * end; kth[q] is that worst one's value, NaN while there is room.
 */
struct best {
	struct kernel_hit *best; /* (m, k) */
	size_t k;
	const float *bias; /* may be NULL */
	const float *scale; /* may be NULL */
	const uint32_t *skip; /* may be NULL */
	float turn; /* 1 or -1 */
	size_t query; /* first of the chunk */
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

static void
offer(struct kernel_pass *p, size_t query, uint32_t row)
{
	const struct best *b = p->ctx;
	struct kernel_hit *heap = b->best + query * b->k;
	size_t *n = &p->work->count[query - b->query], d = p->r->d;
	struct kernel_hit hit;
	float v;

	paged_touched(1);
	v = p->ops->dot(p->x + query * p->ldx, p->r->w + row * d, d);
	p->work->counts.tried++;
	v = v + (b->bias != NULL ? b->bias[row] : 0.0f);
	v = v * (b->scale != NULL ? b->scale[row] * b->turn : b->turn);
	hit = (struct kernel_hit){row, (uint32_t)query, v};
	if (isnan(v) || (b->skip != NULL && b->skip[query] == row))
		return;
	if (*n < b->k) {
		heap[*n] = hit;
		rise(heap, (*n)++);
	} else if (is_better(&hit, &heap[0])) {
		heap[0] = hit;
		sink(heap, b->k, 0);
	} else {
		return;
	}
	p->work->counts.kept++;
	if (*n == b->k)
		p->kth[query - b->query] = heap[0].value;
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

/* Best first, turned back, the places left over marked. */
static void
finish(const struct best *b, size_t query, size_t n)
{
	struct kernel_hit *hit = b->best + query * b->k;

	for (size_t left = n; left > 1; left--) {
		swap(&hit[0], &hit[left - 1]);
		sink(hit, left - 1, 0);
	}
	for (size_t i = 0; i < n; i++)
		hit[i].value = hit[i].value * b->turn;
	for (size_t i = n; i < b->k; i++)
		hit[i] = (struct kernel_hit){UINT32_MAX, (uint32_t)query,
			-INFINITY * b->turn};
}

/* The terms of each row, and kth of each query. Where the scale is negative the
 * least value counts, so the slack is subtracted. */
static int
prepare(struct kernel_pass *p, struct err *e)
{
	const struct best *b = p->ctx;
	struct kernel_work *k = p->work;
	size_t base = kernel_pass_first_panel(p->first) * PANEL;
	size_t n = kernel_pass_n_panels(p->first, p->count) * PANEL;
	size_t chunk = kernel_pass_chunk(p->r), n_terms = p->r->in_bytes ? 5 : 3;
	float *terms;

	if (!kernel_room(&k->row_terms, &k->cap_row_terms, n_terms * n + chunk,
		    sizeof(float)) ||
		!kernel_room(&k->count, &k->cap_count, chunk, sizeof(*k->count)))
		return err_set(e, ERR_NOMEM, "no memory to search %zu rows", p->count);
	terms = k->row_terms;
	for (size_t i = 0; i < n; i++) {
		size_t row = base + i < p->r->n ? base + i : p->r->n - 1;
		float scale = b->scale != NULL ? b->scale[row] * b->turn : b->turn;

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
	p->kth = terms + n_terms * n;
	return 0;
}

int
kernel_best(struct kernel_hit *best, size_t k, const struct kernel_rows *r,
	size_t first, size_t count, const float *x, size_t ldx, size_t m,
	const float *bias, const float *scale, bool smallest, const uint32_t *skip,
	struct kernel_work *w, struct err *e)
{
	struct best b = {best, k, bias, scale, skip, smallest ? -1.0f : 1.0f, 0};
	struct kernel_pass p = {
		.r = r,
		.ops = kernel_ops(),
		.work = w,
		.first = first,
		.count = count,
		.x = x,
		.ldx = ldx,
		.scan = kernel_ops()->scan_best,
		.scan8 = kernel_int8()->scan_best,
		.tile = tile_offers,
		.ctx = &b,
	};
	size_t chunk, n;
	int rc = kernel_pass_check(r, first, count, m, e);

	if (rc < 0 || k == 0)
		return rc;
	chunk = kernel_pass_chunk(r);
	rc = prepare(&p, e);
	for (size_t query = 0; rc == 0 && query < m; query += n) {
		n = m - query < chunk ? m - query : chunk;
		b.query = query;
		for (size_t i = 0; i < n; i++) {
			w->count[i] = 0;
			p.kth[i] = NAN;
		}
		rc = kernel_pass_run(&p, query, n, e);
		for (size_t i = 0; rc == 0 && i < n; i++)
			finish(&b, query + i, w->count[i]);
	}
	return rc;
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
