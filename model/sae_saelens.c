/* SPDX-License-Identifier: ISC */
/*
 * SAELens: cfg.json and sae_weights.safetensors, of version 6 (what is about the
 * model stands under "metadata") and before (flat, with other names). W_enc is
 * (d_in, d_sae) in the file and becomes one row per feature here.
 */
#include "model/sae_int.h"
#include "util/mem.h"
#include "util/paged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct saelens {
	struct sae_loading *l;
	const struct js *root, *meta; /* before version 6 the same */
	bool old;
	const struct architecture *a;
	bool fold_norms; /* before use; the file is from the midst of training */
	bool scaled; /* trained on scaled activations */
};

/* ---- the architecture ----------------------------------------------------- */

enum { TRANSCODER = 1, SKIP = 2, TRAINING = 4 };

static const struct architecture {
	const char *name;
	enum sae_kind kind;
	unsigned flags;
} architectures[] = {
	{"standard", SAE_RELU, 0},
	{"jumprelu", SAE_JUMPRELU, 0},
	{"topk", SAE_TOPK, 0},
	{"gated", SAE_GATED, 0},
	{"transcoder", SAE_RELU, TRANSCODER},
	{"skip_transcoder", SAE_RELU, TRANSCODER | SKIP},
	{"jumprelu_transcoder", SAE_JUMPRELU, TRANSCODER},
	{"jumprelu_skip_transcoder", SAE_JUMPRELU, TRANSCODER | SKIP},
	{"batchtopk", SAE_JUMPRELU, TRAINING},
	{"matryoshka_batchtopk", SAE_JUMPRELU, TRAINING},
};

static int
find_architecture(struct saelens *g, struct err *e)
{
	struct sae_info *n = &g->l->s->info;

	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++) {
		if (strcmp(n->architecture, architectures[i].name) != 0)
			continue;
		g->a = &architectures[i];
		n->kind = g->a->kind;
		n->transcoder = g->a->flags & TRANSCODER;
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED,
		"%s: architecture \"%s\" is not supported (standard, jumprelu, topk, "
		"gated, batchtopk, matryoshka_batchtopk and the transcoders are)",
		g->l->cfg.name, n->architecture);
}

/* Before version 6 an activation function may stand in for the architecture. */
static int
old_activation(struct saelens *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	struct sae_info *n = &g->l->s->info;
	const char *key = js_get(g->root, "activation_fn_str") ? "activation_fn_str"
							       : "activation_fn";
	const struct js *kwargs = js_get(g->root, "activation_fn_kwargs");
	char name[32];
	int rc = js_opt_str(c, g->root, key, "relu", name, sizeof(name), e);

	if (rc < 0)
		return rc;
	if (strcmp(name, "topk") == 0) {
		if (strcmp(n->architecture, "standard") != 0 &&
			strcmp(n->architecture, "topk") != 0)
			return err_set(e, ERR_MISMATCH,
				"%s: architecture \"%s\" contradicts %s \"topk\"",
				c->name, n->architecture, key);
		strcpy(n->architecture, "topk");
		rc = js_need_u32(c, js_get(kwargs, "k") ? kwargs : g->root, "k", &n->k,
			e);
		return rc < 0 ? err_wrap(e, "activation_fn_kwargs") : 0;
	}
	if (strcmp(n->architecture, "topk") == 0)
		return err_set(e, ERR_MISMATCH,
			"%s: architecture \"topk\" contradicts %s \"%s\"", c->name, key,
			name);
	if (strcmp(name, "relu") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: %s \"%s\" is not supported (relu and topk are)", c->name,
			key, name);
	return 0;
}

static int
cfg_architecture(struct saelens *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	struct sae_info *n = &g->l->s->info;
	int rc = g->old ? js_opt_str(c, g->root, "architecture", "standard",
				  n->architecture, sizeof(n->architecture), e)
			: js_need_str(c, g->root, "architecture", n->architecture,
				  sizeof(n->architecture), e);

	if (rc == 0 && g->old)
		rc = old_activation(g, e);
	return rc == 0 ? find_architecture(g, e) : rc;
}

