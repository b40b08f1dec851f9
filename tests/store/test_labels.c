/* SPDX-License-Identifier: ISC */
#include "tests/store/small.h"

static struct store *s;
static struct store_view *v;
static struct arena a;

static int
open_store(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	arena_init(&a, 0);
	dir_remove(at("l"), NULL);
	if (store_open(&s, small_store("l"), STORE_READ, &e) != 0)
		return -1;
	return store_view_open(&v, s, &e);
}

static int
close_store(void **state)
{
	(void)state;
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
	return 0;
}

static struct store_label
label(uint32_t slot, uint32_t feature, const char *text, const char *source,
	const char *author, int64_t time_s)
{
	struct store_label l = {.feature = feature,
		.text = text,
		.source = source,
		.author = author,
		.time_s = time_s};

	memset(l.sae_hash, 0x10 + (int)slot, sizeof(l.sae_hash));
	return l;
}

static int64_t
put(struct store_label l)
{
	int64_t id = 0;

	OK(store_label_put(s, &l, 1, &id, e));
	assert_true(id > 0);
	return id;
}

static uint32_t
labels_of(uint32_t feature, const struct store_label **list)
{
	uint32_t n = 0;

	OK(store_labels(v, 0, 0, feature, list, &n, &a, e));
	return n;
}

static void
test_put(void **state)
{
	const struct store_label *list;
	struct store_label l = label(0, 3, "one", LABEL_PERSON, "ann", 100);
	int64_t id, again;

	(void)state;
	FAILS(ERR_DENIED, store_label_put(s, &l, 1, &id, e));
	FAILS(ERR_DENIED, store_label_delete(s, 1, e));
	OK(store_labels_lock(s, e));
	OK(store_labels_lock(s, e));
	assert_int_equal(labels_of(3, &list), 1);
	assert_string_equal(list[0].source, LABEL_KEYWORDS);
	assert_string_equal(list[0].text, "odd bridge, number3");
	id = put(l);
	assert_int_equal(labels_of(3, &list), 2);
	assert_string_equal(list[0].text, "one");
	assert_string_equal(list[0].author, "ann");
	assert_true(list[0].id == id && list[0].time_s == 100 && !list[0].has_score);
	l.text = "two";
	l.time_s = 0;
	again = put(l);
	assert_int_equal(again, id);
	assert_int_equal(labels_of(3, &list), 2);
	assert_string_equal(list[0].text, "two");
	assert_true(list[0].time_s > 1000000000); /* now */
	l.author = "bob";
	assert_true(put(l) != id);
	assert_int_equal(labels_of(3, &list), 3);
	OK(store_label_delete(s, id, e));
	FAILS(ERR_NOTFOUND, store_label_delete(s, id, e));
	assert_int_equal(labels_of(3, &list), 2);
	assert_string_equal(list[0].author, "bob");
	assert_int_equal(labels_of(9, &list), 0); /* dead: no keywords */
}

static void
test_order(void **state)
{
	const struct store_label *list;
	struct store_label best[40], many[12];
	int64_t got[12];
	uint32_t ids[40];

	(void)state;
	OK(store_labels_lock(s, e));
	for (int i = 0; i < 4; i++) {
		static const char *const author[] = {"a", "b", "c", "d"};

		many[i] =
			label(0, 5, "person", LABEL_PERSON, author[i], 100 + i * 7 % 4);
		many[4 + i] = label(0, 5, "import", LABEL_IMPORT, author[i], 900);
		many[4 + i].has_score = i != 2;
		many[4 + i].score = i;
		many[8 + i] = label(0, 5, "model", "gpt", author[i], 800 + i);
	}
	OK(store_label_put(s, many, 12, got, e));
	assert_int_equal(labels_of(5, &list), 13);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(list[i].source, LABEL_PERSON);
		assert_int_equal(list[i].time_s, 103 - i);
	}
	assert_true(list[4].score == 3 && list[5].score == 1 && list[6].score == 0);
	assert_false(list[7].has_score);
	assert_int_equal(list[7].time_s, 900);
	assert_int_equal(list[8].time_s, 803);
	assert_string_equal(list[12].source, LABEL_KEYWORDS);
	put(label(0, 9, "never", LABEL_IMPORT, "", 5));
	put(label(1, 7, "of the other SAE", LABEL_PERSON, "", 5));
	for (uint32_t i = 0; i < 40; i++)
		ids[i] = 39 - i;
	OK(store_best_labels(v, 0, 0, ids, 40, best, &a, e));
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t f = ids[i];

		assert_int_equal(best[i].feature, f);
		if (f == 5)
			assert_int_equal(best[i].time_s, 103);
		else if (f == 9)
			assert_string_equal(best[i].text, "never");
		else if (small_stats_of(0, 0, f).count == 0)
			assert_null(best[i].text);
		else
			assert_string_equal(best[i].source, LABEL_KEYWORDS);
	}
	FAILS(ERR_NOTFOUND, store_best_labels(v, 0, 2, ids, 1, best, &a, e));
}

