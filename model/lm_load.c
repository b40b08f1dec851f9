/* SPDX-License-Identifier: ISC */
/* Tensors to weights, each checked against what config.json makes of it. */
#include "model/lm_int.h"
#include "util/mem.h"
#include "util/paged.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 192

const struct tensor *
lm_tensor(const struct lm *m, const char *name)
{
	char full[NAME_BYTES];

	snprintf(full, sizeof(full), "%s%s", m->prefix, name);
	return tensors_find(m->tensors, full);
}

void
lm_prefix(struct lm *m, const char *const *prefixes, const char *name)
{
	for (size_t i = 0; prefixes[i]; i++) {
		m->prefix = prefixes[i];
		if (lm_tensor(m, name))
			return;
	}
	m->prefix = prefixes[0];
}

/* The tensor, which must be there and have this shape. */
static int
need(struct lm *m, const char *name, size_t n1, size_t n2, const struct tensor **out,
	struct err *e)
{
	const struct tensor *t = lm_tensor(m, name);
	size_t rank = n2 > 0 ? 2 : 1;

	if (!t)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s%s is missing, which config.json asks for",
			tensors_path(m->tensors), m->prefix, name);
	if (t->rank != rank || t->shape[0] != n1 || (rank == 2 && t->shape[1] != n2))
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s has shape (%zu%s%.0zu), but config.json asks "
			"for (%zu%s%.0zu)",
			t->path, t->name, t->rank > 0 ? t->shape[0] : 1,
			t->rank > 1 ? ", " : "", t->rank > 1 ? t->shape[1] : 0, n1,
			rank > 1 ? ", " : "", n2);
	*out = t;
	return 0;
}

static int
no_memory(const struct tensor *t, struct err *e)
{
	return err_set(e, ERR_NOMEM, "%s: memory ran out for tensor %s", t->path,
		t->name);
}

static int
copy(struct lm *m, const struct tensor *t, float *out, struct err *e)
{
	m->info.n_params += t->n_values;
	return tensor_floats(t, out, false, e);
}

int
lm_floats(struct lm *m, const char *name, size_t n1, size_t n2, float **out,
	struct err *e)
{
	const struct tensor *t;
	int rc = need(m, name, n1, n2, &t, e);

	if (rc < 0)
		return rc;
	*out = paged_new(t->n_values, sizeof(**out), e);
	return *out ? copy(m, t, *out, e) : err_wrap(e, "%s: tensor %s", t->path, name);
}

int
lm_load_table(struct lm *m, const char *name, size_t n1, size_t n2,
	struct lm_table *out, struct err *e)
{
	const struct tensor *t;
	int rc = need(m, name, n1, n2, &t, e);

	if (rc == 0)
		rc = tensor_mapped(t, &out->row, e);
	if (rc == 0 && out->row) {
		m->info.n_params += t->n_values;
		return 0;
	}
	if (rc == 0)
		rc = lm_floats(m, name, n1, n2, &out->copy, e);
	out->row = rc == 0 ? out->copy : NULL;
	return rc;
}

int
lm_load_embed(struct lm *m, const char *name, struct err *e)
{
	int rc = lm_load_table(m, name, m->info.n_vocab, m->info.d_model, &m->embed, e);

	if (rc == 0)
		memcpy(m->dtype_file, lm_tensor(m, name)->dtype_name,
			sizeof(m->dtype_file));
	return rc;
}

/* GPT-NeoX had its own name for what all others call lm_head. */
int
lm_load_unembed(struct lm *m, struct err *e)
{
	static const char *const names[] = {"lm_head.weight", "embed_out.weight"};
	const char *prefix = m->prefix;
	size_t use;
	int rc;

	if (m->tied)
		return 0;
	use = !tensors_find(m->tensors, names[0]) && tensors_find(m->tensors, names[1]);
	m->prefix = "";
	rc = lm_load_table(m, names[use], m->info.n_vocab, m->info.d_model, &m->unembed,
		e);
	m->prefix = prefix;
	return rc;
}

