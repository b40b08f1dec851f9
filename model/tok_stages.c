/* SPDX-License-Identifier: ISC */
/* The pre-tokenizers of a tokenizer.json, one function each in a table by type. */
#include "model/tok_fold_table.h"
#include "model/tok_load.h"
#include "util/utf8.h"

#include <string.h>

/* GPT-2's: what ByteLevel with use_regex splits by. */
static const char gpt2_regex[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|"
				 " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static const char *const behaviors[] = {
	[SPLIT_REMOVED] = "Removed",
	[SPLIT_ISOLATED] = "Isolated",
	[SPLIT_WITH_PREVIOUS] = "MergedWithPrevious",
	[SPLIT_WITH_NEXT] = "MergedWithNext",
	[SPLIT_CONTIGUOUS] = "Contiguous",
};

static int
behavior_of(const struct part *p, const char *key, enum behavior *out, struct err *e)
{
	struct part x = part_get(p, key);
	const char *name = js_str(x.v, NULL);

	for (size_t i = 0; name && i < sizeof(behaviors) / sizeof(behaviors[0]); i++) {
		if (strcmp(name, behaviors[i]) == 0) {
			*out = (enum behavior)i;
			return 0;
		}
	}
	return name ? part_unsupported(&x, "the split behavior", name, e)
		    : part_bad(&x, e, "must be a string");
}

static int
regex(const struct part *p, struct stage *s, const char *text, size_t n,
	enum behavior behavior, struct err *e)
{
	s->behavior = behavior;
	return re_new(&s->re, text, n, e) < 0
		? err_wrap(e, "%s: %s", p->l->t->path, p->path)
		: 0;
}

static int
load_byte_level(const struct part *p, struct stage *s, struct err *e)
{
	bool use_regex, prefix;
	int rc = part_bool(p, "add_prefix_space", false, &prefix, e);

	s->byte_level = true;
	if (rc == 0)
		rc = part_bool(p, "use_regex", true, &use_regex, e);
	if (rc == 0 && prefix)
		s->rewrite = stage_prefix_space;
	if (rc == 0 && use_regex)
		rc = regex(p, s, gpt2_regex, sizeof(gpt2_regex) - 1, SPLIT_ISOLATED, e);
	return rc;
}

static int
load_split(const struct part *p, struct stage *s, struct err *e)
{
	enum behavior behavior = SPLIT_REMOVED;
	bool is_regex;
	const char *text;
	size_t n;
	int rc = part_bool(p, "invert", false, &s->invert, e);

	if (rc == 0)
		rc = behavior_of(p, "behavior", &behavior, e);
	if (rc == 0)
		rc = part_pattern(p, &is_regex, &text, &n, e);
	if (rc < 0)
		return rc;
	if (is_regex)
		return regex(p, s, text, n, behavior, e);
	s->behavior = behavior;
	return re_new_literal(&s->re, text, n, e);
}

static int
load_digits(const struct part *p, struct stage *s, struct err *e)
{
	bool individual;
	int rc = part_bool(p, "individual_digits", false, &individual, e);

	return rc < 0 ? rc
		      : regex(p, s, "\\p{N}", 5,
				individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, e);
}

static int
load_white_space(const struct part *p, struct stage *s, struct err *e)
{
	static const char text[] = "[\\w\\x{200c}\\x{200d}]+|"
				   "[^\\w\\x{200c}\\x{200d}\\s]+";

	s->invert = true;
	return regex(p, s, text, sizeof(text) - 1, SPLIT_REMOVED, e);
}

static int
load_white_space_split(const struct part *p, struct stage *s, struct err *e)
{
	return regex(p, s, "\\s", 2, SPLIT_REMOVED, e);
}

static int
load_punctuation(const struct part *p, struct stage *s, struct err *e)
{
	struct part named = part_get(p, "behavior");
	enum behavior behavior = SPLIT_ISOLATED;
	struct buf b = {0};
	int rc = part_none(&named) ? 0 : behavior_of(p, "behavior", &behavior, e);

	if (rc < 0)
		return rc;
	buf_puts(&b, "[");
	for (size_t i = 0; i < FOLD_N_PUNCT; i++)
		buf_printf(&b, "\\x{%x}-\\x{%x}", fold_punct[i][0], fold_punct[i][1]);
	buf_puts(&b, "]");
	rc = b.failed ? load_no_memory(p->l, e)
		      : regex(p, s, (const char *)b.data, b.n_bytes, behavior, e);
	buf_clear(&b);
	return rc;
}

