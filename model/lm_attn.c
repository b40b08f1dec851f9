/* SPDX-License-Identifier: ISC */
#include "model/lm_int.h"

#include <string.h>

/* One group of one window: the query heads that share a key and value head.
 * Keys and values are packed in blocks of LM_BLOCK_KEYS tokens, counted from
 * the start of the window, so that the bits of a token depend on the tokens
 * before it and on nothing else. */
struct group {
	const struct lm_pass *p;
	const struct lm_layer *layer;
	const float *q; /* (n, n_queries, d_head), row stride d_qkv */
	const float *k, *v; /* (n, d_head) each, row stride d_qkv */
	float *z; /* (n, n_queries, d_head), row stride d_z */
	size_t n, n_queries, d_head, d_qkv, d_z;
};

static size_t
block_size(const struct group *g, size_t first)
{
	return g->n - first < LM_BLOCK_KEYS ? g->n - first : LM_BLOCK_KEYS;
}

static int
pack_block(const struct group *g, size_t first, struct err *e)
{
	struct lm_work *w = g->p->w;
	size_t b = first / LM_BLOCK_KEYS, n = block_size(g, first), d = g->d_qkv;
	int rc;

	rc = kernel_pack(&w->keys[b], g->k + first * d, g->d_head, n, 1, d, e);
	if (rc == 0)
		rc = kernel_pack(&w->values[b], g->v + first * d, n, g->d_head, d, 1,
			e);
	return rc;
}

static void
free_block(const struct group *g, size_t b)
{
	struct lm_work *w = g->p->w;

	kernel_packed_free(w->keys[b]);
	kernel_packed_free(w->values[b]);
	w->keys[b] = w->values[b] = NULL;
}

/* The first token that a query sees. */
static size_t
first_seen(const struct group *g, size_t query)
{
	size_t window = g->layer->window;

	return window > 0 && query >= window ? query + 1 - window : 0;
}

/* softmax(scale q k^T) over the tokens that each query sees, zeros beside. */
static void
weights_block(const struct group *g, const float *q, size_t first, size_t n)
{
	struct lm_work *w = g->p->w;
	size_t from = first_seen(g, first) / LM_BLOCK_KEYS * LM_BLOCK_KEYS;

	for (size_t key = from; key < first + n; key += LM_BLOCK_KEYS)
		kernel_gemm(w->score + key, w->span, q + first * g->d_qkv, g->d_qkv, n,
			w->keys[key / LM_BLOCK_KEYS], NULL, false);
	for (size_t i = 0; i < n; i++) {
		float *row = w->score + i * w->span;
		size_t low = first_seen(g, first + i), end = first + i + 1;

		lm_cap(row + low, end - low, g->layer->score_scale, g->p->m->score_cap);
		kernel_softmax(row + low, end - low);
		memset(row + from, 0, (low - from) * sizeof(*row));
		memset(row + end, 0, (first + n - end) * sizeof(*row));
	}
}

/* One query head: number `head` of its group. */
static void
attend_block(const struct group *g, size_t head, size_t first)
{
	struct lm_work *w = g->p->w;
	size_t n = block_size(g, first);
	size_t from = first_seen(g, first) / LM_BLOCK_KEYS * LM_BLOCK_KEYS;
	float *z = g->z + head * g->d_head + first * g->d_z;

	weights_block(g, g->q + head * g->d_head, first, n);
	for (size_t key = from; key < first + n; key += LM_BLOCK_KEYS)
		kernel_gemm(z, g->d_z, w->score + key, w->span, n,
			w->values[key / LM_BLOCK_KEYS], NULL, key > from);
}

static int
attend_group(const struct group *g, struct err *e)
{
	size_t n_blocks = (g->n + LM_BLOCK_KEYS - 1) / LM_BLOCK_KEYS;
	int rc = 0;

	for (size_t first = 0; rc == 0 && first < g->n; first += LM_BLOCK_KEYS) {
		rc = pack_block(g, first, e);
		for (size_t head = 0; rc == 0 && head < g->n_queries; head++)
			attend_block(g, head, first);
	}
	for (size_t b = 0; b < n_blocks; b++)
		free_block(g, b);
	return rc;
}

int
lm_attend(const struct lm_pass *p, const struct lm_layer *y, struct err *e)
{
	const struct lm_info *m = &p->m->info;
	size_t d = m->d_head, n_kv = m->n_kv_heads, n_queries = m->n_heads / n_kv;
	struct group g = {.p = p,
		.layer = y,
		.n_queries = n_queries,
		.d_head = d,
		.d_qkv = lm_qkv_width(p->m),
		.d_z = lm_z_width(p->m)};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->n_windows; i++) {
		size_t from = p->window_start[i];
		const float *row = p->w->qkv + from * g.d_qkv;

		g.n = p->window_start[i + 1] - from;
		for (size_t kv = 0; rc == 0 && kv < n_kv; kv++) {
			g.q = row + kv * n_queries * d;
			g.k = row + m->n_heads * d + kv * d;
			g.v = g.k + n_kv * d;
			g.z = p->w->z + from * g.d_z + kv * n_queries * d;
			rc = attend_group(&g, e);
		}
	}
	return rc;
}
