/* SPDX-License-Identifier: ISC */
/* Lists filled both ways in one pass are those of a plain search. */
#include "tests/kernel/naive.h"

#include <stdlib.h>

struct side {
	size_t n, k;
	float *w;
	struct kernel_rows *rows;
	struct kernel_lists *lists;
	float *bar;
};

/* kind 1: few distinct values, so that ties abound; kind 2: odd floats. */
static void
side_new(struct side *s, size_t d, int kind, bool bars)
{
	static const float strange[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e-42f, -0.0f};

	s->n = 1 + naive_below(300);
	s->k = 1 + naive_below(40);
	s->w = naive_floats(s->n * d);
	s->bar = mem_new(s->n, sizeof(float));
	for (size_t i = 0; kind == 1 && i < s->n * d; i++)
		s->w[i] = (float)naive_below(3) - 1;
	for (int i = 0; kind == 2 && i < 5; i++)
		s->w[naive_below(s->n * d)] = strange[naive_below(6)];
	assert_int_equal(kernel_rows_new(&s->rows, s->w, s->n, d, NULL), 0);
	assert_int_equal(kernel_lists_new(&s->lists, s->n, s->k, NULL), 0);
	for (size_t i = 0; i < s->n; i++) {
		s->bar[i] = bars ? naive_float() : -INFINITY;
		if (bars)
			kernel_lists_bar(s->lists, i, s->bar[i]);
	}
}

static void
side_free(struct side *s)
{
	kernel_lists_free(s->lists);
	kernel_rows_free(s->rows);
	mem_free(s->bar);
	mem_free(s->w);
}

static int
by_order(const void *pa, const void *pb)
{
	const struct kernel_near *a = pa, *b = pb;

	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

/* Of row i of s, among t's: the k best if so many are above the bar, else told. */
static void
check_row(const struct side *s, const struct side *t, size_t i, size_t d)
{
	struct kernel_near all[300], *near = kernel_lists_row(s->lists, i);
	size_t n = 0, n_above = 0;
	bool whole;

	for (size_t j = 0; j < t->n; j++) {
		float v = naive_dot(s->w + i * d, t->w + j * d, d);

		if (isnan(v) || (s == t && i == j))
			continue;
		all[n++] = (struct kernel_near){(uint32_t)j, v};
		n_above += v > s->bar[i];
	}
	qsort(all, n, sizeof(*all), by_order);
	whole = kernel_lists_sort(s->lists, i);
	assert_int_equal(whole, n_above >= s->k);
	for (size_t j = 0; whole && j < s->k; j++) {
		assert_int_equal(near[j].row, all[j].row);
		assert_true(near[j].value == all[j].value);
	}
}

static void
offer(struct side *a, size_t i, struct side *b, size_t j, size_t size,
	struct kernel_work *w)
{
	size_t n = a->n - i < size ? a->n - i : size;
	size_t m = b->n - j < size ? b->n - j : size;

	assert_int_equal(kernel_pairs(a->lists, a->rows, i, n, b->lists, b->rows, j, m,
				 w, NULL),
		0);
}

/* In blocks of some size, the last first. */
static void
once(int i)
{
	size_t d = 1 + naive_below(90), size = 32 * (1 + naive_below(11));
	struct side a, b;
	struct kernel_work *w;

	assert_int_equal(kernel_work_new(&w, NULL), 0);
	side_new(&a, d, i % 3, i & 1);
	side_new(&b, d, i % 3, i & 1);
	for (size_t y = (b.n - 1) / size * size; y < b.n; y -= size)
		for (size_t x = 0; x < a.n; x += size)
			offer(&a, x, &b, y, size, w);
	for (size_t x = 0; x < a.n; x++)
		check_row(&a, &b, x, d);
	for (size_t y = 0; y < b.n; y++)
		check_row(&b, &a, y, d);
	side_free(&b);
	kernel_lists_free(a.lists);
	assert_int_equal(kernel_lists_new(&a.lists, a.n, a.k, NULL), 0);
	for (size_t x = 0; x < a.n; x++)
		kernel_lists_bar(a.lists, x, a.bar[x]);
	for (size_t x = 0; x < a.n; x += size)
		for (size_t y = x; y < a.n; y += size)
			offer(&a, x, &a, y, size, w);
	for (size_t x = 0; x < a.n; x++)
		check_row(&a, &a, x, d);
	side_free(&a);
	kernel_work_free(w);
}

static void
random_path(void)
{
	for (int i = 0; i < 24; i++)
		once(i);
}

static void
test_random(void **state)
{
	(void)state;
	naive_each_pass(random_path);
}

static void
test_refused(void **state)
{
	struct err e = ERR_INIT;
	struct kernel_work *w;
	struct side a;

	(void)state;
	side_new(&a, 5, 0, false);
	assert_int_equal(kernel_work_new(&w, NULL), 0);
	assert_int_equal(kernel_pairs(a.lists, a.rows, 0, a.n + 1, a.lists, a.rows, 0,
				 a.n, w, &e),
		ERR_ARG);
	assert_int_equal(kernel_pairs(a.lists, a.rows, 0, a.n, a.lists, a.rows, 32, a.n,
				 w, &e),
		ERR_ARG);
	kernel_work_free(w);
	side_free(&a);
}

static void
test_memory(void **state)
{
	int rc = ERR_NOMEM;

	(void)state;
	for (long n = 0; rc == ERR_NOMEM; n++) {
		struct kernel_lists *l;

		assert_true(n < 10);
		mem_fail_at(n);
		rc = kernel_lists_new(&l, 40, 3, NULL);
		mem_fail_at(-1);
		kernel_lists_free(l);
	}
	assert_int_equal(rc, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