/* Files without a version are from before version 6. */
static int
cfg_version(struct saelens *g, struct err *e)
{
	struct sae_info *n = &g->l->s->info;
	const struct js *meta = js_get(g->root, "metadata");
	const struct js *at = js_get(g->root, "sae_lens_version") ? g->root : meta;
	int rc = js_opt_str(&g->l->cfg, at, "sae_lens_version", "", n->version,
		sizeof(n->version), e);

	g->old = atoi(n->version) < 6;
	g->meta = g->old ? g->root : meta;
	if (rc == 0 && g->old && meta)
		rc = err_set(e, ERR_MISMATCH,
			"%s: has \"metadata\" as SAELens 6 writes it, but "
			"sae_lens_version is \"%s\"",
			g->l->cfg.name, n->version);
	if (rc == 0 && g->old && !n->version[0])
		rc = js_opt_str(&g->l->cfg, g->root, "sae_lens_training_version", "",
			n->version, sizeof(n->version), e);
	return rc;
}

/* ---- the rest of cfg.json -------------------------------------------------- */

/* Before version 4 a bool: true is expected_average_only_in. */
static int
norm_name(struct saelens *g, char *out, size_t size, struct err *e)
{
	static const char key[] = "normalize_activations";
	enum js_type type = js_type(js_get(g->root, key));
	bool on = false;
	int rc;

	if (!g->old || type != JS_BOOL)
		return js_opt_str(&g->l->cfg, g->root, key, "none", out, size, e);
	rc = js_opt_bool(&g->l->cfg, g->root, key, false, &on, e);
	snprintf(out, size, "%s", on ? "expected_average_only_in" : "none");
	return rc;
}

static int
cfg_norm(struct saelens *g, struct err *e)
{
	struct sae_info *n = &g->l->s->info;
	char norm[64];
	int rc = norm_name(g, norm, sizeof(norm), e);

	if (rc < 0)
		return rc;
	if (g->l->options->given.constant_norm) {
		strcpy(norm, "constant_norm_rescale");
		n->given.constant_norm = true;
	}
	n->norm = SAE_NORM_NONE;
	if (strcmp(norm, "constant_norm_rescale") == 0)
		n->norm = SAE_NORM_CONSTANT;
	else if (strcmp(norm, "layer_norm") == 0)
		n->norm = SAE_NORM_LAYER;
	else if (strcmp(norm, "expected_average_only_in") == 0)
		g->scaled = true;
	else if (strcmp(norm, "none") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: normalize_activations \"%s\" is not supported",
			g->l->cfg.name, norm);
	return 0;
}

static int
cfg_topk(struct saelens *g, struct err *e)
{
	struct sae_info *n = &g->l->s->info;
	bool training = g->a->flags & TRAINING, by_norm = false;
	int rc = 0;

	if (n->kind != SAE_TOPK && !training)
		return 0;
	if (n->kind == SAE_TOPK && !g->old)
		rc = js_need_u32(&g->l->cfg, g->root, "k", &n->k, e);
	if (rc == 0 && n->kind == SAE_TOPK)
		rc = sae_check_k(g->l, e);
	if (rc == 0 && !g->old)
		rc = js_opt_bool(&g->l->cfg, g->root, "rescale_acts_by_decoder_norm",
			training, &by_norm, e);
	g->fold_norms = training && by_norm;
	n->rescale_by_decoder_norm = !training && by_norm;
	return rc;
}

/* hook_z's heads are laid side by side anyway. */
static int
cfg_reshape(struct saelens *g, struct err *e)
{
	const char *hook = g->l->s->info.hook.name;
	char reshape[64];
	int rc = js_opt_str(&g->l->cfg, g->root, "reshape_activations", "none", reshape,
		sizeof(reshape), e);

	if (rc < 0 || strcmp(reshape, "none") == 0 ||
		(strcmp(reshape, "hook_z") == 0 && strstr(hook, "attn.hook_z")))
		return rc;
	return err_set(e, ERR_UNSUPPORTED,
		"%s: reshape_activations \"%s\" at %s is not supported", g->l->cfg.name,
		reshape, hook);
}