static void
test_bad(void **state)
{
	char text[LIMIT_LABEL_BYTES + 2];
	struct store_label l[2] = {label(0, 1, "fine", LABEL_PERSON, "", 1),
		label(0, 2, "", LABEL_PERSON, "", 1)};
	const struct store_label *list;
	int64_t id[2];

	(void)state;
	OK(store_labels_lock(s, e));
	FAILS(ERR_ARG, store_label_put(s, l, 2, id, e));
	l[1].text = "\xff";
	FAILS(ERR_ARG, store_label_put(s, l, 2, id, e));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	l[1].text = text;
	FAILS(ERR_LIMIT, store_label_put(s, l, 2, id, e));
	l[1].text = "fine";
	l[1].source = LABEL_KEYWORDS;
	FAILS(ERR_ARG, store_label_put(s, l, 2, id, e));
	l[1].source = "";
	FAILS(ERR_ARG, store_label_put(s, l, 2, id, e));
	l[1].source = LABEL_PERSON;
	l[1].has_score = true;
	l[1].score = NAN;
	FAILS(ERR_ARG, store_label_put(s, l, 2, id, e));
	/* all or none */
	assert_int_equal(labels_of(1, &list), 1);
	text[LIMIT_LABEL_BYTES] = '\0';
	l[1].score = 1;
	l[1].text = text;
	OK(store_label_put(s, l, 2, id, e));
	assert_int_equal(labels_of(1, &list), 2);
}

static void
test_list(void **state)
{
	struct store_label got[8];
	int64_t id[6], after = 0;
	uint32_t n, total = 0;
	uint8_t hash[32];

	(void)state;
	OK(store_labels_lock(s, e));
	for (uint32_t i = 0; i < 6; i++)
		id[i] = put(label(i % 2, i, "x", LABEL_PERSON, "", 1));
	do {
		OK(store_label_list(v, NULL, after, 4, got, &n, &a, e));
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(got[i].id, id[total++]);
		if (n > 0)
			after = got[n - 1].id;
	} while (n > 0);
	assert_int_equal(total, 6);
	memset(hash, 0x11, sizeof(hash));
	OK(store_label_list(v, hash, 0, 8, got, &n, &a, e));
	assert_int_equal(n, 3);
	for (uint32_t i = 0; i < n; i++) {
		assert_memory_equal(got[i].sae_hash, hash, 32);
		assert_int_equal(got[i].feature % 2, 1);
	}
}

static void
test_search(void **state)
{
	struct store_scope both[2] = {{0, 0}, {0, 1}};
	struct store_found f[64], g[64];
	uint32_t n, m, want = 0;

	(void)state;
	OK(store_labels_lock(s, e));
	for (uint32_t slot = 0; slot < 2; slot++)
		for (uint32_t i = 1; i < small_d_sae[slot]; i += 2)
			want += small_stats_of(0, slot, i).count > 0;
	OK(store_search_labels(v, both, 2, "bridge", 0, 64, f, &n, &a, e));
	assert_int_equal(n, want);
	put(label(1, 4, "the bridge itself", LABEL_IMPORT, "", 1));
	put(label(0, 8, "a very long label about many things and one bridge among them",
		LABEL_PERSON, "", 1));
	OK(store_search_labels(v, both, 2, "bridge", 0, 64, f, &n, &a, e));
	assert_int_equal(n, want + 2);
	assert_true(f[0].slot == 0 && f[0].feature == 8);
	assert_true(f[1].slot == 1 && f[1].feature == 4);
	assert_string_equal(f[1].text, "the bridge itself");
	for (uint32_t i = 2; i < n; i++) {
		assert_string_equal(f[i].source, LABEL_KEYWORDS);
		assert_non_null(strstr(f[i].text, "odd bridge"));
		assert_true(i == 2 || f[i].rank <= f[i - 1].rank);
	}
	for (uint32_t skip = 0; skip < n; skip++) {
		OK(store_search_labels(v, both, 2, "bridge", skip, 3, g, &m, &a, e));
		assert_int_equal(m, n - skip < 3 ? n - skip : 3);
		for (uint32_t i = 0; i < m; i++) {
			assert_int_equal(g[i].slot, f[skip + i].slot);
			assert_int_equal(g[i].feature, f[skip + i].feature);
		}
	}
	OK(store_search_labels(v, both + 1, 1, "bridge", 0, 64, f, &n, &a, e));
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(f[i].slot, 1);
	OK(store_search_labels(v, both, 2, "itse*", 0, 64, f, &n, &a, e));
	assert_int_equal(n, 1);
	OK(store_search_labels(v, both, 2, "number12 OR itself", 0, 64, f, &n, &a, e));
	assert_int_equal(n, 3);
	OK(store_search_labels(v, both, 0, "bridge", 0, 64, f, &n, &a, e));
	assert_int_equal(n, 0);
	FAILS(ERR_NOTFOUND,
		store_search_labels(v, (struct store_scope[1]){{0, 3}}, 1, "a", 0, 1, f,
			&n, &a, e));
}

