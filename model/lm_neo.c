/* SPDX-License-Identifier: ISC */
/*
 * GPT-Neo and TinyStories: as GPT-2, with scores that are not scaled, no biases
 * at q, k and v, weights stored (out, in), and windows in "local" layers.
 */
#include "model/lm_int.h"

#include <stdio.h>
#include <string.h>

/* ---- config.json -------------------------------------------------------- */

/* One of the two types of attention. */
static int
layer_type(struct lm *m, const struct lm_config *c, const struct js *type,
	uint32_t layer, uint32_t window, struct err *e)
{
	const char *s = js_str(type, NULL);

	if (!s || (strcmp(s, "local") != 0 && strcmp(s, "global") != 0))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: attention_types: \"%.60s\" is not supported (\"global\" "
			"and \"local\" are)",
			c->doc->name, s ? s : "(not a string)");
	if (layer < m->info.n_layers && *s == 'l')
		m->layer[layer].window = window;
	return 0;
}

/* [[types, times], ...]: from *layer on, until there are more than the layers. */
static int
repeat(struct lm *m, const struct lm_config *c, const struct js *item, uint32_t *layer,
	uint32_t window, struct err *e)
{
	const struct js *types = js_at(item, 0);
	uint64_t times;
	int rc = 0;

	if (js_n(item) != 2 || js_type(types) != JS_ARRAY || js_n(types) == 0 ||
		!js_u64(js_at(item, 1), &times))
		return err_set(e, ERR_FORMAT,
			"%s: \"attention_types\" must be pairs of a list of types and "
			"how often it is repeated",
			c->doc->name);
	for (; rc == 0 && times > 0 && *layer <= m->info.n_layers; times--)
		for (size_t i = 0; rc == 0 && i < js_n(types); i++)
			rc = layer_type(m, c, js_at(types, i), (*layer)++, window, e);
	return rc;
}

static int
read_types(struct lm *m, const struct lm_config *c, uint32_t window, struct err *e)
{
	const struct js *types = js_get(c->c, "attention_types");
	uint32_t n = 0;
	int rc = 0;

	if (js_type(types) != JS_ARRAY)
		return err_set(e, ERR_FORMAT,
			"%s: \"attention_types\" must be an array, as in "
			"[[[\"global\", "
			"\"local\"], 6]]",
			c->doc->name);
	for (size_t i = 0; rc == 0 && i < js_n(types); i++)
		rc = repeat(m, c, js_at(types, i), &n, window, e);
	if (rc == 0 && n != m->info.n_layers)
		rc = err_set(e, ERR_FORMAT,
			"%s: \"attention_types\" is for %s than the %u layers of "
			"num_layers",
			c->doc->name, n < m->info.n_layers ? "fewer" : "more",
			m->info.n_layers);
	return rc;
}

static int
read_dims(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_info *n = &m->info;
	int rc = lm_config_dim(c, "hidden_size", 0, LM_DIM_MAX, &n->d_model, e);

	if (rc == 0)
		rc = lm_config_dim(c, "num_layers", 0, LM_LAYERS_MAX, &n->n_layers, e);
	if (rc == 0)
		rc = lm_config_dim(c, "num_heads", 0, LM_DIM_MAX, &n->n_heads, e);
	if (rc == 0)
		rc = lm_config_dim(c, "max_position_embeddings", 0, LM_DIM_MAX,
			&n->n_ctx, e);
	if (rc == 0)
		rc = lm_config_dim(c, "vocab_size", 0, 1u << 24, &n->n_vocab, e);
	if (rc == 0)
		rc = lm_config_dim(c, "intermediate_size", 4 * n->d_model,
			4 * LM_DIM_MAX, &n->d_mlp, e);
	if (rc < 0)
		return rc;
	if (n->d_model % n->n_heads != 0)
		return err_set(e, ERR_FORMAT,
			"%s: hidden_size (%u) is not a multiple of num_heads (%u)",
			c->doc->name, n->d_model, n->n_heads);
	n->d_head = n->d_model / n->n_heads;
	n->n_kv_heads = n->n_heads;
	return lm_config_heads(m, c, e);
}

static int
neo_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	uint32_t window;
	int rc = read_dims(m, c, e);

	for (uint32_t i = 0; rc == 0 && i < m->info.n_layers; i++)
		m->layer[i].score_scale = 1;
	if (rc == 0)
		rc = lm_config_eps(c, "layer_norm_epsilon", 1e-5, &m->norm_eps, e);
	if (rc == 0)
		rc = lm_config_act(c, "activation_function", "gelu_new", &m->act, e);
	if (rc == 0)
		rc = lm_config_dim(c, "window_size", 256, UINT32_MAX, &window, e);
	return rc == 0 ? read_types(m, c, window, e) : rc;
}

/* ---- weights ------------------------------------------------------------ */

static int
load_layer(struct lm *m, uint32_t i, struct err *e)
{
	static const char *const qkv[3] = {"attn.attention.q_proj",
		"attn.attention.k_proj", "attn.attention.v_proj"};
	struct lm_layer *y = &m->layer[i];
	size_t d = m->info.d_model, d_mlp = m->info.d_mlp;
	const struct lm_part parts[] = {
		{"ln_1", &y->norm1, NULL, {0}},
		{"ln_2", &y->norm2, NULL, {0}},
		{"attn.attention.out_proj", NULL, &y->out, {d, d, true, false}},
		{"mlp.c_fc", NULL, &y->up, {d, d_mlp, true, false}},
		{"mlp.c_proj", NULL, &y->down, {d_mlp, d, true, false}},
	};
	char at[32];
	int rc;

	snprintf(at, sizeof(at), "h.%u.", i);
	rc = lm_load_qkv(m, at, qkv, &y->qkv, e);
	return rc == 0
		? lm_load_parts(m, at, parts, sizeof(parts) / sizeof(parts[0]), e)
		: rc;
}

static int
neo_load(struct lm *m, struct err *e)
{
	static const char *const prefixes[] = {"transformer.", "", NULL};
	static const struct lm_names names = {prefixes, "wte", "wpe", "h", "ln_1",
		"num_layers", "ln_f"};

	return lm_load_all(m, &names, load_layer, e);
}

const struct lm_family lm_neo = {
	.kind = {"gpt_neo", "GPT-Neo", NULL},
	.tied = true,
	.configure = neo_configure,
	.load = neo_load,
};
