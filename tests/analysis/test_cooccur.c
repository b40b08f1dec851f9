/* SPDX-License-Identifier: ISC */
/* Counts by the plainest loop; the order of what is equal. */
#include "analysis/cooccur.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TOKENS = 300, FEATURES = 23, MOST = 9 };

static uint32_t row_start[TOKENS + 1], feature[TOKENS * MOST];
static bool fires[TOKENS][FEATURES];

/* Rows of 0 to 8, so that all remainders of the unrolled loop come. */
static void
make_rows(void)
{
	uint32_t n = 0;

	srand(5);
	for (uint32_t t = 0; t < TOKENS; t++) {
		uint32_t want = (uint32_t)rand() % MOST, f = (uint32_t)rand() % 4;

		row_start[t] = n;
		for (; want > 0 && f < FEATURES; want--) {
			feature[n++] = f;
			fires[t][f] = true;
			f += 1 + (uint32_t)rand() % 4;
		}
	}
	row_start[TOKENS] = n;
}

static void
test_counts(void **state)
{
	struct cooccur_rows rows = {row_start, feature};

	(void)state;
	make_rows();
	for (uint32_t a = 0; a < FEATURES; a++) {
		uint32_t n_both[FEATURES] = {0}, token[TOKENS], n = 0;

		for (uint32_t t = 0; t < TOKENS; t++)
			if (fires[t][a])
				token[n++] = t;
		/* in two calls, as chunks come */
		cooccur_add(n_both, &rows, token, n / 3);
		cooccur_add(n_both, &rows, token + n / 3, n - n / 3);
		for (uint32_t b = 0; b < FEATURES; b++) {
			uint32_t want = 0;

			for (uint32_t t = 0; t < TOKENS; t++)
				want += fires[t][a] && fires[t][b];
			assert_int_equal(n_both[b], want);
		}
	}
}

/* Offered in any order, the same list. */
static void
test_order(void **state)
{
	static const struct cooccur_pair best[] =
		{{.sae = 1, .feature = 9, .n_both = 8, .count = 8}, /* 8/10 */
			{.sae = 0, .feature = 3, .n_both = 4, .count = 4}, /* 4/10 */
			{.sae = 0, .feature = 7, .n_both = 4, .count = 4},
			{.sae = 2, .feature = 0, .n_both = 4, .count = 4},
			{.sae = 0,
				.feature = 0,
				.n_both = 2,
				.count = 2}, /* 2/10: 4/20 has more */
			{.sae = 0, .feature = 1, .n_both = 2, .count = 90},
			{.sae = 0, .feature = 2, .n_both = 1, .count = 1}};
	enum { N = sizeof(best) / sizeof(best[0]) }; /* a prime */

	(void)state;
	for (unsigned step = 1; step < N; step++)
		for (unsigned from = 0; from < N; from++) {
			struct cooccur_pair pair[4];
			struct cooccur_best b = {.pair = pair, .k = 4, .count = 10};

			for (unsigned i = 0; i < N; i++)
				cooccur_offer(&b, best[(from + i * step) % N]);
			assert_int_equal(b.n, 4);
			for (unsigned i = 0; i < 4; i++)
				assert_true(pair[i].sae == best[i].sae &&
					pair[i].feature == best[i].feature);
			assert_true(fabs(pair[0].score - 0.8) < 1e-15);
		}
}

static void
test_sorts(void **state)
{
	static const struct cooccur_pair often = {.n_both = 9, .count = 900, .sae = 1};
	static const struct cooccur_pair rare = {.n_both = 2, .count = 2, .sae = 2};
	static const struct {
		enum cooccur_sort sort;
		uint32_t first;
		double score;
	} want[] = {{COOCCUR_BY_JACCARD, 2, 0.2}, {COOCCUR_BY_COUNT, 1, 9},
		{COOCCUR_BY_PMI, 2, 4.605170185988092}}; /* log 100 */

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct cooccur_pair pair[2];
		struct cooccur_best b = {.pair = pair,
			.k = 2,
			.sort = want[i].sort,
			.count = 10,
			.n_tokens = 1000};

		cooccur_offer(&b, often);
		cooccur_offer(&b, rare);
		assert_int_equal(pair[0].sae, want[i].first);
		assert_true(fabs(pair[0].score - want[i].score) < 1e-12);
		b.k = b.n = 0;
		cooccur_offer(&b, often);
		assert_int_equal(b.n, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts),
		cmocka_unit_test(test_order), cmocka_unit_test(test_sorts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
