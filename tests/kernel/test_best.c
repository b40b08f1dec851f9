/* SPDX-License-Identifier: ISC */
#include "tests/kernel/naive.h"

#include <stdlib.h>

struct search {
	size_t n, d, m;
	float *w, *x, *bias, *scale;
	uint32_t *skip;
	struct kernel_work *k;
};

/* kind 1: few distinct values, so that ties abound; kind 2: odd floats. */
static void
search_new(struct search *s, size_t n, size_t d, size_t m, int kind)
{
	static const float strange[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e-42f, -0.0f};

	*s = (struct search){.n = n, .d = d, .m = m};
	s->w = naive_floats(n * d);
	s->x = naive_floats(m * d);
	s->bias = naive_floats(n);
	s->scale = naive_floats(n);
	s->skip = mem_new(m, sizeof(*s->skip));
	for (size_t i = 0; i < m; i++)
		s->skip[i] = i % 3 ? (uint32_t)naive_below(n) : UINT32_MAX;
	if (kind == 1) {
		for (size_t i = 0; i < n * d; i++)
			s->w[i] = (float)naive_below(3) - 1;
		for (size_t i = 0; i < m * d; i++)
			s->x[i] = (float)naive_below(2);
		for (size_t i = 0; i < n; i++)
			s->scale[i] = s->bias[i] = (float)naive_below(3) - 1;
	}
	for (int i = 0; kind == 2 && i < 5; i++) {
		s->w[naive_below(n * d)] = strange[naive_below(6)];
		s->x[naive_below(m * d)] = strange[naive_below(6)];
		s->bias[naive_below(n)] = strange[naive_below(6)];
		s->scale[naive_below(n)] = strange[naive_below(6)];
	}
	assert_int_equal(kernel_work_new(&s->k, NULL), 0);
}