static void
test_search_follows(void **state)
{
	struct store_scope scope = {0, 0};
	struct store_label l = label(0, 8, "zebra", LABEL_PERSON, "", 1);
	struct store_found f[4];
	uint32_t n;
	int64_t id;

	(void)state;
	OK(store_labels_lock(s, e));
	id = put(l);
	OK(store_search_labels(v, &scope, 1, "zebra", 0, 4, f, &n, &a, e));
	assert_int_equal(n, 1);
	l.text = "okapi";
	put(l);
	OK(store_search_labels(v, &scope, 1, "zebra", 0, 4, f, &n, &a, e));
	assert_int_equal(n, 0);
	OK(store_search_labels(v, &scope, 1, "okapi", 0, 4, f, &n, &a, e));
	assert_int_equal(n, 1);
	OK(store_label_delete(s, id, e));
	OK(store_search_labels(v, &scope, 1, "okapi", 0, 4, f, &n, &a, e));
	assert_int_equal(n, 0);
}

static void
test_filter(void **state)
{
	struct feature_query q = {.max_density = 1,
		.max_max = INFINITY,
		.max_count = UINT64_MAX,
		.limit = 64,
		.labelled = YES};
	struct feature_row row[64];
	uint32_t n;

	(void)state;
	OK(store_labels_lock(s, e));
	OK(store_features(v, 0, 0, &q, row, &n, e));
	assert_int_equal(n, 0);
	put(label(0, 8, "x", LABEL_PERSON, "", 1));
	put(label(0, 8, "x", LABEL_IMPORT, "", 1));
	put(label(0, 30, "x", "gpt", "", 1));
	put(label(1, 3, "x", LABEL_PERSON, "", 1));
	OK(store_features(v, 0, 0, &q, row, &n, e));
	assert_int_equal(n, 2);
	assert_true(row[0].index == 8 && row[1].index == 30);
	q.labelled = NO;
	OK(store_features(v, 0, 0, &q, row, &n, e));
	assert_int_equal(n, 38);
}

/* Labels outlive runs, belong to one writer, and stay after closing. */
static void
test_life(void **state)
{
	struct store *other;
	const struct store_label *list;
	uint32_t number, n;
	uint64_t freed;
	struct store_view *w;

	(void)state;
	OK(store_labels_lock(s, e));
	OK(store_open(&other, store_dir(s), STORE_WRITE, e));
	FAILS(ERR_BUSY, store_labels_lock(other, e));
	put(label(0, 8, "kept", LABEL_PERSON, "", 1));
	OK(store_remove_run(other, 1, e));
	OK(store_gc(other, &freed, e));
	OK(small_publish(other, 0, &number, e));
	OK(store_view_open(&w, other, e));
	OK(store_labels(w, 0, 0, 8, &list, &n, &a, e));
	assert_string_equal(list[0].text, "kept");
	store_view_close(w);
	store_close(other);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)
	const struct CMUnitTest tests[] = {
		TEST(test_put),
		TEST(test_order),
		TEST(test_bad),
		TEST(test_list),
		TEST(test_search),
		TEST(test_search_follows),
		TEST(test_filter),
		TEST(test_life),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
