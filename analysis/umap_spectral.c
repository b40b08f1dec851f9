/* SPDX-License-Identifier: ISC */
#include "analysis/umap_parts.h"
#include "util/hash.h"
#include "util/mem.h"

#include <math.h>
#include <string.h>

#define B 8 /* vectors of the subspace */
#define FEW 32 /* points: by Jacobi's rotations alone */
#define CHUNK 2048 /* points of an item */
#define DEGREE 24
#define N_ROUNDS 40
#define CLOSE 1e-2 /* a residual, in parts of the gap to the next eigenvalue */

typedef float row_t __attribute__((vector_size(4 * B)));

/* ---- small symmetric matrices -------------------- */

static void
rotate(double *a, double *v, size_t n, size_t p, size_t q)
{
	double apq = a[p * n + q], t, c, s, theta;

	if (apq == 0)
		return;
	theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
	t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
	c = 1 / sqrt(t * t + 1);
	s = t * c;
	for (size_t i = 0; i < n; i++) {
		double x = a[i * n + p], y = a[i * n + q];

		a[i * n + p] = c * x - s * y;
		a[i * n + q] = s * x + c * y;
		x = v[i * n + p];
		y = v[i * n + q];
		v[i * n + p] = c * x - s * y;
		v[i * n + q] = s * x + c * y;
	}
	for (size_t i = 0; i < n; i++) {
		double x = a[p * n + i], y = a[q * n + i];

		a[p * n + i] = c * x - s * y;
		a[q * n + i] = s * x + c * y;
	}
}

/* Jacobi's rotations. */
void
umap_eigen(double *a, double *v, size_t n)
{
	memset(v, 0, n * n * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i * n + i] = 1;
	for (int sweep = 0; sweep < 60; sweep++) {
		double off = 0, all = 0;

		for (size_t i = 0; i < n * n; i++) {
			all += a[i] * a[i];
			off += i / n != i % n ? a[i] * a[i] : 0;
		}
		if (!(off > 1e-28 * all))
			break;
		for (size_t p = 0; p < n; p++)
			for (size_t q = p + 1; q < n; q++)
				rotate(a, v, n, p, q);
	}
}

/* The numbers of the columns, the largest eigenvalue first. */
static void
order_of(size_t *order, const double *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = i;

		for (; at > 0 && a[order[at - 1] * (n + 1)] < a[i * (n + 1)]; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}

/* ---- the operator -------------------- */

/*
 * A = D^-1/2 W D^-1/2 - trivial trivial^T, trivial = D^1/2 1 of norm 1. Vectors are
 * the columns of (n, B) blocks.
 */
struct spectral {
	const struct umap_graph *g;
	struct pool *pool;
	float *scaled; /* of each edge, D^-1/2 W D^-1/2 */
	float *trivial; /* (n) */
	row_t *x, *y, *z; /* (n): the block, and two others */
	size_t n_chunks;
	double *sums; /* (n_chunks, B * B) */
	/* to = (A from) * times + from * plus - to * minus */
	const row_t *from;
	row_t *to;
	float times, plus, minus;
	float turn[B * B];
	const row_t *left, *right;
};

static void
scale(struct spectral *s)
{
	const struct umap_graph *g = s->g;
	double all = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		double sum = 0;

		for (uint32_t j = g->start[i]; j < g->start[i + 1]; j++)
			sum += (double)g->weight[j];
		s->trivial[i] = (float)sqrt(sum);
		all += sum;
	}
	for (uint32_t i = 0; i < g->n; i++)
		for (uint32_t j = g->start[i]; j < g->start[i + 1]; j++)
			s->scaled[j] =
				g->weight[j] / s->trivial[i] / s->trivial[g->tail[j]];
	for (uint32_t i = 0; i < g->n; i++)
		s->trivial[i] /= (float)sqrt(all);
}

static void
apply_chunk(void *ctx, size_t chunk, size_t thread)
{
	const struct spectral *s = ctx;
	const struct umap_graph *g = s->g;

	(void)thread;
	for (size_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < g->n; i++) {
		row_t sum = {0};

		for (uint32_t j = g->start[i]; j < g->start[i + 1]; j++)
			sum += s->from[g->tail[j]] * s->scaled[j];
		sum = sum * s->times + s->from[i] * s->plus;
		s->to[i] = s->minus != 0 ? sum - s->to[i] * s->minus : sum;
	}
}

