/* SPDX-License-Identifier: ISC */
#include "kernel/path.h"

#define NV (LANES / VW) /* vectors that hold the lanes */

/* lane[l] += lane[l + w] for w = 32, 16, 8, 4, 2, 1 and l < w; lane[0]. */
VEC float
fold(vf lane[NV])
{
	float v[VW];

#pragma GCC unroll 4
	for (int w = NV / 2; w > 0; w /= 2)
#pragma GCC unroll 8
		for (int l = 0; l < w; l++)
			lane[l] = lane[l] + lane[l + w];
#if VW > 4
	/* the same sums in narrower vectors */
	typedef float quad __attribute__((vector_size(16)));
	quad q[VW / 4];

	memcpy(q, &lane[0], sizeof(lane[0]));
	for (int w = VW / 8; w > 0; w /= 2)
		for (int l = 0; l < w; l++)
			q[l] = q[l] + q[l + w];
	memcpy(v, &q[0], sizeof(q[0]));
#else
	v_store(v, lane[0]);
#endif
	v[0] = v[0] + v[2];
	v[1] = v[1] + v[3];
	return v[0] + v[1];
}

/* Vector number i of a row of which n floats are left, padded by zeros. */
VEC vf
load_padded(const float *p, size_t n, int i)
{
	size_t at = (size_t)i * VW;

	if (at + VW <= n)
		return v_load(p + at);
	return at < n ? v_load_some(p + at, n - at) : v_all(0);
}

/* lane[l] = fma(a[i], b[i], lane[l]), i = l, l + 64, ..., then the fold. */
float
PATH(path_dot)(const float *a, const float *b, size_t n)
{
	vf lane[NV] = {0};

	for (; n >= LANES; n -= LANES) {
#pragma GCC unroll 16
		for (int i = 0; i < NV; i++)
			lane[i] =
				v_fma(v_load(a + i * VW), v_load(b + i * VW), lane[i]);
		a += LANES;
		b += LANES;
	}
	if (n > 0)
#pragma GCC unroll 16
		for (int i = 0; i < NV; i++)
			lane[i] = v_fma(load_padded(a, n, i), load_padded(b, n, i),
				lane[i]);
	return fold(lane);
}

/* y = fma(s, x, y) */
void
PATH(path_axpy)(float *y, const float *x, float s, size_t n)
{
	vf vs = v_all(s);
	size_t i = 0;

	for (; i + VW <= n; i += VW)
		v_store(y + i, v_fma(vs, v_load(x + i), v_load(y + i)));
	if (i < n)
		v_store_some(y + i,
			v_fma(vs, v_load_some(x + i, n - i), v_load_some(y + i, n - i)),
			n - i);
}

/* The canonical sum: the dot product with ones, whose products are exact. */
static float
sum(const float *x, size_t n)
{
	vf lane[NV] = {0};

	for (; n >= LANES; n -= LANES) {
#pragma GCC unroll 16
		for (int i = 0; i < NV; i++)
			lane[i] = lane[i] + v_load(x + i * VW);
		x += LANES;
	}
	if (n > 0)
#pragma GCC unroll 16
		for (int i = 0; i < NV; i++)
			lane[i] = lane[i] + load_padded(x, n, i);
	return fold(lane);
}

static float
maximum(const float *x, size_t n)
{
	vf most = v_all(x[0]);
	size_t i = 0;

	for (; i + VW <= n; i += VW) {
		vf v = v_load(x + i);

		most = v_pick(v > most, v, most);
	}
	for (; i < n; i++) {
		vf v = v_all(x[i]);

		most = v_pick(v > most, v, most);
	}
	for (int l = 1; l < VW; l++)
		most[0] = most[l] > most[0] ? most[l] : most[0];
	return most[0];
}

/* x = f(x) for n floats, v standing for a vector of x and w of other. */
#define EACH(y, x, other, expression) \
	do { \
		size_t at_ = 0; \
\
		for (; at_ + VW <= n; at_ += VW) { \
			vf v = v_load((x) + at_), w = v_load((other) + at_); \
\
			(void)w; \
			v_store((y) + at_, (expression)); \
		} \
		if (at_ < n) { \
			vf v = v_load_some((x) + at_, n - at_); \
			vf w = v_load_some((other) + at_, n - at_); \
\
			(void)w; \
			v_store_some((y) + at_, (expression), n - at_); \
		} \
	} while (0)

/* x = exp(x - max), then x / sum */
void
PATH(path_softmax)(float *x, size_t n)
{
	float most, total;

	if (n == 0)
		return;
	most = maximum(x, n);
	EACH(x, x, x, v - v_all(most));
	PATH(path_exp)(x, x, n);
	total = sum(x, n);
	EACH(x, x, x, v / v_all(total));
}

/* d = x - mean; y = d / sqrt(sum(d d) / n + eps) * gain + bias, each step
 * rounded. The deviations stand in y meanwhile. */
void
PATH(path_layer_norm)(float *y, const float *x, const float *gain, const float *bias,
	float eps, size_t n)
{
	float mean, deviation;

	if (n == 0)
		return;
	mean = sum(x, n) / (float)n;
	EACH(y, x, x, v - v_all(mean));
	deviation = sqrtf(PATH(path_dot)(y, y, n) / (float)n + eps);
	if (gain != NULL)
		EACH(y, y, gain, v / v_all(deviation) * w);
	else
		EACH(y, y, y, v / v_all(deviation));
	if (bias != NULL)
		EACH(y, y, bias, v + w);
}

/* y = x / sqrt(sum(x x) / n + eps) * gain, each step rounded */
void
PATH(path_rms_norm)(float *y, const float *x, const float *gain, float eps, size_t n)
{
	float root;

	if (n == 0)
		return;
	root = sqrtf(PATH(path_dot)(x, x, n) / (float)n + eps);
	if (gain != NULL)
		EACH(y, x, gain, v / v_all(root) * w);
	else
		EACH(y, x, x, v / v_all(root));
}
