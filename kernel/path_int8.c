/* SPDX-License-Identifier: ISC */
#include "kernel/int8.h"

#include "kernel/path.h"

#define LEAST 0x1p-100f /* below it a vector is all zeros and rest */
#define MAGIC 0x1.8p23f /* added: the integer stands in the last bits */

typedef int8_t vb __attribute__((vector_size(VW)));

#if defined(PATH_AVX2) && !defined(__AVXVNNI__)
#define NO_VNNI
#endif

/* acc + the four products of an unsigned byte of w and a signed byte of x. */
VEC vi
v_quad(vi acc, vi w, vi x)
{
#if defined(PATH_AVX512)
	return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, (__m512i)x);
#elif defined(NO_VNNI)
	__m256i pairs = _mm256_maddubs_epi16((__m256i)w, (__m256i)x);

	return acc + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined(PATH_AVX2)
	return (vi)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)w, (__m256i)x);
#else
	for (int shift = 0; shift < 32; shift += 8)
		acc += ((w >> shift) & 255) * ((x << (24 - shift)) >> 24);
	return acc;
#endif
}

/* ---- quantising ---------------------------------------------------------- */

VEC vf
load_up_to(const float *v, size_t at, size_t n)
{
	return at + VW <= n ? v_load(v + at) : v_load_some(v + at, n - at);
}

static float
largest(const float *v, size_t n)
{
	vf most = v_all(0);

	for (size_t at = 0; at < n; at += VW) {
		vf x = load_up_to(v, at, n);

		x = v_pick(x < v_all(0), -x, x);
		most = v_pick(x > most, x, most);
	}
	for (int l = 1; l < VW; l++)
		most[0] = most[l] > most[0] ? most[l] : most[0];
	return most[0];
}

static double
sum_of(vf v)
{
	double sum = 0;

	for (int l = 0; l < VW; l++)
		sum += (double)v[l];
	return sum;
}

static int64_t
sum_of_ints(vi v)
{
	int64_t sum = 0;

	for (int l = 0; l < VW; l++)
		sum += v[l];
	return sum;
}

/*
 * q = round(v / scale), scale = max |v| / levels; rest = ||v - scale q|| with each
 * difference rounded once (the fused step) and its square summed by n / VW of
 * them: relative error below (n / VW + 4) 2^-23, taken twice. Underflow loses
 * less than 2^-60, which the users of rest add.
 */
static void
quantize(int8_t *q, struct kernel_quantized *out, const float *v, size_t n, int levels)
{
	float most = largest(v, n), scale = most >= LEAST ? most / (float)levels : 0;
	vf by = v_all(most >= LEAST ? (float)levels / most : 0), step = v_all(-scale);
	vf magic = v_all(MAGIC), rest = v_all(0);
	vi sum = (vi)v_all(0), square = (vi)v_all(0);
	double room = 1 + 2 * ((double)n / VW + 4) * 0x1p-23;
	size_t at = 0;

	for (; at < n; at += VW) {
		vf x = load_up_to(v, at, n), t = v_fma(x, by, magic), r;
		vi whole = (vi)t - (vi)magic;
		vb bytes = __builtin_convertvector(whole, vb);

		memcpy(q + at, &bytes, sizeof(bytes));
		r = v_fma(step, t - magic, x);
		rest = v_fma(r, r, rest);
		sum += whole;
		square += whole * whole;
	}
	for (; at % INT8_PAD != 0; at++)
		q[at] = 0;
	out->scale = scale;
	out->rest = nextafterf((float)sqrt(sum_of(rest) * room), INFINITY);
	out->norm =
		nextafterf((float)((double)scale * sqrt((double)sum_of_ints(square))),
			INFINITY);
	out->sum = (int32_t)sum_of_ints(sum);
}

/* ---- scanning -------------------------------------------------------------- */

/*
 * acc[i][j] = start[i] + sum over quads of a[k][i] . b[k][j]
 * for n_rows rows and two vectors of columns, in registers.
 */
VEC void
accumulate(vi acc[][2], const struct kernel_scan8 *s, size_t col, const int n_rows)
{
	const int32_t *a = s->a, *b = s->b + col;

#pragma GCC unroll 12
	for (int i = 0; i < n_rows; i++)
		acc[i][0] = acc[i][1] = v_all_ints(s->query[i].start);
	for (size_t at = 0; at < s->n_quads; at++) {
		vi b0 = v_load_ints(b), b1 = v_load_ints(b + VW);

#pragma GCC unroll 12
		for (int i = 0; i < n_rows; i++) {
			vi ai = v_all_ints(a[i]);

			acc[i][0] = v_quad(acc[i][0], b0, ai);
			acc[i][1] = v_quad(acc[i][1], b1, ai);
		}
		a += n_rows;
		b += PANEL;
	}
}