static void
apply(struct spectral *s, row_t *to, const row_t *from, float times, float plus,
	float minus)
{
	s->to = to;
	s->from = from;
	s->times = times;
	s->plus = plus;
	s->minus = minus;
	pool_run(s->pool, s->n_chunks, apply_chunk, s);
}

static void
products_chunk(void *ctx, size_t chunk, size_t thread)
{
	const struct spectral *s = ctx;
	double *sum = s->sums + chunk * B * B;

	(void)thread;
	memset(sum, 0, B * B * sizeof(*sum));
	for (size_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < s->g->n; i++)
		for (int a = 0; a < B; a++)
			for (int b = 0; b < B; b++)
				sum[a * B + b] +=
					(double)s->left[i][a] * (double)s->right[i][b];
}

/* out = left^T right; summed chunk by chunk, whatever the threads. */
static void
products(struct spectral *s, double out[B * B], const row_t *left, const row_t *right)
{
	s->left = left;
	s->right = right;
	pool_run(s->pool, s->n_chunks, products_chunk, s);
	memset(out, 0, B * B * sizeof(*out));
	for (size_t c = 0; c < s->n_chunks; c++)
		for (int i = 0; i < B * B; i++)
			out[i] += s->sums[c * B * B + (size_t)i];
}

static void
turn_chunk(void *ctx, size_t chunk, size_t thread)
{
	const struct spectral *s = ctx;

	(void)thread;
	for (size_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < s->g->n; i++) {
		row_t sum = {0}, turn;

		for (int a = 0; a < B; a++) {
			memcpy(&turn, s->turn + a * B, sizeof(turn));
			sum += turn * s->to[i][a];
		}
		s->to[i] = sum;
	}
}

/* block = block * turn */
static void
turn_block(struct spectral *s, row_t *block, const double *turn)
{
	for (int i = 0; i < B * B; i++)
		s->turn[i] = (float)turn[i];
	s->to = block;
	pool_run(s->pool, s->n_chunks, turn_chunk, s);
}

/* ---- rounds -------------------- */

/* x without its part along the trivial vector. */
static void
remove_trivial(struct spectral *s)
{
	double along[B] = {0};
	row_t part;

	for (size_t i = 0; i < s->g->n; i++)
		for (int b = 0; b < B; b++)
			along[b] += (double)s->trivial[i] * (double)s->x[i][b];
	for (int b = 0; b < B; b++)
		part[b] = (float)along[b];
	for (size_t i = 0; i < s->g->n; i++)
		s->x[i] -= part * s->trivial[i];
}

/* x's columns orthonormal, by the eigenvectors of x^T x with its diagonal at 1. */
static void
orthonormal(struct spectral *s)
{
	double g[B * B], v[B * B], norm[B];

	products(s, g, s->x, s->x);
	for (int i = 0; i < B; i++)
		norm[i] = g[i * B + i] > 0 ? sqrt(g[i * B + i]) : 1;
	for (int i = 0; i < B * B; i++)
		g[i] /= norm[i / B] * norm[i % B];
	umap_eigen(g, v, B);
	for (int i = 0; i < B * B; i++) {
		double value = g[i % B * (B + 1)];

		v[i] /= norm[i / B] * sqrt(value > 1e-12 ? value : 1e-12);
	}
	turn_block(s, s->x, v);
}

/* x: the best of its span, largest eigenvalue first; y = A x. */
static void
ritz(struct spectral *s, double value[B])
{
	double h[B * B], v[B * B], turn[B * B];
	size_t order[B];

	apply(s, s->y, s->x, 1, 0, 0);
	products(s, h, s->x, s->y);
	for (int i = 0; i < B; i++)
		for (int j = 0; j < i; j++)
			h[i * B + j] = h[j * B + i] = (h[i * B + j] + h[j * B + i]) / 2;
	umap_eigen(h, v, B);
	order_of(order, h, B);
	for (size_t i = 0; i < B; i++) {
		value[i] = h[order[i] * (B + 1)];
		for (size_t j = 0; j < B; j++)
			turn[j * B + i] = v[j * B + order[i]];
	}
	turn_block(s, s->x, turn);
	turn_block(s, s->y, turn);
}

/* ||A x - value x|| of the first two. */
static double
residual(const struct spectral *s, const double value[B])
{
	double sum[2] = {0};

	for (size_t i = 0; i < s->g->n; i++)
		for (int b = 0; b < 2; b++) {
			double r = (double)s->y[i][b] - value[b] * (double)s->x[i][b];

			sum[b] += r * r;
		}
	return sqrt(sum[0] > sum[1] ? sum[0] : sum[1]);
}

