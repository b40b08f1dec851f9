/* SPDX-License-Identifier: ISC */
/* Words of a text, as a query and where they stand; rankings. */
#include "daemon/concept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static struct concept_words words;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_clear(&arena);
	return 0;
}

static void
read_words(const char *text)
{
	struct err e = ERR_INIT;

	assert_int_equal(concept_words(&words, text, &arena, &e), 0);
}

static void
test_words(void **state)
{
	(void)state;
	read_words("  Caf\xc3\xa9-noir, \"OR\" \xff NEAR(x*) ");
	assert_int_equal(words.n, 5);
	assert_string_equal(words.word[0].plain, "cafe");
	assert_string_equal(words.word[4].plain, "x");
	assert_string_equal(concept_query(&words, MATCH_PHRASE, &arena),
		"\"Caf\xc3\xa9 noir OR NEAR x\"");
	assert_string_equal(concept_query(&words, MATCH_ALL, &arena),
		"\"Caf\xc3\xa9\" \"noir\" \"OR\" \"NEAR\" \"x\"");
	read_words("a' OR");
	assert_string_equal(concept_query(&words, MATCH_ANY, &arena),
		"\"a\" OR \"OR\"");
	read_words(" \" * \xe2\x98\x85 ("); /* a star is no mark that is split at */
	read_words("\" * ( -");
	assert_int_equal(words.n, 0);
	read_words("");
	assert_int_equal(words.n, 0);
}

/* More words than are taken, and one longer than is compared. */
static void
test_long(void **state)
{
	char text[4097];

	(void)state;
	for (size_t i = 0; i < 4096; i++)
		text[i] = i % 2 ? ' ' : 'a';
	text[4096] = '\0';
	read_words(text);
	assert_int_equal(words.n, CONCEPT_WORDS);
	memset(text, 'b', 4096);
	read_words(text);
	assert_int_equal(words.n, 1);
	assert_int_equal(words.word[0].n_bytes, 4096);
	assert_true(strlen(concept_query(&words, MATCH_PHRASE, &arena)) <= 4096);
}

static uint32_t
spans(enum concept_match how, const char *text, struct concept_span **out)
{
	struct err e = ERR_INIT;
	uint32_t n;

	assert_int_equal(concept_spans(&words, how, text, strlen(text), out, &n, &arena,
				 &e),
		0);
	return n;
}

static void
test_spans(void **state)
{
	struct concept_span *s;

	(void)state;
	read_words("golden GATE");
	assert_int_equal(spans(MATCH_PHRASE,
				 "golden golden gate, Golden\nG\xc3\xa2te gated", &s),
		2);
	assert_int_equal(s[0].from, 7);
	assert_int_equal(s[0].to, 18);
	assert_int_equal(s[1].from, 20);
	assert_int_equal(s[1].to, 32);
	assert_int_equal(spans(MATCH_ALL, "gate of the golden gates", &s), 2);
	assert_int_equal(s[1].from, 12);
	assert_int_equal(s[1].to, 18);
	assert_int_equal(spans(MATCH_ANY, "gated", &s), 0);
	assert_int_equal(spans(MATCH_PHRASE, "golden", &s), 0);
	assert_int_equal(spans(MATCH_PHRASE, "", &s), 0);
	read_words("a a");
	assert_int_equal(spans(MATCH_PHRASE, "a a a a a", &s), 2); /* none overlap */
	read_words("!");
	assert_int_equal(spans(MATCH_PHRASE, "a b", &s), 0);
	assert_int_equal(spans(MATCH_ANY, "a b", &s), 0);
}

static void
test_no_memory(void **state)
{
	struct err e = ERR_INIT;
	struct concept_span *s;
	uint32_t n;
	int rc = ERR_NOMEM;

	(void)state;
	for (long i = 0; rc == ERR_NOMEM; i++) {
		arena_clear(&arena);
		arena_init(&arena, 0);
		mem_fail_at(i);
		rc = concept_words(&words, "golden gate", &arena, &e);
		if (rc == 0 && concept_query(&words, MATCH_ALL, &arena) == NULL)
			rc = ERR_NOMEM;
		if (rc == 0)
			rc = concept_spans(&words, MATCH_ALL, "a golden gate", 13, &s,
				&n, &arena, &e);
		mem_fail_at(-1);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(n, 2);
}

static void
test_ranking(void **state)
{
	struct req q = {.arena = &arena};
	struct concept_list l = {0};
	struct concept_way w = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct concept_row r = {.target = i % 3, .feature = i, .score = i / 10};

		assert_int_equal(concept_put(&l, &r, &e), 0);
	}
	assert_int_equal(concept_take(&q, &l, &w, &e), 0);
	assert_int_equal(w.n, CONCEPT_ROWS);
	for (uint32_t i = 1; i < w.n; i++) {
		const struct concept_row *a = &w.row[i - 1], *b = &w.row[i];

		assert_true(a->score > b->score ||
			(a->score == b->score &&
				(a->target < b->target ||
					(a->target == b->target &&
						a->feature < b->feature))));
	}
	assert_null(l.row);
	assert_int_equal(concept_take(&q, &l, &w, &e), 0);
	assert_int_equal(w.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spans, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranking, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
