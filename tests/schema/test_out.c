/* SPDX-License-Identifier: ISC */
/* Both sinks: the smallest MessagePack, and JSON with what it lacks. */
#include "schema/out.h"

#include "schema/value.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
expect(struct buf *b, const char *bytes, size_t n)
{
	assert_false(b->failed);
	assert_int_equal(b->n_bytes, n);
	assert_memory_equal(b->data, bytes, n);
	buf_reset(b);
}
#define EXPECT(b, s) expect(b, s, sizeof(s) - 1)

static void
test_smallest_integers(void **state)
{
	struct buf b;
	struct out o;

	(void)state;
	buf_init(&b);
	out_init_msgpack(&o, &b, 0);
	out_int(&o, 0), EXPECT(&b, "\x00");
	out_int(&o, 127), EXPECT(&b, "\x7f");
	out_int(&o, 128), EXPECT(&b, "\xcc\x80");
	out_int(&o, 255), EXPECT(&b, "\xcc\xff");
	out_int(&o, 256), EXPECT(&b, "\xcd\x01\x00");
	out_int(&o, 65536), EXPECT(&b, "\xce\x00\x01\x00\x00");
	out_uint(&o, UINT32_MAX), EXPECT(&b, "\xce\xff\xff\xff\xff");
	out_uint(&o, UINT64_MAX), EXPECT(&b, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
	out_int(&o, -1), EXPECT(&b, "\xff");
	out_int(&o, -32), EXPECT(&b, "\xe0");
	out_int(&o, -33), EXPECT(&b, "\xd0\xdf");
	out_int(&o, -128), EXPECT(&b, "\xd0\x80");
	out_int(&o, -129), EXPECT(&b, "\xd1\xff\x7f");
	out_int(&o, -32769), EXPECT(&b, "\xd2\xff\xff\x7f\xff");
	out_int(&o, INT64_MIN), EXPECT(&b, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
	buf_clear(&b);
}

static void
test_smallest_heads(void **state)
{
	struct buf b;
	struct out o;
	char text[70000];

	(void)state;
	memset(text, 'x', sizeof(text));
	buf_init(&b);
	out_init_msgpack(&o, &b, 0);
	out_strn(&o, text, 31);
	assert_true(b.n_bytes == 32 && b.data[0] == 0xbf), buf_reset(&b);
	out_strn(&o, text, 32);
	assert_true(b.n_bytes == 34 && b.data[0] == 0xd9), buf_reset(&b);
	out_strn(&o, text, 256);
	assert_true(b.n_bytes == 259 && b.data[0] == 0xda), buf_reset(&b);
	out_strn(&o, text, 65536);
	assert_true(b.n_bytes == 65541 && b.data[0] == 0xdb), buf_reset(&b);
	out_bin(&o, text, 0), EXPECT(&b, "\xc4\x00");
	out_bin(&o, text, 256);
	assert_true(b.n_bytes == 259 && b.data[0] == 0xc5), buf_reset(&b);
	out_bin(&o, text, 65536);
	assert_true(b.n_bytes == 65541 && b.data[0] == 0xc6), buf_reset(&b);
	out_array(&o, 0), out_end(&o), EXPECT(&b, "\x90");
	out_map(&o, 0), out_end(&o), EXPECT(&b, "\x80");
	out_array(&o, 16);
	assert_memory_equal(b.data, "\xdc\x00\x10", 3);
	for (int i = 0; i < 16; i++)
		out_nil(&o);
	out_end(&o);
	assert_int_equal(b.n_bytes, 19), buf_reset(&b);
	out_f32(&o, 1.0f), EXPECT(&b, "\xca\x3f\x80\x00\x00");
	out_f64(&o, 1.0), EXPECT(&b, "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00");
	out_bool(&o, true), EXPECT(&b, "\xc3");
	out_str(&o, NULL), EXPECT(&b, "\xc0");
	assert_false(out_failed(&o));
	buf_clear(&b);
}

static void
json_is(struct buf *b, const char *want)
{
	assert_string_equal(buf_str(b), want);
	buf_reset(b);
}

static void
test_json_shapes(void **state)
{
	struct buf b;
	struct out o;

	(void)state;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	out_map(&o, 3);
	out_key_int(&o, "a", -1);
	out_key(&o, "list");
	out_array(&o, 3);
	out_nil(&o), out_bool(&o, false);
	out_map(&o, 0), out_end(&o);
	out_end(&o);
	out_int(&o, 7), out_str(&o, "key was a number");
	out_end(&o);
	json_is(&b, "{\"a\":-1,\"list\":[null,false,{}],\"7\":\"key was a number\"}");
	out_array(&o, 4);
	out_int(&o, INT64_C(1) << 53), out_int(&o, (INT64_C(1) << 53) + 1);
	out_int(&o, -(INT64_C(1) << 53) - 1), out_uint(&o, UINT64_MAX);
	out_end(&o);
	json_is(&b,
		"[9007199254740992,\"9007199254740993\",\"-9007199254740993\","
		"\"18446744073709551615\"]");
	out_array(&o, 4);
	out_f64(&o, NAN), out_f32(&o, INFINITY), out_f64(&o, 0.1), out_f64(&o, 1e300);
	out_end(&o);
	json_is(&b, "[null,null,0.1,1e+300]");
	buf_clear(&b);
}

static void
test_json_strings(void **state)
{
	struct buf b;
	struct out o;

	(void)state;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	out_str(&o, "q\" b\\ \n\t\x01\x7f \xc3\xa9 \xe2\x82\xac");
	json_is(&b, "\"q\\\" b\\\\ \\n\\t\\u0001\\u007f \xc3\xa9 \xe2\x82\xac\"");
	out_strn(&o, "a\0\v\f", 4);
	json_is(&b, "\"a\\u0000\\u000b\\f\"");
	out_str(&o, "bad \xff\xc3");
	json_is(&b, "\"bad \\\\xFF\\\\xC3\"");
	out_bin(&o, "", 0), json_is(&b, "\"\"");
	out_bin(&o, "f", 1), json_is(&b, "\"Zg==\"");
	out_bin(&o, "fo", 2), json_is(&b, "\"Zm8=\"");
	out_bin(&o, "foo\xff\xfe\xfd", 6), json_is(&b, "\"Zm9v//79\"");
	buf_clear(&b);
}

static void
test_shortest_float32(void **state)
{
	static const struct {
		float v;
		const char *text;
	} known[] = {{0.1f, "0.1"}, {1e10f, "1e+10"}, {16777216.0f, "16777216"},
		{1.0f / 3, "0.33333334"}, {-0.0f, "-0"}, {FLT_MIN, "1.1754944e-38"}};
	struct buf b;
	struct out o;
	uint32_t bits = 1;

	(void)state;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		out_f32(&o, known[i].v), json_is(&b, known[i].text);
	for (int i = 0; i < 20000; i++) {
		float v;

		bits = bits * 1664525 + 1013904223;
		memcpy(&v, &bits, sizeof(v));
		if (!isfinite(v))
			continue;
		out_f32(&o, v);
		assert_true(strtof(buf_str(&b), NULL) == v);
		buf_reset(&b);
	}
	buf_clear(&b);
}

static void
test_text_shows_bytes(void **state)
{
	struct buf b;
	struct out o;

	(void)state;
	buf_init(&b);
	out_init_msgpack(&o, &b, 0);
	out_text(&o, "a\xff", 2),
		EXPECT(&b,
			"\xa5"
			"a\\xFF");
	out_text(&o, "\xc3\xa9", 2), EXPECT(&b, "\xa2\xc3\xa9");
	buf_clear(&b);
}

static void
test_limit(void **state)
{
	static const char zero[101];
	struct buf b;
	struct out o;

	(void)state;
	buf_init(&b);
	out_init_msgpack(&o, &b, 100);
	out_array(&o, 1000);
	for (int i = 0; i < 1000; i++)
		out_int(&o, i);
	out_end(&o);
	assert_true(out_failed(&o));
	assert_true(b.n_bytes < 120);
	buf_reset(&b);
	out_init_msgpack(&o, &b, 100);
	out_bin(&o, zero, 101);
	assert_true(out_failed(&o));
	buf_reset(&b);
	out_init_msgpack(&o, &b, 100);
	out_bin(&o, zero, 50);
	assert_false(out_failed(&o));
	buf_clear(&b);
}

static void
test_json_text(void **state)
{
	struct buf b;
	struct out o;
	struct err e = ERR_INIT;

	(void)state;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	assert_int_equal(out_json_text(&o, "{\"b\": [1, 2.5, \"x\"], \"a\": null}", &e),
		0);
	json_is(&b, "{\"b\":[1,2.5,\"x\"],\"a\":null}");
	assert_int_equal(out_json_text(&o, "{broken", &e), ERR_FORMAT);
	json_is(&b, "null");
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest_integers),
		cmocka_unit_test(test_smallest_heads),
		cmocka_unit_test(test_json_shapes),
		cmocka_unit_test(test_json_strings),
		cmocka_unit_test(test_shortest_float32),
		cmocka_unit_test(test_text_shows_bytes),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_json_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
