/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/exact.h"

#include <math.h>

static uint64_t seed = 88172645463325252u;

static uint64_t
u64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Any finite float, all exponents alike. */
static float
any_float(void)
{
	uint32_t bits;
	float v;

	do
		bits = (uint32_t)(u64() >> 32);
	while ((bits & 0x7f800000) == 0x7f800000);
	memcpy(&v, &bits, 4);
	return v;
}

/* Multiples of 2^-20 below 2^20 in magnitude: their sums fit an __int128, and
 * those of their squares. */
static float
small_float(void)
{
	return ldexpf((float)((int64_t)(u64() >> 40) - (1 << 23)), -(int)(u64() % 20)) *
		0x1p-3f;
}

static void
test_integer(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		struct exact32 x = {0};
		struct exact64 y = {0};
		__int128 sum = 0, squares = 0;

		for (int i = 0; i < 500; i++) {
			float v = small_float();
			int64_t whole = (int64_t)ldexp((double)v, 23);

			exact32_add(&x, v);
			exact64_add_square(&y, v);
			sum += whole;
			squares += (__int128)whole * whole;
		}
		/* the compiler's conversion rounds to nearest even */
		assert_true(exact32_get(&x) == ldexp((double)sum, -23));
		assert_true(exact64_get(&y) == ldexp((double)squares, -46));
	}
}

static void
test_cancel(void **state)
{
	static const float parts[] = {1e38f, 1.0f, -1e38f, 0x1p-149f, -1.0f};
	struct exact32 x = {0};
	struct exact64 y = {0};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		exact32_add(&x, parts[i]);
		exact64_add(&y, (double)parts[i] * (double)parts[i]);
	}
	assert_true(exact32_get(&x) == 0x1p-149);
	exact64_add(&y, -(1e38f * (double)1e38f));
	exact64_add(&y, -(1e38f * (double)1e38f));
	exact64_add(&y, -2.0);
	assert_true(exact64_get(&y) == 0x1p-298);
	exact64_add(&y, -0x1p-298);
	assert_true(exact64_get(&y) == 0 && !signbit(exact64_get(&y)));
}

/* Halves go to even, and what lies far below a half decides it. */
static void
test_rounding(void **state)
{
	struct exact64 x = {0};

	(void)state;
	exact64_add(&x, 0x1p200);
	exact64_add(&x, 0x1p147);
	assert_true(exact64_get(&x) == 0x1p200);
	exact64_add(&x, 0x1p-298);
	assert_true(exact64_get(&x) == 0x1p200 + 0x1p148);
	exact64_add(&x, -0x1p-297);
	assert_true(exact64_get(&x) == 0x1p200);
	exact64_add(&x, 0x1p-298);
	exact64_add(&x, 0x1p148);
	assert_true(exact64_get(&x) == 0x1p200 + 0x1p149);
	exact64_add(&x, -0x1p201);
	exact64_add(&x, -0x1p201);
	assert_true(exact64_get(&x) == -0x1.8p201 + 0x1p149);
}

static void
test_single(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct exact32 x = {0};
		struct exact64 y = {0}, z = {0};
		float v = any_float();

		exact32_add(&x, v);
		exact64_add(&y, (double)v);
		exact64_add_square(&z, v);
		assert_true(exact32_get(&x) == (double)v);
		assert_true(exact64_get(&y) == (double)v);
		assert_true(exact64_get(&z) == (double)v * (double)v);
	}
}

/* Any cut, any order: the same bytes once merged. */
static void
test_merge(void **state)
{
	float v[300];

	(void)state;
	for (int round = 0; round < 100; round++) {
		struct exact32 all = {0}, a = {0}, b = {0}, ba;
		struct exact64 all2 = {0}, a2 = {0}, b2 = {0}, ba2;

		for (size_t i = 0; i < 300; i++) {
			v[i] = any_float();
			exact32_add(&all, v[i]);
			exact64_add_square(&all2, v[i]);
		}
		for (size_t i = 300; i-- > 0;) {
			bool left = u64() >> 63;

			exact32_add(left ? &a : &b, v[i]);
			exact64_add_square(left ? &a2 : &b2, v[i]);
		}
		ba = b;
		ba2 = b2;
		exact32_merge(&ba, &a);
		exact64_merge(&ba2, &a2);
		exact32_merge(&a, &b);
		exact64_merge(&a2, &b2);
		assert_memory_equal(&a, &ba, sizeof(a));
		assert_memory_equal(&a2, &ba2, sizeof(a2));
		exact32_settle(&all);
		exact64_settle(&all2);
		assert_memory_equal(&a, &all, sizeof(a));
		assert_memory_equal(&a2, &all2, sizeof(a2));
		assert_true(exact32_get(&a) == exact32_get(&all));
		assert_true(exact64_get(&a2) == exact64_get(&all2));
	}
}

