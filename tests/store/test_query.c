/* SPDX-License-Identifier: ISC */
#include "tests/store/small.h"

static struct store *s;
static struct store_view *v;
static struct arena a;

static int
open_store(void **state)
{
	struct err e = ERR_INIT;

	if (scratch_make(state) != 0)
		return -1;
	arena_init(&a, 0);
	if (store_open(&s, small_store("q"), STORE_READ, &e) != 0)
		return -1;
	return store_view_open(&v, s, &e);
}

static int
close_store(void **state)
{
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
	return scratch_remove(state);
}

/* ---- feature lists --------------------------------------------------------- */

static const struct feature_query all = {.max_density = 1,
	.max_max = INFINITY,
	.max_count = UINT64_MAX,
	.limit = 64};

static double
key_of(enum feature_sort sort, uint32_t slot, uint32_t f)
{
	struct small_stats x = small_stats_of(0, slot, f);

	switch (sort) {
	case FEATURE_BY_COUNT:
		return (double)x.count;
	case FEATURE_BY_MAX:
		return (double)x.max;
	case FEATURE_BY_MEAN:
		return x.count > 0 ? x.sum / (double)x.count : 0;
	default:
		return f;
	}
}

static struct {
	enum feature_sort sort;
	bool descending;
} order;

static int
in_order(const void *x, const void *y)
{
	uint32_t f = *(const uint32_t *)x, g = *(const uint32_t *)y;
	double kf = key_of(order.sort, 0, f), kg = key_of(order.sort, 0, g);

	if (kf != kg)
		return (kf < kg) == order.descending ? 1 : -1;
	return f < g ? -1 : 1;
}

/* Every sort, both ways, in pages of every length, against qsort. */
static void
test_sorts(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		uint32_t want[40];

		order.sort = (enum feature_sort)(i / 2);
		order.descending = i % 2;
		for (uint32_t f = 0; f < 40; f++)
			want[f] = f;
		qsort(want, 40, sizeof(*want), in_order);
		for (uint32_t page = 1; page <= 41; page += 4) {
			struct feature_query q = all;
			struct feature_row row[64];
			uint32_t n, at = 0;

			q.sort = order.sort;
			q.descending = order.descending;
			q.limit = page;
			do {
				OK(store_features(v, 0, 0, &q, row, &n, e));
				for (uint32_t j = 0; j < n; j++) {
					uint32_t f = row[j].index;

					assert_int_equal(f, want[at + j]);
					assert_true(row[j].key == key_of(q.sort, 0, f));
					assert_true(row[j].density ==
						(double)row[j].count /
							(WINDOWS * (TOKENS - 1)));
				}
				at += n;
				q.has_after = true;
				if (n > 0) {
					q.after_key = row[n - 1].key;
					q.after_index = row[n - 1].index;
				}
			} while (n == page);
			assert_int_equal(at, 40);
		}
	}
}

static uint32_t
count_features(struct feature_query q)
{
	struct feature_row row[64];
	uint32_t n = 0;

	OK(store_features(v, 0, 0, &q, row, &n, e));
	return n;
}

static void
test_filters(void **state)
{
	struct feature_query q = all;
	uint32_t dead = 0, dense = 0, tall = 0, some = 0;

	(void)state;
	for (uint32_t f = 0; f < 40; f++) {
		struct small_stats x = small_stats_of(0, 0, f);

		dead += x.count == 0;
		dense += (double)x.count / 108 >= 0.2;
		tall += x.max <= 7;
		some += x.count >= 5 && x.count <= 20;
	}
	assert_true(dead >= 4 && dense > 0 && tall > 0 && some > 0);
	q.dead = YES;
	assert_int_equal(count_features(q), dead);
	q.dead = NO;
	assert_int_equal(count_features(q), 40 - dead);
	q = all;
	q.min_density = 0.2;
	assert_int_equal(count_features(q), dense);
	q = all;
	q.max_max = 7;
	assert_int_equal(count_features(q), tall);
	q = all;
	q.min_count = 5;
	q.max_count = 20;
	assert_int_equal(count_features(q), some);
	q = all;
	q.min_density = NAN;
	assert_int_equal(count_features(q), 0);
	q = all;
	q.limit = 0;
	assert_int_equal(count_features(q), 0);
	q.sort = (enum feature_sort)9;
	FAILS(ERR_ARG, store_features(v, 0, 0, &q, NULL, (uint32_t[1]){0}, e));
	FAILS(ERR_NOTFOUND, store_features(v, 0, 5, &all, NULL, (uint32_t[1]){0}, e));
	FAILS(ERR_NOTFOUND, store_features(v, 3, 0, &all, NULL, (uint32_t[1]){0}, e));
}

