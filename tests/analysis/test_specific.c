/* SPDX-License-Identifier: ISC */
/* Against the formulas by other ways, and where they end. */
#include "analysis/specific.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_chance(void **state)
{
	(void)state;
	assert_true(fabs(specific_chance(0.1, 3) - (1 - 0.9 * 0.9 * 0.9)) < 1e-15);
	assert_true(fabs(specific_chance(1e-12, 2) / 2e-12 - 1) < 1e-9);
	assert_true(specific_chance(1, 3) == 1 && specific_chance(0, 3) == 0);
}

static void
test_score(void **state)
{
	(void)state;
	/* fires at 9 of 9, (9 + 1/2) / 10; by chance at one in a hundred */
	assert_true(fabs(specific_score(0.5, 9, 9, 0.01) - 0.5 * log(95)) < 1e-12);
	assert_true(specific_score(1, 1, 99, 0.5) == 0); /* less than by chance */
	assert_true(specific_score(1, 0, 9, 0.001) == 0);
	assert_true(specific_score(1, 9, 9, 0) == 0);
	assert_true(specific_score(1, 9, 9, 0.001) > specific_score(0.9, 9, 9, 0.001));
	assert_true(specific_score(1, 9, 9, 0.001) > specific_score(1, 8, 9, 0.001));
}

static void
test_fused(void **state)
{
	(void)state;
	assert_true(specific_fused(1) == 1.0 / 61);
	/* second by two ways is before first by one */
	assert_true(2 * specific_fused(2) > specific_fused(1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chance),
		cmocka_unit_test(test_score),
		cmocka_unit_test(test_fused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
