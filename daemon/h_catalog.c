/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "util/hash.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static void
put_model(struct out *o, const struct cat_model *m)
{
	out_map(o, 13);
	out_key_str(o, "id", m->id);
	out_key(o, "name");
	out_text(o, m->name, strlen(m->name));
	out_key_str(o, "family", m->family);
	out_key_str(o, "architecture", m->architecture);
	out_key_str(o, "dtype", m->dtype_file);
	out_key_uint(o, "n_layers", m->n_layers);
	out_key_uint(o, "d_model", m->d_model);
	out_key_uint(o, "n_vocab", m->n_vocab);
	out_key_uint(o, "n_ctx", m->n_ctx);
	out_key_uint(o, "n_params", m->n_params);
	out_key_str(o, "weights_sha256", m->weights_sha256);
	out_key_str(o, "tokenizer_sha256", m->tokenizer_sha256);
	out_key_int(o, "created_s", m->created_s);
	out_end(o);
}

int
h_model_list(struct req *q, struct out *o, struct err *e)
{
	(void)e;
	put_head(o, q, 1);
	out_key(o, "models");
	out_array(o, q->cat->n_models);
	for (uint32_t i = 0; i < q->cat->n_models; i++)
		put_model(o, &q->cat->model[i]);
	out_end(o);
	out_end(o);
	return 0;
}

static const struct cat_model *
model_of(const struct store_catalog *c, const char *id)
{
	for (uint32_t i = 0; i < c->n_models; i++)
		if (strcmp(c->model[i].id, id) == 0)
			return &c->model[i];
	return NULL;
}

static bool
in_run(const struct cat_run *r, uint32_t sae)
{
	for (uint32_t i = 0; i < r->n_saes; i++)
		if (r->sae[i].sae == sae)
			return true;
	return false;
}

/* Of the features that were sought. */
static void
put_alive(struct out *o, const struct cat_run_sae *s)
{
	out_key_uint(o, "n_alive", s->n_alive);
	out_key_uint(o, "n_dead", s->end - s->first - s->n_alive);
	out_key_uint(o, "first_feature", s->first);
	out_key_uint(o, "end_feature", s->end);
}

/* nil where it is not known. */
static void
put_known(struct out *o, const char *key, double v)
{
	if (!isnan(v)) {
		out_key_f64(o, key, v);
		return;
	}
	out_key(o, key);
	out_nil(o);
}

/* The numbers of the SAE's runs, and what the newest found. */
static void
put_sae_runs(struct out *o, const struct store_catalog *c, uint32_t sae)
{
	const struct cat_run_sae *newest;
	struct err none = ERR_INIT;
	uint32_t run, slot;
	size_t n = 0;

	for (uint32_t i = 0; i < c->n_runs; i++)
		n += in_run(&c->run[i], sae);
	out_key(o, "runs");
	out_array(o, n);
	for (uint32_t i = 0; i < c->n_runs; i++)
		if (in_run(&c->run[i], sae))
			out_uint(o, c->run[i].number);
	out_end(o);
	if (cat_find_run(c, sae, "", &run, &slot, &none) < 0) {
		static const char *const unknown[] = {"l0", "explained", "n_alive",
			"n_dead", "first_feature", "end_feature", "n_tokens"};

		for (size_t i = 0; i < 7; i++)
			out_key_str(o, unknown[i], NULL);
		return;
	}
	newest = &c->run[run].sae[slot];
	out_key_f64(o, "l0", newest->l0);
	put_known(o, "explained", newest->explained);
	put_alive(o, newest);
	out_key_uint(o, "n_tokens", newest->n_tokens);
}

static void
put_sae(struct out *o, const struct store_catalog *c, uint32_t at)
{
	const struct cat_sae *s = &c->sae[at];
	const struct cat_model *m = model_of(c, s->model_id);
	char hex[65];

	hash_hex(s->hash, sizeof(s->hash), hex);
	out_map(o, 25);
	out_key_str(o, "id", s->id);
	out_key(o, "name");
	out_text(o, s->name, strlen(s->name));
	out_key_str(o, "model", m != NULL ? m->name : s->model_id);
	out_key_str(o, "hook", s->hook);
	out_key_str(o, "kind", s->kind);
	out_key_str(o, "family", s->family);
	out_key_str(o, "architecture", s->architecture);
	out_key_uint(o, "d_in", s->d_in);
	out_key_uint(o, "d_out", s->d_out);
	out_key_uint(o, "d_sae", s->d_sae);
	out_key_uint(o, "k", s->k);
	out_key_uint(o, "context", s->context);
	out_key_bool(o, "prepend_bos", s->prepend_bos);
	out_key_str(o, "hash", hex);
	out_key_str(o, "weights_sha256", s->weights_sha256);
	out_key_str(o, "rules", s->rules);
	out_key_int(o, "created_s", s->created_s);
	put_sae_runs(o, c, at);
	out_end(o);
}

