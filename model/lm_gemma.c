/* SPDX-License-Identifier: ISC */
/*
 * Gemma 1, 2 and 3 (text): as Llama, with gains stored less 1, embeddings scaled
 * by sqrt(d_model) in float32, and tanh-gelu. Gemma 2 adds norms behind attention
 * and MLP, caps on scores and logits, and windows in every other layer; Gemma 3
 * norms of queries and keys instead of caps, and another RoPE where there is a
 * window.
 */
#include "model/lm_int.h"

#include <math.h>
#include <string.h>

/* Released Gemma 3 configs leave out what Gemma3TextConfig has as defaults. */
struct defaults {
	uint32_t n_heads, n_kv_heads, d_head; /* 0: must be there */
	uint32_t n_vocab, n_ctx;
};

static const struct defaults none = {0};
static const struct defaults gemma3 = {8, 4, 256, 262208, 131072};

static int
read_dims(struct lm *m, const struct lm_config *c, const struct defaults *d,
	struct err *e)
{
	struct lm_info *n = &m->info;
	const struct {
		const char *key;
		uint32_t fallback, most, *out;
	} dims[] = {
		{"hidden_size", 0, LM_DIM_MAX, &n->d_model},
		{"num_hidden_layers", 0, LM_LAYERS_MAX, &n->n_layers},
		{"intermediate_size", 0, 4 * LM_DIM_MAX, &n->d_mlp},
		{"max_position_embeddings", d->n_ctx, 1u << 24, &n->n_ctx},
		{"vocab_size", d->n_vocab, 1u << 24, &n->n_vocab},
		{"num_attention_heads", d->n_heads, LM_DIM_MAX, &n->n_heads},
		{"num_key_value_heads", d->n_kv_heads, LM_DIM_MAX, &n->n_kv_heads},
		{"head_dim", d->d_head, LM_DIM_MAX, &n->d_head},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(dims) / sizeof(dims[0]); i++)
		rc = lm_config_dim(c, dims[i].key, dims[i].fallback, dims[i].most,
			dims[i].out, e);
	return rc == 0 ? lm_config_heads(m, c, e) : rc;
}

static int
configure(struct lm *m, const struct lm_config *c, const struct defaults *d,
	struct err *e)
{
	int rc = read_dims(m, c, d, e);

	m->rms = true;
	m->has.gain_plus_one = true;
	m->embed_scale = (float)sqrt((double)m->info.d_model);
	if (rc == 0)
		rc = lm_config_eps(c, "rms_norm_eps", 1e-6, &m->norm_eps, e);
	if (rc == 0)
		rc = js_opt_bool(c->doc, c->c, "attention_bias", false,
			&m->has.qkv_bias, e);
	m->has.out_bias = m->has.qkv_bias;
	return rc == 0 ? lm_config_refuse(c, "use_bidirectional_attention", e) : rc;
}

/* ---- Gemma 1 ------------------------------------------------------------- */

/* "gelu" in its configs means the tanh form; where hidden_activation says what
 * hidden_act does not, versions of transformers differ. */
static int
gemma_act(struct lm *m, const struct lm_config *c, struct err *e)
{
	enum lm_act act, other;
	int rc = lm_config_act(c, "hidden_act", "gelu_pytorch_tanh", &act, e);

	if (rc == 0)
		rc = lm_config_act(c, "hidden_activation", "gelu_pytorch_tanh", &other,
			e);
	if (rc == 0 && (act == LM_SILU || other == LM_SILU))
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: hidden_act or hidden_activation \"silu\" is not supported "
			"for this family (gelu_pytorch_tanh is)",
			c->doc->name);
	m->act = LM_GELU_TANH;
	return rc;
}

static int
gemma_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	int rc = configure(m, c, &none, e);

	if (rc == 0)
		rc = gemma_act(m, c, e);
	return rc == 0 ? lm_rope_plain(m, c, e) : rc;
}

/* ---- Gemma 2 and 3 ------------------------------------------------------- */

/* null: no cap. */
static int
read_cap(const struct lm_config *c, const char *key, double fallback, float *out,
	struct err *e)
{
	double cap;
	int rc = js_opt_f64(c->doc, c->c, key, fallback, &cap, e);

	if (js_type(js_get(c->c, key)) == JS_NULL)
		cap = 0;
	else if (rc == 0 && js_get(c->c, key) && !(cap > 0 && isfinite(cap)))
		rc = err_set(e, ERR_FORMAT, "%s: \"%s\" must be above 0, not %g",
			c->doc->name, key, cap);
	*out = (float)cap;
	return rc;
}