/* One character, as its bytes. */
static int
one_char(const struct part *p, const char *key, const char **s, size_t *n,
	struct err *e)
{
	struct part x = part_get(p, key);
	int rc = part_str(p, key, s, n, e);

	if (rc == 0 && (*n == 0 || utf8_next(*s, *n, NULL) != *n))
		rc = part_bad(&x, e, "must be one character");
	return rc;
}

static int
load_delimiter(const struct part *p, struct stage *s, struct err *e)
{
	const char *text;
	size_t n;
	int rc = one_char(p, "delimiter", &text, &n, e);

	s->behavior = SPLIT_REMOVED;
	return rc == 0 ? re_new_literal(&s->re, text, n, e) : rc;
}

/* prepend_scheme, or add_prefix_space in older files. */
static int
scheme_of(const struct part *p, enum scheme *out, struct err *e)
{
	static const char *const names[] = {[PREPEND_ALWAYS] = "always",
		[PREPEND_FIRST] = "first",
		[PREPEND_NEVER] = "never"};
	struct part x = part_get(p, "prepend_scheme");
	const char *name = js_str(x.v, NULL);
	bool prefix;
	size_t i = 0;
	int rc = part_bool(p, "add_prefix_space", true, &prefix, e);

	if (rc < 0)
		return rc;
	*out = prefix ? PREPEND_ALWAYS : PREPEND_NEVER;
	if (part_none(&x))
		return 0;
	while (name && i < 3 && strcmp(name, names[i]) != 0)
		i++;
	if (!name || i == 3)
		return part_bad(&x, e, "must be always, first or never");
	*out = (enum scheme)i;
	return prefix || *out == PREPEND_NEVER
		? 0
		: part_bad(&x, e, "\"%s\" contradicts add_prefix_space", name);
}

static int
load_metaspace(const struct part *p, struct stage *s, struct err *e)
{
	const char *mark;
	size_t n;
	bool split;
	int rc = one_char(p, "replacement", &mark, &n, e);

	if (rc == 0)
		rc = scheme_of(p, &s->scheme, e);
	if (rc == 0)
		rc = part_bool(p, "split", true, &split, e);
	if (rc < 0)
		return rc;
	memcpy(s->mark, mark, n);
	s->rewrite = stage_metaspace;
	s->behavior = SPLIT_WITH_NEXT;
	return split ? re_new_literal(&s->re, mark, n, e) : 0;
}

static const struct {
	const char *type;
	int (*load)(const struct part *p, struct stage *s, struct err *e);
} kinds[] = {
	{"ByteLevel", load_byte_level},
	{"Metaspace", load_metaspace},
	{"Split", load_split},
	{"Digits", load_digits},
	{"Whitespace", load_white_space},
	{"WhitespaceSplit", load_white_space_split},
	{"Punctuation", load_punctuation},
	{"CharDelimiterSplit", load_delimiter},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *
pre_at(size_t i)
{
	return i < N_KINDS ? kinds[i].type : NULL;
}

int
load_pre(struct loader *l, const struct part *p, struct err *e)
{
	struct tok *t = l->t;
	const char *type = part_type(p);

	if (part_none(p))
		return 0;
	if (type && strcmp(type, "Sequence") == 0) {
		struct part list = part_get(p, "pretokenizers");

		return part_each(l, &list, load_pre, e); /* as deep as JSON may be */
	}
	if (t->n_stages == STAGES_MAX)
		return err_set(e, ERR_LIMIT, "%s: %s: more than %d pre-tokenizers",
			t->path, p->path, STAGES_MAX);
	if (t->n_stages > 0 && t->stage[t->n_stages - 1].byte_level)
		return part_unsupported(p, "behind ByteLevel, the pre-tokenizer", type,
			e);
	for (size_t i = 0; type && i < N_KINDS; i++) {
		if (strcmp(type, kinds[i].type) == 0)
			return kinds[i].load(p, &t->stage[t->n_stages++], e);
	}
	return part_unsupported(p, "the pre-tokenizer", type, e);
}
