/* SPDX-License-Identifier: ISC */
/*
 * Clusters against scikit-learn's HDBSCAN (make_umap_golden.py), the spanning tree
 * against Prim's over all pairs, and points that are few, alike or nowhere.
 */
#include "analysis/cluster.h"
#include "analysis/cluster_parts.h"
#include "util/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/analysis/umap_golden.h"

#define N_BLOBS (sizeof(golden_blobs_5) / sizeof(*golden_blobs_5))
#define N_MOONS (sizeof(golden_moons_5) / sizeof(*golden_moons_5))
#define NONE UINT32_MAX

/* That cluster of ours in which most of theirs lies. */
static uint32_t
most_of(const uint32_t *cluster, const int32_t *want, uint32_t n, int32_t theirs)
{
	uint32_t count[64] = {0}, best = 0;

	for (uint32_t i = 0; i < n; i++)
		if (want[i] == theirs && cluster[i] < 64)
			count[cluster[i]]++;
	for (uint32_t i = 1; i < 64; i++)
		best = count[i] > count[best] ? i : best;
	return best;
}

/* The same points together, but for a few where three parts meet at one length: there
 * scikit-learn's differ with the order of the points, too. */
static void
agrees(const float *xy, const int32_t *want, uint32_t n, uint32_t min_size,
	uint32_t few)
{
	uint32_t *cluster = mem_new(n, sizeof(*cluster)), n_clusters, off = 0, next = 0;
	int32_t most = 0;
	struct err e = ERR_INIT;

	assert_int_equal(cluster_points(cluster, &n_clusters, xy, n, min_size, &e), 0);
	for (uint32_t i = 0; i < n; i++) {
		most = want[i] > most ? want[i] : most;
		off += cluster[i] !=
			(want[i] < 0 ? NONE : most_of(cluster, want, n, want[i]));
		/* numbered by the least point */
		assert_true(cluster[i] == NONE || cluster[i] <= next);
		next += cluster[i] == next;
	}
	assert_int_equal(n_clusters, next);
	assert_int_equal(n_clusters, most + 1);
	assert_true(off <= few);
	mem_free(cluster);
}

static void
test_golden(void **state)
{
	(void)state;
	agrees(golden_blobs, golden_blobs_5, N_BLOBS, 5, 0);
	agrees(golden_blobs, golden_blobs_12, N_BLOBS, 12, 0);
	agrees(golden_moons, golden_moons_5, N_MOONS, 5, 5);
	agrees(golden_moons, golden_moons_12, N_MOONS, 12, 2);
}

static double
between(const float *xy, uint32_t i, uint32_t j)
{
	double x = (double)xy[2 * i] - (double)xy[2 * j];
	double y = (double)xy[2 * i + 1] - (double)xy[2 * j + 1];

	return sqrt(x * x + y * y);
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Lengths of a minimum spanning tree, shortest first. */
static void
prim(double *length, const float *xy, uint32_t n, uint32_t min_size)
{
	double *core = mem_new(n, sizeof(*core)), *far = mem_new(n, sizeof(*far));
	bool *in = mem_new(n, sizeof(*in));
	uint32_t last = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < n; j++)
			far[j] = between(xy, i, j);
		qsort(far, n, sizeof(*far), compare_doubles);
		core[i] = far[min_size - 1];
	}
	for (uint32_t i = 0; i < n; i++)
		far[i] = INFINITY;
	for (uint32_t c = 0; c < n - 1; c++) {
		uint32_t best = NONE;

		in[last] = true;
		for (uint32_t j = 0; j < n; j++) {
			far[j] = fmin(far[j],
				fmax(between(xy, last, j), fmax(core[last], core[j])));
			if (!in[j] && (best == NONE || far[j] < far[best]))
				best = j;
		}
		length[c] = far[best];
		last = best;
	}
	qsort(length, n - 1, sizeof(*length), compare_doubles);
	mem_free(core);
	mem_free(far);
	mem_free(in);
}

static void
span_is_least(const float *xy, uint32_t n, uint32_t min_size)
{
	struct span *spans = mem_new(n, sizeof(*spans));
	double *length = mem_new(n, sizeof(*length));
	struct err e = ERR_INIT;

	assert_int_equal(cluster_span(spans, xy, n, min_size, &e), 0);
	prim(length, xy, n, min_size);
	for (uint32_t i = 0; i < n - 1; i++)
		assert_true(spans[i].length == length[i]);
	mem_free(spans);
	mem_free(length);
}

static void
test_span(void **state)
{
	static float xy[2 * 700];

	(void)state;
	span_is_least(golden_blobs, N_BLOBS, 5);
	span_is_least(golden_moons, N_MOONS, 2);
	/* a grid, where all is alike, and points in one place */
	for (uint32_t i = 0; i < 700; i++) {
		xy[2 * i] = (float)(i % 20);
		xy[2 * i + 1] = (float)(i / 20 % 13);
	}
	for (uint32_t n = 2; n < 700; n += 97) {
		span_is_least(xy, n, 2);
		span_is_least(xy, n, n < 9 ? n : 9);
	}
}

static void
test_few(void **state)
{
	static const float nowhere[] = {0, 0, 0, NAN, INFINITY, 1, 1, 1};
	static float same[2 * 3000];
	static uint32_t cluster[3000];
	struct err e = ERR_INIT;
	uint32_t n;

	(void)state;
	assert_int_equal(cluster_points(cluster, &n, NULL, 0, 2, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(cluster_points(cluster, &n, nowhere, 4, 2, &e), 0);
	assert_int_equal(n, 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(cluster[i], NONE);
	assert_int_equal(cluster_points(cluster, &n, nowhere, 4, 1, &e), ERR_ARG);
	assert_string_equal(e.arg, "min_size");
	/* 3,000 points in one place make no two clusters, in two places two */
	assert_int_equal(cluster_points(cluster, &n, same, 3000, 10, &e), 0);
	for (uint32_t i = 1; i < 3000; i += 2)
		same[2 * i] = 5;
	same[2 * 7] = NAN;
	assert_int_equal(cluster_points(cluster, &n, same, 3000, 10, &e), 0);
	assert_true(n >= 2 && cluster[7] == NONE && cluster[0] == 0);
	for (uint32_t i = 8; i < 3000; i++)
		assert_true(cluster[i] == NONE || cluster[i] % 2 == cluster[i]);
}

static void
test_nomem(void **state)
{
	static uint32_t cluster[N_MOONS];
	struct err e = ERR_INIT;
	uint32_t n_clusters;
	long n = 0;
	int rc;

	(void)state;
	do {
		mem_fail_at(n++);
		rc = cluster_points(cluster, &n_clusters, golden_moons, N_MOONS, 5, &e);
		mem_fail_at(-1);
		assert_true(rc == 0 || rc == ERR_NOMEM);
	} while (rc != 0);
	assert_true(n > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_nomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
