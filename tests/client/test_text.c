/* SPDX-License-Identifier: ISC */
/* Numbers and text as they are shown: fmt, term, table, rows. */
#include "client/fmt.h"
#include "client/rows.h"
#include "client/table.h"
#include "client/term.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_numbers(void **state)
{
	(void)state;
	assert_string_equal(fmt_count(0).s, "0");
	assert_string_equal(fmt_count(999).s, "999");
	assert_string_equal(fmt_count(1000).s, "1,000");
	assert_string_equal(fmt_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
	assert_string_equal(fmt_short(9999).s, "9,999");
	assert_string_equal(fmt_short(4300000).s, "4.30M");
	assert_string_equal(fmt_short(124439808).s, "124M");
	assert_string_equal(fmt_percent(0).s, "0%");
	assert_string_equal(fmt_percent(1).s, "100%");
	assert_string_equal(fmt_percent(0.123).s, "12%");
	assert_string_equal(fmt_percent(0.0234).s, "2.3%");
	assert_string_equal(fmt_percent(0.00423).s, "0.42%");
	assert_string_equal(fmt_percent(0.0000321).s, "0.0032%");
	assert_string_equal(fmt_percent(1e-12).s, "1.0e-10%");
	assert_string_equal(fmt_value(0).s, "0");
	assert_string_equal(fmt_value(12.345).s, "12.3");
	assert_string_equal(fmt_value(-0.5).s, "-0.500");
	assert_string_equal(fmt_value(1234.5).s, "1234");
	assert_string_equal(fmt_value(123456).s, "1.23e+05");
	assert_string_equal(fmt_value(0.00001).s, "1.00e-05");
	assert_string_equal(fmt_bytes(512).s, "512 bytes");
	assert_string_equal(fmt_bytes(1536).s, "1.5 KiB");
	assert_string_equal(fmt_seconds(0.0123).s, "12 ms");
	assert_string_equal(fmt_seconds(59).s, "59 s");
	assert_string_equal(fmt_seconds(3700).s, "1 h 1 min");
	assert_string_equal(fmt_seconds(90000).s, "1 d 1 h");
	assert_string_equal(fmt_time(0).s, "-");
	assert_string_equal(fmt_time(1700000000).s, "2023-11-14 22:13");
}

static const char *
shown(const char *s, size_t n, bool utf8)
{
	static char text[256];
	struct buf b;

	buf_init(&b);
	text_show(&b, s, n, utf8);
	snprintf(text, sizeof(text), "%s", buf_str(&b));
	buf_clear(&b);
	return text;
}
#define SHOWN(s, utf8) shown(s, sizeof(s) - 1, utf8)

/* Nothing that a terminal would act on gets through. */
static void
test_show(void **state)
{
	(void)state;
	assert_string_equal(SHOWN("a\nb", true), "a\u21b5b");
	assert_string_equal(SHOWN("a\nb\tc", false), "a\\nb\\tc");
	assert_string_equal(SHOWN("\033[31m\a\0x", true), "\\x1B[31m\\x07\\x00x");
	assert_string_equal(SHOWN("\xff\xc3", true), "\\xFF\\xC3");
	assert_string_equal(SHOWN("caf\xc3\xa9", true), "caf\xc3\xa9");
	assert_string_equal(SHOWN("caf\xc3\xa9", false), "caf\\u00E9");
	assert_string_equal(SHOWN("\xc2\x9b"
				  "31m",
				    true),
		"\\u009B31m");
	assert_string_equal(SHOWN("a\u202eb", true), "a\\u202Eb");
	for (int i = 0; i < 256; i++) {
		char ch = (char)i;

		for (const char *p = shown(&ch, 1, true); *p != '\0'; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
}

static void
test_width(void **state)
{
	static const char wide[] = "\u6771\u4eac x"; /* two, two, one, one */

	(void)state;
	assert_int_equal(text_width(wide, strlen(wide)), 6);
	assert_int_equal(text_fit(wide, 3), 3);
	assert_int_equal(text_fit(wide, 4), 6);
	assert_int_equal(text_fit(wide, 99), strlen(wide));
}

static void
test_bars(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	text_bar(&b, 0.5, 4, false);
	assert_string_equal(buf_str(&b), "##");
	buf_reset(&b);
	text_bar(&b, 0.0001, 4, false);
	assert_string_equal(buf_str(&b), "#");
	buf_reset(&b);
	text_bar(&b, 0, 4, true);
	assert_int_equal(b.n_bytes, 0);
	text_bar(&b, 1.0 / 8, 4, true);
	assert_string_equal(buf_str(&b), "\u258c");
	buf_reset(&b);
	text_spark(&b, 1, true);
	text_spark(&b, 0.01, true);
	text_spark(&b, 0, true);
	assert_string_equal(buf_str(&b), "\u2588\u2581 ");
	buf_clear(&b);
}

/* What fn writes, through a file. */
static char *
printed(void (*fn)(FILE *f))
{
	static char text[4096];
	FILE *f = tmpfile();
	size_t n;

	assert_non_null(f);
	fn(f);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
put_table(FILE *f)
{
	static const struct column columns[] = {{"name", false, STYLE_ADDR},
		{"n", true, STYLE_PLAIN}, {"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN}};
	struct term term = {.out = f, .utf8 = true, .width = 40};
	struct table t;

	table_init(&t, columns, true);
	table_text(&t, "\u00e9t\u00e9");
	table_put(&t, "1,000");
	table_text(&t, "a label that is too long for the line\n");
	table_text(&t, "x");
	table_put(&t, "2");
	table_text(&t, NULL);
	table_print(&t, &term);
	table_clear(&t);
}

static void
test_table(void **state)
{
	(void)state;
	assert_string_equal(printed(put_table),
		"name      n  label\n"
		"\u00e9t\u00e9   1,000  a label that is too long f\u2026\n"
		"x         2\n");
}

static void
put_csv_rows(FILE *f)
{
	static const char *const column[] = {"a", "b", "c", NULL};
	struct rows r = {.f = f, .csv = true, .column = column};

	for (int i = 0; i < 2; i++) {
		rows_begin(&r);
		rows_cell_str(&r, 0, "say \"hi\",\nplease", 16);
		rows_cell_f32(&r, 1, 0.1f);
		rows_cell_str(&r, 2, NULL, 0);
		rows_end(&r);
	}
}

static void
put_json_rows(FILE *f)
{
	static const char *const column[] = {"a", "b", "c", NULL};
	struct rows r = {.f = f, .column = column};

	rows_begin(&r);
	rows_cell_str(&r, 0, "\"\\\n\x01", 4);
	rows_cell_int(&r, 1, -7);
	rows_cell_str(&r, 2, NULL, 0);
	rows_end(&r);
}

static void
test_rows(void **state)
{
	(void)state;
	assert_string_equal(printed(put_csv_rows),
		"a,b,c\n\"say \"\"hi\"\",\nplease\",0.1,\n\"say "
		"\"\"hi\"\",\nplease\",0.1,\n");
	assert_string_equal(printed(put_json_rows),
		"{\"a\":\"\\\"\\\\\\n\\u0001\",\"b\":-7,\"c\":null}\n");
}

static void
test_float(void **state)
{
	static const float v[] = {0.1f, 1e-30f, 16777217.0f, 3.4028235e38f,
		1.1920929e-7f};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		rows_float(text, v[i]);
		assert_true(strtof(text, NULL) == v[i]);
	}
	rows_float(text, 0.1f);
	assert_string_equal(text, "0.1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_bars),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_float),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