static void
search_free(struct search *s)
{
	kernel_work_free(s->k);
	mem_free(s->w);
	mem_free(s->x);
	mem_free(s->bias);
	mem_free(s->scale);
	mem_free(s->skip);
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

struct options {
	size_t k, first, count;
	bool bias, scale, skip, smallest;
};

/* The first k of all canonical values, sorted. Returns how many there are. */
static size_t
naive_best(struct kernel_hit *all, const struct search *s, size_t q, struct options o)
{
	size_t n = 0;

	for (size_t row = o.first; row < o.first + o.count; row++) {
		float v = kernel_dot(s->x + q * s->d, s->w + row * s->d, s->d);

		v = v + (o.bias ? s->bias[row] : 0.0f);
		v = v * (o.scale ? s->scale[row] : 1.0f);
		if (isnan(v) || (o.skip && s->skip[q] == row))
			continue;
		all[n++] = (struct kernel_hit){(uint32_t)row, (uint32_t)q, v};
	}
	sort_smallest = o.smallest;
	qsort(all, n, sizeof(*all), by_order);
	return n;
}

static void
check(const struct search *s, struct options o)
{
	struct kernel_hit *best = mem_new(s->m * o.k, sizeof(*best));
	struct kernel_hit *all = mem_new(s->n, sizeof(*all));
	struct kernel_rows *r;

	assert_int_equal(kernel_rows_new(&r, s->w, s->n, s->d, NULL), 0);
	assert_int_equal(kernel_best(best, o.k, r, o.first, o.count, s->x, s->d, s->m,
				 o.bias ? s->bias : NULL, o.scale ? s->scale : NULL,
				 o.smallest, o.skip ? s->skip : NULL, s->k, NULL),
		0);
	for (size_t q = 0; q < s->m; q++) {
		size_t n = naive_best(all, s, q, o);

		for (size_t i = 0; i < o.k; i++) {
			const struct kernel_hit *hit = &best[q * o.k + i];

			assert_int_equal(hit->query, q);
			assert_int_equal(hit->row, i < n ? all[i].row : UINT32_MAX);
			if (i < n)
				assert_true(hit->value == all[i].value);
		}
	}
	kernel_rows_free(r);
	mem_free(best);
	mem_free(all);
}

/* Both ends at once are either alone, bit for bit. */
static void
check_ends(const struct search *s, size_t k)
{
	size_t n_bytes = s->m * k * sizeof(struct kernel_hit);
	struct kernel_hit *most = mem_new(s->m, k * sizeof(*most));
	struct kernel_hit *least = mem_new(s->m, k * sizeof(*least));
	struct kernel_hit *one = mem_new(s->m, k * sizeof(*one));
	struct kernel_rows *r;

	check(s, (struct options){.k = k, .count = s->n});
	check(s, (struct options){.k = k, .count = s->n, .smallest = true});
	assert_int_equal(kernel_rows_new(&r, s->w, s->n, s->d, NULL), 0);
	assert_int_equal(kernel_ends(most, least, k, r, s->x, s->d, s->m, s->k, NULL),
		0);
	for (int smallest = 0; smallest < 2; smallest++) {
		assert_int_equal(kernel_best(one, k, r, 0, s->n, s->x, s->d, s->m, NULL,
					 NULL, smallest, NULL, s->k, NULL),
			0);
		assert_memory_equal(one, smallest ? least : most, n_bytes);
	}
	kernel_rows_free(r);
	mem_free(most);
	mem_free(least);
	mem_free(one);
}

static void
ends_path(void)
{
	for (int i = 0; i < 20; i++) {
		struct search s;

		search_new(&s, 1 + naive_below(i % 5 == 0 ? 5000 : 300),
			1 + naive_below(90), 1 + naive_below(30), i % 3);
		check_ends(&s, 1 + naive_below(40));
		search_free(&s);
	}
}

static void
test_ends(void **state)
{
	(void)state;
	naive_each_pass(ends_path);
}

static void
random_path(void)
{
	for (int i = 0; i < 100; i++) {
		struct search s;
		struct options o = {.bias = i & 1,
			.scale = i & 2,
			.skip = i & 4,
			.smallest = i & 8};

		search_new(&s, 1 + naive_below(300), 1 + naive_below(90),
			1 + naive_below(30), i % 3);
		o.first = naive_below(s.n);
		o.count = naive_below(s.n - o.first + 1);
		o.k = 1 + naive_below(i % 5 == 0 ? 400 : 10);
		check(&s, o);
		o.first = 0;
		o.count = s.n;
		check(&s, o);
		search_free(&s);
	}
}

static void
test_random(void **state)
{
	(void)state;
	naive_each_pass(random_path);
}

/* Every value is the same: rows decide. And no row at all. */
static void
test_ties(void **state)
{
	struct search s;

	(void)state;
	search_new(&s, 200, 3, 5, 0);
	memset(s.w, 0, s.n * s.d * sizeof(float));
	check(&s, (struct options){.k = 7, .first = 3, .count = 190});
	check(&s, (struct options){.k = 7, .first = 3, .count = 190, .smallest = true});
	check(&s, (struct options){.k = 7, .first = 3, .count = 0});
	search_free(&s);
}

/* Best of two ranges, merged, is the best of both together. */
static void
merge_once(bool smallest)
{
	size_t k = 1 + naive_below(12), n = 1 + naive_below(60), cut = naive_below(n);
	struct kernel_hit a[12], b[12], whole[12];
	struct kernel_rows *r;
	struct search s;

	search_new(&s, n, 4, 1, 1);
	assert_int_equal(kernel_rows_new(&r, s.w, n, s.d, NULL), 0);
	kernel_best(whole, k, r, 0, n, s.x, s.d, 1, NULL, NULL, smallest, NULL, s.k,
		NULL);
	kernel_best(a, k, r, 0, cut, s.x, s.d, 1, NULL, NULL, smallest, NULL, s.k,
		NULL);
	kernel_best(b, k, r, cut, n - cut, s.x, s.d, 1, NULL, NULL, smallest, NULL, s.k,
		NULL);
	if (naive_below(2)) {
		kernel_best_merge(a, b, k, smallest);
		assert_memory_equal(a, whole, k * sizeof(*a));
	} else {
		kernel_best_merge(b, a, k, smallest);
		assert_memory_equal(b, whole, k * sizeof(*b));
	}
	kernel_rows_free(r);
	search_free(&s);
}

static void
test_merge(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++)
		merge_once(i & 1);
}

static void
test_refused(void **state)
{
	struct kernel_hit best[2];
	struct err e = ERR_INIT;
	struct kernel_rows *r;
	struct search s;

	(void)state;
	search_new(&s, 10, 5, 2, 0);
	assert_int_equal(kernel_rows_new(&r, s.w, s.n, s.d, NULL), 0);
	assert_int_equal(kernel_best(best, 1, r, 4, 7, s.x, 5, 2, NULL, NULL, false,
				 NULL, s.k, &e),
		ERR_ARG);
	assert_int_equal(kernel_best(best, 0, r, 4, 6, s.x, 5, 2, NULL, NULL, false,
				 NULL, s.k, &e),
		0);
	kernel_rows_free(r);
	search_free(&s);
}

