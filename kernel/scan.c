/* SPDX-License-Identifier: ISC */
/*
 * The bound. Norms are 2-norms, u = 2^-24, g(n) = n u / (1 - n u) as in pass.c. A
 * query x (of cosines: its unit, as it is in floats) and a unit row w are
 *
 *   x = y + r,  y = a q + c f     (scales and bytes, twice; the rest)
 *   w = b p + s                   (a row: scale and bytes; the rest)
 *
 * so that exactly, by Cauchy and Schwarz,
 *
 *   |x.w - (a (q.p) + c (f.p)) b| <= ||r|| ||w|| + ||y|| ||s||
 *
 * The second part of the query costs no memory, which is what a scan waits for, and
 * leaves a rest 250 times smaller: what is far larger than the others in a query, as in
 * residual streams, does no harm; in a row it widens that row's bound alone.
 *
 * The row's floats v have the norm N = kernel_norm(v), from 2^-40 to 2^50, else the row has no bound. There the canonical dot of v with itself has
 * nothing that underflows and counts, so N is within g(d / 64 + 8) of ||v||, and with
 * d <= 2^16 both ||v / N|| and ||w||, w = v / N rounded, are below U = 1 + 2^-10;
 * ||w - v / N|| <= u U. What is rounded adds, with Y = ||x|| + 2 ||r1|| + ||r|| >=
 * ||a q|| + ||c f||, r1 the rest after the first part, F = g(d / 64 + 7 + 64):
 *   g(d / 64 + 7) ||x|| U   the canonical dot, against the exact one
 *   u ||x|| U               inner products: w is not quite v / N
 *   4 u Y (U + ||s||)       the scan: sums of bytes are exact in 32 bits (d <= 2^16),
 *                           become floats, and have three steps more
 *   2 u of all              the two steps that add the bounds
 * which F Y U and F Y ||s|| cover, and 1 + 2^-18 the last. So
 *
 *   |scan - score| <= slack + slack_rest ||s||
 *   slack      = (||r|| + F Y) U (1 + 2^-18)
 *   slack_rest = (||x|| + ||r|| + F Y) (1 + 2^-18)
 *
 * in units of the row's norm, which inner products multiply by. Rounding is monotone and
 * scores are floats, so the rounded bounds hold too, before and after that product.
 * The rests as computed are off by u ||r1||, u ||r|| (one fused step a float), and for
 * rows u ||w||; norms are rounded up. Underflow: each factor has 2^-60 more, and their
 * products with each other, and with a row's norm >= 2^-40, are above what d steps can
 * lose. A query whose norm is above QUERY_MOST has infinite slack: nothing is excluded,
 * nothing is known. Below it nothing overflows.
 */
#include "kernel/scan.h"

#include "kernel/codes.h"
#include "kernel/int8.h"
#include "util/mem.h"
#include "util/paged.h"
#include "util/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_MOST 0x1p60f
#define SPARSE 2 /* rows of a panel that are quicker decided than bounded */
#define TIDY ((size_t)4096) /* candidates between two looks at what can go */

/* ---- the query ------------------------------------------------------------- */

struct search {
	const struct kernel_nearest *q;
	float *query, *unit; /* (d) each; unit: a row's */
	int32_t *quads; /* (2, n_quads) */
	struct kernel_codes_pass pass; /* but for what changes from panel to panel */
	size_t k; /* of q, at most n */
	size_t n_panels;
	size_t n_parts;
	struct part *part; /* (n_parts) */
	struct kernel_hit *best; /* (k) sorted */
	size_t n_best;
	size_t n_exact;
};

static void
quads_fill(int32_t *quads, const int8_t *q, size_t d)
{
	uint8_t *to = (uint8_t *)quads;
	int lift = kernel_codes()->lift;

	for (size_t i = 0; i < 4 * codes_quads(d); i++)
		to[i] = (uint8_t)((i < d ? q[i] : 0) + lift);
}

