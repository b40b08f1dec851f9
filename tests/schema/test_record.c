/* SPDX-License-Identifier: ISC */
#include "schema/record.h"

#include "schema/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf b;
static struct arena a;

static int
init(void **state)
{
	(void)state;
	buf_init(&b);
	arena_init(&a, 64u << 20);
	return 0;
}

static int
clear(void **state)
{
	(void)state;
	buf_clear(&b);
	arena_clear(&a);
	return 0;
}

typedef int unpack_fn(const void *p, size_t n_bytes, struct err *e);

/* What was packed unpacks; no beginning of it does, nor it with a byte behind; and
 * no flip of a bit makes it crash (the sanitizers look). */
static void
hurt(unpack_fn *unpack)
{
	struct err e = ERR_INIT;
	uint8_t *copy;

	assert_false(b.failed);
	assert_int_equal(unpack(b.data, b.n_bytes, &e), 0);
	for (size_t n = 0; n < b.n_bytes; n++) {
		copy = malloc(n > 0 ? n : 1); /* the sanitizer sees its end */
		memcpy(copy, b.data, n);
		assert_int_equal(unpack(copy, n, &e), ERR_CORRUPT);
		assert_true(e.text[0] != '\0');
		free(copy);
		arena_reset(&a);
	}
	copy = malloc(b.n_bytes + 1);
	memcpy(copy, b.data, b.n_bytes);
	copy[b.n_bytes] = 0;
	assert_int_equal(unpack(copy, b.n_bytes + 1, &e), ERR_CORRUPT);
	for (size_t i = 0; i < b.n_bytes * 8; i++) {
		int rc;

		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		rc = unpack(copy, b.n_bytes, &e);
		assert_true(rc == 0 || rc == ERR_CORRUPT);
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		arena_reset(&a);
	}
	free(copy);
}

static int
window(const void *p, size_t n, struct err *e)
{
	struct rec_window x;

	return rec_window_unpack(&x, p, n, &a, e);
}

