/* SPDX-License-Identifier: ISC */
/* Windows that were made elsewhere, in and out of a feed; and delphi's cache, whose
 * entries come in no order, in blocks as small as they get. */
#include "indexer/delphi.h"
#include "indexer/feed.h"
#include "tests/util/scratch.h"

#define ROWS 3
#define COLS 4
#define D_SAE 8
#define VOCABULARY 257

static struct tok *tok;

static int
begin(void **state)
{
	const char *src = getenv("srcdir");
	char path[PATH_BYTES];

	if (scratch_make(state) != 0 ||
		path_join(path, NULL, "%s/tests/model/data/tok-gpt2",
			src != NULL ? src : ".") < 0)
		return -1;
	return tok_open(&tok, path, NULL);
}

static int
end(void **state)
{
	tok_close(tok);
	return scratch_remove(state);
}

/* ---- files ------------------------------------------------------------------ */

struct entry {
	uint32_t row, col, feature;
	float value;
};

/* What delphi caches of features [first, ...), in the order given. */
static void
put_part(const char *name, uint32_t first, const struct entry *x, size_t n,
	uint32_t first_token)
{
	char header[600];
	struct buf b;
	int n_header = snprintf(header, sizeof(header),
		"{\"locations\":{\"dtype\":\"U32\",\"shape\":[%zu,3],\"data_offsets\":"
		"[0,%zu]},\"activations\":{\"dtype\":\"F32\",\"shape\":[%zu],"
		"\"data_offsets\":[%zu,%zu]},\"tokens\":{\"dtype\":\"I64\",\"shape\":"
		"[%d,%d],\"data_offsets\":[%zu,%zu]}}",
		n, n * 12, n, n * 12, n * 16, ROWS, COLS, n * 16,
		n * 16 + (size_t)ROWS * COLS * 8);

	buf_init(&b);
	buf_u64(&b, (uint64_t)n_header);
	buf_put(&b, header, (size_t)n_header);
	for (size_t i = 0; i < n; i++) {
		buf_u32(&b, x[i].row);
		buf_u32(&b, x[i].col);
		buf_u32(&b, x[i].feature - first);
	}
	for (size_t i = 0; i < n; i++)
		buf_f32(&b, x[i].value);
	for (uint64_t i = 0; i < (uint64_t)ROWS * COLS; i++)
		buf_u64(&b, first_token + i % VOCABULARY);
	put_file(at(name), b.data, b.n_bytes);
	buf_clear(&b);
}

static const struct entry low[] = {
	{2, 3, 1, 1.5f},
	{0, 0, 3, 2},
	{0, 0, 0, 4},
	{1, 2, 2, 0.5f},
	{2, 3, 0, 8},
};
static const struct entry high[] = {
	{2, 3, 7, 3},
	{0, 0, 5, 1},
	{1, 1, 4, 6},
};

static int
tick(void *ctx, uint64_t done, uint64_t total, struct err *e)
{
	uint64_t *last = ctx;

	(void)e;
	assert_true(done > *last && done <= total && total == ROWS * COLS);
	*last = done;
	return 0;
}

static int
read_cache(struct feed *f, size_t memory_bytes, struct err *e)
{
	uint64_t last = 0;
	int rc = feed_init(f, scratch, tok, VOCABULARY, 1, e);

	assert_int_equal(rc, 0);
	rc = delphi_read(at("cache"), f, D_SAE, memory_bytes, tick, &last, e);
	return rc == 0 ? feed_done(f, e) : rc;
}

static void
put_cache(void)
{
	assert_int_equal(dir_remove(at("cache"), NULL), 0);
	assert_int_equal(dir_make(at("cache"), NULL), 0);
	put_part("cache/4_7.safetensors", 4, high, 3, 0);
	put_part("cache/0_3.safetensors", 0, low, 5, 0);
}

/* ---- delphi ------------------------------------------------------------------- */

