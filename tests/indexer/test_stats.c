/* SPDX-License-Identifier: ISC */
/* Explained variance: against plain sums, and the same however it is dealt out. */
#include "indexer/stats.h"
#include "tests/util/scratch.h"

#include <math.h>
#include <stdlib.h>

#define D 19
#define ROWS 12
#define WINDOWS 50

static float x[WINDOWS][ROWS][D];
static uint8_t counts[WINDOWS][ROWS];

static void
make_rows(unsigned seed)
{
	srand(seed);
	for (int w = 0; w < WINDOWS; w++)
		for (int i = 0; i < ROWS; i++) {
			counts[w][i] = i > 0;
			for (int j = 0; j < D; j++)
				x[w][i][j] = i == 0 ? 1e6f
						    : 5 + (float)(rand() % 2000) / 1000;
		}
}

static void
add(struct stream_stats *s, int w)
{
	stream_stats_add(s, &x[w][0][0], D, counts[w], ROWS);
}

static void
test_variance(void **unused)
{
	double mean[D] = {0}, want = 0, got;
	struct stream_stats s;
	struct err e = ERR_INIT;

	(void)unused;
	make_rows(1);
	for (int w = 0; w < WINDOWS; w++)
		for (int i = 1; i < ROWS; i++)
			for (int j = 0; j < D; j++)
				mean[j] += (double)x[w][i][j] / (WINDOWS * (ROWS - 1));
	for (int w = 0; w < WINDOWS; w++)
		for (int i = 1; i < ROWS; i++)
			for (int j = 0; j < D; j++)
				want += pow((double)x[w][i][j] - mean[j], 2);
	assert_int_equal(stream_stats_init(&s, D, &e), 0);
	assert_true(stream_stats_variance(&s) == 0);
	for (int w = 0; w < WINDOWS; w++)
		add(&s, w);
	got = stream_stats_variance(&s);
	assert_int_equal(s.n, WINDOWS * (ROWS - 1));
	assert_true(fabs(got - want) < 1e-9 * want);
	stream_stats_clear(&s);
}

static void
test_any_order(void **unused)
{
	struct stream_stats whole, part[3];
	struct err e = ERR_INIT;

	(void)unused;
	for (unsigned seed = 1; seed < 10; seed++) {
		make_rows(seed);
		assert_int_equal(stream_stats_init(&whole, D, &e), 0);
		for (int w = 0; w < WINDOWS; w++)
			add(&whole, w);
		for (int i = 0; i < 3; i++)
			assert_int_equal(stream_stats_init(&part[i], D, &e), 0);
		for (int w = WINDOWS; w-- > 0;)
			add(&part[rand() % 3], w);
		stream_stats_merge(&part[1], &part[2]);
		stream_stats_merge(&part[1], &part[0]);
		assert_true(stream_stats_variance(&whole) ==
			stream_stats_variance(&part[1]));
		for (int i = 0; i < 3; i++)
			stream_stats_clear(&part[i]);
		stream_stats_clear(&whole);
	}
}

static void
test_error(void **unused)
{
	const float a[3] = {1, 2, 3}, b[3] = {1, 0, 5.5f};
	double acc[3] = {10, 0, 0};
	struct exact64 sum = {0};

	(void)unused;
	stats_error(acc, a, b, 3);
	assert_true(acc[0] == 10 && acc[1] == 4 && acc[2] == 6.25);
	stats_add(&sum, 1e-300);
	stats_add(&sum, 0.5);
	stats_add(&sum, 0);
	assert_true(exact64_get(&sum) == 0.5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_variance),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