int
lm_load_norm(struct lm *m, const char *name, size_t n, struct lm_norm *norm,
	struct err *e)
{
	char full[NAME_BYTES];
	int rc;

	snprintf(full, sizeof(full), "%s.weight", name);
	rc = lm_floats(m, full, n, 0, &norm->gain, e);
	for (size_t i = 0; rc == 0 && m->has.gain_plus_one && i < n; i++)
		norm->gain[i] = 1.0f + norm->gain[i];
	snprintf(full, sizeof(full), "%s.bias", name);
	return rc == 0 && !m->rms && !m->head ? lm_floats(m, full, n, 0, &norm->bias, e)
					      : rc;
}

/* A bias that config.json denies would be left out silently. */
static int
no_bias(const struct lm *m, const char *full, struct err *e)
{
	const struct tensor *t = lm_tensor(m, full);

	return t ? err_set(e, ERR_MISMATCH,
			   "%s: has tensor %s, but config.json says that there is no "
			   "such bias",
			   t->path, t->name)
		 : 0;
}

int
lm_load_linear(struct lm *m, const char *name, const struct lm_shape *s,
	struct lm_linear *l, struct err *e)
{
	size_t n1 = s->in_rows ? s->n_in : s->n_out;
	size_t n2 = s->in_rows ? s->n_out : s->n_in;
	char full[NAME_BYTES];
	float *w = NULL;
	int rc;

	snprintf(full, sizeof(full), "%s.weight", name);
	rc = lm_floats(m, full, n1, n2, &w, e);
	if (rc == 0)
		rc = kernel_pack(&l->w, w, s->n_in, s->n_out, s->in_rows ? n2 : 1,
			s->in_rows ? 1 : n2, e);
	mem_free(w);
	snprintf(full, sizeof(full), "%s.bias", name);
	if (rc < 0)
		return rc;
	return s->bias ? lm_floats(m, full, s->n_out, 0, &l->bias, e)
		       : no_bias(m, full, e);
}

int
lm_load_parts(struct lm *m, const char *layer, const struct lm_part *part, size_t n,
	struct err *e)
{
	char name[96];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		snprintf(name, sizeof(name), "%s%s", layer, part[i].name);
		rc = part[i].norm
			? lm_load_norm(m, name, m->info.d_model, part[i].norm, e)
			: lm_load_linear(m, name, &part[i].shape, part[i].linear, e);
	}
	return rc;
}

/* ---- q | k | v ----------------------------------------------------------- */

/* Rows (n_columns each; 0: a bias) of q, k and v, one below the other. */
static int
stack(struct lm *m, const char *layer, const char *const names[3], const char *what,
	size_t n_columns, float **out, struct err *e)
{
	size_t d_head = m->info.d_head, at = 0, n_all = lm_qkv_width(m);
	const size_t n[3] = {lm_z_width(m), m->info.n_kv_heads * d_head,
		m->info.n_kv_heads * d_head};
	const struct tensor *t[3] = {0};
	char full[NAME_BYTES];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 3; i++) {
		snprintf(full, sizeof(full), "%s%s.%s", layer, names[i], what);
		rc = need(m, full, n[i], n_columns, &t[i], e);
	}
	if (rc < 0)
		return rc;
	*out = mem_new_aligned(n_all, (n_columns ? n_columns : 1) * sizeof(**out));
	if (!*out)
		return no_memory(t[0], e);
	for (size_t i = 0; rc == 0 && i < 3; i++) {
		rc = copy(m, t[i], *out + at, e);
		at += t[i]->n_values;
	}
	return rc;
}

static int
pack_qkv(struct lm *m, const float *rows, struct lm_linear *l, struct err *e)
{
	size_t d = m->info.d_model;

	return kernel_pack(&l->w, rows, d, lm_qkv_width(m), 1, d, e);
}

