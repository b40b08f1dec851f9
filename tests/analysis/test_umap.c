/* SPDX-License-Identifier: ISC */
/*
 * The steps of UMAP against umap-learn's and scipy's (make_umap_golden.py), and what a
 * layout does with points that are few, many, alike, apart or contradictory.
 */
#include "analysis/umap_parts.h"
#include "kernel/kernel.h"
#include "util/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/analysis/umap_golden.h"

static bool
near(double got, double want, double within)
{
	return fabs(got - want) <= within;
}

/* ---- the steps --------------------------------------------------------------- */

static void
test_smooth(void **state)
{
	float rho[GOLDEN_N], sigma[GOLDEN_N];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(umap_smooth(rho, sigma, GOLDEN_N, GOLDEN_K, golden_neighbor,
				 golden_distance, NULL, &e),
		0);
	for (int i = 0; i < GOLDEN_N; i++) {
		assert_true(rho[i] == golden_rho[i]);
		assert_true(near(sigma[i], golden_sigma[i], 1e-5 * golden_sigma[i]));
	}
}

static void
graph_golden(struct umap_graph *g)
{
	struct err e = ERR_INIT;

	assert_int_equal(umap_graph_make(g, GOLDEN_N, GOLDEN_K, golden_neighbor,
				 golden_distance, NULL, &e),
		0);
}

static void
test_graph(void **state)
{
	struct umap_graph g;

	(void)state;
	graph_golden(&g);
	assert_memory_equal(g.start, golden_start, sizeof(golden_start));
	assert_memory_equal(g.tail, golden_tail, sizeof(golden_tail));
	for (uint32_t i = 0; i < g.start[GOLDEN_N]; i++)
		assert_true(near(g.weight[i], golden_weight[i], 1e-5));
	umap_graph_clear(&g);
}

static void
test_prune(void **state)
{
	uint32_t n = 0, at = 0;
	struct umap_graph g;

	(void)state;
	graph_golden(&g);
	umap_graph_prune(&g, 5);
	for (uint32_t i = 0; i < GOLDEN_N; i++) {
		for (uint32_t j = golden_start[i]; j < golden_start[i + 1]; j++) {
			if (golden_weight[j] < 0.2f)
				continue;
			assert_int_equal(g.tail[n], golden_tail[j]);
			assert_true(near(g.weight[n++], golden_weight[j], 1e-5));
		}
		assert_int_equal(g.start[i + 1], n);
		at += golden_start[i + 1] - golden_start[i];
	}
	assert_true(n > 0 && n < at);
	umap_graph_clear(&g);
}

static void
test_curve(void **state)
{
	struct err e = ERR_INIT;
	double a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(golden_curves) / sizeof(*golden_curves); i += 4) {
		const double *c = golden_curves + i;

		assert_int_equal(umap_curve(&a, &b, c[0], c[1], &e), 0);
		assert_true(near(a, c[2], 1e-3) && near(b, c[3], 1e-3));
	}
	assert_int_equal(umap_curve(&a, &b, 2, 1, &e), ERR_ARG);
	assert_string_equal(e.arg, "min_dist");
	assert_int_equal(umap_curve(&a, &b, NAN, 1, &e), ERR_ARG);
	assert_int_equal(umap_curve(&a, &b, 0, 0, &e), ERR_ARG);
	assert_string_equal(e.arg, "spread");
}

static void
test_spectral(void **state)
{
	float out[2 * GOLDEN_N];
	struct err e = ERR_INIT;
	struct umap_graph g;

	(void)state;
	graph_golden(&g);
	assert_int_equal(umap_spectral(out, &g, NULL, &e), 0);
	for (int b = 0; b < 2; b++) {
		double dot = 0, off = 0;

		for (int i = 0; i < GOLDEN_N; i++)
			dot += (double)out[2 * i + b] * golden_vectors[2 * i + b];
		for (int i = 0; i < GOLDEN_N; i++)
			off = fmax(off,
				fabs((double)out[2 * i + b] * (dot < 0 ? -1 : 1) -
					golden_vectors[2 * i + b]));
		assert_true(off < 2e-3);
	}
	umap_graph_clear(&g);
}

/* A ring of n points, whose eigenvectors are a sine and a cosine: the points lie on a
 * circle, by both solvers. */
static void
ring_is_round(uint32_t n)
{
	struct umap_graph g = {.n = n};
	float *out = mem_new(n, 2 * sizeof(*out));
	struct err e = ERR_INIT;

	g.start = mem_new(n + 1, sizeof(*g.start));
	g.tail = mem_new(2 * (size_t)n, sizeof(*g.tail));
	g.weight = mem_new(2 * (size_t)n, sizeof(*g.weight));
	for (uint32_t i = 0; i < n; i++) {
		g.tail[2 * i] = (i + n - 1) % n;
		g.tail[2 * i + 1] = (i + 1) % n;
		g.weight[2 * i] = g.weight[2 * i + 1] = 0.7f;
		g.start[i + 1] = 2 * i + 2;
	}
	assert_int_equal(umap_spectral(out, &g, NULL, &e), 0);
	for (uint32_t i = 0; i < n; i++) {
		double r = hypot((double)out[2 * i], (double)out[2 * i + 1]);

		assert_true(near(r, sqrt(2.0 / n), 0.02 * sqrt(2.0 / n)));
	}
	umap_graph_clear(&g);
	mem_free(out);
}