static int
query_fill(struct search *s, struct err *e)
{
	size_t d = s->q->d;
	struct kernel_codes_pass *p = &s->pass;
	double f = (double)(d / 64 + 7 + 64) * 0x1p-24, norm, r1, r, y;
	struct kernel_quantized z;
	struct codes_scratch c = {0};
	int rc = codes_scratch_init(&c, d, e);

	p->n_quads = codes_quads(d);
	p->coarse = s->quads;
	p->fine = s->quads + codes_quads(d);
	p->by_norm = !s->q->cosine;
	p->slack = p->slack_rest = INFINITY;
	norm = (double)kernel_norm_up(s->query, d);
	if (rc != 0 || !(norm <= (double)QUERY_MOST))
		goto out;
	kernel_int8()->quantize(c.q, &z, s->query, d, INT8_MOST);
	p->scale[0] = z.scale;
	quads_fill(s->quads, c.q, d);
	codes_rest(c.v, c.steps, s->query, c.q, z.scale, d);
	r1 = (double)kernel_norm_up(c.v, d);
	kernel_int8()->quantize(c.q, &z, c.v, d, INT8_MOST);
	p->scale[1] = z.scale;
	quads_fill(s->quads + codes_quads(d), c.q, d);
	codes_rest(c.v, c.steps, c.v, c.q, z.scale, d);
	r = (double)kernel_norm_up(c.v, d) * ROOM + 0x1p-23 * r1;
	y = (norm + 2 * r1 + r) * f / (1 - f);
	p->slack = codes_up((r + y) * UNIT_MOST * ROOM + SLACK_LEAST);
	p->slack_rest = codes_up((norm + r + y) * ROOM + SLACK_LEAST);
out:
	codes_scratch_clear(&c);
	return rc;
}

/* ---- by bytes -------------------------------------------------------------- */

struct candidate {
	float most; /* its score, at most */
	uint32_t row;
};

/* Panels [first, end), and what they gave. */
struct part {
	size_t first, end;
	float *low; /* (k) descending: so much the k best have at least */
	size_t n_low;
	struct candidate *found;
	size_t n_found, cap_found;
	bool failed; /* no memory */
};

/* low has a place for v: behind what is not below it. */
static void
low_insert(float *low, size_t *n, size_t k, float v)
{
	size_t at = 0, end = *n;

	if (!(v > -INFINITY) || (*n == k && !(v > low[k - 1])))
		return;
	while (at < end) {
		size_t mid = (at + end) / 2;

		if (low[mid] >= v)
			at = mid + 1;
		else
			end = mid;
	}
	if (*n < k)
		(*n)++;
	memmove(low + at + 1, low + at, (*n - at - 1) * sizeof(*low));
	low[at] = v;
}

/* What k rows reach. */
static float
least_of(const struct part *p, size_t k)
{
	return p->n_low == k ? p->low[k - 1] : -INFINITY;
}

static void
drop_below(struct part *p, float least)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_found; i++)
		if (p->found[i].most >= least)
			p->found[n++] = p->found[i];
	p->n_found = n;
}

static void
found_add(struct part *p, uint32_t row, float most, float least)
{
	if (p->n_found == p->cap_found) {
		struct candidate *more;

		drop_below(p, least);
		if (p->n_found > p->cap_found / 2 || p->cap_found == 0) {
			more = mem_resize(p->found, 2 * p->cap_found + TIDY,
				sizeof(*more));
			if (more == NULL) {
				p->failed = true;
				return;
			}
			p->found = more;
			p->cap_found = 2 * p->cap_found + TIDY;
		}
	}
	p->found[p->n_found++] = (struct candidate){most, row};
}

