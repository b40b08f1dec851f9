/* SPDX-License-Identifier: ISC */
/*
 * The nearest of all rows, found both ways in one pass, are those of plain C that looks
 * at every pair: also of rows that are 0, that are alike, or not numbers, of rows in an
 * order that a sample says nothing about, and whatever the number of threads.
 */
#include "indexer/nearest.h"
#include "tests/kernel/naive.h"

#include <stdlib.h>

enum { D = 24, N_MOST = 4100, K_MOST = 32 };

/* kind 0: clusters; 1: the near ones stand together, where a sample has too few or too
 * many of them; 2: zeros, copies, NaN, infinities. */
static float *
rows_new(uint32_t n, int kind)
{
	static const float strange[] = {NAN, INFINITY, -INFINITY, 0};
	float *x = naive_floats((size_t)n * D), centre[8][D];

	for (size_t i = 0; i < D; i++)
		for (size_t c = 0; c < 8; c++)
			centre[c][i] = naive_float();
	for (size_t i = 0; i < n; i++) {
		size_t c = kind == 1 ? i * 8 / n : naive_below(8);
		float *row = x + i * D, norm;

		for (size_t j = 0; j < D; j++)
			row[j] = row[j] * 0.5f + centre[c][j];
		if (kind == 1 && i % 32 == 0)
			memcpy(row, centre[c], sizeof(centre[c]));
		norm = kernel_norm(row, D);
		for (size_t j = 0; j < D && norm > 0; j++)
			row[j] /= norm;
		if (kind == 2 && i % 5 == 0)
			memcpy(row, x, D * sizeof(*row));
		if (kind == 2 && i % 7 == 0)
			memset(row, 0, D * sizeof(*row));
		if (kind == 2 && i % 501 == 1)
			row[i % D] = strange[i % 4];
	}
	return x;
}

static int
by_order(const void *pa, const void *pb)
{
	const struct kernel_near *a = pa, *b = pb;

	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static void
check(const struct nearest_side *s, const struct nearest_side *t)
{
	struct kernel_near *all = mem_new(t->n, sizeof(*all));

	for (uint32_t i = 0; i < s->n; i += 1 + (uint32_t)naive_below(7)) {
		const struct kernel_near *near = kernel_lists_row(s->lists, i);
		size_t n = 0;

		for (uint32_t j = 0; j < t->n; j++) {
			float v = kernel_dot(s->x + (size_t)i * D, t->x + (size_t)j * D,
				D);

			if (!isnan(v) && (s != t || i != j))
				all[n++] = (struct kernel_near){j, v};
		}
		qsort(all, n, sizeof(*all), by_order);
		for (uint32_t j = 0; j < s->k; j++) {
			assert_int_equal(near[j].row, j < n ? all[j].row : UINT32_MAX);
			if (j < n)
				assert_true(near[j].value == all[j].value);
		}
	}
	mem_free(all);
}

static void
side_new(struct nearest_side *s, uint32_t n, uint32_t k, int kind)
{
	struct kernel_rows *rows;
	float *x = rows_new(n, kind);

	assert_int_equal(kernel_rows_new(&rows, x, n, D, NULL), 0);
	*s = (struct nearest_side){.rows = rows, .x = x, .n = n, .d = D, .k = k};
}

static void
side_clear(struct nearest_side *s)
{
	float *x;

	memcpy(&x, &s->x, sizeof(x)); /* borrowed, hence const */
	kernel_rows_free((struct kernel_rows *)s->rows);
	mem_free(x);
}

static void
once(uint32_t n, uint32_t m, int kind, size_t n_threads)
{
	uint32_t k = n - 1 < K_MOST ? n - 1 : K_MOST;
	struct nearest_side a, b;
	struct pool *pool;

	assert_int_equal(pool_new(&pool, n_threads, NULL), 0);
	side_new(&a, n, k, kind);
	side_new(&b, m, m < K_MOST ? m : K_MOST, kind);
	if (k > 0) {
		assert_int_equal(nearest_find(&a, NULL, pool, &(struct err){0}), 0);
		check(&a, &a);
		kernel_lists_free(a.lists);
	}
	a.k = n < K_MOST ? n : K_MOST;
	assert_int_equal(nearest_find(&a, &b, pool, &(struct err){0}), 0);
	check(&a, &b);
	check(&b, &a);
	kernel_lists_free(a.lists);
	kernel_lists_free(b.lists);
	side_clear(&a);
	side_clear(&b);
	pool_free(pool);
}

static void
test_small(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		once(1 + (uint32_t)naive_below(200), 32 + (uint32_t)naive_below(200),
			i % 3, 1 + i % 3);
}

/* So many that samples set bars, and with each number of blocks, even and odd. */
static void
test_large(void **state)
{
	(void)state;
	once(N_MOST, 1500, 0, 1);
	once(2000, N_MOST, 1, 2);
	once(N_MOST, 1033, 1, 3);
	once(2047, 1900, 2, 2);
}

static void
test_memory(void **state)
{
	struct nearest_side a, b;
	int rc = ERR_NOMEM;

	(void)state;
	side_new(&a, 300, 8, 0);
	side_new(&b, 200, 8, 0);
	for (long n = 0; rc == ERR_NOMEM; n++) {
		struct err e = ERR_INIT;

		assert_true(n < 100);
		a.lists = b.lists = NULL;
		mem_fail_at(n);
		rc = nearest_find(&a, &b, NULL, &e);
		mem_fail_at(-1);
		kernel_lists_free(a.lists);
		kernel_lists_free(b.lists);
	}
	assert_int_equal(rc, 0);
	side_clear(&a);
	side_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
