/* SPDX-License-Identifier: ISC */
/*
 * Where a merged run comes from: what one run would say, of the first shard's model and
 * SAEs, all shards' files and the whole cut; and beside it the runs that were merged.
 */
#include "indexer/merge_features.h"

#include "analysis/recorded.h"
#include "config.h"
#include "indexer/provenance.h"
#include "schema/out.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static bool
is_key(const struct value *v, const char *key)
{
	return value_is_str(v, key);
}

/* ---- what decides it ------------------------------------------------------------------- */

static bool
counts_special(const struct merge_shard *s)
{
	const struct value *options = value_get(s->provenance, "options");
	const struct value *x =
		options != NULL ? value_get(options, "count_special") : NULL;

	return x != NULL && x->type == VALUE_BOOL && x->boolean;
}

int
merge_run_id(char id[STORE_ID_CHARS], const struct merging *g, struct err *e)
{
	const struct merge_shard *s = &g->shard[0];
	const struct store_catalog *c = s->in->catalog;
	struct run_identity x = {.weights_sha256 =
					 c->model[s->cat->model].weights_sha256,
		.cut_id = g->cut.id,
		.count_special = counts_special(s),
		.n_saes = s->cat->n_saes};

	if (merge_option(s, "examples", &x.examples, e) < 0 ||
		merge_option(s, "dedup_radius", &x.dedup_radius, e) < 0 ||
		merge_option(s, "interval_samples", &x.interval_samples, e) < 0 ||
		merge_option(s, "seed", &x.seed, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < x.n_saes; i++)
		memcpy(x.sae[i], c->sae[s->cat->sae[i].sae].hash, sizeof(x.sae[i]));
	return provenance_id(id, &x, e);
}

int
merge_excluded(uint8_t **out, const struct merge_shard *s, uint32_t n_vocab,
	struct err *e)
{
	const struct value *list = value_get(s->provenance, "excluded_tokens");
	int64_t id;

	*out = mem_new(n_vocab, 1);
	if (*out == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u token ids", n_vocab);
	if (list == NULL || list->type != VALUE_ARRAY) {
		recorded_lacks("excluded_tokens", e);
		return err_wrap(e, "%s", s->name);
	}
	for (uint32_t i = 0; i < list->n; i++)
		if (value_as_int(&list->v[i], &id) && id >= 0 && id < n_vocab)
			(*out)[id] = 1;
	return 0;
}

/* ---- writing ---------------------------------------------------------------------------- */

static uint32_t
n_paths(const struct value *corpus)
{
	const struct value *list = corpus != NULL ? value_get(corpus, "paths") : NULL;

	return list != NULL && list->type == VALUE_ARRAY ? list->n : 0;
}

static void
put_paths(struct out *o, const struct merging *g)
{
	size_t n = 0;

	for (uint32_t i = 0; i < g->n; i++)
		n += n_paths(value_get(g->shard[i].provenance, "corpus"));
	out_array(o, n);
	for (uint32_t i = 0; i < g->n; i++) {
		const struct value *corpus =
			value_get(g->shard[i].provenance, "corpus");

		for (uint32_t j = 0; j < n_paths(corpus); j++)
			value_write(o, &value_get(corpus, "paths")->v[j]);
	}
	out_end(o);
}

/* The first shard's, but for what the whole has of its own. */
static void
put_corpus(struct out *o, const struct merging *g, const struct value *v)
{
	out_map(o, v->n);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct value *key = &v->v[2 * i];

		value_write(o, key);
		if (is_key(key, "name"))
			out_str(o, g->cut.name);
		else if (is_key(key, "paths"))
			put_paths(o, g);
		else if (is_key(key, "sha256"))
			out_str(o, g->cut.corpus_sha256);
		else if (is_key(key, "n_documents"))
			out_uint(o, g->cut.n_documents);
		else if (is_key(key, "n_bytes"))
			out_uint(o, g->cut.n_bytes);
		else
			value_write(o, key + 1);
	}
	out_end(o);
}

static void
put_cut(struct out *o, const struct merging *g, const struct value *v)
{
	out_map(o, v->n);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct value *key = &v->v[2 * i];

		value_write(o, key);
		if (is_key(key, "id"))
			out_str(o, g->cut.id);
		else if (is_key(key, "n_windows"))
			out_uint(o, g->cut.n_windows);
		else if (is_key(key, "n_tokens"))
			out_uint(o, g->cut.n_tokens);
		else
			value_write(o, key + 1);
	}
	out_end(o);
}

