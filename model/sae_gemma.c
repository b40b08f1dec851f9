/* SPDX-License-Identifier: ISC */
/*
 * Gemma Scope 1 (params.npz; where it reads stands in its path) and 2
 * (params.safetensors with lower-case names, config.json). JumpReLU, no b_dec
 * subtracted, nothing normalised.
 */
#include "model/sae_int.h"

#include <stdio.h>
#include <string.h>

#define CONTEXT 1024

/* "gemma-scope-2b-pt-res" names gemma-2-2b; -it stays. */
static void
model_of(struct sae_info *n, const char *path)
{
	static const char *const sizes[] = {"27b", "9b", "2b"};
	const char *at = strstr(path, "gemma-scope-");

	for (size_t i = 0; at && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *size = at + strlen("gemma-scope-");
		size_t len = strlen(sizes[i]);

		if (strncmp(size, sizes[i], len) != 0 || size[len] != '-')
			continue;
		snprintf(n->model_name, sizeof(n->model_name), "google/gemma-2-%s%s",
			sizes[i], strncmp(size + len, "-it", 3) == 0 ? "-it" : "");
	}
}

/* The site by the repository's name in the path, "" when it is not there. */
static void
site_of(const char *path, uint32_t layer, bool *transcoder, char *hook, size_t size)
{
	static const struct {
		const char *repo, *site;
	} sites[] = {
		{"t-res", "hook_resid_post"},
		{"t-mlp", "hook_mlp_out"},
		{"t-att", "attn.hook_z"},
		{"t-transcoders", "ln2.hook_normalized"},
	};
	const char *at = strstr(path, "gemma-scope-");

	hook[0] = '\0';
	*transcoder = false;
	for (size_t i = 0; at && i < sizeof(sites) / sizeof(sites[0]); i++) {
		if (!strstr(at, sites[i].repo))
			continue;
		*transcoder = strcmp(sites[i].repo, "t-transcoders") == 0;
		snprintf(hook, size, "blocks.%u.%s", layer, sites[i].site);
	}
}

