/* SPDX-License-Identifier: ISC */
#include "tests/kernel/naive.h"

/* Distance of got from the true value, in units of got's last place. */
static double
ulps(float got, double want)
{
	double unit;
	int exponent;

	if ((float)want == got)
		return 0;
	frexp(want, &exponent);
	unit = ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
	return fabs((double)got - want) / unit;
}

static double
worst_of(void (*fn)(float *, const float *, size_t), double (*truth)(double), float low,
	float high)
{
	float x[1000], y[1000];
	double worst = 0;

	for (int round = 0; round < 60; round++) {
		for (size_t i = 0; i < 1000; i++)
			x[i] = low +
				(high - low) * (float)(naive_u64() >> 40) * 0x1p-24f;
		fn(y, x, 1000);
		for (size_t i = 0; i < 1000; i++)
			worst = fmax(worst, ulps(y[i], truth((double)x[i])));
	}
	return worst;
}

static void
accuracy_path(void)
{
	assert_true(worst_of(kernel_exp, exp, -1, 1) <= 2);
	assert_true(worst_of(kernel_exp, exp, -87, 88.7f) <= 2);
	assert_true(worst_of(kernel_exp, exp, -104, -86) <= 2);
	assert_true(worst_of(kernel_tanh, tanh, -0.6f, 0.6f) <= 4);
	assert_true(worst_of(kernel_tanh, tanh, -10, 10) <= 4);
	assert_true(worst_of(kernel_tanh, tanh, -0.01f, 0.01f) <= 4);
}

static void
test_accuracy(void **state)
{
	(void)state;
	naive_each_path(accuracy_path);
}

static void
special_path(void)
{
	const float x[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, 88.72283f,
		88.8f, -103.97f, -103.973f, 0x1p-149f, -200.0f};
	float y[12];

	kernel_exp(y, x, 12);
	assert_true(y[0] == 1 && y[1] == 1 && isinf(y[2]) && y[3] == 0);
	assert_true(isnan(y[4]) && y[5] == 1);
	assert_true(isfinite(y[6]) && y[6] > 3.4e38f && isinf(y[7]));
	assert_true(y[8] == 0x1p-149f && y[9] == 0 && y[10] == 1 && y[11] == 0);
	kernel_tanh(y, x, 12);
	assert_true(y[0] == 0 && !signbit(y[0]) && y[1] == 0 && signbit(y[1]));
	assert_true(y[2] == 1 && y[3] == -1 && isnan(y[4]) && y[5] == 1e-40f);
	assert_true(y[7] == 1 && y[11] == -1);
	kernel_gelu_tanh(y, x, 12);
	assert_true(y[0] == 0 && y[7] == 88.8f && y[11] == 0 && isnan(y[4]));
	kernel_gelu(y, x, 12);
	assert_true(y[0] == 0 && y[7] == 88.8f && y[11] == 0 && isnan(y[4]));
	kernel_silu(y, x, 12);
	assert_true(y[0] == 0 && y[7] == 88.8f && y[11] == 0 && isnan(y[4]));
}

static void
test_special(void **state)
{
	(void)state;
	naive_each_path(special_path);
}

