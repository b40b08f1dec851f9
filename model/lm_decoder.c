/* SPDX-License-Identifier: ISC */
/*
 * The layers of every family, driven by the model's traits:
 *   x += post1(attn(norm1 x)); x += post2(mlp(norm2 x))
 * or, in parallel, x += attn(norm1 x) + mlp(norm2 x); where the MLP is
 * down(act(up y)) or, gated, down(act(gate y) * up y).
 */
#include "model/lm_int.h"
#include "util/paged.h"

#include <string.h>

/* ---- rows ---------------------------------------------------------------- */

void
lm_norm_rows(const struct lm *m, const struct lm_norm *norm, float *y, const float *x,
	size_t n, size_t d)
{
	for (size_t i = 0; i < n; i++) {
		if (m->rms)
			kernel_rms_norm(y + i * d, x + i * d, norm->gain, m->norm_eps,
				d);
		else
			kernel_layer_norm(y + i * d, x + i * d, norm->gain, norm->bias,
				m->norm_eps, d);
	}
}

void
lm_cap(float *x, size_t n, float scale, float cap)
{
	for (size_t i = 0; i < n; i++)
		x[i] *= scale;
	if (cap == 0)
		return;
	for (size_t i = 0; i < n; i++)
		x[i] /= cap;
	kernel_tanh(x, x, n);
	for (size_t i = 0; i < n; i++)
		x[i] *= cap;
}

static void
add_rows(float *x, const float *add, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] += add[i];
}

static void
embed(const struct lm_pass *p)
{
	const struct lm *m = p->m;
	size_t d = m->info.d_model;

	for (size_t w = 0; w < p->n_windows; w++) {
		for (size_t t = p->window_start[w]; t < p->window_start[w + 1]; t++) {
			const float *a = m->embed.row + p->ids[t] * d;
			const float *b = m->position.row
				? m->position.row + (t - p->window_start[w]) * d
				: NULL;
			float *x = p->w->x + t * d;

			paged_touched(1);
			for (size_t i = 0; i < d; i++) {
				x[i] = m->embed_scale != 0 ? a[i] * m->embed_scale
							   : a[i];
				x[i] = b ? x[i] + b[i] : x[i];
			}
		}
	}
}

static size_t
rows_at(const struct lm_pass *p, size_t from)
{
	return p->n_tokens - from < LM_BLOCK_ROWS ? p->n_tokens - from : LM_BLOCK_ROWS;
}

/* ---- attention ----------------------------------------------------------- */

/* One head of one token. */
static void
turn(float *x, const float *cos_of, const float *sin_of, size_t half)
{
	for (size_t i = 0; i < half; i++) {
		float a = x[i], b = x[i + half];

		x[i] = a * cos_of[i] - b * sin_of[i];
		x[i + half] = b * cos_of[i] + a * sin_of[i];
	}
}

/* Queries and keys of one token at a position: normed, then turned. */
static void
place_token(const struct lm_pass *p, const struct lm_layer *y, float *qkv, size_t at)
{
	const struct lm *m = p->m;
	const struct lm_rope *r = &m->rope[y->rope];
	size_t d_head = m->info.d_head, half = r->n_rotary / 2;
	size_t n_heads = m->info.n_heads, n = n_heads + m->info.n_kv_heads;

	if (y->q_norm.gain) {
		lm_norm_rows(m, &y->q_norm, qkv, qkv, n_heads, d_head);
		lm_norm_rows(m, &y->k_norm, qkv + n_heads * d_head,
			qkv + n_heads * d_head, m->info.n_kv_heads, d_head);
	}
	for (size_t i = 0; half > 0 && i < n; i++)
		turn(qkv + i * d_head, p->w->cos[y->rope] + at * half,
			p->w->sin[y->rope] + at * half, half);
}

static void
project(const struct lm_pass *p, const struct lm_layer *y)
{
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model, d_qkv = lm_qkv_width(p->m), n;

	for (size_t t = 0; t < p->n_tokens; t += n) {
		n = rows_at(p, t);
		lm_norm_rows(p->m, &y->norm1, w->norm, w->x + t * d, n, d);
		kernel_gemm(w->qkv + t * d_qkv, d_qkv, w->norm, d, n, y->qkv.w,
			y->qkv.bias, false);
	}
	for (size_t i = 0; i < p->n_windows; i++)
		for (size_t t = p->window_start[i]; t < p->window_start[i + 1]; t++)
			place_token(p, y, w->qkv + t * d_qkv, t - p->window_start[i]);
}

/* What attention adds to rows [t, t + n), to w->attn. */
static void
attention_rows(const struct lm_pass *p, uint32_t layer, size_t t, size_t n)
{
	const struct lm_layer *y = &p->m->layer[layer];
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model, d_z = lm_z_width(p->m);

	kernel_gemm(w->attn, d, w->z + t * d_z, d_z, n, y->out.w, y->out.bias, false);
	lm_tap(p, HOOK_ATTN_MODULE, layer, w->attn, t, n);
	if (y->post1.gain)
		lm_norm_rows(p->m, &y->post1, w->attn, w->attn, n, d);
	lm_tap(p, HOOK_ATTN_OUT, layer, w->attn, t, n);
}