/* ---- documents ------------------------------------------------------------- */

static void
test_document(void **state)
{
	struct store_document d;

	(void)state;
	OK(store_document(v, 0, 4, &d, &a, e));
	assert_string_equal(d.id, "doc-4");
	assert_string_equal(d.meta, "{\"lang\":\"en\",\"tags\":[\"bridge\"]}");
	assert_string_equal(d.hash, "00112233445566778899aabbccddeeff");
	assert_true(d.n_bytes == 64 && d.first_window == 8 && d.n_windows == 2);
	OK(store_document_by_id(v, 0, "doc-5", &d, &a, e));
	assert_int_equal(d.number, 5);
	FAILS(ERR_NOTFOUND, store_document(v, 0, DOCUMENTS, &d, &a, e));
	FAILS(ERR_NOTFOUND, store_document_by_id(v, 0, "doc", &d, &a, e));
	FAILS(ERR_NOTFOUND, store_document_by_id(v, 0, "' OR 1=1 --", &d, &a, e));
	FAILS(ERR_NOTFOUND, store_document(v, 1, 0, &d, &a, e));
}

/* The numbers found, as a set of bits. */
static unsigned
with_meta(const char *key, const char *value)
{
	struct store_document d[DOCUMENTS];
	unsigned bits = 0;
	uint32_t n = 0;

	OK(store_documents(v, 0, 0, key, value, DOCUMENTS, d, &n, &a, e));
	for (uint32_t i = 0; i < n; i++)
		bits |= 1u << d[i].number;
	return bits;
}

static void
test_documents(void **state)
{
	struct store_document d[DOCUMENTS];
	uint32_t n;

	(void)state;
	assert_int_equal(with_meta(NULL, NULL), 63);
	assert_int_equal(with_meta("lang", "en"),
		1 | 4 | 16); /* not one level deeper */
	assert_int_equal(with_meta("tags", "bridge"), 1 | 16);
	assert_int_equal(with_meta("tags", "[\"bridge\"]"), 0);
	assert_int_equal(with_meta("n", "1"), 1);
	assert_int_equal(with_meta("n", "2.5"), 2);
	assert_int_equal(with_meta("ok", "true"), 4);
	assert_int_equal(with_meta("ok", "1"), 0);
	assert_int_equal(with_meta("none", "null"), 32);
	assert_int_equal(with_meta("lang", ""), 0);
	assert_int_equal(with_meta("no' OR '1", "x"), 0);
	OK(store_documents(v, 0, 2, NULL, NULL, 2, d, &n, &a, e));
	assert_true(n == 2 && d[0].number == 2 && d[1].number == 3);
	OK(store_documents(v, 0, 1, "lang", "en", 1, d, &n, &a, e));
	assert_true(n == 1 && d[0].number == 2);
	FAILS(ERR_NOTFOUND, store_documents(v, 1, 0, NULL, NULL, 1, d, &n, &a, e));
}

/* ---- text ------------------------------------------------------------------ */

static unsigned
find_text(const char *query)
{
	struct store_found f[WINDOWS];
	unsigned bits = 0;
	uint32_t n = 0;

	OK(store_search_text(v, 0, query, 0, WINDOWS, f, &n, &a, e));
	for (uint32_t i = 0; i < n; i++) {
		assert_true(i == 0 || f[i].rank <= f[i - 1].rank);
		assert_true(f[i].window < WINDOWS && f[i].text[0] != '\0');
		bits |= 1u << f[i].window;
	}
	return bits;
}

