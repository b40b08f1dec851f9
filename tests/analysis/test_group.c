/* SPDX-License-Identifier: ISC */
/* Two cliques and a straggler, by hand; rows whose order is known; names by counting. */
#include "analysis/group.h"
#include "analysis/nearby.h"

#include "util/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_nearby(void **state)
{
	static const float row[5][2] = {{1, 0}, {2, 0}, {0, 3}, {1, 1}, {0, 0}};
	static const uint32_t want[5][4] = {{1, 3, 2, 4}, {0, 3, 2, 4}, {3, 0, 1, 4},
		{0, 1, 2, 4}, {0, 1, 2, 3}};
	uint32_t near[5][4];
	float unit[5][2], cosine[5][4];

	(void)state;
	for (int i = 0; i < 5; i++)
		nearby_unit(unit[i], row[i], 2);
	nearby_rows(&near[0][0], &cosine[0][0], &unit[0][0], 5, 2, 4);
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 4; k++)
			assert_int_equal(near[i][k], want[i][k]);
	assert_true(cosine[0][0] == 1 && cosine[0][2] == 0);
	assert_true(cosine[0][1] > 0.7070f && cosine[0][1] < 0.7072f);
	assert_true(cosine[4][0] == 0); /* zeros are near to nothing */
	nearby_rows(&near[0][0], &cosine[0][0], &unit[0][0], 2, 2, 1);
	assert_int_equal(near[0][0], 1);
}

/* 0 to 3 and 4 to 7 name one another; 8 names 0 to 2, and nobody names it. */
static void
make_cliques(uint32_t near[9][3], float weight[9][3])
{
	for (uint32_t i = 0; i < 9; i++)
		for (uint32_t k = 0, j = i < 8 ? i / 4 * 4 : 0; k < 3; j++)
			if (j != i) {
				weight[i][k] = 0.5f;
				near[i][k++] = j;
			}
}

static void
test_groups(void **state)
{
	uint32_t near[9][3], group[9], n;
	float weight[9][3];
	struct err e = ERR_INIT;

	(void)state;
	make_cliques(near, weight);
	assert_int_equal(group_points(group, &n, &near[0][0], &weight[0][0], 9, 3, 4,
				 &e),
		0);
	assert_int_equal(n, 2);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(group[i], i < 8 ? i / 4 : 0);
	assert_int_equal(group_points(group, &n, &near[0][0], &weight[0][0], 9, 3, 5,
				 &e),
		0);
	assert_int_equal(n, 1);
	assert_int_equal(group[4], GROUP_NONE);
	for (uint32_t i = 0; i < 27; i++)
		near[i / 3][i % 3] = UINT32_MAX;
	assert_int_equal(group_points(group, &n, &near[0][0], &weight[0][0], 9, 3, 2,
				 &e),
		0);
	assert_int_equal(n, 0);
}

static void
test_names(void **state)
{
	static const uint32_t group[] = {0, 0, 0, 1, 1, GROUP_NONE, 2, 2};
	static const char *const text[] = {"the Golden Gate", "GOLDEN, the", "the gate",
		"the river", "the River; the sea", "a gate", NULL, "\xc3\xa9t\xc3\xa9"};
	char name[3][GROUP_NAME_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(group_names(name, 3, group, text, 8, &e), 0);
	/* golden 2 log(7/2), gate 2 log(7/3), the 3 log(7/5) */
	assert_string_equal(name[0], "golden, gate, the");
	assert_string_equal(name[1], "river, the");
	assert_string_equal(name[2], "");
	assert_int_equal(group_names(name, 0, group, text, 0, &e), 0);
}

static void
test_nomem(void **state)
{
	static const char *const text[] = {"one word", "one word", "one word", "one"};
	uint32_t near[9][3], group[9] = {0}, n;
	float weight[9][3];
	char name[1][GROUP_NAME_BYTES];

	(void)state;
	make_cliques(near, weight);
	for (long at = 0; at < 2; at++) {
		struct err e = ERR_INIT;

		mem_fail_at(at);
		assert_int_equal(group_points(group, &n, &near[0][0], &weight[0][0], 9,
					 3, 4, &e),
			ERR_NOMEM);
		mem_fail_at(-1);
	}
	for (long at = 0; at < 3; at++) {
		struct err e = ERR_INIT;

		for (int i = 0; i < 9; i++)
			group[i] = 0;
		mem_fail_at(at);
		assert_int_equal(group_names(name, 1, group, text, 4, &e), ERR_NOMEM);
		mem_fail_at(-1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nearby),
		cmocka_unit_test(test_groups), cmocka_unit_test(test_names),
		cmocka_unit_test(test_nomem)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
