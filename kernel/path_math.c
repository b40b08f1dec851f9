/* SPDX-License-Identifier: ISC */
#include "kernel/path.h"

#include <float.h>

#define LOG2_E 0x1.715476p+0f
#define LN2_HIGH 0x1.62e4p-1f /* 15 bits: times any exponent it is exact */
#define LN2_LOW 0x1.7f7d1cp-20f
#define ROUND 0x1.8p+23f /* adding it rounds to a whole number */
#define EXP_MOST 0x1.62e42ep+6f /* exp of more is infinite */
#define EXP_LEAST (-0x1.9fe368p+6f) /* exp of less is 0 */

/* 2^n for n in [-126, 127] */
VEC vf
power_of_2(vi n)
{
	return (vf)((n + 127) << 23);
}

/*
 * exp(x) = 2^n exp(r), n = round(x / ln 2), r = x - n ln 2 in [-0.347, 0.347]
 * exp(r) = 1 + r + r^2/2! + ... + r^7/7! (the rest is under 2^-27)
 * The power of two is applied in halves, so that subnormal results round once.
 */
VEC vf
exp_of(vf x)
{
	vi high = x > v_all(EXP_MOST), low = x < v_all(EXP_LEAST), half;
	vf z = v_pick(high | low, v_all(0), x);
	vf n = v_fma(z, v_all(LOG2_E), v_all(ROUND));
	vi whole = (vi)n - (vi)v_all(ROUND);
	vf r, p;

	n = n - v_all(ROUND);
	r = v_fma(n, v_all(-LN2_HIGH), z);
	r = v_fma(n, v_all(-LN2_LOW), r);
	p = v_all(1.0f / 5040);
	p = v_fma(p, r, v_all(1.0f / 720));
	p = v_fma(p, r, v_all(1.0f / 120));
	p = v_fma(p, r, v_all(1.0f / 24));
	p = v_fma(p, r, v_all(1.0f / 6));
	p = v_fma(p, r, v_all(0.5f));
	p = v_fma(p * r, r, r) + v_all(1.0f);
	half = whole >> 1;
	p = p * power_of_2(half) * power_of_2(whole - half);
	p = v_pick(high, v_all(INFINITY), p);
	return v_pick(low, v_all(0), p);
}

/*
 * |x| < 0.55: tanh(x) = x + x^3 P(x^2), the series to x^17 (the rest
 * is under 2^-27); else 1 - 2 / (exp(2 |x|) + 1), with x's sign.
 */
VEC vf
tanh_of(vf x)
{
	vi sign = (vi)x & (vi)v_all(-0.0f);
	vf size = (vf)((vi)x & ~(vi)v_all(-0.0f));
	vf s = x * x, p, big;

	p = v_all(0x1.355824p-11f);
	p = v_fma(p, s, v_all(-0x1.7da364p-10f));
	p = v_fma(p, s, v_all(0x1.d6d3d0p-9f));
	p = v_fma(p, s, v_all(-0x1.226e36p-7f));
	p = v_fma(p, s, v_all(0x1.664f48p-6f));
	p = v_fma(p, s, v_all(-0x1.ba1ba2p-5f));
	p = v_fma(p, s, v_all(0x1.111112p-3f));
	p = v_fma(p, s, v_all(-0x1.555556p-2f));
	p = v_fma(p * s, size, size);
	big = v_all(1.0f) - v_all(2.0f) / (exp_of(size + size) + v_all(1.0f));
	p = v_pick(size < v_all(0.55f), p, big);
	return (vf)((vi)p | sign);
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
VEC vf
gelu_of(vf x)
{
	vf inner = v_fma(v_all(0.044715f) * x, x * x, x);

	inner = tanh_of(v_all(0.797884560802865f) * inner);
	return v_all(0.5f) * x * (v_all(1.0f) + inner);
}

/*
 * |x| < 0.9375: erf(x) = x + x P(x^2); else 1 - exp(Q(|x|)), with x's sign,
 * where Q is near log(1 - erf) up to 4, beyond which erf rounds to 1. P and Q
 * are interpolated at Chebyshev's points.
 */
VEC vf
erf_of(vf x)
{
	vi sign = (vi)x & (vi)v_all(-0.0f);
	vf size = (vf)((vi)x & ~(vi)v_all(-0.0f));
	vf t = v_pick(size > v_all(4.0f), v_all(4.0f), size);
	vf s = x * x, p, q;

	p = v_all(-0x1.37321cp-11f);
	p = v_fma(p, s, v_all(0x1.468d1ep-8f));
	p = v_fma(p, s, v_all(-0x1.b66f3cp-6f));
	p = v_fma(p, s, v_all(0x1.ce18a2p-4f));
	p = v_fma(p, s, v_all(-0x1.8126dcp-2f));
	p = v_fma(p, s, v_all(0x1.06eba6p-3f));
	p = v_fma(p, size, size);
	q = v_all(0x1.ac76e0p-20f);
	q = v_fma(q, t, v_all(-0x1.7b9312p-15f));
	q = v_fma(q, t, v_all(0x1.3553bcp-11f));
	q = v_fma(q, t, v_all(-0x1.35d63ep-8f));
	q = v_fma(q, t, v_all(0x1.af6716p-6f));
	q = v_fma(q, t, v_all(-0x1.c23c96p-4f));
	q = v_fma(q, t, v_all(-0x1.4394dcp-1f));
	q = v_fma(q, t, v_all(-0x1.21507cp+0f));
	q = v_fma(q, t, v_all(0x1.35fb92p-12f));
	q = v_all(1.0f) - exp_of(q);
	return (vf)((vi)v_pick(size < v_all(0.9375f), p, q) | sign);
}

/* 0.5 x (1 + erf(x / sqrt(2))) */
VEC vf
gelu_exact_of(vf x)
{
	vf e = erf_of(v_all(0.707106781186548f) * x);

	return v_all(0.5f) * x * (v_all(1.0f) + e);
}

/* x / (1 + exp(-x)) */
VEC vf
silu_of(vf x)
{
	return x / (v_all(1.0f) + exp_of(-x));
}

#define ELEMENTWISE(name, of) \
	void PATH(name)(float *y, const float *x, size_t n) \
	{ \
		size_t i = 0; \
\
		for (; i + VW <= n; i += VW) \
			v_store(y + i, of(v_load(x + i))); \
		if (i < n) \
			v_store_some(y + i, of(v_load_some(x + i, n - i)), n - i); \
	}

ELEMENTWISE(path_exp, exp_of)
ELEMENTWISE(path_tanh, tanh_of)
ELEMENTWISE(path_gelu_tanh, gelu_of)
ELEMENTWISE(path_gelu, gelu_exact_of)
ELEMENTWISE(path_silu, silu_of)
