/* SPDX-License-Identifier: ISC */
/*
 * GPT-2: x += attn(norm1 x); x += mlp(norm2 x), layer norms with bias, learned
 * positions, weights stored (in, out) as x W + b.
 */
#include "model/lm_int.h"
#include "util/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIM_MAX (1u << 20)
#define LAYERS_MAX 4096

/* ---- config.json -------------------------------------------------------- */

/* transformers also takes the common name of what GPT-2 calls otherwise. */
static int
config_dim(const struct js_doc *c, const char *key, const char *common, uint32_t most,
	uint32_t *out, struct err *e)
{
	const char *use =
		js_get(c->root, key) || !js_get(c->root, common) ? key : common;
	int rc = js_need_u32(c, c->root, use, out, e);

	if (rc == 0 && (*out < 1 || *out > most))
		rc = err_set(e, ERR_FORMAT,
			"%s: \"%s\" must lie between 1 and %u, not %u", c->name, use,
			most, *out);
	return rc;
}

static int
check_activation(const struct js_doc *c, struct err *e)
{
	static const char *const same[] = {"gelu_new", "gelu_pytorch_tanh",
		"gelu_fast"};
	char name[64];
	int rc = js_opt_str(c, c->root, "activation_function", "gelu_new", name,
		sizeof(name), e);

	for (size_t i = 0; rc == 0 && i < sizeof(same) / sizeof(same[0]); i++) {
		if (strcmp(name, same[i]) == 0)
			return 0;
	}
	return rc < 0
		? rc
		: err_set(e, ERR_UNSUPPORTED,
			  "%s: activation_function \"%s\" is not supported (gelu_new "
			  "is)",
			  c->name, name);
}

/* How each layer scales its scores. */
static int
configure_scales(struct lm *m, const struct js_doc *c, struct err *e)
{
	bool scaled, by_layer, cross;
	int rc = js_opt_bool(c, c->root, "scale_attn_weights", true, &scaled, e);

	if (rc == 0)
		rc = js_opt_bool(c, c->root, "scale_attn_by_inverse_layer_idx", false,
			&by_layer, e);
	if (rc == 0)
		rc = js_opt_bool(c, c->root, "add_cross_attention", false, &cross, e);
	if (rc == 0 && cross)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: add_cross_attention is not supported", c->name);
	if (rc < 0)
		return rc;
	m->layer = mem_new(m->info.n_layers, sizeof(*m->layer));
	if (!m->layer)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", c->name);
	for (uint32_t i = 0; i < m->info.n_layers; i++) {
		float scale = scaled ? 1.0f / sqrtf((float)m->info.d_head) : 1.0f;

		m->layer[i].score_scale = by_layer ? scale / (float)(i + 1) : scale;
	}
	return 0;
}

static int
gpt2_configure(struct lm *m, const struct js_doc *c, struct err *e)
{
	struct lm_info *n = &m->info;
	double eps;
	int rc = config_dim(c, "n_embd", "hidden_size", DIM_MAX, &n->d_model, e);

	if (rc == 0)
		rc = config_dim(c, "n_layer", "num_hidden_layers", LAYERS_MAX,
			&n->n_layers, e);
	if (rc == 0)
		rc = config_dim(c, "n_head", "num_attention_heads", DIM_MAX,
			&n->n_heads, e);
	if (rc == 0)
		rc = config_dim(c, "n_positions", "max_position_embeddings", DIM_MAX,
			&n->n_ctx, e);
	if (rc == 0)
		rc = config_dim(c, "vocab_size", "vocab_size", 1u << 24, &n->n_vocab,
			e);
	if (rc == 0)
		rc = js_opt_u32(c, c->root, "n_inner", 4 * n->d_model, &n->d_mlp, e);
	if (rc == 0)
		rc = js_opt_f64(c, c->root, "layer_norm_epsilon", 1e-5, &eps, e);
	if (rc == 0)
		rc = check_activation(c, e);
	if (rc < 0)
		return rc;
	if (n->d_mlp < 1 || n->d_mlp > 4 * DIM_MAX || !(eps >= 0 && eps < 1))
		return err_set(e, ERR_FORMAT,
			"%s: n_inner (%u) or layer_norm_epsilon (%g) is out of range",
			c->name, n->d_mlp, eps);
	if (n->d_model % n->n_heads != 0)
		return err_set(e, ERR_FORMAT,
			"%s: n_embd (%u) is not a multiple of n_head (%u)", c->name,
			n->d_model, n->n_heads);
	n->d_head = n->d_model / n->n_heads;
	m->norm_eps = (float)eps;
	return configure_scales(m, c, e);
}

