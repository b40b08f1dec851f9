/* SPDX-License-Identifier: ISC */
/*
 * EleutherAI's sparsify: cfg.json and sae.safetensors in a directory that is
 * named as the module, layers.5.mlp. Its relu stands before the choice of the
 * largest, which is the same as after.
 */
#include "model/sae_int.h"

#include <stdio.h>
#include <string.h>

static int
read_kind(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	bool is_signed = false;
	int rc = js_opt_str(&l->cfg, l->cfg.root, "activation", "topk", n->architecture,
		sizeof(n->architecture), e);

	n->kind = strcmp(n->architecture, "groupmax") == 0 ? SAE_GROUPMAX : SAE_TOPK;
	if (rc == 0 && n->kind == SAE_TOPK && strcmp(n->architecture, "topk") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: activation \"%s\" is not supported (topk and groupmax "
			"are)",
			l->cfg.name, n->architecture);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, l->cfg.root, "signed", false, &is_signed, e);
	if (rc == 0 && is_signed)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: signed is true; activations below 0 are not supported",
			l->cfg.name);
	return rc;
}

/* num_latents, or d_in times expansion_factor when that is 0. */
static int
read_dims(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	uint32_t factor = 32;
	uint64_t product;
	int rc = js_need_u32(&l->cfg, l->cfg.root, "d_in", &n->d_in, e);

	if (rc == 0)
		rc = js_opt_u32(&l->cfg, l->cfg.root, "num_latents", 0, &n->d_sae, e);
	if (rc == 0)
		rc = js_opt_u32(&l->cfg, l->cfg.root, "expansion_factor", 32, &factor,
			e);
	product = (uint64_t)n->d_in * factor;
	if (rc == 0 && n->d_sae == 0)
		n->d_sae = product > UINT32_MAX ? 0 : (uint32_t)product;
	n->d_out = n->d_in;
	if (rc == 0)
		rc = sae_check_dims(l, e);
	if (rc == 0)
		rc = js_need_u32(&l->cfg, l->cfg.root, "k", &n->k, e);
	return rc == 0 ? sae_check_k(l, e) : rc;
}

/* The run's config.json in the directory above names the model. */
static int
read_run(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	struct js_doc d = {0};
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/../config.json", l->dir);

	n->prepend_bos = true;
	if (rc < 0 || !file_exists(path))
		return rc;
	rc = js_open(&d, path, SAE_CFG_MAX_BYTES, SAE_CFG_MAX_DEPTH, e);
	if (rc == 0)
		rc = js_opt_str(&d, d.root, "model", "", n->model_name,
			sizeof(n->model_name), e);
	if (rc == 0)
		rc = js_opt_u32(&d, d.root, "ctx_len", 0, &n->context_size, e);
	js_close(&d);
	return rc;
}

/* A module's output is read; a transcoder reads its input and gives its output. */
static int
read_hooks(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	char name[160], in[192], path[PATH_BYTES], *base;
	bool is_module;
	int rc = sae_full_path(l, path, e);

	if (rc < 0)
		return rc;
	*strrchr(path, '/') = '\0'; /* the weights */
	base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	is_module = strchr(base, '.') != NULL || strcmp(base, "embed_tokens") == 0;
	snprintf(name, sizeof(name), "%.159s", is_module ? base : "");
	snprintf(in, sizeof(in), "%s%s", name,
		n->transcoder && name[0] ? ".input" : "");
	rc = sae_hook_in(l, in, "the directory's name", e);
	if (rc < 0 || !n->transcoder)
		return rc;
	return sae_hook_out(l, name, "the directory's name", e);
}

static int
read_weights(struct sae_loading *l, bool skip, struct err *e)
{
	struct sae *s = l->s;
	const struct sae_part parts[] = {
		{"encoder.weight", {AXIS_SAE, AXIS_IN}, &s->w_enc, false},
		{"encoder.bias", {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{"W_dec", {AXIS_SAE, AXIS_OUT}, &s->w_dec, false},
		{"b_dec", {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
		{"W_skip", {AXIS_OUT, AXIS_IN}, &s->w_skip, false},
	};
	int rc = sae_parts(l, parts, skip ? 5 : 4, NULL, e);

	if (rc == 0 && s->info.transcoder)
		sae_note(l, "gives %s", s->info.hook_out.name);
	if (rc == 0 && skip)
		sae_note(l, "W_skip x added");
	return rc;
}

int
sparsify_load(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	bool skip = false;
	int rc = read_kind(l, e);

	if (rc == 0)
		rc = read_dims(l, e);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, l->cfg.root, "transcode", false,
			&n->transcoder, e);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, l->cfg.root, "skip_connection", false, &skip,
			e);
	n->subtract_b_dec = !n->transcoder;
	if (rc == 0)
		rc = read_run(l, e);
	if (rc == 0)
		rc = read_hooks(l, e);
	return rc == 0 ? read_weights(l, skip, e) : rc;
}