/* Each entry is at its token, features ascending, however small the blocks are. */
static void
test_blocks(void **state)
{
	static const size_t memory[] = {1, 16, 1 << 20};

	(void)state;
	put_cache();
	assert_true(delphi_is(at("cache")));
	assert_false(delphi_is(scratch));
	for (size_t m = 0; m < 3; m++) {
		struct err e = ERR_INIT;
		struct sparse acts = {0};
		size_t n = 0;
		struct feed f;

		assert_int_equal(read_cache(&f, memory[m], &e), 0);
		assert_int_equal(f.n_windows, ROWS);
		for (uint32_t w = 0; w < ROWS; w++) {
			struct feed_window window;
			uint32_t row;

			feed_get(&f, w, &window);
			assert_int_equal(window.n_tokens, COLS);
			row = window.token[0] / COLS;
			assert_int_equal(feed_get_acts(&f, 0, w, 1, &acts, &e), 0);
			for (uint32_t i = 0; i < COLS; i++)
				for (uint32_t j = acts.row_start[i];
					j < acts.row_start[i + 1]; j++, n++) {
					const struct entry *all[] = {low, high};
					bool found = false;

					assert_true(j == acts.row_start[i] ||
						acts.feature[j] > acts.feature[j - 1]);
					for (size_t k = 0; k < 8; k++) {
						const struct entry *x = k < 5
							? &all[0][k]
							: &all[1][k - 5];

						found |= x->row == row && x->col == i &&
							x->feature == acts.feature[j] &&
							x->value == acts.value[j];
					}
					assert_true(found);
				}
		}
		assert_int_equal(n, 8);
		sparse_clear(&acts);
		feed_clear(&f);
	}
}

static void
refused(const char *says)
{
	struct err e = ERR_INIT;
	struct feed f;

	assert_true(read_cache(&f, 1 << 20, &e) < 0);
	if (strstr(e.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, says);
	feed_clear(&f);
}

static void
test_refused(void **state)
{
	static const struct entry twice[] = {{0, 1, 2, 1}, {0, 1, 2, 2}};
	static const struct entry zero[] = {{0, 1, 2, 0}};
	static const struct entry row[] = {{ROWS, 1, 2, 1}};
	static const struct entry col[] = {{0, COLS, 2, 1}};
	static const struct entry feature[] = {{0, 0, D_SAE, 1}};

	(void)state;
	put_cache();
	put_part("cache/0_3.safetensors", 0, twice, 2, 0);
	refused("feature 2 twice at one position");
	put_part("cache/0_3.safetensors", 0, zero, 1, 0);
	refused("activation 0 of feature 2");
	put_part("cache/0_3.safetensors", 0, row, 1, 0);
	refused("feature 2 at row 3");
	put_part("cache/0_3.safetensors", 0, col, 1, 0);
	refused("position 4");
	put_part("cache/0_3.safetensors", 0, feature, 1, 0);
	refused("is feature 8");
	put_part("cache/0_3.safetensors", 0, low, 5, 1);
	refused("they are of two runs");
	put_part("cache/0_3.safetensors", 0, low, 5, VOCABULARY - 2);
	put_part("cache/4_7.safetensors", 4, high, 3, VOCABULARY - 2);
	refused("it is of another model");
}

/* ---- feed ----------------------------------------------------------------------- */

static const uint32_t ids[] = {66, 67, 68, 69};
static const uint32_t starts[] = {0, 1, 2, 3}, ends[] = {1, 2, 3, 4};

static void
put_document(struct feed *f, const char *text)
{
	const struct document d = {.text = text,
		.n_text = strlen(text),
		.id = text,
		.n_id = strlen(text),
		.meta = "{}",
		.n_meta = 2};

	assert_int_equal(feed_document(f, &d, NULL), 0);
}

/* The order of arrival changes nothing: neither places nor hashes. */
static void
test_order(void **state)
{
	static const char *const texts[] = {"abcd", "bcda", "cdab", "dabc"};
	uint8_t sha256[2][32];
	uint32_t first[2][4];

	(void)state;
	for (int back = 0; back < 2; back++) {
		struct err e = ERR_INIT;
		struct feed f;

		assert_int_equal(feed_init(&f, scratch, tok, VOCABULARY, 0, &e), 0);
		for (uint32_t i = 0; i < 4; i++) {
			uint32_t d = back ? 3 - i : i, id[] = {d, d};
			struct feed_window w = {.n_tokens = 2,
				.token = id,
				.start = starts,
				.end = ends,
				.document = i};

			put_document(&f, texts[d]);
			assert_int_equal(feed_window(&f, &w, &e), 0);
			w.start += 2;
			w.end += 2;
			assert_int_equal(feed_window(&f, &w, &e), 0);
		}
		assert_int_equal(feed_done(&f, &e), 0);
		memcpy(sha256[back], f.windows_sha256, 32);
		for (uint32_t i = 0; i < 4; i++) {
			struct feed_window w;
			struct document d;

			feed_get(&f, 2 * i, &w);
			first[back][i] = w.token[0];
			assert_int_equal(w.document, i);
			assert_int_equal(w.start[0], 0);
			spool_get(&f.spool, i, &d);
			assert_int_equal(d.text[0], 'a' + w.token[0]);
			feed_get(&f, 2 * i + 1, &w);
			assert_int_equal(w.start[0], 2);
			assert_int_equal(w.document, i);
		}
		feed_clear(&f);
	}
	assert_memory_equal(sha256[0], sha256[1], 32);
	assert_memory_equal(first[0], first[1], sizeof(first[0]));
}

/* The same windows, of which the second is the first document's or the second's: these
 * are alike, but it is another cut. */
static void
test_owner(void **state)
{
	uint8_t sha256[2][32];

	(void)state;
	for (uint32_t owner = 0; owner < 2; owner++) {
		struct err e = ERR_INIT;
		struct feed f;
		struct feed_window w = {.n_tokens = 4,
			.token = ids,
			.start = starts,
			.end = ends};

		assert_int_equal(feed_init(&f, scratch, tok, VOCABULARY, 0, &e), 0);
		put_document(&f, "abcd");
		assert_int_equal(feed_window(&f, &w, &e), 0);
		for (uint32_t i = 0; i < 2; i++) {
			if (i == owner)
				put_document(&f, "abcd");
			w.document = i >= owner;
			assert_int_equal(feed_window(&f, &w, &e), 0);
		}
		assert_int_equal(feed_done(&f, &e), 0);
		assert_int_equal(f.n_documents, 2);
		memcpy(sha256[owner], f.windows_sha256, 32);
		feed_clear(&f);
	}
	assert_memory_not_equal(sha256[0], sha256[1], 32);
}

/* Nor do documents by position leave the same. */
static void
test_owner_by_position(void **state)
{
	static const uint32_t documents[2][4] = {{0, 0, 1, 1}, {0, 1, 1, 1}};
	uint8_t sha256[2][32];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct err e = ERR_INIT;
		struct feed f;
		struct feed_window w = {.n_tokens = 4,
			.token = ids,
			.start = starts,
			.end = ends,
			.documents = documents[i]};

		assert_int_equal(feed_init(&f, scratch, tok, VOCABULARY, 0, &e), 0);
		put_document(&f, "abcd");
		put_document(&f, "abcd");
		assert_int_equal(feed_window(&f, &w, &e), 0);
		assert_int_equal(feed_done(&f, &e), 0);
		memcpy(sha256[i], f.windows_sha256, 32);
		feed_clear(&f);
	}
	assert_memory_not_equal(sha256[0], sha256[1], 32);
}

