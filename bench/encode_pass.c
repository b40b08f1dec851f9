/* SPDX-License-Identifier: ISC */
/*
 * encode_pass: our side of ./dev bench encode, which bench/encode.py talks to: an
 * SAE, the residual streams of windows of WINDOW tokens, and for each line on
 * standard input one measurement, so that sides can alternate.
 *
 *     encode_pass SAE STREAMS N_TOKENS
 *
 * `f32 N` and `int8 N` encode all tokens with N threads as a run does (ranges of
 * features shared out, active features gathered by token, each feature's count, sums,
 * maximum, histogram and best windows), from empty statistics, and print seconds,
 * activations and their sum. `sgemm N` prints what the SGEMM of the BLAS, N calls at
 * once, would make of the product, in tokens/s.
 */
#include "indexer/encode.h"
#include "indexer/state.h"
#include "kernel/kernel.h"
#include "model/sae.h"
#include "util/mem.h"
#include "util/pool.h"
#include "util/stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 128
#define BATCH 4096 /* tokens: what --batch-tokens is by default */
#define BEST 20
#define RADIUS 5
#define THREADS_MOST 64

struct side {
	struct sae *sae[2]; /* rows prepared for f32, for int8 */
	const float *x; /* (n_tokens, d_in) */
	const uint32_t *ids; /* (n_tokens) */
	uint32_t n_tokens;
};

/* One measurement. */
struct pass {
	struct pool *pool;
	struct encoder encoder;
	struct by_feature *ranges; /* (encoder.n_ranges) */
	struct state state;
	const uint32_t *ids; /* of the batch */
	uint32_t first, n_windows; /* of the batch */
	struct err err[THREADS_MOST];
};

static const enum kernel_pass_kind passes[2] = {KERNEL_PASS_F32, KERNEL_PASS_AUTO};

static void
check(int rc, const struct err *e)
{
	if (rc < 0) {
		fprintf(stderr, "encode_pass: %s\n", e->text);
		exit(1);
	}
}

/* ---- a pass --------------------------------------------------------------- */

static int
count_window(struct pass *p, struct by_feature *b, uint32_t w, struct err *e)
{
	const struct sparse *a = &p->encoder.acts;
	uint32_t from = w * WINDOW;

	by_feature_reset(b);
	for (uint32_t i = 0; i < WINDOW; i++)
		for (uint32_t j = sparse_from(a, from + i, b->first);
			j < a->row_start[from + i + 1] &&
			a->feature[j] - b->first < b->count;
			j++)
			if (by_feature_add(b, a->feature[j], i, a->value[j], e) < 0)
				return e->code;
	by_feature_build(b);
	for (uint32_t f = 0; f < b->n; f++)
		if (state_add(&p->state, b->feature[f], p->first + w, p->ids + from,
			    WINDOW, b->at + b->start[f], b->start[f + 1] - b->start[f],
			    e) < 0)
			return e->code;
	return 0;
}

static void
count_range(void *ctx, size_t r, size_t thread)
{
	struct pass *p = ctx;
	struct err *e = &p->err[thread];

	for (uint32_t w = 0; w < p->n_windows && e->code == 0; w++)
		count_window(p, &p->ranges[r], w, e);
}

static void
pass_init(struct pass *p, const struct sae *sae, size_t n_threads)
{
	struct err e = ERR_INIT;

	memset(p, 0, sizeof(*p));
	check(pool_new(&p->pool, n_threads, &e), &e);
	check(encoder_init(&p->encoder, sae, n_threads, BATCH, &e), &e);
	check(state_init(&p->state, sae->info.d_sae, BEST, RADIUS, &e), &e);
	p->ranges = mem_new(p->encoder.n_ranges, sizeof(*p->ranges));
	if (p->ranges == NULL)
		check(err_set(&e, ERR_NOMEM, "no memory"), &e);
	for (size_t r = 0; r < p->encoder.n_ranges; r++)
		check(by_feature_init(&p->ranges[r], p->encoder.bound[r],
			      p->encoder.bound[r + 1] - p->encoder.bound[r], &e),
			&e);
}

static void
pass_clear(struct pass *p)
{
	for (size_t r = 0; r < p->encoder.n_ranges; r++)
		by_feature_clear(&p->ranges[r]);
	mem_free(p->ranges);
	state_clear(&p->state);
	encoder_clear(&p->encoder);
	pool_free(p->pool);
}