/* ---- weights ------------------------------------------------------------ */

static int
load_norm(struct lm *m, const char *name, struct lm_norm *norm, struct err *e)
{
	char full[128];
	int rc;

	snprintf(full, sizeof(full), "%s.weight", name);
	rc = lm_floats(m, full, m->info.d_model, 0, &norm->gain, e);
	snprintf(full, sizeof(full), "%s.bias", name);
	return rc == 0 ? lm_floats(m, full, m->info.d_model, 0, &norm->bias, e) : rc;
}

static int
load_linear(struct lm *m, const char *name, size_t n_in, size_t n_out,
	struct lm_linear *l, struct err *e)
{
	float *w = NULL;
	char full[128];
	int rc;

	snprintf(full, sizeof(full), "%s.weight", name);
	rc = lm_floats(m, full, n_in, n_out, &w, e);
	if (rc == 0)
		rc = kernel_pack(&l->w, w, n_in, n_out, n_out, 1, e);
	mem_free(w);
	snprintf(full, sizeof(full), "%s.bias", name);
	return rc == 0 ? lm_floats(m, full, n_out, 0, &l->bias, e) : rc;
}

static int
load_layer(struct lm *m, uint32_t i, struct err *e)
{
	struct lm_layer *y = &m->layer[i];
	size_t d = m->info.d_model, d_mlp = m->info.d_mlp;
	const struct {
		const char *name;
		struct lm_norm *norm;
		struct lm_linear *linear;
		size_t n_in, n_out;
	} parts[] = {
		{"ln_1", &y->norm1, NULL, 0, 0},
		{"attn.c_attn", NULL, &y->qkv, d, 3 * d},
		{"attn.c_proj", NULL, &y->out, d, d},
		{"ln_2", &y->norm2, NULL, 0, 0},
		{"mlp.c_fc", NULL, &y->up, d, d_mlp},
		{"mlp.c_proj", NULL, &y->down, d_mlp, d},
	};
	char name[96];
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < sizeof(parts) / sizeof(parts[0]); k++) {
		snprintf(name, sizeof(name), "h.%u.%s", i, parts[k].name);
		rc = parts[k].norm ? load_norm(m, name, parts[k].norm, e)
				   : load_linear(m, name, parts[k].n_in, parts[k].n_out,
					     parts[k].linear, e);
	}
	return rc;
}

static int
gpt2_load(struct lm *m, struct err *e)
{
	const struct lm_info *n = &m->info;
	char beyond[64];
	int rc;

	m->prefix = tensors_find(m->tensors, "transformer.wte.weight") ? "transformer."
								       : "";
	snprintf(beyond, sizeof(beyond), "h.%u.ln_1.weight", n->n_layers);
	if (lm_tensor(m, beyond))
		return err_set(e, ERR_MISMATCH,
			"%s: has tensor %s, but config.json says n_layer is %u",
			tensors_path(m->tensors), beyond, n->n_layers);
	rc = lm_floats(m, "wte.weight", n->n_vocab, n->d_model, &m->embed, e);
	if (rc == 0)
		rc = lm_floats(m, "wpe.weight", n->n_ctx, n->d_model, &m->position, e);
	for (uint32_t i = 0; rc == 0 && i < n->n_layers; i++)
		rc = load_layer(m, i, e);
	return rc == 0 ? load_norm(m, "ln_f", &m->final, e) : rc;
}

/* ---- forward ------------------------------------------------------------ */

