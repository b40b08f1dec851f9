/* SPDX-License-Identifier: ISC */
/*
 * bench_graph: the k nearest of all rows of a file of floats, by cosine, both ways in
 * one pass. Prints seconds and seconds of CPU for all threads, where they are; then
 * the rate as if each product had been done, in GFLOP per second of CPU, and the BLAS'.
 *
 *	bench_graph FILE N D K THREADS [OUT]
 *
 * FILE: (N, D) little-endian floats, unit rows. OUT: (N, K) pairs of a row and a value.
 * With "two" instead of a number of threads, what logit effects take: both ends of K
 * for each of the rows among the last half of them, in one search and in two.
 */
#include "indexer/nearest.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static float *
read_floats(const char *path, size_t n)
{
	float *p = mem_new_aligned(n, sizeof(*p));
	FILE *f = fopen(path, "rb");

	if (p == NULL || f == NULL || fread(p, sizeof(*p), n, f) != n) {
		fprintf(stderr, "bench_graph: %s has not %zu floats\n", path, n);
		exit(1);
	}
	fclose(f);
	return p;
}

static double
process_cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
write_lists(const struct nearest_side *s, const char *path)
{
	FILE *f = fopen(path, "wb");

	for (uint32_t i = 0; f != NULL && i < s->n; i++)
		fwrite(kernel_lists_row(s->lists, i), sizeof(struct kernel_near), s->k,
			f);
	if (f == NULL || fclose(f) != 0)
		exit(1);
}

static int
graph(struct nearest_side *s, size_t threads, const char *out, struct err *e)
{
	double wall = stopwatch_now_s(), cpu = process_cpu_s();
	double flop = 2.0 * s->n * s->n * s->d;
	struct kernel_rows *rows;
	struct pool *pool;

	if (pool_new(&pool, threads, e) < 0 ||
		kernel_rows_new(&rows, s->x, s->n, s->d, e) < 0)
		return e->code;
	s->rows = rows;
	if (nearest_find(s, NULL, pool, e) < 0)
		return e->code;
	wall = stopwatch_now_s() - wall;
	cpu = process_cpu_s() - cpu;
	printf("%.3f %.3f %.1f %.1f\n", wall, cpu, flop / cpu / 1e9,
		kernel_sgemm_rate(512, 2048, s->d, false) / 1e9);
	if (out != NULL)
		write_lists(s, out);
	kernel_lists_free(s->lists);
	kernel_rows_free(rows);
	pool_free(pool);
	return 0;
}

/* Logit effects: queries are the first rows, a few of them. */
static int
two_ends(struct nearest_side *s, struct err *e)
{
	uint32_t m = 4096, half = s->n / 2;
	struct kernel_hit *a = mem_new(m, s->k * sizeof(*a));
	struct kernel_hit *b = mem_new(m, s->k * sizeof(*b));
	struct kernel_rows *rows;
	struct kernel_work *w;
	double t[3];

	m = m < half ? m : half;
	if (a == NULL || b == NULL || kernel_work_new(&w, e) < 0 ||
		kernel_rows_new(&rows, s->x + (size_t)half * s->d, s->n - half, s->d,
			e) < 0)
		exit(1);
	t[0] = stopwatch_cpu_s();
	kernel_best(a, s->k, rows, 0, s->n - half, s->x, s->d, m, NULL, NULL, false,
		NULL, w, e);
	kernel_best(b, s->k, rows, 0, s->n - half, s->x, s->d, m, NULL, NULL, true,
		NULL, w, e);
	t[1] = stopwatch_cpu_s();
	kernel_ends(a, b, s->k, rows, s->x, s->d, m, w, e);
	t[2] = stopwatch_cpu_s();
	printf("%.3f %.3f %.2f\n", t[2] - t[1], t[1] - t[0],
		(t[1] - t[0]) / (t[2] - t[1]));
	kernel_rows_free(rows);
	kernel_work_free(w);
	mem_free(a);
	mem_free(b);
	return 0;
}

int
main(int argc, char **argv)
{
	struct nearest_side s = {0};
	struct err e = ERR_INIT;
	float *x;
	int rc;

	if (argc < 6) {
		fprintf(stderr, "usage: bench_graph FILE N D K THREADS [OUT]\n");
		return 2;
	}
	s.n = (uint32_t)strtoul(argv[2], NULL, 10);
	s.d = (uint32_t)strtoul(argv[3], NULL, 10);
	s.k = (uint32_t)strtoul(argv[4], NULL, 10);
	s.x = x = read_floats(argv[1], (size_t)s.n * s.d);
	if (strcmp(argv[5], "two") == 0)
		rc = two_ends(&s, &e);
	else
		rc = graph(&s, strtoul(argv[5], NULL, 10), argc > 6 ? argv[6] : NULL,
			&e);
	if (rc < 0)
		fprintf(stderr, "bench_graph: %s\n", e.text);
	mem_free(x);
	return rc < 0;
}