static void
test_text(void **state)
{
	struct store_found f[WINDOWS], g[WINDOWS];
	uint32_t n, m;

	(void)state;
	assert_int_equal(find_text("golden"), 3);
	assert_int_equal(find_text("GOLDEN gate"), 3);
	assert_int_equal(find_text("bridge"), 3 | 3 << 8);
	assert_int_equal(find_text("bridge NOT golden"), 3 << 8);
	assert_int_equal(find_text("golden OR orange"), 3 | 3 << 4);
	assert_int_equal(find_text("\"gate bridge\""), 3);
	assert_int_equal(find_text("\"bridge gate\""), 0);
	assert_int_equal(find_text("tun*"), 3 << 8);
	assert_int_equal(find_text("cafe"), 3 << 2); /* accents do not matter */
	assert_int_equal(find_text("\\xFF\\xFE"),
		3 << 6); /* bytes that are not UTF-8 */
	assert_int_equal(find_text("nothing"), 0);
	OK(store_search_text(v, 0, "window", 0, WINDOWS, f, &n, &a, e));
	assert_int_equal(n, WINDOWS);
	for (uint32_t skip = 0; skip <= WINDOWS; skip++) {
		OK(store_search_text(v, 0, "window", skip, 1, g, &m, &a, e));
		assert_int_equal(m, skip < WINDOWS);
		if (m > 0)
			assert_int_equal(g[0].window, f[skip].window);
	}
	OK(store_search_text(v, 0, "tunnel", 0, 1, f, &n, &a, e));
	assert_non_null(strstr(f[0].text, "tunnel"));
	FAILS(ERR_NOTFOUND, store_search_text(v, 2, "x", 0, 1, f, &n, &a, e));
	FAILS(ERR_LIMIT, store_search_text(v, 0, "x", 1000000, 1, f, &n, &a, e));
}

/* Whatever a person types is answered. */
static void
test_hostile(void **state)
{
	static const char *const plain[] = {
		"golden (",
		"golden \"",
		"golden AND",
		"NEAR(golden",
		"golden ^",
		"golden:",
		"-golden",
		"golden {",
		"* golden",
		"\"golden",
		"golden)))",
		"golden; DROP TABLE document",
		"body:golden",
		"golden\x01",
	};
	static const char *const nothing[] = {"", " ", "*", "\"\"", "(((", "\"", "^",
		"--", "{}", ":", "'"};
	char big[5000];
	struct store_found f[WINDOWS];
	uint32_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		OK(store_search_text(v, 0, plain[i], 0, WINDOWS, f, &n, &a, e));
		OK(store_search_labels(v, (struct store_scope[1]){{0, 0}}, 1, plain[i],
			0, WINDOWS, f, &n, &a, e));
	}
	assert_int_equal(find_text("golden ("), 3);
	assert_int_equal(find_text("\"golden"), 3);
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		assert_int_equal(find_text(nothing[i]), 0);
	memset(big, '(', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	FAILS(ERR_LIMIT, store_search_text(v, 0, big, 0, 1, f, &n, &a, e));
	big[4000] = '\0';
	assert_int_equal(find_text(big), 0);
	for (size_t i = 0; i < 4000; i += 5)
		memcpy(big + i, "a OR ", 5);
	OK(store_search_text(v, 0, big, 0, 1, f, &n, &a, e));
}

static void
test_tokens(void **state)
{
	static const uint32_t ids[] = {30, 5, 0, 1000};
	struct store_token t[4];
	uint32_t found[4], n;

	(void)state;
	OK(store_tokens(v, 0, ids, 4, t, &a, e));
	assert_true(t[0].id == 30 && t[0].n_bytes == 3 && t[0].special);
	assert_memory_equal(t[0].bytes, "a\0b", 3);
	assert_null(t[1].bytes); /* no such token */
	assert_true(t[2].bytes != NULL && t[2].n_bytes == 0 && !t[2].special);
	OK(store_token_find(v, 0, "a", 1, 4, found, &n, e));
	assert_true(n == 2 && found[0] == 10 && found[1] == 1000);
	OK(store_token_find(v, 0, "a\0", 2, 4, found, &n, e));
	assert_true(n == 1 && found[0] == 20);
	OK(store_token_find(v, 0, "z", 1, 4, found, &n, e));
	assert_int_equal(n, 0);
	FAILS(ERR_NOTFOUND, store_tokens(v, 1, ids, 4, t, &a, e));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorts),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_tokens),
	};

	return cmocka_run_group_tests(tests, open_store, close_store);
}
