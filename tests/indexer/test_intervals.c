/* SPDX-License-Identifier: ISC */
/* Interval populations and samples: by brute force, in any order, uniformly. */
#include "indexer/intervals.h"
#include "schema/record.h"
#include "tests/util/scratch.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

#define N 4000
#define MAX 7.3f
#define SAMPLES 5

struct act {
	uint64_t hash;
	uint32_t window, offset;
	float value;
};
static struct act act[N];

static void
make_acts(uint64_t seed)
{
	srand((unsigned)seed);
	for (uint32_t i = 0; i < N; i++) {
		act[i].window = i / 10;
		act[i].offset = i % 10;
		act[i].value = MAX * (float)(1 + rand() % 1000) / 1000;
		act[i].hash = hash_mix(seed, 3, act[i].window, act[i].offset);
	}
}

static int
by_hash(const void *a, const void *b)
{
	const struct act *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

static void
add(struct intervals *x, const struct act *a, uint64_t seed, uint32_t samples)
{
	intervals_add(x, samples, seed, 3, MAX, a->window, a->offset, a->value);
}

static void
test_brute_force(void **unused)
{
	(void)unused;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct intervals x = {0}, y = {0}, none = {0};

		make_acts(seed);
		for (int i = 0; i < N; i++) {
			add(&x, &act[i], seed, SAMPLES);
			add(&y, &act[N - 1 - i], seed, SAMPLES);
			add(&none, &act[i], seed, 0);
		}
		assert_memory_equal(&x, &y, sizeof(x));
		assert_memory_equal(x.population, none.population,
			sizeof(x.population));
		qsort(act, N, sizeof(*act), by_hash);
		for (uint32_t v = 0; v < LIMIT_INTERVALS; v++) {
			uint32_t n = 0;

			assert_int_equal(none.n[v], 0);
			for (int i = 0; i < N; i++) {
				if (rec_interval(act[i].value, MAX) != v)
					continue;
				if (n < SAMPLES) {
					assert_int_equal(x.sample[v][n].window,
						act[i].window);
					assert_int_equal(x.sample[v][n].offset,
						act[i].offset);
					assert_true(
						x.sample[v][n].value == act[i].value);
				}
				n++;
			}
			assert_int_equal(x.population[v], n);
			assert_int_equal(x.n[v], n < SAMPLES ? n : SAMPLES);
		}
	}
}

static void
test_ends(void **unused)
{
	struct intervals x = {0};

	(void)unused;
	intervals_add(&x, 1, 0, 0, 10, 0, 0, 10);
	intervals_add(&x, 1, 0, 0, 10, 0, 1, 0x1p-140f);
	intervals_add(&x, 1, 0, 0, 10, 0, 2, 1);
	intervals_add(&x, 1, 0, 0, 10, 0, 3, 1.0001f);
	assert_int_equal(x.population[9], 1);
	assert_int_equal(x.population[0], 2); /* (0, 1] */
	assert_int_equal(x.population[1], 1);
}

/* Over many seeds, early and late windows are taken alike. */
static void
test_uniform(void **unused)
{
	uint32_t early = 0, all = 0;

	(void)unused;
	make_acts(1);
	for (uint64_t seed = 0; seed < 400; seed++) {
		struct intervals x = {0};

		for (int i = 0; i < N; i++)
			add(&x, &act[i], seed, SAMPLES);
		for (uint32_t v = 0; v < LIMIT_INTERVALS; v++)
			for (uint32_t i = 0; i < x.n[v]; i++) {
				early += x.sample[v][i].window < N / 20;
				all++;
			}
	}
	assert_int_equal(all, 400 * LIMIT_INTERVALS * SAMPLES);
	/* 20,000 draws: sigma is 71 */
	assert_in_range(early, all / 2 - 350, all / 2 + 350);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_uniform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
