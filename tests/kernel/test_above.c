/* SPDX-License-Identifier: ISC */
#include "tests/kernel/naive.h"

struct search {
	size_t n, d, m, ldx;
	float *w, *x, *bias, *threshold;
	struct kernel_rows *r;
	struct kernel_work *k;
};

static void
search_new(struct search *s, size_t n, size_t d, size_t m)
{
	*s = (struct search){.n = n, .d = d, .m = m, .ldx = d + naive_below(3)};
	s->w = naive_floats(n * d);
	s->x = naive_floats(m * s->ldx);
	s->bias = naive_floats(n);
	s->threshold = naive_floats(n);
	assert_int_equal(kernel_rows_new(&s->r, s->w, n, d, NULL), 0);
	assert_int_equal(kernel_rows_n(s->r), n);
	assert_int_equal(kernel_work_new(&s->k, NULL), 0);
}

static void
search_free(struct search *s)
{
	kernel_rows_free(s->r);
	kernel_work_free(s->k);
	mem_free(s->w);
	mem_free(s->x);
	mem_free(s->bias);
	mem_free(s->threshold);
}

static float
value_of(const struct search *s, size_t q, size_t row, const float *bias)
{
	return kernel_dot(s->x + q * s->ldx, s->w + row * s->d, s->d) +
		(bias != NULL ? bias[row] : 0.0f);
}

/* Against every pair's canonical value. */
static void
check(const struct search *s, size_t first, size_t count, const float *bias,
	const float *threshold)
{
	struct kernel_hits h = {0};
	size_t at = 0;

	assert_int_equal(kernel_above(&h, s->r, first, count, s->x, s->ldx, s->m, bias,
				 threshold, s->k, NULL),
		0);
	for (size_t q = 0; q < s->m; q++)
		for (size_t row = first; row < first + count; row++) {
			float v = value_of(s, q, row, bias);

			if (!(v > (threshold != NULL ? threshold[row] : 0.0f)))
				continue;
			assert_true(at < h.n);
			assert_int_equal(h.hit[at].query, q);
			assert_int_equal(h.hit[at].row, row);
			assert_same_floats(&h.hit[at].value, &v, 1);
			at++;
		}
	assert_int_equal(at, h.n);
	kernel_hits_clear(&h);
}

static void
random_path(void)
{
	for (int i = 0; i < 40; i++) {
		struct search s;
		size_t first, count;

		search_new(&s, 1 + naive_below(200), 1 + naive_below(200),
			1 + naive_below(60));
		first = naive_below(s.n);
		count = naive_below(s.n - first + 1);
		check(&s, 0, s.n, s.bias, s.threshold);
		check(&s, first, count, s.bias, s.threshold);
		check(&s, first, count, NULL, s.threshold);
		check(&s, first, count, s.bias, NULL);
		check(&s, first, count, NULL, NULL);
		search_free(&s);
	}
}

static void
test_random(void **state)
{
	(void)state;
	naive_each_pass(random_path);
}

/* More rows than a block, more queries than a chunk; d of 1. */
static void
large_path(void)
{
	struct search s;

	search_new(&s, 2100, 1, 2050);
	for (size_t i = 0; i < s.n; i++)
		s.threshold[i] += 0.8f;
	check(&s, 5, 2090, s.bias, s.threshold);
	search_free(&s);
	search_new(&s, 70, 1500, 130);
	check(&s, 0, 70, s.bias, s.threshold);
	search_free(&s);
}

static void
test_large(void **state)
{
	(void)state;
	naive_each_pass(large_path);
}

/* Thresholds exactly at a value exclude it, one place below include it; huge
 * cancellation makes the cheap pass as wrong as it gets. */