/*
 * x = T(A) x, T Chebyshev's polynomial of [-1, cut], where it stays small, divided by
 * its value at 1 (the scaled recurrence of Zhou and Saad 2007).
 */
static void
filter(struct spectral *s, double cut)
{
	double half = (cut + 1) / 2, mid = (cut - 1) / 2, first = half / (1 - mid);
	double sigma = first;
	row_t *x = s->x, *y = s->y, *t;

	apply(s, y, x, (float)(sigma / half), (float)(-mid * sigma / half), 0);
	for (int i = 1; i < DEGREE; i++) {
		double next = 1 / (2 / first - sigma), f = 2 * next / half;

		/* the new one comes to lie where the one before the last is */
		apply(s, x, y, (float)f, (float)(-mid * f), (float)(sigma * next));
		sigma = next;
		t = x;
		x = y;
		y = t;
	}
	s->x = y;
	s->y = x;
}

static void
rounds(struct spectral *s)
{
	double value[B], cut = 0;

	for (size_t i = 0; i < s->g->n; i++)
		for (int b = 0; b < B; b++)
			s->x[i][b] = (float)((double)hash_mix(1, i, (uint64_t)b, 0) *
					0x1p-63 -
				1);
	for (int round = 0; round < N_ROUNDS; round++) {
		filter(s, cut);
		remove_trivial(s);
		orthonormal(s);
		orthonormal(s);
		ritz(s, value);
		if (residual(s, value) < CLOSE * (value[1] - value[2]) ||
			value[B - 1] >= 1)
			break;
		cut = value[B - 1];
	}
}

static void
spectral_free(struct spectral *s)
{
	mem_free(s->scaled);
	mem_free(s->trivial);
	mem_free(s->x);
	mem_free(s->y);
	mem_free(s->sums);
}

static int
spectral_new(struct spectral *s, const struct umap_graph *g, struct pool *pool,
	struct err *e)
{
	*s = (struct spectral){.g = g, .pool = pool};
	s->n_chunks = ((size_t)g->n + CHUNK - 1) / CHUNK;
	s->scaled = mem_new(g->start[g->n], sizeof(*s->scaled));
	s->trivial = mem_new(g->n, sizeof(*s->trivial));
	s->x = mem_new_aligned(g->n, sizeof(*s->x));
	s->y = mem_new_aligned(g->n, sizeof(*s->y));
	s->sums = mem_new(s->n_chunks, B * B * sizeof(*s->sums));
	if (s->scaled == NULL || s->trivial == NULL || s->x == NULL || s->y == NULL ||
		s->sums == NULL)
		return err_set(e, ERR_NOMEM,
			"no memory for the eigenvectors of %u points", g->n);
	scale(s);
	return 0;
}

/* ---- few points -------------------- */

static void
dense(const struct spectral *s, float *out)
{
	double a[FEW * FEW] = {0}, v[FEW * FEW];
	uint32_t n = s->g->n;
	size_t order[FEW];

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = s->g->start[i]; j < s->g->start[i + 1]; j++)
			a[i * n + s->g->tail[j]] = (double)s->scaled[j];
		for (uint32_t j = 0; j < n; j++) /* to the other end, -1 */
			a[i * n + j] -=
				2 * (double)s->trivial[i] * (double)s->trivial[j];
	}
	umap_eigen(a, v, n);
	order_of(order, a, n);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t b = 0; b < 2; b++)
			out[2 * i + b] = (float)v[i * n + order[b]];
}

/* The entry of largest size is positive, so that nothing turns over by chance. */
static void
set_signs(float *out, uint32_t n)
{
	for (uint32_t b = 0; b < 2; b++) {
		float most = 0;

		for (size_t i = 0; i < n; i++)
			if (fabsf(out[2 * i + b]) > fabsf(most))
				most = out[2 * i + b];
		for (size_t i = 0; most < 0 && i < n; i++)
			out[2 * i + b] = -out[2 * i + b];
	}
}

int
umap_spectral(float *out, const struct umap_graph *g, struct pool *pool, struct err *e)
{
	struct spectral s;
	int rc = spectral_new(&s, g, pool, e);

	if (rc == 0 && g->n <= FEW) {
		dense(&s, out);
	} else if (rc == 0) {
		rounds(&s);
		for (size_t i = 0; i < g->n; i++) {
			out[2 * i] = s.x[i][0];
			out[2 * i + 1] = s.x[i][1];
		}
	}
	if (rc == 0)
		set_signs(out, g->n);
	spectral_free(&s);
	return rc;
}
