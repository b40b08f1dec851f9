/* SPDX-License-Identifier: ISC */
/*
 * Heads: models that are described and not run. Their config.json tells layers and
 * widths; of their weights only what stands behind the last layer is copied, and
 * what is not there is left out.
 */
#include "model/lm_int.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define N_KEYS 4
#define VOCAB_MAX (1u << 24)

/* ---- config.json of any model ---------------------------------------------- */

/* One number, by the names that families have for it. */
struct dim {
	const char *keys[N_KEYS]; /* NULL behind the last */
	uint32_t most;
	bool loose; /* names that differ are different things: the first counts */
};

static const struct dim d_model = {{"hidden_size", "n_embd", "d_model"}, LM_DIM_MAX,
	false};
static const struct dim n_layers = {{"num_hidden_layers", "n_layer", "n_layers",
					    "num_layers"},
	LM_LAYERS_MAX, false};
static const struct dim n_vocab = {{"vocab_size"}, VOCAB_MAX, false};
static const struct dim n_ctx = {{"max_position_embeddings", "n_positions", "n_ctx"},
	1u << 24, true};
static const struct dim n_heads = {{"num_attention_heads", "n_head", "n_heads",
					   "num_heads"},
	LM_DIM_MAX, true};
static const struct dim d_head = {{"v_head_dim", "head_dim", "d_head"}, LM_DIM_MAX,
	true};

/* *out is 0 where c has none of the names. */
static int
read_names(const struct lm_config *c, const struct dim *d, uint32_t *out, struct err *e)
{
	const char *first = NULL;
	uint32_t n;

	*out = 0;
	for (size_t i = 0; i < N_KEYS && d->keys[i]; i++) {
		enum js_type type = js_type(js_get(c->c, d->keys[i]));

		if (type == JS_ABSENT || type == JS_NULL)
			continue;
		if (lm_config_dim(c, d->keys[i], 0, d->most, &n, e) < 0)
			return e->code;
		if (*out != 0 && n != *out && !d->loose)
			return err_set(e, ERR_FORMAT,
				"%s: \"%s\" is %u, but \"%s\" is %u", c->doc->name,
				first, *out, d->keys[i], n);
		if (*out == 0) {
			first = d->keys[i];
			*out = n;
		}
	}
	return 0;
}

/* The part about text is asked first. *out is 0 where no name is there. */
static int
read_dim(const struct lm_config *c, const struct dim *d, uint32_t *out, struct err *e)
{
	const struct lm_config text = {c->doc, js_get(c->c, "text_config")};
	int rc = read_names(&text, d, out, e);

	return rc == 0 && *out == 0 ? read_names(c, d, out, e) : rc;
}

static int
need_dim(const struct lm_config *c, const struct dim *d, uint32_t *out, struct err *e)
{
	int rc = read_dim(c, d, out, e);

	if (rc == 0 && *out == 0)
		rc = err_set(e, ERR_FORMAT,
			"%s: there is no \"%s\"; a model of type \"" LM_HEAD_TYPE
			"\" has hidden_size, num_hidden_layers and vocab_size",
			c->doc->name, d->keys[0]);
	return rc;
}

/* What attn.hook_z needs, if it is said. */
static int
read_heads(struct lm_info *n, const struct lm_config *c, struct err *e)
{
	int rc = read_dim(c, &n_heads, &n->n_heads, e);

	n->n_kv_heads = n->n_heads;
	if (rc == 0)
		rc = read_dim(c, &d_head, &n->d_head, e);
	if (rc == 0 && n->d_head == 0 && n->n_heads > 0 && n->d_model % n->n_heads == 0)
		n->d_head = n->d_model / n->n_heads;
	if (rc == 0 && (uint64_t)n->n_heads * n->d_head > 4 * (uint64_t)LM_DIM_MAX)
		rc = err_set(e, ERR_FORMAT,
			"%s: %u heads of %u dimensions are more than %u in all",
			c->doc->name, n->n_heads, n->d_head, 4 * LM_DIM_MAX);
	return rc;
}

static int
configure_any(struct lm *m, const struct lm_config *c, struct err *e)
{
	enum js_type text = js_type(js_get(c->c, "text_config"));
	struct lm_info *n = &m->info;
	int rc = 0;

	if (text != JS_ABSENT && text != JS_NULL && text != JS_OBJECT)
		rc = err_set(e, ERR_FORMAT, "%s: \"text_config\" must be an object",
			c->doc->name);
	if (rc == 0)
		rc = need_dim(c, &d_model, &n->d_model, e);
	if (rc == 0)
		rc = need_dim(c, &n_layers, &n->n_layers, e);
	if (rc == 0)
		rc = need_dim(c, &n_vocab, &n->n_vocab, e);
	if (rc == 0)
		rc = read_dim(c, &n_ctx, &n->n_ctx, e);
	return rc == 0 ? read_heads(n, c, e) : rc;
}

