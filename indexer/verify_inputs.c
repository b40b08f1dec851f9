/* SPDX-License-Identifier: ISC */
#include "indexer/verify_int.h"

#include "indexer/plan.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static int
lacks(const char *key, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "the provenance lacks \"%s\"", key);
}

int
verify_str(const struct value *map, const char *key, char *out, size_t size,
	struct err *e)
{
	const struct value *v = map != NULL ? value_get(map, key) : NULL;

	if (v == NULL || v->type != VALUE_STR || v->n >= size)
		return lacks(key, e);
	memcpy(out, v->str, v->n);
	out[v->n] = '\0';
	return 0;
}

int
verify_u64(const struct value *map, const char *key, uint64_t *out, struct err *e)
{
	const struct value *v = map != NULL ? value_get(map, key) : NULL;
	char text[32], *end;
	int64_t i;

	if (v != NULL && value_as_int(v, &i) && i >= 0) {
		*out = (uint64_t)i;
		return 0;
	}
	if (verify_str(map, key, text, sizeof(text), e) < 0) /* past 2^53 */
		return e->code;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && end != text ? 0 : lacks(key, e);
}

/* ---- the same to the bit ---------------------------------------------------------- */

static int
same_hash(const char *what, const char *path, const uint8_t now[32],
	const char *recorded, struct err *e)
{
	char hex[65];

	hash_hex(now, 32, hex);
	if (strcmp(hex, recorded) == 0)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"%s is not %s that was indexed: its SHA-256 is %s, recorded is %s",
		path, what, hex, recorded);
}

static int
open_model(struct verify *v, struct err *e)
{
	const struct value *model = value_get(v->provenance, "model");
	const struct value *tokenizer = value_get(v->provenance, "tokenizer");
	char path[PATH_BYTES], recorded[65];
	uint8_t hash[32];

	if (verify_str(model, "path", path, sizeof(path), e) < 0 ||
		verify_str(model, "sha256", recorded, sizeof(recorded), e) < 0 ||
		lm_open(&v->lm, path, e) < 0 || lm_sha256(v->lm, hash, e) < 0 ||
		same_hash("the model", path, hash, recorded, e) < 0 ||
		same_hash("the model", path, hash,
			v->catalog->model[v->cat->model].weights_sha256, e) < 0)
		return e->code;
	if (verify_str(tokenizer, "path", path, sizeof(path), e) < 0 ||
		verify_str(tokenizer, "sha256", recorded, sizeof(recorded), e) < 0 ||
		tok_open(&v->tok, path, e) < 0 || tok_sha256(v->tok, hash, e) < 0 ||
		same_hash("the tokenizer", path, hash, recorded, e) < 0)
		return e->code;
	return same_hash("the tokenizer", path, hash, v->cut->tokenizer_sha256, e);
}

static int
read_options(struct verify *v, struct err *e)
{
	const struct value *o = value_get(v->provenance, "options");
	const struct value *special = o != NULL ? value_get(o, "count_special") : NULL;

	if (verify_u64(o, "examples", &v->examples, e) < 0 ||
		verify_u64(o, "dedup_radius", &v->dedup_radius, e) < 0 ||
		verify_u64(o, "interval_samples", &v->interval_samples, e) < 0 ||
		verify_u64(o, "seed", &v->seed, e) < 0)
		return e->code;
	if (v->interval_samples > LIMIT_INTERVAL_SAMPLES ||
		v->examples > LIMIT_EXAMPLES)
		return lacks("options", e);
	if (special == NULL || special->type != VALUE_BOOL)
		return lacks("count_special", e);
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

	if (verify_u64(o, "context", &context, e) < 0 ||
		verify_u64(o, "bos", &bos_rule, e) < 0)
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

static bool
is_set(const struct value *map, const char *key)
{
	const struct value *x = value_get(map, key);

	return x != NULL && x->type == VALUE_BOOL && x->boolean;
}

static int
open_sae(struct verify *v, uint32_t slot, const struct value *from, struct err *e)
{
	struct verify_sae *s = &v->sae[slot];
	const struct cat_sae *cat;
	char path[PATH_BYTES], recorded[65], hash[65], hook[96];
	struct sae_options options = {0};
	const float *rows;
	size_t n;

	s->index = v->cat->sae[slot].sae;
	cat = &v->catalog->sae[s->index];
	if (verify_str(from, "path", path, sizeof(path), e) < 0 ||
		verify_str(from, "hash", recorded, sizeof(recorded), e) < 0 ||
		verify_str(from, "hook", hook, sizeof(hook), e) < 0)
		return e->code;
	options.hook = is_set(from, "hook_given") ? hook : NULL;
	options.saelens_rule = is_set(from, "saelens_rule");
	options.given.center = is_set(from, "center_given");
	options.given.constant_norm = is_set(from, "constant_norm_given");
	value_as_float(value_get(from, "scale_given"), &options.given.scale);
	if (sae_open_with(&s->sae, path, &options, e) < 0 ||
		same_hash("the SAE", path, s->sae->hash, recorded, e) < 0)
		return e->code;
	hash_hex(cat->hash, 32, hash);
	if (same_hash("the SAE", path, s->sae->hash, hash, e) < 0 ||
		check_rule(v, &s->sae->info, path, e) < 0 ||
		store_decoder(v->view, s->index, &rows, e) < 0)
		return e->code;
	n = (size_t)s->sae->info.d_sae * s->sae->info.d_out;
	if (memcmp(rows, s->sae->w_dec, n * sizeof(*rows)) != 0)
		verify_wrong(v, "%s: the stored decoder rows differ", cat->name);
	return 0;
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
		return lacks("model", e);
	if (open_model(v, e) < 0 || read_options(v, e) < 0)
		return e->code;
	if (saes == NULL || saes->type != VALUE_ARRAY || saes->n != v->cat->n_saes ||
		saes->n > LIMIT_SAES)
		return lacks("saes", e);
	for (uint32_t i = 0; i < saes->n; i++)
		if (open_sae(v, i, &saes->v[i], e) < 0 ||
			choose(v, &v->sae[i], i, e) < 0)
			return e->code;
	return 0;
}
