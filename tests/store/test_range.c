/* SPDX-License-Identifier: ISC */
/*
 * Runs that sought a range of an SAE's features: what the catalogue says of them, which
 * run is asked when none is named, and that others' features are not called lost.
 */
#include "tests/store/ask.h"

#include <stdio.h>
#include <string.h>

static struct store *
publish(struct store *s, unsigned seed, uint32_t first, uint32_t end)
{
	uint32_t number;

	small_first = first;
	small_end = end;
	OK(small_publish(s, seed, &number, e));
	small_first = small_end = 0;
	assert_int_equal(number, seed + 1);
	return s;
}

static int64_t
n_columns(const char *dir)
{
	return ask_number(dir, "SELECT count(*) FROM pragma_table_info('run_sae')");
}

static void
check_newest(const struct store_catalog *c, const char *name, int64_t feature,
	uint32_t want)
{
	uint32_t run = 99, slot = 99;

	if (feature < 0)
		OK(cat_find_run(c, 0, name, &run, &slot, e));
	else
		OK(cat_find_feature_run(c, 0, (uint32_t)feature, name, &run, &slot, e));
	assert_int_equal(c->run[run].number, want);
	assert_int_equal(slot, 0);
}

static void
check_refused(const struct store_catalog *c, const char *name, uint32_t feature,
	const char *arg, const char *text)
{
	struct err e = ERR_INIT;
	uint32_t run, slot;

	assert_int_equal(cat_find_feature_run(c, 0, feature, name, &run, &slot, &e),
		ERR_NOTFOUND);
	assert_string_equal(e.arg, arg);
	if (strstr(e.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, text);
}

static void
test_which_run(void **state)
{
	char *dir = at("which");
	const struct store_catalog *c;
	struct store_view *v;
	struct store *s;
	uint32_t run, slot;

	(void)state;
	OK(store_open(&s, dir, STORE_CREATE, e));
	publish(s, 0, 0, 7);
	publish(s, 1, 7, 30);
	OK(store_view_open(&v, s, e));
	c = store_view_catalog(v);
	assert_int_equal(c->run[0].sae[0].first, 0);
	assert_int_equal(c->run[0].sae[0].end, 7);
	assert_int_equal(c->run[1].sae[0].first, 7);
	assert_int_equal(c->run[1].sae[0].end, 30);
	assert_int_equal(c->run[1].sae[1].first, 0);
	assert_int_equal(c->run[1].sae[1].end, small_d_sae[1]);
	assert_true(cat_sought_all(c, &c->run[1].sae[1]));
	assert_false(cat_sought_all(c, &c->run[0].sae[0]));
	assert_true(cat_sought(&c->run[1].sae[0], 7));
	assert_true(cat_sought(&c->run[1].sae[0], 29));
	assert_false(cat_sought(&c->run[1].sae[0], 6));
	assert_false(cat_sought(&c->run[1].sae[0], 30));
	check_newest(c, "", -1, 2);
	check_newest(c, NULL, 3, 1);
	check_newest(c, NULL, 6, 1);
	check_newest(c, "", 7, 2);
	check_newest(c, "1", 6, 1);
	check_refused(c, NULL, 30, "feature",
		"run 2 sought features 7 to 29 of alpha alone, not 30, and no other");
	check_refused(c, "1", 7, "run",
		"run 1 sought features 0 to 6 of alpha alone, not 7");
	check_refused(c, "9", 7, "run", "there is no run 9");
	store_view_close(v);
	/* a whole one comes first, though it is older than the last */
	publish(s, 2, 0, 0);
	publish(s, 3, 0, 20);
	OK(store_view_open(&v, s, e));
	c = store_view_catalog(v);
	check_newest(c, "", -1, 3);
	check_newest(c, "", 3, 3);
	check_newest(c, "4", 3, 4);
	OK(cat_find_run(c, 1, "", &run, &slot, e));
	assert_int_equal(c->run[run].number, 4);
	store_view_close(v);
	store_close(s);
}

/* Records of features that were not sought are no loss; of those that were, they are. */
static void
test_records(void **state)
{
	struct store_place place = {TABLE_FEATURE, 0, 0};
	char *dir = at("records");
	uint32_t ids[41];
	struct store_value x[41];
	struct arena arena;
	struct store_view *v;
	struct store *s;

	(void)state;
	for (uint32_t i = 0; i < 41; i++)
		ids[i] = i;
	OK(store_open(&s, dir, STORE_CREATE, e));
	publish(s, 0, 5, 21);
	OK(store_view_open(&v, s, e));
	arena_init(&arena, 0);
	OK(store_mget(v, place, ids, 41, x, &arena, e));
	for (uint32_t i = 0; i < 41; i++)
		assert_int_equal(x[i].p != NULL, i >= 5 && i < 21);
	place.b = 1; /* the other SAE has all of its own */
	OK(store_mget(v, place, ids, small_d_sae[1] + 1, x, &arena, e));
	for (uint32_t i = 0; i <= small_d_sae[1]; i++)
		assert_int_equal(x[i].p != NULL, i < small_d_sae[1]);
	arena_clear(&arena);
	store_view_close(v);
	store_close(s);
}

/* The catalogue that says more than the run has: a lost record. */
static void
test_lost(void **state)
{
	struct store_place place = {TABLE_FEATURE, 0, 0};
	char *dir = at("lost");
	struct store_publish p = {0};
	struct cat_sae sae = small_sae_info(0);
	const char *sae_id = sae.id;
	struct cat_run_sae run_sae = {.first = 5, .end = 22};
	struct cat_cut cut;
	struct cat_model model = {.d_model = D_IN};
	struct store_value x[2];
	uint32_t ids[2] = {20, 21}, have, number;
	struct run_writer *w;
	struct arena arena;
	struct store_view *v;
	struct store *s;
	int64_t have_cut;

	(void)state;
	strcpy(model.id, sae.model_id);
	OK(store_open(&s, dir, STORE_CREATE, e));
	small_error = ERR_INIT;
	small_cut(s, 0, &cut, &have_cut);
	small_sae(s, 0, &sae, &have_cut);
	OK(run_writer_new(&w, &have, s, "00000000000000cc", 1, small_d_sae, e));
	small_acts(w, 0, 0);
	OK(run_writer_acts_done(w, e));
	for (uint32_t f = 5; f < 21; f++)
		small_feature(w, 0, 0, f);
	OK(run_writer_finish(w, e));
	run_writer_free(w);
	assert_int_equal(small_error.code, 0);
	p = (struct store_publish){.model = &model,
		.cut = &cut,
		.sae = &sae,
		.n_saes = 1,
		.run_id = "00000000000000cc",
		.run_sae_id = &sae_id,
		.run_sae = &run_sae,
		.n_run_saes = 1};
	OK(store_publish(s, &p, &number, e));
	OK(store_view_open(&v, s, e));
	arena_init(&arena, 0);
	OK(store_mget(v, place, ids, 1, x, &arena, e));
	FAILS(ERR_CORRUPT, store_mget(v, place, ids, 2, x, &arena, e));
	arena_clear(&arena);
	store_view_close(v);
	store_close(s);
}

/* The columns come with the first range, not with ranges that are all of an SAE; a
 * range that no SAE has is refused before it is committed. */
static void
test_columns(void **state)
{
	char *dir = at("columns");
	uint32_t number = 0;
	struct store *s;

	(void)state;
	OK(store_open(&s, dir, STORE_CREATE, e));
	publish(s, 0, 0, 0);
	publish(s, 1, 0, small_d_sae[0]);
	assert_int_equal(n_columns(dir), 9);
	publish(s, 2, 1, 2);
	assert_int_equal(n_columns(dir), 11);
	publish(s, 3, 0, 0);
	assert_int_equal(n_columns(dir), 11);
	small_first = 4;
	small_end = small_d_sae[0] + 1;
	FAILS(ERR_CORRUPT, small_publish(s, 4, &number, e));
	small_first = 9;
	small_end = 9;
	FAILS(ERR_CORRUPT, small_publish(s, 4, &number, e));
	small_first = small_end = 0;
	store_close(s);
	OK(store_open(&s, dir, STORE_READ, e));
	store_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_run),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_columns),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