static void
test_ring(void **state)
{
	(void)state;
	ring_is_round(5);
	ring_is_round(32);
	ring_is_round(33);
	ring_is_round(300);
}

/* ---- layouts --------------------------------------------------------------------- */

#define MANY 400
#define FEW 6

/* n points on a line of as many groups, neighbors by place within a group. */
static void
line(uint32_t *neighbor, float *distance, uint32_t n, uint32_t k, uint32_t groups)
{
	uint32_t size = n / groups;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = i / size * size, end = first + size, c = 0;

		for (uint32_t d = 1; d <= k && c < k; d++) {
			if (i >= first + d) {
				neighbor[i * k + c] = i - d;
				distance[i * k + c++] = (float)d + (float)(i % 7) / 16;
			}
			if (c < k && i + d < end) {
				neighbor[i * k + c] = i + d;
				distance[i * k + c++] = (float)d + (float)(i % 5) / 16;
			}
		}
		for (; c < k; c++)
			neighbor[i * k + c] = UINT32_MAX;
	}
}

static int
lay(float *xy, uint32_t n, uint32_t k, const uint32_t *neighbor, const float *distance,
	enum umap_init init, size_t n_threads, struct err *e)
{
	struct pool *pool = NULL;
	struct umap_params p;
	int rc;

	umap_params_init(&p);
	p.n_epochs = 60;
	p.init = init;
	p.seed = 3;
	*e = ERR_INIT;
	if (n_threads > 1)
		assert_int_equal(pool_new(&pool, n_threads, e), 0);
	rc = umap_layout(xy, n, k, neighbor, distance, &p, pool, NULL, NULL, e);
	pool_free(pool);
	return rc;
}

static bool
in_place(const float *xy, uint32_t n)
{
	for (uint32_t i = 0; i < 2 * n; i++)
		if (!isfinite(xy[i]) || fabsf(xy[i]) > 1000)
			return false;
	return true;
}

/* Threads and CPU paths change no bit. */
static void
test_same(void **state)
{
	static uint32_t neighbor[MANY * 8];
	static float distance[MANY * 8], xy[2 * MANY], other[2 * MANY];
	enum kernel_path best = kernel_path();
	struct err e;

	(void)state;
	line(neighbor, distance, MANY, 8, 1);
	assert_int_equal(lay(xy, MANY, 8, neighbor, distance, UMAP_SPECTRAL, 1, &e), 0);
	assert_true(in_place(xy, MANY));
	assert_int_equal(lay(other, MANY, 8, neighbor, distance, UMAP_SPECTRAL, 3, &e),
		0);
	assert_memory_equal(xy, other, sizeof(xy));
	for (int path = 0; path < KERNEL_N_PATHS; path++) {
		if (!kernel_use_path((enum kernel_path)path))
			continue;
		assert_int_equal(lay(other, MANY, 8, neighbor, distance, UMAP_SPECTRAL,
					 1, &e),
			0);
		assert_memory_equal(xy, other, sizeof(xy));
	}
	kernel_use_path(best);
}

/* Groups that nothing joins come to lie apart: each point's nearest is of its group. */
static void
groups_part(uint32_t groups, enum umap_init init)
{
	static uint32_t neighbor[MANY * 8];
	static float distance[MANY * 8], xy[2 * MANY];
	uint32_t size = MANY / groups, n = size * groups, good = 0;
	struct err e;

	line(neighbor, distance, n, 8, groups);
	for (uint32_t i = 0; i < 2 * MANY; i++)
		xy[i] = (float)(i * 2654435761u >> 8);
	assert_int_equal(lay(xy, n, 8, neighbor, distance, init, 2, &e), 0);
	assert_true(in_place(xy, n));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t best = i == 0;

		for (uint32_t j = 0; j < n; j++)
			if (j != i &&
				hypotf(xy[2 * i] - xy[2 * j],
					xy[2 * i + 1] - xy[2 * j + 1]) <
					hypotf(xy[2 * i] - xy[2 * best],
						xy[2 * i + 1] - xy[2 * best + 1]))
				best = j;
		good += best / size == i / size;
	}
	assert_true(good > n * 9 / 10);
}

static void
test_components(void **state)
{
	(void)state;
	groups_part(2, UMAP_SPECTRAL);
	groups_part(3, UMAP_SPECTRAL);
	groups_part(4, UMAP_SPECTRAL);
	groups_part(10, UMAP_SPECTRAL);
	groups_part(100, UMAP_SPECTRAL);
	groups_part(10, UMAP_RANDOM);
	groups_part(10, UMAP_PCA_XY);
}