/* The rows of panel i that are asked for. */
static uint32_t
allowed_bits(const struct kernel_nearest *q, size_t i)
{
	size_t left = q->n - i * PANEL;
	uint32_t bits = left < PANEL ? (1u << left) - 1 : UINT32_MAX;

	if (q->allowed == NULL)
		return bits;
	return bits & (uint32_t)(q->allowed[i / 2] >> i % 2 * PANEL);
}

static void
panel_run(const struct search *s, struct part *p, struct kernel_codes_pass *pass,
	size_t i, uint32_t bits)
{
	const uint8_t *panels = s->q->codes;
	bool bounded = __builtin_popcount(bits) > SPARSE;

	pass->least = least_of(p, s->k);
	if (bounded)
		bits &= kernel_codes()->panel(pass,
			panels + i * kernel_codes_bytes(s->q->d));
	for (; bits != 0; bits &= bits - 1) {
		size_t j = (size_t)__builtin_ctz(bits);
		float most = bounded ? pass->most[j] : INFINITY;

		found_add(p, (uint32_t)(i * PANEL + j), isnan(most) ? INFINITY : most,
			pass->least);
		if (bounded)
			low_insert(p->low, &p->n_low, s->k, pass->low[j]);
	}
}

static void
part_run(void *ctx, size_t i, size_t thread)
{
	struct search *s = ctx;
	struct part *p = &s->part[i];
	struct kernel_codes_pass pass = s->pass;

	(void)thread;
	for (size_t at = p->first; at < p->end && !p->failed; at++) {
		uint32_t bits = allowed_bits(s->q, at);

		if (bits == 0)
			continue;
		paged_passed(kernel_codes_bytes(s->q->d));
		panel_run(s, p, &pass, at, bits);
	}
}

/* ---- by floats ------------------------------------------------------------- */

static bool
is_better(const struct kernel_hit *a, const struct kernel_hit *b)
{
	return a->value != b->value ? a->value > b->value : a->row < b->row;
}

static void
best_insert(struct search *s, const struct kernel_hit *x)
{
	struct kernel_hit *best = s->best;
	size_t at = 0, end = s->n_best;

	if (isnan(x->value) ||
		(s->n_best == s->k && !is_better(x, &best[s->n_best - 1])))
		return;
	while (at < end) {
		size_t mid = (at + end) / 2;

		if (is_better(&best[mid], x))
			at = mid + 1;
		else
			end = mid;
	}
	if (s->n_best < s->k)
		s->n_best++;
	memmove(best + at + 1, best + at, (s->n_best - at - 1) * sizeof(*best));
	best[at] = *x;
}

static void
decide(struct search *s, uint32_t row)
{
	size_t d = s->q->d;
	const float *v = s->q->rows + row * d;

	if (s->q->cosine) {
		kernel_unit(s->unit, v, d);
		v = s->unit;
	}
	s->n_exact++;
	best_insert(s, &(struct kernel_hit){row, 0, kernel_dot(s->query, v, d)});
}

static void
all_by_floats(struct search *s)
{
	for (size_t i = 0; i < s->n_panels; i++)
		for (uint32_t bits = allowed_bits(s->q, i); bits != 0;
			bits &= bits - 1) {
			paged_passed(s->q->d * sizeof(float));
			decide(s,
				(uint32_t)(i * PANEL) + (uint32_t)__builtin_ctz(bits));
		}
}

static int
likelier_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->most != y->most)
		return x->most > y->most ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* From the likeliest on, until the k-th best is above what the others can have. */
static void
candidates_run(struct search *s, const struct part *p)
{
	size_t bytes = s->q->d * sizeof(float);

	for (size_t i = 0; i < p->n_found; i++) {
		if (s->n_best == s->k && p->found[i].most < s->best[s->k - 1].value)
			break;
		if (i + 1 < p->n_found) {
			const char *next =
				(const char *)s->q->rows + p->found[i + 1].row * bytes;

			for (size_t at = 0; at < bytes; at += 64)
				__builtin_prefetch(next + at, 0, 2);
		}
		paged_touched(1);
		decide(s, p->found[i].row);
	}
}

