/* SPDX-License-Identifier: ISC */
/*
 * bench_encode: the encoder's search on one thread, raced within one run, sides
 * alternating, medians: SGEMM of the BLAS and of kernel_gemm, and kernel_above
 * (JumpReLU) and kernel_best (TopK) in floats and in bytes, tokens/s each as if
 * the product were all. Argument: rounds (5).
 *
 * Activations are made with a mean, a spectrum that falls as 1 / sqrt(rank) in
 * random directions, and three outlier dimensions of 30 times the rest; rows
 * are unit vectors; thresholds stand at 2.2 to 3.7 deviations of each row's
 * values, moved together until about 50 of them are passed per token. Seconds
 * are the thread's own. Ends with 1 where floats and bytes answer unlike.
 */
#include "kernel/kernel.h"
#include "util/mem.h"
#include "util/stopwatch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 1020
#define SAMPLE 128 /* tokens that set thresholds */
#define DIRECTIONS 64 /* of the spectrum */
#define L0 50
#define ROUNDS_MOST 64

struct data {
	size_t n, d;
	float *x; /* (TOKENS, d) */
	float *w; /* (n, d) */
	float *threshold; /* (n) */
	struct kernel_rows *rows[2]; /* f32, int8 */
	struct kernel_work *work[2];
	struct kernel_hits hits;
	struct kernel_hit *best; /* (TOKENS, L0) */
	uint64_t answer[2]; /* a sum over what was last found */
};

static const enum kernel_pass_kind passes[2] = {KERNEL_PASS_F32, KERNEL_PASS_AUTO};
static const char *const pass_names[2] = {"f32", "int8"};

static double
uniform(void)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double)(seed >> 11) + 0.5) * 0x1p-53;
}

static float
gauss(void)
{
	return (float)(sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()));
}

static void
check(bool good)
{
	if (!good) {
		fprintf(stderr, "bench_encode: memory ran out\n");
		exit(1);
	}
}

static void
make_x(struct data *s)
{
	float *dir = mem_new_aligned(DIRECTIONS * s->d, sizeof(float));

	check(dir != NULL);
	for (size_t i = 0; i < DIRECTIONS * s->d; i++)
		dir[i] = gauss();
	for (size_t t = 0; t < TOKENS; t++) {
		float *x = s->x + t * s->d;

		for (size_t i = 0; i < s->d; i++)
			x[i] = gauss() + 2 * dir[i];
		for (size_t k = 0; k < DIRECTIONS; k++)
			kernel_axpy(x, dir + k * s->d,
				2 * gauss() / sqrtf((float)k + 1), s->d);
		for (size_t k = 1; k <= 3; k++)
			x[s->d / 4 * k - 1] *= 30;
	}
	mem_free(dir);
}

static void
make_w(struct data *s)
{
	for (size_t i = 0; i < s->n; i++) {
		float *w = s->w + i * s->d, norm;

		for (size_t j = 0; j < s->d; j++)
			w[j] = gauss();
		norm = kernel_norm(w, s->d);
		for (size_t j = 0; j < s->d; j++)
			w[j] /= norm;
	}
}

/* z (SAMPLE, n) in deviations of each row, less 2.2 to 3.7; sorted, the value
 * with L0 a token above it is what all thresholds move by. */
static int
down(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return *x > *y ? -1 : *x < *y;
}

static void
make_thresholds(struct data *s)
{
	float *z = mem_new_aligned(SAMPLE * s->n, sizeof(float));
	float *spread = mem_new_aligned(s->n, sizeof(float)), shift;

	check(z != NULL && spread != NULL);
	for (size_t i = 0; i < s->n; i++) {
		double sum = 0, square = 0, mean, dev;
		float c = 2.2f + 1.5f * (float)uniform();

		for (size_t t = 0; t < SAMPLE; t++) {
			float v =
				kernel_dot(s->x + t * 7 * s->d, s->w + i * s->d, s->d);

			z[i * SAMPLE + t] = v;
			sum += (double)v;
			square += (double)v * (double)v;
		}
		mean = sum / SAMPLE;
		dev = sqrt(square / SAMPLE - mean * mean);
		spread[i] = (float)dev;
		s->threshold[i] = (float)(mean + (double)c * dev);
		for (size_t t = 0; t < SAMPLE; t++)
			z[i * SAMPLE + t] =
				(z[i * SAMPLE + t] - s->threshold[i]) / spread[i];
	}
	qsort(z, SAMPLE * s->n, sizeof(*z), down);
	shift = z[SAMPLE * L0 * 6 / 5]; /* a small sample flatters itself */
	for (size_t i = 0; i < s->n; i++)
		s->threshold[i] += shift * spread[i];
	mem_free(z);
	mem_free(spread);
}