static void
test_few(void **state)
{
	static const uint32_t pair[] = {1, UINT32_MAX, 0, UINT32_MAX};
	static const float zero[3 * 2];
	uint32_t none[3 * 2], all[FEW * FEW];
	float xy[2 * FEW], far[FEW * FEW];
	struct err e;

	(void)state;
	memset(none, 0xff, sizeof(none));
	assert_int_equal(lay(xy, 0, 15, NULL, NULL, UMAP_SPECTRAL, 1, &e), 0);
	assert_int_equal(lay(xy, 1, 0, NULL, NULL, UMAP_SPECTRAL, 1, &e), 0);
	assert_true(xy[0] == 0 && xy[1] == 0);
	assert_int_equal(lay(xy, 1, 2, none, zero, UMAP_RANDOM, 1, &e), 0);
	assert_true(xy[0] == 0 && xy[1] == 0);
	assert_int_equal(lay(xy, 2, 2, pair, zero, UMAP_SPECTRAL, 1, &e), 0);
	assert_true(in_place(xy, 2));
	/* nobody's neighbor has no place */
	assert_int_equal(lay(xy, 3, 2, none, zero, UMAP_SPECTRAL, 1, &e), 0);
	assert_true(isnan(xy[0]) && isnan(xy[5]));
	memcpy(none, pair, sizeof(pair));
	memset(far, 0, sizeof(far));
	assert_int_equal(lay(xy, 3, 2, none, far, UMAP_SPECTRAL, 1, &e), 0);
	assert_true(in_place(xy, 2) && isnan(xy[4]) && isnan(xy[5]));
	/* k >= n: the rest of a row is none; all in one place */
	for (uint32_t i = 0; i < FEW * FEW; i++)
		all[i] = i % FEW == i / FEW ? UINT32_MAX : i % FEW;
	assert_int_equal(lay(xy, FEW, FEW, all, far, UMAP_SPECTRAL, 1, &e), 0);
	assert_true(in_place(xy, FEW));
}

/* ---- what is refused ----------------------------------------------------------- */

static void
refused(uint32_t neighbor, float distance, const char *arg, const char *text)
{
	uint32_t list[] = {1, 2, 0, 2, 0, 1};
	float far[] = {1, 2, 1, 2, 1, 2}, xy[6];
	struct err e;

	list[3] = neighbor;
	far[3] = distance;
	assert_int_equal(lay(xy, 3, 2, list, far, UMAP_SPECTRAL, 1, &e), ERR_ARG);
	assert_string_equal(e.arg, arg);
	assert_non_null(strstr(e.text, text));
}

static void
test_refused(void **state)
{
	uint32_t none = UINT32_MAX;
	float xy[] = {0, NAN}, far = 0;
	struct umap_params p;
	struct err e = ERR_INIT;

	(void)state;
	refused(3, 1, "neighbor", "point 1: neighbor 3, but there are 3 points");
	refused(1, 1, "neighbor", "point 1: its own neighbor");
	refused(0, 1, "neighbor", "point 1: neighbor 0 twice");
	refused(2, NAN, "distance", "point 1");
	refused(2, -1, "distance", "point 1");
	refused(2, INFINITY, "distance", "point 1");
	assert_int_equal(lay(xy, 1, 1, &none, &far, UMAP_PCA_XY, 1, &e), ERR_ARG);
	assert_string_equal(e.arg, "xy");
	assert_int_equal(lay(xy, UMAP_MOST_POINTS + 1, 0, NULL, NULL, UMAP_RANDOM, 1,
				 &e),
		ERR_LIMIT);
	umap_params_init(&p);
	p.learning_rate = NAN;
	assert_int_equal(umap_layout(xy, 1, 1, &none, &far, &p, NULL, NULL, NULL, &e),
		ERR_ARG);
	assert_string_equal(e.arg, "learning_rate");
}

static int
stop_at_3(void *ctx, uint32_t epoch, uint32_t n_epochs, struct err *e)
{
	uint32_t *seen = ctx;

	assert_int_equal(n_epochs, 500);
	assert_int_equal(epoch, ++*seen);
	return epoch == 3 ? err_set(e, ERR_CANCELLED, "enough") : 0;
}

static void
test_progress(void **state)
{
	static float xy[2 * GOLDEN_N];
	struct umap_params p;
	struct err e = ERR_INIT;
	uint32_t seen = 0;

	(void)state;
	umap_params_init(&p);
	assert_int_equal(umap_layout(xy, GOLDEN_N, GOLDEN_K, golden_neighbor,
				 golden_distance, &p, NULL, stop_at_3, &seen, &e),
		ERR_CANCELLED);
	assert_int_equal(seen, 3);
}

/* Memory may run out anywhere. */
static void
test_nomem(void **state)
{
	static uint32_t neighbor[MANY * 3];
	static float distance[MANY * 3], xy[2 * MANY];
	struct err e;
	long n = 0;
	int rc;

	(void)state;
	line(neighbor, distance, MANY, 3, 4);
	do {
		mem_fail_at(n++);
		rc = lay(xy, MANY, 3, neighbor, distance, UMAP_SPECTRAL, 1, &e);
		mem_fail_at(-1);
		assert_true(rc == 0 || rc == ERR_NOMEM);
	} while (rc != 0);
	assert_true(n > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smooth),
		cmocka_unit_test(test_graph),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_curve),
		cmocka_unit_test(test_spectral),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_components),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_nomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
