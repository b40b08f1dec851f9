/* SPDX-License-Identifier: ISC */
/*
 * The bound of the pass in bytes. Norms are 2-norms, u = 2^-24, g(n) = n u /
 * (1 - n u) as in pass.c. A query x is
 *
 *   x = sum_j c_j u_j + a q + r     (c_j of at most 16 directions u_j, see side.c;
 *                                    a, q: scale and bytes; r: the rest)
 *   w = b p + s                     (a row: scale and bytes; the rest)
 *
 * for any c_j whatever, so that exactly
 *
 *   x.w = sum_j c_j (u_j.w) + a b (q.p) + a (q.s) + r.w
 *   |x.w - (sum_j c_j (u_j.w) + a b (q.p))| <= ||r|| ||w|| + ||a q|| ||s||
 *
 * by Cauchy and Schwarz. With C = sum_j |c_j| ||u_j||, and G = g(d / 64 + 7) for
 * the canonical dot, what is rounded adds, everything times ||w|| unless said:
 *   G ||x||          the canonical dot of x and w, against the exact one
 *   G C              the canonical dots of u_j and w
 *   17 u (||x|| + C) x - sum_j c_j u_j, one fused step a direction; what is
 *                    quantised is that result, not the exact difference
 *   20 u (C + ||a q|| (1 + ||s|| / ||w||))
 *                    the scan: q.p is exact in 32 bits (int8.h), becomes a float (one
 *                    rounding), is multiplied twice, then has at most 16 fused
 *                    steps for the side; |a b (q.p)| <= ||a q|| (||w|| + ||s||)
 *   2 u of both bounds, for the two fused steps that add them
 * So with F = g(d / 64 + 7 + 64), whose 64 covers 17 + 20 and all second-order
 * terms, and with the factor 1 + 2^-18 for 22 u on what has ||s||,
 *
 *   |scan - canonical| <= slack_norm ||w|| + slack_rest ||s||
 *   slack_norm = (||r|| + F (||x|| + C + ||a q||)) (1 + 2^-18)
 *   slack_rest = ||a q|| (1 + 2^-18)
 *
 * with all norms rounded up. The last fused step is rounded monotonically, as
 * in pass.c. Underflow: a product of an integer and the scale b is a multiple
 * of 2^-149, hence not rounded; every other step loses at most 2^-150, and the
 * rests less than 2^-60 in norm; all four factors get 2^-60 more, whose product
 * 2^-120 covers the steps. Overflow cannot happen while the norms are at most
 * 2^60 (17 terms of at most 2^121); beyond, and for infinities, slack_norm or
 * the row's norm is infinite, and nothing is excluded.
 */
#include "kernel/int8.h"

#include "kernel/pass.h"
#include "util/mem.h"
#include "util/paged.h"

#include <math.h>
#include <string.h>

#define NORM_MOST 0x1p60f
#define SLACK_LEAST 0x1p-60f
#define ROOM (1 + 0x1p-18)
#define BLOCK_BYTES ((size_t)1 << 18) /* of panels; their floats are four times */

static float
up(double x)
{
	return nextafterf((float)x, INFINITY) + SLACK_LEAST;
}

