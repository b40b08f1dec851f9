/* SPDX-License-Identifier: ISC */
/*
 * The bound. Let s = sum x_i w_i exactly, u = 2^-24 and g(n) = n u / (1 - n u).
 * A sum of products in which no term passes through more than n roundings is
 * within g(n) sum |x_i w_i| <= g(n) ||x|| ||w|| of s, in whatever order (Higham,
 * Accuracy and Stability of Numerical Algorithms, 3.1). The cheap pass is one
 * chain of d fused steps: n = d. The canonical dot is 64 chains of d / 64 fused
 * steps (rounded up) and six sums: n = d / 64 + 6. So
 *
 *   |cheap - canonical| <= (g(d) + g(d / 64 + 6)) ||x|| ||w||
 *
 * which is kept as the product of the query's slack >= ||x|| and the row's
 * slack >= (...) ||w||, both rounded up. Underflow adds less than 2^-149 for
 * each of fewer than 2 d + 64 steps: both slacks get 2^-60 more, whose product
 * covers that for d < 2^26. Overflow cannot happen while both norms are at most
 * 2^62; beyond that (and for infinities) the slack is infinite, and nothing is
 * excluded.
 *
 * slack_x * slack_w + cheap is one fused step; rounding is monotone and both
 * the canonical value and what it is compared with are floats, so the rounded
 * sum is an upper bound of the canonical value where the exact sum is.
 */
#include "kernel/pass.h"

#include "kernel/gemm.h"
#include "util/mem.h"
#include "util/paged.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define D_MOST ((size_t)1 << 20)
#define NORM_MOST 0x1p62f
#define SLACK_LEAST 0x1p-60f
#define BLOCK_BYTES ((size_t)1 << 18) /* of panels: a part of the L2 cache */
#define CHUNK_BYTES ((size_t)1 << 22) /* of strips: a part of the L3 cache */
#define CHUNK_MOST 2040
#define CHUNK_LEAST 96

static double
gamma_of(double n)
{
	return n * 0x1p-24 / (1 - n * 0x1p-24);
}

/* >= factor * norm, infinite where the product could overflow, NaN stays. */
static float
slack_of(float norm, double factor)
{
	if (norm > NORM_MOST)
		return INFINITY;
	return nextafterf((float)((double)norm * factor), INFINITY) + SLACK_LEAST;
}

static int
rows_fill(struct kernel_rows *r, struct err *e)
{
	size_t n_padded = (r->n + PANEL - 1) / PANEL * PANEL;
	double factor = gamma_of((double)r->d) + gamma_of((double)(r->d / 64 + 7));

	if (r->in_bytes && kernel_bytes_fill(r, e) < 0)
		return -1;
	if (!r->in_bytes)
		r->panels = kernel_panels_new(r->w, r->d, r->n, 1, r->d, e);
	if (!r->in_bytes && r->panels == NULL)
		return -1;
	r->slack = paged_new(n_padded, sizeof(float), e);
	if (r->slack == NULL)
		return -1;
	for (size_t i = 0; i < r->n; i++) {
		paged_passed(r->d * sizeof(float));
		r->slack[i] = slack_of(kernel_norm_up(r->w + i * r->d, r->d), factor);
	}
	return 0;
}

int
kernel_rows_new(struct kernel_rows **out, const float *w, size_t n, size_t d,
	struct err *e)
{
	static _Atomic uint64_t n_made;
	struct kernel_rows *r;

	*out = NULL;
	if (d == 0 || d > D_MOST)
		return err_set(e, ERR_LIMIT,
			"rows of %zu floats: from 1 to %zu can be had", d, D_MOST);
	if (n >= UINT32_MAX)
		return err_set(e, ERR_LIMIT, "%zu rows: fewer than %u can be had", n,
			UINT32_MAX);
	r = mem_new(1, sizeof(*r));
	if (r == NULL)
		return err_set(e, ERR_NOMEM, "no memory to pack %zu rows of %zu floats",
			n, d);
	*r = (struct kernel_rows){.w = w, .n = n, .d = d};
	r->serial = atomic_fetch_add(&n_made, 1) + 1;
	r->in_bytes = kernel_pass_wants_bytes(d);
	if (rows_fill(r, e) < 0) {
		kernel_rows_free(r);
		return e != NULL ? e->code : ERR_NOMEM;
	}
	*out = r;
	return 0;
}

void
kernel_rows_free(struct kernel_rows *r)
{
	if (r == NULL)
		return;
	mem_free(r->panels);
	mem_free(r->slack);
	kernel_bytes_clear(&r->bytes);
	mem_free(r);
}

size_t
kernel_rows_n(const struct kernel_rows *r)
{
	return r->n;
}

/* ---- scratch and hits ---------------------------------------------------- */

bool
kernel_room(void *p, size_t *cap, size_t n, size_t size)
{
	void *bigger, *old;

	if (n <= *cap)
		return true;
	bigger = mem_new_aligned(n, size);
	if (bigger == NULL)
		return false;
	memcpy(&old, p, sizeof(old));
	mem_free(old);
	memcpy(p, &bigger, sizeof(bigger));
	*cap = n;
	return true;
}

