/* SPDX-License-Identifier: ISC */
/*
 * GPT-2: x += attn(norm1 x); x += mlp(norm2 x), layer norms with bias, learned
 * positions, weights stored (in, out) as x W + b.
 */
#include "model/lm_int.h"

#include <stdio.h>

/* ---- config.json -------------------------------------------------------- */

/* transformers also takes the common name of what GPT-2 calls otherwise. */
static int
config_dim(const struct lm_config *c, const char *key, const char *common,
	uint32_t most, uint32_t *out, struct err *e)
{
	bool own = js_get(c->c, key) || !js_get(c->c, common);

	return lm_config_dim(c, own ? key : common, 0, most, out, e);
}

/* How each layer scales its scores. */
static int
configure_scales(struct lm *m, const struct lm_config *c, struct err *e)
{
	bool scaled, by_layer;
	int rc = js_opt_bool(c->doc, c->c, "scale_attn_weights", true, &scaled, e);

	if (rc == 0)
		rc = js_opt_bool(c->doc, c->c, "scale_attn_by_inverse_layer_idx", false,
			&by_layer, e);
	if (rc == 0)
		rc = lm_config_refuse(c, "add_cross_attention", e);
	if (rc == 0)
		rc = lm_config_heads(m, c, e);
	for (uint32_t i = 0; rc == 0 && i < m->info.n_layers; i++) {
		float scale = scaled ? m->layer[i].score_scale : 1.0f;

		m->layer[i].score_scale = by_layer ? scale / (float)(i + 1) : scale;
	}
	return rc;
}

static int
gpt2_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_info *n = &m->info;
	int rc = config_dim(c, "n_embd", "hidden_size", LM_DIM_MAX, &n->d_model, e);

	if (rc == 0)
		rc = config_dim(c, "n_layer", "num_hidden_layers", LM_LAYERS_MAX,
			&n->n_layers, e);
	if (rc == 0)
		rc = config_dim(c, "n_head", "num_attention_heads", LM_DIM_MAX,
			&n->n_heads, e);
	if (rc == 0)
		rc = config_dim(c, "n_positions", "max_position_embeddings", LM_DIM_MAX,
			&n->n_ctx, e);
	if (rc == 0)
		rc = lm_config_dim(c, "vocab_size", 0, 1u << 24, &n->n_vocab, e);
	if (rc == 0)
		rc = lm_config_dim(c, "n_inner", 4 * n->d_model, 4 * LM_DIM_MAX,
			&n->d_mlp, e);
	if (rc == 0)
		rc = lm_config_eps(c, "layer_norm_epsilon", 1e-5, &m->norm_eps, e);
	if (rc == 0)
		rc = lm_config_act(c, "activation_function", "gelu_new", &m->act, e);
	if (rc < 0)
		return rc;
	if (n->d_model % n->n_heads != 0)
		return err_set(e, ERR_FORMAT,
			"%s: n_embd (%u) is not a multiple of n_head (%u)",
			c->doc->name, n->d_model, n->n_heads);
	n->d_head = n->d_model / n->n_heads;
	n->n_kv_heads = n->n_heads;
	return configure_scales(m, c, e);
}

/* ---- weights ------------------------------------------------------------ */

static int
load_layer(struct lm *m, uint32_t i, struct err *e)
{
	struct lm_layer *y = &m->layer[i];
	size_t d = m->info.d_model, d_mlp = m->info.d_mlp;
	const struct lm_part parts[] = {
		{"ln_1", &y->norm1, NULL, {0}},
		{"attn.c_attn", NULL, &y->qkv, {d, 3 * d, true, true}},
		{"attn.c_proj", NULL, &y->out, {d, d, true, true}},
		{"ln_2", &y->norm2, NULL, {0}},
		{"mlp.c_fc", NULL, &y->up, {d, d_mlp, true, true}},
		{"mlp.c_proj", NULL, &y->down, {d_mlp, d, true, true}},
	};
	char at[32];

	snprintf(at, sizeof(at), "h.%u.", i);
	return lm_load_parts(m, at, parts, sizeof(parts) / sizeof(parts[0]), e);
}

static int
gpt2_load(struct lm *m, struct err *e)
{
	static const char *const prefixes[] = {"", "transformer.", NULL};
	static const struct lm_names names = {prefixes, "wte", "wpe", "h", "ln_1",
		"n_layer", "ln_f"};

	return lm_load_all(m, &names, load_layer, e);
}

const struct lm_family lm_gpt2 = {
	.kind = {"gpt2", "GPT-2", NULL},
	.tied = true,
	.configure = gpt2_configure,
	.load = gpt2_load,
};