static int
cfg_dims(struct saelens *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	struct sae_info *n = &g->l->s->info;
	int rc = js_need_u32(c, g->root, "d_in", &n->d_in, e);

	if (rc == 0)
		rc = js_need_u32(c, g->root, "d_sae", &n->d_sae, e);
	n->d_out = n->d_in;
	if (rc == 0 && n->transcoder)
		rc = js_need_u32(c, g->root, "d_out", &n->d_out, e);
	if (rc == 0)
		rc = sae_check_dims(g->l, e);
	if (rc == 0)
		rc = js_opt_bool(c, g->root, "apply_b_dec_to_input", !n->transcoder,
			&n->subtract_b_dec, e);
	if (rc == 0 && n->transcoder && n->subtract_b_dec)
		rc = err_set(e, ERR_MISMATCH,
			"%s: apply_b_dec_to_input is true, but the b_dec of a "
			"transcoder stands elsewhere than its input",
			c->name);
	return rc;
}

/* What SAELens converts from Gemma Scope 2 reads behind the norm, but it calls that
 * hook_mlp_in, which is before it; Hugging Face's module stands beside. */
static int
hf_hook(struct saelens *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	char hook[128], where[PATH_BYTES];
	int rc;

	if (g->l->options->hook || g->l->s->info.hook.site != HOOK_MLP_IN)
		return 0;
	rc = js_opt_str(c, g->meta, "hf_hook_name", "", hook, sizeof(hook), e);
	if (rc < 0 || !hook[0])
		return rc;
	rc = path_join(where, e, "%s: metadata.hf_hook_name", c->name);
	return rc == 0 ? sae_hook_in(g->l, hook, where, e) : rc;
}

static int
cfg_hook(struct saelens *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	bool point = g->old && js_get(g->meta, "hook_point");
	const char *key = point ? "hook_point" : "hook_name";
	const char *index = point ? "hook_point_head_index" : "hook_head_index";
	const struct js *head = js_get(g->meta, index);
	char hook[128] = "", where[PATH_BYTES];
	int rc = path_join(where, e, "%s: %s%s", c->name, g->old ? "" : "metadata.",
		key);

	if (rc == 0 && !g->l->options->hook)
		rc = js_need_str(c, g->meta, key, hook, sizeof(hook), e);
	if (rc == 0)
		rc = sae_hook_in(g->l, hook, where, e);
	if (rc == 0)
		rc = hf_hook(g, e);
	if (rc == 0 && js_type(head) != JS_ABSENT && js_type(head) != JS_NULL)
		rc = err_set(e, ERR_UNSUPPORTED, "%s: %s is not supported", c->name,
			index);
	if (rc < 0 || !g->l->s->info.transcoder)
		return rc;
	rc = js_opt_str(c, g->meta, "hook_name_out", "", hook, sizeof(hook), e);
	if (rc == 0)
		rc = path_join(where, e, "%s: metadata.hook_name_out", c->name);
	return rc == 0 ? sae_hook_out(g->l, hook, where, e) : rc;
}

static int
cfg_model(struct saelens *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	struct sae_info *n = &g->l->s->info;
	const struct js *kwargs = js_get(g->meta, "model_from_pretrained_kwargs");
	int rc = js_opt_bool(c, kwargs, "center_writing_weights", false, &n->center, e);

	n->given.center = g->l->options->given.center;
	n->center |= n->given.center;
	if (rc == 0 && n->center && n->transcoder)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: a transcoder of a centred model is not supported",
			c->name);
	if (rc == 0)
		rc = js_opt_bool(c, g->meta, "prepend_bos", true, &n->prepend_bos, e);
	if (rc == 0)
		rc = js_opt_u32(c, g->meta, "context_size", 0, &n->context_size, e);
	return rc < 0 ? rc
		      : js_opt_str(c, g->meta, "model_name", "", n->model_name,
				sizeof(n->model_name), e);
}