static void
exact_path(void)
{
	for (int i = 0; i < 30; i++) {
		struct search s;
		size_t half;

		search_new(&s, 100, 2 + 2 * naive_below(100), 20);
		half = s.d / 2;
		for (size_t row = 0; i % 2 == 0 && row < s.n; row++)
			for (size_t j = 0; j < half; j++)
				s.w[row * s.d + half + j] = -s.w[row * s.d + j];
		for (size_t q = 0; i % 2 == 0 && q < s.m; q++)
			for (size_t j = 0; j < half; j++) {
				s.x[q * s.ldx + j] *= 1000;
				s.x[q * s.ldx + half + j] = s.x[q * s.ldx + j] *
					(1 + (float)(j % 3) * 0x1p-23f);
			}
		kernel_rows_free(s.r); /* w was changed */
		assert_int_equal(kernel_rows_new(&s.r, s.w, s.n, s.d, NULL), 0);
		for (size_t row = 0; row < s.n; row++) {
			float v = value_of(&s, row % s.m, row, i % 3 ? s.bias : NULL);

			s.threshold[row] = row % 2 ? v : nextafterf(v, -INFINITY);
		}
		check(&s, 0, s.n, i % 3 ? s.bias : NULL, s.threshold);
		search_free(&s);
	}
}

static void
test_exact(void **state)
{
	(void)state;
	naive_each_pass(exact_path);
}

/* NaN and infinity anywhere, overflow and underflow of whole products. */
static void
strange_path(void)
{
	static const float strange[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-38f,
		1e-45f, 0, -0.0f, 1e25f};

	for (int i = 0; i < 60; i++) {
		struct search s;

		search_new(&s, 1 + naive_below(100), 1 + naive_below(100),
			1 + naive_below(30));
		for (size_t j = 0; j < 6; j++) {
			float v = strange[naive_below(10)];

			s.w[naive_below(s.n * s.d)] = v;
			s.x[naive_below(s.m * s.ldx)] = strange[naive_below(10)];
			s.bias[naive_below(s.n)] = strange[naive_below(10)];
			s.threshold[naive_below(s.n)] = strange[naive_below(10)];
		}
		if (i % 4 == 0)
			for (size_t j = 0; j < s.n * s.d; j++)
				s.w[j] *= i % 8 ? 1e-30f : 1e30f;
		if (i % 4 == 0)
			for (size_t j = 0; j < s.m * s.ldx; j++)
				s.x[j] *= i % 8 ? 1e-12f : 1e12f;
		kernel_rows_free(s.r);
		assert_int_equal(kernel_rows_new(&s.r, s.w, s.n, s.d, NULL), 0);
		check(&s, 0, s.n, s.bias, s.threshold);
		check(&s, 0, s.n, NULL, NULL);
		search_free(&s);
	}
}

static void
test_strange(void **state)
{
	(void)state;
	naive_each_pass(strange_path);
}

/* The cheap pass, in its own order, overflows to -infinity; the canonical value
 * does not, and qualifies. */
static void
overflow_path(void)
{
	struct search s;

	search_new(&s, 40, 128, 3);
	memset(s.x, 0, s.m * s.ldx * sizeof(float));
	for (size_t q = 0; q < s.m; q++) {
		s.x[q * s.ldx] = s.x[q * s.ldx + 1] = -3e38f;
		s.x[q * s.ldx + 64] = s.x[q * s.ldx + 65] = 3.3e38f;
	}
	for (size_t i = 0; i < s.n * s.d; i++)
		s.w[i] = 1;
	kernel_rows_free(s.r);
	assert_int_equal(kernel_rows_new(&s.r, s.w, s.n, s.d, NULL), 0);
	assert_true(
		isfinite(value_of(&s, 0, 0, NULL)) && value_of(&s, 0, 0, NULL) > 1e37f);
	check(&s, 0, s.n, NULL, NULL);
	search_free(&s);
}

static void
test_overflow(void **state)
{
	(void)state;
	naive_each_pass(overflow_path);
}

/* Whatever the cut of queries and rows, the hits are the same. */
static void
test_cut(void **state)
{
	struct kernel_hits whole = {0}, parts = {0};
	struct search s;
	size_t at = 0;

	(void)state;
	search_new(&s, 150, 70, 40);
	assert_int_equal(kernel_above(&whole, s.r, 0, 150, s.x, s.ldx, 40, NULL,
				 s.threshold, s.k, NULL),
		0);
	for (size_t q = 0; q < 40; q++)
		for (size_t row = 0; row < 150; row += 50) {
			size_t before = parts.n;

			assert_int_equal(kernel_above(&parts, s.r, row, 50,
						 s.x + q * s.ldx, s.ldx, 1, NULL,
						 s.threshold, s.k, NULL),
				0);
			for (size_t i = before; i < parts.n; i++)
				parts.hit[i].query = (uint32_t)q;
		}
	assert_int_equal(whole.n, parts.n);
	assert_true(whole.n > 0);
	for (; at < whole.n; at++)
		assert_memory_equal(&whole.hit[at], &parts.hit[at], sizeof(*whole.hit));
	kernel_hits_clear(&whole);
	kernel_hits_clear(&parts);
	search_free(&s);
}