static void
test_window(void **state)
{
	static const uint32_t token[] = {50256, 0, 300, 4000000000u, 7};
	static const uint32_t start[] = {0, 0, 3, 2, 9}, end[] = {0, 3, 6, 6, 9};
	static const struct rec_segment segment[] = {{0, 0, 0, 1ull << 40},
		{4000000000u, 3, 6, 0}};
	const struct rec_window want = {5, 2, token, start, end, segment,
		"ab\0\xff"
		"efghi",
		9};
	struct rec_window x;
	struct err e = ERR_INIT;

	(void)state;
	rec_window_pack(&b, &want);
	assert_int_equal(rec_window_unpack(&x, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(x.n_tokens, 5);
	assert_memory_equal(x.token, token, sizeof(token));
	assert_memory_equal(x.text_start, start, sizeof(start));
	assert_memory_equal(x.text_end, end, sizeof(end));
	assert_int_equal(x.n_segments, 2);
	assert_true(x.segment[0].doc_start == 1ull << 40);
	assert_int_equal(x.segment[1].document, 4000000000u);
	assert_int_equal(x.n_text_bytes, 9);
	assert_memory_equal(x.text, want.text, 9);
	hurt(window);
	buf_reset(&b);
	rec_window_pack(&b, &(struct rec_window){0});
	hurt(window);
}

/* Spans that leave the text. */
static void
test_window_spans(void **state)
{
	static const uint32_t token[] = {1, 2}, start[] = {0, 2}, end[] = {2, 4};
	struct rec_window w = {2, 0, token, start, end, NULL, "abcd", 4}, x;
	struct err e = ERR_INIT;

	(void)state;
	rec_window_pack(&b, &w);
	assert_int_equal(rec_window_unpack(&x, b.data, b.n_bytes, &a, &e), 0);
	w.n_text_bytes = 3;
	buf_reset(&b);
	rec_window_pack(&b, &w);
	assert_int_equal(rec_window_unpack(&x, b.data, b.n_bytes, &a, &e), ERR_CORRUPT);
}

static int
feature(const void *p, size_t n, struct err *e)
{
	struct rec_feature x;

	return rec_feature_unpack(&x, p, n, &a, e);
}

static void
test_feature(void **state)
{
	static const struct rec_bin bin[] = {{0, 1}, {508, UINT64_MAX}, {1023, 3}};
	const struct rec_feature want = {.count = 1ull << 50,
		.n_windows = 3,
		.n_documents = 2,
		.sum = 1.0 / 3,
		.sum_squares = 1e300,
		.max = 1e5f,
		.max_window = UINT32_MAX,
		.max_offset = 9,
		.interval = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
		.bin = bin,
		.n_bins = 3};
	struct rec_feature x;
	struct err e = ERR_INIT;

	(void)state;
	rec_feature_pack(&b, &want);
	assert_true(b.n_bytes <= LIMIT_SMALL_BYTES);
	assert_int_equal(rec_feature_unpack(&x, b.data, b.n_bytes, &a, &e), 0);
	assert_true(x.count == want.count && x.sum == want.sum && x.max == want.max);
	assert_true(x.sum_squares == want.sum_squares && x.max_window == UINT32_MAX);
	assert_memory_equal(x.interval, want.interval, sizeof(x.interval));
	for (uint32_t i = 0; i < 3; i++)
		assert_true(
			x.bin[i].bin == bin[i].bin && x.bin[i].count == bin[i].count);
	hurt(feature);
}

/* A feature's record stays small for any SAE in practice: values over 40 octaves
 * (1e-6 to 1e6), each bin with up to 2^35 counts. */
static void
test_feature_size(void **state)
{
	struct rec_bin bin[160];
	struct rec_feature f = {.count = UINT64_MAX,
		.n_windows = UINT64_MAX,
		.n_documents = UINT64_MAX,
		.max_window = UINT32_MAX,
		.max_offset = UINT32_MAX,
		.bin = bin,
		.n_bins = 160};

	(void)state;
	for (uint32_t i = 0; i < 160; i++)
		bin[i] = (struct rec_bin){rec_hist_bin(1e-6f) + i, (1ull << 35) - 1};
	for (uint32_t i = 0; i < LIMIT_INTERVALS; i++)
		f.interval[i] = UINT64_MAX;
	assert_true(rec_hist_bin(1e-6f) + 160 > rec_hist_bin(9e5f));
	rec_feature_pack(&b, &f);
	assert_true(b.n_bytes <= LIMIT_SMALL_BYTES);
}

static void
test_bins(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < 1020; i++) {
		float low = rec_hist_edge(i), high = rec_hist_edge(i + 1);

		assert_int_equal(rec_hist_bin(low), i);
		assert_int_equal(rec_hist_bin(nextafterf(high, 0)), i);
	}
	assert_true(rec_hist_edge(rec_hist_bin(1)) == 1);
	assert_true(rec_hist_edge(rec_hist_bin(1) + 1) == 1.25f);
	assert_true(rec_hist_edge(rec_hist_bin(1) + 4) == 2);
	assert_int_equal(rec_hist_bin(0), 0);
	assert_true(rec_hist_bin(INFINITY) < REC_HIST_BINS);
	assert_true(rec_hist_bin(-1) < REC_HIST_BINS);
}

static void
test_interval(void **state)
{
	(void)state;
	assert_int_equal(rec_interval(10, 10), 9);
	assert_int_equal(rec_interval(9.01f, 10), 9);
	assert_int_equal(rec_interval(9, 10), 8); /* (max*i/10, max*(i+1)/10] */
	assert_int_equal(rec_interval(1, 10), 0);
	assert_int_equal(rec_interval(1.01f, 10), 1);
	assert_int_equal(rec_interval(1e-30f, 10), 0);
	assert_int_equal(rec_interval(11, 10), 9);
	assert_int_equal(rec_interval(1, 0), 9);
	assert_int_equal(rec_interval(0, 0), 0);
	assert_int_equal(rec_interval(-1, 10), 0);
	assert_int_equal(rec_interval(NAN, 10), 0);
}

static int
examples(const void *p, size_t n, struct err *e)
{
	struct rec_examples x;

	return rec_examples_unpack(&x, p, n, &a, e);
}

static void
test_examples(void **state)
{
	static const struct rec_at at[] = {{0, 0.5f}, {7, 1e5f}, {8000, -0.0f}};
	static const struct rec_example list[] = {{REC_BEST, 9, 7, 1e5f, at, 3},
		{0, UINT32_MAX, 0, 0.5f, at, 1}, {9, 3, 4, 2, NULL, 0}};
	struct rec_examples x;
	struct err e = ERR_INIT;

	(void)state;
	rec_examples_pack(&b, &(struct rec_examples){list, 3});
	assert_int_equal(rec_examples_unpack(&x, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(x.n_examples, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(x.example[i].interval, list[i].interval);
		assert_int_equal(x.example[i].window, list[i].window);
		assert_int_equal(x.example[i].offset, list[i].offset);
		assert_true(x.example[i].value == list[i].value);
		assert_int_equal(x.example[i].n_at, list[i].n_at);
		for (uint32_t j = 0; j < list[i].n_at; j++)
			assert_true(x.example[i].at[j].offset == at[j].offset &&
				x.example[i].at[j].value == at[j].value);
	}
	hurt(examples);
}

static int
acts(const void *p, size_t n, struct err *e)
{
	struct rec_acts x;

	return rec_acts_unpack(&x, p, n, &a, e);
}

static void
test_acts(void **state)
{
	static const uint32_t row[] = {2, 5, 5, 6, 8};
	static const uint32_t f[] = {9, 9, 0, 1, 70000, UINT32_MAX, 5, 6};
	static const float v[] = {0, 0, 1.5f, 1e5f, 1e-40f, 3, 4, 5};
	const struct rec_acts want = {3, 4, row, f, v}; /* a part of longer arrays */
	struct rec_acts x;
	struct err e = ERR_INIT;

	(void)state;
	rec_acts_pack(&b, &want);
	assert_int_equal(rec_acts_unpack(&x, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(x.first_token, 3);
	assert_int_equal(x.n_tokens, 4);
	for (uint32_t i = 0; i <= 4; i++)
		assert_int_equal(x.row_start[i], row[i] - 2);
	assert_memory_equal(x.feature, f + 2, 6 * sizeof(*f));
	assert_memory_equal(x.value, v + 2, 6 * sizeof(*v));
	hurt(acts);
	buf_reset(&b);
	rec_acts_pack(&b, &(struct rec_acts){0, 0, row, f, v});
	hurt(acts);
}

/* Features of a token that do not ascend. */
static void
test_acts_order(void **state)
{
	static const uint32_t row[] = {0, 2}, f[] = {5, 5};
	static const float v[] = {1, 2};
	struct rec_acts x;
	struct err e = ERR_INIT;

	(void)state;
	rec_acts_pack(&b, &(struct rec_acts){0, 1, row, f, v});
	assert_int_equal(rec_acts_unpack(&x, b.data, b.n_bytes, &a, &e), ERR_CORRUPT);
}

static int
postings(const void *p, size_t n, struct err *e)
{
	const struct rec_posting *x;
	size_t n_x;

	return rec_postings_unpack(&x, &n_x, p, n, &a, e);
}

static void
test_postings(void **state)
{
	static const struct rec_posting want[] = {{3, 1, 0.5f}, {70000, 900, 7},
		{UINT32_MAX, UINT32_MAX, 1e5f}};
	const struct rec_posting *x;
	struct err e = ERR_INIT;
	size_t n;

	(void)state;
	rec_postings_pack(&b, want, 3);
	assert_int_equal(rec_postings_unpack(&x, &n, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(x, want, sizeof(want));
	hurt(postings);
}

static int
logits(const void *p, size_t n, struct err *e)
{
	struct rec_logits x;

	return rec_logits_unpack(&x, p, n, &a, e);
}

static int
neighbors(const void *p, size_t n, struct err *e)
{
	const struct rec_scored *x;
	size_t n_x;

	return rec_neighbors_unpack(&x, &n_x, p, n, &a, e);
}

static void
test_scored(void **state)
{
	static const struct rec_scored list[] = {{7, 0.9f}, {UINT32_MAX, -1}, {0, 0}};
	const struct rec_scored *x;
	struct rec_logits l;
	struct err e = ERR_INIT;
	size_t n;

	(void)state;
	rec_neighbors_pack(&b, list, 3);
	assert_int_equal(rec_neighbors_unpack(&x, &n, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(x, list, sizeof(list));
	hurt(neighbors);
	buf_reset(&b);
	rec_logits_pack(&b, &(struct rec_logits){list, list + 2, 2, 1});
	assert_int_equal(rec_logits_unpack(&l, b.data, b.n_bytes, &a, &e), 0);
	assert_true(l.n_promoted == 2 && l.n_suppressed == 1);
	assert_memory_equal(l.promoted, list, 2 * sizeof(list[0]));
	assert_memory_equal(l.suppressed, list + 2, sizeof(list[0]));
	hurt(logits);
}

static int
token(const void *p, size_t n, struct err *e)
{
	struct rec_token x;

	return rec_token_unpack(&x, p, n, &a, e);
}

static void
test_token(void **state)
{
	static const struct rec_token_feature list[] = {{7, 900, 0.5f},
		{UINT32_MAX, 1, 9}};
	struct rec_token x;
	struct err e = ERR_INIT;

	(void)state;
	rec_token_pack(&b, &(struct rec_token){1ull << 40, list, 2, 300});
	assert_int_equal(rec_token_unpack(&x, b.data, b.n_bytes, &a, &e), 0);
	assert_true(x.n_occurrences == 1ull << 40 && x.n_features_all == 300);
	assert_int_equal(x.n_features, 2);
	assert_memory_equal(x.feature, list, sizeof(list));
	hurt(token);
}

/* Few bytes that ask for much memory get none. */
static void
test_claims(void **state)
{
	static unpack_fn *const all[] = {window, feature, examples, acts, postings,
		logits, neighbors, token};
	static const uint8_t many[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff,
		0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff};
	struct err e = ERR_INIT;

	(void)state;
	a.limit_bytes = 4096;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t n = 0; n <= sizeof(many); n++) {
			assert_int_equal(all[i](many, n, &e), ERR_CORRUPT);
			arena_reset(&a);
		}
}

/* Memory that runs out is told as such. */
static void
test_no_memory(void **state)
{
	static const struct rec_scored list[] = {{7, 0.9f}};
	struct err e = ERR_INIT;

	(void)state;
	rec_neighbors_pack(&b, list, 1);
	a.limit_bytes = 1;
	assert_int_equal(neighbors(b.data, b.n_bytes, &e), ERR_NOMEM);
}

static int
image(const void *p, size_t n, struct err *e)
{
	struct rec_image x;

	return rec_image_unpack(&x, p, n, e);
}

static void
test_image(void **state)
{
	struct rec_image x = {.n_bytes = LIMIT_IMAGE_BYTES, .type = "image/png"}, y;
	struct err e = ERR_INIT;

	(void)state;
	for (uint8_t i = 0; i < 32; i++)
		x.sha256[i] = (uint8_t)(i * 9);
	rec_image_pack(&b, &x);
	hurt(image);
	assert_int_equal(rec_image_unpack(&y, b.data, b.n_bytes, &e), 0);
	assert_memory_equal(&x, &y, sizeof(x));
	/* the longest name of a type, and one too long */
	memset(x.type, 'x', sizeof(x.type) - 1);
	buf_reset(&b);
	rec_image_pack(&b, &x);
	assert_int_equal(rec_image_unpack(&y, b.data, b.n_bytes, &e), 0);
	assert_string_equal(y.type, "xxxxxxxxxxxxxxx");
	b.data[32 + 4]++;
	buf_u8(&b, 'x');
	assert_int_equal(rec_image_unpack(&y, b.data, b.n_bytes, &e), ERR_CORRUPT);
}

static int
patches(const void *p, size_t n, struct err *e)
{
	const struct rec_patch *x;
	size_t n_x;

	return rec_patches_unpack(&x, &n_x, p, n, &a, e);
}

static void
test_patches(void **state)
{
	static const struct rec_patch x[] = {
		{0, 1, 7, 0, 1, 1}, /* of one patch */
		{1, 196, 0, 0, 14, 14}, /* whole, next to it */
		{300, 5, 4000000000u, 9, 2, 7}, /* to the last patch */
		{UINT32_MAX - 2, 2, 1, 65536u * 65536u - 3, 65536, 65536},
	};
	static const struct rec_patch bad[][2] = {
		{{0, 0, 0, 0, 1, 1}, {5, 1, 0, 0, 1, 1}}, /* of nothing */
		{{0, 2, 0, 0, 1, 1}, {5, 1, 0, 0, 1, 1}}, /* past the grid */
		{{0, 1, 0, 1, 1, 1}, {5, 1, 0, 0, 1, 1}},
		{{0, 1, 0, 0, 0, 9}, {5, 1, 0, 0, 1, 1}}, /* no grid */
		{{0, 1, 0, UINT32_MAX, 1, 9}, {5, 1, 0, 0, 1, 1}},
		{{UINT32_MAX, 1, 0, 0, 1, 1}, {UINT32_MAX, 1, 0, 0, 1, 1}},
		{{0, 9, 0, 0, 3, 3}, {8, 1, 0, 0, 1, 1}}, /* overlap */
	};
	const struct rec_patch *y;
	struct err e = ERR_INIT;
	size_t n;

	(void)state;
	rec_patches_pack(&b, x, sizeof(x) / sizeof(x[0]));
	hurt(patches);
	assert_int_equal(rec_patches_unpack(&y, &n, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(n, sizeof(x) / sizeof(x[0]));
	assert_memory_equal(x, y, sizeof(x));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&b);
		rec_patches_pack(&b, bad[i], 2);
		assert_int_equal(patches(b.data, b.n_bytes, &e), ERR_CORRUPT);
	}
	buf_reset(&b);
	rec_patches_pack(&b, NULL, 0);
	assert_int_equal(rec_patches_unpack(&y, &n, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(n, 0);
}

static void
test_image_type(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *type;
	} x[] = {
		{"\x89PNG\r\n\x1a\n", 8, "image/png"},
		{"\xff\xd8\xff\xe0", 4, "image/jpeg"},
		{"GIF87a", 6, "image/gif"},
		{"GIF89a", 6, "image/gif"},
		{"RIFF\1\2\3\4WEBPVP8 ", 16, "image/webp"},
		{"RIFF\1\2\3\4WAVE", 12, NULL},
		{"RIFX\1\2\3\4WEBP", 12, NULL},
		{"GIF88a", 6, NULL},
		{"BM\0\0\0\0\0\0\0\0\0\0", 12, NULL},
		{"<svg xmlns=\"\">", 14, NULL},
	};

	(void)state;
	assert_null(image_type(NULL, 0));
	for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++) {
		const char *type = image_type(x[i].bytes, x[i].n);

		if (x[i].type == NULL) {
			assert_null(type);
			continue;
		}
		assert_string_equal(type, x[i].type);
		for (size_t n = 0; n < 3; n++) { /* cut short: the sanitizer sees */
			char *copy = malloc(n + 1);

			memcpy(copy, x[i].bytes, n);
			assert_null(image_type(copy, n));
			free(copy);
		}
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, init, clear)
	const struct CMUnitTest tests[] = {
		TEST(test_window),
		TEST(test_window_spans),
		TEST(test_feature),
		TEST(test_feature_size),
		TEST(test_bins),
		TEST(test_interval),
		TEST(test_examples),
		TEST(test_acts),
		TEST(test_acts_order),
		TEST(test_postings),
		TEST(test_scored),
		TEST(test_token),
		TEST(test_claims),
		TEST(test_no_memory),
		TEST(test_image),
		TEST(test_patches),
		TEST(test_image_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