bool
kernel_hits_room(struct kernel_hits *h, size_t n_more)
{
	struct kernel_hit *bigger;
	size_t need, cap;

	if (!mem_add(h->n, n_more, &need))
		return false;
	if (need <= h->cap)
		return true;
	cap = h->cap + h->cap / 2 < 256 ? 256 : h->cap + h->cap / 2;
	if (cap < need)
		cap = need;
	bigger = mem_resize(h->hit, cap, sizeof(*bigger));
	if (bigger == NULL)
		return false;
	h->hit = bigger;
	h->cap = cap;
	return true;
}

void
kernel_hits_clear(struct kernel_hits *h)
{
	mem_free(h->hit);
	*h = (struct kernel_hits){0};
}

int
kernel_work_new(struct kernel_work **out, struct err *e)
{
	*out = mem_new(1, sizeof(**out));
	return *out != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory to search");
}

void
kernel_work_free(struct kernel_work *k)
{
	if (k == NULL)
		return;
	mem_free(k->block);
	kernel_int8_clear(&k->int8);
	mem_free(k->strips);
	mem_free(k->slack);
	mem_free(k->row_terms);
	mem_free(k->pair);
	mem_free(k->count);
	kernel_hits_clear(&k->found);
	mem_free(k);
}

struct kernel_counts
kernel_work_counts(const struct kernel_work *k)
{
	return k->counts;
}

/* ---- the pass ---------------------------------------------------------- */

int
kernel_pass_check(const struct kernel_rows *r, size_t first, size_t count, size_t m,
	struct err *e)
{
	if (first > r->n || count > r->n - first)
		return err_set(e, ERR_ARG, "rows %zu and %zu more: there are %zu",
			first, count, r->n);
	if (m >= UINT32_MAX)
		return err_set(e, ERR_LIMIT, "%zu queries: fewer than %u can be had", m,
			UINT32_MAX);
	return 0;
}

void
kernel_pass_terms(struct kernel_pass *p)
{
	size_t base = kernel_pass_first_panel(p->first) * PANEL;

	p->row_slack = p->r->slack + base;
	if (!p->r->in_bytes)
		return;
	p->row_norm = p->r->bytes.norm + base;
	p->row_rest = p->r->bytes.rest + base;
}

static size_t
chunk_of(size_t d)
{
	size_t n = CHUNK_BYTES / sizeof(float) / d;

	if (n > CHUNK_MOST)
		n = CHUNK_MOST;
	return n < CHUNK_LEAST ? CHUNK_LEAST : n / STRIP_MOST * STRIP_MOST;
}

size_t
kernel_pass_chunk(const struct kernel_rows *r)
{
	return chunk_of(r->d);
}

/* All rows are read again for each chunk: hence alike, not one of a few queries. */
size_t
kernel_pass_take(const struct kernel_rows *r, size_t n_left)
{
	size_t most = kernel_pass_chunk(r), n = (n_left + most - 1) / most;

	n = (n_left + n - 1) / n;
	n = (n + STRIP_MOST - 1) / STRIP_MOST * STRIP_MOST;
	return n < n_left ? n : n_left;
}

/* Of a row: its side (see kernel_side_learn()) and its terms. Of a query: a strip in
 * floats, one in bytes, its side. */
size_t
kernel_work_bytes(size_t n, size_t d)
{
	size_t n_side = d / 16 < INT8_SIDE_MOST ? d / 16 : INT8_SIDE_MOST;
	size_t pairs = STRIP_MOST * KERNEL_BLOCK_ROWS * sizeof(struct kernel_pair);

	return n * (n_side + 5) * sizeof(float) +
		chunk_of(d) * (d * 5 + n_side * 4 + 64) + BLOCK_BYTES + 2 * pairs;
}

static int
strips_fill(struct kernel_pass *p, size_t query, size_t n, struct err *e)
{
	struct kernel_work *k = p->work;
	size_t d = p->r->d, mr = p->ops->mr;

	if (!kernel_room(&k->strips, &k->cap_strips, n * d, sizeof(float)) ||
		!kernel_room(&k->slack, &k->cap_slack, n, sizeof(float)))
		return err_set(e, ERR_NOMEM, "no memory for %zu queries", n);
	for (size_t i = 0; i < n; i += mr)
		kernel_strip(k->strips + i * d, p->x + (query + i) * p->ldx, p->ldx,
			n - i < mr ? n - i : mr, d);
	for (size_t i = 0; i < n; i++)
		k->slack[i] =
			slack_of(kernel_norm_up(p->x + (query + i) * p->ldx, d), 1);
	return 0;
}

uint32_t
kernel_pass_range_bits(const struct kernel_pass *p, size_t row)
{
	uint32_t bits = UINT32_MAX;

	if (row < p->first)
		bits <<= p->first - row;
	if (row + PANEL > p->first + p->count)
		bits &= UINT32_MAX >> (row + PANEL - p->first - p->count);
	return bits;
}

