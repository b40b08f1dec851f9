/* SPDX-License-Identifier: ISC */
/*
 * rate: what this machine's matrix products run at with N threads, each on its
 * own call, in GFLOP/s: kernel_gemm, then the BLAS.    rate N
 */
#include "kernel/kernel.h"
#include "util/pool.h"

#include <stdio.h>
#include <stdlib.h>

struct job {
	double rate[64];
	bool own;
};

static void
measure(void *ctx, size_t i, size_t thread)
{
	struct job *j = ctx;

	(void)thread;
	j->rate[i] = kernel_sgemm_rate(1024, 1024, 1024, j->own);
}

static double
total_gflops(struct pool *pool, size_t n, bool own)
{
	struct job j = {.own = own};
	double best = 0;

	for (int round = 0; round < 3; round++) {
		double sum = 0;

		pool_run(pool, n, measure, &j);
		for (size_t i = 0; i < n; i++)
			sum += j.rate[i];
		if (sum > best)
			best = sum;
	}
	return best / 1e9;
}

int
main(int argc, char **argv)
{
	struct pool *pool;
	struct err e = ERR_INIT;
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;

	if (n == 0 || n > 64 || pool_new(&pool, n, &e) != 0) {
		fprintf(stderr, "rate: %s\n",
			n == 0 || n > 64 ? "1 to 64 threads" : e.text);
		return 2;
	}
	printf("%.1f %.1f\n", total_gflops(pool, n, true),
		total_gflops(pool, n, false));
	pool_free(pool);
	return 0;
}