static void
norm_rows(const struct lm *m, const struct lm_norm *norm, float *y, const float *x,
	size_t n)
{
	size_t d = m->info.d_model;

	for (size_t i = 0; i < n; i++)
		kernel_layer_norm(y + i * d, x + i * d, norm->gain, norm->bias,
			m->norm_eps, d);
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
			const float *a = m->embed + p->ids[t] * d;
			const float *b = m->position + (t - p->window_start[w]) * d;

			for (size_t i = 0; i < d; i++)
				p->w->x[t * d + i] = a[i] + b[i];
		}
	}
}

static size_t
rows_at(const struct lm_pass *p, size_t from)
{
	return p->n_tokens - from < LM_BLOCK_ROWS ? p->n_tokens - from : LM_BLOCK_ROWS;
}

static int
attention(const struct lm_pass *p, uint32_t layer, struct err *e)
{
	const struct lm_layer *y = &p->m->layer[layer];
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model, n;
	int rc;

	for (size_t t = 0; t < p->n_tokens; t += n) {
		n = rows_at(p, t);
		norm_rows(p->m, &y->norm1, w->norm, w->x + t * d, n);
		kernel_gemm(w->qkv + t * 3 * d, 3 * d, w->norm, d, n, y->qkv.w,
			y->qkv.bias, false);
	}
	rc = lm_attend(p, y->score_scale, e);
	for (size_t t = 0; rc == 0 && t < p->n_tokens; t += n) {
		n = rows_at(p, t);
		kernel_gemm(w->add, d, w->z + t * d, d, n, y->out.w, y->out.bias,
			false);
		lm_tap(p, HOOK_ATTN_OUT, layer, w->add, t, n);
		add_rows(w->x + t * d, w->add, n * d);
		lm_tap(p, HOOK_RESID_MID, layer, w->x + t * d, t, n);
	}
	return rc;
}

static void
mlp(const struct lm_pass *p, uint32_t layer)
{
	const struct lm_layer *y = &p->m->layer[layer];
	struct lm_work *w = p->w;
	size_t d = p->m->info.d_model, d_mlp = p->m->info.d_mlp, n;

	for (size_t t = 0; t < p->n_tokens; t += n) {
		n = rows_at(p, t);
		norm_rows(p->m, &y->norm2, w->norm, w->x + t * d, n);
		kernel_gemm(w->mid, d_mlp, w->norm, d, n, y->up.w, y->up.bias, false);
		kernel_gelu_tanh(w->mid, w->mid, n * d_mlp);
		kernel_gemm(w->add, d, w->mid, d_mlp, n, y->down.w, y->down.bias,
			false);
		lm_tap(p, HOOK_MLP_OUT, layer, w->add, t, n);
		add_rows(w->x + t * d, w->add, n * d);
		lm_tap(p, HOOK_RESID_POST, layer, w->x + t * d, t, n);
	}
}

/* How far into a layer a site lies: before it, behind attention, behind the MLP. */
static const int depth_of[] = {
	[HOOK_RESID_PRE] = 0,
	[HOOK_ATTN_OUT] = 1,
	[HOOK_RESID_MID] = 1,
	[HOOK_MLP_OUT] = 2,
	[HOOK_RESID_POST] = 2,
};

/* Is there a hook that deep in this layer, or in a later one? */
static bool
wants_depth(const struct lm_pass *p, uint32_t layer, int depth)
{
	for (size_t i = 0; i < p->n_hooks; i++) {
		const struct hook *h = &p->hooks[i];

		if (h->layer > layer ||
			(h->layer == layer && depth_of[h->site] >= depth))
			return true;
	}
	return false;
}

static int
gpt2_forward(const struct lm_pass *p, struct err *e)
{
	int rc = 0;

	embed(p);
	for (uint32_t i = 0; i < p->m->info.n_layers; i++) {
		lm_tap(p, HOOK_RESID_PRE, i, p->w->x, 0, p->n_tokens);
		if (!wants_depth(p, i, 1))
			break;
		rc = attention(p, i, e);
		if (rc < 0 || !wants_depth(p, i, 2))
			break;
		mlp(p, i);
	}
	return rc;
}

const struct lm_family lm_gpt2 = {
	.model_type = "gpt2",
	.configure = gpt2_configure,
	.load = gpt2_load,
	.forward = gpt2_forward,
};