int
lm_load_qkv(struct lm *m, const char *layer, const char *const names[3],
	struct lm_linear *l, struct err *e)
{
	float *rows = NULL;
	char full[NAME_BYTES];
	int rc = stack(m, layer, names, "weight", m->info.d_model, &rows, e);

	if (rc == 0)
		rc = pack_qkv(m, rows, l, e);
	mem_free(rows);
	if (rc == 0 && m->has.qkv_bias)
		return stack(m, layer, names, "bias", 0, &l->bias, e);
	for (size_t i = 0; rc == 0 && i < 3; i++) {
		snprintf(full, sizeof(full), "%s%s.bias", layer, names[i]);
		rc = no_bias(m, full, e);
	}
	return rc;
}

/* Rows of q, k, v by head to rows of q | k | v. */
static int
load_by_head(struct lm *m, const char *name, size_t n_columns, float **out,
	struct err *e)
{
	size_t n_heads = m->info.n_heads, n_all = lm_qkv_width(m);
	size_t part = m->info.d_head * (n_columns ? n_columns : 1);
	float *by_head = NULL;
	int rc = lm_floats(m, name, n_all, n_columns, &by_head, e);

	if (rc == 0 && !(*out = mem_new_aligned(3 * n_heads, part * sizeof(**out))))
		rc = no_memory(lm_tensor(m, name), e);
	for (size_t i = 0; rc == 0 && i < 3 * n_heads; i++)
		memcpy(*out + (i % 3 * n_heads + i / 3) * part, by_head + i * part,
			part * sizeof(**out));
	mem_free(by_head);
	return rc;
}

int
lm_load_qkv_by_head(struct lm *m, const char *name, struct lm_linear *l, struct err *e)
{
	float *rows = NULL;
	char full[NAME_BYTES];
	int rc;

	snprintf(full, sizeof(full), "%s.weight", name);
	rc = load_by_head(m, full, m->info.d_model, &rows, e);
	if (rc == 0)
		rc = pack_qkv(m, rows, l, e);
	mem_free(rows);
	snprintf(full, sizeof(full), "%s.bias", name);
	if (rc < 0)
		return rc;
	return m->has.qkv_bias ? load_by_head(m, full, 0, &l->bias, e)
			       : no_bias(m, full, e);
}

int
lm_no_more_layers(const struct lm *m, const char *name, const char *key, struct err *e)
{
	const struct tensor *t = lm_tensor(m, name);

	return t ? err_set(e, ERR_MISMATCH,
			   "%s: has tensor %s, but config.json says %s is %u", t->path,
			   t->name, key, m->info.n_layers)
		 : 0;
}

int
lm_load_all(struct lm *m, const struct lm_names *names,
	int (*load_layer)(struct lm *m, uint32_t i, struct err *e), struct err *e)
{
	const struct lm_info *n = &m->info;
	char name[96];
	int rc;

	snprintf(name, sizeof(name), "%s.weight", names->embed);
	lm_prefix(m, names->prefixes, name);
	snprintf(name, sizeof(name), "%s.%u.%s.weight", names->layers, n->n_layers,
		names->first);
	rc = lm_no_more_layers(m, name, names->n_layers_key, e);
	if (m->head)
		return rc == 0 ? lm_load_around(m, names, e) : rc;
	snprintf(name, sizeof(name), "%s.weight", names->embed);
	if (rc == 0)
		rc = lm_load_embed(m, name, e);
	if (rc == 0 && names->position) {
		snprintf(name, sizeof(name), "%s.weight", names->position);
		rc = lm_load_table(m, name, n->n_ctx, n->d_model, &m->position, e);
	}
	for (uint32_t i = 0; rc == 0 && i < n->n_layers; i++)
		rc = load_layer(m, i, e);
	return rc == 0 ? lm_load_norm(m, names->final, n->d_model, &m->final, e) : rc;
}
