/* SPDX-License-Identifier: ISC */
#include "model/json.h"
#include "tests/model/fixture.h"

static int
parse(struct js_doc *d, const char *text, struct err *e)
{
	return js_parse(d, "f.json", text, strlen(text), 4, e);
}

static void
test_strict(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{"{\"a\":1}", 0},
		{" [1, 2]\n", 0},
		{"", ERR_FORMAT},
		{"{", ERR_FORMAT},
		{"{\"a\":1,\"a\":2}", ERR_FORMAT},
		{"{\"a\":1}}", ERR_FORMAT},
		{"[1,]", ERR_FORMAT},
		{"[NaN]", ERR_FORMAT},
		{"[\"\xff\"]", ERR_FORMAT},
		{"[\"\\ud800\"]", ERR_FORMAT},
		{"[\"\\u0000\"]", ERR_FORMAT},
		{"[99999999999999999999]", ERR_FORMAT},
		{"[[[[]]]]", 0},
		{"[[[[[]]]]]", ERR_LIMIT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		struct js_doc d;
		int rc = parse(&d, cases[i].text, &e);

		if (rc != cases[i].code)
			fail_msg("%s: %d %s", cases[i].text, rc, e.text);
		if (rc < 0)
			assert_non_null(strstr(e.text, "f.json"));
		js_close(&d);
	}
}

static void
test_getters(void **state)
{
	struct err e = ERR_INIT;
	struct js_doc d;
	uint32_t u;
	double f;
	bool b;
	char s[4];

	(void)state;
	assert_int_equal(parse(&d,
				 "{\"u\":7,\"n\":null,\"neg\":-1,\"big\":4294967296,"
				 "\"f\":1.5,\"t\":true,\"s\":\"abc\",\"l\":\"abcd\"}",
				 &e),
		0);
	assert_int_equal(js_need_u32(&d, d.root, "u", &u, &e), 0);
	assert_int_equal(u, 7);
	assert_int_equal(js_need_u32(&d, d.root, "neg", &u, &e), ERR_FORMAT);
	assert_int_equal(js_need_u32(&d, d.root, "big", &u, &e), ERR_FORMAT);
	assert_int_equal(js_need_u32(&d, d.root, "f", &u, &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "a number"));
	assert_int_equal(js_need_u32(&d, d.root, "none", &u, &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "\"none\" is missing"));
	assert_int_equal(js_opt_u32(&d, d.root, "none", 9, &u, &e), 0);
	assert_int_equal(u, 9);
	assert_int_equal(js_opt_u32(&d, d.root, "n", 8, &u, &e), 0);
	assert_int_equal(u, 8);
	assert_int_equal(js_opt_u32(&d, d.root, "s", 8, &u, &e), ERR_FORMAT);
	assert_int_equal(js_opt_f64(&d, d.root, "f", 0, &f, &e), 0);
	assert_true(f == 1.5);
	assert_int_equal(js_opt_f64(&d, d.root, "u", 0, &f, &e), 0);
	assert_true(f == 7);
	assert_int_equal(js_opt_f64(&d, d.root, "t", 0, &f, &e), ERR_FORMAT);
	assert_int_equal(js_opt_bool(&d, d.root, "t", false, &b, &e), 0);
	assert_true(b);
	assert_int_equal(js_opt_bool(&d, d.root, "u", false, &b, &e), ERR_FORMAT);
	assert_int_equal(js_need_str(&d, d.root, "s", s, sizeof(s), &e), 0);
	assert_string_equal(s, "abc");
	assert_int_equal(js_need_str(&d, d.root, "l", s, sizeof(s), &e), ERR_LIMIT);
	assert_int_equal(js_opt_str(&d, d.root, "none", "x", s, sizeof(s), &e), 0);
	assert_string_equal(s, "x");
	assert_int_equal(js_n(d.root), 8);
	assert_null(js_get(js_get(d.root, "u"), "u"));
	assert_null(js_at(d.root, 0));
	js_close(&d);
}

static void
test_files(void **state)
{
	struct err e = ERR_INIT;
	struct js_doc d;

	(void)state;
	assert_int_equal(js_open(&d, at("none"), 10, 4, &e), ERR_NOTFOUND);
	js_close(&d);
	put_file(at("j"), "[1,2,3]", 7);
	assert_int_equal(js_open(&d, at("j"), 6, 4, &e), ERR_LIMIT);
	js_close(&d);
	assert_int_equal(js_open(&d, at("j"), 7, 4, &e), 0);
	assert_int_equal(js_n(d.root), 3);
	js_close(&d);
	put_file(at("j"), "", 0);
	assert_int_equal(js_open(&d, at("j"), 6, 4, &e), ERR_FORMAT);
	js_close(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
