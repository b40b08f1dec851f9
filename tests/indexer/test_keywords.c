/* SPDX-License-Identifier: ISC */
/* Words, and the labels made of them, on windows written here. */
#include "indexer/keywords.h"
#include "tests/util/scratch.h"

#include <stdlib.h>
#include <string.h>

static struct windows windows;
static uint8_t excluded[4096];

/* A window whose tokens are the text's words with the space in front. The id is
 * of the word's letters, so that equal words are equal tokens. */
static void
add_window(const char *text)
{
	static uint32_t token[256], start[256], end[256];
	struct rec_segment segment = {0};
	struct rec_window w = {.token = token,
		.text_start = start,
		.text_end = end,
		.segment = &segment,
		.n_segments = 1,
		.text = text,
		.n_text_bytes = (uint32_t)strlen(text)};
	struct err e = ERR_INIT;
	uint32_t i = 0;

	while (i < w.n_text_bytes) {
		uint32_t hash = 0;

		start[w.n_tokens] = i++;
		while (i < w.n_text_bytes && text[i] != ' ')
			hash = hash * 31 + (uint8_t)text[i++];
		end[w.n_tokens] = i;
		token[w.n_tokens++] = hash % 4096;
	}
	assert_int_equal(windows_add(&windows, &w, &e), 0);
}

static const char *const background[] = {
	"the old man walks over the stone to the water in the morning",
	"people in the city walk to work and read the news in the evening",
	"a small dog sleeps by the door of the house on the hill",
	"the price of bread in the shop is higher than in the spring",
};

static int
make(void **state)
{
	struct err e = ERR_INIT;

	scratch_make(state);
	assert_int_equal(windows_init(&windows, scratch, excluded, 4096, &e), 0);
	for (int i = 0; i < 40; i++)
		add_window(background[i % 4]);
	add_window("we saw the Golden Gate Bridge in thick fog over the bay");
	add_window("there was fog and the Golden Gate Bridge was red, said the guide");
	add_window("in fog the Golden Gate Bridge is crossed by many people");
	add_window("He said: \"stop\" and went , slowly , home");
	add_window("one , two , three , four");
	add_window("red , green , blue , the end");
	assert_int_equal(windows_map(&windows, &e), 0);
	return 0;
}

static int
unmake(void **state)
{
	windows_clear(&windows);
	return scratch_remove(state);
}

/* The label of a feature that peaks at that word of those windows. */
static const char *
label(const uint32_t (*peaks)[2], uint32_t n, double *score)
{
	static struct buf b;
	struct best best[16] = {0};
	struct keywords *k;
	struct words corpus;
	struct err e = ERR_INIT;

	for (uint32_t i = 0; i < n; i++)
		best[i] = (struct best){i, (float)(n - i), peaks[i][0], peaks[i][1]};
	assert_int_equal(words_count(&corpus, &windows, &e), 0);
	assert_int_equal(keywords_new(&k, &corpus, &e), 0);
	buf_clear(&b);
	keywords_label(k, &windows, best, n, &b, score);
	keywords_free(k);
	words_clear(&corpus);
	return buf_str(&b);
}

static void
test_phrase(void **unused)
{
	static const uint32_t peaks[][2] = {{40, 4}, {41, 6}, {42, 4}};
	double score;

	(void)unused;
	assert_string_equal(label(peaks, 3, &score), "Golden Gate Bridge · fog");
	assert_true(score == 1);
}

/* Where nothing but the token is shared, it is quoted. */
static void
test_token(void **unused)
{
	static const uint32_t peaks[][2] = {{43, 5}, {44, 1}, {45, 1}, {44, 5}};
	double score;
	const char *got = label(peaks, 4, &score);

	(void)unused;
	assert_int_equal(strncmp(got, "\",\"", 3), 0);
}

static void
test_same_every_time(void **unused)
{
	static const uint32_t peaks[][2] = {{0, 3}, {1, 5}, {40, 4}, {2, 2}};
	double score;
	char first[256];

	(void)unused;
	snprintf(first, sizeof(first), "%s", label(peaks, 4, &score));
	assert_true(strlen(first) > 0);
	assert_string_equal(label(peaks, 4, &score), first);
}

/* Words of a text joined by |, "/" in front of those that stand apart. */
static const char *
split(const char *text, size_t n)
{
	static char out[512];
	struct word w;
	size_t from = 0, m = 0;

	out[0] = '\0';
	while (words_next(text, n, &from, &w)) {
		assert_true(w.start < w.end && w.end <= n);
		m += (size_t)snprintf(out + m, sizeof(out) - m, "%s%.*s|",
			w.apart ? "/" : "", (int)(w.end - w.start), text + w.start);
	}
	return out;
}

static void
test_words(void **unused)
{
	struct word a, b;
	size_t at_a = 0, at_b = 0;

	(void)unused;
	assert_string_equal(split("Hello, big world", 16), "Hello|/big|world|");
	assert_string_equal(split("def add_two(x):\n  x", 19), "def|add_two|/x|/x|");
	assert_string_equal(split("don't l\xe2\x80\x99"
				  "eau '",
				    15),
		"don't|l\xe2\x80\x99"
		"eau|");
	assert_string_equal(split("\xe6\xa9\x8b\xe3\x81\xaf", 6),
		"\xe6\xa9\x8b|\xe3\x81\xaf|");
	assert_string_equal(split("a\xff\xfe"
				  "b \xc3",
				    6),
		"a|/b|");
	assert_string_equal(split("", 0), "");
	assert_string_equal(split(" .,- ", 5), "");
	assert_true(words_next("BR\xc3\x9c"
			       "CKE",
		7, &at_a, &a));
	assert_true(words_next("br\xc3\xbc"
			       "cke",
		7, &at_b, &b));
	assert_true(a.hash == b.hash);
}

static void
test_share(void **unused)
{
	struct words corpus;
	struct word w;
	struct err e = ERR_INIT;
	size_t from = 0;

	(void)unused;
	assert_int_equal(words_count(&corpus, &windows, &e), 0);
	assert_true(words_next("the", 3, &from, &w));
	assert_true(words_share(&corpus, w.hash) > 0.9);
	from = 0;
	assert_true(words_next("fog", 3, &from, &w));
	assert_true(words_share(&corpus, w.hash) < 0.1);
	assert_true(words_share(&corpus, 12345) > 0);
	words_clear(&corpus);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phrase),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_same_every_time),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_share),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
