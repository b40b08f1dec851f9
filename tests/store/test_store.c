/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "tests/store/small.h"

static void
test_round_trip(void **state)
{
	struct store *s;
	struct store_view *v;
	const struct store_catalog *c;
	char *dir = small_store("round");

	(void)state;
	OK(store_open(&s, dir, STORE_READ, e));
	assert_string_equal(store_dir(s), dir);
	OK(store_view_open(&v, s, e));
	c = store_view_catalog(v);
	assert_int_equal(c->n_models, 1);
	assert_int_equal(c->n_cuts, 1);
	assert_int_equal(c->n_saes, 2);
	assert_int_equal(c->n_runs, 1);
	assert_int_equal(c->n_graphs, 1);
	assert_string_equal(c->model[0].name, "tiny");
	assert_int_equal(c->cut[0].bos, 1);
	assert_true(c->cut[0].prepend_bos && !c->cut[0].joined);
	assert_string_equal(c->sae[0].hook, "blocks.1.hook_resid_pre");
	assert_int_equal(c->sae[1].hash[31], 0x11);
	assert_int_equal(c->run[0].number, 1);
	assert_int_equal(c->run[0].n_saes, 2);
	assert_true(c->run[0].sae[1].l0 == 2.5 && c->run[0].sae[1].sae == 1);
	assert_string_equal(c->run[0].provenance, "{\"seed\":1}");
	assert_int_equal(c->graph[0].k, 4);
	OK(small_check(v, 0, 0, e));
	OK(small_check(v, 0, 0, e));
	store_view_close(v);
	store_close(s);
	store_close(NULL);
}

static void
test_find(void **state)
{
	struct store *s;
	struct store_view *v;
	const struct store_catalog *c;
	uint32_t run, slot;

	(void)state;
	OK(store_open(&s, small_store("find"), STORE_READ, e));
	OK(store_view_open(&v, s, e));
	c = store_view_catalog(v);
	assert_int_equal(cat_find_sae(c, "alphabet", 5), 0);
	assert_int_equal(cat_find_sae(c, "BETA", 4), 1);
	assert_int_equal(cat_find_sae(c, "1111111111111111", 16), 1);
	assert_int_equal(cat_find_sae(c, "alph", 4), -1);
	assert_int_equal(cat_find_sae(c, "", 0), -1);
	OK(cat_find_run(c, 1, NULL, &run, &slot, e));
	assert_true(run == 0 && slot == 1);
	OK(cat_find_run(c, 1, "1", &run, &slot, e));
	OK(cat_find_run(c, 0, "0000000000000001", &run, &slot, e));
	assert_int_equal(slot, 0);
	FAILS(ERR_NOTFOUND, cat_find_run(c, 0, "2", &run, &slot, e));
	FAILS(ERR_NOTFOUND, cat_find_run(c, 0, "1x", &run, &slot, e));
	FAILS(ERR_NOTFOUND, cat_find_run(c, 9, "1", &run, &slot, e));
	store_view_close(v);
	store_close(s);
}

/* A view stays what it was while a run is published and another is removed. */
static void
test_refresh(void **state)
{
	struct store *reader, *writer;
	struct store_view *old, *new;
	uint32_t number;
	char *dir = small_store("refresh");

	(void)state;
	OK(store_open(&reader, dir, STORE_READ, e));
	OK(store_view_open(&old, reader, e));
	assert_false(store_has_newer(reader));
	OK(store_open(&writer, dir, STORE_WRITE, e));
	OK(small_publish(writer, 1, &number, e));
	assert_int_equal(number, 2);
	assert_true(store_has_newer(reader));
	OK(store_refresh(reader, e));
	assert_false(store_has_newer(reader));
	OK(store_refresh(reader, e));
	OK(store_view_open(&new, reader, e));
	assert_int_equal(store_view_catalog(old)->n_runs, 1);
	assert_int_equal(store_view_catalog(new)->n_runs, 2);
	assert_int_equal(store_view_catalog(new)->n_saes, 2);
	assert_true(store_view_catalog(new)->generation >
		store_view_catalog(old)->generation);
	OK(small_check(old, 0, 0, e));
	OK(small_check(new, 0, 0, e));
	OK(small_check(new, 1, 1, e));
	/* what an old view has open outlives the files */
	OK(store_remove_run(writer, 1, e));
	OK(store_refresh(reader, e));
	OK(small_check(old, 0, 0, e));
	store_view_close(old);
	store_view_close(new);
	/* numbers are not used twice */
	OK(store_remove_run(writer, 2, e));
	OK(small_publish(writer, 0, &number, e));
	assert_int_equal(number, 3);
	store_close(writer);
	store_close(reader);
}

