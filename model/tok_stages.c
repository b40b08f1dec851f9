/* SPDX-License-Identifier: ISC */
/*
 * The normalizer and the pre-tokenizers of a tokenizer.json, one function each
 * in a table by type.
 */
#include "model/tok_load.h"

#include <string.h>

/* GPT-2's: what ByteLevel with use_regex splits by. */
static const char gpt2_regex[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|"
				 " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

int
load_normalizer(struct loader *l, const struct js *v, struct err *e)
{
	const struct js *list = js_get(v, "normalizers");
	int rc = 0;

	if (load_none(v))
		return 0;
	if (load_named(v, "NFC")) {
		l->t->nfc = true;
		return 0;
	}
	if (!load_named(v, "Sequence") || js_type(list) != JS_ARRAY)
		return load_unsupported(l, "the normalizer",
			js_str(js_get(v, "type"), NULL), e);
	for (size_t i = 0; rc == 0 && i < js_n(list); i++) {
		if (load_named(js_at(list, i), "Sequence")) /* keeps this flat */
			return load_unsupported(l, "the normalizer",
				"Sequence in Sequence", e);
		rc = load_normalizer(l, js_at(list, i), e);
	}
	return rc;
}

static const char *const behaviors[] = {
	[SPLIT_REMOVED] = "Removed",
	[SPLIT_ISOLATED] = "Isolated",
	[SPLIT_WITH_PREVIOUS] = "MergedWithPrevious",
	[SPLIT_WITH_NEXT] = "MergedWithNext",
	[SPLIT_CONTIGUOUS] = "Contiguous",
};

static int
stage_byte_level(struct loader *l, const struct js *v, struct stage *s, struct err *e)
{
	bool use_regex;
	int rc = js_opt_bool(&l->doc, v, "add_prefix_space", false,
		&s->add_prefix_space, e);

	s->kind = STAGE_BYTE_LEVEL;
	s->behavior = SPLIT_ISOLATED;
	if (rc == 0)
		rc = js_opt_bool(&l->doc, v, "use_regex", true, &use_regex, e);
	if (rc == 0 && use_regex)
		rc = re_new(&s->re, gpt2_regex, sizeof(gpt2_regex) - 1, e);
	return rc;
}

static int
stage_split(struct loader *l, const struct js *v, struct stage *s, struct err *e)
{
	const struct js *pattern = js_get(v, "pattern");
	size_t n, n_behaviors = sizeof(behaviors) / sizeof(behaviors[0]), i = 0;
	const char *text, *behavior = js_str(js_get(v, "behavior"), NULL);
	int rc = js_opt_bool(&l->doc, v, "invert", false, &s->invert, e);

	if (rc < 0)
		return rc;
	s->kind = STAGE_SPLIT;
	while (behavior && i < n_behaviors && strcmp(behavior, behaviors[i]) != 0)
		i++;
	if (!behavior || i == n_behaviors)
		return load_unsupported(l, "the split behavior", behavior, e);
	s->behavior = (enum behavior)i;
	text = js_str(js_get(pattern, "Regex"), &n);
	if (text)
		return re_new(&s->re, text, n, e);
	text = js_str(js_get(pattern, "String"), &n);
	if (text)
		return re_new_literal(&s->re, text, n, e);
	return load_bad(l, e, "the pattern of a Split must be a Regex or a String");
}

static int
stage_digits(struct loader *l, const struct js *v, struct stage *s, struct err *e)
{
	bool individual;
	int rc = js_opt_bool(&l->doc, v, "individual_digits", false, &individual, e);

	s->kind = STAGE_SPLIT;
	s->behavior = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
	return rc == 0 ? re_new(&s->re, "\\p{N}", 5, e) : rc;
}

static const struct {
	const char *type;
	int (*load)(struct loader *l, const struct js *v, struct stage *s,
		struct err *e);
} stages[] = {
	{"ByteLevel", stage_byte_level},
	{"Split", stage_split},
	{"Digits", stage_digits},
};

static int
load_stage(struct loader *l, const struct js *v, struct err *e)
{
	struct tok *t = l->t;
	const char *type = js_str(js_get(v, "type"), NULL);
	int rc;

	if (t->n_stages == STAGES_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %d pre-tokenizers", t->path,
			STAGES_MAX);
	if (t->n_stages > 0 && t->stage[t->n_stages - 1].kind == STAGE_BYTE_LEVEL)
		return load_unsupported(l, "behind ByteLevel, the pre-tokenizer", type,
			e);
	for (size_t i = 0; type && i < sizeof(stages) / sizeof(stages[0]); i++) {
		if (strcmp(type, stages[i].type) != 0)
			continue;
		rc = stages[i].load(l, v, &t->stage[t->n_stages], e);
		t->n_stages++; /* also on failure: tok_close() frees the regex */
		return rc < 0 ? err_wrap(e, "%s: pre_tokenizer %s", t->path, type) : 0;
	}
	return load_unsupported(l, "the pre-tokenizer", type, e);
}

int
load_pre(struct loader *l, const struct js *v, struct err *e)
{
	const struct js *list = js_get(v, "pretokenizers");
	int rc = 0;

	if (!load_named(v, "Sequence"))
		return load_none(v)
			? load_unsupported(l, "the pre-tokenizer", "null", e)
			: load_stage(l, v, e);
	for (size_t i = 0; rc == 0 && i < js_n(list); i++)
		rc = load_stage(l, js_at(list, i), e);
	if (rc == 0 &&
		(l->t->n_stages == 0 ||
			l->t->stage[l->t->n_stages - 1].kind != STAGE_BYTE_LEVEL))
		rc = load_unsupported(l,
			"a pre-tokenizer that does not end in ByteLevel:", "Sequence",
			e);
	return rc;
}
