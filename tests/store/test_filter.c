/* SPDX-License-Identifier: ISC */
/* Filters as bits against the numbers that the small store is made of, and against the
 * lists of features that SQL gives. */
#include "tests/store/small.h"

static struct store *s;
static struct store_view *v;
static struct arena a;

static int
open_store(void **state)
{
	struct err err = ERR_INIT;
	uint32_t number;

	if (scratch_make(state) != 0)
		return -1;
	arena_init(&a, 0);
	if (store_open(&s, small_store("f"), STORE_WRITE, &err) != 0)
		return -1;
	small_first = 5;
	small_end = 23;
	OK(small_publish(s, 1, &number, e));
	small_first = small_end = 0;
	OK(store_refresh(s, e));
	return store_view_open(&v, s, &err);
}

static int
close_store(void **state)
{
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
	return scratch_remove(state);
}

static const struct store_filter all = {.max_density = 1};

static bool
has(uint64_t bits, uint32_t i)
{
	return bits >> i & 1;
}

static uint64_t
ask(uint32_t run, uint32_t slot, struct store_filter f)
{
	uint64_t bits = UINT64_MAX >> (64 - small_d_sae[slot]);

	OK(store_filter(v, run, slot, &f, &bits, e));
	assert_int_equal(bits >> small_d_sae[slot] % 64, 0);
	return bits;
}

/* The same by the list of features, which leaves out what was not sought. */
static uint64_t
listed(uint32_t run, uint32_t slot, struct store_filter f)
{
	struct feature_query q = {.min_density = f.min_density,
		.max_density = f.max_density,
		.max_max = INFINITY,
		.max_count = UINT64_MAX,
		.dead = f.alive == ANY   ? ANY
			: f.alive == YES ? NO
					 : YES,
		.labelled = f.labelled,
		.limit = 64};
	struct feature_row row[64];
	uint64_t bits = 0;
	uint32_t n;

	OK(store_features(v, run, slot, &q, row, &n, e));
	for (uint32_t i = 0; i < n; i++)
		bits |= (uint64_t)1 << row[i].index;
	return bits;
}

static void
test_counts(void **state)
{
	double n = WINDOWS * (TOKENS - 1);

	(void)state;
	assert_true(ask(0, 0, all) == UINT64_MAX >> 24);
	for (uint32_t slot = 0; slot < N_SAES; slot++)
		for (uint32_t f = 0; f < small_d_sae[slot]; f++) {
			struct store_filter one = all;
			uint64_t count = small_stats_of(0, slot, f).count;

			assert_true(
				has(ask(0, slot, (struct store_filter){YES, ANY, 0, 1}),
					f) == (count > 0));
			/* its own density is inside of both bounds, by a hair */
			one.min_density = one.max_density = (double)count / n;
			assert_true(has(ask(0, slot, one), f));
			one.min_density = nextafter(one.min_density, 2);
			one.max_density = 1;
			assert_false(has(ask(0, slot, one), f));
			one.min_density = 0;
			one.max_density = nextafter((double)count / n, -1);
			if (count > 0)
				assert_false(has(ask(0, slot, one), f));
		}
}

/* Every kind together, as feature.list has it. */
static void
test_lists(void **state)
{
	static const double bound[] = {0, 0.05, 0.1, 0.15, 0.25, 1};

	(void)state;
	for (uint32_t i = 0; i < 9 * 36; i++) {
		struct store_filter f = {(enum tristate)(i % 3),
			(enum tristate)(i / 3 % 3), bound[i / 9 % 6], bound[i / 54]};

		for (uint32_t slot = 0; slot < N_SAES; slot++)
			assert_true(ask(0, slot, f) == listed(0, slot, f));
	}
}

/* Of what a run did not seek neither is known. */
static void
test_range(void **state)
{
	uint64_t sought = 0;

	(void)state;
	for (uint32_t i = 5; i < 23; i++)
		sought |= (uint64_t)1 << i;
	assert_true(ask(1, 0, all) == UINT64_MAX >> 24);
	for (int i = 1; i < 3; i++) {
		struct store_filter f = {(enum tristate)i, ANY, 0, 1};

		assert_true(ask(1, 0, f) == listed(1, 0, f));
		assert_int_equal(ask(1, 0, f) & ~sought, 0);
	}
	assert_true(ask(1, 0, (struct store_filter){ANY, ANY, 0, 0.9}) == sought);
}

static void
test_labels(void **state)
{
	struct store_label l[2] = {{.feature = 3,
					   .text = "x",
					   .source = LABEL_PERSON,
					   .author = ""},
		{.feature = 39, .text = "y", .source = LABEL_IMPORT, .author = "z"}};
	struct store_filter yes = {ANY, YES, 0, 1}, no = {ANY, NO, 0, 1};
	uint64_t both = (uint64_t)1 << 3 | (uint64_t)1 << 39;
	int64_t ids[2];

	(void)state;
	assert_true(ask(0, 0, yes) == 0);
	memset(l[0].sae_hash, 0x10, sizeof(l[0].sae_hash));
	memset(l[1].sae_hash, 0x10, sizeof(l[1].sae_hash));
	OK(store_labels_lock(s, e));
	OK(store_label_put(s, l, 2, ids, e));
	assert_true(ask(0, 0, yes) == both);
	assert_true(ask(0, 0, no) == (~both & UINT64_MAX >> 24));
	assert_true(ask(0, 1, yes) == 0); /* another SAE */
	assert_true(ask(1, 0, yes) == both); /* labels are of the SAE, not of a run */
	test_lists(state);
	OK(store_label_delete(s, ids[0], e));
	assert_true(ask(0, 0, yes) == (uint64_t)1 << 39);
}

/* Only bits are taken away. */
static void
test_given_bits(void **state)
{
	struct store_filter alive = {YES, ANY, 0, 1};
	uint64_t bits = 0x30f;

	(void)state;
	OK(store_filter(v, 0, 0, &alive, &bits, e));
	assert_true(bits == (0x30f & ask(0, 0, alive)));
	assert_true(bits == 0x10f); /* 9 is dead */
	FAILS(ERR_NOTFOUND, store_filter(v, 9, 0, &alive, &bits, e));
	FAILS(ERR_NOTFOUND, store_filter(v, 0, 2, &alive, &bits, e));
}

/* Whichever allocation fails, and then it works. */
static void
test_no_memory(void **state)
{
	struct store_filter f = {YES, NO, 0.01, 0.5};
	int rc;

	(void)state;
	for (long n = 0, failed = 0;; n++) {
		struct err err = ERR_INIT;
		struct store_view *view;
		struct store *again;
		uint64_t bits = UINT64_MAX;

		OK(store_open(&again, at("f"), STORE_READ, e));
		OK(store_view_open(&view, again, e));
		mem_fail_at(n);
		rc = store_filter(view, 0, 0, &f, &bits, &err);
		mem_fail_at(-1);
		store_view_close(view);
		store_close(again);
		assert_true(rc == 0 || rc == ERR_NOMEM);
		failed += rc != 0;
		if (rc == 0) {
			assert_true(failed > 2);
			assert_true((bits & UINT64_MAX >> 24) == ask(0, 0, f));
			return;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_given_bits),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_labels),
	};

	return cmocka_run_group_tests(tests, open_store, close_store);
}