static int
load_params(struct sae_loading *l, bool lower, bool skip, struct err *e)
{
	struct sae *s = l->s;
	struct sae_part parts[6] = {
		{lower ? "w_enc" : "W_enc", {AXIS_IN, AXIS_SAE}, &s->w_enc, true},
		{lower ? "w_dec" : "W_dec", {AXIS_SAE, AXIS_OUT}, &s->w_dec, false},
		{"b_enc", {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{"b_dec", {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
		{"threshold", {AXIS_SAE, AXIS_NONE}, &s->threshold, false},
		/* x @ A, unlike other families' W_skip */
		{"affine_skip_connection", {AXIS_IN, AXIS_OUT}, &s->w_skip, true},
	};

	s->info.kind = SAE_JUMPRELU;
	strcpy(s->info.architecture, "jumprelu");
	s->info.prepend_bos = true;
	s->info.context_size = CONTEXT;
	return sae_parts(l, parts, skip ? 6 : 5, NULL, e);
}

static int
check_same(const struct sae_loading *l, struct err *e)
{
	const struct sae_info *n = &l->s->info;

	if (n->transcoder || n->d_in == n->d_out)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"%s: reads %u dimensions and gives %u, but is no transcoder", l->path,
		n->d_in, n->d_out);
}

static int
give_out(struct sae_loading *l, const char *said, const char *where, struct err *e)
{
	int rc = l->s->info.transcoder ? sae_hook_out(l, said, where, e) : 0;

	if (rc == 0 && l->s->info.transcoder)
		sae_note(l, l->s->w_skip ? "gives %s, with W_skip x" : "gives %s",
			l->s->info.hook_out.name);
	return rc;
}

int
gemma_load(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	char hook[96] = "", out[96] = "", from[PATH_BYTES];
	uint32_t layer;
	int rc = sae_dims(l, "W_enc", "b_enc", "b_dec", e);

	if (rc == 0)
		rc = sae_full_path(l, from, e);
	if (rc < 0)
		return rc;
	if (strstr(from, "/embedding/")) /* whose weights need sqrt(d) besides */
		snprintf(hook, sizeof(hook), "hook_embed");
	else if (sae_path_number(from, "layer_", &layer)) {
		site_of(from, layer, &n->transcoder, hook, sizeof(hook));
		snprintf(out, sizeof(out), "blocks.%u.hook_mlp_out", layer);
	}
	model_of(n, from);
	rc = check_same(l, e);
	if (rc == 0 && strcmp(hook, "hook_embed") == 0 && l->options->hook)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: an SAE of embeddings is not supported", l->dir);
	if (rc == 0)
		rc = sae_hook_in(l, hook, "its path", e);
	if (rc == 0)
		rc = load_params(l, false, false, e);
	return rc == 0 ? give_out(l, out, "its path", e) : rc;
}

/* ---- 2 -------------------------------------------------------------------- */

/* Where there is no config.json, the directory's name tells. */
static void
hooks_by_name(const char *dir, bool *transcoder, char *in, char *out, size_t size)
{
	static const struct {
		const char *name, *site;
	} sites[] = {
		{"resid_post", ".output"},
		{"attn_out", ".self_attn.o_proj.input"},
		{"mlp_out", ".post_feedforward_layernorm.output"},
		{"transcoder", ".pre_feedforward_layernorm.output"},
	};
	uint32_t layer;

	if (!sae_path_number(dir, "layer_", &layer))
		return;
	for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
		if (!strstr(dir, sites[i].name))
			continue;
		*transcoder = strcmp(sites[i].name, "transcoder") == 0;
		snprintf(in, size, "model.layers.%u%s", layer, sites[i].site);
		snprintf(out, size, "model.layers.%u.post_feedforward_layernorm.output",
			layer);
	}
}

static int
config2(struct sae_loading *l, char *in, char *out, size_t size, struct err *e)
{
	const struct js *root = l->cfg.root;
	struct sae_info *n = &l->s->info;
	char name[32];
	int rc = js_opt_str(&l->cfg, root, "architecture", "jump_relu", name,
		sizeof(name), e);

	if (rc == 0 && strcmp(name, "jump_relu") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: architecture \"%s\" is not supported (jump_relu is)",
			l->cfg.name, name);
	if (rc == 0)
		rc = js_opt_str(&l->cfg, root, "type", "sae", name, sizeof(name), e);
	n->transcoder = strcmp(name, "transcoder") == 0;
	if (rc == 0 && !n->transcoder && strcmp(name, "sae") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: type \"%s\" is not supported (sae and transcoder are)",
			l->cfg.name, name);
	if (rc == 0)
		rc = js_opt_str(&l->cfg, root, "hf_hook_point_in", "", in, size, e);
	if (rc == 0)
		rc = js_opt_str(&l->cfg, root, "hf_hook_point_out", "", out, size, e);
	return rc < 0 ? rc
		      : js_opt_str(&l->cfg, root, "model_name", "", n->model_name,
				sizeof(n->model_name), e);
}

/* What config.json says against what the weights are. */
static int
check2(const struct sae_loading *l, bool skip, struct err *e)
{
	const struct sae_info *n = &l->s->info;
	const struct js *root = l->cfg.root;
	uint32_t width = n->d_sae;
	bool affine = skip;
	int rc = js_opt_bool(&l->cfg, root, "affine_connection", skip, &affine, e);

	if (rc == 0)
		rc = js_opt_u32(&l->cfg, root, "width", width, &width, e);
	if (rc == 0 && affine != skip)
		rc = err_set(e, ERR_MISMATCH,
			"%s: affine_connection is %s, but %s has %s "
			"affine_skip_connection",
			l->cfg.name, affine ? "true" : "false", l->path,
			skip ? "an" : "no");
	if (rc == 0 && width != n->d_sae)
		rc = err_set(e, ERR_MISMATCH, "%s: width is %u, but %s has %u features",
			l->cfg.name, width, l->path, n->d_sae);
	return rc;
}

int
gemma2_load(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	bool skip = tensors_find(l->t, "affine_skip_connection") != NULL;
	char in[128] = "", out[128] = "", path[PATH_BYTES];
	int rc = sae_dims(l, "w_enc", "b_enc", "b_dec", e);

	if (rc == 0)
		rc = sae_full_path(l, path, e);
	if (rc == 0)
		rc = sae_config(l, "config.json", e);
	if (rc == 0 && l->cfg.root)
		rc = config2(l, in, out, sizeof(in), e);
	else if (rc == 0)
		hooks_by_name(path, &n->transcoder, in, out, sizeof(in));
	if (rc == 0 && l->cfg.root)
		rc = check2(l, skip, e);
	if (rc == 0)
		rc = check_same(l, e);
	if (rc == 0)
		rc = sae_hook_in(l, in, l->says, e);
	if (rc == 0)
		rc = load_params(l, true, skip, e);
	return rc == 0 ? give_out(l, out, l->says, e) : rc;
}
