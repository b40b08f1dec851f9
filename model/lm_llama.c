/* SPDX-License-Identifier: ISC */
/*
 * Llama 2 and 3: RMS norms, rotary positions, grouped queries, a gated MLP. And
 * those that differ from it in little: Mistral (all layers may have a window),
 * Qwen2 (biases at q, k and v; the later layers may have a window), Qwen3 (norms
 * of each query and key instead).
 */
#include "model/lm_int.h"

#include <stdio.h>

/* ---- config.json -------------------------------------------------------- */

/* default_head 0: d_model / n_heads. */
static int
read_heads(struct lm *m, const struct lm_config *c, uint32_t default_head,
	struct err *e)
{
	struct lm_info *n = &m->info;
	bool divides = true;
	int rc = lm_config_dim(c, "num_attention_heads", 0, LM_DIM_MAX, &n->n_heads, e);

	if (rc == 0)
		rc = lm_config_dim(c, "num_key_value_heads", n->n_heads, LM_DIM_MAX,
			&n->n_kv_heads, e);
	if (rc == 0 && default_head == 0) {
		divides = n->d_model % n->n_heads == 0;
		default_head = n->d_model / n->n_heads;
	}
	if (rc == 0)
		rc = lm_config_dim(c, "head_dim", default_head ? default_head : 1,
			LM_DIM_MAX, &n->d_head, e);
	if (rc == 0 && !divides && js_type(js_get(c->c, "head_dim")) != JS_INT)
		rc = err_set(e, ERR_FORMAT,
			"%s: hidden_size (%u) is not a multiple of "
			"num_attention_heads (%u), and there is no head_dim",
			c->doc->name, n->d_model, n->n_heads);
	return rc == 0 ? lm_config_heads(m, c, e) : rc;
}

static int
configure(struct lm *m, const struct lm_config *c, uint32_t default_head, struct err *e)
{
	int rc = lm_config_stack(m, c, e);

	m->rms = true;
	if (rc == 0)
		rc = read_heads(m, c, default_head, e);
	if (rc == 0)
		rc = lm_config_eps(c, "rms_norm_eps", 1e-6, &m->norm_eps, e);
	if (rc == 0)
		rc = lm_config_act(c, "hidden_act", "silu", &m->act, e);
	return rc == 0 ? lm_rope_plain(m, c, e) : rc;
}

static int
llama_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	int rc = configure(m, c, 0, e);

	if (rc == 0)
		rc = js_opt_bool(c->doc, c->c, "attention_bias", false,
			&m->has.qkv_bias, e);
	m->has.out_bias = m->has.qkv_bias;
	if (rc == 0)
		rc = js_opt_bool(c->doc, c->c, "mlp_bias", false, &m->has.mlp_bias, e);
	return rc;
}

static bool
slides_always(uint32_t layer, uint32_t arg)
{
	(void)layer;
	(void)arg;
	return true;
}

static bool
slides_never(uint32_t layer, uint32_t arg)
{
	(void)layer;
	(void)arg;
	return false;
}

static bool
slides_from(uint32_t layer, uint32_t first)
{
	return layer >= first;
}

/* No "sliding_window" is one of 4,096 tokens, null is none. */
static int
mistral_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	bool none = js_type(js_get(c->c, "sliding_window")) == JS_NULL;
	enum js_type listed = js_type(js_get(c->c, "layer_types"));
	uint32_t window;
	int rc = configure(m, c, 0, e);

	if (rc == 0)
		rc = lm_config_dim(c, "sliding_window", 4096, UINT32_MAX, &window, e);
	if (rc == 0 && listed != JS_ABSENT && listed != JS_NULL)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: layer_types is not supported for this family, whose "
			"layers are all alike",
			c->doc->name);
	if (rc < 0)
		return rc;
	return lm_config_windows(m, c, none ? 0 : window,
		none ? slides_never : slides_always, 0, e);
}

static int
qwen_windows(struct lm *m, const struct lm_config *c, struct err *e)
{
	uint32_t window = 0, first = 0;
	bool use;
	int rc = js_opt_bool(c->doc, c->c, "use_sliding_window", false, &use, e);

	if (rc == 0 && use)
		rc = lm_config_dim(c, "sliding_window", 4096, UINT32_MAX, &window, e);
	if (rc == 0 && use)
		rc = js_opt_u32(c->doc, c->c, "max_window_layers", 28, &first, e);
	return rc == 0 ? lm_config_windows(m, c, window,
				 use ? slides_from : slides_never, first, e)
		       : rc;
}

