/* SPDX-License-Identifier: ISC */
/* What the families' readings of config.json have in common. */
#include "model/lm_int.h"
#include "util/mem.h"

#include <math.h>
#include <string.h>

int
lm_config_dim(const struct lm_config *c, const char *key, uint32_t fallback,
	uint32_t most, uint32_t *out, struct err *e)
{
	int rc = fallback ? js_opt_u32(c->doc, c->c, key, fallback, out, e)
			  : js_need_u32(c->doc, c->c, key, out, e);

	if (rc == 0 && (*out < 1 || *out > most))
		rc = err_set(e, ERR_FORMAT,
			"%s: \"%s\" must lie between 1 and %u, not %u", c->doc->name,
			key, most, *out);
	return rc;
}

int
lm_config_stack(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_info *n = &m->info;
	int rc = lm_config_dim(c, "hidden_size", 0, LM_DIM_MAX, &n->d_model, e);

	if (rc == 0)
		rc = lm_config_dim(c, "num_hidden_layers", 0, LM_LAYERS_MAX,
			&n->n_layers, e);
	if (rc == 0)
		rc = lm_config_dim(c, "intermediate_size", 0, 4 * LM_DIM_MAX, &n->d_mlp,
			e);
	if (rc == 0)
		rc = lm_config_dim(c, "max_position_embeddings", 0, 1u << 24, &n->n_ctx,
			e);
	if (rc == 0)
		rc = lm_config_dim(c, "vocab_size", 0, 1u << 24, &n->n_vocab, e);
	return rc;
}

int
lm_config_eps(const struct lm_config *c, const char *key, double fallback, float *out,
	struct err *e)
{
	double eps;
	int rc = js_opt_f64(c->doc, c->c, key, fallback, &eps, e);

	if (rc == 0 && !(eps >= 0 && eps < 1))
		rc = err_set(e, ERR_FORMAT,
			"%s: \"%s\" must lie between 0 and 1, not %g", c->doc->name,
			key, eps);
	*out = (float)eps;
	return rc;
}

int
lm_config_act(const struct lm_config *c, const char *key, const char *fallback,
	enum lm_act *out, struct err *e)
{
	static const struct {
		const char *name;
		enum lm_act act;
	} acts[] = {
		{"gelu_new", LM_GELU_TANH},
		{"gelu_pytorch_tanh", LM_GELU_TANH},
		{"gelu_fast", LM_GELU_TANH},
		{"gelu", LM_GELU},
		{"silu", LM_SILU},
		{"swish", LM_SILU},
	};
	char name[64];
	int rc = js_opt_str(c->doc, c->c, key, fallback, name, sizeof(name), e);

	for (size_t i = 0; rc == 0 && i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (strcmp(name, acts[i].name) != 0)
			continue;
		*out = acts[i].act;
		return 0;
	}
	return rc < 0 ? rc
		      : err_set(e, ERR_UNSUPPORTED,
				"%s: %s \"%s\" is not supported (gelu_new, "
				"gelu_pytorch_tanh, gelu_fast, gelu and silu are)",
				c->doc->name, key, name);
}

int
lm_config_refuse(const struct lm_config *c, const char *key, struct err *e)
{
	bool is;
	int rc = js_opt_bool(c->doc, c->c, key, false, &is, e);

	return rc == 0 && is ? err_set(e, ERR_UNSUPPORTED, "%s: %s is not supported",
				       c->doc->name, key)
			     : rc;
}

int
lm_config_heads(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_info *n = &m->info;

	if (n->n_heads % n->n_kv_heads != 0)
		return err_set(e, ERR_FORMAT,
			"%s: num_attention_heads (%u) is not a multiple of "
			"num_key_value_heads (%u)",
			c->doc->name, n->n_heads, n->n_kv_heads);
	if (lm_z_width(m) > 4 * (size_t)LM_DIM_MAX)
		return err_set(e, ERR_FORMAT,
			"%s: %u heads of %u dimensions are more than %u in all",
			c->doc->name, n->n_heads, n->d_head, 4 * LM_DIM_MAX);
	m->layer = mem_new(n->n_layers, sizeof(*m->layer));
	if (!m->layer)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", c->doc->name);
	for (uint32_t i = 0; i < n->n_layers; i++)
		m->layer[i].score_scale = 1.0f / sqrtf((float)n->d_head);
	return 0;
}

/* "layer_types": does this layer slide? */
static int
layer_slides(const struct lm_config *c, const struct js *types, uint32_t layer,
	bool *slides, struct err *e)
{
	const char *type = js_str(js_at(types, layer), NULL);

	*slides = type && strcmp(type, "sliding_attention") == 0;
	if (*slides || (type && strcmp(type, "full_attention") == 0))
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		"%s: layer_types[%u] %s%.60s%s is not supported (\"full_attention\" "
		"and \"sliding_attention\" are)",
		c->doc->name, layer, type ? "\"" : "", type ? type : "of another type",
		type ? "\"" : "");
}

int
lm_config_windows(struct lm *m, const struct lm_config *c, uint32_t window,
	bool (*sliding)(uint32_t layer, uint32_t arg), uint32_t arg, struct err *e)
{
	const struct js *types = js_get(c->c, "layer_types");
	bool listed = js_type(types) != JS_ABSENT && js_type(types) != JS_NULL;
	int rc = 0;

	if (listed && (js_type(types) != JS_ARRAY || js_n(types) != m->info.n_layers))
		return err_set(e, ERR_FORMAT,
			"%s: \"layer_types\" must be an array of a string for each of "
			"the %u layers",
			c->doc->name, m->info.n_layers);
	for (uint32_t i = 0; rc == 0 && i < m->info.n_layers; i++) {
		bool slides = !listed && sliding(i, arg);

		if (listed)
			rc = layer_slides(c, types, i, &slides, e);
		if (rc == 0 && slides && window == 0)
			rc = err_set(e, ERR_FORMAT,
				"%s: layer %u has sliding attention, but there is no "
				"\"sliding_window\"",
				c->doc->name, i);
		if (slides)
			m->layer[i].window = window;
	}
	return rc;
}
