/* SPDX-License-Identifier: ISC */
#include "util/exact.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define N32 10
#define N64 19
#define LOW32 (-149)
#define LOW64 (-298)
/* A digit takes less than 2^32 an add, on top of less than 2^32 settled. */
#define ADDS_MOST (UINT32_C(1) << 30)

/* Every digit but the last into [0, 2^32); the last keeps the sign. */
static void
settle(int64_t *digit, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++) {
		int64_t carry = digit[i] >> 32; /* floor */

		digit[i] -= carry * ((int64_t)1 << 32);
		digit[i + 1] += carry;
	}
}

static void
negate(int64_t *digit, size_t n)
{
	for (size_t i = 0; i < n; i++)
		digit[i] = -digit[i];
	settle(digit, n);
}

/* The top three digits hold at least 65 bits, so what lies below them matters
 * only as "something": it is put into their last bit, and one conversion from
 * 128 bits rounds once. No result is subnormal: 2^-298 is far from 2^-1022. */
static double
rounded(const int64_t *digit, size_t n, int low)
{
	int64_t d[N64 + 1] = {0};
	unsigned __int128 top = 0;
	bool minus, rest = false;
	size_t t;
	double v;

	memcpy(d, digit, n * sizeof(*d));
	settle(d, n + 1);
	minus = d[n] < 0;
	if (minus)
		negate(d, n + 1);
	for (t = n; t > 0 && d[t] == 0; t--)
		;
	for (size_t i = 0; i + 2 < t; i++)
		rest |= d[i] != 0;
	for (size_t i = 0; i < 3; i++)
		top = top << 32 | (unsigned __int128)(t >= i ? d[t - i] : 0);
	v = ldexp((double)(top | rest), low + 32 * ((int)t - 2));
	return minus ? -v : v;
}

void
exact32_settle(struct exact32 *x)
{
	settle(x->digit, N32);
	x->n_adds = 0;
}

void
exact32_add(struct exact32 *x, float v)
{
	uint32_t bits, exponent, at;
	uint64_t mantissa;
	int64_t sign;

	memcpy(&bits, &v, sizeof(bits));
	exponent = bits >> 23 & 0xff;
	assert(exponent != 0xff);
	mantissa = bits & 0x7fffff;
	if (exponent > 0) {
		mantissa |= 0x800000;
		exponent--;
	}
	sign = bits >> 31 ? -1 : 1;
	mantissa <<= exponent % 32;
	at = exponent / 32;
	x->digit[at] += sign * (int64_t)(uint32_t)mantissa;
	x->digit[at + 1] += sign * (int64_t)(mantissa >> 32);
	if (++x->n_adds >= ADDS_MOST)
		exact32_settle(x);
}

void
exact32_merge(struct exact32 *into, const struct exact32 *from)
{
	struct exact32 other = *from;

	exact32_settle(&other);
	exact32_settle(into);
	for (size_t i = 0; i < N32; i++)
		into->digit[i] += other.digit[i];
	exact32_settle(into);
}

double
exact32_get(const struct exact32 *x)
{
	return rounded(x->digit, N32, LOW32);
}

void
exact64_settle(struct exact64 *x)
{
	settle(x->digit, N64);
	x->n_adds = 0;
}

void
exact64_add(struct exact64 *x, double v)
{
	uint64_t bits, mantissa;
	unsigned __int128 shifted;
	int64_t sign;
	int exponent;
	size_t at;

	memcpy(&bits, &v, sizeof(bits));
	exponent = (int)(bits >> 52 & 0x7ff);
	mantissa = bits & ((UINT64_C(1) << 52) - 1);
	if (exponent == 0 && mantissa == 0)
		return;
	assert(exponent != 0 && exponent < 1023 + 256);
	mantissa |= UINT64_C(1) << 52;
	exponent += -1023 - 52 - LOW64; /* of the lowest bit, in ours */
	if (exponent < 0) {
		assert(exponent >= -52 &&
			(mantissa & ((UINT64_C(1) << -exponent) - 1)) == 0);
		mantissa >>= -exponent;
		exponent = 0;
	}
	sign = bits >> 63 ? -1 : 1;
	shifted = (unsigned __int128)mantissa << exponent % 32;
	at = (size_t)exponent / 32;
	x->digit[at] += sign * (int64_t)(uint32_t)shifted;
	x->digit[at + 1] += sign * (int64_t)(uint32_t)(shifted >> 32);
	if (at + 2 < N64)
		x->digit[at + 2] += sign * (int64_t)(shifted >> 64);
	if (++x->n_adds >= ADDS_MOST)
		exact64_settle(x);
}

/* 24 bits squared fit a double's 53, so the product is exact. */
void
exact64_add_square(struct exact64 *x, float v)
{
	exact64_add(x, (double)v * (double)v);
}

void
exact64_merge(struct exact64 *into, const struct exact64 *from)
{
	struct exact64 other = *from;

	exact64_settle(&other);
	exact64_settle(into);
	for (size_t i = 0; i < N64; i++)
		into->digit[i] += other.digit[i];
	exact64_settle(into);
}

double
exact64_get(const struct exact64 *x)
{
	return rounded(x->digit, N64, LOW64);
}

/* ---- bytes --------------------------------------------------------------- */

#define TOP_MOST (INT64_C(1) << 61) /* of the last digit, which is never carried */

/* The sign and which digits are not 0 (few are, of most sums), then those of the
 * magnitude: below 2^32, but for the last. */
static void
save(const int64_t *settled, size_t n, struct buf *b)
{
	bool minus = settled[n - 1] < 0;
	size_t first = 0, end = n;
	int64_t d[N64];

	memcpy(d, settled, n * sizeof(*d));
	if (minus)
		negate(d, n);
	while (end > 0 && d[end - 1] == 0)
		end--;
	while (first < end && d[first] == 0)
		first++;
	buf_u8(b, (uint8_t)(first << 1 | minus));
	buf_u8(b, (uint8_t)(end - first));
	for (size_t i = first; i < end; i++)
		buf_varint(b, (uint64_t)d[i]);
}

static void
load(int64_t *digit, size_t n, struct cur *c)
{
	uint8_t head = cur_u8(c);
	size_t first = head >> 1, count = cur_u8(c), end = first + count;

	c->failed |= end > n || (count == 0 && head != 0);
	for (size_t i = first; i < end && !c->failed; i++) {
		uint64_t v = cur_varint(c);

		c->failed |= v >= (i + 1 < n ? UINT64_C(1) << 32 : (uint64_t)TOP_MOST);
		c->failed |= v == 0 && (i == first || i + 1 == end);
		digit[i] = c->failed ? 0 : (int64_t)v;
	}
	if (head & 1 && !c->failed)
		negate(digit, n);
}

void
exact32_save(const struct exact32 *x, struct buf *b)
{
	struct exact32 y = *x;

	exact32_settle(&y);
	save(y.digit, N32, b);
}

void
exact64_save(const struct exact64 *x, struct buf *b)
{
	struct exact64 y = *x;

	exact64_settle(&y);
	save(y.digit, N64, b);
}

void
exact32_load(struct exact32 *x, struct cur *c)
{
	*x = (struct exact32){0};
	load(x->digit, N32, c);
}

void
exact64_load(struct exact64 *x, struct cur *c)
{
	*x = (struct exact64){0};
	load(x->digit, N64, c);
}