static void
test_stale(void **state)
{
	struct store *reader, *writer;
	struct store_view *v;
	char *dir = small_store("stale");

	(void)state;
	OK(store_open(&reader, dir, STORE_READ, e));
	OK(store_view_open(&v, reader, e));
	OK(store_open(&writer, dir, STORE_WRITE, e));
	OK(store_remove_run(writer, 1, e));
	FAILS(ERR_STALE, small_check(v, 0, 0, e));
	store_view_close(v);
	store_close(writer);
	store_close(reader);
}

static void
test_modes(void **state)
{
	struct store *s, *other;
	struct cat_cut cut = small_cut_info(0);
	struct cut_writer *w;
	int64_t have;

	(void)state;
	FAILS(ERR_NOTFOUND, store_open(&s, at("none"), STORE_READ, e));
	FAILS(ERR_NOTFOUND, store_open(&s, at("none"), STORE_WRITE, e));
	assert_false(file_exists(at("none")));
	assert_int_equal(dir_make(at("other"), NULL), 0);
	FAILS(ERR_FORMAT, store_open(&s, at("other"), STORE_READ, e));
	put_file(at("other/letter"), "dear", 4);
	FAILS(ERR_FORMAT, store_open(&s, at("other"), STORE_CREATE, e));
	assert_false(file_exists(at("other/writer.lock")));
	FAILS(ERR_FORMAT, store_open(&s, at("other/letter"), STORE_CREATE, e));
	OK(store_open(&s, at("a/b"), STORE_CREATE, e));
	FAILS(ERR_BUSY, store_open(&other, at("a/b"), STORE_WRITE, e));
	FAILS(ERR_BUSY, store_open(&other, at("a/b"), STORE_CREATE, e));
	OK(store_open(&other, at("a/b"), STORE_READ, e));
	FAILS(ERR_DENIED, cut_writer_new(&w, &have, other, &cut, e));
	store_close(other);
	store_close(s);
	OK(store_open(&s, at("a/b"), STORE_WRITE, e));
	store_close(s);
}

static void
test_version(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{\"format\":\"saedb\"}",
		"{\"format\":\"x\",\"version\":1}",
		"{\"format\":\"saedb\",\"version\":\"1\"}",
		"{\"format\":\"saedb\",\"version\":1.5}"};
	char *dir = small_store("version"), *file = at("version/saedb.json");
	struct err said = ERR_INIT;
	struct store *s;
	uint64_t before, after;

	(void)state;
	assert_int_equal(dir_make(at("version/tmp/1-0"), NULL), 0);
	assert_int_equal(dir_size(dir, &before, NULL), 0);
	put_file(file, "{\"format\":\"saedb\",\"version\":2}", 30);
	FAILS(ERR_VERSION, store_open(&s, dir, STORE_READ, e));
	FAILS(ERR_VERSION, store_open(&s, dir, STORE_WRITE, e));
	assert_int_equal(store_open(&s, dir, STORE_CREATE, &said), ERR_VERSION);
	assert_non_null(strstr(said.text, "version 2"));
	assert_non_null(strstr(said.text, "index again"));
	/* nothing was touched */
	assert_true(file_is_dir(at("version/tmp/1-0")));
	assert_int_equal(dir_size(dir, &after, NULL), 0);
	assert_int_equal(before, after);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_file(file, bad[i], strlen(bad[i]));
		FAILS(ERR_FORMAT, store_open(&s, dir, STORE_READ, e));
	}
	put_file(file, "{ \"version\": 1, \"format\": \"saedb\" }", 36);
	OK(store_open(&s, dir, STORE_READ, e));
	store_close(s);
}

