/* SPDX-License-Identifier: ISC */
/*
 * bench_kernel: the speed of the products on one thread. Prints GFLOP/s of
 * kernel_gemm beside the BLAS, and queries/s of kernel_above with the share of
 * kernel_gemm's speed that its cheap pass keeps. Seconds are the
 * thread's own. SAEDB_CPU chooses the path.
 */
#include "kernel/kernel.h"
#include "util/mem.h"
#include "util/stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
fill(float *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (float)(int)seed * 0x1p-31f;
	}
}

static void
bench_gemm(size_t m, size_t n, size_t k)
{
	double blas = kernel_sgemm_rate(m, n, k, false) / 1e9;
	double own = kernel_sgemm_rate(m, n, k, true) / 1e9;

	printf("gemm m=%zu n=%zu k=%zu: kernel %.1f, BLAS %.1f GFLOP/s, %.2fx\n", m, n,
		k, own, blas, own / blas);
}

/* A share of pairs about `percent` is above, as in a sparse encoder. */
static void
bench_above(size_t m, size_t n, size_t d, double gemm, float threshold)
{
	float *x = mem_new_aligned(m * d, sizeof(float));
	float *w = mem_new_aligned(n * d, sizeof(float));
	float *t = mem_new_aligned(n, sizeof(float));
	struct kernel_rows *r = NULL;
	struct kernel_work *k = NULL;
	struct kernel_hits hits = {0};
	struct err e = ERR_INIT;
	double begin, best = 1e9, rate;

	if (x == NULL || w == NULL || t == NULL)
		exit(1);
	fill(x, m * d, 1);
	fill(w, n * d, 2);
	for (size_t i = 0; i < n; i++)
		t[i] = threshold;
	if (kernel_rows_new(&r, w, n, d, &e) < 0 || kernel_work_new(&k, &e) < 0)
		exit(1);
	for (int i = 0; i < 5; i++) {
		hits.n = 0;
		begin = stopwatch_cpu_s();
		if (kernel_above(&hits, r, 0, n, x, d, m, NULL, t, k, &e) < 0)
			exit(1);
		best = stopwatch_cpu_s() - begin < best ? stopwatch_cpu_s() - begin
							: best;
	}
	rate = 2.0 * (double)m * (double)n * (double)d / best / 1e9;
	printf("above m=%zu d=%zu n=%zu: %.0f queries/s, %.1f hits a query, %.1f "
	       "GFLOP/s, "
	       "%.0f%% of gemm\n",
		m, d, n, (double)m / best, (double)hits.n / (double)m, rate,
		100 * rate / gemm);
	kernel_hits_clear(&hits);
	kernel_work_free(k);
	kernel_rows_free(r);
	mem_free(x);
	mem_free(w);
	mem_free(t);
}

/* Random rows in random order: the k-th best rises slowly, the hard case. */
static void
bench_best(size_t m, size_t n, size_t d, size_t k_best, double gemm)
{
	float *w = mem_new_aligned(n * d, sizeof(float));
	struct kernel_hit *hits = mem_new(m * k_best, sizeof(*hits));
	struct kernel_rows *r = NULL;
	struct kernel_work *k = NULL;
	struct err e = ERR_INIT;
	double begin, rate;

	if (w == NULL || hits == NULL)
		exit(1);
	fill(w, n * d, 2);
	if (kernel_rows_new(&r, w, n, d, &e) < 0 || kernel_work_new(&k, &e) < 0)
		exit(1);
	begin = stopwatch_cpu_s();
	if (kernel_best(hits, k_best, r, 0, n, w, d, m, NULL, NULL, false, NULL, k,
		    &e) < 0)
		exit(1);
	rate = 2.0 * (double)m * (double)n * (double)d / (stopwatch_cpu_s() - begin) /
		1e9;
	printf("best m=%zu d=%zu n=%zu k=%zu: %.1f GFLOP/s, %.0f%% of gemm\n", m, d, n,
		k_best, rate, 100 * rate / gemm);
	kernel_work_free(k);
	kernel_rows_free(r);
	mem_free(w);
	mem_free(hits);
}

int
main(void)
{
	double gemm;

	printf("path %s\n", kernel_path_name(kernel_path()));
	bench_gemm(512, 1024, 256);
	bench_gemm(512, 3072, 768);
	bench_gemm(512, 768, 3072);
	bench_gemm(128, 128, 64);
	bench_gemm(2048, 9216, 256);
	gemm = kernel_sgemm_rate(1024, 9216, 256, true) / 1e9;
	bench_above(1024, 9216, 256, gemm, 13.0f);
	bench_above(256, 9216, 256, gemm, 13.0f);
	gemm = kernel_sgemm_rate(1024, 24576, 768, true) / 1e9;
	bench_above(1024, 24576, 768, gemm, 25.0f);
	bench_above(256, 65536, 64, gemm, 7.0f);
	bench_best(2048, 9216, 256, 32, gemm);
	bench_best(1024, 24576, 768, 32, gemm);
	bench_best(1, 65536, 256, 32, gemm);
	return 0;
}
