/* SPDX-License-Identifier: ISC */
#include "tests/kernel/naive.h"

static void
dot_path(void)
{
	for (size_t n = 0; n < 300; n++) {
		/* exact allocations: reading past the end is seen by sanitizers */
		float *a = naive_floats(n), *b = naive_floats(n);
		float want = naive_dot(a, b, n), got = kernel_dot(a, b, n);

		assert_same_floats(&got, &want, 1);
		got = kernel_norm(a, n);
		want = sqrtf(naive_dot(a, a, n));
		assert_same_floats(&got, &want, 1);
		mem_free(a);
		mem_free(b);
	}
}

static void
test_dot(void **state)
{
	(void)state;
	naive_each_path(dot_path);
}

/* What lies behind n must not be read as more than zeros. */
static void
tail_path(void)
{
	float a[128], b[128], want, got;

	for (size_t n = 1; n < 128; n++) {
		for (size_t i = 0; i < 128; i++)
			a[i] = b[i] = i < n ? (float)i : NAN;
		want = naive_dot(a, b, n);
		got = kernel_dot(a, b, n);
		assert_same_floats(&got, &want, 1);
	}
}

static void
test_tail(void **state)
{
	(void)state;
	naive_each_path(tail_path);
}

/* A negative underflow in a lane, then padding: -0 becomes +0. */
static void
zero_path(void)
{
	float a[70] = {0}, b[70] = {0}, got;

	a[5] = -0x1p-100f;
	b[5] = 0x1p-100f;
	got = kernel_dot(a, b, 6);
	assert_int_equal(signbit(got), signbit(naive_dot(a, b, 6)));
	got = kernel_dot(a, b, 70);
	assert_int_equal(signbit(got), signbit(naive_dot(a, b, 70)));
}

static void
test_zero(void **state)
{
	(void)state;
	naive_each_path(zero_path);
}

static void
norm_path(void)
{
	for (int i = 0; i < 2000; i++) {
		size_t n = 1 + naive_below(200);
		float *a = naive_floats(n);
		float scale = ldexpf(1, (int)naive_below(120) - 80);
		long double sum = 0;

		for (size_t j = 0; j < n; j++) {
			a[j] *= scale;
			sum += (long double)a[j] * a[j];
		}
		assert_true((long double)kernel_norm_up(a, n) >= sqrtl(sum));
		if (sum > 1e-30L)
			assert_true((long double)kernel_norm_up(a, n) <=
				sqrtl(sum) * 1.0001L);
		mem_free(a);
	}
}

static void
test_norm(void **state)
{
	float inf[3] = {1, INFINITY, 2}, nan[3] = {1, NAN, 2}, big[2] = {3e38f, 3e38f};

	(void)state;
	naive_each_path(norm_path);
	assert_true(isinf(kernel_norm_up(inf, 3)));
	assert_true(isnan(kernel_norm_up(nan, 3)));
	assert_true(isinf(kernel_norm_up(big, 2)));
}

static void
axpy_path(void)
{
	for (size_t n = 0; n < 100; n++) {
		float *x = naive_floats(n), *y = naive_floats(n),
		      *want = naive_floats(n);
		float s = naive_float();

		for (size_t i = 0; i < n; i++)
			want[i] = fmaf(s, x[i], y[i]);
		kernel_axpy(y, x, s, n);
		assert_same_floats(y, want, n);
		mem_free(x);
		mem_free(y);
		mem_free(want);
	}
}

static void
test_axpy(void **state)
{
	(void)state;
	naive_each_path(axpy_path);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(kernel_path_name(KERNEL_PORTABLE), "portable");
	assert_string_equal(kernel_path_name(KERNEL_AVX512), "avx512");
	assert_string_equal(kernel_path_name((enum kernel_path)99), "unknown");
	assert_false(kernel_use_path(KERNEL_N_PATHS));
	assert_true(kernel_use_path(KERNEL_PORTABLE));
	assert_int_equal(kernel_path(), KERNEL_PORTABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dot),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_norm),
		cmocka_unit_test(test_axpy),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