/* What is there is not written again; names are kept apart. */
static void
test_shared(void **state)
{
	struct cat_cut cut = small_cut_info(0);
	struct cat_sae info = small_sae_info(0);
	float rows[40 * D_IN] = {0};
	struct cut_writer *cw;
	struct sae_writer *sw;
	struct graph_writer *gw;
	struct run_writer *rw;
	struct store *s;
	uint32_t number;
	int64_t have;
	bool have_graph;

	(void)state;
	OK(store_open(&s, small_store("shared"), STORE_WRITE, e));
	OK(cut_writer_new(&cw, &have, s, &cut, e));
	assert_true(cw == NULL && have == 0);
	strcpy(info.name, "other");
	OK(sae_writer_new(&sw, &have, s, &info, rows, NULL, e));
	assert_true(sw == NULL && have == 0);
	OK(graph_writer_new(&gw, &have_graph, s, "1010101010101010", "1111111111111111",
		4, e));
	assert_true(gw == NULL && have_graph);
	OK(run_writer_new(&rw, &number, s, "0000000000000001", N_SAES, small_d_sae, e));
	assert_true(rw == NULL && number == 1);
	info.hash[0] = 0xff;
	strcpy(info.name, "ALPHA");
	FAILS(ERR_ARG, sae_writer_new(&sw, &have, s, &info, rows, NULL, e));
	strcpy(info.name, "a/b");
	FAILS(ERR_ARG, sae_writer_new(&sw, &have, s, &info, rows, NULL, e));
	strcpy(info.name, "");
	FAILS(ERR_ARG, sae_writer_new(&sw, &have, s, &info, rows, NULL, e));
	cut.context++;
	OK(cut_writer_new(&cw, &have, s, &cut, e));
	assert_true(cw != NULL && have == -1);
	FAILS(ERR_INTERNAL, cut_writer_finish(cw, &cut, e));
	cut_writer_free(cw);
	store_close(s);
	assert_int_equal(dir_size(at("shared/tmp"), (uint64_t[1]){0}, NULL), 0);
}

#define MOST_OUT (D_IN + 3)

/* Publishes an SAE of three rows of that width, named after it. */
static void
publish_wide(struct store *s, uint32_t d_out)
{
	struct cat_sae info = small_sae_info(0);
	struct store_publish p = {.sae = &info, .n_saes = 1};
	float rows[3 * MOST_OUT];
	struct sae_writer *w;
	uint32_t number;
	int64_t have;

	for (uint32_t i = 0; i < 3 * d_out; i++)
		rows[i] = i / d_out == i % d_out ? 1 : 0.25f;
	memset(info.hash, (int)d_out, sizeof(info.hash));
	hash_hex(info.hash, 8, info.id);
	snprintf(info.name, sizeof(info.name), "wide%u", d_out);
	info.d_sae = 3;
	info.d_out = d_out;
	OK(sae_writer_new(&w, &have, s, &info, rows, NULL, e));
	OK(sae_writer_finish(w, e));
	sae_writer_free(w);
	OK(store_publish(s, &p, &number, e));
}

static void
check_wide(struct store *s, uint32_t sae, uint32_t d_out)
{
	float vector[MOST_OUT] = {0};
	struct rec_scored got[3];
	struct store_view *v;
	const float *rows;
	uint32_t n;

	OK(store_view_open(&v, s, e));
	assert_int_equal(store_view_catalog(v)->sae[sae].d_in, D_IN);
	assert_int_equal(store_view_catalog(v)->sae[sae].d_out, d_out);
	OK(store_decoder(v, sae, &rows, e));
	assert_true(rows[2 * d_out + 2] == 1 && rows[3 * d_out - 1] == 0.25f);
	vector[2] = 1;
	OK(nearest(v, sae, vector, 3, got, &n, e));
	assert_true(n == 3 && got[0].id == 2);
	store_view_close(v);
}

