/* SPDX-License-Identifier: ISC */
#include "kernel/path.h"

typedef uint32_t vu __attribute__((vector_size(4 * VW)));

#define SMALLEST 1e-12f /* a squared distance; less counts as this */

VEC vu
u_all(uint32_t x)
{
	return (vu)(vi)v_all(0) + x;
}

/* Well mixed (Wellons' lowbias32). */
VEC vu
mix(vu x)
{
	x ^= x >> 16;
	x *= u_all(0x7feb352d);
	x ^= x >> 15;
	x *= u_all(0x846ca68b);
	return x ^ (x >> 16);
}

/* log2 of a positive normal number, to 2^-22 of 1 or of itself: m in [0.707, 1.414),
 * 2 / ln 2 (s + s^3 / 3 + ... + s^9 / 9), s = (m - 1) / (m + 1). */
VEC vf
log2_of(vf x)
{
	vi bits = (vi)x, up = bits - 0x3f3504f3;
	vf exponent = __builtin_convertvector(up >> 23, vf);
	vf m = (vf)(bits - ((up >> 23) << 23));
	vf s = (m - v_all(1)) / (m + v_all(1)), t = s * s, p;

	p = v_all(2.885390082f / 9);
	p = v_fma(p, t, v_all(2.885390082f / 7));
	p = v_fma(p, t, v_all(2.885390082f / 5));
	p = v_fma(p, t, v_all(2.885390082f / 3));
	p = v_fma(p, t, v_all(2.885390082f));
	return v_fma(p, s, exponent);
}

/* 2^x for x in [-126, 126], by the series of exp(x ln 2). */
VEC vf
exp2_of(vf x)
{
	vf n = (x + v_all(0x1.8p+23f)) - v_all(0x1.8p+23f), r = x - n, p;

	p = v_all(1.5403530e-4f);
	p = v_fma(p, r, v_all(1.3333558e-3f));
	p = v_fma(p, r, v_all(9.6181291e-3f));
	p = v_fma(p, r, v_all(5.5504109e-2f));
	p = v_fma(p, r, v_all(0.24022651f));
	p = v_fma(p, r, v_all(0.69314718f));
	p = v_fma(p, r, v_all(1));
	return (vf)((vi)p + (__builtin_convertvector(n, vi) << 23));
}

/* Squared distance to the power b. */
VEC vf
power(vf d2, float b)
{
	vf x = log2_of(d2) * v_all(b);

	x = v_pick(x < v_all(-126), v_all(-126), x);
	return exp2_of(v_pick(x > v_all(126), v_all(126), x));
}

VEC vf
clip(vf x)
{
	x = v_pick(x > v_all(4), v_all(4), x);
	return v_pick(x < v_all(-4), v_all(-4), x);
}

/* x and y of those points. */
VEC void
gather(vf *x, vf *y, const float *xy, vi point)
{
#if defined(PATH_AVX512)
	*x = (vf)_mm512_i32gather_ps((__m512i)(point + point), xy, 4);
	*y = (vf)_mm512_i32gather_ps((__m512i)(point + point), xy + 1, 4);
#elif defined(PATH_AVX2)
	*x = (vf)_mm256_i32gather_ps(xy, (__m256i)(point + point), 4);
	*y = (vf)_mm256_i32gather_ps(xy + 1, (__m256i)(point + point), 4);
#else
	for (int i = 0; i < VW; i++) {
		(*x)[i] = xy[2 * (size_t)point[i]];
		(*y)[i] = xy[2 * (size_t)point[i] + 1];
	}
#endif
}

/* The tails that are due, slot by slot, VW points side by side; most: slots. */
static uint32_t
due_of(const struct kernel_layout *l, size_t first, size_t n, uint32_t *due,
	int32_t count[VW])
{
	uint32_t most = 0;

	for (size_t lane = 0; lane < VW; lane++) {
		uint32_t point = l->point[first + (lane < n ? lane : 0)], c = 0;
		uint32_t from = l->start[point],
			 to = lane < n ? l->start[point + 1] : from;

		for (uint32_t i = from; i < to; i++) {
			due[(size_t)c * VW + lane] = l->tail[i];
			c += l->epoch * l->rate[i] < l->rate[i];
		}
		count[lane] = (int32_t)c;
		most = c > most ? c : most;
	}
	return most;
}

