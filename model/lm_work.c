/* SPDX-License-Identifier: ISC */
/* One thread's buffers. */
#include "model/lm_int.h"
#include "util/mem.h"

#define PANEL 32 /* columns that a packed matrix is rounded up to */

/* A window is at most as long as the model takes and as all tokens together. */
static size_t
span_of(const struct lm *m, size_t max_tokens)
{
	size_t n = m->info.n_ctx < max_tokens ? m->info.n_ctx : max_tokens;

	return n > 0 ? n : 1;
}

static size_t
n_blocks(size_t span)
{
	return (span + LM_BLOCK_KEYS - 1) / LM_BLOCK_KEYS;
}

/* Floats a token takes, and floats all else takes. */
static size_t
floats_per_token(const struct lm *m)
{
	return m->info.d_model + lm_qkv_width(m) + lm_z_width(m);
}

static size_t
floats_per_row(const struct lm *m)
{
	return 3 * (size_t)m->info.d_model +
		(m->layer[0].gate.w ? 2 : 1) * (size_t)m->info.d_mlp;
}

/* Of a window's token: scores, cosines and sines, and packed keys and values. */
static size_t
floats_per_place(const struct lm *m)
{
	size_t d_head = m->info.d_head, n = LM_BLOCK_KEYS;

	for (size_t i = 0; i < LM_N_ROPES; i++)
		n += m->rope[i].n_rotary;
	return n + d_head + (d_head + PANEL - 1) / PANEL * PANEL;
}

size_t
lm_work_bytes(const struct lm *m, size_t max_tokens)
{
	size_t span = span_of(m, max_tokens), n_keys = n_blocks(span), n, more;

	if (!lm_can_run(m))
		return 0;
	if (!mem_mul(max_tokens, floats_per_token(m), &n) ||
		!mem_mul(n_keys * LM_BLOCK_KEYS, floats_per_place(m), &more) ||
		!mem_add(n, more, &n) ||
		!mem_add(n, LM_BLOCK_ROWS * floats_per_row(m), &n) ||
		!mem_mul(n, sizeof(float), &n) ||
		!mem_add(n, sizeof(struct lm_work) + 2 * n_keys * sizeof(void *), &n))
		return SIZE_MAX;
	return n;
}

static bool
make_tables(struct lm_work *w, const struct lm *m)
{
	for (size_t i = 0; i < LM_N_ROPES; i++) {
		size_t half = m->rope[i].n_rotary / 2;

		if (half == 0)
			continue;
		w->cos[i] = mem_new_aligned(w->span, half * sizeof(float));
		w->sin[i] = mem_new_aligned(w->span, half * sizeof(float));
		if (!w->cos[i] || !w->sin[i])
			return false;
		lm_rope_table(&m->rope[i], w->span, w->cos[i], w->sin[i]);
	}
	return true;
}

static bool
make_buffers(struct lm_work *w, const struct lm *m)
{
	size_t n = w->max_tokens, d = m->info.d_model, d_mlp = m->info.d_mlp;
	size_t n_keys = n_blocks(w->span);

	w->x = mem_new_aligned(n, d * sizeof(float));
	w->qkv = mem_new_aligned(n, lm_qkv_width(m) * sizeof(float));
	w->z = mem_new_aligned(n, lm_z_width(m) * sizeof(float));
	w->norm = mem_new_aligned(LM_BLOCK_ROWS, d * sizeof(float));
	w->mid = mem_new_aligned(LM_BLOCK_ROWS, d_mlp * sizeof(float));
	if (m->layer[0].gate.w) {
		w->gate = mem_new_aligned(LM_BLOCK_ROWS, d_mlp * sizeof(float));
		if (!w->gate)
			return false;
	}
	w->attn = mem_new_aligned(LM_BLOCK_ROWS, d * sizeof(float));
	w->mlp = mem_new_aligned(LM_BLOCK_ROWS, d * sizeof(float));
	w->score = mem_new_aligned(LM_BLOCK_KEYS, w->span * sizeof(float));
	w->keys = mem_new(n_keys, sizeof(*w->keys));
	w->values = mem_new(n_keys, sizeof(*w->values));
	return w->x && w->qkv && w->z && w->norm && w->mid && w->attn && w->mlp &&
		w->score && w->keys && w->values && make_tables(w, m);
}

int
lm_work_new(struct lm_work **out, const struct lm *m, size_t max_tokens, struct err *e)
{
	struct lm_work *w = NULL;
	int rc = lm_need_run(m, e);

	if (rc < 0)
		return rc;
	if (lm_work_bytes(m, max_tokens) < SIZE_MAX)
		w = mem_new(1, sizeof(*w));
	if (w) {
		w->max_tokens = max_tokens;
		w->span = span_of(m, max_tokens);
	}
	if (!w || !make_buffers(w, m)) {
		lm_work_free(w);
		return err_set(e, ERR_NOMEM, "memory ran out for batches of %zu tokens",
			max_tokens);
	}
	*out = w;
	return 0;
}

void
lm_work_free(struct lm_work *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < LM_N_ROPES; i++) {
		mem_free(w->cos[i]);
		mem_free(w->sin[i]);
	}
	mem_free(w->x);
	mem_free(w->qkv);
	mem_free(w->z);
	mem_free(w->norm);
	mem_free(w->mid);
	mem_free(w->gate);
	mem_free(w->attn);
	mem_free(w->mlp);
	mem_free(w->score);
	mem_free(w->keys);
	mem_free(w->values);
	mem_free(w);
}
