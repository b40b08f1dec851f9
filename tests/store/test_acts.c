/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "tests/store/small.h"

/* A window whose chunks are short: two of them share a page. */
static void
test_short_acts(void **state)
{
	enum { WIDE = 60, LONG = 60, MANY = 400 };
	static uint32_t row[LONG + 1], feature[LONG * WIDE];
	static float value[LONG * WIDE];
	struct rec_acts x = {0, LONG, row, feature, value}, got;
	uint32_t d_sae = 20000, have, n = 0;
	uint64_t n_bytes;
	struct run_writer *w;
	struct store *s;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	for (uint32_t t = 0; t < LONG; t++) {
		for (uint32_t f = 0; f < t % WIDE; f++, n++) {
			feature[n] = f * (t % 300) + f;
			value[n] = (float)(n + 1);
		}
		row[t + 1] = n;
	}
	OK(store_open(&s, at("short"), STORE_CREATE, e));
	OK(run_writer_new(&w, &have, s, "00000000000000cc", 1, &d_sae, e));
	for (uint32_t i = 0; i < MANY; i++)
		OK(run_writer_acts(w, 0, i, &x, e));
	OK(run_writer_acts_done(w, e));
	for (uint32_t i = 0; i < MANY; i++) {
		OK(run_writer_read_acts(w, 0, i, &got, &a, e));
		assert_int_equal(got.n_tokens, LONG);
		assert_memory_equal(got.row_start, row, sizeof(row));
		assert_memory_equal(got.feature, feature, n * sizeof(*feature));
		assert_memory_equal(got.value, value, n * sizeof(*value));
		arena_reset(&a);
	}
	OK(dir_size(at("short/tmp"), &n_bytes, e));
	/* features take a byte; of a page less than a tenth is lost */
	assert_true(n_bytes < (uint64_t)MANY * (n * 5 + LONG) * 11 / 10 + 300000);
	run_writer_free(w);
	store_close(s);
	arena_clear(&a);
}

/* Rows so long that a window's activations need several chunks. */
static void
test_many_acts(void **state)
{
	enum { WIDE = 3000, LONG = 40 };
	static uint32_t row[LONG + 1], feature[LONG * WIDE];
	static float value[LONG * WIDE];
	struct rec_acts x = {0, LONG, row, feature, value}, got;
	uint32_t d_sae = WIDE, have;
	struct run_writer *w;
	struct store *s;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	for (uint32_t t = 0; t < LONG; t++)
		for (uint32_t f = 0; f < WIDE; f++) {
			feature[t * WIDE + f] = f;
			value[t * WIDE + f] = (float)(t * WIDE + f);
			row[t + 1] = (t + 1) * WIDE;
		}
	OK(store_open(&s, at("many"), STORE_CREATE, e));
	OK(run_writer_new(&w, &have, s, "00000000000000bb", 1, &d_sae, e));
	OK(run_writer_acts(w, 0, 0, &x, e));
	OK(run_writer_acts(w, 0, 5, &x, e));
	feature[1] = 0;
	FAILS(ERR_INTERNAL, run_writer_acts(w, 0, 6, &x, e));
	feature[1] = 1;
	FAILS(ERR_INTERNAL, run_writer_acts(w, 1, 6, &x, e));
	FAILS(ERR_INTERNAL, run_writer_read_acts(w, 0, 5, &got, &a, e));
	OK(run_writer_acts_done(w, e));
	OK(run_writer_read_acts(w, 0, 5, &got, &a, e));
	assert_int_equal(got.n_tokens, LONG);
	assert_memory_equal(got.row_start, row, sizeof(row));
	assert_memory_equal(got.feature, feature, sizeof(feature));
	assert_memory_equal(got.value, value, sizeof(value));
	OK(run_writer_read_acts(w, 0, 1, &got, &a, e)); /* a window without any */
	assert_int_equal(got.n_tokens, 0);
	FAILS(ERR_INTERNAL, run_writer_acts(w, 0, 7, &x, e));
	run_writer_free(w);
	store_close(s);
	arena_clear(&a);
}

static void
test_acts_range(void **state)
{
	struct store *s;
	struct store_view *v;
	struct arena a;
	struct rec_acts all, some;

	(void)state;
	arena_init(&a, 0);
	OK(store_open(&s, small_store("range"), STORE_READ, e));
	OK(store_view_open(&v, s, e));
	OK(store_acts(v, 0, 0, 3, 0, TOKENS, &all, &a, e));
	for (uint32_t first = 0; first <= TOKENS; first++)
		for (uint32_t n = 0; n <= TOKENS - first; n++) {
			OK(store_acts(v, 0, 0, 3, first, n, &some, &a, e));
			assert_int_equal(some.first_token, first);
			assert_int_equal(some.n_tokens, n);
			assert_int_equal(some.row_start[0], 0);
			for (uint32_t i = 0; i <= n; i++)
				assert_int_equal(some.row_start[i],
					all.row_start[first + i] -
						all.row_start[first]);
			if (some.row_start[n] > 0)
				assert_memory_equal(some.feature,
					all.feature + all.row_start[first],
					some.row_start[n] * sizeof(uint32_t));
		}
	FAILS(ERR_ARG, store_acts(v, 0, 0, 3, 5, 6, &some, &a, e));
	FAILS(ERR_ARG, store_acts(v, 0, 0, 3, 11, 0, &some, &a, e));
	FAILS(ERR_NOTFOUND, store_acts(v, 0, 0, WINDOWS, 0, 1, &some, &a, e));
	FAILS(ERR_NOTFOUND, store_acts(v, 1, 0, 0, 0, 1, &some, &a, e));
	FAILS(ERR_NOTFOUND, store_acts(v, 0, 2, 0, 0, 1, &some, &a, e));
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_acts),
		cmocka_unit_test(test_many_acts),
		cmocka_unit_test(test_acts_range),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