struct lanes {
	vf x, y;
	vu key;
};

/* Towards (ox, oy) by twice the step, since the edge is sampled from both ends. */
VEC void
attract(struct lanes *s, const struct kernel_layout *l, vi on, vf ox, vf oy)
{
	vf dx = s->x - ox, dy = s->y - oy, d2 = v_fma(dx, dx, dy * dy), p, c;

	d2 = v_pick(d2 < v_all(SMALLEST), v_all(SMALLEST), d2);
	p = power(d2, l->b);
	c = v_all(-2 * l->a * l->b) * p / (d2 * v_fma(v_all(l->a), p, v_all(1)));
	c = v_pick(on, c, v_all(0));
	s->x = v_fma(clip(c * dx), v_all(2 * l->alpha), s->x);
	s->y = v_fma(clip(c * dy), v_all(2 * l->alpha), s->y);
}

VEC void
repel(struct lanes *s, const struct kernel_layout *l, vi on, vf ox, vf oy)
{
	vf dx = s->x - ox, dy = s->y - oy, d2 = v_fma(dx, dx, dy * dy), p, c;

	d2 = v_pick(d2 < v_all(SMALLEST), v_all(SMALLEST), d2);
	p = power(d2, l->b);
	c = v_all(2 * l->repulsion * l->b) /
		((d2 + v_all(0.001f)) * v_fma(v_all(l->a), p, v_all(1)));
	c = v_pick(on, c, v_all(0));
	s->x = v_fma(clip(c * dx), v_all(l->alpha), s->x);
	s->y = v_fma(clip(c * dy), v_all(l->alpha), s->y);
}

/* One of those that are drawn. */
VEC vi
any_point(const struct kernel_layout *l, vu random)
{
	vf at = __builtin_convertvector((vi)(random >> 8), vf) *
		v_all((float)l->n_among * 0x1p-24f);
	vi drawn = __builtin_convertvector(at, vi), last = (vi)u_all(l->n_among - 1);

	drawn = (vi)v_pick(drawn > last, (vf)last, (vf)drawn);
	for (int i = 0; l->among != NULL && i < VW; i++)
		drawn[i] = (int32_t)l->among[drawn[i]];
	return drawn;
}

VEC void
step(struct lanes *s, const struct kernel_layout *l, vi tail, vi on, uint32_t slot)
{
	vf ox, oy;

	gather(&ox, &oy, l->xy, tail & on);
	attract(s, l, on, ox, oy);
	for (uint32_t i = 0; i < l->negative_rate; i++) {
		vu at = s->key + u_all(0x9e3779b9u * (slot * l->negative_rate + i));

		gather(&ox, &oy, l->xy, any_point(l, mix(at)));
		repel(s, l, on, ox, oy);
	}
}

void
PATH(path_layout)(const struct kernel_layout *l)
{
	for (size_t first = 0; first < l->n_points; first += VW) {
		size_t n = l->n_points - first < VW ? l->n_points - first : VW;
		int32_t count[VW], at[VW];
		struct lanes s;
		uint32_t most = due_of(l, first, n, l->due, count);
		vi n_due, point;
		float to[2][VW];

		for (size_t i = 0; i < VW; i++)
			at[i] = (int32_t)l->point[first + (i < n ? i : 0)];
		memcpy(&n_due, count, sizeof(n_due));
		memcpy(&point, at, sizeof(point));
		gather(&s.x, &s.y, l->xy, point);
		s.key = mix((vu)point * u_all(0x9e3779b1u) + u_all(l->key));
		for (uint32_t i = 0; i < most; i++) {
			vi tail;

			memcpy(&tail, l->due + (size_t)i * VW, sizeof(tail));
			step(&s, l, tail, n_due > (vi)u_all(i), i);
		}
		v_store(to[0], s.x);
		v_store(to[1], s.y);
		for (size_t i = 0; i < n; i++) {
			l->to[2 * (first + i)] = to[0][i];
			l->to[2 * (first + i) + 1] = to[1][i];
		}
	}
}
