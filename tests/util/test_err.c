/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/err.h"

#include <errno.h>

static void
test_set(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, ERR_FORMAT, "line %d: %s", 7, "bad"), ERR_FORMAT);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_string_equal(e.text, "line 7: bad");
	assert_string_equal(e.arg, "");
	assert_int_equal(err_arg(&e, ERR_ARG, "limit", "no\nline"), ERR_ARG);
	assert_string_equal(e.arg, "limit");
	assert_string_equal(e.text, "no line");
	err_set(&e, ERR_IO, "x");
	assert_string_equal(e.arg, "");
}

static void
test_null(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
	assert_int_equal(err_arg(NULL, ERR_ARG, "a", "x"), ERR_ARG);
	assert_int_equal(err_wrap(NULL, "x"), ERR_INTERNAL);
	errno = ENOSPC;
	assert_int_equal(err_sys(NULL, "x"), ERR_FULL);
}

static void
test_sys(void **state)
{
	static const struct {
		int number, code;
	} rows[] = {{ENOSPC, ERR_FULL}, {EDQUOT, ERR_FULL}, {ENOMEM, ERR_NOMEM},
		{EACCES, ERR_IO}, {ENOENT, ERR_NOTFOUND}, {EIO, ERR_IO}};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errno = rows[i].number;
		assert_int_equal(err_sys(&e, "file %d", 1), rows[i].code);
		assert_int_equal(e.code, rows[i].code);
		assert_memory_equal(e.text, "file 1: ", 8);
		assert_string_equal(e.text + 8, strerror(rows[i].number));
	}
}

static void
test_wrap(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_arg(&e, ERR_FORMAT, "path", "too short");
	assert_int_equal(err_wrap(&e, "%s", "a.json"), ERR_FORMAT);
	assert_string_equal(e.text, "a.json: too short");
	assert_string_equal(e.arg, "path");
}

static void
test_long(void **state)
{
	char text[2000];
	struct err e = ERR_INIT;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[1999] = '\0';
	err_arg(&e, ERR_ARG, text, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(strlen(e.arg), sizeof(e.arg) - 1);
	err_wrap(&e, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	errno = EIO;
	err_sys(&e, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

/* Codes are wire-stable: this list only grows. */
static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(err_name(0), "ok");
	assert_string_equal(err_name(-1), "no_memory");
	assert_string_equal(err_name(ERR_NOTFOUND), "not_found");
	assert_string_equal(err_name(ERR_BUSY), "busy");
	assert_string_equal(err_name(-19), "internal");
	assert_int_equal(ERR_INTERNAL, -19);
	assert_string_equal(err_name(-20), "unknown");
	assert_string_equal(err_name(5), "unknown");
	assert_string_equal(err_name(-2147483647 - 1), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_sys),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
