/* SPDX-License-Identifier: ISC */
/*
 * Llama Scope and what its authors (OpenMOSS) wrote after it. All were trained on
 * activations scaled to a mean norm of sqrt(d); here that is folded into the
 * weights.
 */
#include "model/sae_int.h"
#include "util/paged.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the three layouts have in common. */
struct scope {
	struct sae_loading *l;
	char act_fn[24];
	bool by_norm; /* it is pre times the norm of W_dec's row that must pass */
	bool has_b_dec;
	double in, out; /* what the activations were multiplied by in training */
};

static int
read_bools(struct scope *g, struct err *e)
{
	static const char *const refused[] = {"use_glu_encoder",
		"apply_decoder_bias_to_pre_encoder"};
	const struct js_doc *c = &g->l->cfg;
	bool on;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2; i++) {
		rc = js_opt_bool(c, c->root, refused[i], false, &on, e);
		if (rc == 0 && on)
			rc = err_set(e, ERR_UNSUPPORTED, "%s: %s is not supported",
				c->name, refused[i]);
	}
	if (rc == 0)
		rc = js_opt_bool(c, c->root, "use_decoder_bias", true, &g->has_b_dec,
			e);
	return rc;
}

static int
read_kind(struct scope *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	struct sae_info *n = &g->l->s->info;
	int rc = js_opt_str(c, c->root, "act_fn", "jumprelu", g->act_fn,
		sizeof(g->act_fn), e);

	if (rc < 0)
		return rc;
	snprintf(n->architecture, sizeof(n->architecture), "%s", g->act_fn);
	if (strcmp(g->act_fn, "relu") == 0) {
		n->kind = SAE_RELU;
		return 0;
	}
	if (strcmp(g->act_fn, "jumprelu") == 0) {
		n->kind = SAE_JUMPRELU;
		return 0;
	}
	if (strcmp(g->act_fn, "topk") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: act_fn \"%s\" is not supported (relu, jumprelu and topk "
			"are; batchtopk can be converted to jumprelu)",
			c->name, g->act_fn);
	n->kind = SAE_TOPK;
	rc = js_need_u32(c, c->root, "top_k", &n->k, e);
	return rc == 0 ? sae_check_k(g->l, e) : rc;
}

static int
read_dims(struct scope *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	struct sae_info *n = &g->l->s->info;
	double factor = 0, product;
	int rc = js_need_u32(c, c->root, "d_model", &n->d_in, e);

	if (rc == 0)
		rc = js_opt_f64(c, c->root, "expansion_factor", 0, &factor, e);
	product = (double)n->d_in * factor;
	if (rc == 0 && js_get(c->root, "d_sae"))
		rc = js_need_u32(c, c->root, "d_sae", &n->d_sae, e);
	else
		n->d_sae = product >= 1 && product < 4e9 ? (uint32_t)product : 0;
	n->d_out = n->d_in;
	return rc == 0 ? sae_check_dims(g->l, e) : rc;
}

static int
read_hooks(struct scope *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	struct sae_info *n = &g->l->s->info;
	char in[128] = "", out[128] = "";
	int rc = js_opt_str(c, c->root, "hook_point_in", "", in, sizeof(in), e);

	if (rc == 0)
		rc = js_opt_str(c, c->root, "hook_point_out", in, out, sizeof(out), e);
	n->transcoder = strcmp(in, out) != 0;
	n->prepend_bos = true;
	n->context_size = 1024;
	if (rc == 0)
		rc = sae_hook_in(g->l, in, c->name, e);
	if (rc == 0 && n->transcoder)
		rc = sae_hook_out(g->l, out, c->name, e);
	if (rc == 0 && n->transcoder)
		sae_note(g->l, "gives %s", n->hook_out.name);
	return rc;
}

static int
read_common(struct scope *g, struct err *e)
{
	int rc = read_bools(g, e);

	g->in = g->out = 1;
	if (rc == 0)
		rc = read_dims(g, e);
	if (rc == 0)
		rc = read_kind(g, e);
	return rc == 0 ? read_hooks(g, e) : rc;
}

/* Whether the factors are needed: "inference" is what was folded already. */
static int
read_scaling(struct scope *g, bool *on, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	char norm[24];
	int rc = js_opt_str(c, c->root, "norm_activation", "dataset-wise", norm,
		sizeof(norm), e);

	*on = strcmp(norm, "dataset-wise") == 0;
	if (rc == 0 && !*on && strcmp(norm, "inference") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: norm_activation \"%s\" is not supported (dataset-wise and "
			"inference are)",
			c->name, norm);
	return rc;
}

static int
factor_of(const struct scope *g, double norm, const char *what, double *out,
	struct err *e)
{
	if (!(norm > 1e-20 && norm < 1e20))
		return err_set(e, ERR_FORMAT,
			"%s: dataset_average_activation_norm.%s is %g", g->l->says,
			what, norm);
	*out = sqrt((double)g->l->s->info.d_in) / norm;
	return 0;
}