static void
window_refused(struct feed *f, struct feed_window w, const char *says)
{
	struct err e = ERR_INIT;

	assert_true(feed_window(f, &w, &e) < 0);
	if (strstr(e.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, says);
}

static void
test_window_refused(void **state)
{
	static const uint32_t wide[] = {0, 1, 2, 9},
			      alien[] = {VOCABULARY + 1, 0, 0, 0};
	const struct feed_window good = {.n_tokens = 4,
		.token = ids,
		.start = starts,
		.end = ends};
	struct feed_window w = good;
	struct err e = ERR_INIT;
	struct feed f;

	(void)state;
	assert_int_equal(feed_init(&f, scratch, tok, VOCABULARY, 0, &e), 0);
	window_refused(&f, w, "has not begun yet");
	put_document(&f, "abcd");
	w.end = wide;
	window_refused(&f, w, "not in its document's text of 4");
	w = good;
	w.token = alien;
	window_refused(&f, w, "past the vocabulary");
	w = good;
	w.start = w.end = NULL;
	window_refused(&f, w, "a text without spans");
	w = good;
	w.n_tokens = 0;
	window_refused(&f, w, "a window has 1 to");
	assert_int_equal(feed_window(&f, &good, &e), 0);
	put_document(&f, "bcda");
	w = good;
	w.document = 1;
	assert_int_equal(feed_window(&f, &w, &e), 0);
	window_refused(&f, good, "is over already");
	feed_clear(&f);
	assert_int_equal(feed_init(&f, scratch, tok, VOCABULARY, 0, &e), 0);
	assert_true(feed_done(&f, &e) < 0);
	assert_non_null(strstr(e.text, "not one window"));
	feed_clear(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_owner_by_position),
		cmocka_unit_test(test_window_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