static void
data_init(struct data *s, size_t d, size_t n)
{
	*s = (struct data){.n = n, .d = d};
	s->x = mem_new_aligned(TOKENS * d, sizeof(float));
	s->w = mem_new_aligned(n * d, sizeof(float));
	s->threshold = mem_new_aligned(n, sizeof(float));
	s->best = mem_new(TOKENS * L0, sizeof(*s->best));
	check(s->x != NULL && s->w != NULL && s->threshold != NULL && s->best != NULL);
	make_x(s);
	make_w(s);
	make_thresholds(s);
	for (int i = 0; i < 2; i++) {
		kernel_use_pass(passes[i]);
		check(kernel_rows_new(&s->rows[i], s->w, n, d, NULL) == 0 &&
			kernel_work_new(&s->work[i], NULL) == 0);
	}
}

static void
data_clear(struct data *s)
{
	for (int i = 0; i < 2; i++) {
		kernel_rows_free(s->rows[i]);
		kernel_work_free(s->work[i]);
	}
	kernel_hits_clear(&s->hits);
	mem_free(s->x);
	mem_free(s->w);
	mem_free(s->threshold);
	mem_free(s->best);
}

static uint64_t
sum_of(const struct kernel_hit *hit, size_t n)
{
	uint64_t sum = n;
	uint32_t bits;

	for (size_t i = 0; i < n; i++) {
		memcpy(&bits, &hit[i].value, sizeof(bits));
		sum = (sum ^ hit[i].row) * 1099511628211u;
		sum = (sum ^ hit[i].query) * 1099511628211u;
		sum = (sum ^ bits) * 1099511628211u;
	}
	return sum;
}

/* Tokens/s of one search. */
static double
search(struct data *s, int i, bool topk)
{
	double begin, seconds;
	int rc;

	kernel_use_pass(passes[i]);
	s->hits.n = 0;
	begin = stopwatch_cpu_s();
	rc = topk ? kernel_best(s->best, L0, s->rows[i], 0, s->n, s->x, s->d, TOKENS,
			    NULL, NULL, false, NULL, s->work[i], NULL)
		  : kernel_above(&s->hits, s->rows[i], 0, s->n, s->x, s->d, TOKENS,
			    NULL, s->threshold, s->work[i], NULL);
	seconds = stopwatch_cpu_s() - begin;
	check(rc == 0);
	s->answer[i] =
		topk ? sum_of(s->best, TOKENS * L0) : sum_of(s->hits.hit, s->hits.n);
	return TOKENS / seconds;
}

static int
up(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), up);
	return v[n / 2];
}

static void
same_answers(const struct data *s)
{
	if (s->answer[0] != s->answer[1]) {
		fprintf(stderr, "bench_encode: floats and bytes answer unlike\n");
		exit(1);
	}
}

static void
report(struct data *s, const char *what, int i, double rate, double gemm, double blas)
{
	struct kernel_counts c = kernel_work_counts(s->work[i]);

	printf("  %-9s %-4s %8.0f tokens/s  %5.2fx kernel_gemm  %5.2fx BLAS  "
	       "candidates %.1f, kept %.1f a token, in bytes %.0f%%\n",
		what, pass_names[i], rate, rate / gemm, rate / blas,
		(double)c.tried / (double)c.queries, (double)c.kept / (double)c.queries,
		100.0 * (double)c.queries_int8 / (double)c.queries);
}

static void
race(size_t d, size_t n, size_t n_rounds)
{
	double v[6][ROUNDS_MOST], flop = 2.0 * (double)n * (double)d, m[6];
	struct data s;

	data_init(&s, d, n);
	for (size_t r = 0; r < n_rounds; r++) {
		v[0][r] = kernel_sgemm_rate(512, 4096, d, false) / flop;
		v[1][r] = kernel_sgemm_rate(512, 4096, d, true) / flop;
		for (int i = 0; i < 2; i++)
			v[2 + i][r] = search(&s, i, false);
	}
	same_answers(&s);
	printf("d=%zu n=%zu, %d tokens, %.1f hits a token, %zu rounds\n", d, n, TOKENS,
		(double)s.hits.n / TOKENS, n_rounds);
	for (int i = 0; i < 4; i++)
		m[i] = median(v[i], n_rounds);
	printf("  SGEMM     BLAS %8.0f tokens/s, kernel_gemm %8.0f tokens/s (%.0f, "
	       "%.0f "
	       "GFLOP/s)\n",
		m[0], m[1], m[0] * flop / 1e9, m[1] * flop / 1e9);
	for (int i = 0; i < 2; i++) {
		report(&s, "JumpReLU", i, m[2 + i], m[1], m[0]);
		kernel_work_free(s.work[i]);
		check(kernel_work_new(&s.work[i], NULL) == 0);
	}
	for (size_t r = 0; r < n_rounds; r++)
		for (int i = 0; i < 2; i++)
			v[4 + i][r] = search(&s, i, true);
	same_answers(&s);
	for (int i = 0; i < 2; i++)
		report(&s, "TopK", i, median(v[4 + i], n_rounds), m[1], m[0]);
	fflush(stdout);
	data_clear(&s);
}

int
main(int argc, char **argv)
{
	size_t n_rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;

	n_rounds = n_rounds < 1 ? 1 : n_rounds > ROUNDS_MOST ? ROUNDS_MOST : n_rounds;
	printf("path %s\n", kernel_path_name(kernel_path()));
	race(768, 24576, n_rounds);
	race(2304, 16384, n_rounds);
	return 0;
}