static void
pass_run(struct pass *p, const struct side *s)
{
	size_t d = s->sae[0]->info.d_in;
	struct err e = ERR_INIT;

	for (uint32_t at = 0, n; at < s->n_tokens; at += n) {
		n = s->n_tokens - at < BATCH ? s->n_tokens - at : BATCH;
		p->ids = s->ids + at;
		p->first = at / WINDOW;
		p->n_windows = n / WINDOW;
		check(encoder_run(&p->encoder, p->pool, s->x + at * d, n, p->err, &e),
			&e);
		pool_run(p->pool, p->encoder.n_ranges, count_range, p);
		for (size_t i = 0; i < pool_n_threads(p->pool); i++)
			check(p->err[i].code, &p->err[i]);
	}
}

static void
measure_pass(const struct side *s, int which, size_t n_threads)
{
	struct pass p;
	double begin, seconds, sum = 0;
	uint64_t n = 0;

	kernel_use_pass(passes[which]);
	pass_init(&p, s->sae[which], n_threads);
	begin = stopwatch_now_s();
	pass_run(&p, s);
	seconds = stopwatch_now_s() - begin;
	for (uint32_t f = 0; f < p.state.n_features; f++) {
		n += p.state.feature[f].count;
		sum += exact32_get(&p.state.feature[f].sum);
	}
	printf("%.6f %llu %.9g\n", seconds, (unsigned long long)n, sum);
	pass_clear(&p);
}

/* ---- the bound ------------------------------------------------------------- */

struct bound {
	double rate[THREADS_MOST];
	size_t d;
};

static void
measure_call(void *ctx, size_t i, size_t thread)
{
	struct bound *b = ctx;

	(void)thread;
	b->rate[i] = kernel_sgemm_rate(512, 4096, b->d, false);
}

static void
measure_bound(const struct side *s, size_t n_threads)
{
	struct bound b = {.d = s->sae[0]->info.d_in};
	struct err e = ERR_INIT;
	struct pool *pool;
	double sum = 0;

	check(pool_new(&pool, n_threads, &e), &e);
	pool_run(pool, n_threads, measure_call, &b);
	for (size_t i = 0; i < n_threads; i++)
		sum += b.rate[i];
	pool_free(pool);
	printf("%.1f\n", sum / 2 / (double)b.d / s->sae[0]->info.d_sae);
}

/* ---- talking ---------------------------------------------------------------- */

static void
side_open(struct side *s, char **arg)
{
	struct err e = ERR_INIT;
	size_t d, n;
	uint32_t *ids;
	float *x;
	FILE *f;

	for (int i = 0; i < 2; i++) {
		kernel_use_pass(passes[i]);
		check(sae_open(&s->sae[i], arg[1], &e), &e);
	}
	d = s->sae[0]->info.d_in;
	n = strtoul(arg[3], NULL, 10) / WINDOW * WINDOW;
	x = mem_new_aligned(n, d * sizeof(*x));
	ids = mem_new(n, sizeof(*ids));
	f = fopen(arg[2], "rb");
	if (f == NULL || x == NULL || ids == NULL || n == 0 ||
		fread(x, d * sizeof(*x), n, f) != n)
		check(err_set(&e, ERR_IO, "cannot read %s", arg[2]), &e);
	fclose(f);
	for (size_t i = 0; i < n; i++) /* no two windows alike */
		ids[i] = (uint32_t)i * 2654435761u;
	s->x = x;
	s->ids = ids;
	s->n_tokens = (uint32_t)n;
}

int
main(int argc, char **argv)
{
	struct side s = {0};
	char line[64], what[16];
	unsigned n_threads;

	if (argc != 4) {
		fprintf(stderr, "usage: encode_pass SAE STREAMS N_TOKENS\n");
		return 2;
	}
	side_open(&s, argv);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%15s %u", what, &n_threads) != 2 || n_threads == 0 ||
			n_threads > THREADS_MOST)
			return 2;
		if (strcmp(what, "sgemm") == 0)
			measure_bound(&s, n_threads);
		else
			measure_pass(&s, strcmp(what, "int8") == 0, n_threads);
		fflush(stdout);
	}
	return 0;
}