static double
gelu(double x)
{
	return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static double
gelu_exact(double x)
{
	return 0.5 * x * (1 + erf(x / sqrt(2)));
}

static double
silu(double x)
{
	return x / (1 + exp(-x));
}

/* The last place of 1 + erf or 1 + tanh is all that a negative x leaves. */
static double
worst_gate(void (*fn)(float *, const float *, size_t), double (*truth)(double))
{
	float x[999], y[999];
	double worst = 0;

	for (size_t i = 0; i < 999; i++)
		x[i] = i < 600 ? (float)i * 0.02f - 6 : naive_float() * 6;
	fn(y, x, 999);
	for (size_t i = 0; i < 999; i++)
		worst = fmax(worst,
			fabs((double)y[i] - truth((double)x[i])) /
				(1e-3 + fabs((double)x[i])));
	return worst;
}

static void
gelu_path(void)
{
	assert_true(worst_gate(kernel_gelu_tanh, gelu) <= 1e-6);
	assert_true(worst_gate(kernel_gelu, gelu_exact) <= 0x1p-23);
	assert_true(worst_gate(kernel_silu, silu) <= 0x1p-22);
}

static void
test_gelu(void **state)
{
	(void)state;
	naive_each_path(gelu_path);
}

/* Every path gives the portable one's bits, at every length and in place. */
static void
test_same_bits(void **state)
{
	static void (*const fns[])(float *, const float *, size_t) = {kernel_exp,
		kernel_tanh, kernel_gelu_tanh, kernel_gelu, kernel_silu};

	(void)state;
	for (size_t n = 1; n < 400; n++) {
		float *x = naive_floats(n), *y = naive_floats(n),
		      *want = naive_floats(n);

		for (size_t i = 0; i < n; i++)
			x[i] *= 30;
		for (size_t f = 0; f < 5; f++)
			for (int p = 0; p < KERNEL_N_PATHS; p++) {
				if (!kernel_use_path((enum kernel_path)p))
					continue;
				memcpy(y, x, n * sizeof(*y));
				fns[f](y, y, n);
				if (p == 0)
					memcpy(want, y, n * sizeof(*y));
				assert_same_floats(y, want, n);
			}
		mem_free(x);
		mem_free(y);
		mem_free(want);
	}
}

static float
naive_sum(const float *x, size_t n)
{
	float ones[1000];

	for (size_t i = 0; i < n; i++)
		ones[i] = 1;
	return naive_dot(x, ones, n);
}

static void
softmax_path(void)
{
	float x[777], want[777], most, sum;

	for (size_t n = 1; n < 777; n += 1 + n / 9) {
		most = -INFINITY;
		for (size_t i = 0; i < n; i++) {
			x[i] = n > 3 && i == n / 2 ? -INFINITY : naive_float() * 8;
			most = fmaxf(most, x[i]);
		}
		for (size_t i = 0; i < n; i++)
			want[i] = x[i] - most;
		kernel_exp(want, want, n);
		sum = naive_sum(want, n);
		for (size_t i = 0; i < n; i++)
			want[i] /= sum;
		kernel_softmax(x, n);
		assert_same_floats(x, want, n);
		assert_true(fabsf(naive_sum(x, n) - 1) < 1e-5f);
	}
}

static void
test_softmax(void **state)
{
	(void)state;
	naive_each_path(softmax_path);
	kernel_softmax(NULL, 0);
}

static void
layer_norm_path(void)
{
	float x[777], y[777], d[777], gain[777], bias[777];

	for (size_t n = 1; n < 777; n += 1 + n / 9) {
		float mean, deviation;

		for (size_t i = 0; i < n; i++) {
			x[i] = naive_float() * 8;
			gain[i] = naive_float();
			bias[i] = naive_float();
		}
		mean = naive_sum(x, n) / (float)n;
		for (size_t i = 0; i < n; i++)
			d[i] = x[i] - mean;
		deviation = sqrtf(naive_dot(d, d, n) / (float)n + 1e-5f);
		for (size_t i = 0; i < n; i++)
			d[i] = d[i] / deviation;
		kernel_layer_norm(y, x, NULL, NULL, 1e-5f, n);
		assert_same_floats(y, d, n);
		for (size_t i = 0; i < n; i++)
			d[i] = d[i] * gain[i];
		for (size_t i = 0; i < n; i++)
			d[i] = d[i] + bias[i];
		kernel_layer_norm(x, x, gain, bias, 1e-5f, n);
		assert_same_floats(x, d, n);
	}
}

static void
test_layer_norm(void **state)
{
	(void)state;
	naive_each_path(layer_norm_path);
}

static void
rms_norm_path(void)
{
	float x[777], y[777], want[777], gain[777];

	for (size_t n = 1; n < 777; n += 1 + n / 9) {
		float root;

		for (size_t i = 0; i < n; i++) {
			x[i] = naive_float() * 8;
			gain[i] = naive_float();
		}
		root = sqrtf(naive_dot(x, x, n) / (float)n + 1e-6f);
		for (size_t i = 0; i < n; i++)
			want[i] = x[i] / root;
		kernel_rms_norm(y, x, NULL, 1e-6f, n);
		assert_same_floats(y, want, n);
		for (size_t i = 0; i < n; i++)
			want[i] = want[i] * gain[i];
		kernel_rms_norm(x, x, gain, 1e-6f, n);
		assert_same_floats(x, want, n);
	}
}

static void
test_rms_norm(void **state)
{
	(void)state;
	naive_each_path(rms_norm_path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accuracy),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_gelu),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_softmax),
		cmocka_unit_test(test_layer_norm),
		cmocka_unit_test(test_rms_norm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
