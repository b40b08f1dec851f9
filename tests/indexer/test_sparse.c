/* SPDX-License-Identifier: ISC */
/* Activations by token from ranges of features, and by feature from tokens. */
#include "indexer/sparse.h"
#include "tests/util/scratch.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS 40
#define FEATURES 90
#define RANGES 3

static float dense[TOKENS][FEATURES];

static void
make_dense(unsigned seed)
{
	srand(seed);
	for (int t = 0; t < TOKENS; t++)
		for (int f = 0; f < FEATURES; f++)
			dense[t][f] = rand() % 4 == 0 ? (float)(1 + rand() % 100) : 0;
}

static int
gather(struct sparse *a, struct err *e)
{
	struct kernel_hits hits[RANGES] = {0};
	int rc;

	for (uint32_t r = 0; r < RANGES; r++) {
		hits[r].hit = mem_new(TOKENS * FEATURES, sizeof(*hits[r].hit));
		for (uint32_t t = 0; t < TOKENS; t++)
			for (uint32_t f = r * 30; f < r * 30 + 30; f++)
				if (dense[t][f] > 0)
					hits[r].hit[hits[r].n++] =
						(struct kernel_hit){f, t, dense[t][f]};
	}
	rc = sparse_gather(a, hits, RANGES, TOKENS, e);
	for (int r = 0; r < RANGES; r++)
		mem_free(hits[r].hit);
	return rc;
}

static void
test_gather(void **unused)
{
	struct sparse a = {0};
	struct err e = ERR_INIT;

	(void)unused;
	for (unsigned seed = 1; seed < 10; seed++) {
		uint32_t at = 0;

		make_dense(seed);
		assert_int_equal(gather(&a, &e), 0);
		for (uint32_t t = 0; t < TOKENS; t++) {
			assert_int_equal(a.row_start[t], at);
			for (uint32_t f = 0; f < FEATURES; f++) {
				if (f % 7 == 0)
					assert_int_equal(sparse_from(&a, t, f), at);
				if (dense[t][f] == 0)
					continue;
				assert_int_equal(a.feature[at], f);
				assert_true(a.value[at++] == dense[t][f]);
			}
		}
		assert_int_equal(a.row_start[TOKENS], at);
	}
	sparse_clear(&a);
}

static void
test_not_finite(void **unused)
{
	struct sparse a = {0};
	struct err e = ERR_INIT;

	(void)unused;
	make_dense(1);
	dense[7][8] = 1e38f * 1e38f;
	assert_int_equal(gather(&a, &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "not finite"));
	sparse_clear(&a);
}

static void
test_by_feature(void **unused)
{
	struct by_feature b;
	struct err e = ERR_INIT;
	uint32_t seen = 0;

	(void)unused;
	assert_int_equal(by_feature_init(&b, 30, 30, &e), 0);
	for (unsigned seed = 1; seed < 10; seed++) {
		make_dense(seed);
		by_feature_reset(&b);
		for (uint32_t t = 0; t < TOKENS; t++)
			for (uint32_t f = 30; f < 60; f++)
				if (dense[t][f] > 0)
					assert_int_equal(by_feature_add(&b, f, t,
								 dense[t][f], &e),
						0);
		by_feature_build(&b);
		for (uint32_t i = 0; i < b.n; i++) {
			uint32_t f = b.feature[i], j = b.start[i];

			for (uint32_t t = 0; t < TOKENS; t++) {
				if (dense[t][f] == 0)
					continue;
				assert_int_equal(b.at[j].offset, t);
				assert_true(b.at[j++].value == dense[t][f]);
				seen++;
			}
			assert_int_equal(j, b.start[i + 1]);
		}
	}
	assert_true(seen > 1000);
	by_feature_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_by_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