/* lower: encoder.weight and so on, else W_E and so on. */
static int
read_weights(struct scope *g, bool lower, const char *threshold,
	const char *const *ignored, struct err *e)
{
	struct sae *s = g->l->s;
	struct sae_part parts[5] = {
		{lower ? "encoder.weight" : "W_E",
			{lower ? AXIS_SAE : AXIS_IN, lower ? AXIS_IN : AXIS_SAE},
			&s->w_enc, !lower},
		{lower ? "decoder.weight" : "W_D",
			{lower ? AXIS_OUT : AXIS_SAE, lower ? AXIS_SAE : AXIS_OUT},
			&s->w_dec, lower},
		{lower ? "encoder.bias" : "b_E", {AXIS_SAE, AXIS_NONE}, &s->b_enc,
			false},
	};
	size_t n = 3;
	int rc;

	if (g->has_b_dec)
		parts[n++] = (struct sae_part){lower ? "decoder.bias" : "b_D",
			{AXIS_OUT, AXIS_NONE}, &s->b_dec, false};
	if (threshold)
		parts[n++] = (struct sae_part){threshold, {AXIS_SAE, AXIS_NONE},
			&s->threshold, false};
	rc = sae_parts(g->l, parts, n, ignored, e);
	if (rc == 0 && !g->has_b_dec)
		rc = sae_zeros(&s->b_dec, s->info.d_out, e);
	if (rc == 0 && threshold)
		kernel_exp(s->threshold, s->threshold, s->info.d_sae);
	return rc;
}

/* ---- the first layout: hyperparams.json --------------------------------------- */

static int
read_factors(struct scope *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	const struct js *norm = js_get(c->root, "dataset_average_activation_norm");
	double in = 0, out;
	bool on;
	int rc = read_scaling(g, &on, e);

	if (rc < 0 || !on)
		return rc;
	rc = js_opt_f64(c, norm, "in", 0, &in, e);
	out = in;
	if (rc == 0)
		rc = js_opt_f64(c, norm, "out", in, &out, e);
	if (rc == 0)
		rc = factor_of(g, in, "in", &g->in, e);
	return rc == 0 ? factor_of(g, out, "out", &g->out, e) : rc;
}

/* The authors': the encoder stays, so activations are in the model's scale, and
 * decoder norms are folded; the threshold is as it stands. */
static void
fold_authors(struct scope *g)
{
	struct sae *s = g->l->s;

	for (size_t i = 0; i < s->info.d_sae; i++)
		s->b_enc[i] /= (float)g->in;
	for (size_t i = 0; i < s->info.d_out; i++)
		s->b_dec[i] /= (float)g->out;
	for (size_t i = 0; i < (size_t)s->info.d_sae * s->info.d_out; i++) {
		if (i % s->info.d_out == 0)
			paged_passed(s->info.d_out * sizeof(float));
		s->w_dec[i] *= (float)(g->in / g->out);
	}
	if (g->by_norm)
		sae_fold_norms(s);
	sae_note(g->l, "the authors' rule: b_enc / s%s, threshold as it is; s is %.9g",
		g->by_norm ? ", decoder norms folded" : "", g->in);
}

/* SAELens': x times s, and the threshold too; decoder norms do not count. */
static void
fold_saelens(struct scope *g)
{
	sae_fold_scale(g->l->s, (float)g->in, (float)g->in);
	sae_note(g->l, "SAELens' rule: x * s, threshold * s; s is %.9g", g->in);
}

int
llama_scope_load(struct sae_loading *l, struct err *e)
{
	struct scope g = {.l = l};
	const struct js *root = l->cfg.root;
	double threshold = 0;
	int rc = read_common(&g, e);

	if (rc == 0)
		rc = js_opt_bool(&l->cfg, root, "sparsity_include_decoder_norm", true,
			&g.by_norm, e);
	if (rc == 0)
		rc = read_factors(&g, e);
	if (rc == 0)
		rc = js_opt_f64(&l->cfg, root, "jump_relu_threshold", -1, &threshold,
			e);
	if (rc == 0 && l->s->info.kind == SAE_JUMPRELU && !(threshold >= 0))
		rc = err_set(e, ERR_FORMAT,
			"%s: jump_relu_threshold is missing or below 0", l->cfg.name);
	if (rc == 0)
		rc = js_opt_str(&l->cfg, root, "model_name", "meta-llama/Llama-3.1-8B",
			l->s->info.model_name, sizeof(l->s->info.model_name), e);
	if (rc == 0)
		rc = read_weights(&g, true, NULL, NULL, e);
	if (rc < 0)
		return rc;
	l->s->info.saelens_rule = l->options->saelens_rule;
	if (l->options->saelens_rule)
		fold_saelens(&g);
	else
		fold_authors(&g);
	if (l->s->info.kind != SAE_JUMPRELU)
		return 0;
	threshold *= l->options->saelens_rule ? g.in : 1;
	return sae_threshold_fill(l->s, (float)threshold, e);
}

/* ---- R1-Distill ----------------------------------------------------------------- */

