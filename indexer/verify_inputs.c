/* SPDX-License-Identifier: ISC */
#include "indexer/verify_int.h"

#include "analysis/recorded.h"
#include "indexer/plan.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static int
open_model(struct verify *v, struct err *e)
{
	const struct recorded_sha256 catalog =
		{v->catalog->model[v->cat->model].weights_sha256,
			v->cut->tokenizer_sha256};

	return recorded_model(&v->lm, &v->tok, v->provenance, NULL, &catalog, e);
}

static int
read_options(struct verify *v, struct err *e)
{
	const struct value *o = value_get(v->provenance, "options");
	const struct value *special = o != NULL ? value_get(o, "count_special") : NULL;

	if (recorded_u64(o, "examples", &v->examples, e) < 0 ||
		recorded_u64(o, "dedup_radius", &v->dedup_radius, e) < 0 ||
		recorded_u64(o, "interval_samples", &v->interval_samples, e) < 0 ||
		recorded_u64(o, "seed", &v->seed, e) < 0)
		return e->code;
	if (v->interval_samples > LIMIT_INTERVAL_SAMPLES ||
		v->examples > LIMIT_EXAMPLES)
		return recorded_lacks("options", e);
	if (special == NULL || special->type != VALUE_BOOL)
		return recorded_lacks("count_special", e);
	v->excluded = plan_excluded(v->tok, lm_info(v->lm)->n_vocab, special->boolean);
	return v->excluded != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory to verify");
}

/* Context and BOS by the SAE's rules and the recorded options. */
static int
check_rule(const struct verify *v, const struct sae_info *info, const char *path,
	struct err *e)
{
	const struct value *o = value_get(v->provenance, "options");
	uint64_t context, bos_rule;
	bool bos;

	if (recorded_u64(o, "context", &context, e) < 0 ||
		recorded_u64(o, "bos", &bos_rule, e) < 0)
		return e->code;
	bos = bos_rule == BOS_AUTO ? info->prepend_bos : bos_rule == BOS_YES;
	if (context == 0)
		context = info->context_size;
	if (context == 0 || context > lm_info(v->lm)->n_ctx)
		context = lm_info(v->lm)->n_ctx;
	if (context > LIMIT_CONTEXT)
		context = LIMIT_CONTEXT;
	if (bos != v->cut->prepend_bos)
		return err_set(e, ERR_MISMATCH,
			"%s asks for windows %s BOS, the stored ones were cut %s", path,
			bos ? "with" : "without",
			v->cut->prepend_bos ? "with" : "without");
	if (context != v->cut->context)
		return err_set(e, ERR_MISMATCH,
			"%s asks for windows of %llu tokens, the stored ones have %u",
			path, (unsigned long long)context, v->cut->context);
	if (bos && tok_bos(v->tok) != v->cut->bos)
		return err_set(e, ERR_MISMATCH,
			"the tokenizer's BOS is %lld, the stored windows have %lld",
			(long long)tok_bos(v->tok), (long long)v->cut->bos);
	return 0;
}

/* Those of encoders are not in older stores. */
static int
compare_rows(struct verify *v, const struct verify_sae *s,
	enum store_direction direction, const float *want, struct err *e)
{
	const struct cat_sae *cat = &v->catalog->sae[s->index];
	struct err not_there = ERR_INIT;
	const float *rows;
	uint32_t d;
	int rc = store_rows(v->view, s->index, direction, &rows, &d, &not_there);

	if (rc == ERR_NOTFOUND && direction == STORE_ENCODER)
		return 0;
	if (rc < 0) {
		*e = not_there;
		return rc;
	}
	if (memcmp(rows, want, (size_t)cat->d_sae * d * sizeof(*rows)) != 0)
		verify_wrong(v, "%s: the stored %s rows differ", cat->name,
			direction == STORE_DECODER ? "decoder" : "encoder");
	return 0;
}

static int
open_sae(struct verify *v, uint32_t slot, const struct value *from, struct err *e)
{
	struct verify_sae *s = &v->sae[slot];
	const struct cat_sae *cat;
	char path[PATH_BYTES];

	s->index = v->cat->sae[slot].sae;
	cat = &v->catalog->sae[s->index];
	if (recorded_sae(&s->sae, from, NULL, cat->hash, path, e) < 0 ||
		check_rule(v, &s->sae->info, path, e) < 0 ||
		compare_rows(v, s, STORE_DECODER, s->sae->w_dec, e) < 0)
		return e->code;
	return compare_rows(v, s, STORE_ENCODER, s->sae->w_enc, e);
}

static int
by_hash(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (x[0] > y[0]) - (x[0] < y[0]);
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The features with the smallest hashes of (seed, slot, feature). */
static int
choose(const struct verify *v, struct verify_sae *s, uint32_t slot, struct err *e)
{
	uint32_t first = v->cat->sae[slot].first, n = v->cat->sae[slot].end - first;
	uint64_t(*order)[2] = mem_new(n, sizeof(*order));

	s->n_features = v->options->features < n ? (uint32_t)v->options->features : n;
	s->feature = mem_new(s->n_features, sizeof(*s->feature));
	s->list = mem_new(s->n_features, sizeof(*s->list));
	if (order == NULL || s->feature == NULL || s->list == NULL) {
		mem_free(order);
		return err_set(e, ERR_NOMEM, "no memory to verify");
	}
	for (uint32_t i = 0; i < n; i++) {
		order[i][0] = hash_mix(v->options->seed, slot, first + i, 0);
		order[i][1] = first + i;
	}
	qsort(order, n, sizeof(*order), by_hash);
	for (uint32_t i = 0; i < s->n_features; i++)
		s->feature[i] = (uint32_t)order[i][1];
	qsort(s->feature, s->n_features, sizeof(*s->feature), by_number);
	mem_free(order);
	return 0;
}

int
verify_inputs(struct verify *v, struct err *e)
{
	const struct value *saes = value_get(v->provenance, "saes");

	if (value_get(v->provenance, "model") == NULL)
		return recorded_lacks("model", e);
	if (open_model(v, e) < 0 || read_options(v, e) < 0)
		return e->code;
	if (saes == NULL || saes->type != VALUE_ARRAY || saes->n != v->cat->n_saes ||
		saes->n > LIMIT_SAES)
		return recorded_lacks("saes", e);
	for (uint32_t i = 0; i < saes->n; i++)
		if (open_sae(v, i, &saes->v[i], e) < 0 ||
			choose(v, &v->sae[i], i, e) < 0)
			return e->code;
	return 0;
}
