/* SPDX-License-Identifier: ISC */
/*
 * One layer of a cross-layer transcoder, as an SAE: it reads in its layer and gives
 * to that and all layers above, whose rows lie end to end. The files of the other
 * layers may be missing; those that are there must agree. And circuit-tracer's:
 * W_enc_N.* (W_enc_N, b_enc_N, b_dec_N, perhaps threshold_N and W_skip_N) beside
 * W_dec_N.* (W_dec_N: feature, target from N on, dimension).
 */
#include "model/sae_clt.h"
#include "util/mem.h"
#include "util/paged.h"

#include <stdio.h>
#include <string.h>

#define LAYERS_MAX 100000

const char *
clt_named(char out[NAME_BYTES], const char *what, uint32_t layer)
{
	snprintf(out, NAME_BYTES, "%s%u", what, layer);
	return out;
}

/* Whether a file's name is prefix, a number and the suffix. */
static bool
is_layer(const struct clt *c, const char *prefix, const char *base, uint32_t *layer)
{
	char name[NAME_BYTES];
	size_t n;

	if (!sae_path_number(base, prefix, layer))
		return false;
	n = strlen(clt_named(name, prefix, *layer));
	return strncmp(base, name, n) == 0 && strcmp(base + n, c->suffix) == 0;
}

int
clt_init(struct clt *c, struct sae_loading *l, const char *prefix, struct err *e)
{
	const char *base = strrchr(l->path, '/') + 1;

	*c = (struct clt){.l = l, .suffix = strrchr(base, '.')};
	if (!is_layer(c, prefix, base, &c->layer) || c->layer > LAYERS_MAX)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: its name does not tell the layer, as in %s0%s", l->path,
			prefix, c->suffix);
	return 0;
}

/* ---- shapes ---------------------------------------------------------------- */

const struct tensor *
clt_find_decoder(const struct tensors *t, const char *name, struct err *e)
{
	const struct tensor *w = tensors_find(t, name);

	if (!w)
		err_set(e, ERR_MISMATCH, "%s: tensor %s is missing", tensors_path(t),
			name);
	else if (w->rank != 3)
		err_set(e, ERR_MISMATCH,
			"%s: tensor %s has %zu dimensions, but a cross-layer "
			"transcoder has 3 there: features, layers, d_model",
			w->path, name, w->rank);
	else if (w->shape[1] < 1 || w->shape[1] > LAYERS_MAX)
		err_set(e, ERR_FORMAT, "%s: tensor %s is for %zu layers", w->path, name,
			w->shape[1]);
	else
		return w;
	return NULL;
}

int
clt_set_dims(struct clt *c, const struct tensor *w, struct err *e)
{
	struct sae_info *n = &c->l->s->info;

	if (n->d_out != n->d_in)
		return err_set(e, ERR_MISMATCH,
			"%s: reads %u dimensions, but its b_dec has %u: a cross-layer "
			"transcoder has d_model of both",
			c->l->path, n->d_in, n->d_out);
	if (w->shape[0] != n->d_sae || w->shape[2] != n->d_in)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s is for %zu features of %zu dimensions, but %s "
			"has %u of %u",
			w->path, w->name, w->shape[0], w->shape[2], c->l->path,
			n->d_sae, n->d_in);
	n->n_targets = c->n_layers - c->layer;
	if ((uint64_t)n->n_targets * n->d_in > SAE_DIM_MAX)
		return err_set(e, ERR_FORMAT, "%s: tensor %s is out of range", w->path,
			w->name);
	n->d_out = n->n_targets * n->d_in;
	return 0;
}

/* ---- the other layers -------------------------------------------------------- */

static int
check_file(const struct clt *c, const char *name, uint32_t layer, clt_check_fn *check,
	struct err *e)
{
	char path[PATH_BYTES];
	struct tensors *t = NULL;
	int rc = path_join(path, e, "%s/%s", c->l->dir, name);

	if (rc == 0 && layer >= c->n_layers)
		return err_set(e, ERR_MISMATCH,
			"%s: the decoder of layer %u ends with layer %u: it lacks "
			"targets, or the files are of two transcoders",
			path, c->layer, c->n_layers - 1);
	if (rc == 0)
		rc = tensors_open(&t, path, e);
	if (rc == 0)
		rc = check(c, t, layer, e);
	tensors_close(t);
	return rc;
}

