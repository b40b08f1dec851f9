/* SPDX-License-Identifier: ISC */
#include "indexer/provenance.h"

#include "config.h"
#include "kernel/kernel.h"
#include "schema/out.h"
#include "util/file.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

static int
by_hash(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

/* An SAE, and what it found where that was computed elsewhere. */
static int
sae_id(uint8_t out[32], const struct plan *p, const struct plan_group *g, uint32_t i,
	const struct fed *fed, struct err *e)
{
	uint8_t both[64];

	memcpy(both, p->sae[g->sae[i]].sae->hash, 32);
	if (fed == NULL || p->n_sources == 0) {
		memcpy(out, both, 32);
		return 0;
	}
	memcpy(both + 32, fed->feed.acts_sha256[i], 32);
	return sha256_of(both, sizeof(both), out, e);
}

int
provenance_id(char id[STORE_ID_CHARS], struct run_identity *x, struct err *e)
{
	uint8_t hash[32];
	struct buf b;
	int rc;

	qsort(x->sae, x->n_saes, sizeof(x->sae[0]), by_hash);
	buf_init(&b);
	buf_printf(&b, "saedb run %d\n%s\n%s\n%d %llu %llu %llu %llu %u\n", RUN_FORMAT,
		x->weights_sha256, x->cut_id, x->count_special,
		(unsigned long long)x->examples, (unsigned long long)x->dedup_radius,
		(unsigned long long)x->interval_samples, (unsigned long long)x->seed,
		x->n_saes);
	if (x->end != 0)
		buf_printf(&b, "features %u:%u\n", x->first, x->end);
	buf_put(&b, x->sae, x->n_saes * sizeof(x->sae[0]));
	rc = b.failed ? err_set(e, ERR_NOMEM, "no memory for a run's id")
		      : sha256_of(b.data, b.n_bytes, hash, e);
	if (rc == 0)
		hash_hex(hash, 8, id);
	buf_clear(&b);
	return rc;
}

int
provenance_run_id(char id[STORE_ID_CHARS], const struct plan *p,
	const struct plan_group *g, const struct cat_cut *cut, const struct fed *fed,
	struct err *e)
{
	const struct options *o = p->options;
	struct run_identity x = {.weights_sha256 = p->weights_sha256,
		.cut_id = cut->id,
		.examples = o->examples,
		.dedup_radius = o->dedup_radius,
		.interval_samples = o->interval_samples,
		.seed = o->seed,
		.count_special = o->count_special,
		.first = p->first,
		.end = p->end,
		.n_saes = g->n_saes};

	for (uint32_t i = 0; i < g->n_saes; i++)
		if (sae_id(x.sae[i], p, g, i, fed, e) < 0)
			return e->code;
	return provenance_id(id, &x, e);
}

/* Absolute, so that it can be found again from anywhere. */
static void
put_path(struct out *o, const char *path)
{
	char real[PATH_BYTES];

	if (strcmp(path, "-") != 0 && realpath(path, real) != NULL)
		path = real;
	out_text(o, path, strlen(path));
}

static void
key_path(struct out *o, const char *key, const char *path)
{
	out_key(o, key);
	put_path(o, path);
}

static void
key_paths(struct out *o, const char *const *path, size_t n)
{
	out_key(o, "paths");
	out_array(o, n);
	for (size_t i = 0; i < n; i++)
		put_path(o, path[i]);
	out_end(o);
}

static void
put_model(struct out *o, const struct plan *p)
{
	const struct lm_info *lm = lm_info(p->lm);

	out_key(o, "model");
	out_map(o, 8);
	key_path(o, "path", p->model_dir);
	out_key_str(o, "name", p->model_name);
	out_key_str(o, "family", lm->family);
	out_key_str(o, "architecture", lm->architecture);
	out_key_str(o, "dtype", lm->dtype_file);
	out_key_str(o, "sha256", p->weights_sha256);
	out_key_str(o, "computed_in",
		p->n_sources > 0 ? "elsewhere" : "float32, ordered products");
	out_key_str(o, "cpu_path", kernel_path_name(kernel_path()));
	out_end(o);
	out_key(o, "tokenizer");
	out_map(o, 2);
	key_path(o, "path", p->model_dir);
	out_key_str(o, "sha256", p->tokenizer_sha256);
	out_end(o);
}

static void
put_corpus(struct out *o, const struct plan *p, const struct cat_cut *cut)
{
	const struct options *opt = p->options;

	out_key(o, "corpus");
	out_map(o, 9);
	out_key_str(o, "name", cut->name);
	key_paths(o, opt->corpus.item, opt->corpus.n);
	out_key_str(o, "sha256", cut->corpus_sha256);
	out_key_uint(o, "n_documents", cut->n_documents);
	out_key_uint(o, "n_bytes", cut->n_bytes);
	out_key_str(o, "text_field", opt->text_field);
	out_key_str(o, "id_field", opt->id_field);
	out_key_bool(o, "lines", opt->lines);
	out_key_bool(o, "strict", opt->strict);
	out_end(o);
}

static void
put_cut(struct out *o, const struct plan *p, const struct cat_cut *cut)
{
	out_key(o, "cut");
	out_map(o, 8);
	out_key_str(o, "id", cut->id);
	out_key_str(o, "packing", cut->joined ? "joined" : "by document");
	out_key_uint(o, "context", cut->context);
	out_key_bool(o, "prepend_bos", cut->prepend_bos);
	out_key_int(o, "bos", cut->bos);
	out_key_uint(o, "max_tokens", p->options->max_tokens);
	out_key_uint(o, "n_windows", cut->n_windows);
	out_key_uint(o, "n_tokens", cut->n_tokens);
	out_end(o);
}

static const char *
norm_name(enum sae_norm norm)
{
	return norm == SAE_NORM_NONE        ? "none"
		: norm == SAE_NORM_CONSTANT ? "constant_norm_rescale"
					    : "layer_norm";
}

static void
put_sae(struct out *o, const struct plan_sae *s)
{
	const struct sae_info *info = &s->sae->info;
	const struct sae_given *given = &info->given;
	char hash[65], file_hash[65];

	hash_hex(s->sae->hash, 32, hash);
	hash_hex(s->sae->file_hash, 32, file_hash);
	out_map(o,
		(size_t)16 + 2 * info->transcoder + info->cross_layer +
			info->hook_given + info->saelens_rule +
			(s->release[0] != '\0') + given->center + given->constant_norm +
			(given->scale != 0));
	out_key_str(o, "name", s->name);
	key_path(o, "path", s->dir);
	out_key_str(o, "sha256", file_hash);
	out_key_str(o, "hash", hash);
	out_key_str(o, "family", info->family);
	out_key_str(o, "version", info->version);
	out_key_str(o, "architecture", info->architecture);
	out_key_str(o, "kind", sae_kind_name(info->kind));
	out_key_str(o, "hook", info->hook.name);
	if (info->transcoder)
		out_key_str(o, "hook_out", info->hook_out.name);
	if (info->hook_given)
		out_key_bool(o, "hook_given", true);
	if (info->saelens_rule)
		out_key_bool(o, "saelens_rule", true);
	if (s->release[0])
		out_key_str(o, "release", s->release);
	if (given->center)
		out_key_bool(o, "center_given", true);
	if (given->constant_norm)
		out_key_bool(o, "constant_norm_given", true);
	if (given->scale != 0)
		out_key_f64(o, "scale_given", given->scale);
	out_key_uint(o, "d_in", info->d_in);
	if (info->transcoder)
		out_key_uint(o, "d_out", info->d_out);
	if (info->cross_layer)
		out_key_uint(o, "n_targets", info->n_targets);
	out_key_uint(o, "d_sae", info->d_sae);
	out_key_uint(o, "k", info->k);
	out_key_str(o, "dtype", info->dtype_file);
	out_key_str(o, "normalization", norm_name(info->norm));
	out_key_str(o, "rules", info->rules);
	out_key_str(o, "trained_on", info->model_name);
	out_end(o);
}

static void
put_options(struct out *o, const struct plan *p)
{
	const struct options *opt = p->options;
	size_t n = 0;

	out_key(o, "options");
	out_map(o, p->end != 0 ? 8 : 7);
	out_key_uint(o, "context", opt->context);
	out_key_uint(o, "bos", opt->bos);
	out_key_uint(o, "examples", opt->examples);
	out_key_uint(o, "dedup_radius", opt->dedup_radius);
	out_key_uint(o, "interval_samples", opt->interval_samples);
	out_key_uint(o, "seed", opt->seed);
	out_key_bool(o, "count_special", opt->count_special);
	if (p->end != 0) {
		out_key(o, "features");
		out_array(o, 2);
		out_uint(o, p->first);
		out_uint(o, p->end);
		out_end(o);
	}
	out_end(o);
	for (uint32_t id = 0; id < p->n_vocab; id++)
		n += p->excluded[id];
	out_key(o, "excluded_tokens");
	out_array(o, n);
	for (uint32_t id = 0; id < p->n_vocab; id++)
		if (p->excluded[id])
			out_uint(o, id);
	out_end(o);
}

static void
put_elsewhere(struct out *o, const struct plan *p, const struct fed *fed)
{
	out_key(o, "elsewhere");
	out_map(o, 3);
	out_key_str(o, "kind", p->latents ? "latents" : "activations");
	key_paths(o, p->source, p->n_sources);
	out_key_str(o, "made_by", fed->ingest.made_by);
	out_end(o);
}

/* The run that some windows were taken from. */
static void
put_reused(struct out *o, const struct reuse *reuse)
{
	out_key(o, "reused");
	out_map(o, 2);
	out_key_str(o, "run", reuse->cat->id);
	out_key_uint(o, "n_windows", reuse->n_windows);
	out_end(o);
}

int
provenance_write(struct buf *b, const struct plan *p, const struct plan_group *g,
	const struct cat_cut *cut, const struct fed *fed, const struct reuse *reuse,
	struct err *e)
{
	struct out o;

	out_init_json(&o, b, 0);
	out_map(&o, (size_t)11 + (p->n_sources > 0) + (reuse->cat != NULL));
	out_key_str(&o, "saedb", PACKAGE_VERSION);
	out_key_uint(&o, "format", RUN_FORMAT);
	put_model(&o, p);
	put_corpus(&o, p, cut);
	put_cut(&o, p, cut);
	out_key(&o, "saes");
	out_array(&o, g->n_saes);
	for (uint32_t i = 0; i < g->n_saes; i++)
		put_sae(&o, &p->sae[g->sae[i]]);
	out_end(&o);
	put_options(&o, p);
	if (p->n_sources > 0)
		put_elsewhere(&o, p, fed);
	if (reuse->cat != NULL)
		put_reused(&o, reuse);
	out_key_str(&o, "values",
		p->latents ? "as they were given" : "canonical float32 dot products");
	out_key_str(&o, "logits", "W_dec W_U without the final norm's gain");
	out_end(&o);
	return out_failed(&o) ? err_set(e, ERR_NOMEM, "no memory for the provenance")
			      : 0;
}
