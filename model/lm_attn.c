/* SPDX-License-Identifier: ISC */
#include "model/lm_int.h"

#include <string.h>

/* One head of one window. Keys and values are packed in blocks of
 * LM_BLOCK_KEYS tokens, counted from the start of the window, so that the bits
 * of a token depend on the tokens before it and on nothing else. */
struct head {
	const struct lm *m;
	struct lm_work *w;
	const float *q, *k, *v; /* (n, d_head) each, row stride 3 d_model */
	float *z; /* (n, d_head), row stride d_model */
	size_t n;
	float scale;
};

static size_t
block_size(const struct head *h, size_t first)
{
	return h->n - first < LM_BLOCK_KEYS ? h->n - first : LM_BLOCK_KEYS;
}

static int
pack_block(const struct head *h, size_t first, struct err *e)
{
	size_t b = first / LM_BLOCK_KEYS, n = block_size(h, first);
	size_t stride = 3 * (size_t)h->m->info.d_model, d_head = h->m->info.d_head;
	int rc;

	rc = kernel_pack(&h->w->keys[b], h->k + first * stride, d_head, n, 1, stride,
		e);
	if (rc == 0)
		rc = kernel_pack(&h->w->values[b], h->v + first * stride, n, d_head,
			stride, 1, e);
	return rc;
}

/* softmax(scale q k^T) over the tokens up to each query, zeros behind. */
static void
weights_block(const struct head *h, size_t first, size_t n)
{
	size_t ld = h->m->info.n_ctx, stride = 3 * (size_t)h->m->info.d_model;
	float *score = h->w->score;

	for (size_t key = 0; key < first + n; key += LM_BLOCK_KEYS)
		kernel_gemm(score + key, ld, h->q + first * stride, stride, n,
			h->w->keys[key / LM_BLOCK_KEYS], NULL, false);
	for (size_t i = 0; i < n; i++) {
		float *row = score + i * ld;
		size_t n_seen = first + i + 1;

		for (size_t j = 0; j < n_seen; j++)
			row[j] *= h->scale;
		kernel_softmax(row, n_seen);
		memset(row + n_seen, 0, (first + n - n_seen) * sizeof(*row));
	}
}

static void
attend_block(const struct head *h, size_t first)
{
	size_t n = block_size(h, first), ld = h->m->info.n_ctx;
	size_t d_model = h->m->info.d_model;

	weights_block(h, first, n);
	for (size_t key = 0; key < first + n; key += LM_BLOCK_KEYS)
		kernel_gemm(h->z + first * d_model, d_model, h->w->score + key, ld, n,
			h->w->values[key / LM_BLOCK_KEYS], NULL, key > 0);
}

static int
attend_head(const struct head *h, struct err *e)
{
	size_t n_blocks = (h->n + LM_BLOCK_KEYS - 1) / LM_BLOCK_KEYS;
	int rc = 0;

	for (size_t first = 0; rc == 0 && first < h->n; first += LM_BLOCK_KEYS) {
		rc = pack_block(h, first, e);
		if (rc == 0)
			attend_block(h, first);
	}
	for (size_t b = 0; b < n_blocks; b++) {
		kernel_packed_free(h->w->keys[b]);
		kernel_packed_free(h->w->values[b]);
		h->w->keys[b] = h->w->values[b] = NULL;
	}
	return rc;
}

int
lm_attend(const struct lm_pass *p, float score_scale, struct err *e)
{
	size_t d = p->m->info.d_model, d_head = p->m->info.d_head;
	struct head h = {.m = p->m, .w = p->w, .scale = score_scale};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->n_windows; i++) {
		size_t from = p->window_start[i];
		const float *row = p->w->qkv + from * 3 * d;

		h.n = p->window_start[i + 1] - from;
		for (size_t head = 0; rc == 0 && head < p->m->info.n_heads; head++) {
			h.q = row + head * d_head;
			h.k = h.q + d;
			h.v = h.k + d;
			h.z = p->w->z + from * d + head * d_head;
			rc = attend_head(&h, e);
		}
	}
	return rc;
}
