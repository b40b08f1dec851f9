/* SPDX-License-Identifier: ISC */
/*
 * Gemma Scope 2's cross-layer transcoders: params_layer_N.* with lower-case names
 * (w_dec: feature, target from layer 0 on, dimension) and config.json for all layers.
 */
#include "model/sae_clt.h"

#include <stdio.h>
#include <string.h>

#define GEMMA_CONTEXT 1024

struct gemma_config {
	char in[128], out[128], type[32], architecture[32];
};

/* "model.layers.{all}.output" in the layer of the file. */
static int
in_layer(const struct clt *c, char *said, size_t size, struct err *e)
{
	char *all = strstr(said, "{all}"), rest[128];
	size_t at = all ? (size_t)(all - said) : 0;

	if (all) {
		snprintf(rest, sizeof(rest), "%s", all + 5);
		snprintf(said + at, size - at, "%u%.100s", c->layer, rest);
	}
	if (strchr(said, '{'))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: reads at \"%s\", which is no layer for each file",
			c->l->says, said);
	return 0;
}

static int
read_gemma(const struct clt *c, struct gemma_config *g, struct err *e)
{
	const struct js_doc *d = &c->l->cfg;
	struct sae_info *n = &c->l->s->info;
	int rc = js_opt_str(d, d->root, "architecture", "jump_relu", g->architecture,
		sizeof(g->architecture), e);

	if (rc == 0)
		rc = js_opt_str(d, d->root, "type", "clt", g->type, sizeof(g->type), e);
	if (rc == 0)
		rc = js_opt_str(d, d->root, "hf_hook_point_in", "", g->in,
			sizeof(g->in), e);
	if (rc == 0)
		rc = js_opt_str(d, d->root, "hf_hook_point_out", "", g->out,
			sizeof(g->out), e);
	if (rc == 0)
		rc = js_opt_str(d, d->root, "model_name", "", n->model_name,
			sizeof(n->model_name), e);
	return rc;
}

/* Where there is no config.json, the directory's name tells. */
static int
gemma_by_name(const struct clt *c, struct gemma_config *g, struct err *e)
{
	char path[PATH_BYTES];
	int rc = sae_full_path(c->l, path, e);

	if (rc < 0)
		return rc;
	strcpy(g->architecture, "jump_relu");
	strcpy(g->type, strstr(path, "crosscoder") ? "crosscoder" : "clt");
	if (strstr(path, "/clt/")) {
		strcpy(g->in, "model.layers.{all}.pre_feedforward_layernorm.output");
		strcpy(g->out, "model.layers.{all}.post_feedforward_layernorm.output");
	}
	return 0;
}

static int
gemma_config(struct clt *c, struct gemma_config *g, struct err *e)
{
	int rc = sae_config(c->l, "config.json", e);

	*g = (struct gemma_config){{0}, {0}, {0}, {0}};
	if (rc == 0)
		rc = c->l->cfg.root ? read_gemma(c, g, e) : gemma_by_name(c, g, e);
	if (rc == 0 && strcmp(g->architecture, "jump_relu") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: architecture \"%s\" is not supported (jump_relu is)",
			c->l->says, g->architecture);
	if (rc == 0 && strcmp(g->type, "clt") != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: type \"%s\" is not supported in files of layers (clt is)",
			c->l->says, g->type);
	if (rc == 0)
		rc = in_layer(c, g->in, sizeof(g->in), e);
	return rc == 0 ? in_layer(c, g->out, sizeof(g->out), e) : rc;
}

