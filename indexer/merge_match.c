/* SPDX-License-Identifier: ISC */
#include "indexer/merge_int.h"

#include "analysis/recorded.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- one run ----------------------------------------------------------------------- */

static int
refuse(const struct merge_shard *s, const char *why, struct err *e)
{
	return err_set(e, ERR_MISMATCH,
		"%s cannot be merged: %s; index the whole corpus in one run", s->name,
		why);
}

int
merge_check(const struct merge_shard *s, struct err *e)
{
	uint64_t max_tokens;

	if (ranges_is_part(s->in->catalog, s->run)) /* of one cut, whatever it is */
		return 0;
	if (value_get(s->provenance, "elsewhere") != NULL)
		return refuse(s,
			"its windows and activations were made elsewhere "
			"(--activations and --latents may be repeated)",
			e);
	if (s->cut->joined)
		return refuse(s,
			"its windows run across documents (--joined), so all that come "
			"before decide them",
			e);
	if (recorded_u64(value_get(s->provenance, "cut"), "max_tokens", &max_tokens,
		    e) < 0)
		return err_wrap(e, "%s", s->name);
	return max_tokens == 0
		? 0
		: refuse(s, "--max-tokens left out a part of its corpus", e);
}

int
merge_option(const struct merge_shard *s, const char *key, uint64_t *out, struct err *e)
{
	if (recorded_u64(value_get(s->provenance, "options"), key, out, e) < 0)
		return err_wrap(e, "%s", s->name);
	return 0;
}

/* ---- two runs ------------------------------------------------------------------------ */

struct two {
	const struct merge_shard *a;
	struct merge_shard *b;
	struct err *e;
};

static int
differ(const struct two *t, const char *what, const char *in_a, const char *in_b)
{
	return err_set(t->e, ERR_MISMATCH,
		"%s and %s cannot be merged: %s is %s there and %s here", t->a->name,
		t->b->name, what, in_a, in_b);
}

static int
same_text(const struct two *t, const char *what, const char *in_a, const char *in_b)
{
	return strcmp(in_a, in_b) == 0 ? 0 : differ(t, what, in_a, in_b);
}

static int
same_number(const struct two *t, const char *what, int64_t in_a, int64_t in_b)
{
	char a[24], b[24];

	snprintf(a, sizeof(a), "%" PRId64, in_a);
	snprintf(b, sizeof(b), "%" PRId64, in_b);
	return same_text(t, what, a, b);
}

/* A value of both provenances: a word, a number, or whether. */
static int
same_recorded(const struct two *t, const char *map, const char *key, const char *what)
{
	const struct value *x[2] = {t->a->provenance, t->b->provenance};
	char text[2][512];

	for (int i = 0; i < 2; i++) {
		uint64_t n;

		if (map != NULL)
			x[i] = value_get(x[i], map);
		x[i] = x[i] != NULL ? value_get(x[i], key) : NULL;
		if (x[i] == NULL)
			snprintf(text[i], sizeof(text[i]), "not told");
		else if (x[i]->type == VALUE_BOOL)
			snprintf(text[i], sizeof(text[i]), "%s",
				x[i]->boolean ? "yes" : "no");
		else if (x[i]->type == VALUE_STR)
			snprintf(text[i], sizeof(text[i]), "\"%.*s\"", (int)x[i]->n,
				x[i]->str);
		else if (value_as_int(x[i], (int64_t *)&n))
			snprintf(text[i], sizeof(text[i]), "%" PRIu64, n);
		else
			snprintf(text[i], sizeof(text[i]), "something else");
	}
	return same_text(t, what, text[0], text[1]);
}

static const struct cat_model *
model_of(const struct merge_shard *s)
{
	return &s->in->catalog->model[s->cat->model];
}

static const struct cat_sae *
sae_of(const struct merge_shard *s, uint32_t slot)
{
	return &s->in->catalog->sae[s->cat->sae[slot].sae];
}

