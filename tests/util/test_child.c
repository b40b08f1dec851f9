/* SPDX-License-Identifier: ISC */
#include "util/child.h"

#include "tests/util/scratch.h"

#include <signal.h>

static int
fine(void *ctx, struct err *e)
{
	int *n = ctx;

	(void)e;
	*n = 7;
	return 0;
}

static int
refused(void *ctx, struct err *e)
{
	return err_set(e, ERR_LIMIT, "%s is too much", (const char *)ctx);
}

static int
falls(void *ctx, struct err *e)
{
	(void)e;
	signal(*(int *)ctx, SIG_DFL);
	raise(*(int *)ctx);
	return 0;
}

static int
leaves(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	_exit(0);
}

static void
test_try(void **state)
{
	struct err e = ERR_INIT;
	int n = 3, sig[] = {SIGSEGV, SIGBUS, SIGABRT};
	char what[] = "this";

	(void)state;
	assert_int_equal(child_try(fine, &n, "n", &e), 0);
	assert_int_equal(n, 3); /* it has no effect here */
	assert_int_equal(child_try(refused, what, "it", &e), ERR_LIMIT);
	assert_string_equal(e.text, "this is too much");
	assert_int_equal(child_try(refused, what, "it", NULL), ERR_LIMIT);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(child_try(falls, &sig[i], "a file", &e), ERR_CORRUPT);
		assert_non_null(strstr(e.text, "a file: "));
		assert_non_null(strstr(e.text, strsignal(sig[i])));
	}
	assert_int_equal(child_try(leaves, NULL, "it", &e), ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