static size_t
padded(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* ---- rows ------------------------------------------------------------------ */

/* A row that cannot be bounded: zeros, and an infinite norm. */
static void
row_fill(struct kernel_bytes *b, const float *w, size_t row, size_t d, int8_t *q)
{
	struct kernel_quantized z = {0};
	float norm = kernel_norm_up(w, d);
	int32_t *panel = b->panels + row / PANEL * PANEL * b->n_quads + row % PANEL;

	if (norm <= NORM_MOST)
		kernel_int8()->quantize(q, &z, w, d, b->most);
	else
		memset(q, 0, b->n_quads * 4);
	b->scale[row] = z.scale;
	b->norm[row] = norm <= NORM_MOST ? norm + SLACK_LEAST : INFINITY;
	b->rest[row] = z.rest + SLACK_LEAST;
	for (size_t k = 0; k < b->n_quads; k++) {
		uint8_t quad[4];

		for (size_t i = 0; i < 4; i++)
			quad[i] = (uint8_t)(q[4 * k + i] + b->most + 1);
		memcpy(panel + k * PANEL, quad, 4);
	}
}

int
kernel_bytes_fill(struct kernel_rows *r, struct err *e)
{
	size_t n = padded(r->n, PANEL);
	struct kernel_bytes *b = &r->bytes;
	int8_t *q = mem_new_aligned(padded(r->d, INT8_PAD), 1);

	b->most = kernel_int8()->row_most;
	b->n_quads = (r->d + 3) / 4;
	b->panels = paged_new(n, b->n_quads * 4, e);
	b->scale = b->panels != NULL ? paged_new(n, sizeof(float), e) : NULL;
	b->norm = b->scale != NULL ? paged_new(n, sizeof(float), e) : NULL;
	b->rest = b->norm != NULL ? paged_new(n, sizeof(float), e) : NULL;
	if (q == NULL)
		err_set(e, ERR_NOMEM, "no memory for a row of %zu floats", r->d);
	if (q == NULL || b->rest == NULL) {
		mem_free(q);
		return -1;
	}
	for (size_t row = 0; row < r->n; row++) {
		paged_passed(2 * r->d * sizeof(float));
		row_fill(b, r->w + row * r->d, row, r->d, q);
	}
	mem_free(q);
	return 0;
}

void
kernel_bytes_clear(struct kernel_bytes *b)
{
	mem_free(b->panels);
	mem_free(b->scale);
	mem_free(b->norm);
	mem_free(b->rest);
}

void
kernel_int8_clear(struct kernel_int8_work *k)
{
	mem_free(k->q);
	mem_free(k->left);
	mem_free(k->strips);
	mem_free(k->query);
	mem_free(k->side_strips);
	mem_free(k->side);
	mem_free(k->side_norm);
	mem_free(k->side_panels);
	mem_free(k->side_done);
	mem_free(k->sample);
}

/* ---- queries --------------------------------------------------------------- */

/* left = x - sum c_j u_j; side[j * stride] = c_j. Returns C. */
static double
take_side(struct kernel_pass *p, const float *x, float *side, size_t stride)
{
	struct kernel_int8_work *k = &p->work->int8;
	size_t d = p->r->d;
	double sum = 0;

	memcpy(k->left, x, d * sizeof(*x));
	for (size_t j = 0; j < k->n_side; j++) {
		const float *u = k->side + j * d;
		float c = p->ops->dot(k->left, u, d);

		p->ops->axpy(k->left, u, -c, d);
		side[j * stride] = c;
		sum += fabs((double)c) * (double)k->side_norm[j];
	}
	return sum;
}

/* One query into its strip of `stride` queries. What cannot be bounded is zeros
 * with an infinite slack, or a NaN for a NaN. */
static void
query_fill(struct kernel_pass *p, const float *x, struct kernel_query *out,
	int32_t *strip, float *side, size_t stride)
{
	struct kernel_int8_work *k = &p->work->int8;
	size_t d = p->r->d, n_quads = p->r->bytes.n_quads;
	double steps = (double)(d / 64 + 7 + 64) * 0x1p-24, more;
	float norm = kernel_norm_up(x, d);
	struct kernel_quantized z = {0};

	if (!(norm <= NORM_MOST)) {
		*out = (struct kernel_query){.slack_norm = norm > 0 ? INFINITY : norm};
		for (size_t i = 0; i < n_quads; i++)
			strip[i * stride] = 0;
		for (size_t j = 0; j < k->n_side; j++)
			side[j * stride] = 0;
		return;
	}
	more = take_side(p, x, side, stride) + (double)norm;
	kernel_int8()->quantize(k->q, &z, k->left, d, INT8_MOST);
	more = (more + (double)z.norm) * steps / (1 - steps);
	out->scale = z.scale;
	out->slack_norm = up(((double)z.rest + more) * ROOM);
	out->slack_rest = up((double)z.norm * ROOM);
	out->start = -(p->r->bytes.most + 1) * z.sum;
	for (size_t i = 0; i < n_quads; i++)
		memcpy(strip + i * stride, k->q + 4 * i, 4);
}

/* Queries [query + at, query + end). */
static int
strips_fill(struct kernel_pass *p, size_t query, size_t at, size_t end, struct err *e)
{
	struct kernel_int8_work *k = &p->work->int8;
	size_t mr = kernel_int8()->mr, n_quads = p->r->bytes.n_quads;
	size_t d = p->r->d, n_side = k->n_side;

	if (!kernel_room(&k->q, &k->cap_q, padded(d, INT8_PAD), 1) ||
		!kernel_room(&k->left, &k->cap_left, d, sizeof(*k->left)) ||
		!kernel_room(&k->strips, &k->cap_strips, (end - at) * n_quads, 4) ||
		!kernel_room(&k->query, &k->cap_query, end - at, sizeof(*k->query)) ||
		!kernel_room(&k->side_strips, &k->cap_side_strips,
			(end - at) * INT8_SIDE_MOST, sizeof(float)))
		return err_set(e, ERR_NOMEM, "no memory for %zu queries", end - at);
	for (size_t i = 0; i < end - at; i++) {
		size_t first = i / mr * mr, in = i - first;
		size_t n = end - at - first < mr ? end - at - first : mr;

		query_fill(p, p->x + (query + at + i) * p->ldx, &k->query[i],
			k->strips + first * n_quads + in,
			k->side_strips + first * n_side + in, n);
	}
	return 0;
}

/* ---- the pass -------------------------------------------------------------- */

/* The strip of queries from `at` on (the chunk's; `from` in scratch) against one
 * block of panels. */
static int
strip_run(struct kernel_pass *p, size_t query, size_t at, size_t from, size_t n_rows,
	size_t panel, size_t n_panels, struct err *e)
{
	struct kernel_int8_work *k = &p->work->int8;
	const struct kernel_bytes *b = &p->r->bytes;
	size_t base = kernel_pass_first_panel(p->first);
	struct kernel_scan8 s = {
		.a = k->strips + from * b->n_quads,
		.n_quads = b->n_quads,
		.n_rows = n_rows,
		.query = k->query + from,
		.side_a = k->side_strips + from * k->n_side,
		.n_side = k->n_side,
		.kth = p->kth != NULL ? p->kth + at : NULL,
		.least = p->least != NULL ? p->least + at : NULL,
	};
	int rc = 0;

	for (size_t i = panel; rc == 0 && i < panel + n_panels; i++) {
		size_t row = (base + i) * PANEL, col = i * PANEL;

		s.b = b->panels + row * b->n_quads;
		s.side_b = k->side_panels + row * k->n_side;
		s.row_scale = b->scale + row;
		s.row_norm = p->row_norm + col;
		s.row_rest = p->row_rest + col;
		s.cut = p->cut != NULL ? p->cut + col : NULL;
		s.bias = p->bias != NULL ? p->bias + col : NULL;
		s.scale = p->scale != NULL ? p->scale + col : NULL;
		if (!p->scan8(&s))
			continue;
		for (size_t q = 0; q < n_rows; q++) /* a query with a NaN has no pair */
			s.mask[q] &= isnan(s.query[q].slack_norm)
				? 0
				: kernel_pass_range_bits(p, row);
		rc = p->tile(p, query + at, n_rows, row, s.mask, e);
	}
	return rc == 0 && p->strip != NULL ? p->strip(p, e) : rc;
}

int
kernel_int8_run(struct kernel_pass *p, size_t query, size_t at, size_t end,
	struct err *e)
{
	size_t base = kernel_pass_first_panel(p->first), mr = kernel_int8()->mr, rows;
	struct kernel_blocks b;
	int rc = strips_fill(p, query, at, end, e);

	if (rc < 0)
		return rc;
	b = kernel_blocks(p, at, end, BLOCK_BYTES / (PANEL * p->r->d));
	for (; rc == 0 && kernel_blocks_more(&b); b.i++) {
		/* bytes of the block, and rows, which are four times as long */
		paged_passed(5 * BLOCK_BYTES);
		for (size_t j = b.panel; j < b.panel + b.n; j++)
			kernel_side_panel(p, base + j);
		for (size_t q = at; rc == 0 && q < end; q += rows) {
			rows = end - q < mr ? end - q : mr;
			rc = strip_run(p, query, q, q - at, rows, b.panel, b.n, e);
		}
	}
	return rc;
}
