/* SPDX-License-Identifier: ISC */
#include "kernel/codes.h"

#include "kernel/path.h"

#if defined(PATH_AVX2) && !defined(__AVXVNNI__)
#define NO_VNNI
#endif

/* VNNI multiplies unsigned bytes by signed ones: the query's are made unsigned, and
 * what that adds is known by the sum of the row's. */
#if defined(PATH_AVX512) || (defined(PATH_AVX2) && !defined(NO_VNNI))
#define LIFT 128
#else
#define LIFT 0
#endif

#define NV (PANEL / VW < 4 ? PANEL / VW : 4) /* vectors of rows at a time */
#define AHEAD 4096 /* bytes, on their way from memory */

/* acc + the four products of bytes of x (lifted) and of w. Without VNNI two products
 * are added in 16 bits: 2 * 127 * 127 fits. */
VEC vi
quad(vi acc, vi x, vi w)
{
#if defined(PATH_AVX512)
	return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)x, (__m512i)w);
#elif defined(NO_VNNI)
	__m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)x),
		_mm256_sign_epi8((__m256i)w, (__m256i)x));

	return acc + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined(PATH_AVX2)
	return (vi)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)x, (__m256i)w);
#else
	for (int shift = 0; shift < 32; shift += 8)
		acc += ((w << (24 - shift)) >> 24) * ((x << (24 - shift)) >> 24);
	return acc;
#endif
}

/* Products with the query's two parts, of NV vectors of rows. */
VEC void
products(vi coarse[NV], vi fine[NV], const struct kernel_codes_pass *s,
	const int32_t *sum, const int32_t *at)
{
#pragma GCC unroll 4
	for (int v = 0; v < NV; v++)
		coarse[v] = fine[v] = v_load_ints(sum + v * VW) * -LIFT;
#pragma GCC unroll 2
	for (size_t i = 0; i < s->n_quads; i++, at += PANEL) {
		vi x = v_all_ints(s->coarse[i]), y = v_all_ints(s->fine[i]);

		__builtin_prefetch((const char *)at + AHEAD, 0, 3);
		__builtin_prefetch((const char *)at + AHEAD + 64, 0, 3);
#pragma GCC unroll 4
		for (int v = 0; v < NV; v++) {
			vi w = v_load_ints(at + v * VW);

			coarse[v] = quad(coarse[v], x, w);
			fine[v] = quad(fine[v], y, w);
		}
	}
}

/* The bounds of VW rows from `row` on; a bit for each that reaches the least. */
VEC uint32_t
bounds(struct kernel_codes_pass *s, const float *terms, size_t row, vi coarse, vi fine)
{
	vf rest = v_load(terms + CODES_REST * PANEL + row);
	vf z = __builtin_convertvector(fine, vf) * v_all(s->scale[1]), most, low;

	z = v_fma(__builtin_convertvector(coarse, vf), v_all(s->scale[0]), z);
	z = z * v_load(terms + CODES_SCALE * PANEL + row);
	most = v_fma(v_all(s->slack_rest), rest, z) + v_all(s->slack);
	low = v_fma(v_all(-s->slack_rest), rest, z) - v_all(s->slack);
	if (s->by_norm) {
		vf norm = v_load(terms + CODES_NORM * PANEL + row);

		most = most * norm;
		low = low * norm;
	}
	v_store(s->most + row, most);
	v_store(s->low + row, low);
	return v_not_less(most, v_all(s->least));
}

static uint32_t
panel(struct kernel_codes_pass *s, const void *p)
{
	const float *terms = p;
	const int32_t *sum = (const int32_t *)p + CODES_SUM * PANEL;
	const int32_t *bytes = (const int32_t *)p + CODES_TERMS * PANEL;
	uint32_t mask = 0;

	for (size_t row = 0; row < PANEL; row += NV * VW) {
		vi coarse[NV], fine[NV];

		products(coarse, fine, s, sum + row, bytes + row);
#pragma GCC unroll 4
		for (size_t v = 0; v < NV; v++)
			mask |= bounds(s, terms, row + v * VW, coarse[v], fine[v])
				<< (row + v * VW);
	}
	return mask;
}

static void
unit(float *out, const float *x, float norm, size_t d)
{
	size_t at = 0;

	for (; at + VW <= d; at += VW)
		v_store(out + at, v_load(x + at) / v_all(norm));
	if (at < d)
		v_store_some(out + at, v_load_some(x + at, d - at) / v_all(norm),
			d - at);
}

#ifdef NO_VNNI
const struct kernel_codes_ops kernel_codes_plain_avx2 = {
#else
const struct kernel_codes_ops PATH(kernel_codes) = {
#endif
	.lift = LIFT,
	.panel = panel,
	.unit = unit,
};