static void
test_refused(void **state)
{
	struct kernel_hits h = {0};
	struct err e = ERR_INIT;
	struct search s;
	struct kernel_rows *r;

	(void)state;
	search_new(&s, 10, 5, 3);
	assert_int_equal(kernel_above(&h, s.r, 5, 6, s.x, s.ldx, 3, NULL, NULL, s.k,
				 &e),
		ERR_ARG);
	assert_int_equal(kernel_above(&h, s.r, 11, 0, s.x, s.ldx, 3, NULL, NULL, s.k,
				 &e),
		ERR_ARG);
	assert_int_equal(kernel_above(&h, s.r, 10, 0, s.x, s.ldx, 3, NULL, NULL, s.k,
				 &e),
		0);
	assert_int_equal(kernel_above(&h, s.r, 0, 10, s.x, s.ldx, 0, NULL, NULL, s.k,
				 &e),
		0);
	assert_int_equal(h.n, 0);
	assert_int_equal(kernel_rows_new(&r, s.w, 10, 0, &e), ERR_LIMIT);
	assert_int_equal(kernel_rows_new(&r, s.w, SIZE_MAX / 8, 5, &e), ERR_LIMIT);
	assert_int_equal(kernel_rows_new(&r, s.w, 0, 5, &e), 0);
	assert_int_equal(kernel_above(&h, r, 0, 0, s.x, s.ldx, 3, NULL, NULL, s.k, &e),
		0);
	kernel_rows_free(r);
	search_free(&s);
}

/* So many hits and no more. */
static void
test_most(void **state)
{
	struct kernel_hits h = {0};
	struct err e = ERR_INIT;
	struct search s;
	size_t n;

	(void)state;
	search_new(&s, 300, 40, 50);
	assert_int_equal(kernel_above(&h, s.r, 0, 300, s.x, s.ldx, 50, NULL, NULL, s.k,
				 &e),
		0);
	n = h.n;
	assert_true(n > 100);
	h.n = 0;
	h.most = n;
	assert_int_equal(kernel_above(&h, s.r, 0, 300, s.x, s.ldx, 50, NULL, NULL, s.k,
				 &e),
		0);
	assert_int_equal(h.n, n);
	h.n = 0;
	h.most = n - 1;
	assert_int_equal(kernel_above(&h, s.r, 0, 300, s.x, s.ldx, 50, NULL, NULL, s.k,
				 &e),
		ERR_LIMIT);
	assert_true(h.n <= h.most);
	kernel_hits_clear(&h);
	search_free(&s);
}

/* The n-th allocation fails, for every n. */
static void
test_memory(void **state)
{
	int rc = ERR_NOMEM;
	struct search s;

	(void)state;
	search_new(&s, 300, 5, 30);
	for (long n = 0; rc == ERR_NOMEM; n++) {
		struct kernel_rows *r = NULL;
		struct kernel_work *k = NULL;
		struct kernel_hits h = {0};

		assert_true(n < 30);
		mem_fail_at(n);
		rc = kernel_rows_new(&r, s.w, s.n, s.d, NULL);
		if (rc == 0)
			rc = kernel_work_new(&k, NULL);
		if (rc == 0)
			rc = kernel_above(&h, r, 0, s.n, s.x, s.ldx, s.m, NULL, NULL, k,
				NULL);
		mem_fail_at(-1);
		if (rc == 0)
			assert_true(n > 5 && h.n > 0);
		kernel_hits_clear(&h);
		kernel_work_free(k);
		kernel_rows_free(r);
	}
	assert_int_equal(rc, 0);
	search_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_strange),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