static void
test_memory(void **state)
{
	int rc = ERR_NOMEM;
	struct kernel_rows *r;
	struct search s;

	(void)state;
	search_new(&s, 40, 5, 3, 0);
	assert_int_equal(kernel_rows_new(&r, s.w, s.n, s.d, NULL), 0);
	for (long n = 0; rc == ERR_NOMEM; n++) {
		struct kernel_work *k = NULL;
		struct kernel_hit best[6];

		assert_true(n < 10);
		mem_fail_at(n);
		rc = kernel_work_new(&k, NULL);
		if (rc == 0)
			rc = kernel_best(best, 2, r, 0, s.n, s.x, s.d, s.m, NULL, NULL,
				false, NULL, k, NULL);
		mem_fail_at(-1);
		kernel_work_free(k);
	}
	assert_int_equal(rc, 0);
	kernel_rows_free(r);
	search_free(&s);
}

/* So many rows that a sample of them tells where the best are; what is found is
 * the same, whatever values they have and wherever they stand. */
static void
sample_path(void)
{
	for (int i = 0; i < 6; i++) {
		struct search s;
		struct options o = {.bias = i & 1, .scale = i & 2, .skip = i & 4};

		search_new(&s, 2100 + naive_below(3000), 1 + naive_below(40),
			1 + naive_below(3), i % 3);
		o.smallest = i > 3;
		o.k = 20 + naive_below(100);
		o.count = s.n;
		check(&s, o);
		o.first = naive_below(100);
		o.count -= o.first;
		check(&s, o);
		search_free(&s);
	}
}

/* Rows 5120 and 3000 share the last place, and the later comes first, in the sample:
 * the earlier has it. Of a query of zeros no bound tells them apart. */
static void
sample_ties_path(void)
{
	struct options o = {.k = 100, .count = 6000, .bias = true};
	struct search s;

	search_new(&s, 6000, 800, 1, 0);
	memset(s.x, 0, s.d * sizeof(*s.x));
	memset(s.bias, 0, s.n * sizeof(*s.bias));
	for (size_t i = 0; i < 64; i++)
		s.bias[i] = 0.5f;
	for (size_t i = 320; i < 320 + 99; i++)
		s.bias[i] = 2;
	s.bias[3000] = s.bias[5120] = 1;
	check(&s, o);
	search_free(&s);
}

static void
test_sample(void **state)
{
	(void)state;
	naive_each_pass(sample_path);
	naive_each_pass(sample_ties_path);
}

/* Of most queries all the best are in what is taken as a sample: these are searched
 * again, the others in between are not. */
static void
unlucky_path(void)
{
	struct options o = {.k = 40, .count = 5000};
	struct kernel_counts c;
	struct search s;

	search_new(&s, 5000, 8, 50, 0);
	for (size_t i = 0; i < 100 * s.d; i++)
		s.w[i] *= i % s.d == 0 ? 1e6f : 1;
	for (size_t q = 0; q < s.m; q++)
		s.x[q * s.d] = q % 3 != 0;
	check(&s, o);
	c = kernel_work_counts(s.k);
	assert_in_range(c.queries, s.m + s.m / 2, s.m + s.m * 2 / 3);
	search_free(&s);
}

static void
test_unlucky(void **state)
{
	(void)state;
	naive_each_pass(unlucky_path);
}

/* Once it was wrong too often, no sample is taken of these rows. */
static void
test_given_up(void **state)
{
	struct kernel_hit best[50 * 40];
	struct kernel_rows *r;
	uint64_t before, first;
	struct search s;

	(void)state;
	search_new(&s, 5000, 8, 50, 0);
	for (size_t i = 0; i < 100 * s.d; i++)
		s.w[i] *= 1e6f;
	assert_int_equal(kernel_rows_new(&r, s.w, s.n, s.d, NULL), 0);
	for (int i = 0; i < 2; i++) {
		before = kernel_work_counts(s.k).queries;
		assert_int_equal(kernel_best(best, 40, r, 0, s.n, s.x, s.d, s.m, NULL,
					 NULL, false, NULL, s.k, NULL),
			0);
		first = i == 0 ? kernel_work_counts(s.k).queries : first;
	}
	assert_true(first > s.m);
	assert_int_equal(kernel_work_counts(s.k).queries - before, s.m);
	kernel_rows_free(r);
	search_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_unlucky),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