static int
read_scale(struct lm *m, const struct lm_config *c, struct err *e)
{
	double scalar;
	int rc = js_opt_f64(c->doc, c->c, "query_pre_attn_scalar", 256, &scalar, e);

	if (rc == 0 && !(scalar > 0 && isfinite(scalar)))
		rc = err_set(e, ERR_FORMAT,
			"%s: \"query_pre_attn_scalar\" must be above 0, not %g",
			c->doc->name, scalar);
	for (uint32_t i = 0; rc == 0 && i < m->info.n_layers; i++)
		m->layer[i].score_scale = (float)(1 / sqrt(scalar));
	return rc;
}

/* The last layer of every `period` sees all. */
static bool
slides_in_period(uint32_t layer, uint32_t period)
{
	return (layer + 1) % period != 0;
}

struct second { /* what Gemma 2 and Gemma 3 say differently */
	const struct defaults *defaults;
	uint32_t period;
	double score_cap, logit_cap;
};

static int
configure_second(struct lm *m, const struct lm_config *c, const struct second *s,
	struct err *e)
{
	uint32_t window, period = s->period;
	int rc = configure(m, c, s->defaults, e);

	m->has.post_norms = true;
	if (rc == 0)
		rc = lm_config_act(c, "hidden_activation", "gelu_pytorch_tanh", &m->act,
			e);
	if (rc == 0)
		rc = read_cap(c, "attn_logit_softcapping", s->score_cap, &m->score_cap,
			e);
	if (rc == 0)
		rc = read_cap(c, "final_logit_softcapping", s->logit_cap, &m->logit_cap,
			e);
	if (rc == 0)
		rc = read_scale(m, c, e);
	if (rc == 0)
		rc = lm_config_dim(c, "sliding_window", 4096, UINT32_MAX, &window, e);
	if (js_type(js_get(c->c, "sliding_window")) == JS_NULL)
		window = 0;
	if (rc == 0 && s->defaults == &gemma3)
		rc = lm_config_dim(c, "sliding_window_pattern", period, LM_LAYERS_MAX,
			&period, e);
	return rc == 0 ? lm_config_windows(m, c, window, slides_in_period, period, e)
		       : rc;
}

static int
gemma2_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	static const struct second second = {&none, 2, 50, 30};
	int rc = configure_second(m, c, &second, e);

	return rc == 0 ? lm_rope_plain(m, c, e) : rc;
}

/* transformers 5 has settings for each type of layer; 4 had "rope_scaling" for
 * the layers that see all, and a base of their own for the others. */
static int
gemma3_ropes(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_rope_from all = {.theta_key = "rope_theta",
		.theta = 1000000,
		.partial = 1};
	struct lm_rope_from local = {.theta_key = "rope_local_base_freq",
		.theta = 10000,
		.partial = 1};
	const struct js *params;
	int rc = lm_rope_params(c, &params, e);

	if (params && params == js_get(c->c, "rope_parameters")) {
		all.params = js_get(params, "full_attention");
		local.params = js_get(params, "sliding_attention");
		if (rc == 0 && !all.params && !local.params)
			rc = err_set(e, ERR_FORMAT,
				"%s: \"rope_parameters\" has neither "
				"\"full_attention\" "
				"nor \"sliding_attention\"",
				c->doc->name);
	} else {
		all.params = params;
	}
	if (rc == 0)
		rc = lm_rope_init(&m->rope[0], m, c, &all, e);
	if (rc == 0)
		rc = lm_rope_init(&m->rope[1], m, c, &local, e);
	for (uint32_t i = 0; rc == 0 && i < m->info.n_layers; i++)
		m->layer[i].rope = m->layer[i].window > 0;
	return rc;
}

static int
gemma3_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	static const struct second second = {&gemma3, 6, 0, 0};
	int rc = configure_second(m, c, &second, e);

	m->has.qk_norm = true;
	return rc == 0 ? gemma3_ropes(m, c, e) : rc;
}

/* The text model of one that also sees images. */
static int
gemma3_text_of(struct lm *m, const struct lm_config *c, struct err *e)
{
	const struct lm_config text = {c->doc, js_get(c->c, "text_config")};

	if (js_type(text.c) != JS_OBJECT)
		return err_set(e, ERR_FORMAT, "%s: \"text_config\" must be an object",
			c->doc->name);
	return gemma3_configure(m, &text, e);
}

const struct lm_family lm_gemma = {
	.kind = {"gemma", "Gemma 1 to 3", NULL},
	.tied = true,
	.configure = gemma_configure,
	.load = lm_llama_load,
};

const struct lm_family lm_gemma2 = {
	.kind = {"gemma2", "Gemma 1 to 3", NULL},
	.tied = true,
	.configure = gemma2_configure,
	.load = lm_llama_load,
};

const struct lm_family lm_gemma3_text = {
	.kind = {"gemma3_text", "Gemma 1 to 3", NULL},
	.tied = true,
	.configure = gemma3_configure,
	.load = lm_llama_load,
};

const struct lm_family lm_gemma3 = {
	.kind = {"gemma3", "Gemma 1 to 3", NULL},
	.tied = true,
	.configure = gemma3_text_of,
	.load = lm_llama_load,
};
