/* SPDX-License-Identifier: ISC */
/* Labels from files, the broken ones too. */
#include "client/label_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int
read_rows(const char *text, size_t n_bytes, enum label_format format,
	struct label_row **rows, size_t *n, struct arena *arena, struct err *e)
{
	arena_init(arena, 0);
	*e = ERR_INIT;
	return label_file_read(rows, n, text, n_bytes, format, arena, e);
}

static void
test_jsonl(void **state)
{
	static const char text[] =
		"{\"feature\":\"8k/"
		"1\",\"text\":\"one\",\"author\":\"a\",\"score\":0.5}\n"
		"\n"
		"{\"sae_hash\":\"ab\",\"index\":7,\"explanation\":\"two\",\"more\":[1]}"
		"\r\n"
		"{\"index\":\"8\",\"description\":\"three\",\"time_s\":5,\"source\":"
		"null}";
	struct label_row *row;
	struct arena arena;
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(read_rows(text, sizeof(text) - 1, LABEL_JSONL, &row, &n,
				 &arena, &e),
		0);
	assert_int_equal(n, 3);
	assert_string_equal(row[0].feature, "8k/1");
	assert_string_equal(row[0].author, "a");
	assert_true(row[0].has_score && row[0].score == 0.5);
	assert_string_equal(row[1].text, "two");
	assert_string_equal(row[1].sae_hash, "ab");
	assert_int_equal(row[1].index, 7);
	assert_int_equal(row[1].line, 3);
	assert_string_equal(row[2].text, "three");
	assert_int_equal(row[2].index, 8);
	assert_int_equal(row[2].time_s, 5);
	assert_null(row[2].source);
	arena_clear(&arena);
}

static void
test_csv(void **state)
{
	static const char text[] = "\xef\xbb\xbf"
				   "feature,note,explanation,score\r\n"
				   "8k/1,x,\"one, \"\"two\"\"\nthree\",\r\n"
				   "8k/2,,four,1e-3\r\n"
				   "\r\n"
				   "8k/3,,five,2";
	struct label_row *row;
	struct arena arena;
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(read_rows(text, sizeof(text) - 1, LABEL_CSV, &row, &n, &arena,
				 &e),
		0);
	assert_int_equal(n, 3);
	assert_string_equal(row[0].text, "one, \"two\"\nthree");
	assert_false(row[0].has_score);
	assert_string_equal(row[1].feature, "8k/2");
	assert_true(row[1].has_score && row[1].score == 1e-3);
	assert_string_equal(row[2].text, "five");
	assert_int_equal(row[2].line, 6);
	arena_clear(&arena);
}

#define BAD(f, s, what) \
	{ \
		f, s, sizeof(s) - 1, what \
	}

static void
test_bad(void **state)
{
	static const struct {
		enum label_format format;
		const char *text;
		size_t n;
		const char *what;
	} row[] = {
		BAD(LABEL_JSONL, "{\"text\":\"a\",\"index\":1}\n{", "line 2"),
		BAD(LABEL_JSONL, "[1]", "line 1: not a JSON object"),
		BAD(LABEL_JSONL, "{\"text\":\"a\"}", "no feature"),
		BAD(LABEL_JSONL, "{\"feature\":\"8k/1\"}", "no text"),
		BAD(LABEL_JSONL, "{\"feature\":7,\"text\":\"a\"}", "wrong type"),
		BAD(LABEL_JSONL, "{\"index\":1.5,\"text\":\"a\"}", "index"),
		BAD(LABEL_JSONL, "{\"index\":-1,\"text\":\"a\"}", "index"),
		BAD(LABEL_JSONL, "{\"index\":1,\"text\":\"a\\u0000b\"}", "line 1"),
		BAD(LABEL_CSV, "", "line 1"),
		BAD(LABEL_CSV, "a,b\n1,2\n", "line 1 names no column"),
		BAD(LABEL_CSV, "feature,text\n8k/1,\"open\n", "line 2: a quote"),
		BAD(LABEL_CSV, "feature,text\n8k/1,\"a\"b\n", "line 2: text behind"),
		BAD(LABEL_CSV, "feature,text\n8k/1\n", "line 2: not as many"),
		BAD(LABEL_CSV, "feature,text\n8k/1,\xff\n", "line 2: not UTF-8"),
		BAD(LABEL_CSV, "feature,text,score\n8k/1,a,b\n", "line 2: score"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct label_row *rows;
		struct arena arena;
		struct err e;
		size_t n;

		if (read_rows(row[i].text, row[i].n, row[i].format, &rows, &n, &arena,
			    &e) == 0)
			fail_msg("row %zu was read", i);
		if (strstr(e.text, row[i].what) == NULL)
			fail_msg("row %zu: %s", i, e.text);
		arena_clear(&arena);
	}
}

static void
test_long(void **state)
{
	char text[2200];
	struct label_row *rows;
	struct arena arena;
	struct err e;
	size_t n;
	int at = snprintf(text, sizeof(text), "{\"index\":1,\"text\":\"");

	(void)state;
	memset(text + at, 'x', 2001);
	strcpy(text + at + 2001, "\"}");
	assert_int_equal(read_rows(text, strlen(text), LABEL_JSONL, &rows, &n, &arena,
				 &e),
		ERR_FORMAT);
	assert_non_null(strstr(e.text, "longer than"));
	arena_clear(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jsonl),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