/* What config.json says against what the weights are; its width is of all layers. */
static int
check_gemma(const struct clt *c, bool skip, struct err *e)
{
	const struct js_doc *d = &c->l->cfg;
	uint32_t features = c->l->s->info.d_sae, width = features;
	bool affine = skip;
	int rc;

	if (!d->root)
		return 0;
	rc = js_opt_bool(d, d->root, "affine_connection", skip, &affine, e);
	if (rc == 0)
		rc = js_opt_u32(d, d->root, "width", width, &width, e);
	if (rc == 0 && affine != skip)
		rc = err_set(e, ERR_MISMATCH,
			"%s: affine_connection is %s, but %s has %s "
			"affine_skip_connection",
			d->name, affine ? "true" : "false", c->l->path,
			skip ? "an" : "no");
	if (rc == 0 && width != features && width != (uint64_t)features * c->n_layers)
		rc = err_set(e, ERR_MISMATCH,
			"%s: width is %u, but %s has %u features in each of %u layers",
			d->name, width, c->l->path, features, c->n_layers);
	return rc;
}

static int
same_gemma(const struct clt *c, const struct tensors *t, uint32_t layer, struct err *e)
{
	const char *skip = "affine_skip_connection";
	const struct tensor *w = clt_find_decoder(t, "w_dec", e);
	bool it = tensors_find(t, skip) != NULL;

	(void)layer;
	if (!w)
		return e->code;
	if (it != (tensors_find(c->l->t, skip) != NULL))
		return clt_mixed(c, t, skip, it, e);
	return clt_same_layers(c, w, w->shape[1], e);
}

static int
gemma_layers(struct clt *c, struct err *e)
{
	const struct tensor *w = clt_find_decoder(c->l->t, "w_dec", e);

	if (!w)
		return e->code;
	c->n_layers = (uint32_t)w->shape[1];
	if (c->layer >= c->n_layers)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor w_dec ends with layer %u: it lacks the targets "
			"from layer %u on",
			w->path, c->n_layers - 1, c->layer);
	return clt_set_dims(c, w, e);
}

static int
load_gemma(struct clt *c, bool skip, struct err *e)
{
	static const char *const decoder[] = {"w_dec", NULL};
	struct sae *s = c->l->s;
	const struct sae_part parts[5] = {
		{"w_enc", {AXIS_IN, AXIS_SAE}, &s->w_enc, true},
		{"b_enc", {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{"b_dec", {AXIS_IN, AXIS_NONE}, &s->b_dec, false},
		{"threshold", {AXIS_SAE, AXIS_NONE}, &s->threshold, false},
		/* x @ A */
		{"affine_skip_connection", {AXIS_IN, AXIS_IN}, &s->w_skip, true},
	};
	bool below = false;
	int rc = clt_load_parts(c, parts, skip ? 5 : 4, decoder, e);

	if (rc == 0)
		rc = clt_load_decoder(c, tensors_find(c->l->t, "w_dec"), c->layer,
			&below, e);
	if (rc == 0)
		clt_note(c);
	if (rc == 0 && below) /* as circuit-tracer does */
		sae_note(c->l, "w_dec of the layers below left out");
	return rc;
}

int
gemma_clt_load(struct sae_loading *l, struct err *e)
{
	bool skip = tensors_find(l->t, "affine_skip_connection") != NULL;
	struct gemma_config g;
	struct clt c;
	int rc = clt_init(&c, l, "params_layer_", e);

	if (rc == 0)
		rc = gemma_config(&c, &g, e);
	if (rc == 0)
		rc = sae_dims(l, "w_enc", "b_enc", "b_dec", e);
	if (rc == 0)
		rc = gemma_layers(&c, e);
	if (rc == 0)
		rc = clt_check_others(&c, "params_layer_", same_gemma, e);
	if (rc == 0)
		rc = check_gemma(&c, skip, e);
	if (rc < 0)
		return rc;
	clt_set_kind(&c, SAE_JUMPRELU);
	l->s->info.context_size = GEMMA_CONTEXT;
	rc = sae_hook_in(l, g.in, l->says, e);
	if (rc == 0)
		rc = sae_hook_out(l, g.out, l->says, e);
	if (rc == 0)
		rc = clt_check_hooks(&c, l->says, e);
	return rc == 0 ? load_gemma(&c, skip, e) : rc;
}