/* A width of its own adds a column, and only that. */
static void
test_d_out(void **state)
{
	static const char ask[] = "SELECT d_out FROM sae WHERE d_out IS NOT NULL";
	char *dir = small_store("d_out");
	struct store *s;
	struct stmt *st;
	struct db *db;

	(void)state;
	OK(store_open(&s, dir, STORE_WRITE, e));
	publish_wide(s, D_IN);
	OK(db_open(&db, at("d_out/catalog.db"), DB_READ, e));
	FAILS(ERR_INTERNAL, db_prepare(db, &st, ask, e));
	db_close(db);
	publish_wide(s, MOST_OUT);
	publish_wide(s, 4);
	OK(db_open(&db, at("d_out/catalog.db"), DB_READ, e));
	OK(db_prepare(db, &st, ask, e));
	assert_int_equal(stmt_step(st, NULL), 1);
	assert_int_equal(row_i64(st, 0), MOST_OUT);
	assert_int_equal(stmt_step(st, NULL), 1);
	assert_int_equal(stmt_step(st, NULL), 0);
	db_close(db);
	check_wide(s, 2, D_IN);
	check_wide(s, 3, MOST_OUT);
	check_wide(s, 4, 4);
	store_close(s);
}

/* Says that the decoder of the SAE at 3 has another width. */
static void
set_d_out(const char *sql)
{
	struct db *db;

	OK(db_open(&db, at("d_out/catalog.db"), DB_WRITE, e));
	OK(db_begin(db, e));
	OK(db_exec(db, sql, e));
	OK(catalog_seal(db, e));
	OK(db_commit(db, e));
	db_close(db);
}

static void
test_d_out_wrong(void **state)
{
	char *dir = at("d_out"); /* as the test before leaves it */
	const float *rows;
	struct store_view *v;
	struct store *s;

	(void)state;
	set_d_out("UPDATE sae SET d_out=d_out+1 WHERE name='wide4'");
	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_view_open(&v, s, e));
	FAILS(ERR_CORRUPT, store_decoder(v, 4, &rows, e));
	store_view_close(v);
	store_close(s);
	set_d_out("UPDATE sae SET d_out=0 WHERE name='wide4'");
	FAILS(ERR_CORRUPT, store_open(&s, dir, STORE_READ, e));
	set_d_out("UPDATE sae SET d_out=1<<32 WHERE name='wide4'");
	FAILS(ERR_CORRUPT, store_open(&s, dir, STORE_READ, e));
	set_d_out("UPDATE sae SET d_out=NULL WHERE name='wide4'");
	OK(store_open(&s, dir, STORE_READ, e));
	store_close(s);
}

static void
test_pending_goes(void **state)
{
	struct cat_cut cut;
	struct cut_reader *r;
	struct rec_window got, want;
	struct store *s;
	struct arena a;
	int64_t have;
	char text[64], **names;
	size_t n;

	(void)state;
	arena_init(&a, 0);
	OK(store_open(&s, at("pending"), STORE_CREATE, e));
	small_cut(s, 0, &cut, &have);
	OK(cut_reader_open(&r, s, cut.id, e));
	OK(cut_reader_window(r, 7, &got, &a, e));
	small_window(7, &want, text);
	assert_memory_equal(got.text, text, strlen(text));
	FAILS(ERR_NOTFOUND, cut_reader_window(r, WINDOWS, &got, &a, e));
	cut_reader_close(r);
	store_close(s);
	assert_int_equal(dir_list(at("pending/tmp"), &names, &n, NULL), 0);
	assert_int_equal(n, 0);
	mem_free(names);
	arena_clear(&a);
	/* and of a published one */
	OK(store_open(&s, small_store("pending2"), STORE_WRITE, e));
	OK(cut_reader_open(&r, s, cut.id, e));
	OK(cut_reader_window(r, 7, &got, &a, e));
	cut_reader_close(r);
	FAILS(ERR_NOTFOUND, cut_reader_open(&r, s, "ffffffffffffffff", e));
	arena_clear(&a);
	store_close(s);
}

