/* SPDX-License-Identifier: ISC */
/*
 * bench_forward: the model's forward pass on one thread: tokens/s up to a hook
 * behind the last layer, and what each kind of step takes of it, its products in
 * GFLOP/s beside SGEMM of the BLAS at the same shape.
 *
 *   bench_forward DIR [ROUNDS]
 *
 * In DIR a model of GPT-2 small's shape is made, with random weights and 4 layers.
 * Steps are timed by themselves, with the calls that the pass makes; attention is
 * what they leave of the whole. Seconds are the thread's own; the best of ROUNDS
 * (3) counts.
 */
#include "kernel/kernel.h"
#include "model/lm.h"
#include "util/mem.h"
#include "util/stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS 4
#define D 768
#define HEADS 12
#define MLP (4 * D)
#define VOCAB 1000
#define CONTEXT 1024
#define TOKENS 1024 /* of one call */
#define ROWS 192 /* that pass a product together: model/lm_int.h */

static void
check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "bench_forward: %s\n", what);
		exit(1);
	}
}

/* ---- the model ------------------------------------------------------------ */

struct maker {
	FILE *f;
	bool data; /* else the header */
	size_t at;
	uint32_t seed;
};

static void
tensor(struct maker *m, const char *name, size_t n_rows, size_t n_cols, float scale)
{
	size_t n = (n_rows > 0 ? n_rows : 1) * n_cols;
	char shape[64];

	snprintf(shape, sizeof(shape), "%zu,%zu", n_rows, n_cols);
	if (!m->data)
		fprintf(m->f,
			"%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],"
			"\"data_offsets\":[%zu,%zu]}",
			m->at > 0 ? "," : "", name,
			n_rows > 0 ? shape : strchr(shape, ',') + 1, m->at,
			m->at + 4 * n);
	for (size_t i = 0; m->data && i < n; i++) {
		float v;

		m->seed = m->seed * 1664525u + 1013904223u;
		v = (float)(int32_t)m->seed * 0x1p-31f * scale;
		fwrite(&v, sizeof(v), 1, m->f);
	}
	m->at += 4 * n;
}

static void
tensors_of(struct maker *m)
{
	static const struct {
		const char *name;
		size_t n_rows, n_cols;
	} parts[] = {{"ln_1.weight", 0, D}, {"ln_1.bias", 0, D}, {"ln_2.weight", 0, D},
		{"ln_2.bias", 0, D}, {"attn.c_attn.weight", D, (size_t)3 * D},
		{"attn.c_attn.bias", 0, (size_t)3 * D}, {"attn.c_proj.weight", D, D},
		{"attn.c_proj.bias", 0, D}, {"mlp.c_fc.weight", D, MLP},
		{"mlp.c_fc.bias", 0, MLP}, {"mlp.c_proj.weight", MLP, D},
		{"mlp.c_proj.bias", 0, D}};
	char name[64];

	m->at = 0;
	tensor(m, "wte.weight", VOCAB, D, 1);
	tensor(m, "wpe.weight", CONTEXT, D, 1);
	tensor(m, "ln_f.weight", 0, D, 1);
	tensor(m, "ln_f.bias", 0, D, 1);
	for (int i = 0; i < LAYERS; i++)
		for (size_t j = 0; j < sizeof(parts) / sizeof(parts[0]); j++) {
			snprintf(name, sizeof(name), "h.%d.%s", i, parts[j].name);
			tensor(m, name, parts[j].n_rows, parts[j].n_cols,
				parts[j].n_rows > 0 ? 0.05f : 1);
		}
}

static FILE *
create(const char *dir, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	check(f != NULL, path);
	return f;
}

static void
make_model(const char *dir)
{
	struct maker m = {.f = create(dir, "model.safetensors"), .seed = 1};
	FILE *f = create(dir, "config.json");
	uint64_t n = 0;
	long end;

	fprintf(f,
		"{\"model_type\":\"gpt2\",\"n_embd\":%d,\"n_layer\":%d,\"n_head\":%d,"
		"\"n_positions\":%d,\"vocab_size\":%d,\"layer_norm_epsilon\":1e-5,"
		"\"activation_function\":\"gelu_new\"}",
		D, LAYERS, HEADS, CONTEXT, VOCAB);
	check(fclose(f) == 0, "config.json cannot be written");
	fwrite(&n, 8, 1, m.f);
	fputc('{', m.f);
	tensors_of(&m);
	fputc('}', m.f);
	while ((end = ftell(m.f)) % 8 != 0)
		fputc(' ', m.f);
	m.data = true;
	tensors_of(&m);
	n = (uint64_t)end - 8;
	rewind(m.f);
	fwrite(&n, 8, 1, m.f);
	check(fclose(m.f) == 0, "model.safetensors cannot be written");
}

/* ---- the whole -------------------------------------------------------------- */

struct run {
	struct lm *m;
	struct lm_work *w;
	float *x; /* (TOKENS, D) */
	uint32_t ids[TOKENS];
	size_t n_rounds;
};

/* Seconds of one call with windows of `length` tokens. */
static double
whole(struct run *r, uint32_t length)
{
	const struct hook hook = {.name = "the end",
		.site = HOOK_RESID_POST,
		.layer = LAYERS - 1};
	uint32_t start[TOKENS + 1], n = TOKENS / length;
	double best = 1e9, begin;

	for (uint32_t i = 0; i <= n; i++)
		start[i] = i * length;
	for (size_t i = 0; i < r->n_rounds; i++) {
		begin = stopwatch_cpu_s();
		check(lm_forward(r->m, r->w, r->ids, start, n, &hook, 1, &r->x, NULL) ==
				0,
			"the pass failed");
		begin = stopwatch_cpu_s() - begin;
		best = begin < best ? begin : best;
	}
	return best;
}

