/* SPDX-License-Identifier: ISC */
/* Documents out of well-made and hostile files. */
#include "indexer/corpus.h"
#include "schema/limits.h"
#include "tests/util/scratch.h"

#include <stdlib.h>
#include <string.h>

static const struct corpus_rules usual = {"text", "id", false, false};

/* All documents of one file as "id|text|meta;", or the error's text. */
static const char *
read_file(const char *path, const struct corpus_rules *rules)
{
	static char out[4096];
	struct corpus *c;
	struct document d;
	struct err e = ERR_INIT;
	size_t n = 0;
	int rc = corpus_open(&c, &path, 1, rules, &e);

	out[0] = '\0';
	while (rc == 0 && (rc = corpus_next(c, &d, &e)) == 1) {
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s|%.*s|%.*s;",
			d.id != NULL ? (int)d.n_id : 1, d.id != NULL ? d.id : "-",
			(int)d.n_text, d.text, (int)d.n_meta, d.meta);
		rc = 0;
	}
	corpus_close(c);
	return rc < 0 ? strcpy(out, e.text) : out;
}

static const char *
read_text(const char *name, const char *text, size_t n,
	const struct corpus_rules *rules)
{
	put_file(at(name), text, n);
	return read_file(at(name), rules);
}

#define READ(name, text) read_text(name, text, sizeof(text) - 1, &usual)

static void
test_json(void **unused)
{
	struct corpus_rules other = {"body", "url", false, false};

	(void)unused;
	assert_string_equal(
		READ("a.jsonl",
			"{\"id\": \"x\", \"text\": \"one\", \"lang\": \"en\"}\n"
			"\n  \r\n"
			"{\"text\": \"t\\u00e9\\n\", \"id\": 7, \"a\": [1, {}]}"),
		"x|one|{\"lang\":\"en\"};7|t\xc3\xa9\n|{\"a\":[1,{}]};");
	assert_string_equal(READ("b", "{\"text\": \"told by its first line\"}\n"),
		"-|told by its first line|{};");
	assert_string_equal(READ("c.jsonl", "{\"text\": \"\", \"id\": null}\n"),
		"-||{};");
	assert_string_equal(read_text("d.jsonl", "{\"url\": \"u\", \"body\": \"b\"}\n",
				    26, &other),
		"u|b|{};");
}

static void
test_text(void **unused)
{
	struct corpus_rules lines = {"text", "id", false, true};

	(void)unused;
	assert_string_equal(READ("note.txt", "one\ntwo\n"), "note.txt|one\ntwo\n|{};");
	assert_string_equal(READ("note", "one\ntwo\n"), "note|one\ntwo\n|{};");
	assert_string_equal(READ("line", "one\n"), "line|one\n|{};");
	assert_string_equal(READ("line", "\n"), "line|\n|{};");
	assert_string_equal(READ("line", "one"), "line|one|{};");
	assert_string_equal(READ("code", "{ int a; }\nmore"),
		"code|{ int a; }\nmore|{};");
	assert_string_equal(READ("raw.txt", "a\xff\xfez"), "raw.txt|a\xff\xfez|{};");
	assert_string_equal(READ("empty.txt", ""), "");
	assert_string_equal(READ("empty", ""), "");
	assert_string_equal(read_text("l.txt", "one\r\n\ntwo", 9, &lines),
		"-|one|{};-|two|{};");
	assert_string_equal(read_text("l", "first\nsecond\n", 13, &lines),
		"-|first|{};-|second|{};");
}