static bool
is_of_model(const struct store_catalog *c, const struct cat_sae *s, const char *name)
{
	const struct cat_model *m = model_of(c, s->model_id);

	return name == NULL || strcasecmp(s->model_id, name) == 0 ||
		(m != NULL && strcasecmp(m->name, name) == 0);
}

static bool
has_model(const struct store_catalog *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_models; i++)
		if (strcasecmp(c->model[i].id, name) == 0 ||
			strcasecmp(c->model[i].name, name) == 0)
			return true;
	return false;
}

int
h_sae_list(struct req *q, struct out *o, struct err *e)
{
	const char *model = args_str(&q->args, "model");
	size_t n = 0;

	if (model != NULL && !has_model(q->cat, model))
		return err_arg(e, ERR_NOTFOUND, "model",
			"there is no model \"%s\"; model.list "
			"names them",
			model);
	for (uint32_t i = 0; i < q->cat->n_saes; i++)
		n += is_of_model(q->cat, &q->cat->sae[i], model);
	put_head(o, q, 1);
	out_key(o, "saes");
	out_array(o, n);
	for (uint32_t i = 0; i < q->cat->n_saes; i++)
		if (is_of_model(q->cat, &q->cat->sae[i], model))
			put_sae(o, q->cat, i);
	out_end(o);
	out_end(o);
	return 0;
}

static void
put_run_saes(struct out *o, const struct store_catalog *c, const struct cat_run *r)
{
	out_key(o, "saes");
	out_array(o, r->n_saes);
	for (uint32_t i = 0; i < r->n_saes; i++) {
		const struct cat_run_sae *s = &r->sae[i];
		const char *name = c->sae[s->sae].name;

		out_map(o, 10);
		out_key(o, "sae");
		out_text(o, name, strlen(name));
		out_key_uint(o, "n_tokens", s->n_tokens);
		out_key_uint(o, "n_active", s->n_active);
		put_alive(o, s);
		out_key_f64(o, "l0", s->l0);
		put_known(o, "explained", s->explained);
		put_known(o, "mse", s->mse);
		out_end(o);
	}
	out_end(o);
}

#define RUN_PAIRS 11

static void
put_run(struct out *o, const struct store_catalog *c, const struct cat_run *r)
{
	const struct cat_cut *cut = &c->cut[r->cut];
	const char *model = c->model[r->model].name;

	out_key_uint(o, "run", r->number);
	out_key_str(o, "id", r->id);
	out_key(o, "model");
	out_text(o, model, strlen(model));
	out_key(o, "corpus");
	out_text(o, cut->name, strlen(cut->name));
	out_key_uint(o, "n_documents", cut->n_documents);
	out_key_uint(o, "n_windows", cut->n_windows);
	out_key_uint(o, "n_tokens", cut->n_tokens);
	out_key_uint(o, "context", cut->context);
	out_key_bool(o, "joined", cut->joined);
	out_key_int(o, "created_s", r->created_s);
	put_run_saes(o, c, r);
}

int
h_run_list(struct req *q, struct out *o, struct err *e)
{
	(void)e;
	put_head(o, q, 1);
	out_key(o, "runs");
	out_array(o, q->cat->n_runs);
	for (uint32_t i = 0; i < q->cat->n_runs; i++) {
		out_map(o, RUN_PAIRS);
		put_run(o, q->cat, &q->cat->run[i]);
		out_end(o);
	}
	out_end(o);
	out_end(o);
	return 0;
}

int
h_run_get(struct req *q, struct out *o, struct err *e)
{
	const struct cat_run *r;
	uint32_t at;
	int rc = find_any_run(q, &at, e);

	if (rc < 0)
		return rc;
	r = &q->cat->run[at];
	put_head(o, q, RUN_PAIRS + 1);
	put_run(o, q->cat, r);
	out_key(o, "provenance");
	rc = out_json_text(o, r->provenance, e);
	if (rc < 0) {
		err_wrap(e, "the provenance of run %u", r->number);
		return e->code = ERR_CORRUPT;
	}
	out_end(o);
	return 0;
}
