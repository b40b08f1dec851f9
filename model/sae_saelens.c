/* SPDX-License-Identifier: ISC */
/*
 * SAELens 6: cfg.json and sae_weights.safetensors. W_enc is (d_in, d_sae) in
 * the file and becomes one row per feature here.
 */
#include "model/json.h"
#include "model/sae_int.h"
#include "model/tensors.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CFG_MAX_BYTES ((size_t)16 << 20)
#define CFG_MAX_DEPTH 64
#define DIM_MAX (1u << 28)

struct loading {
	struct sae *s;
	struct js_doc cfg;
	const struct js *metadata;
	struct tensors *t;
	char path[PATH_BYTES]; /* of the weights */
};

/* ---- cfg.json ----------------------------------------------------------- */

static const struct {
	const char *name;
	enum sae_kind kind;
} architectures[] = {
	{"standard", SAE_RELU},
	{"jumprelu", SAE_JUMPRELU},
	{"topk", SAE_TOPK},
	{"gated", SAE_GATED},
};

static int
cfg_architecture(struct loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const struct js *root = l->cfg.root;
	int rc = js_need_str(&l->cfg, root, "architecture", n->architecture,
		sizeof(n->architecture), e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++) {
		n->kind = architectures[i].kind;
		if (strcmp(n->architecture, architectures[i].name) == 0)
			return 0;
	}
	return err_set(e, ERR_UNSUPPORTED,
		"%s: architecture \"%s\" is not supported (standard, jumprelu, topk "
		"and gated are; export a batchtopk SAE for inference, and it is a "
		"jumprelu)",
		l->cfg.name, n->architecture);
}

/* Files without a version are from before version 6: flat, with other names. */
static int
cfg_version(struct loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const struct js *root = l->cfg.root;
	const struct js *at = js_get(root, "sae_lens_version") ? root : l->metadata;
	int rc = js_opt_str(&l->cfg, at, "sae_lens_version", "", n->version,
		sizeof(n->version), e);

	if (rc == 0 && atoi(n->version) < 6)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: written by SAELens %s; load and save it with SAELens 6",
			l->cfg.name, n->version[0] ? n->version : "before 6");
	return rc;
}

static int
cfg_norm(struct loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	char norm[64];
	int rc = js_opt_str(&l->cfg, l->cfg.root, "normalize_activations", "none", norm,
		sizeof(norm), e);

	if (rc < 0)
		return rc;
	n->norm = SAE_NORM_NONE;
	if (strcmp(norm, "constant_norm_rescale") == 0) {
		n->norm = SAE_NORM_CONSTANT;
	} else if (strcmp(norm, "layer_norm") == 0) {
		n->norm = SAE_NORM_LAYER;
	} else if (strcmp(norm, "expected_average_only_in") == 0) {
		snprintf(n->rules, sizeof(n->rules),
			"expected_average_only_in is not applied at inference");
	} else if (strcmp(norm, "none") != 0) {
		return err_set(e, ERR_UNSUPPORTED,
			"%s: normalize_activations \"%s\" is not supported",
			l->cfg.name, norm);
	}
	return 0;
}

static int
cfg_top(struct loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const struct js *root = l->cfg.root;
	char reshape[64];
	uint32_t k;
	int rc = js_need_u32(&l->cfg, root, "d_in", &n->d_in, e);

	if (rc == 0)
		rc = js_need_u32(&l->cfg, root, "d_sae", &n->d_sae, e);
	if (rc == 0 &&
		(n->d_in < 1 || n->d_sae < 1 || n->d_in > DIM_MAX ||
			n->d_sae > DIM_MAX))
		rc = err_set(e, ERR_FORMAT,
			"%s: d_in (%u) or d_sae (%u) is out of range", l->cfg.name,
			n->d_in, n->d_sae);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, root, "apply_b_dec_to_input", true,
			&n->subtract_b_dec, e);
	if (rc == 0)
		rc = js_opt_str(&l->cfg, root, "reshape_activations", "none", reshape,
			sizeof(reshape), e);
	if (rc == 0 && strcmp(reshape, "none") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: reshape_activations \"%s\" is not supported", l->cfg.name,
			reshape);
	if (rc < 0 || n->kind != SAE_TOPK)
		return rc;
	rc = js_need_u32(&l->cfg, root, "k", &k, e);
	if (rc == 0 && (k < 1 || k > n->d_sae))
		rc = err_set(e, ERR_MISMATCH,
			"%s: k is %u, but it must lie between 1 and "
			"d_sae, which is %u",
			l->cfg.name, k, n->d_sae);
	n->k = k;
	return rc < 0 ? rc
		      : js_opt_bool(&l->cfg, root, "rescale_acts_by_decoder_norm",
				false, &n->rescale_by_decoder_norm, e);
}