int
clt_check_others(const struct clt *c, const char *prefix, clt_check_fn *check,
	struct err *e)
{
	char **names = NULL;
	size_t n = 0;
	uint32_t layer;
	int rc = dir_list(c->l->dir, &names, &n, e);

	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && is_layer(c, prefix, names[i], &layer) &&
			layer != c->layer)
			rc = check_file(c, names[i], layer, check, e);
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}

int
clt_mixed(const struct clt *c, const struct tensors *t, const char *what, bool has,
	struct err *e)
{
	return err_set(e, ERR_MISMATCH,
		"%s: has %s %s, unlike %s: they are no layers of one transcoder",
		tensors_path(t), has ? "a" : "no", what, c->l->path);
}

int
clt_same_layers(const struct clt *c, const struct tensor *w, size_t n_layers,
	struct err *e)
{
	if (n_layers == c->n_layers)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"%s: tensor %s is of a transcoder of %zu layers, but layer %u is of "
		"one of %u",
		w->path, w->name, n_layers, c->layer, c->n_layers);
}

/* ---- values ---------------------------------------------------------------- */

int
clt_load_decoder(struct clt *c, const struct tensor *w, uint32_t below, bool *any,
	struct err *e)
{
	struct sae *s = c->l->s;
	size_t o = s->info.d_out, skip = (size_t)below * s->info.d_in;
	float *left = mem_new(skip, sizeof(*left));
	int rc = 0;

	s->w_dec = paged_new(s->info.d_sae, o * sizeof(*s->w_dec), e);
	if (!s->w_dec)
		rc = err_wrap(e, "%s: tensor %s", w->path, w->name);
	else if (!left)
		rc = err_set(e, ERR_NOMEM, "%s: memory ran out for tensor %s", w->path,
			w->name);
	for (size_t f = 0; rc == 0 && f < s->info.d_sae; f++) {
		size_t from = f * (skip + o);

		rc = tensor_floats_some(w, from, skip, left, false, e);
		for (size_t i = 0; rc == 0 && i < skip; i++)
			*any |= left[i] != 0;
		if (rc == 0)
			rc = tensor_floats_some(w, from + skip, o, s->w_dec + f * o,
				false, e);
	}
	mem_free(left);
	return rc;
}

int
clt_load_parts(struct clt *c, const struct sae_part *parts, size_t n,
	const char *const *ignored, struct err *e)
{
	struct sae *s = c->l->s;
	float *first;
	int rc = sae_parts(c->l, parts, n, ignored, e);

	first = s->b_dec;
	s->b_dec = NULL;
	if (rc == 0)
		rc = sae_zeros(&s->b_dec, s->info.d_out, e);
	if (rc == 0)
		memcpy(s->b_dec, first, s->info.d_in * sizeof(*first));
	mem_free(first);
	return rc;
}

static int
check_layer(const struct clt *c, const struct hook *h, const char *where, struct err *e)
{
	if (h->layer == c->layer)
		return 0;
	return err_set(e, ERR_MISMATCH, "%s: %s is not in layer %u, which %s is of",
		where, h->name, c->layer, c->l->path);
}

int
clt_check_hooks(const struct clt *c, const char *where, struct err *e)
{
	const struct sae_info *n = &c->l->s->info;
	int rc = n->hook_given ? 0 : check_layer(c, &n->hook, where, e);

	return rc == 0 ? check_layer(c, &n->hook_out, where, e) : rc;
}

void
clt_note(const struct clt *c)
{
	char gives[128];

	sae_gives(&c->l->s->info, gives, sizeof(gives));
	sae_note(c->l, "cross-layer, gives %s: rows end to end, b_dec%s of the first",
		gives, c->l->s->w_skip ? " and x W_skip" : "");
}

void
clt_set_kind(struct clt *c, enum sae_kind kind)
{
	struct sae_info *n = &c->l->s->info;

	n->kind = kind;
	n->transcoder = n->cross_layer = n->prepend_bos = true;
	snprintf(n->architecture, sizeof(n->architecture), "%s", sae_kind_name(kind));
}

/* ---- circuit-tracer ---------------------------------------------------------- */

static int
open_decoder(struct clt *c, struct err *e)
{
	struct sae_loading *l = c->l;
	char path[PATH_BYTES], name[NAME_BYTES];
	const struct tensor *w;
	int rc = path_join(path, e, "%s/W_dec_%u%s", l->dir, c->layer, c->suffix);

	if (rc < 0)
		return rc;
	if (!file_exists(path))
		return err_set(e, ERR_NOTFOUND,
			"%s is missing, which holds the decoder of %s", path, l->path);
	rc = tensors_open(&l->more, path, e);
	if (rc < 0)
		return rc;
	w = clt_find_decoder(l->more, clt_named(name, "W_dec_", c->layer), e);
	if (!w)
		return e->code;
	if (tensors_n(l->more) != 1)
		return err_set(e, ERR_MISMATCH, "%s: holds more than tensor %s", path,
			name);
	c->n_layers = c->layer + (uint32_t)w->shape[1];
	return clt_set_dims(c, w, e);
}

