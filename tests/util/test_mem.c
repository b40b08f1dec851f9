/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"

static void
test_new(void **state)
{
	unsigned char *p = mem_new(10, 100);

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	p = mem_resize(p, 5000, 1);
	assert_non_null(p);
	assert_int_equal(p[999], 0);
	mem_free(p);
	p = mem_new(0, 8);
	assert_non_null(p);
	mem_free(p);
	mem_free(NULL);
}

static void
test_overflow(void **state)
{
	size_t n = 7;

	(void)state;
	assert_null(mem_new(SIZE_MAX / 2, 3));
	assert_null(mem_new(SIZE_MAX, 1));
	assert_null(mem_new_aligned(SIZE_MAX / 2, 3));
	assert_null(mem_new_aligned(SIZE_MAX, 1));
	assert_null(mem_resize(NULL, SIZE_MAX / 2, 3));
	assert_false(mem_mul(SIZE_MAX, 2, &n));
	assert_false(mem_add(SIZE_MAX, 1, &n));
	assert_int_equal(n, 7);
	assert_true(mem_mul(6, 7, &n));
	assert_int_equal(n, 42);
	assert_true(mem_add(SIZE_MAX, 0, &n));
	assert_true(n == SIZE_MAX);
}

static void
test_aligned(void **state)
{
	(void)state;
	for (size_t n = 0; n < 300; n += 7) {
		unsigned char *p = mem_new_aligned(n, 1);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 64, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		mem_free(p);
	}
}

static void
test_strings(void **state)
{
	char *s = mem_strdup("abc"), *t = mem_strndup("abcdef", 2);
	char *u = mem_strndup("ab", 100);

	(void)state;
	assert_string_equal(s, "abc");
	assert_string_equal(t, "ab");
	assert_string_equal(u, "ab");
	mem_free(s);
	mem_free(t);
	mem_free(u);
}

static void
test_fail(void **state)
{
	void *p, *q;

	(void)state;
	mem_fail_at(1);
	p = mem_new(1, 1);
	q = mem_new(1, 1);
	assert_non_null(p);
	assert_null(q);
	assert_null(mem_strdup("x"));
	assert_null(mem_resize(p, 2, 1));
	assert_null(mem_new_aligned(1, 1));
	assert_int_equal(mem_fail_count(), 5);
	mem_fail_at(-1);
	mem_free(p);
	p = mem_new(1, 1);
	assert_non_null(p);
	mem_free(p);
}

static void
test_arena(void **state)
{
	struct arena a;
	unsigned char *p[100];

	(void)state;
	arena_init(&a, 0);
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 100; i++) {
			p[i] = arena_alloc(&a, i * 40, 1);
			assert_non_null(p[i]);
			assert_int_equal((uintptr_t)p[i] % 16, 0);
			memset(p[i], (int)i, i * 40);
		}
		for (size_t i = 1; i < 100; i++)
			assert_true(p[i][0] == i && p[i][i * 40 - 1] == i);
		assert_true(a.used_bytes >= 40 * 99 * 50);
		assert_string_equal(arena_strndup(&a, "hello", 4), "hell");
		arena_reset(&a);
		assert_int_equal(a.used_bytes, 0);
	}
	assert_null(arena_alloc(&a, SIZE_MAX, 2));
	assert_null(arena_alloc(&a, SIZE_MAX - 3, 1));
	assert_null(arena_alloc(&a, SIZE_MAX / 2 + 100, 1));
	assert_non_null(arena_alloc(&a, 3 << 20, 1));
	arena_reset(&a);
	arena_clear(&a);
	assert_null(a.head);
}

static void
test_arena_limit(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 100);
	assert_non_null(arena_alloc(&a, 50, 1));
	assert_null(arena_alloc(&a, 50, 1));
	assert_non_null(arena_alloc(&a, 30, 1));
	assert_null(arena_alloc(&a, 10, 1));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 90, 1));
	arena_clear(&a);
	mem_fail_at(0);
	assert_null(arena_alloc(&a, 1, 1));
	mem_fail_at(-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_aligned),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_arena_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