/* Each of a's SAEs in b, in whatever slot. */
static int
same_saes(const struct two *t)
{
	if (same_number(t, "the number of SAEs", t->a->cat->n_saes, t->b->cat->n_saes) <
		0)
		return t->e->code;
	for (uint32_t i = 0; i < t->a->cat->n_saes; i++) {
		const struct cat_sae *x = sae_of(t->a, i);
		uint32_t slot = 0;

		while (slot < t->b->cat->n_saes &&
			strcmp(sae_of(t->b, slot)->id, x->id) != 0)
			slot++;
		if (slot == t->b->cat->n_saes)
			return err_set(t->e, ERR_MISMATCH,
				"%s and %s cannot be merged: the SAE %s (%s) is not "
				"in the second",
				t->a->name, t->b->name, x->name, x->id);
		if (same_text(t, "the hook of an SAE", x->hook,
			    sae_of(t->b, slot)->hook) < 0)
			return t->e->code;
		t->b->slot[i] = slot;
	}
	return 0;
}

static int
same_excluded(const struct two *t)
{
	const struct value *x = value_get(t->a->provenance, "excluded_tokens");
	const struct value *y = value_get(t->b->provenance, "excluded_tokens");
	bool same = x != NULL && y != NULL && x->type == VALUE_ARRAY &&
		y->type == VALUE_ARRAY && x->n == y->n;

	for (uint32_t i = 0; same && i < x->n; i++) {
		int64_t a, b;

		same = value_as_int(&x->v[i], &a) && value_as_int(&y->v[i], &b) &&
			a == b;
	}
	return same ? 0
		    : err_set(t->e, ERR_MISMATCH,
			      "%s and %s cannot be merged: statistics leave out other "
			      "tokens",
			      t->a->name, t->b->name);
}

/* What is recorded of the settings that decide a run's result, or how a corpus is read:
 * one run has one of each. */
static const struct {
	const char *map, *key, *what;
} recorded[] = {
	{NULL, "format", "the format of what a run computes"},
	{"options", "examples", "--examples"},
	{"options", "dedup_radius", "--dedup-radius"},
	{"options", "interval_samples", "--interval-samples"},
	{"options", "seed", "--seed"},
	{"options", "count_special", "--count-special"},
	{"corpus", "text_field", "--text-field"},
	{"corpus", "id_field", "--id-field"},
	{"corpus", "lines", "--lines"},
	{"corpus", "strict", "--strict"},
	{NULL, "values", "what values are"},
	{NULL, "logits", "what logit effects are"},
};

/* Ranges of features are joined by themselves. */
static int
same_kind(const struct two *t)
{
	bool a = ranges_is_part(t->a->in->catalog, t->a->run);
	bool b = ranges_is_part(t->b->in->catalog, t->b->run);

	if (a == b)
		return 0;
	return err_set(t->e, ERR_MISMATCH,
		"%s and %s cannot be merged: the %s sought a range of features alone, "
		"the other all; join the ranges first",
		t->a->name, t->b->name, a ? "first" : "second");
}

int
merge_match(const struct merge_shard *a, struct merge_shard *b, struct err *e)
{
	struct two t = {a, b, e};

	if (same_kind(&t) < 0 ||
		same_text(&t, "the model", model_of(a)->weights_sha256,
			model_of(b)->weights_sha256) < 0 ||
		same_text(&t, "the tokenizer", a->cut->tokenizer_sha256,
			b->cut->tokenizer_sha256) < 0 ||
		same_saes(&t) < 0 ||
		same_number(&t, "the context", a->cut->context, b->cut->context) < 0 ||
		same_text(&t, "BOS in front", a->cut->prepend_bos ? "yes" : "no",
			b->cut->prepend_bos ? "yes" : "no") < 0 ||
		same_number(&t, "BOS", a->cut->bos, b->cut->bos) < 0)
		return e->code;
	for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++)
		if (same_recorded(&t, recorded[i].map, recorded[i].key,
			    recorded[i].what) < 0)
			return e->code;
	return same_excluded(&t);
}