/* The threshold of pre alone, from that of pre times the decoder's norms. */
static void
divide_threshold(struct scope *g)
{
	struct sae *s = g->l->s;
	size_t o = s->info.d_out;

	if (!g->by_norm || !s->threshold)
		return;
	for (size_t i = 0; i < s->info.d_sae; i++) {
		float norm = kernel_norm(s->w_dec + i * o, o);

		paged_passed(o * sizeof(float));
		s->threshold[i] = norm > 0 ? s->threshold[i] / norm : INFINITY;
	}
	sae_note(g->l, "threshold / |W_dec row|");
}

/* The files do not tell what the activations were multiplied by; a release may. */
static int
scale_distill(struct sae_loading *l, struct err *e)
{
	double by = l->options->given.scale;

	if (by == 0) {
		sae_note(l, "no scale of activations is in the files");
		return 0;
	}
	if (!(by > 1e-20 && by < 1e20))
		return err_set(e, ERR_FORMAT, "%s: the scale of activations is %g",
			l->path, by);
	l->s->info.given.scale = by;
	sae_fold_scale(l->s, (float)by, (float)by);
	sae_note(l, "x * %.9g, output divided by it", by);
	return 0;
}

int
llama_distill_load(struct sae_loading *l, struct err *e)
{
	struct scope g = {.l = l};
	int rc = read_common(&g, e);

	if (rc == 0 && l->s->info.kind != SAE_JUMPRELU)
		rc = err_set(e, ERR_MISMATCH,
			"%s: act_fn is \"%s\", but %s has log_jumprelu_threshold",
			l->cfg.name, g.act_fn, l->path);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, l->cfg.root, "sparsity_include_decoder_norm",
			false, &g.by_norm, e);
	if (rc == 0)
		rc = js_opt_str(&l->cfg, l->cfg.root, "model_name", "",
			l->s->info.model_name, sizeof(l->s->info.model_name), e);
	if (rc == 0)
		rc = read_weights(&g, true, "log_jumprelu_threshold", NULL, e);
	if (rc < 0)
		return rc;
	divide_threshold(&g);
	return scale_distill(l, e);
}

/* ---- the new layout: config.json with sae_type ----------------------------------- */

static int
tensor_factor(struct scope *g, const char *hook, double *out, struct err *e)
{
	char name[192];
	double norm = 0;
	bool found;
	int rc;

	snprintf(name, sizeof(name), "dataset_average_activation_norm.%s", hook);
	rc = sae_scalar(g->l, name, &norm, &found, e);
	if (rc == 0 && !found)
		rc = err_set(e, ERR_MISMATCH,
			"%s: tensor %s is missing, but %s says norm_activation is "
			"dataset-wise",
			g->l->path, name, g->l->cfg.name);
	return rc == 0 ? factor_of(g, norm, hook, out, e) : rc;
}

static int
tensor_factors(struct scope *g, struct err *e)
{
	const struct js_doc *c = &g->l->cfg;
	char in[128], out[128];
	bool on;
	int rc = read_scaling(g, &on, e);

	if (rc < 0 || !on)
		return rc;
	rc = js_opt_str(c, c->root, "hook_point_in", "", in, sizeof(in), e);
	if (rc == 0)
		rc = js_opt_str(c, c->root, "hook_point_out", in, out, sizeof(out), e);
	if (rc == 0)
		rc = tensor_factor(g, in, &g->in, e);
	return rc == 0 ? tensor_factor(g, out, &g->out, e) : rc;
}

/* Only "sae" reads one place: crosscoders, CLTs, lorsa and molt do not. */
static int
check_type(struct sae_loading *l, struct err *e)
{
	char type[24];
	int rc = js_need_str(&l->cfg, l->cfg.root, "sae_type", type, sizeof(type), e);

	if (rc == 0 && strcmp(type, "sae") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: sae_type \"%s\" is not supported (sae is)", l->cfg.name,
			type);
	return rc;
}

int
llamascopium_load(struct sae_loading *l, struct err *e)
{
	static const char *const ignored[] = {"dataset_average_activation_norm.*",
		NULL};
	struct scope g = {.l = l};
	struct sae_info *n = &l->s->info;
	int rc = check_type(l, e);

	if (rc == 0)
		rc = read_common(&g, e);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, l->cfg.root, "sparsity_include_decoder_norm",
			true, &g.by_norm, e);
	if (rc == 0)
		rc = tensor_factors(&g, e);
	if (rc == 0)
		rc = read_weights(&g, false,
			n->kind == SAE_JUMPRELU
				? "activation_function.log_jumprelu_threshold"
				: NULL,
			ignored, e);
	if (rc < 0)
		return rc;
	divide_threshold(&g);
	n->rescale_by_decoder_norm = g.by_norm && n->kind == SAE_TOPK;
	sae_fold_scale(l->s, (float)g.in, (float)g.out);
	sae_note(l, "x * %.9g, output / %.9g", g.in, g.out);
	return 0;
}
