/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/utf8.h"

/* All code points, there and back; surrogates are replaced. */
static void
test_all(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	for (uint32_t cp = 0; cp <= 0x110000; cp++) {
		bool bad = cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff);
		uint32_t back = 0;

		buf_reset(&b);
		utf8_put(&b, cp);
		if (utf8_next((char *)b.data, b.n_bytes, &back) != b.n_bytes)
			fail_msg("U+%X", cp);
		if (back != (bad ? 0xfffd : cp))
			fail_msg("U+%X came back as U+%X", cp, back);
		for (size_t cut = 0; cut < b.n_bytes; cut++)
			if (utf8_next((char *)b.data, cut, NULL) != 0)
				fail_msg("U+%X cut to %zu", cp, cut);
	}
	buf_clear(&b);
}

/* Overlongs, surrogates, past the end, stray and missing continuations. */
static void
test_bad(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xfe",
		"\xff",
		"\xc2",
		"\xc2\x41",
		"\xe2\x82",
		"\xe2\x82\x41",
		"\xf0\x9f\x98",
		"\xf0\x9f\x98\x41",
		"\xf0\x41\x98\x80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (utf8_next(bad[i], strlen(bad[i]), NULL) != 0)
			fail_msg("number %zu is malformed", i);
	assert_int_equal(utf8_next("", 0, NULL), 0);
}

static void
test_valid(void **state)
{
	(void)state;
	assert_int_equal(utf8_valid("gr\xc3\xbc\xc3\x9f", 6), 6);
	assert_int_equal(utf8_valid("ab\xff"
				    "cd",
				 5),
		2);
	assert_int_equal(utf8_valid("ab\xe2\x82", 4), 2);
	assert_int_equal(utf8_valid("a\0b", 3), 3);
	assert_int_equal(utf8_valid("", 0), 0);
}

static void
test_show(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	utf8_show(&b, "a\xff\xc3\xbc\xe2\x82z\x80", 8);
	assert_string_equal(buf_str(&b), "a\\xFF\xc3\xbc\\xE2\\x82z\\x80");
	buf_clear(&b);
}

static void
test_width(void **state)
{
	(void)state;
	assert_int_equal(utf8_width('a'), 1);
	assert_int_equal(utf8_width(0), 0);
	assert_int_equal(utf8_width('\n'), 0);
	assert_int_equal(utf8_width(0x7f), 0);
	assert_int_equal(utf8_width(0xe9), 1);
	assert_int_equal(utf8_width(0x301), 0);
	assert_int_equal(utf8_width(0x200d), 0);
	assert_int_equal(utf8_width(0x4e2d), 2);
	assert_int_equal(utf8_width(0xac00), 2);
	assert_int_equal(utf8_width(0xff21), 2);
	assert_int_equal(utf8_width(0x1f600), 2);
	assert_int_equal(utf8_width(0x2500), 1);
	assert_int_equal(utf8_width(0x10ffff), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