/* What cannot be run can still be described. */
static int
configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	int rc;

	if (!m->family)
		return configure_any(m, c, e);
	rc = lm_configure(m, c, e);
	if (rc != ERR_UNSUPPORTED)
		return rc;
	*e = ERR_INIT;
	mem_free(m->layer); /* nothing is loaded yet */
	m->layer = NULL;
	m->info.n_layers = 0;
	return configure_any(m, c, e);
}

/* ---- weights ---------------------------------------------------------------- */

/* Quantized weights are no floats, and mean nothing without their scales. */
static int
need_floats(const struct tensor *t, struct err *e)
{
	if (t->dtype == DTYPE_F32 || t->dtype == DTYPE_F16 || t->dtype == DTYPE_BF16 ||
		t->dtype == DTYPE_F64)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		"%s: tensor %s has dtype %s, which is not supported here (F32, F16, "
		"BF16 and F64 are); without the files of weights there are no logit "
		"effects, and all else is as with them",
		t->path, t->name, t->dtype_name);
}

/* The unembedding, unless it is there already or the files lack it. */
static int
take_unembed(struct lm *m, const char *name, struct err *e)
{
	const struct tensor *t = lm_tensor(m, name);
	int rc;

	if (!t || m->unembed.row)
		return 0;
	rc = need_floats(t, e);
	if (rc == 0)
		rc = lm_load_table(m, name, m->info.n_vocab, m->info.d_model,
			&m->unembed, e);
	if (rc == 0)
		memcpy(m->dtype_file, t->dtype_name, sizeof(m->dtype_file));
	return rc;
}

int
lm_load_around(struct lm *m, const struct lm_names *names, struct err *e)
{
	char embed[96], final[96];
	int rc = 0;

	snprintf(embed, sizeof(embed), "%s.weight", names->embed);
	snprintf(final, sizeof(final), "%s.weight", names->final);
	lm_prefix(m, names->prefixes, embed);
	if (!lm_tensor(m, embed))
		lm_prefix(m, names->prefixes, final);
	if (lm_tensor(m, final))
		rc = need_floats(lm_tensor(m, final), e);
	if (rc == 0 && lm_tensor(m, final))
		rc = lm_load_norm(m, names->final, m->info.d_model, &m->final, e);
	if (rc == 0 && m->tied)
		rc = take_unembed(m, embed, e);
	m->prefix = "";
	if (rc == 0)
		rc = take_unembed(m, "lm_head.weight", e);
	return rc == 0 ? take_unembed(m, "embed_out.weight", e) : rc;
}

/* Of a model whose family is not known. */
static int
load_any(struct lm *m, struct err *e)
{
	const struct tensor *gain;
	int rc;

	m->prefix = "";
	rc = take_unembed(m, "unembed", e);
	if (rc == 0 && strcmp(m->type, LM_HEAD_TYPE) != 0)
		rc = take_unembed(m, "lm_head.weight", e);
	else if (rc == 0 && !m->unembed.row)
		rc = err_set(e, ERR_MISMATCH,
			"%s: there is no tensor unembed (%u, %u), which the weights of "
			"a model of type \"" LM_HEAD_TYPE "\" are",
			tensors_path(m->tensors), m->info.n_vocab, m->info.d_model);
	gain = lm_tensor(m, "final_gain");
	if (rc == 0 && gain)
		rc = need_floats(gain, e);
	return rc == 0 && gain
		? lm_floats(m, "final_gain", m->info.d_model, 0, &m->final.gain, e)
		: rc;
}

static int
load(struct lm *m, struct err *e)
{
	char path[PATH_BYTES];
	int rc = tensors_open_some(&m->tensors, m->dir, e);

	if (rc == 0 && m->tensors)
		return m->family ? m->family->load(m, e) : load_any(m, e);
	if (rc == 0)
		rc = path_join(path, e, "%s/config.json", m->dir);
	return rc == 0 ? sha256_file(path, m->config_sha256, e) : rc;
}

/* ---- the whole -------------------------------------------------------------- */

static int
open_head(struct lm *m, const struct lm_config *c, struct err *e)
{
	int rc = lm_read_type(m, c, e);

	m->head = true;
	if (rc == 0)
		rc = configure(m, c, e);
	return rc == 0 ? load(m, e) : rc;
}

int
lm_open_head(struct lm **out, const char *dir, struct err *e)
{
	return lm_open_by(out, dir, open_head, e);
}