static int
cfg_metadata(struct loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const struct js *head = js_get(l->metadata, "hook_head_index");
	const struct js *kwargs = js_get(l->metadata, "model_from_pretrained_kwargs");
	char hook[128];
	int rc = js_need_str(&l->cfg, l->metadata, "hook_name", hook, sizeof(hook), e);

	if (rc == 0 && hook_parse(&n->hook, hook, e) < 0)
		rc = err_wrap(e, "%s: metadata.hook_name", l->cfg.name);
	if (rc == 0 && js_type(head) != JS_ABSENT && js_type(head) != JS_NULL)
		rc = err_set(e, ERR_UNSUPPORTED, "%s: hook_head_index is not supported",
			l->cfg.name);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, kwargs, "center_writing_weights", false,
			&n->center, e);
	if (rc == 0)
		rc = js_opt_bool(&l->cfg, l->metadata, "prepend_bos", true,
			&n->prepend_bos, e);
	if (rc == 0)
		rc = js_opt_u32(&l->cfg, l->metadata, "context_size", 0,
			&n->context_size, e);
	return rc < 0 ? rc
		      : js_opt_str(&l->cfg, l->metadata, "model_name", "",
				n->model_name, sizeof(n->model_name), e);
}

static int
read_cfg(struct loading *l, struct err *e)
{
	int rc;

	snprintf(l->s->info.family, sizeof(l->s->info.family), "saelens");
	l->metadata = js_get(l->cfg.root, "metadata");
	rc = cfg_version(l, e);
	if (rc == 0)
		rc = cfg_architecture(l, e);
	if (rc == 0)
		rc = cfg_top(l, e);
	if (rc == 0)
		rc = cfg_norm(l, e);
	return rc == 0 ? cfg_metadata(l, e) : rc;
}

/* ---- sae_weights.safetensors -------------------------------------------- */

enum axis { NONE, D_IN, D_SAE };

/* One tensor of the file and where it goes. */
struct part {
	const char *name;
	enum axis axis[2];
	float **to;
	bool transpose;
};

static int
check_shape(const struct loading *l, const struct part *p, const struct tensor *t,
	struct err *e)
{
	const struct sae_info *n = &l->s->info;
	const size_t sizes[] = {[NONE] = 0, [D_IN] = n->d_in, [D_SAE] = n->d_sae};
	const char *const names[] = {[NONE] = "", [D_IN] = "d_in", [D_SAE] = "d_sae"};
	size_t rank = p->axis[1] == NONE ? 1 : 2;

	if (t->rank != rank)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s has %zu dimensions, but a %s SAE has %zu "
			"there",
			t->path, t->name, t->rank, n->architecture, rank);
	for (size_t i = 0; i < rank; i++) {
		if (t->shape[i] != sizes[p->axis[i]])
			return err_set(e, ERR_MISMATCH,
				"%s: tensor %s has %zu in dimension %zu, but %s says "
				"%s is %zu",
				t->path, t->name, t->shape[i], i, l->cfg.name,
				names[p->axis[i]], sizes[p->axis[i]]);
	}
	return 0;
}

/* to (cols, rows) = from (rows, cols), by tiles that stay in cache. */
static void
transpose(float *to, const float *from, size_t rows, size_t cols)
{
	const size_t tile = 32;

	for (size_t i = 0; i < rows; i += tile) {
		for (size_t j = 0; j < cols; j += tile) {
			for (size_t x = i; x < rows && x < i + tile; x++) {
				for (size_t y = j; y < cols && y < j + tile; y++)
					to[y * rows + x] = from[x * cols + y];
			}
		}
	}
}