/* z[i][j] = the approximate product: the bytes' part, then the side's. */
VEC void
approximate(vf z[][2], const struct kernel_scan8 *s, size_t col, const int n_rows)
{
	vf scale0 = v_load(s->row_scale + col),
	   scale1 = v_load(s->row_scale + col + VW);
	const float *a = s->side_a, *b = s->side_b + col;
	vi acc[STRIP_MOST][2];

	accumulate(acc, s, col, n_rows);
#pragma GCC unroll 12
	for (int i = 0; i < n_rows; i++) {
		vf scale = v_all(s->query[i].scale);

		z[i][0] = __builtin_convertvector(acc[i][0], vf) * scale0 * scale;
		z[i][1] = __builtin_convertvector(acc[i][1], vf) * scale1 * scale;
	}
	for (size_t at = 0; at < s->n_side; at++) {
		vf b0 = v_load(b), b1 = v_load(b + VW);

#pragma GCC unroll 12
		for (int i = 0; i < n_rows; i++) {
			vf ai = v_all(a[i]);

			z[i][0] = v_fma(ai, b0, z[i][0]);
			z[i][1] = v_fma(ai, b1, z[i][1]);
		}
		a += n_rows;
		b += PANEL;
	}
}

/* >= the canonical product (<=, where the row's terms are negative). */
VEC vf
bound_of(vf z, const struct kernel_scan8 *s, int i, size_t col)
{
	z = v_fma(v_all(s->query[i].slack_rest), v_load(s->row_rest + col), z);
	return v_fma(v_all(s->query[i].slack_norm), v_load(s->row_norm + col), z);
}

/* A NaN excludes nothing. */
VEC uint32_t
above_bits(vf z, const struct kernel_scan8 *s, int i, size_t col)
{
	return v_not_less(bound_of(z, s, i, col), v_load(s->cut + col));
}

VEC uint32_t
best_bits(vf z, const struct kernel_scan8 *s, int i, size_t col)
{
	vf most = bound_of(z, s, i, col);

	most = (most + v_load(s->bias + col)) * v_load(s->scale + col);
	return v_not_at_most(most, v_all(s->kth[i]));
}

/* The least of the product, negated, is the most of the negated product. */
VEC uint32_t
ends_bits(vf z, const struct kernel_scan8 *s, int i, size_t col)
{
	return v_not_at_most(bound_of(z, s, i, col), v_all(s->kth[i])) |
		v_not_at_most(bound_of(-z, s, i, col), v_all(s->least[i]));
}

VEC uint32_t
pairs_bits(vf z, const struct kernel_scan8 *s, int i, size_t col)
{
	vf most = bound_of(z, s, i, col);

	return v_not_at_most(most, v_all(s->kth[i])) |
		v_not_at_most(most, v_load(s->cut + col));
}

#define SCAN_ROWS(what) \
	VEC void what##_rows(struct kernel_scan8 *s, size_t col, const int n_rows) \
	{ \
		vf z[STRIP_MOST][2]; \
\
		approximate(z, s, col, n_rows); \
		_Pragma("GCC unroll 12") for (int i = 0; i < n_rows; i++) \
			s->mask[i] |= what##_bits(z[i][0], s, i, col) << col | \
			what##_bits(z[i][1], s, i, col + VW) << (col + VW); \
	}
SCAN_ROWS(above)
SCAN_ROWS(best)
SCAN_ROWS(ends)
SCAN_ROWS(pairs)

/* One function for each number of rows, so that accumulators are registers. */
#define ROWS(n) \
	static void above_##n(struct kernel_scan8 *s, size_t col) \
	{ \
		above_rows(s, col, n); \
	} \
	static void best_##n(struct kernel_scan8 *s, size_t col) \
	{ \
		best_rows(s, col, n); \
	} \
	static void ends_##n(struct kernel_scan8 *s, size_t col) \
	{ \
		ends_rows(s, col, n); \
	} \
	static void pairs_##n(struct kernel_scan8 *s, size_t col) \
	{ \
		pairs_rows(s, col, n); \
	}
#include "kernel/by_rows.h"

static void (*const aboves[MR])(struct kernel_scan8 *, size_t) = NAMES(above_);
static void (*const bests[MR])(struct kernel_scan8 *, size_t) = NAMES(best_);
static void (*const ends[MR])(struct kernel_scan8 *, size_t) = NAMES(ends_);
static void (*const pairs[MR])(struct kernel_scan8 *, size_t) = NAMES(pairs_);

static bool
scan(struct kernel_scan8 *s, void (*const *by_rows)(struct kernel_scan8 *, size_t))
{
	uint32_t any = 0;

	memset(s->mask, 0, sizeof(s->mask));
	for (size_t col = 0; col < PANEL; col += 2 * VW)
		by_rows[s->n_rows - 1](s, col);
	for (size_t i = 0; i < s->n_rows; i++)
		any |= s->mask[i];
	return any != 0;
}

static bool
scan_above(struct kernel_scan8 *s)
{
	return scan(s, aboves);
}

static bool
scan_best(struct kernel_scan8 *s)
{
	return scan(s, bests);
}

static bool
scan_ends(struct kernel_scan8 *s)
{
	return scan(s, ends);
}

static bool
scan_pairs(struct kernel_scan8 *s)
{
	return scan(s, pairs);
}

#ifdef NO_VNNI
const struct kernel_int8_ops kernel_int7_avx2 = {
	.try = true,
	.row_most = INT7_MOST,
#else
const struct kernel_int8_ops PATH(kernel_int8) = {
	.fast = VW > 4,
	.row_most = INT8_MOST,
#endif
	.mr = MR,
	.quantize = quantize,
	.scan_above = scan_above,
	.scan_best = scan_best,
	.scan_ends = scan_ends,
	.scan_pairs = scan_pairs,
};