static int
read_cfg(struct saelens *g, struct err *e)
{
	int rc = cfg_version(g, e);

	if (rc == 0)
		rc = cfg_architecture(g, e);
	if (rc == 0)
		rc = cfg_dims(g, e);
	if (rc == 0)
		rc = cfg_topk(g, e);
	if (rc == 0)
		rc = cfg_norm(g, e);
	if (rc == 0)
		rc = cfg_hook(g, e);
	if (rc == 0)
		rc = cfg_reshape(g, e);
	return rc == 0 ? cfg_model(g, e) : rc;
}

/* ---- activations that were scaled in training ------------------------------ */

/* By the file that a checkpoint has beside; *out is 0 when there is none. */
static int
find_scaler(struct saelens *g, double *out, struct err *e)
{
	struct sae_loading l = {.s = g->l->s, .family = "saelens"};
	struct js_doc d = {0};
	bool found;
	int rc = path_join(l.path, e, "%s/activation_scaler.json", g->l->dir);

	*out = 0;
	if (rc == 0 && file_exists(l.path)) {
		rc = js_open(&d, l.path, SAE_CFG_MAX_BYTES, SAE_CFG_MAX_DEPTH, e);
		if (rc == 0)
			rc = js_opt_f64(&d, d.root, "scaling_factor", 0, out, e);
		js_close(&d);
		return rc;
	}
	if (rc == 0)
		rc = path_join(l.path, e, "%s/activations_store_state.safetensors",
			g->l->dir);
	if (rc < 0 || !file_exists(l.path))
		return rc;
	rc = tensors_open(&l.t, l.path, e);
	if (rc == 0)
		rc = sae_scalar(&l, "estimated_norm_scaling_factor", out, &found, e);
	tensors_close(l.t);
	return rc;
}

static int
fold_scale(struct saelens *g, struct err *e)
{
	struct sae *s = g->l->s;
	double by = g->l->options->given.scale;
	int rc = by == 0 ? find_scaler(g, &by, e) : 0;

	if (rc < 0)
		return rc;
	s->info.given.scale = g->l->options->given.scale;
	if (by == 0 && g->old)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: normalize_activations is expected_average_only_in, but "
			"no activation_scaler.json or "
			"activations_store_state.safetensors beside it tells the "
			"factor",
			g->l->cfg.name);
	if (by == 0) {
		sae_note(g->l, "expected_average_only_in is not applied at inference");
		return 0;
	}
	if (!(by > 1e-20 && by < 1e20))
		return err_set(e, ERR_FORMAT,
			"%s: the factor of expected_average_only_in is %g",
			g->l->cfg.name, by);
	sae_fold_scale(s, (float)by, (float)by);
	for (size_t i = 0; g->fold_norms && s->threshold && i < s->info.d_sae; i++)
		s->threshold[i] /= (float)by;
	sae_note(g->l, "expected_average_only_in folded, x * %.9g", by);
	return 0;
}

/* ---- sae_weights.safetensors ----------------------------------------------- */

/* Version 3 and 4 trained factors that count in decoding only; or all are 1. */
static int
finetuned(struct saelens *g, const char *name, struct err *e)
{
	struct sae *s = g->l->s;
	const struct tensor *t = tensors_find(g->l->t, name);
	size_t o = s->info.d_out;
	bool ones = true, on = false;
	float *by = NULL;
	int rc;

	if (!t)
		return 0;
	if (t->n_values != s->info.d_sae)
		return err_set(e, ERR_MISMATCH, "%s: tensor %s has %zu values, not %u",
			t->path, name, t->n_values, s->info.d_sae);
	rc = js_opt_bool(&g->l->cfg, g->root, "finetuning_scaling_factor", false, &on,
		e);
	if (rc == 0)
		rc = sae_zeros(&by, t->n_values, e);
	if (rc == 0)
		rc = tensor_floats(t, by, false, e);
	for (size_t i = 0; rc == 0 && i < t->n_values; i++)
		ones &= by[i] > 0.99999f && by[i] < 1.00001f;
	if (rc == 0 && !ones && !on)
		rc = err_set(e, ERR_MISMATCH,
			"%s: tensor %s is not all 1, but %s says "
			"finetuning_scaling_factor is false",
			t->path, name, g->l->cfg.name);
	for (size_t i = 0; rc == 0 && !ones && i < t->n_values * o; i++) {
		if (i % o == 0)
			paged_passed(o * sizeof(float));
		s->w_dec[i] *= by[i / o];
	}
	if (rc == 0 && !ones)
		sae_note(g->l, "W_dec rows times %s", name);
	mem_free(by);
	return rc;
}

