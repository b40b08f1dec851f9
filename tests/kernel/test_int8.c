/* SPDX-License-Identifier: ISC */
/*
 * The pass in bytes loses nothing: every answer is held against the canonical
 * value of every pair, on data that is hard for quantised products.
 */
#include "tests/kernel/naive.h"

#include <stdlib.h>

struct search {
	size_t n, d, m;
	float *w, *x, *threshold;
	struct kernel_work *k;
};

static float
gauss(void)
{
	double a = ((double)(naive_u64() >> 11) + 0.5) * 0x1p-53;
	double b = ((double)(naive_u64() >> 11) + 0.5) * 0x1p-53;

	return (float)(sqrt(-2 * log(a)) * cos(6.283185307179586 * b));
}

static void
search_new(struct search *s, size_t n, size_t d, size_t m)
{
	*s = (struct search){.n = n, .d = d, .m = m};
	s->w = mem_new_aligned(n * d, sizeof(float));
	s->x = mem_new_aligned(m * d, sizeof(float));
	s->threshold = mem_new_aligned(n, sizeof(float));
	assert_true(s->w != NULL && s->x != NULL && s->threshold != NULL);
	for (size_t i = 0; i < n * d; i++)
		s->w[i] = gauss();
	for (size_t i = 0; i < m * d; i++)
		s->x[i] = gauss();
	assert_int_equal(kernel_work_new(&s->k, NULL), 0);
}

static void
search_free(struct search *s)
{
	kernel_work_free(s->k);
	mem_free(s->w);
	mem_free(s->x);
	mem_free(s->threshold);
}

static float
value_of(const struct search *s, size_t q, size_t row)
{
	return kernel_dot(s->x + q * s->d, s->w + row * s->d, s->d);
}

static void
check_above(const struct search *s, const struct kernel_rows *r)
{
	struct kernel_hits h = {0};
	size_t at = 0;

	assert_int_equal(kernel_above(&h, r, 0, s->n, s->x, s->d, s->m, NULL,
				 s->threshold, s->k, NULL),
		0);
	for (size_t q = 0; q < s->m; q++)
		for (size_t row = 0; row < s->n; row++) {
			float v = value_of(s, q, row);

			if (!(v > s->threshold[row]))
				continue;
			assert_true(at < h.n);
			assert_int_equal(h.hit[at].query, q);
			assert_int_equal(h.hit[at].row, row);
			assert_same_floats(&h.hit[at++].value, &v, 1);
		}
	assert_int_equal(at, h.n);
	kernel_hits_clear(&h);
}

static bool sort_smallest;