static int
qwen2_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	int rc = configure(m, c, 0, e);

	m->has.qkv_bias = true;
	return rc == 0 ? qwen_windows(m, c, e) : rc;
}

static int
qwen3_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	int rc = configure(m, c, 128, e);

	m->has.qk_norm = true;
	if (rc == 0)
		rc = js_opt_bool(c->doc, c->c, "attention_bias", false,
			&m->has.qkv_bias, e);
	m->has.out_bias = m->has.qkv_bias;
	return rc == 0 ? qwen_windows(m, c, e) : rc;
}

/* ---- weights ------------------------------------------------------------ */

/* The norms that the model has, by the names that they have in it. */
static int
load_norms(struct lm *m, const char *at, struct lm_layer *y, struct err *e)
{
	bool post = m->has.post_norms, qk = m->has.qk_norm;
	size_t d = m->info.d_model, d_head = m->info.d_head;
	const struct {
		const char *name; /* NULL: not in this model */
		struct lm_norm *norm;
		size_t n;
	} norms[] = {
		{"input_layernorm", &y->norm1, d},
		{"post_attention_layernorm", post ? &y->post1 : &y->norm2, d},
		{post ? "pre_feedforward_layernorm" : NULL, &y->norm2, d},
		{post ? "post_feedforward_layernorm" : NULL, &y->post2, d},
		{qk ? "self_attn.q_norm" : NULL, &y->q_norm, d_head},
		{qk ? "self_attn.k_norm" : NULL, &y->k_norm, d_head},
	};
	char name[96];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(norms) / sizeof(norms[0]); i++) {
		if (!norms[i].name)
			continue;
		snprintf(name, sizeof(name), "%s%s", at, norms[i].name);
		rc = lm_load_norm(m, name, norms[i].n, norms[i].norm, e);
	}
	return rc;
}

static int
load_layer(struct lm *m, uint32_t i, struct err *e)
{
	static const char *const qkv[3] = {"self_attn.q_proj", "self_attn.k_proj",
		"self_attn.v_proj"};
	struct lm_layer *y = &m->layer[i];
	size_t d = m->info.d_model, d_mlp = m->info.d_mlp;
	const struct lm_part parts[] = {
		{"self_attn.o_proj", NULL, &y->out,
			{lm_z_width(m), d, m->has.out_bias, false}},
		{"mlp.gate_proj", NULL, &y->gate, {d, d_mlp, m->has.mlp_bias, false}},
		{"mlp.up_proj", NULL, &y->up, {d, d_mlp, m->has.mlp_bias, false}},
		{"mlp.down_proj", NULL, &y->down, {d_mlp, d, m->has.mlp_bias, false}},
	};
	char at[32];
	int rc;

	snprintf(at, sizeof(at), "layers.%u.", i);
	rc = load_norms(m, at, y, e);
	if (rc == 0)
		rc = lm_load_qkv(m, at, qkv, &y->qkv, e);
	return rc == 0
		? lm_load_parts(m, at, parts, sizeof(parts) / sizeof(parts[0]), e)
		: rc;
}

int
lm_llama_load(struct lm *m, struct err *e)
{
	static const char *const prefixes[] = {"model.", "", "language_model.model.",
		"model.language_model.", NULL};
	static const struct lm_names names = {prefixes, "embed_tokens", NULL, "layers",
		"input_layernorm", "num_hidden_layers", "norm"};

	return lm_load_all(m, &names, load_layer, e);
}

const struct lm_family lm_llama = {
	.kind = {"llama", "Llama 2 and 3", NULL},
	.configure = llama_configure,
	.load = lm_llama_load,
};

const struct lm_family lm_mistral = {
	.kind = {"mistral", "Mistral", NULL},
	.configure = mistral_configure,
	.load = lm_llama_load,
};

const struct lm_family lm_qwen2 = {
	.kind = {"qwen2", "Qwen2 and 3", NULL},
	.configure = qwen2_configure,
	.load = lm_llama_load,
};

const struct lm_family lm_qwen3 = {
	.kind = {"qwen3", "Qwen2 and 3", NULL},
	.configure = qwen3_configure,
	.load = lm_llama_load,
};