static int
load_threshold(struct saelens *g, struct err *e)
{
	double value = 0;
	bool found = false;
	int rc;

	if (g->a->flags & TRAINING) {
		rc = sae_scalar(g->l, "topk_threshold", &value, &found, e);
		if (rc == 0 && !found)
			rc = err_set(e, ERR_MISMATCH,
				"%s: tensor topk_threshold is missing, which a %s SAE "
				"has",
				g->l->path, g->a->name);
		sae_note(g->l, "threshold is the topk_threshold of training");
		return rc == 0 ? sae_threshold_fill(g->l->s, (float)value, e) : rc;
	}
	if (g->l->s->threshold && tensors_find(g->l->t, "log_threshold"))
		kernel_exp(g->l->s->threshold, g->l->s->threshold, g->l->s->info.d_sae);
	return 0;
}

static int
finish(struct saelens *g, struct err *e)
{
	struct sae *s = g->l->s;
	int rc = load_threshold(g, e);

	if (rc == 0 && s->mag_scale)
		kernel_exp(s->mag_scale, s->mag_scale, s->info.d_sae);
	if (rc == 0 && g->scaled)
		rc = fold_scale(g, e);
	if (rc == 0 && g->fold_norms) {
		sae_fold_norms(s);
		sae_note(g->l, "decoder norms folded");
	}
	if (rc == 0)
		rc = finetuned(g, "scaling_factor", e);
	if (rc == 0)
		rc = finetuned(g, "finetuning_scaling_factor", e);
	if (rc == 0 && s->info.transcoder)
		sae_note(g->l, s->w_skip ? "gives %s, with W_skip x" : "gives %s",
			s->info.hook_out.name);
	return rc;
}

static int
read_weights(struct saelens *g, struct err *e)
{
	struct sae *s = g->l->s;
	bool gated = s->info.kind == SAE_GATED, training = g->a->flags & TRAINING;
	const char *const ignored[] = {training ? "topk_threshold" : "scaling_factor",
		g->old ? "scaling_factor" : NULL, "finetuning_scaling_factor", NULL};
	struct sae_part parts[8] = {
		{"W_enc", {AXIS_IN, AXIS_SAE}, &s->w_enc, true},
		{"W_dec", {AXIS_SAE, AXIS_OUT}, &s->w_dec, false},
		{"b_dec", {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
		{gated ? "b_gate" : "b_enc", {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
	};
	size_t n = 4;
	int rc;

	if (s->info.kind == SAE_JUMPRELU && !training)
		parts[n++] = (struct sae_part){tensors_find(g->l->t, "log_threshold")
				? "log_threshold"
				: "threshold",
			{AXIS_SAE, AXIS_NONE}, &s->threshold, false};
	if (gated) {
		parts[n++] = (struct sae_part){"r_mag", {AXIS_SAE, AXIS_NONE},
			&s->mag_scale, false};
		parts[n++] = (struct sae_part){"b_mag", {AXIS_SAE, AXIS_NONE},
			&s->mag_bias, false};
	}
	if (g->a->flags & SKIP)
		parts[n++] = (struct sae_part){"W_skip", {AXIS_OUT, AXIS_IN},
			&s->w_skip, false};
	rc = sae_parts(g->l, parts, n, ignored, e);
	return rc == 0 ? finish(g, e) : rc;
}

int
saelens_load(struct sae_loading *l, struct err *e)
{
	struct saelens g = {.l = l, .root = l->cfg.root};
	int rc = read_cfg(&g, e);

	return rc == 0 ? read_weights(&g, e) : rc;
}
