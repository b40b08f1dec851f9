/* SPDX-License-Identifier: ISC */
/* Against counts small enough to do by hand. */
#include "analysis/overlap.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_overlap(void **state)
{
	(void)state;
	/* 3 of 12 tokens both; 4 and 6: 7 either */
	assert_true(fabs(overlap_jaccard(3, 4, 6) - 3.0 / 7) < 1e-15);
	assert_true(fabs(overlap_pmi(3, 4, 6, 12) - log(1.5)) < 1e-15);
	assert_true(overlap_jaccard(0, 0, 0) == 0);
	assert_true(isinf(overlap_pmi(0, 4, 6, 12)) && overlap_pmi(0, 4, 6, 12) < 0);
	assert_true(overlap_jaccard(5, 5, 5) == 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_overlap)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
