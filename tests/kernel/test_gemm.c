/* SPDX-License-Identifier: ISC */
#include "tests/kernel/naive.h"

struct shape {
	size_t m, n, k;
};

/* c = the ordered product, entry by entry. */
static void
naive_gemm(float *c, const float *a, size_t lda, const float *b, struct shape s,
	const float *bias, bool add_to)
{
	for (size_t i = 0; i < s.m; i++)
		for (size_t j = 0; j < s.n; j++) {
			float v = bias != NULL ? bias[j] : 0.0f;

			for (size_t at = 0; at < s.k; at++)
				v = fmaf(a[i * lda + at], b[at * s.n + j], v);
			c[i * s.n + j] = add_to ? c[i * s.n + j] + v : v;
		}
}

static void
check_shape(struct shape s, bool with_bias, bool add_to, bool transposed)
{
	size_t lda = s.k + naive_below(3), ldc = s.n + naive_below(3);
	float *a = naive_floats(s.m * lda), *b = naive_floats(s.k * s.n);
	float *bt = naive_floats(s.k * s.n), *bias = naive_floats(s.n);
	float *c = naive_floats(s.m * ldc), *want = naive_floats(s.m * s.n);
	struct kernel_packed *p;

	for (size_t i = 0; i < s.k; i++)
		for (size_t j = 0; j < s.n; j++)
			bt[j * s.k + i] = b[i * s.n + j];
	for (size_t i = 0; i < s.m; i++)
		memcpy(want + i * s.n, c + i * ldc, s.n * sizeof(*c));
	naive_gemm(want, a, lda, b, s, with_bias ? bias : NULL, add_to);
	assert_int_equal(transposed ? kernel_pack(&p, bt, s.k, s.n, 1, s.k, NULL)
				    : kernel_pack(&p, b, s.k, s.n, s.n, 1, NULL),
		0);
	kernel_gemm(c, ldc, a, lda, s.m, p, with_bias ? bias : NULL, add_to);
	for (size_t i = 0; i < s.m; i++)
		assert_same_floats(c + i * ldc, want + i * s.n, s.n);
	kernel_packed_free(p);
	mem_free(a);
	mem_free(b);
	mem_free(bt);
	mem_free(bias);
	mem_free(c);
	mem_free(want);
}

static void
shapes_path(void)
{
	static const struct shape shapes[] = {
		{1, 1, 1},
		{1, 32, 64},
		{12, 32, 256},
		{13, 33, 257},
		{97, 70, 300},
		{3, 5, 1000},
		{192, 7, 2},
		{100, 550, 30},
		{5, 1100, 600},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (int v = 0; v < 8; v++)
			check_shape(shapes[i], v & 1, v & 2, v & 4);
	for (int i = 0; i < 60; i++)
		check_shape((struct shape){1 + naive_below(60), 1 + naive_below(90),
				    1 + naive_below(600)},
			i & 1, i & 2, i & 4);
}

static void
test_shapes(void **state)
{
	(void)state;
	naive_each_path(shapes_path);
}

/* A matrix packed on one path is right on another. */
static void
test_other_path(void **state)
{
	float *a = naive_floats(7 * 300), *b = naive_floats(300 * 50);
	float c[350], want[350];
	struct kernel_packed *p;

	(void)state;
	naive_gemm(want, a, 300, b, (struct shape){7, 50, 300}, NULL, false);
	kernel_use_path(KERNEL_PORTABLE);
	assert_int_equal(kernel_pack(&p, b, 300, 50, 50, 1, NULL), 0);
	for (int path = 0; path < KERNEL_N_PATHS; path++) {
		if (!kernel_use_path((enum kernel_path)path))
			continue;
		kernel_gemm(c, 50, a, 300, 7, p, NULL, false);
		assert_same_floats(c, want, 350);
	}
	kernel_packed_free(p);
	mem_free(a);
	mem_free(b);
}

/* k of 0: the start value; m of 0: nothing. */
static void
test_nothing(void **state)
{
	float b[1] = {0}, bias[3] = {1, 2, 3}, c[6] = {9, 9, 9, 9, 9, 9};
	struct kernel_packed *p;

	(void)state;
	assert_int_equal(kernel_pack(&p, b, 0, 3, 3, 1, NULL), 0);
	kernel_gemm(c, 3, b, 0, 0, p, bias, false);
	assert_true(c[0] == 9);
	kernel_gemm(c, 3, b, 0, 2, p, bias, false);
	assert_true(c[0] == 1 && c[4] == 2 && c[5] == 3);
	kernel_packed_free(p);
}

static void
test_memory(void **state)
{
	struct kernel_packed *p;
	struct err e = ERR_INIT;
	float b[4] = {0};
	int rc = ERR_NOMEM;

	(void)state;
	for (long n = 0; rc == ERR_NOMEM; n++) {
		assert_true(n < 10);
		mem_fail_at(n);
		rc = kernel_pack(&p, b, 2, 2, 2, 1, &e);
		mem_fail_at(-1);
		if (rc < 0)
			assert_null(p);
	}
	assert_int_equal(rc, 0);
	kernel_packed_free(p);
	assert_int_equal(kernel_pack(&p, b, SIZE_MAX / 2, SIZE_MAX / 2, 0, 0, &e),
		ERR_NOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_other_path),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