static int
load_part(struct loading *l, const struct part *p, struct err *e)
{
	const struct tensor *t = tensors_find(l->t, p->name);
	float *raw;
	int rc;

	if (!t)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s is missing, but %s says the architecture is "
			"\"%s\"",
			l->path, p->name, l->cfg.name, l->s->info.architecture);
	rc = check_shape(l, p, t, e);
	if (rc < 0)
		return rc;
	*p->to = mem_new_aligned(t->n_values, sizeof(float));
	raw = p->transpose ? mem_new_aligned(t->n_values, sizeof(float)) : *p->to;
	if (!*p->to || !raw)
		rc = err_set(e, ERR_NOMEM, "%s: memory ran out for tensor %s", t->path,
			t->name);
	else
		rc = tensor_floats(t, raw, false, e);
	if (p->transpose) {
		if (rc == 0)
			transpose(*p->to, raw, t->shape[0], t->shape[1]);
		mem_free(raw);
	}
	return rc;
}

/* Every tensor of the file must be one that the architecture has. */
static int
check_known(const struct loading *l, const struct part *parts, size_t n_parts,
	struct err *e)
{
	for (size_t i = 0; i < tensors_n(l->t); i++) {
		const char *name = tensors_at(l->t, i)->name;
		bool known = false;

		for (size_t k = 0; k < n_parts; k++)
			known |= strcmp(name, parts[k].name) == 0;
		if (!known)
			return err_set(e, ERR_MISMATCH,
				"%s: holds tensor %s, but %s says the architecture is "
				"\"%s\", which has none",
				l->path, name, l->cfg.name, l->s->info.architecture);
	}
	return 0;
}

static int
read_weights(struct loading *l, struct err *e)
{
	struct sae *s = l->s;
	bool gated = s->info.kind == SAE_GATED, jump = s->info.kind == SAE_JUMPRELU;
	struct part parts[7] = {
		{"W_enc", {D_IN, D_SAE}, &s->w_enc, true},
		{"W_dec", {D_SAE, D_IN}, &s->w_dec, false},
		{"b_dec", {D_IN, NONE}, &s->b_dec, false},
		{gated ? "b_gate" : "b_enc", {D_SAE, NONE}, &s->b_enc, false},
	};
	size_t n = 4;
	int rc = 0;

	if (jump)
		parts[n++] =
			(struct part){"threshold", {D_SAE, NONE}, &s->threshold, false};
	if (gated) {
		parts[n++] =
			(struct part){"r_mag", {D_SAE, NONE}, &s->mag_scale, false};
		parts[n++] = (struct part){"b_mag", {D_SAE, NONE}, &s->mag_bias, false};
	}
	rc = check_known(l, parts, n, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = load_part(l, &parts[i], e);
	if (rc == 0 && gated)
		kernel_exp(s->mag_scale, s->mag_scale, s->info.d_sae);
	if (rc == 0)
		memcpy(s->info.dtype_file, tensors_find(l->t, "W_enc")->dtype_name,
			sizeof(s->info.dtype_file));
	return rc;
}

int
saelens_load(struct sae *s, const char *dir, struct err *e)
{
	struct loading l = {.s = s};
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/cfg.json", dir);

	if (rc == 0 && !file_exists(path))
		rc = err_set(e, ERR_NOTFOUND,
			"%s: no cfg.json there; a SAELens directory has cfg.json and "
			"sae_weights.safetensors",
			dir);
	if (rc == 0)
		rc = path_join(l.path, e, "%s/sae_weights.safetensors", dir);
	if (rc == 0)
		rc = js_open(&l.cfg, path, CFG_MAX_BYTES, CFG_MAX_DEPTH, e);
	if (rc == 0)
		rc = read_cfg(&l, e);
	if (rc == 0)
		rc = tensors_open(&l.t, l.path, e);
	if (rc == 0)
		rc = read_weights(&l, e);
	if (rc == 0)
		rc = tensors_sha256(l.t, s->file_hash, e);
	tensors_close(l.t);
	js_close(&l.cfg);
	return rc;
}
