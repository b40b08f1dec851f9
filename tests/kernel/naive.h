/* SPDX-License-Identifier: ISC */
/*
 * naive: the definitions in kernel/kernel.h, written down as plainly as they
 * read; and what the kernel's tests share.
 */
#ifndef TESTS_KERNEL_NAIVE_H
#define TESTS_KERNEL_NAIVE_H

#include "kernel/kernel.h"
#include "util/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t naive_seed = 1;

static inline uint64_t
naive_u64(void)
{
	naive_seed ^= naive_seed << 13;
	naive_seed ^= naive_seed >> 7;
	naive_seed ^= naive_seed << 17;
	return naive_seed;
}

static inline size_t
naive_below(size_t n)
{
	return (size_t)(naive_u64() >> 11) % n;
}

/* Uniform in (-1, 1), rarely 0 or much larger or smaller. */
static inline float
naive_float(void)
{
	float v = (float)(int32_t)(naive_u64() >> 32) * 0x1p-31f;
	size_t kind = naive_below(50);

	return kind == 0 ? 0.0f : kind == 1 ? v * 1000 : kind == 2 ? v * 1e-20f : v;
}

static inline float *
naive_floats(size_t n)
{
	float *p = mem_new_aligned(n, sizeof(float));

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = naive_float();
	return p;
}

static inline float
naive_dot(const float *a, const float *b, size_t n)
{
	float lane[64] = {0};

	for (size_t i = 0; i < (n + 63) / 64 * 64; i++)
		lane[i % 64] =
			fmaf(i < n ? a[i] : 0.0f, i < n ? b[i] : 0.0f, lane[i % 64]);
	for (int w = 32; w > 0; w /= 2)
		for (int l = 0; l < w; l++)
			lane[l] += lane[l + w];
	return lane[0];
}

/* The same bits, or both a NaN. */
static inline void
assert_same_floats(const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t x, y;

		memcpy(&x, &a[i], 4);
		memcpy(&y, &b[i], 4);
		if (x != y && !(isnan(a[i]) && isnan(b[i])))
			fail_msg("%zu of %zu: %a is not %a (path %s)", i, n,
				(double)a[i], (double)b[i],
				kernel_path_name(kernel_path()));
	}
}

/* Calls test() on every path that this CPU has. */
static inline void
naive_each_path(void (*test)(void))
{
	enum kernel_path before = kernel_path();

	for (int p = 0; p < KERNEL_N_PATHS; p++) {
		if (!kernel_use_path((enum kernel_path)p))
			continue;
		naive_seed = 1;
		test();
	}
	kernel_use_path(before);
}

/* Calls test() on every path, with each way to exclude pairs; in bytes also as on a
 * CPU without VNNI. */
static inline void
naive_each_pass(void (*test)(void))
{
	enum kernel_path before = kernel_path();

	kernel_use_pass(KERNEL_PASS_F32);
	naive_each_path(test);
	kernel_use_pass(KERNEL_PASS_INT8);
	naive_each_path(test);
	kernel_use_vnni(false);
	if (kernel_use_path(KERNEL_AVX2)) {
		naive_seed = 1;
		test();
	}
	kernel_use_path(before);
	kernel_use_vnni(true);
	kernel_use_pass(KERNEL_PASS_AUTO);
}

#endif
