/* SPDX-License-Identifier: ISC */
/*
 * vec: vectors of VW floats, for path_*.c, in GCC's vector extension: + - * /
 * and comparisons act lane by lane, each with one IEEE rounding, so a formula
 * gives the same bits at any width. Only the fused multiply-add and square
 * root need the instruction set's own name.
 */
#ifndef KERNEL_VEC_H
#define KERNEL_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(PATH_AVX512)
#include <immintrin.h>
#define VW 16
#define PATH(name) name##_avx512
#elif defined(PATH_AVX2)
#include <immintrin.h>
#define VW 8
#define PATH(name) name##_avx2
#else
#define VW 4
#define PATH(name) name##_portable
#endif

typedef float vf __attribute__((vector_size(4 * VW)));
typedef int32_t vi __attribute__((vector_size(4 * VW)));

#define VEC static inline __attribute__((always_inline))

VEC vf
v_load(const float *p)
{
	vf v;

	memcpy(&v, p, sizeof(v));
	return v;
}

VEC void
v_store(float *p, vf v)
{
	memcpy(p, &v, sizeof(v));
}

VEC vf
v_all(float x)
{
#if defined(PATH_AVX512)
	return (vf)_mm512_set1_ps(x);
#elif defined(PATH_AVX2)
	return (vf)_mm256_set1_ps(x);
#else
	return (vf){x, x, x, x};
#endif
}

/* a * b + c, rounded once. */
VEC vf
v_fma(vf a, vf b, vf c)
{
#if defined(PATH_AVX512)
	return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(PATH_AVX2)
	return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
	for (int i = 0; i < VW; i++)
		c[i] = fmaf(a[i], b[i], c[i]);
	return c;
#endif
}

/* A bit for each lane that is set (-1). */
VEC uint32_t
v_bits(vi lanes)
{
#if defined(PATH_AVX512)
	return _mm512_movepi32_mask((__m512i)lanes);
#elif defined(PATH_AVX2)
	return (uint32_t)_mm256_movemask_ps((__m256)lanes);
#else
	uint32_t bits = 0;

	for (int i = 0; i < VW; i++)
		bits |= (uint32_t)(lanes[i] & 1) << i;
	return bits;
#endif
}

/* A bit for each lane where a is not less than b, or not at most b: set where either
 * is a NaN. */
VEC uint32_t
v_not_less(vf a, vf b)
{
#if defined(PATH_AVX512)
	return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_NLT_UQ);
#else
	return v_bits(~(a < b));
#endif
}

VEC uint32_t
v_not_at_most(vf a, vf b)
{
#if defined(PATH_AVX512)
	return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_NLE_UQ);
#else
	return v_bits(~(a <= b));
#endif
}

/* Where lanes is -1 a, where 0 b. */
VEC vf
v_pick(vi lanes, vf a, vf b)
{
	return (vf)((lanes & (vi)a) | (~lanes & (vi)b));
}

/* The first n < VW floats at p, zeros behind. */
VEC vf
v_load_some(const float *p, size_t n)
{
#if defined(PATH_AVX512)
	return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
	vf v = {0};

	memcpy(&v, p, n * sizeof(float));
	return v;
#endif
}

VEC void
v_store_some(float *p, vf v, size_t n)
{
#if defined(PATH_AVX512)
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
	memcpy(p, &v, n * sizeof(float));
#endif
}

VEC vi
v_load_ints(const int32_t *p)
{
	vi v;

	memcpy(&v, p, sizeof(v));
	return v;
}

VEC vi
v_all_ints(int32_t x)
{
#if defined(PATH_AVX512)
	return (vi)_mm512_set1_epi32(x);
#elif defined(PATH_AVX2)
	return (vi)_mm256_set1_epi32(x);
#else
	return (vi){x, x, x, x};
#endif
}

#endif
