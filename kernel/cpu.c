/* SPDX-License-Identifier: ISC */
#include "kernel/codes.h"
#include "kernel/int8.h"
#include "kernel/ops.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	const struct kernel_ops *ops; /* NULL: not compiled for this machine */
} paths[KERNEL_N_PATHS] = {
	[KERNEL_PORTABLE] = {"portable", &kernel_ops_portable},
#ifdef __x86_64__
	[KERNEL_AVX2] = {"avx2", &kernel_ops_avx2},
	[KERNEL_AVX512] = {"avx512", &kernel_ops_avx512},
#else
	[KERNEL_AVX2] = {"avx2", NULL},
	[KERNEL_AVX512] = {"avx512", NULL},
#endif
};

static atomic_int in_use = -1; /* an enum kernel_path; -1 = not decided */

static bool
has(enum kernel_path path)
{
	if (path == KERNEL_PORTABLE)
		return true;
#ifdef __x86_64__
	__builtin_cpu_init();
	/* F16C is older than AVX2; clang 14 cannot be asked for it. */
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
		return false;
	return path == KERNEL_AVX2 ||
		(path == KERNEL_AVX512 && __builtin_cpu_supports("avx512f") &&
			__builtin_cpu_supports("avx512bw") &&
			__builtin_cpu_supports("avx512dq") &&
			__builtin_cpu_supports("avx512vl"));
#else
	return false;
#endif
}

static enum kernel_path
decide(void)
{
	const char *asked = getenv("SAEDB_CPU");
	int best = KERNEL_N_PATHS - 1;

	for (int i = 0; asked != NULL && i < KERNEL_N_PATHS; i++)
		if (strcmp(asked, paths[i].name) == 0 && has((enum kernel_path)i))
			return (enum kernel_path)i;
	while (!has((enum kernel_path)best))
		best--;
	return (enum kernel_path)best;
}

/* Two threads that come first at once decide the same. */
enum kernel_path
kernel_path(void)
{
	int path = atomic_load_explicit(&in_use, memory_order_relaxed);

	if (path < 0) {
		path = decide();
		atomic_store_explicit(&in_use, path, memory_order_relaxed);
	}
	return (enum kernel_path)path;
}

const char *
kernel_path_name(enum kernel_path path)
{
	return (unsigned)path < KERNEL_N_PATHS ? paths[path].name : "unknown";
}

bool
kernel_use_path(enum kernel_path path)
{
	if ((unsigned)path >= KERNEL_N_PATHS || !has(path))
		return false;
	atomic_store(&in_use, path);
	return true;
}

const struct kernel_ops *
kernel_ops(void)
{
	return paths[kernel_path()].ops;
}

static atomic_bool no_vnni;

/* AVX-VNNI, which compilers before GCC 12 and clang 15 cannot be asked for. */
static bool
has_vnni(enum kernel_path path)
{
#ifdef __x86_64__
	unsigned a, b, c, d;

	if (atomic_load_explicit(&no_vnni, memory_order_relaxed))
		return false;
	if (path == KERNEL_AVX512)
		return __builtin_cpu_supports("avx512vnni");
	return path == KERNEL_AVX2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
		(a & 1u << 4) != 0;
#else
	(void)path;
	return false;
#endif
}

static const struct kernel_int8_ops *
decide_int8(enum kernel_path path)
{
#ifdef __x86_64__
	if (has_vnni(path))
		return path == KERNEL_AVX512 ? &kernel_int8_avx512 : &kernel_int8_avx2;
	if (path == KERNEL_AVX2)
		return &kernel_int7_avx2;
#endif
	return &kernel_int8_portable;
}

static _Atomic(const struct kernel_int8_ops *) found[KERNEL_N_PATHS];

void
kernel_use_vnni(bool use)
{
	for (int i = 0; i < KERNEL_N_PATHS; i++)
		atomic_store(&found[i], NULL);
	atomic_store(&no_vnni, !use);
}

const struct kernel_int8_ops *
kernel_int8(void)
{
	enum kernel_path path = kernel_path();
	const struct kernel_int8_ops *ops =
		atomic_load_explicit(&found[path], memory_order_relaxed);

	if (ops == NULL) {
		ops = decide_int8(path);
		atomic_store_explicit(&found[path], ops, memory_order_relaxed);
	}
	return ops;
}

const struct kernel_codes_ops *
kernel_codes(void)
{
#ifdef __x86_64__
	const struct kernel_int8_ops *ops = kernel_int8();

	if (ops == &kernel_int8_avx512)
		return &kernel_codes_avx512;
	if (ops == &kernel_int8_avx2)
		return &kernel_codes_avx2;
	if (kernel_path() != KERNEL_PORTABLE)
		return &kernel_codes_plain_avx2;
#endif
	return &kernel_codes_portable;
}

float
kernel_dot(const float *a, const float *b, size_t n)
{
	return kernel_ops()->dot(a, b, n);
}

float
kernel_norm(const float *a, size_t n)
{
	return sqrtf(kernel_ops()->dot(a, a, n));
}

/*
 * s = sum a_i^2 comes out of the canonical dot as t >= s (1 - gamma) - n 2^-149
 * where gamma < (n / 64 + 8) 2^-23 covers its chain of n / 64 fused steps and
 * six sums, and the second term what underflow can lose. Solved for s, in
 * double with room to spare, and rounded up.
 */
float
kernel_norm_up(const float *a, size_t n)
{
	double t = kernel_ops()->dot(a, a, n), steps = (double)n / 64 + 8;

	t = (t + (double)n * 0x1p-148) * (1 + 2 * steps * 0x1p-23);
	return nextafterf((float)sqrt(t), INFINITY);
}

void
kernel_axpy(float *y, const float *x, float s, size_t n)
{
	kernel_ops()->axpy(y, x, s, n);
}

void
kernel_exp(float *y, const float *x, size_t n)
{
	kernel_ops()->exp(y, x, n);
}

void
kernel_tanh(float *y, const float *x, size_t n)
{
	kernel_ops()->tanh(y, x, n);
}

void
kernel_gelu_tanh(float *y, const float *x, size_t n)
{
	kernel_ops()->gelu_tanh(y, x, n);
}

void
kernel_gelu(float *y, const float *x, size_t n)
{
	kernel_ops()->gelu(y, x, n);
}

void
kernel_silu(float *y, const float *x, size_t n)
{
	kernel_ops()->silu(y, x, n);
}

void
kernel_softmax(float *x, size_t n)
{
	kernel_ops()->softmax(x, n);
}

void
kernel_layer_norm(float *y, const float *x, const float *gain, const float *bias,
	float eps, size_t n)
{
	kernel_ops()->layer_norm(y, x, gain, bias, eps, n);
}

void
kernel_rms_norm(float *y, const float *x, const float *gain, float eps, size_t n)
{
	kernel_ops()->rms_norm(y, x, gain, eps, n);
}
