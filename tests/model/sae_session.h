/* SPDX-License-Identifier: ISC */
/* What the tests of SAEs share: one that is open beside what a reference says. */
#ifndef TESTS_MODEL_SAE_SESSION_H
#define TESTS_MODEL_SAE_SESSION_H

#include "model/sae.h"
#include "tests/model/fixture.h"

#include <math.h>

struct session {
	struct sae *s;
	struct sae_work *w;
	struct tensors *golden;
	float *x, *acts, *back; /* (m, d), (m, f), (m, o) */
	size_t m, d, o, f;
};

/* name: the SAE; dir: where golden.safetensors stands. */
static inline void
session_open(struct session *t, const char *name, const char *dir,
	const struct sae_options *options)
{
	char path[128];
	struct err e = ERR_INIT;
	size_t n;

	if (sae_open_with(&t->s, fixture(name), options, &e) < 0 ||
		sae_work_new(&t->w, t->s, &e) < 0)
		fail_msg("%s", e.text);
	snprintf(path, sizeof(path), "%s/golden.safetensors", dir);
	assert_int_equal(tensors_open(&t->golden, fixture(path), &e), 0);
	t->d = t->s->info.d_in;
	t->o = t->s->info.d_out;
	t->f = t->s->info.d_sae;
	t->x = golden(t->golden, "x", &n);
	t->m = n / t->d;
	t->acts = golden(t->golden, "acts", &n);
	assert_int_equal(n, t->m * t->f);
	t->back = golden(t->golden, "back", &n);
	assert_int_equal(n, t->m * t->o);
}

static inline void
session_close(struct session *t)
{
	mem_free(t->x);
	mem_free(t->acts);
	mem_free(t->back);
	tensors_close(t->golden);
	sae_work_free(t->w);
	sae_close(t->s);
}

/* Encodes all tokens, the features in ranges of at most step, into dense. */
static inline void
session_encode(const struct session *t, const float *y, uint32_t step, float *dense)
{
	struct kernel_hits hits = {0}, all = {0};
	struct err e = ERR_INIT;

	memset(dense, 0, t->m * t->f * sizeof(*dense));
	for (uint32_t first = 0; first < t->f; first += step) {
		uint32_t count = t->f - first < step ? (uint32_t)(t->f - first) : step;

		hits.n = 0;
		assert_int_equal(sae_encode_range(t->s, &hits, y, t->m, first, count,
					 t->w, &e),
			0);
		for (size_t i = 0; i < hits.n; i++) {
			const struct kernel_hit *h = &hits.hit[i], *before = h - 1;

			assert_true(h->value > 0 && h->row >= first &&
				h->row < first + count);
			assert_true(i == 0 || before->query < h->query ||
				(before->query == h->query && before->row < h->row));
		}
		all.hit = mem_resize(all.hit, all.n + hits.n + 1, sizeof(*all.hit));
		if (hits.n > 0)
			memcpy(all.hit + all.n, hits.hit, hits.n * sizeof(*hits.hit));
		all.n += hits.n;
	}
	for (uint32_t q = 0; q < t->m; q++) {
		struct kernel_hit *one = mem_new(all.n + 1, sizeof(*one));
		size_t n = 0;

		for (size_t i = 0; i < all.n; i++) {
			if (all.hit[i].query == q)
				one[n++] = all.hit[i];
		}
		if (sae_chooses(t->s))
			n = sae_topk_merge(t->s, one, n);
		for (size_t i = 0; i < n; i++)
			dense[q * t->f + one[i].row] = one[i].value;
		mem_free(one);
	}
	mem_free(all.hit);
	kernel_hits_clear(&hits);
}

/* What one token's activations decode to. */
static inline void
session_decode(const struct session *t, size_t q, const float *dense, float scale,
	float shift, float *back)
{
	struct sae_act *acts = mem_new(t->f, sizeof(*acts));
	size_t n = 0;

	for (uint32_t i = 0; i < t->f; i++) {
		if (dense[q * t->f + i] > 0)
			acts[n++] = (struct sae_act){i, dense[q * t->f + i]};
	}
	sae_decode(t->s, back, acts, n, scale, shift);
	sae_skip(t->s, back, t->x + q * t->d);
	mem_free(acts);
}

/* A value may be off by this much of |y| |w| + |b|; the active sets are equal:
 * make_fixtures_sae.py sees to it that no value lies close to its threshold. */
#define CLOSE 1e-5

static inline double
session_norm(const float *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)v[i] * (double)v[i];
	return sqrt(sum);
}

/* The furthest activation from the reference; infinite when one is active on one
 * side only. */
static inline double
session_worst(const struct session *t, const float *y, const float *got)
{
	const struct sae *s = t->s;
	double worst = 0;

	for (size_t i = 0; i < t->m * t->f; i++) {
		size_t q = i / t->f, f = i % t->f;
		double by = session_norm(y + q * t->d, t->d) *
				session_norm(s->w_enc + f * t->d, t->d) +
			fabs((double)s->b_enc[f]);
		double off = fabs((double)got[i] - (double)t->acts[i]);

		if ((got[i] > 0) != (t->acts[i] > 0))
			return INFINITY;
		if (s->mag_scale)
			by = by * (1 + (double)s->mag_scale[f]) +
				fabs((double)s->mag_bias[f]);
		if (s->info.rescale_by_decoder_norm)
			by *= 1 + (double)s->dec_norm[f];
		worst = off / by > worst ? off / by : worst;
	}
	return worst;
}

/* How far the SAE is from its reference, in activations and decoded. */
static inline double
session_distance(const struct session *t)
{
	float *y = mem_new(t->m * t->d, sizeof(*y));
	float *scale = mem_new(t->m, sizeof(*scale));
	float *shift = mem_new(t->m, sizeof(*shift));
	float *got = mem_new(t->m * t->f, sizeof(*got));
	float *back = mem_new(t->m * t->o, sizeof(*back));
	double worst, off;

	sae_prepare(t->s, y, t->x, t->m, scale, shift);
	session_encode(t, y, 1000000, got);
	worst = session_worst(t, y, got);
	for (size_t q = 0; q < t->m; q++)
		session_decode(t, q, got, scale[q], shift[q], back + q * t->o);
	off = worst_row(back, t->back, t->m, t->o);
	mem_free(y);
	mem_free(scale);
	mem_free(shift);
	mem_free(got);
	mem_free(back);
	return off > worst ? off : worst;
}

#endif