/* The strip of queries from `at` on (the chunk's; `from` in scratch) against
 * panels [panel, panel + n_panels) of the range, which stand at b. */
static int
strip_run(struct kernel_pass *p, size_t query, size_t at, size_t from, size_t n_rows,
	size_t panel, size_t n_panels, const float *b, struct err *e)
{
	size_t d = p->r->d, base = kernel_pass_first_panel(p->first);
	struct kernel_scan s = {
		.a = p->work->strips + from * d,
		.b = b,
		.k = d,
		.n_rows = n_rows,
		.slack = p->work->slack + from,
		.kth = p->kth != NULL ? p->kth + at : NULL,
		.least = p->least != NULL ? p->least + at : NULL,
	};
	int rc = 0;

	for (size_t i = panel; rc == 0 && i < panel + n_panels; i++, s.b += PANEL * d) {
		size_t row = (base + i) * PANEL, col = i * PANEL;

		s.row_slack = p->row_slack + col;
		s.cut = p->cut != NULL ? p->cut + col : NULL;
		s.bias = p->bias != NULL ? p->bias + col : NULL;
		s.scale = p->scale != NULL ? p->scale + col : NULL;
		if (!p->scan(&s))
			continue;
		for (size_t q = 0; q < n_rows; q++) /* a query with a NaN has no pair */
			s.mask[q] &=
				isnan(s.slack[q]) ? 0 : kernel_pass_range_bits(p, row);
		rc = p->tile(p, query + at, n_rows, row, s.mask, e);
	}
	return rc == 0 && p->strip != NULL ? p->strip(p, e) : rc;
}

/* Panels [panel, panel + n) of the range: the rows', or made for the moment. */
static const float *
block_of(struct kernel_pass *p, size_t panel, size_t n, struct err *e)
{
	struct kernel_work *k = p->work;
	size_t row = (kernel_pass_first_panel(p->first) + panel) * PANEL, d = p->r->d;
	size_t n_rows = p->r->n - row < n * PANEL ? p->r->n - row : n * PANEL;

	if (p->r->panels != NULL)
		return p->r->panels + row * d;
	if (!kernel_room(&k->block, &k->cap_block, n * PANEL * d, sizeof(float))) {
		err_set(e, ERR_NOMEM, "no memory to pack %zu rows", n_rows);
		return NULL;
	}
	kernel_panels_fill(k->block, p->r->w + row * d, d, n_rows, 1, d);
	return k->block;
}

struct kernel_blocks
kernel_blocks(struct kernel_pass *p, size_t at, size_t end, size_t most)
{
	struct kernel_blocks b = {.p = p, .at = at, .end = end};
	size_t n;

	b.most = most < 1 ? 1 : most > KERNEL_BLOCK_MOST ? KERNEL_BLOCK_MOST : most;
	b.n_panels = kernel_pass_n_panels(p->first, p->count);
	b.n_blocks = (b.n_panels + b.most - 1) / b.most;
	n = (b.n_blocks + SAMPLE_STEP - 1) / SAMPLE_STEP;
	if (p->sample != NULL && p->sample(p, at, end, n * b.most * PANEL))
		b.n_first = n;
	return b;
}

bool
kernel_blocks_more(struct kernel_blocks *b)
{
	size_t j = b->i - b->n_first, block = j; /* of those behind the sample */

	if (b->i == b->n_blocks)
		return false;
	if (b->i < b->n_first)
		block = b->i * SAMPLE_STEP;
	else if (b->n_first > 0)
		block = j + j / (SAMPLE_STEP - 1) + 1;
	if (b->n_first > 0 && j == 0)
		b->p->sampled(b->p, b->at, b->end);
	b->panel = block * b->most;
	b->n = b->n_panels - b->panel < b->most ? b->n_panels - b->panel : b->most;
	return true;
}

/* A block of panels stays in the L2 cache while all strips pass over it. */
int
kernel_float_run(struct kernel_pass *p, size_t query, size_t at, size_t end,
	struct err *e)
{
	size_t mr = p->ops->mr;
	struct kernel_blocks b;
	int rc = strips_fill(p, query + at, end - at, e);

	if (rc < 0)
		return rc;
	b = kernel_blocks(p, at, end, BLOCK_BYTES / (PANEL * p->r->d * sizeof(float)));
	for (; rc == 0 && kernel_blocks_more(&b); b.i++) {
		const float *panels = block_of(p, b.panel, b.n, e);

		paged_passed(2 * BLOCK_BYTES);
		if (panels == NULL)
			return e != NULL ? e->code : ERR_NOMEM;
		for (size_t q = at; rc == 0 && q < end; q += mr)
			rc = strip_run(p, query, q, q - at, end - q < mr ? end - q : mr,
				b.panel, b.n, panels, e);
	}
	return rc;
}
