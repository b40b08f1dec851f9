/* SPDX-License-Identifier: ISC */
/*
 * What a run may lack whose activations were made elsewhere: its SAEs' logit effects,
 * and how much of the variance was explained.
 */
#include "tests/store/ask.h"

static void
check_all(const char *dir, uint32_t n_runs)
{
	struct store_view *v;
	struct store *s;

	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_view_open(&v, s, e));
	assert_int_equal(store_view_catalog(v)->n_runs, n_runs);
	for (uint32_t i = 0; i < n_runs; i++)
		OK(small_check(v, i, i, e));
	store_view_close(v);
	store_close(s);
}

static void
test_unknown(void **state)
{
	static const char nulls[] =
		"SELECT count(*) FROM run_sae WHERE explained IS NULL"
		" AND mse IS NULL AND l0 IS NOT NULL";
	const struct cat_run *run;
	struct store_view *v;
	struct store *s;
	uint32_t number;
	char *dir;

	(void)state;
	small_elsewhere = true;
	dir = mem_strdup(small_store("unknown"));
	check_all(dir, 1);
	assert_int_equal(ask_number(dir, nulls), N_SAES);
	/* a later run tells how much; the SAEs stay as they are */
	OK(store_open(&s, dir, STORE_WRITE, e));
	small_elsewhere = false;
	OK(small_publish(s, 1, &number, e));
	small_elsewhere = true;
	store_close(s);
	check_all(dir, 2);
	assert_int_equal(ask_number(dir, nulls), N_SAES);
	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_view_open(&v, s, e));
	run = store_view_catalog(v)->run;
	for (uint32_t i = 0; i < N_SAES; i++) {
		assert_true(isnan(run[0].sae[i].explained));
		assert_true(isnan(run[0].sae[i].mse));
		assert_true(run[0].sae[i].l0 == 2.5);
		assert_true(run[1].sae[i].explained == 0.75);
		assert_true(run[1].sae[i].mse == 0.5);
	}
	store_view_close(v);
	store_close(s);
	small_elsewhere = false;
	mem_free(dir);
}

/* And the other way round: effects that are there stay for all runs. */
static void
test_known_first(void **state)
{
	char *dir = mem_strdup(small_store("known"));
	struct store *s;
	uint32_t number;

	(void)state;
	OK(store_open(&s, dir, STORE_WRITE, e));
	small_elsewhere = true;
	OK(small_publish(s, 1, &number, e));
	small_elsewhere = false;
	store_close(s);
	check_all(dir, 2);
	mem_free(dir);
}

/* Writes an SAE whose logit effects lack one feature's, publishes, and asks. */
static void
lacks_one(const char *name, uint32_t lost)
{
	struct store *s;
	struct store_view *v;
	struct cat_sae info = small_sae_info(0);
	struct cat_model model = {.d_model = D_IN};
	struct store_publish p = {.model = &model, .sae = &info, .n_saes = 1};
	struct rec_scored x = {1, 1};
	struct rec_logits r = {&x, &x, 1, 1};
	float rows[40 * D_IN] = {0};
	struct store_value value[40];
	uint32_t ids[41], number;
	struct sae_writer *w;
	struct arena a;
	int64_t have;

	strcpy(model.id, info.model_id);
	OK(store_open(&s, at(name), STORE_CREATE, e));
	OK(sae_writer_new(&w, &have, s, &info, rows, NULL, e));
	for (uint32_t f = 0; f < 40; f++) {
		ids[f] = f;
		if (f != lost)
			OK(sae_writer_logits(w, f, &r, e));
	}
	ids[40] = 40;
	OK(sae_writer_finish(w, e));
	sae_writer_free(w);
	OK(store_publish(s, &p, &number, e));
	OK(store_refresh(s, e));
	OK(store_view_open(&v, s, e));
	arena_init(&a, 0);
	for (uint32_t f = 0; f < 40; f++) {
		struct store_place place = {TABLE_LOGITS, 0, 0};

		if (f == lost)
			FAILS(ERR_CORRUPT,
				store_mget(v, place, ids + f, 1, value, &a, e));
		else
			OK(store_mget(v, place, ids + f, 1, value, &a, e));
	}
	OK(store_mget(v, (struct store_place){TABLE_LOGITS, 0, 0}, ids + 40, 1, value,
		&a, e));
	assert_null(value[0].p);
	arena_clear(&a);
	store_view_close(v);
	store_close(s);
}

/* None is none; some are a damage. */
static void
test_all_or_none(void **state)
{
	(void)state;
	lacks_one("first", 0);
	lacks_one("middle", 17);
	lacks_one("last", 39);
}

/* L0 is always known: what is no number does not come into the catalogue. */
static void
test_l0(void **state)
{
	struct cat_run_sae both[N_SAES] = {{.l0 = 1}, {.l0 = NAN}};
	char run_id[STORE_ID_CHARS];
	char *dir = mem_strdup(small_store("l0"));
	const char *ids[N_SAES];
	struct store_publish p = {.run_sae = both,
		.run_sae_id = ids,
		.n_run_saes = N_SAES,
		.run_id = run_id};
	const struct store_catalog *c;
	struct store_view *v;
	struct store *s;
	uint32_t have, number;

	(void)state;
	OK(store_open(&s, dir, STORE_WRITE, e));
	OK(store_view_open(&v, s, e));
	c = store_view_catalog(v);
	for (uint32_t i = 0; i < N_SAES; i++)
		ids[i] = c->sae[i].id;
	p.model = &c->model[0];
	p.run_cut_id = c->cut[0].id;
	small_error = ERR_INIT;
	small_run(s, 1, run_id, &have);
	assert_int_equal(small_error.code, 0);
	FAILS(ERR_CORRUPT, store_publish(s, &p, &number, e));
	store_view_close(v);
	store_close(s);
	check_all(dir, 1);
	mem_free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_known_first),
		cmocka_unit_test(test_all_or_none),
		cmocka_unit_test(test_l0),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
