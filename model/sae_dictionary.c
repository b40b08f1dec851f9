/* SPDX-License-Identifier: ISC */
/*
 * dictionary_learning (and SAEBench): config.json with a "trainer", and ae.pt.
 */
#include "model/sae_int.h"
#include "util/paged.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SUBTRACTS = 1, LINEAR = 2, THRESHOLD = 4, UNIT = 8 };

/* b_dec and b_enc: their tensors. LINEAR: encoder.weight and decoder.weight as
 * torch's Linear has them, else W_enc (d, n) and W_dec (n, d). THRESHOLD: one
 * for all features, as BatchTopK has it at inference. UNIT: its loader makes the
 * decoder's rows unit. */
static const struct dict_class {
	const char *name;
	enum sae_kind kind;
	unsigned flags;
	const char *b_enc, *b_dec;
} classes[] = {
	{"AutoEncoder", SAE_RELU, SUBTRACTS | LINEAR | UNIT, "encoder.bias", "bias"},
	{"AutoEncoderNew", SAE_RELU, LINEAR, "encoder.bias", "decoder.bias"},
	{"GatedAutoEncoder", SAE_GATED, SUBTRACTS | LINEAR, "gate_bias",
		"decoder_bias"},
	{"AutoEncoderTopK", SAE_TOPK, SUBTRACTS | LINEAR, "encoder.bias", "b_dec"},
	{"BatchTopKSAE", SAE_JUMPRELU, SUBTRACTS | LINEAR | THRESHOLD, "encoder.bias",
		"b_dec"},
	{"MatryoshkaBatchTopKSAE", SAE_JUMPRELU, SUBTRACTS | THRESHOLD, "b_enc",
		"b_dec"},
	{"JumpReluAutoEncoder", SAE_JUMPRELU, 0, "b_enc", "b_dec"},
};

static const struct dict_class *
find_class(struct sae_loading *l, const struct js *trainer, struct err *e)
{
	struct sae_info *n = &l->s->info;

	if (js_need_str(&l->cfg, trainer, "dict_class", n->architecture,
		    sizeof(n->architecture), e) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strcmp(n->architecture, classes[i].name) == 0)
			return &classes[i];
	}
	err_set(e, ERR_UNSUPPORTED,
		"%s: dict_class \"%s\" is not supported (AutoEncoder, AutoEncoderNew, "
		"GatedAutoEncoder, AutoEncoderTopK, BatchTopKSAE, "
		"MatryoshkaBatchTopKSAE and JumpReluAutoEncoder are)",
		l->cfg.name, n->architecture);
	return NULL;
}

static int
read_trainer(struct sae_loading *l, const struct js *trainer, struct err *e)
{
	const struct js *buffer = js_get(l->cfg.root, "buffer");
	struct sae_info *n = &l->s->info;
	int rc = js_need_u32(&l->cfg, trainer, "activation_dim", &n->d_in, e);

	if (rc == 0)
		rc = js_need_u32(&l->cfg, trainer, "dict_size", &n->d_sae, e);
	n->d_out = n->d_in;
	if (rc == 0)
		rc = sae_check_dims(l, e);
	if (rc == 0)
		rc = js_opt_str(&l->cfg, trainer, "lm_name", "", n->model_name,
			sizeof(n->model_name), e);
	n->prepend_bos = true;
	return rc < 0 ? rc
		      : js_opt_u32(&l->cfg, buffer, "ctx_len", 0, &n->context_size, e);
}

/* The module by its path, by its kind in the layer, or "resid_post_layer_8"; ""
 * where that is not told. */
static void
module_of(char *out, size_t size, const char *name, const char *layer)
{
	if (strstr(name, "layers.") || strncmp(name, "transformer.h.", 14) == 0)
		snprintf(out, size, "%s", name);
	else if (layer[0] && (!name[0] || strncmp(name, "resid_post", 10) == 0))
		snprintf(out, size, "layers.%s", layer);
	else if (layer[0] && (strcmp(name, "mlp") == 0 || strcmp(name, "attn") == 0))
		snprintf(out, size, "layers.%s.%s", layer, name);
	else
		snprintf(out, size, "%s", "");
}

/* What goes in or comes out of the module that training read. */
static int
read_hook(struct sae_loading *l, const struct js *trainer, struct err *e)
{
	const struct js *buffer = js_get(l->cfg.root, "buffer");
	char io[24] = "", name[96] = "", layer[16] = "", module[128], hook[160];
	uint32_t n = UINT32_MAX;
	int rc = js_opt_str(&l->cfg, buffer, "io", "out", io, sizeof(io), e);

	if (rc == 0)
		rc = js_opt_str(&l->cfg, trainer, "submodule_name", "", name,
			sizeof(name), e);
	if (rc == 0)
		rc = js_opt_u32(&l->cfg, trainer, "layer", UINT32_MAX, &n, e);
	if (rc < 0)
		return rc;
	if (strcmp(io, "out") != 0 && strcmp(io, "in") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: buffer.io \"%s\" is not supported (in and out are)",
			l->cfg.name, io);
	if (n != UINT32_MAX)
		snprintf(layer, sizeof(layer), "%u", n);
	module_of(module, sizeof(module), name, layer);
	snprintf(hook, sizeof(hook), "%s%s%s", module, module[0] ? "." : "",
		!module[0]             ? ""
			: io[0] == 'o' ? "output"
				       : "input");
	return sae_hook_in(l, hook, l->cfg.name, e);
}