static bool
has(const struct tensors *t, const char *what, uint32_t layer)
{
	char name[NAME_BYTES];

	return tensors_find(t, clt_named(name, what, layer)) != NULL;
}

static int
same_encoder(const struct clt *c, const struct tensors *t, uint32_t layer,
	struct err *e)
{
	static const char *const may[] = {"threshold_", "W_skip_"};

	for (size_t i = 0; i < 2; i++) {
		bool it = has(t, may[i], layer);
		char name[NAME_BYTES];

		if (it != has(c->l->t, may[i], c->layer))
			return clt_mixed(c, t, clt_named(name, may[i], layer), it, e);
	}
	return 0;
}

static int
same_decoder(const struct clt *c, const struct tensors *t, uint32_t layer,
	struct err *e)
{
	char name[NAME_BYTES];
	const struct tensor *w =
		clt_find_decoder(t, clt_named(name, "W_dec_", layer), e);

	return w ? clt_same_layers(c, w, layer + w->shape[1], e) : e->code;
}

static int
load_circuit(struct clt *c, struct err *e)
{
	struct sae *s = c->l->s;
	char enc[NAME_BYTES], b_enc[NAME_BYTES], b_dec[NAME_BYTES], may[2][NAME_BYTES];
	struct sae_part parts[5] = {
		{clt_named(enc, "W_enc_", c->layer), {AXIS_SAE, AXIS_IN}, &s->w_enc,
			false},
		{clt_named(b_enc, "b_enc_", c->layer), {AXIS_SAE, AXIS_NONE}, &s->b_enc,
			false},
		{clt_named(b_dec, "b_dec_", c->layer), {AXIS_IN, AXIS_NONE}, &s->b_dec,
			false},
	};
	size_t n = 3;
	bool any = false;
	int rc;

	if (s->info.kind == SAE_JUMPRELU)
		parts[n++] =
			(struct sae_part){clt_named(may[0], "threshold_", c->layer),
				{AXIS_SAE, AXIS_NONE}, &s->threshold, false};
	if (has(c->l->t, "W_skip_", c->layer)) /* x @ W_skip, unlike layer_N's */
		parts[n++] = (struct sae_part){clt_named(may[1], "W_skip_", c->layer),
			{AXIS_IN, AXIS_IN}, &s->w_skip, true};
	rc = clt_load_parts(c, parts, n, NULL, e);
	if (rc == 0)
		rc = clt_load_decoder(c, tensors_at(c->l->more, 0), 0, &any, e);
	return rc == 0 ? circuit_check_threshold(c->l, e) : rc;
}

int
circuit_clt_load(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	char enc[NAME_BYTES], b_enc[NAME_BYTES], b_dec[NAME_BYTES];
	struct circuit_config y;
	struct clt c;
	int rc = clt_init(&c, l, "W_enc_", e);

	if (rc == 0)
		rc = circuit_config(l, "cross_layer_transcoder", &y, e);
	if (rc == 0 && y.k[0])
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s/config.yaml: k is %s, but circuit-tracer's cross-layer "
			"transcoders choose by no k",
			l->dir, y.k);
	if (rc == 0)
		rc = sae_dims(l, clt_named(enc, "W_enc_", c.layer),
			clt_named(b_enc, "b_enc_", c.layer),
			clt_named(b_dec, "b_dec_", c.layer), e);
	if (rc == 0)
		rc = open_decoder(&c, e);
	if (rc == 0)
		rc = clt_check_others(&c, "W_enc_", same_encoder, e);
	if (rc == 0)
		rc = clt_check_others(&c, "W_dec_", same_decoder, e);
	if (rc < 0)
		return rc;
	clt_set_kind(&c, has(l->t, "threshold_", c.layer) ? SAE_JUMPRELU : SAE_RELU);
	snprintf(n->model_name, sizeof(n->model_name), "%s", y.model);
	rc = circuit_hooks(l, &y, true, c.layer, e);
	if (rc == 0)
		rc = clt_check_hooks(&c, "config.yaml", e);
	if (rc == 0)
		rc = load_circuit(&c, e);
	if (rc == 0)
		clt_note(&c);
	return rc;
}
