/* SPDX-License-Identifier: ISC */
/* What the tests of language models share: a model, and what PyTorch makes of it. */
#ifndef TESTS_MODEL_SESSION_H
#define TESTS_MODEL_SESSION_H

#include "model/lm.h"
#include "tests/model/fixture.h"

/* Goldens are PyTorch's float32, which sums in another order: a dot product of
 * n terms is good to about n 2^-24 of the sum of their magnitudes, and two
 * layers of them stay well within 1e-5 of a row's norm. A wrong formula is off
 * by 1e-2 and more. */
#define CLOSE 1e-5

struct session {
	struct lm *m;
	struct lm_work *w;
	struct tensors *golden;
	uint32_t *ids;
	uint32_t *window_start;
	size_t n_tokens, n_windows;
};

static inline uint32_t *
golden_ints(const struct tensors *t, const char *name, size_t *n)
{
	const struct tensor *x = tensors_find(t, name);
	uint32_t *out;

	assert_non_null(x);
	out = mem_new(x->n_values, sizeof(*out));
	memcpy(out, x->data, x->n_bytes);
	*n = x->n_values;
	return out;
}

/* name: the model; path: what it is to compute. */
static inline void
start_with(struct session *s, const char *name, const char *path)
{
	struct err e = ERR_INIT;

	if (lm_open(&s->m, fixture(name), &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(tensors_open(&s->golden, fixture(path), &e), 0);
	s->ids = golden_ints(s->golden, "ids", &s->n_tokens);
	s->window_start = golden_ints(s->golden, "window_start", &s->n_windows);
	s->n_windows--;
	assert_int_equal(lm_work_new(&s->w, s->m, s->n_tokens, &e), 0);
}

static inline void
start(struct session *s, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/golden.safetensors", name);
	start_with(s, name, path);
}

static inline void
stop(struct session *s)
{
	mem_free(s->ids);
	mem_free(s->window_start);
	tensors_close(s->golden);
	lm_work_free(s->w);
	lm_close(s->m);
}

/* Is this golden of a hook? Its name is the hook's one name. */
static inline bool
golden_hook(struct hook *h, const char *name)
{
	struct err e = ERR_INIT;

	if (strncmp(name, "blocks.", 7) != 0 && strncmp(name, "layers.", 7) != 0)
		return false;
	assert_int_equal(hook_parse(h, name, &e), 0);
	assert_string_equal(h->name, name);
	return true;
}

/* Every golden of a hook; the worst distance. */
static inline double
check_hooks(struct session *s)
{
	size_t n_hooks = 0;
	static struct hook hooks[64];
	static float *out[64];
	struct err e = ERR_INIT;
	double worst = 0;

	for (size_t i = 0; i < tensors_n(s->golden); i++) {
		if (!golden_hook(&hooks[n_hooks], tensors_at(s->golden, i)->name))
			continue;
		out[n_hooks] = mem_new(s->n_tokens,
			lm_hook_width(s->m, &hooks[n_hooks]) * sizeof(float));
		n_hooks++;
		assert_true(n_hooks < 64);
	}
	assert_true(n_hooks >= 2);
	if (lm_forward(s->m, s->w, s->ids, s->window_start, s->n_windows, hooks,
		    n_hooks, out, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < n_hooks; i++) {
		size_t n, d = lm_hook_width(s->m, &hooks[i]);
		float *want = golden(s->golden, hooks[i].name, &n);
		double off;

		assert_int_equal(n, s->n_tokens * d);
		off = worst_row(out[i], want, s->n_tokens, d);
		if (!(off < CLOSE))
			fail_msg("%s is off by %g", hooks[i].name, off);
		worst = off > worst ? off : worst;
		mem_free(want);
		mem_free(out[i]);
	}
	return worst;
}

static inline void
check_logits(struct session *s)
{
	size_t n_vocab = lm_info(s->m)->n_vocab, n = s->window_start[1];
	float *got = mem_new(n * n_vocab, sizeof(float)), *want;
	struct err e = ERR_INIT;

	assert_int_equal(lm_logits(s->m, s->w, s->ids, n, got, &e), 0);
	want = golden(s->golden, "logprobs", NULL);
	assert_true(worst_row(got, want, n, n_vocab) < CLOSE);
	mem_free(got);
	mem_free(want);
}

#endif