/* Many adds of the largest value: digits are settled in time. */
static void
test_settle(void **state)
{
	struct exact32 x = {0}, y = {0};

	(void)state;
	x.n_adds = (UINT32_C(1) << 30) - 100;
	for (int i = 0; i < 200; i++)
		exact32_add(&x, 3.4e38f);
	assert_true(x.n_adds < 200);
	for (int i = 0; i < 200; i++)
		exact32_add(&y, 3.4e38f);
	assert_true(exact32_get(&x) == exact32_get(&y));
	for (int i = 0; i < 60; i++)
		exact32_merge(&x, &x); /* 2^60 times as much */
	assert_true(exact32_get(&x) == ldexp(exact32_get(&y), 60));
}

/* As bytes and back, of either sign, settled or not; cut short: refused. */
static void
test_bytes(void **state)
{
	struct exact32 a = {0}, b;
	struct exact64 c = {0}, d;
	struct buf one, two;
	struct cur cur;

	(void)state;
	buf_init(&one);
	buf_init(&two);
	for (int i = 0; i < 2000; i++) {
		double v = ldexp(i % 3 - 1.25, i % 120 - 60);

		exact32_add(&a, (float)v);
		exact64_add(&c, i % 7 == 0 ? -1e60 : v);
		buf_reset(&one);
		exact32_save(&a, &one);
		exact64_save(&c, &one);
		cur = cur_of(one.data, one.n_bytes);
		exact32_load(&b, &cur);
		exact64_load(&d, &cur);
		assert_false(cur.failed);
		assert_int_equal(cur_left(&cur), 0);
		assert_true(exact32_get(&a) == exact32_get(&b));
		assert_true(exact64_get(&c) == exact64_get(&d));
		exact32_settle(&a);
		exact64_settle(&c);
		buf_reset(&two);
		exact32_save(&a, &two);
		exact64_save(&c, &two);
		assert_int_equal(one.n_bytes, two.n_bytes);
		assert_memory_equal(one.data, two.data, one.n_bytes);
	}
	for (size_t n = 0; n < one.n_bytes; n++) {
		cur = cur_of(one.data, n);
		exact32_load(&b, &cur);
		exact64_load(&d, &cur);
		assert_true(cur.failed);
	}
	buf_clear(&one);
	buf_clear(&two);
}

/* Bytes that no sum has; each but the first is one step from some that have one. */
static void
test_no_sum(void **state)
{
	static const struct {
		uint8_t head, count;
		uint64_t digit[2];
		bool good;
	} cases[] = {
		{4, 2, {1, 1}, true},
		{5, 2, {1, 1}, true}, /* negative */
		{0, 0, {0}, true},
		{18, 1, {UINT64_C(1) << 32}, true}, /* the last digit is not carried */
		{1, 0, {0}, false}, /* -0 */
		{4, 0, {0}, false}, /* 0 at some place */
		{4, 1, {UINT64_C(1) << 32}, false}, /* a digit too large */
		{18, 1, {UINT64_C(1) << 61}, false},
		{4, 2, {0, 1}, false}, /* a digit too many */
		{4, 2, {1, 0}, false},
		{18, 2, {1, 1}, false}, /* more than there are */
		{40, 1, {1}, false},
	};
	struct exact32 x;
	struct buf buf;
	struct cur cur;

	(void)state;
	buf_init(&buf);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&buf);
		buf_u8(&buf, cases[i].head);
		buf_u8(&buf, cases[i].count);
		for (uint8_t n = 0; n < cases[i].count; n++)
			buf_varint(&buf, cases[i].digit[n]);
		cur = cur_of(buf.data, buf.n_bytes);
		exact32_load(&x, &cur);
		assert_int_equal(!cur.failed, cases[i].good);
	}
	buf_clear(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integer),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_no_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
