/* SPDX-License-Identifier: ISC */
/*
 * Each pair is passed once and offered to the lists of both its rows: the canonical
 * dot of a and b has the bits of that of b and a, since each fused step has the exact
 * product, which is the same either way, and the order of the steps is the same.
 *
 * kth[i] is the float below the value of the worst in row i's heap, once that is full;
 * until then the row's bar: whoever set it vouches for nothing, for a row that has
 * found k above its bar has the k best, and another says so (kernel_lists_sort).
 */
#include "kernel/pass.h"

#include "util/mem.h"
#include "util/paged.h"

#include <math.h>
#include <string.h>

#define STEP \
	192 /* queries at a time on the diagonal, half of whose pairs are in vain */

struct kernel_lists {
	size_t n;
	size_t k;
	struct kernel_near *near; /* (n, k): heaps, the worst on top */
	uint32_t *count; /* (n) */
	float *kth; /* (n padded to PANEL) */
};

int
kernel_lists_new(struct kernel_lists **out, size_t n, size_t k, struct err *e)
{
	size_t n_padded = (n + PANEL - 1) / PANEL * PANEL;
	struct kernel_lists *l = mem_new(1, sizeof(*l));

	*out = NULL;
	if (l == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %zu lists", n);
	*l = (struct kernel_lists){.n = n, .k = k};
	l->near = paged_new(n, k * sizeof(*l->near), e);
	l->count = l->near != NULL ? paged_new(n, sizeof(*l->count), e) : NULL;
	l->kth = l->count != NULL ? paged_new(n_padded, sizeof(*l->kth), e) : NULL;
	if (l->kth == NULL) {
		kernel_lists_free(l);
		return e != NULL ? e->code : ERR_NOMEM;
	}
	for (size_t i = 0; i < n_padded; i++)
		l->kth[i] = i < n ? -INFINITY : INFINITY;
	*out = l;
	return 0;
}

void
kernel_lists_free(struct kernel_lists *l)
{
	if (l == NULL)
		return;
	mem_free(l->near);
	mem_free(l->count);
	mem_free(l->kth);
	mem_free(l);
}

void
kernel_lists_bar(struct kernel_lists *l, size_t row, float bar)
{
	l->kth[row] = bar;
}

/* ---- heaps ------------------------------------------------------------------- */

static bool
is_worse(const struct kernel_near *a, const struct kernel_near *b)
{
	if (a->value != b->value)
		return a->value < b->value;
	return a->row > b->row;
}

/* x takes the place of heap[0], and sinks below what is worse. */
static void
sink(struct kernel_near *heap, size_t n, struct kernel_near x)
{
	size_t at = 0;

	for (size_t child = 1; child < n; child = 2 * at + 1) {
		if (child + 1 < n && is_worse(&heap[child + 1], &heap[child]))
			child++;
		if (!is_worse(&heap[child], &x))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = x;
}

static void
rise(struct kernel_near *heap, size_t at, struct kernel_near x)
{
	for (; at > 0 && is_worse(&x, &heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = x;
}

/* Whether (row, v) was among the k best of row i so far. */
static bool
keep(struct kernel_lists *l, size_t i, uint32_t row, float v)
{
	struct kernel_near *heap = l->near + i * l->k, x = {row, v};

	if (!(v > l->kth[i]))
		return false;
	if (l->count[i] < l->k)
		rise(heap, l->count[i]++, x);
	else if (is_worse(&heap[0], &x))
		sink(heap, l->k, x);
	else
		return false;
	if (l->count[i] == l->k)
		l->kth[i] = nextafterf(heap[0].value, -INFINITY);
	return true;
}

bool
kernel_lists_sort(struct kernel_lists *l, size_t row)
{
	struct kernel_near *near = l->near + row * l->k;

	for (size_t left = l->count[row]; left > 1; left--) {
		struct kernel_near worst = near[0];

		sink(near, left - 1, near[left - 1]);
		near[left - 1] = worst;
	}
	return l->count[row] == l->k;
}

struct kernel_near *
kernel_lists_row(const struct kernel_lists *l, size_t row)
{
	return l->near + row * l->k;
}

/* ---- the pass ------------------------------------------------------------------ */

struct pairs {
	struct kernel_lists *a, *b;
	bool later; /* only rows behind the query */
};

static void
offer(struct kernel_pass *p, size_t query, size_t row)
{
	const struct pairs *x = p->ctx;
	size_t d = p->r->d;
	bool kept;
	float v;

	if (x->later && row <= query)
		return;
	paged_touched(2);
	v = p->ops->dot(p->x + query * p->ldx, p->r->w + row * d, d);
	p->work->counts.tried++;
	if (isnan(v))
		return;
	kept = keep(x->a, query, (uint32_t)row, v);
	kept |= keep(x->b, row, (uint32_t)query, v);
	p->work->counts.kept += kept;
}

static int
tile_offers(struct kernel_pass *p, size_t query, size_t n_queries, size_t row,
	const uint32_t *mask, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < n_queries; i++)
		for (uint32_t bits = mask[i]; bits != 0; bits &= bits - 1)
			offer(p, query + i, row + (size_t)__builtin_ctz(bits));
	return 0;
}

/* Queries [query, query + n) with rows [first, first + count). */
static int
run(struct kernel_pass *p, size_t query, size_t n, size_t first, size_t count,
	struct err *e)
{
	const struct pairs *x = p->ctx;
	size_t most;
	int rc = 0;

	p->first = first;
	p->count = count;
	p->cut = x->b->kth + kernel_pass_first_panel(first) * PANEL;
	kernel_pass_terms(p);
	for (size_t at = query; rc == 0 && at < query + n; at += most) {
		most = kernel_pass_take(p->r, query + n - at);
		p->kth = x->a->kth + at;
		rc = kernel_pass_run(p, at, most, e);
	}
	return rc;
}

int
kernel_pairs(struct kernel_lists *a, const struct kernel_rows *ra, size_t a_first,
	size_t a_count, struct kernel_lists *b, const struct kernel_rows *rb,
	size_t b_first, size_t b_count, struct kernel_work *w, struct err *e)
{
	struct pairs x = {.a = a, .b = b, .later = a == b && a_first == b_first};
	struct kernel_pass p = {
		.r = rb,
		.ops = kernel_ops(),
		.work = w,
		.x = ra->w,
		.ldx = ra->d,
		.scan = kernel_ops()->scan_pairs,
		.scan8 = kernel_int8()->scan_pairs,
		.tile = tile_offers,
		.ctx = &x,
	};
	size_t end = b_first + b_count, step = x.later ? STEP : a_count, n;
	int rc = kernel_pass_check(ra, a_first, a_count, ra->n, e);

	if (rc == 0)
		rc = kernel_pass_check(rb, b_first, b_count, a_count, e);
	for (size_t at = 0; rc == 0 && at < a_count; at += step) {
		n = a_count - at < step ? a_count - at : step;
		if (x.later)
			b_first = a_first + at;
		rc = run(&p, a_first + at, n, b_first, end - b_first, e);
	}
	return rc;
}