/* Of a shard that was merged itself, the runs that it was merged from. */
static const struct value *
merged_of(const struct merge_shard *s)
{
	const struct value *x = value_get(s->provenance, "merged");

	return x != NULL && x->type == VALUE_ARRAY ? x : NULL;
}

static void
put_shard(struct out *o, const struct merge_shard *s)
{
	const struct value *version = value_get(s->provenance, "saedb");
	const struct value *model = value_get(s->provenance, "model");
	const struct value *path = model != NULL ? value_get(model, "cpu_path") : NULL;
	char real[PATH_BYTES];
	const char *dir = realpath(s->in->dir, real) != NULL ? real : s->in->dir;
	bool part = ranges_is_part(s->in->catalog, s->run);

	out_map(o, 3 + (version != NULL) + (path != NULL) + part);
	out_key(o, "store");
	out_text(o, dir, strlen(dir));
	out_key_str(o, "run", s->cat->id);
	out_key_uint(o, "n_documents", s->cut->n_documents);
	if (part) {
		out_key(o, "features");
		out_array(o, 2);
		out_uint(o, s->cat->sae[0].first);
		out_uint(o, s->cat->sae[0].end);
		out_end(o);
	}
	if (version != NULL) {
		out_key(o, "saedb");
		value_write(o, version);
	}
	if (path != NULL) {
		out_key(o, "cpu_path");
		value_write(o, path);
	}
	out_end(o);
}

static void
put_merged(struct out *o, const struct merging *g)
{
	const struct merge_features *f = g->features;
	const struct merge_shard *shard = f != NULL ? f->shard : g->shard;
	uint32_t n_shards = f != NULL ? f->n : g->n;
	size_t n = 0;

	for (uint32_t i = 0; i < n_shards; i++)
		n += merged_of(&shard[i]) != NULL ? merged_of(&shard[i])->n : 1;
	out_array(o, n);
	for (uint32_t i = 0; i < n_shards; i++) {
		const struct value *list = merged_of(&shard[i]);

		if (list == NULL)
			put_shard(o, &shard[i]);
		for (uint32_t j = 0; list != NULL && j < list->n; j++)
			value_write(o, &list->v[j]);
	}
	out_end(o);
}

/* Keys that tell how one run came about; the merged one has its own. */
static bool
is_own(const struct value *key)
{
	return is_key(key, "merged") || is_key(key, "reused");
}

int
merge_provenance(struct buf *b, const struct merging *g, struct err *e)
{
	const struct value *v = g->shard[0].provenance;
	size_t n = 1;
	struct out o;

	if (v->type != VALUE_MAP)
		return err_set(e, ERR_CORRUPT, "%s: its provenance is no map",
			g->shard[0].name);
	for (uint32_t i = 0; i < v->n; i++)
		n += !is_own(&v->v[2 * i]);
	out_init_json(&o, b, 0);
	out_map(&o, n);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct value *key = &v->v[2 * i], *x = key + 1;

		if (is_own(key))
			continue;
		value_write(&o, key);
		if (is_key(key, "saedb"))
			out_str(&o, PACKAGE_VERSION);
		else if (is_key(key, "corpus") && x->type == VALUE_MAP)
			put_corpus(&o, g, x);
		else if (is_key(key, "cut") && x->type == VALUE_MAP)
			put_cut(&o, g, x);
		else
			value_write(&o, x);
	}
	out_key(&o, "merged");
	put_merged(&o, g);
	out_end(&o);
	return out_failed(&o) ? err_set(e, ERR_NOMEM, "no memory for the provenance")
			      : 0;
}