static int
read_k(struct sae_loading *l, const struct js *trainer, struct err *e)
{
	struct sae_info *n = &l->s->info;
	double k = 0;
	bool found;
	int rc = sae_scalar(l, "k", &k, &found, e);

	if (rc < 0 || n->kind != SAE_TOPK)
		return rc;
	if (js_get(trainer, "k") || !found)
		rc = js_need_u32(&l->cfg, trainer, "k", &n->k, e);
	else
		n->k = k >= 1 && k < 1e9 ? (uint32_t)k : 0;
	if (rc == 0 && found && k != (double)n->k)
		rc = err_set(e, ERR_MISMATCH, "%s: k is %u, but tensor k of %s is %g",
			l->cfg.name, n->k, l->path, k);
	return rc == 0 ? sae_check_k(l, e) : rc;
}

/* -1 is what training starts from: the library would use none, unawares. */
static int
read_threshold(struct sae_loading *l, struct err *e)
{
	double value = -1;
	bool found;
	int rc = sae_scalar(l, "threshold", &value, &found, e);

	if (rc == 0 && !found)
		rc = err_set(e, ERR_MISMATCH,
			"%s: tensor threshold is missing, which a %s has", l->path,
			l->s->info.architecture);
	if (rc == 0 && value < 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: tensor threshold is %g: it was never set in training, so "
			"which features fire is not known",
			l->path, value);
	return rc == 0 ? sae_threshold_fill(l->s, (float)value, e) : rc;
}

static int
read_weights(struct sae_loading *l, const struct dict_class *c, struct err *e)
{
	static const char *const ignored[] = {"k", "threshold", "group_sizes", NULL};
	bool linear = c->flags & LINEAR;
	struct sae *s = l->s;
	struct sae_part parts[6] = {
		{"encoder.weight", {AXIS_SAE, AXIS_IN}, &s->w_enc, false},
		{"decoder.weight", {AXIS_OUT, AXIS_SAE}, &s->w_dec, true},
		{c->b_enc, {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{c->b_dec, {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
	};
	size_t n = 4;

	if (!linear) {
		parts[0] = (struct sae_part){"W_enc", {AXIS_IN, AXIS_SAE}, &s->w_enc,
			true};
		parts[1] = (struct sae_part){"W_dec", {AXIS_SAE, AXIS_OUT}, &s->w_dec,
			false};
	}
	if (c->kind == SAE_GATED) {
		parts[n++] = (struct sae_part){"r_mag", {AXIS_SAE, AXIS_NONE},
			&s->mag_scale, false};
		parts[n++] = (struct sae_part){"mag_bias", {AXIS_SAE, AXIS_NONE},
			&s->mag_bias, false};
	}
	if (c->kind == SAE_JUMPRELU && !(c->flags & THRESHOLD))
		parts[n++] = (struct sae_part){"threshold", {AXIS_SAE, AXIS_NONE},
			&s->threshold, false};
	return sae_parts(l, parts, n,
		c->kind == SAE_TOPK || c->flags & THRESHOLD ? ignored : NULL, e);
}

/* As AutoEncoder.from_pretrained does, unless all norms are 1. */
static void
make_unit(struct sae_loading *l)
{
	struct sae *s = l->s;
	bool unit = true;

	for (size_t f = 0; f < s->info.d_sae; f++) {
		paged_passed(s->info.d_out * sizeof(float));
		unit &= fabsf(kernel_norm(s->w_dec + f * s->info.d_out, s->info.d_out) -
				1) <= 1e-5f;
	}
	if (unit)
		return;
	sae_fold_norms(s);
	sae_note(l, "decoder norms folded, as from_pretrained does");
}

/* Several models or layers, as a crosscoder has, make it three dimensions. */
static int
check_single(const struct sae_loading *l, struct err *e)
{
	const struct tensor *t = tensors_find(l->t, "encoder.weight");

	if (tensors_find(l->t, "ae.encoder.weight") || tensors_find(l->t, "ae.W_enc"))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: a checkpoint of training, whose biases are not yet "
			"scaled; "
			"use the ae.pt that the end of training wrote",
			l->path);
	if (!t || t->rank != 3)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		"%s: a crosscoder: it reads several layers or models at once, which "
		"saedb does not do",
		l->path);
}

int
dictionary_load(struct sae_loading *l, struct err *e)
{
	const struct js *trainer = js_get(l->cfg.root, "trainer");
	const struct dict_class *c = NULL;
	struct sae *s = l->s;
	int rc = check_single(l, e);

	if (rc == 0)
		c = find_class(l, trainer, e);
	if (!c)
		return e->code;
	s->info.kind = c->kind;
	s->info.subtract_b_dec = c->flags & SUBTRACTS;
	rc = read_trainer(l, trainer, e);
	if (rc == 0)
		rc = read_k(l, trainer, e);
	if (rc == 0)
		rc = read_hook(l, trainer, e);
	if (rc == 0)
		rc = read_weights(l, c, e);
	if (rc == 0 && c->flags & THRESHOLD)
		rc = read_threshold(l, e);
	if (rc == 0 && s->mag_scale)
		kernel_exp(s->mag_scale, s->mag_scale, s->info.d_sae);
	if (rc == 0 && c->flags & UNIT)
		make_unit(l);
	return rc;
}