/* Each names the file and the line. */
static void
test_hostile(void **unused)
{
	struct corpus_rules strict = {"text", "id", true, false};
	static const struct {
		const char *text, *want;
	} bad[] = {
		{"{\"text\": \"a\"}\n{\"text\": \"b\"\n", "x.jsonl:2: "},
		{"{\"text\": 5}\n", "x.jsonl:1: \"text\" is not a string"},
		{"{\"txt\": \"a\"}\n", "x.jsonl:1: the object has no \"text\""},
		{"[1]\n", "x.jsonl:1: not a JSON object"},
		{"\"text\"\n", "x.jsonl:1: "},
		{"{\"text\": \"a\", \"id\": {}}\n", "x.jsonl:1: \"id\" is neither"},
		{"{\"text\": \"a\", \"id\": \"n\\u0000l\"}\n",
			"x.jsonl:1: \"id\" holds a NUL"},
		{"{\"text\": \"\xff\"}\n",
			"x.jsonl:1:11: byte 0xff is not valid UTF-8"},
		{"{\"text\": \"\\ud800\"}\n", "x.jsonl:1: "},
		{"{\"text\": \"a\", \"text\": \"b\"}\n", "x.jsonl:1: "},
		{"{\"text\": \"a\"} x\n", "x.jsonl:1: "},
		{"\xef\xbb\xbf{\n", "x.jsonl:1: "},
		{"{\"text\":\"a\",\"m\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}\n",
			"x.jsonl:1: JSON is nested deeper"},
		{"{\n  \"text\": \"spread out\"\n}\n", "x.jsonl:1: "},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *got =
			read_text("x.jsonl", bad[i].text, strlen(bad[i].text), &usual);

		if (strstr(got, bad[i].want) == NULL)
			fail_msg("%s gives %s", bad[i].text, got);
	}
	assert_non_null(strstr(read_text("s.txt", "ok\nab\xc3(", 7, &strict),
		"s.txt:2:3: byte 0xc3 is not valid UTF-8 (--strict)"));
	assert_non_null(strstr(read_file(at("none.jsonl"), &usual), "none.jsonl"));
	assert_non_null(strstr(read_file(scratch, &usual), "is a directory"));
}

static void
test_nul(void **unused)
{
	struct corpus *c;
	struct document d;
	const char *path = at("nul.jsonl");
	struct err e = ERR_INIT;

	(void)unused;
	put_file(path, "{\"text\": \"a\\u0000b\"}\n", 21);
	assert_int_equal(corpus_open(&c, &path, 1, &usual, &e), 0);
	assert_int_equal(corpus_next(c, &d, &e), 1);
	assert_int_equal(d.n_text, 3);
	assert_memory_equal(d.text, "a\0b", 3);
	assert_int_equal(corpus_next(c, &d, &e), 0);
	assert_int_equal(corpus_next(c, &d, &e), 0);
	corpus_close(c);
}

static void
test_limits(void **unused)
{
	size_t n = (size_t)LIMIT_LINE_BYTES + 2;
	char *big = mem_new(n, 1);
	FILE *f;

	(void)unused;
	assert_non_null(big);
	memset(big, 'x', n);
	put_file(at("big.txt"), big, n);
	assert_non_null(
		strstr(read_file(at("big.txt"), &usual), "longer than the limit"));
	put_file(at("big.jsonl"), big, n);
	assert_non_null(strstr(read_file(at("big.jsonl"), &usual), "line 1 is longer"));
	mem_free(big);
	f = fopen(at("meta.jsonl"), "w");
	fprintf(f, "{\"text\": \"a\", \"m\": \"%0*d\"}\n", LIMIT_META_BYTES, 0);
	fclose(f);
	assert_non_null(strstr(read_file(at("meta.jsonl"), &usual),
		"meta.jsonl:1: the fields"));
	f = fopen(at("id.jsonl"), "w");
	fprintf(f, "{\"text\": \"a\", \"id\": \"%0*d\"}\n", LIMIT_META_BYTES + 1, 0);
	fclose(f);
	assert_non_null(
		strstr(read_file(at("id.jsonl"), &usual), "id.jsonl:1: \"id\" has"));
}

static void
test_many(void **unused)
{
	const char *paths[] = {at("1.jsonl"), at("2.txt"), at("3.jsonl")};
	struct corpus *c;
	struct document d;
	uint64_t done, total;
	struct err e = ERR_INIT;
	int n = 0, rc;

	(void)unused;
	put_file(paths[0], "{\"text\": \"a\"}\n", 14);
	put_file(paths[1], "", 0);
	put_file(paths[2], "{\"text\": \"b\"}\n{\"text\": \"c\"}", 27);
	assert_int_equal(corpus_open(&c, paths, 3, &usual, &e), 0);
	while ((rc = corpus_next(c, &d, &e)) == 1)
		assert_int_equal(d.text[0], 'a' + n++);
	assert_int_equal(rc, 0);
	assert_int_equal(n, 3);
	corpus_progress(c, &done, &total);
	assert_int_equal(done, 41);
	assert_int_equal(total, 41);
	corpus_close(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