/* ---- steps ------------------------------------------------------------------ */

struct step {
	const char *name;
	size_t k, n; /* of a product; k = 0: of n elements a token */
	void (*run)(float *y, const float *x, size_t n);
};

static void
norm(float *y, const float *x, size_t n)
{
	kernel_layer_norm(y, x, x, x, 1e-5f, n);
}

static const struct step steps[] = {{"q, k, v", D, (size_t)3 * D, NULL},
	{"out", D, D, NULL}, {"up", D, MLP, NULL}, {"down", MLP, D, NULL},
	{"gelu", 0, MLP, kernel_gelu_tanh}, {"norm", 0, D, norm},
	{"norm again", 0, D, norm}};

#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

/* Seconds of TOKENS tokens in one layer. */
static double
one_step(const struct step *s, const float *x, float *y, const float *b, size_t rounds)
{
	struct kernel_packed *p = NULL;
	double best = 1e9, begin;

	check(s->k == 0 || kernel_pack(&p, b, s->k, s->n, s->n, 1, NULL) == 0,
		"memory ran out");
	for (size_t i = 0; i < rounds; i++) {
		begin = stopwatch_cpu_s();
		for (size_t t = 0, n; t < TOKENS; t += n) {
			n = TOKENS - t < ROWS ? TOKENS - t : ROWS;
			if (p != NULL)
				kernel_gemm(y, s->n, x, s->k, n, p, b, false);
			for (size_t j = 0; p == NULL && j < n; j++)
				s->run(y + j * s->n, x + j * s->n, s->n);
		}
		begin = stopwatch_cpu_s() - begin;
		best = begin < best ? begin : best;
	}
	kernel_packed_free(p);
	return best;
}

static void
report(const char *name, double seconds, double all, double flop, double blas)
{
	printf("  %-12s %5.1f%%", name, 100 * seconds / all);
	if (flop > 0)
		printf("  %6.1f GFLOP/s", flop / seconds / 1e9);
	if (blas > 0)
		printf("  %5.2fx SGEMM", flop / seconds / blas);
	printf("\n");
}

static void
shares(const struct run *r, uint32_t length, double all, const double *seconds,
	const double *blas)
{
	double left = all, per_token = 0;

	for (size_t i = 0; i < N_STEPS; i++) {
		left -= seconds[i] * LAYERS;
		per_token += 2.0 * (double)steps[i].k * (double)steps[i].n;
	}
	/* scores and their sums: a query sees half of the window */
	per_token += 2.0 * (double)D * (double)(length + 1);
	printf("windows of %u tokens: %.0f tokens/s of %d layers, %.1f GFLOP/s\n",
		length, TOKENS / all, LAYERS, per_token * LAYERS * TOKENS / all / 1e9);
	for (size_t i = 0; i < N_STEPS; i++)
		report(steps[i].name, seconds[i] * LAYERS, all,
			2.0 * (double)steps[i].k * (double)steps[i].n * TOKENS * LAYERS,
			blas[i]);
	report("attention", left, all,
		2.0 * (double)D * (double)(length + 1) * TOKENS * LAYERS, 0);
	(void)r;
}

int
main(int argc, char **argv)
{
	size_t most = (size_t)ROWS * MLP;
	float *x = mem_new_aligned(most, sizeof(float));
	float *y = mem_new_aligned(most, sizeof(float));
	float *b = mem_new_aligned((size_t)D * MLP, sizeof(float));
	double seconds[N_STEPS], blas[N_STEPS];
	struct run r = {.n_rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 3};

	check(argc > 1 && r.n_rounds > 0, "usage: bench_forward DIR [ROUNDS]");
	check(x != NULL && y != NULL && b != NULL, "memory ran out");
	make_model(argv[1]);
	check(lm_open(&r.m, argv[1], NULL) == 0, "the model does not load");
	check(lm_work_new(&r.w, r.m, TOKENS, NULL) == 0, "memory ran out");
	r.x = mem_new_aligned((size_t)TOKENS * D, sizeof(float));
	check(r.x != NULL, "memory ran out");
	for (uint32_t i = 0; i < TOKENS; i++)
		r.ids[i] = i * 7919 % VOCAB;
	for (size_t i = 0; i < most; i++)
		x[i] = (float)(i % 17) * 0.25f - 2;
	for (size_t i = 0; i < (size_t)D * MLP; i++)
		b[i] = (float)(i % 5) - 2;
	printf("path %s, one thread\n", kernel_path_name(kernel_path()));
	for (size_t i = 0; i < N_STEPS; i++) {
		seconds[i] = one_step(&steps[i], x, y, b, r.n_rounds);
		blas[i] = steps[i].k > 0
			? kernel_sgemm_rate(ROWS, steps[i].n, steps[i].k, false)
			: 0;
	}
	for (uint32_t length = 128; length <= CONTEXT; length *= 8)
		shares(&r, length, whole(&r, length), seconds, blas);
	mem_free(x);
	mem_free(y);
	mem_free(b);
	mem_free(r.x);
	lm_work_free(r.w);
	lm_close(r.m);
	return 0;
}