bool
lm_has_directions(const struct lm *m, const struct hook *h)
{
	return h->site != HOOK_Z || lm_can_run(m);
}

void
lm_directions(const struct lm *m, const struct hook *h, const float *rows, size_t n,
	float *out)
{
	size_t d = m->info.d_model, d_z = lm_z_width(m);

	if (h->site == HOOK_Z)
		kernel_gemm(out, d, rows, d_z, n, m->layer[h->layer].out.w, NULL,
			false);
	else
		memcpy(out, rows, n * d * sizeof(*out));
}

/* ---- MLP ----------------------------------------------------------------- */

static void
activate(const struct lm *m, float *x, size_t n)
{
	switch (m->act) {
	case LM_GELU_TANH:
		kernel_gelu_tanh(x, x, n);
		break;
	case LM_GELU:
		kernel_gelu(x, x, n);
		break;
	case LM_SILU:
		kernel_silu(x, x, n);
		break;
	}
}

/* From w->norm to w->mid. */
static void
mlp_inside(const struct lm_pass *p, const struct lm_layer *y, size_t n)
{
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model, d_mlp = p->m->info.d_mlp;

	kernel_gemm(w->mid, d_mlp, w->norm, d, n, y->up.w, y->up.bias, false);
	if (!y->gate.w) {
		activate(p->m, w->mid, n * d_mlp);
		return;
	}
	kernel_gemm(w->gate, d_mlp, w->norm, d, n, y->gate.w, y->gate.bias, false);
	activate(p->m, w->gate, n * d_mlp);
	for (size_t i = 0; i < n * d_mlp; i++)
		w->mid[i] *= w->gate[i];
}

/* What the MLP reads of rows [t, t + n), to w->norm. */
static void
mlp_before(const struct lm_pass *p, uint32_t layer, size_t t, size_t n)
{
	static const struct lm_norm bare = {0};
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model;
	const float *x = w->x + t * d;

	lm_tap(p, HOOK_MLP_IN, layer, x, t, n);
	if (lm_wants(p, HOOK_MLP_NORMALIZED, layer)) {
		lm_norm_rows(p->m, &bare, w->norm, x, n, d);
		lm_tap(p, HOOK_MLP_NORMALIZED, layer, w->norm, t, n);
	}
	lm_norm_rows(p->m, &p->m->layer[layer].norm2, w->norm, x, n, d);
	lm_tap(p, HOOK_MLP_INPUT, layer, w->norm, t, n);
}

/* What it adds to them, to w->mlp. */
static void
mlp_rows(const struct lm_pass *p, uint32_t layer, size_t t, size_t n)
{
	const struct lm_layer *y = &p->m->layer[layer];
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model;

	mlp_inside(p, y, n);
	kernel_gemm(w->mlp, d, w->mid, p->m->info.d_mlp, n, y->down.w, y->down.bias,
		false);
	lm_tap(p, HOOK_MLP_MODULE, layer, w->mlp, t, n);
	if (y->post2.gain)
		lm_norm_rows(p->m, &y->post2, w->mlp, w->mlp, n, d);
	lm_tap(p, HOOK_MLP_OUT, layer, w->mlp, t, n);
}

/* ---- layers -------------------------------------------------------------- */

/* Rows [t, t + n) from attention's heads to the end of the layer. */
static void
finish_rows(const struct lm_pass *p, uint32_t layer, size_t t, size_t n)
{
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model;
	float *x = w->x + t * d;

	if (!lm_wants_depth(p, layer, 2))
		return;
	attention_rows(p, layer, t, n);
	if (!p->m->parallel) {
		add_rows(x, w->attn, n * d);
		lm_tap(p, HOOK_RESID_MID, layer, x, t, n);
	}
	if (!lm_wants_depth(p, layer, 3))
		return;
	mlp_before(p, layer, t, n);
	if (!lm_wants_depth(p, layer, 4))
		return;
	mlp_rows(p, layer, t, n);
	if (p->m->parallel)
		add_rows(w->mlp, w->attn, n * d);
	add_rows(x, w->mlp, n * d);
	lm_tap(p, HOOK_RESID_POST, layer, x, t, n);
}

int
lm_decode(const struct lm_pass *p, struct err *e)
{
	size_t n, d_z = lm_z_width(p->m);
	int rc = 0;

	embed(p);
	for (uint32_t i = 0; rc == 0 && i < p->m->info.n_layers; i++) {
		lm_tap(p, HOOK_RESID_PRE, i, p->w->x, 0, p->n_tokens);
		if (!lm_wants_depth(p, i, 1))
			break;
		project(p, &p->m->layer[i]);
		rc = lm_attend(p, &p->m->layer[i], e);
		for (size_t t = 0; rc == 0 && t < p->n_tokens; t += n) {
			n = rows_at(p, t);
			lm_tap(p, HOOK_Z, i, p->w->z + t * d_z, t, n);
			finish_rows(p, i, t, n);
		}
	}
	return rc;
}