/* ---- together -------------------------------------------------------------- */

static int
parts_init(struct search *s, struct err *e)
{
	size_t n = s->q->pool != NULL ? pool_n_threads(s->q->pool) : 1;

	s->n_parts = n < s->n_panels ? n : s->n_panels;
	s->part = mem_new(s->n_parts, sizeof(*s->part));
	if (s->part == NULL)
		goto no_memory;
	for (size_t i = 0; i < s->n_parts; i++) {
		s->part[i].first = s->n_panels * i / s->n_parts;
		s->part[i].end = s->n_panels * (i + 1) / s->n_parts;
		s->part[i].low = mem_new(s->k, sizeof(float));
		if (s->part[i].low == NULL)
			goto no_memory;
	}
	return 0;
no_memory:
	return err_set(e, ERR_NOMEM, "no memory to search %zu rows", s->q->n);
}

/* All candidates and bounds into the first part. */
static int
parts_join(struct search *s, struct err *e)
{
	struct part *a = &s->part[0];

	for (size_t i = 1; i < s->n_parts; i++)
		for (size_t j = 0; j < s->part[i].n_low; j++)
			low_insert(a->low, &a->n_low, s->k, s->part[i].low[j]);
	for (size_t i = 0; i < s->n_parts; i++) {
		struct part *p = &s->part[i];

		drop_below(p, least_of(a, s->k));
		for (size_t j = 0; i > 0 && j < p->n_found; j++)
			found_add(a, p->found[j].row, p->found[j].most, -INFINITY);
		if (p->failed || a->failed)
			return err_set(e, ERR_NOMEM, "no memory to search %zu rows",
				s->q->n);
	}
	if (a->n_found > 1)
		qsort(a->found, a->n_found, sizeof(*a->found), likelier_first);
	return 0;
}

static int
by_bytes(struct search *s, struct err *e)
{
	int rc = query_fill(s, e);

	if (rc == 0)
		rc = parts_init(s, e);
	if (rc == 0)
		pool_run(s->n_parts > 1 ? s->q->pool : NULL, s->n_parts, part_run, s);
	if (rc == 0)
		rc = parts_join(s, e);
	if (rc == 0)
		candidates_run(s, &s->part[0]);
	for (size_t i = 0; s->part != NULL && i < s->n_parts; i++) {
		mem_free(s->part[i].low);
		mem_free(s->part[i].found);
	}
	mem_free(s->part);
	return rc;
}

static int
search_init(struct search *s, struct err *e)
{
	const struct kernel_nearest *q = s->q;
	size_t padded = (q->d + 15) / 16 * 16;

	s->query = mem_new_aligned(2 * padded, sizeof(float));
	s->quads = mem_new_aligned(2 * codes_quads(q->d), sizeof(int32_t));
	if (s->query == NULL || s->quads == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a search");
	s->unit = s->query + padded;
	if (q->cosine)
		kernel_unit(s->query, q->query, q->d);
	else
		memcpy(s->query, q->query, q->d * sizeof(*s->query));
	return 0;
}

int
kernel_nearest(struct kernel_hit *out, size_t *n_out, size_t *n_exact,
	const struct kernel_nearest *q, struct err *e)
{
	struct search s = {.q = q,
		.k = q->k < q->n ? q->k : q->n,
		.n_panels = (q->n + PANEL - 1) / PANEL,
		.best = out};
	int rc = 0;

	if (s.k > 0) {
		rc = search_init(&s, e);
		if (rc == 0 && q->codes != NULL && kernel_codes_possible(q->d))
			rc = by_bytes(&s, e);
		else if (rc == 0)
			all_by_floats(&s);
	}
	*n_out = rc == 0 ? s.n_best : 0;
	if (n_exact != NULL)
		*n_exact = s.n_exact;
	mem_free(s.query);
	mem_free(s.quads);
	return rc;
}
