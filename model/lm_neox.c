/* SPDX-License-Identifier: ISC */
/*
 * GPT-NeoX and Pythia: layer norms, rotary positions for a part of each head,
 * and (by use_parallel_residual) x += attn(norm1 x) + mlp(norm2 x).
 */
#include "model/lm_int.h"

#include <stdio.h>

/* ---- config.json -------------------------------------------------------- */

static int
read_dims(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_info *n = &m->info;
	int rc = lm_config_stack(m, c, e);

	if (rc == 0)
		rc = lm_config_dim(c, "num_attention_heads", 0, LM_DIM_MAX, &n->n_heads,
			e);
	if (rc < 0)
		return rc;
	if (n->d_model % n->n_heads != 0)
		return err_set(e, ERR_FORMAT,
			"%s: hidden_size (%u) is not a multiple of "
			"num_attention_heads (%u)",
			c->doc->name, n->d_model, n->n_heads);
	n->d_head = n->d_model / n->n_heads;
	n->n_kv_heads = n->n_heads;
	return lm_config_heads(m, c, e);
}

static int
neox_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_rope_from from = {.theta_key = "rotary_emb_base",
		.theta = 10000,
		.partial_key = "rotary_pct",
		.partial = 0.25};
	int rc = read_dims(m, c, e);

	if (rc == 0)
		rc = lm_config_eps(c, "layer_norm_eps", 1e-5, &m->norm_eps, e);
	if (rc == 0)
		rc = lm_config_act(c, "hidden_act", "gelu", &m->act, e);
	if (rc == 0)
		rc = js_opt_bool(c->doc, c->c, "attention_bias", true, &m->has.qkv_bias,
			e);
	m->has.out_bias = m->has.qkv_bias;
	if (rc == 0)
		rc = lm_rope_params(c, &from.params, e);
	return rc == 0 ? lm_rope_init(&m->rope[0], m, c, &from, e) : rc;
}

/* ---- weights ------------------------------------------------------------ */

static int
load_layer(struct lm *m, uint32_t i, struct err *e)
{
	struct lm_layer *y = &m->layer[i];
	size_t d = m->info.d_model, d_mlp = m->info.d_mlp;
	const struct lm_part parts[] = {
		{"input_layernorm", &y->norm1, NULL, {0}},
		{"post_attention_layernorm", &y->norm2, NULL, {0}},
		{"attention.dense", NULL, &y->out, {d, d, m->has.out_bias, false}},
		{"mlp.dense_h_to_4h", NULL, &y->up, {d, d_mlp, true, false}},
		{"mlp.dense_4h_to_h", NULL, &y->down, {d_mlp, d, true, false}},
	};
	char at[32], name[64];
	int rc;

	snprintf(at, sizeof(at), "layers.%u.", i);
	snprintf(name, sizeof(name), "%sattention.query_key_value", at);
	rc = lm_load_qkv_by_head(m, name, &y->qkv, e);
	return rc == 0
		? lm_load_parts(m, at, parts, sizeof(parts) / sizeof(parts[0]), e)
		: rc;
}

static int
neox_load(struct lm *m, struct err *e)
{
	static const char *const prefixes[] = {"gpt_neox.", "", NULL};
	static const struct lm_names names = {prefixes, "embed_in", NULL, "layers",
		"input_layernorm", "num_hidden_layers", "final_layer_norm"};

	return lm_load_all(m, &names, load_layer, e);
}

const struct lm_family lm_neox = {
	.kind = {"gpt_neox", "GPT-NeoX, Pythia", "use_parallel_residual"},
	.configure = neox_configure,
	.load = neox_load,
};
