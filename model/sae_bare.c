/* SPDX-License-Identifier: ISC */
/*
 * Families that are weights alone, without a config: OpenAI's for GPT-2, Goodfire's,
 * qresearch's and Qwen-Scope's. What the weights do not tell stands in their path.
 */
#include "model/sae_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- OpenAI ------------------------------------------------------------------ */

#define OPENAI_K 32 /* of version 5, for files that do not tell */

static const struct {
	const char *location, *site;
} locations[] = {
	{"mlp_post_act", "mlp.hook_post"},
	{"resid_delta_attn", "hook_attn_out"},
	{"resid_delta_mlp", "hook_mlp_out"},
	{"resid_post_attn", "hook_resid_mid"},
	{"resid_post_mlp", "hook_resid_post"},
};

/* The site, or NULL; *rest is what follows the location, such as _v5_32k/... */
static const char *
find_location(const char *path, const char **rest)
{
	*rest = "";
	for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
		const char *at = strstr(path, locations[i].location);

		if (!at)
			continue;
		*rest = at + strlen(locations[i].location);
		return locations[i].site;
	}
	return NULL;
}

/* A text that stands beside the tensors of a .pt file; NULL where there is none. */
static int
meta_text(const struct sae_loading *l, const char *name, const char **out,
	struct err *e)
{
	const struct tensor_meta *m = tensors_meta(l->t, name);

	*out = NULL;
	if (!m || m->type == META_NONE)
		return 0;
	if (m->type != META_STR)
		return err_set(e, ERR_FORMAT, "%s: value %s is no text", l->path, name);
	*out = m->str;
	return 0;
}

/* The class of the activation; NULL where the file does not tell. */
static int
openai_activation(const struct sae_loading *l, const char **out, struct err *e)
{
	const char *after = NULL;
	int rc = meta_text(l, "activation", out, e);

	if (rc == 0)
		rc = meta_text(l, "activation_state_dict.postact_fn", &after, e);
	if (rc < 0)
		return rc;
	if (*out && strcmp(*out, "TopK") != 0 && strcmp(*out, "ReLU") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: activation \"%s\" is not supported (ReLU and TopK are)",
			l->path, *out);
	if (after && strcmp(after, "ReLU") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: activation_state_dict.postact_fn \"%s\" is not supported "
			"(ReLU is)",
			l->path, after);
	return 0;
}

/* The activation that the file names against the k it has; k may be absent. */
static int
openai_check(const struct sae_loading *l, const char *activation, bool found, double k,
	struct err *e)
{
	bool topk = activation && strcmp(activation, "TopK") == 0;

	if (topk && !found)
		return err_set(e, ERR_MISMATCH,
			"%s: activation_state_dict.k is missing, which a TopK has",
			l->path);
	if (activation && !topk && found)
		return err_set(e, ERR_MISMATCH,
			"%s: activation is \"%s\", but there is an "
			"activation_state_dict.k",
			l->path, activation);
	if (found && !(k >= 1 && k < 1e9 && k == floor(k)))
		return err_set(e, ERR_MISMATCH,
			"%s: activation_state_dict.k is %g, which is no count", l->path,
			k);
	return 0;
}

/* TopK if the weights or the path say so; ReLU only where the file names it or the
 * path is one of the releases, so that no TopK is taken for it. */
static int
openai_kind(struct sae_loading *l, bool published, const char *rest, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const char *activation = NULL;
	double k = 0;
	bool found = false;
	int rc = openai_activation(l, &activation, e);

	if (rc == 0)
		rc = sae_scalar(l, "activation_state_dict.k", &k, &found, e);
	if (rc == 0)
		rc = openai_check(l, activation, found, k, e);
	if (rc < 0)
		return rc;
	if (!activation && !found && !published)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: nothing tells whether it is a TopK: keep it as it was "
			"published, such as resid_post_mlp_v5_32k/autoencoders/8.pt",
			l->path);
	n->kind = found || (!activation && strncmp(rest, "_v5_", 4) == 0) ? SAE_TOPK
									  : SAE_RELU;
	strcpy(n->architecture, sae_kind_name(n->kind));
	if (n->kind != SAE_TOPK)
		return 0;
	n->norm = SAE_NORM_LAYER;
	n->k = found ? (uint32_t)k : OPENAI_K;
	if (!found)
		sae_note(l, "k by the release");
	return sae_check_k(l, e);
}

