/* SPDX-License-Identifier: ISC */
#include "kernel/kernel.h"
#include "util/mem.h"
#include "util/stopwatch.h"

#include <cblas.h>
#include <stdatomic.h>

#define SECONDS 0.3 /* to measure for */
#define LEAST 200e6 /* flop between two looks at the clock */

/* OpenBLAS has it, other libraries do not. */
extern void openblas_set_num_threads(int n) __attribute__((weak));

struct rate {
	size_t m, n, k;
	float *a; /* (m, k) */
	float *b; /* (k, n) */
	float *c; /* (m, n) */
	struct kernel_packed *packed;
};

static void
multiply(const struct rate *r, bool own)
{
	if (own)
		kernel_gemm(r->c, r->n, r->a, r->k, r->m, r->packed, NULL, false);
	else
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)r->m,
			(int)r->n, (int)r->k, 1.0f, r->a, (int)r->k, r->b, (int)r->n,
			0.0f, r->c, (int)r->n);
}

/* The best of several: what the machine can do when it is left alone. */
static double
measure(const struct rate *r, bool own)
{
	double flop = 2.0 * (double)r->m * (double)r->n * (double)r->k;
	size_t n_calls = flop < LEAST ? (size_t)(LEAST / flop) + 1 : 1;
	double best = 0, begin = stopwatch_cpu_s(), t, rate;

	multiply(r, own);
	do {
		t = stopwatch_cpu_s();
		for (size_t i = 0; i < n_calls; i++)
			multiply(r, own);
		rate = flop * (double)n_calls / (stopwatch_cpu_s() - t);
		best = rate > best ? rate : best;
	} while (stopwatch_cpu_s() - begin < SECONDS);
	return best;
}

/* Once: the call is not safe beside a running product. */
static void
one_thread(void)
{
	static atomic_flag done = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&done) && openblas_set_num_threads != NULL)
		openblas_set_num_threads(1);
}

double
kernel_sgemm_rate(size_t m, size_t n, size_t k, bool own)
{
	struct rate r = {.m = m, .n = n, .k = k};
	double rate = 0;

	r.a = mem_new_aligned(m * k, sizeof(float));
	r.b = mem_new_aligned(k * n, sizeof(float));
	r.c = mem_new_aligned(m * n, sizeof(float));
	if (m * n * k == 0 || r.a == NULL || r.b == NULL || r.c == NULL)
		goto out;
	for (size_t i = 0; i < m * k; i++)
		r.a[i] = (float)(i % 7) - 3;
	for (size_t i = 0; i < k * n; i++)
		r.b[i] = (float)(i % 5) - 2;
	if (kernel_pack(&r.packed, r.b, k, n, n, 1, NULL) < 0)
		goto out;
	one_thread();
	rate = measure(&r, own);
out:
	kernel_packed_free(r.packed);
	mem_free(r.a);
	mem_free(r.b);
	mem_free(r.c);
	return rate;
}