static void
test_manage(void **state)
{
	char *dir = small_store("manage");
	struct store_usage *u;
	struct store_view *v;
	struct store *s;
	uint64_t freed, cuts = 0;
	uint32_t number;
	size_t n;

	(void)state;
	OK(store_open(&s, dir, STORE_WRITE, e));
	OK(small_publish(s, 1, &number, e));
	FAILS(ERR_NOTFOUND, store_remove_run(s, 7, e));
	FAILS(ERR_NOTFOUND, store_rename_sae(s, "gamma", "x", e));
	FAILS(ERR_ARG, store_rename_sae(s, "alpha", "BETA", e));
	FAILS(ERR_ARG, store_rename_sae(s, "alpha", "", e));
	OK(store_rename_sae(s, "alpha", "Alpha", e));
	OK(store_rename_sae(s, "alpha", "gamma", e));
	OK(store_du(s, &u, &n, e));
	for (size_t i = 0; i < n; i++) {
		assert_true(u[i].n_bytes > 0);
		cuts += strcmp(u[i].what, "cut") == 0;
		if (i == 2)
			assert_string_equal(u[i].name, "gamma");
	}
	assert_int_equal(cuts, 2);
	mem_free(u);
	assert_int_equal(dir_make(at("manage/run/feedfeedfeedfeed"), NULL), 0);
	OK(store_gc(s, &freed, e));
	assert_false(file_exists(at("manage/run/feedfeedfeedfeed")));
	OK(store_remove_run(s, 1, e));
	assert_false(file_exists(at("manage/run/0000000000000001")));
	OK(store_gc(s, &freed, e));
	assert_true(freed > 0);
	OK(store_view_open(&v, s, e));
	assert_int_equal(store_view_catalog(v)->n_cuts, 1);
	assert_int_equal(store_view_catalog(v)->n_saes, 2);
	OK(small_check(v, 0, 1, e));
	store_view_close(v);
	OK(store_remove_run(s, 2, e));
	OK(store_gc(s, &freed, e));
	OK(store_view_open(&v, s, e));
	assert_int_equal(store_view_catalog(v)->n_models, 0);
	assert_int_equal(store_view_catalog(v)->n_cuts, 0);
	assert_int_equal(store_view_catalog(v)->n_saes, 0);
	assert_int_equal(store_view_catalog(v)->n_graphs, 0);
	store_view_close(v);
	OK(small_publish(s, 0, &number, e));
	assert_int_equal(number, 3);
	store_close(s);
}

static void
test_nearest(void **state)
{
	struct store *s;
	struct store_view *v;
	struct rec_scored got[64];
	uint32_t n;

	(void)state;
	OK(store_open(&s, small_store("near"), STORE_READ, e));
	OK(store_view_open(&v, s, e));
	for (uint32_t q = 0; q < 10; q++) {
		float vector[D_IN];
		double norm = 0, last = 2;

		for (uint32_t i = 0; i < D_IN; i++) {
			vector[i] = small_decoder(3, q, i) * 100;
			norm += (double)vector[i] * (double)vector[i];
		}
		OK(nearest(v, 0, vector, 64, got, &n, e));
		assert_int_equal(n, 40); /* all there are */
		for (uint32_t j = 0; j < n; j++) {
			double dot = 0, len = 0;

			for (uint32_t i = 0; i < D_IN; i++) {
				double x = (double)small_decoder(0, got[j].id, i);

				dot += x * (double)vector[i];
				len += x * x;
			}
			dot /= sqrt(norm * len);
			assert_true(fabs(dot - (double)got[j].score) < 1e-5);
			assert_true(dot <= last + 1e-5);
			last = dot;
		}
	}
	OK(nearest(v, 1, (float[D_IN]){1}, 3, got, &n, e));
	assert_int_equal(n, 3);
	OK(nearest(v, 1, (float[D_IN]){0}, 3, got, &n, e));
	assert_true(got[0].score == 0);
	OK(nearest(v, 1, (float[D_IN]){1}, 0, got, &n, e));
	assert_int_equal(n, 0);
	FAILS(ERR_NOTFOUND, nearest(v, 2, (float[D_IN]){1}, 1, got, &n, e));
	store_view_close(v);
	store_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_d_out),
		cmocka_unit_test(test_d_out_wrong),
		cmocka_unit_test(test_pending_goes),
		cmocka_unit_test(test_manage),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