static int
openai_weights(struct sae_loading *l, struct err *e)
{
	static const char *const ignored[] = {"activation*", "stats_last_nonzero",
		"latents_activation_frequency", "latents_mean_square", NULL};
	struct sae *s = l->s;
	const struct sae_part parts[] = {
		{"encoder.weight", {AXIS_SAE, AXIS_IN}, &s->w_enc, false},
		{"decoder.weight", {AXIS_OUT, AXIS_SAE}, &s->w_dec, true},
		{"latent_bias", {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{"pre_bias", {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
	};

	return sae_parts(l, parts, 4, ignored, e);
}

int
openai_load(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const char *base = base_name(l->path), *site, *rest;
	char hook[96] = "", from[PATH_BYTES];
	int rc = sae_dims(l, "encoder.weight", "latent_bias", "pre_bias", e);

	if (rc == 0)
		rc = sae_full_path(l, from, e);
	if (rc < 0)
		return rc;
	site = find_location(from, &rest);
	if (site && base[0] >= '0' && base[0] <= '9')
		snprintf(hook, sizeof(hook), "blocks.%lu.%s", strtoul(base, NULL, 10),
			site);
	n->subtract_b_dec = true;
	n->context_size = 64;
	strcpy(n->model_name, "gpt2");
	rc = openai_kind(l, site != NULL, rest, e);
	if (rc == 0)
		rc = sae_hook_in(l, hook, "its path", e);
	return rc == 0 ? openai_weights(l, e) : rc;
}

/* ---- Goodfire and qresearch ------------------------------------------------------ */

/* "Llama-3.1-8B-Instruct-SAE-l19.pth": the model, and the layer whose output. names:
 * of the encoder, its bias, the decoder, its bias. */
static int
named_load(struct sae_loading *l, const char *const names[4], struct err *e)
{
	struct sae *s = l->s;
	const struct sae_part parts[] = {
		{names[0], {AXIS_SAE, AXIS_IN}, &s->w_enc, false},
		{names[1], {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{names[2], {AXIS_OUT, AXIS_SAE}, &s->w_dec, true},
		{names[3], {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
	};
	const char *base = base_name(l->path), *end = strstr(base, "-SAE-l");
	char hook[64] = "";
	uint32_t layer;
	int rc = sae_dims(l, names[0], names[1], names[3], e);

	s->info.kind = SAE_RELU;
	s->info.prepend_bos = true;
	strcpy(s->info.architecture, "relu");
	if (end && sae_path_number(base, "-SAE-l", &layer))
		snprintf(hook, sizeof(hook), "blocks.%u.hook_resid_post", layer);
	if (end)
		snprintf(s->info.model_name, sizeof(s->info.model_name), "%.*s",
			(int)(end - base), base);
	if (rc == 0)
		rc = sae_hook_in(l, hook, "the file's name", e);
	return rc == 0 ? sae_parts(l, parts, 4, NULL, e) : rc;
}

int
goodfire_load(struct sae_loading *l, struct err *e)
{
	static const char *const names[] = {"encoder_linear.weight",
		"encoder_linear.bias", "decoder_linear.weight", "decoder_linear.bias"};

	return named_load(l, names, e);
}

int
qresearch_load(struct sae_loading *l, struct err *e)
{
	static const char *const names[] = {"encoder.weight", "encoder.bias",
		"decoder.weight", "decoder.bias"};

	l->s->info.context_size = 1024;
	return named_load(l, names, e);
}

/* ---- Qwen-Scope ---------------------------------------------------------------- */

/* k and the model stand in the repository's name: SAE-Res-MODEL-W32K-L0_50. */
static int
qwen_path(struct sae_loading *l, const char *path, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const char *repo = strstr(path, "SAE-Res-"), *end = NULL;

	if (!sae_path_number(path, "-L0_", &n->k))
		return err_set(e, ERR_MISMATCH,
			"%s: k is missing: it stands in the directory's name as it was "
			"published, such as SAE-Res-Qwen3-1.7B-Base-W32K-L0_50",
			l->path);
	if (repo)
		end = strstr(repo, "-W");
	if (end)
		snprintf(n->model_name, sizeof(n->model_name), "Qwen/%.*s",
			(int)(end - repo - 8), repo + 8);
	sae_note(l, "k by the directory's name");
	return sae_check_k(l, e);
}

int
qwen_load(struct sae_loading *l, struct err *e)
{
	struct sae *s = l->s;
	const struct sae_part parts[] = {
		{"W_enc", {AXIS_SAE, AXIS_IN}, &s->w_enc, false},
		{"W_dec", {AXIS_OUT, AXIS_SAE}, &s->w_dec, true},
		{"b_enc", {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{"b_dec", {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
	};
	char hook[64] = "", path[PATH_BYTES];
	uint32_t layer;
	int rc = sae_dims(l, "W_enc", "b_enc", "b_dec", e);

	s->info.kind = SAE_TOPK;
	s->info.prepend_bos = true;
	strcpy(s->info.architecture, "topk");
	if (rc == 0)
		rc = sae_full_path(l, path, e);
	if (rc == 0)
		rc = qwen_path(l, path, e);
	if (sae_path_number(base_name(l->path), "layer", &layer))
		snprintf(hook, sizeof(hook), "blocks.%u.hook_resid_post", layer);
	if (rc == 0)
		rc = sae_hook_in(l, hook, "the file's name", e);
	return rc == 0 ? sae_parts(l, parts, 4, NULL, e) : rc;
}