static int
by_order(const void *pa, const void *pb)
{
	const struct kernel_hit *a = pa, *b = pb;

	if (a->value != b->value)
		return (a->value < b->value) == sort_smallest ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static void
check_best(const struct search *s, const struct kernel_rows *r, size_t k, bool smallest)
{
	struct kernel_hit *best = mem_new(s->m * k, sizeof(*best));
	struct kernel_hit *all = mem_new(s->n, sizeof(*all));

	sort_smallest = smallest;
	assert_int_equal(kernel_best(best, k, r, 0, s->n, s->x, s->d, s->m, NULL, NULL,
				 smallest, NULL, s->k, NULL),
		0);
	for (size_t q = 0; q < s->m; q++) {
		size_t n = 0;

		for (size_t row = 0; row < s->n; row++) {
			float v = value_of(s, q, row);

			if (!isnan(v))
				all[n++] = (struct kernel_hit){(uint32_t)row,
					(uint32_t)q, v};
		}
		qsort(all, n, sizeof(*all), by_order);
		for (size_t i = 0; i < k; i++) {
			assert_int_equal(best[q * k + i].row,
				i < n ? all[i].row : UINT32_MAX);
			if (i < n)
				assert_true(best[q * k + i].value == all[i].value);
		}
	}
	mem_free(best);
	mem_free(all);
}

/* Above thresholds that stand exactly at a value or one float below it, about
 * two deviations up; and the best, both ways. */
static void
check(struct search *s)
{
	struct kernel_rows *r;

	for (size_t row = 0; row < s->n; row++) {
		float most = -INFINITY;

		for (size_t i = 0; i < 8; i++) {
			float v = value_of(s, naive_below(s->m), row);

			most = v > most ? v : most;
		}
		s->threshold[row] = row % 2 ? most : nextafterf(most, -INFINITY);
	}
	assert_int_equal(kernel_rows_new(&r, s->w, s->n, s->d, NULL), 0);
	check_above(s, r);
	check_best(s, r, 5, false);
	check_best(s, r, 3, true);
	check_above(s, r); /* with what the scratch has learned */
	kernel_rows_free(r);
}

static size_t
some_d(void)
{
	static const size_t d[] = {1, 3, 4, 31, 32, 63, 64, 65, 100, 192, 260};

	return d[naive_below(sizeof(d) / sizeof(d[0]))];
}

static void
gaussian_pass(void)
{
	for (int i = 0; i < 8; i++) {
		struct search s;

		search_new(&s, 1 + naive_below(200), some_d(), 1 + naive_below(70));
		check(&s);
		search_free(&s);
	}
}

static void
test_gaussian(void **state)
{
	(void)state;
	naive_each_pass(gaussian_pass);
}

/* A mean, a falling spectrum, dimensions of outliers in queries and rows. */
static void
spectrum_pass(void)
{
	for (int i = 0; i < 6; i++) {
		struct search s;
		float *dir, factor = i % 2 ? 30.0f : 3000.0f;

		search_new(&s, 1 + naive_below(150), 64 + naive_below(150),
			50 + naive_below(100));
		dir = mem_new_aligned(s.d * 8, sizeof(float));
		for (size_t j = 0; j < 8 * s.d; j++)
			dir[j] = gauss();
		for (size_t q = 0; q < s.m; q++) {
			for (size_t j = 0; j < 8; j++)
				kernel_axpy(s.x + q * s.d, dir + j * s.d,
					j == 0 ? 20 : 10 * gauss() / (float)j, s.d);
			s.x[q * s.d + 5] *= factor;
			s.x[q * s.d + 17] *= -factor;
		}
		for (size_t row = 0; i > 2 && row < s.n; row++)
			s.w[row * s.d + 9] *= factor;
		check(&s);
		mem_free(dir);
		search_free(&s);
	}
}

static void
test_spectrum(void **state)
{
	(void)state;
	naive_each_pass(spectrum_pass);
}

/* Queries that share so large a part that what is left of them is near its
 * rounding errors: these, not quantising, make the bound. */
static void
offset_pass(void)
{
	for (int i = 0; i < 4; i++) {
		struct search s;
		float *dir;

		search_new(&s, 150, 64 + naive_below(100), 60);
		dir = mem_new_aligned(s.d, sizeof(float));
		for (size_t j = 0; j < s.d; j++)
			dir[j] = i % 2 ? gauss() : 1;
		for (size_t j = 0; j < s.m * s.d; j++)
			s.x[j] = 1e6f * dir[j % s.d] + (i < 2 ? 0 : 0.1f) * s.x[j];
		check(&s);
		mem_free(dir);
		search_free(&s);
	}
}

static void
test_offset(void **state)
{
	(void)state;
	naive_each_pass(offset_pass);
}

/* What is no ordinary number; rows and queries of zeros; very large and very
 * small ones beside others. */
static void
strange_pass(void)
{
	static const float strange[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-38f,
		1e-45f, 0, -0.0f, 1e19f, -1e18f};
	static const float factors[] = {0, 1e-44f, 1e-38f, 1e-30f, 1e-20f, 1e15f, 1e18f,
		1e20f, 1e30f, 3e38f};

	for (int i = 0; i < 40; i++) {
		struct search s;

		search_new(&s, 1 + naive_below(80), some_d(), 1 + naive_below(60));
		for (size_t j = 0; j < 4; j++) {
			float a = factors[naive_below(10)],
			      b = factors[naive_below(10)];
			size_t row = naive_below(s.n), q = naive_below(s.m);

			for (size_t c = 0; c < s.d; c++) {
				s.w[row * s.d + c] *= a;
				s.x[q * s.d + c] *= b;
			}
			if (i % 2 == 0)
				continue;
			s.w[naive_below(s.n * s.d)] = strange[naive_below(11)];
			s.x[naive_below(s.m * s.d)] = strange[naive_below(11)];
		}
		check(&s);
		search_free(&s);
	}
}

static void
test_strange(void **state)
{
	(void)state;
	naive_each_pass(strange_pass);
}

/* All norms alike, near the ends of what can be bounded. */
static void
scaled_pass(void)
{
	static const float factors[] = {1e-44f, 1e-37f, 1e-25f, 1e16f, 5e16f, 1e18f};

	for (int i = 0; i < 36; i++) {
		struct search s;

		search_new(&s, 40, some_d(), 30);
		for (size_t j = 0; j < s.n * s.d; j++)
			s.w[j] *= factors[i % 6];
		for (size_t j = 0; j < s.m * s.d; j++)
			s.x[j] *= factors[i / 6];
		check(&s);
		search_free(&s);
	}
}

static void
test_scaled(void **state)
{
	(void)state;
	naive_each_pass(scaled_pass);
}

/* The bound is met: each element is quantised half a step too low, and all errors
 * have the sign of what they are multiplied with. Whichever of the two is exact in
 * bytes, the other's error is the whole of the bound. */
static void
tight_pass(void)
{
	for (int i = 0; i < 20; i++) {
		struct search s;
		struct kernel_rows *r;
		float *exact, *rounded;

		search_new(&s, 33, 24 + naive_below(300), 5);
		exact = i % 2 ? s.w : s.x;
		rounded = i % 2 ? s.x : s.w;
		for (size_t j = 0; j < (i % 2 ? s.n : s.m) * s.d; j++)
			exact[j] = 1;
		for (size_t j = 0; j < (i % 2 ? s.m : s.n) * s.d; j++)
			rounded[j] = (float)naive_below(20) +
				(j % s.d == 0 ? 107.0f : 0.4995f);
		for (size_t j = 0; j < (i % 2 ? s.m : s.n); j++)
			rounded[j * s.d] = 127;
		assert_int_equal(kernel_rows_new(&r, s.w, s.n, s.d, NULL), 0);
		for (size_t row = 0; row < s.n; row++)
			s.threshold[row] = nextafterf(value_of(&s, 0, row), -INFINITY);
		check_above(&s, r);
		check_best(&s, r, 4, false);
		for (size_t j = 0; j < (i % 2 ? s.m : s.n) * s.d; j++)
			rounded[j] = -rounded[j];
		kernel_rows_free(r);
		assert_int_equal(kernel_rows_new(&r, s.w, s.n, s.d, NULL), 0);
		check_best(&s, r, 4, true);
		kernel_rows_free(r);
		search_free(&s);
	}
}

static void
test_tight(void **state)
{
	(void)state;
	naive_each_pass(tight_pass);
}

/* Small integers: many values are the same, rows decide. */
static void
ties_pass(void)
{
	for (int i = 0; i < 10; i++) {
		struct search s;

		search_new(&s, 200, 1 + naive_below(40), 30);
		for (size_t j = 0; j < s.n * s.d; j++)
			s.w[j] = (float)naive_below(3) - 1;
		for (size_t j = 0; j < s.m * s.d; j++)
			s.x[j] = (float)naive_below(3) - 1;
		check(&s);
		search_free(&s);
	}
}

static void
test_ties(void **state)
{
	(void)state;
	naive_each_pass(ties_pass);
}

/* One scratch, rows that come and go, perhaps at the same address: what was
 * learned for some is not used for others. */
static void
other_rows_pass(void)
{
	struct search s;

	search_new(&s, 90, 128, 60);
	for (int i = 0; i < 6; i++) {
		for (size_t j = 0; j < s.n * s.d; j++)
			s.w[j] = gauss();
		for (size_t q = 0; q < s.m; q++)
			s.x[q * s.d + (size_t)i] = 500 + gauss();
		check(&s);
	}
	search_free(&s);
}

static void
test_other_rows(void **state)
{
	(void)state;
	naive_each_pass(other_rows_pass);
}

/* The share of queries that a search by itself does in bytes. */
static double
share_in_bytes(const struct search *s)
{
	struct kernel_counts c;
	struct kernel_rows *r;

	assert_int_equal(kernel_rows_new(&r, s->w, s->n, s->d, NULL), 0);
	check_above(s, r);
	kernel_rows_free(r);
	c = kernel_work_counts(s->k);
	assert_int_equal(c.queries, s->m);
	assert_true(c.kept <= c.tried);
	return (double)c.queries_int8 / (double)c.queries;
}

/* Where it can, it uses bytes; where each query has a spike elsewhere, so that
 * bytes exclude too little, it soon turns to floats. */
static void
test_choice(void **state)
{
	struct search s;
	double share;

	(void)state;
	kernel_use_pass(KERNEL_PASS_AUTO);
	search_new(&s, 300, 128, 200);
	for (size_t i = 0; i < s.n; i++)
		s.threshold[i] = 35;
	share = share_in_bytes(&s);
	assert_true(share == 0 || share == 1); /* by the CPU */
	search_free(&s);
	search_new(&s, 300, 128, 200);
	for (size_t q = 0; q < s.m; q++)
		s.x[q * s.d + naive_below(s.d)] *= 1000;
	for (size_t i = 0; i < s.n; i++)
		s.threshold[i] = 5;
	assert_true(share_in_bytes(&s) == share * 48 / 200);
	search_free(&s);
}

/* The n-th allocation fails, for every n. */
static void
test_memory(void **state)
{
	int rc = ERR_NOMEM;
	struct search s;

	(void)state;
	kernel_use_pass(KERNEL_PASS_INT8);
	search_new(&s, 100, 64, 60);
	for (size_t q = 0; q < s.m; q++)
		s.x[q * s.d + 3] += 100;
	for (long n = 0; rc == ERR_NOMEM; n++) {
		struct kernel_rows *r = NULL;
		struct kernel_work *k = NULL;
		struct kernel_hits h = {0};

		assert_true(n < 40);
		mem_fail_at(n);
		rc = kernel_rows_new(&r, s.w, s.n, s.d, NULL);
		if (rc == 0)
			rc = kernel_work_new(&k, NULL);
		if (rc == 0)
			rc = kernel_above(&h, r, 0, s.n, s.x, s.d, s.m, NULL, NULL, k,
				NULL);
		mem_fail_at(-1);
		if (rc == 0)
			assert_true(n > 15 && h.n > 0);
		kernel_hits_clear(&h);
		kernel_work_free(k);
		kernel_rows_free(r);
	}
	assert_int_equal(rc, 0);
	search_free(&s);
	kernel_use_pass(KERNEL_PASS_AUTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gaussian),
		cmocka_unit_test(test_spectrum),
		cmocka_unit_test(test_offset),
		cmocka_unit_test(test_strange),
		cmocka_unit_test(test_scaled),
		cmocka_unit_test(test_tight),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_other_rows),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
