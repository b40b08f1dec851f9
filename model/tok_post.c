/* SPDX-License-Identifier: ISC */
/*
 * The post-processor of a tokenizer.json. saedb encodes without it; it is read
 * for the ids it puts around a text, which say what bos and eos are where no
 * tokenizer_config.json does.
 */
#include "model/tok_load.h"

#include <string.h>

/* What a template puts on one side of the text: one id, else -1. */
struct sides {
	bool seen_text;
	size_t n[2];
	int64_t id[2];
};

static int
check_id(struct loader *l, const struct part *p, uint64_t *id, struct err *e)
{
	return js_u64(p->v, id) && *id < l->t->n_ids
		? 0
		: part_bad(p, e, "must be the id of a token");
}

/* {"SpecialToken": {"id": "<s>"}}: the ids that special_tokens has for it. */
static int
template_special(struct loader *l, const struct part *template, const struct part *p,
	struct sides *s, struct err *e)
{
	struct part specials = part_get(template, "special_tokens"), entry, ids;
	const char *name;
	size_t n;
	uint64_t id = 0;
	int rc = part_str(p, "id", &name, &n, e);

	if (rc < 0)
		return rc;
	entry = part_get(&specials, name);
	if (js_type(entry.v) != JS_OBJECT)
		return part_bad(p, e, "special_tokens has no \"%.80s\"", name);
	ids = part_get(&entry, "ids");
	rc = part_list(&ids, e);
	for (size_t i = 0; rc == 0 && i < js_n(ids.v); i++) {
		struct part x = part_at(&ids, i);

		rc = check_id(l, &x, &id, e);
		s->id[s->seen_text] = (int64_t)id;
		s->n[s->seen_text]++;
	}
	return rc;
}

static int
template_piece(struct loader *l, const struct part *template, const struct part *p,
	struct sides *s, struct err *e)
{
	struct part special = part_get(p, "SpecialToken");
	struct part sequence = part_get(p, "Sequence");
	const char *name = js_str(js_get(sequence.v, "id"), NULL);

	if (js_type(special.v) == JS_OBJECT)
		return template_special(l, template, &special, s, e);
	if (!name || strcmp(name, "A") != 0 || s->seen_text)
		return part_bad(p, e, "must be a SpecialToken, or once Sequence A");
	s->seen_text = true;
	return 0;
}

static int
load_template(struct loader *l, const struct part *p, struct err *e)
{
	struct part single = part_get(p, "single");
	struct sides s = {.id = {-1, -1}};
	int rc = part_list(&single, e);

	for (size_t i = 0; rc == 0 && i < js_n(single.v); i++) {
		struct part x = part_at(&single, i);

		rc = template_piece(l, p, &x, &s, e);
	}
	if (rc == 0 && !s.seen_text)
		rc = part_bad(&single, e, "Sequence A is missing");
	if (rc == 0 && s.n[0] == 1)
		l->first = s.id[0];
	if (rc == 0 && s.n[1] == 1)
		l->last = s.id[1];
	return rc;
}

/* ["<s>", 0] at key. */
static int
load_pair(struct loader *l, const struct part *p, const char *key, int64_t *out,
	struct err *e)
{
	struct part pair = part_get(p, key), x = part_at(&pair, 1);
	uint64_t id = 0;
	int rc;

	if (js_n(pair.v) != 2 || !js_str(js_at(pair.v, 0), NULL))
		return part_bad(&pair, e, "must be a token and its id");
	rc = check_id(l, &x, &id, e);
	*out = (int64_t)id;
	return rc;
}

static int
load_pairs(struct loader *l, const struct part *p, struct err *e)
{
	int rc = load_pair(l, p, "cls", &l->first, e);

	return rc == 0 ? load_pair(l, p, "sep", &l->last, e) : rc;
}

static int
load_byte_level(struct loader *l, const struct part *p, struct err *e)
{
	bool trim;

	(void)l;
	return part_bool(p, "trim_offsets", true, &trim, e);
}

static int
load_sequence(struct loader *l, const struct part *p, struct err *e)
{
	struct part list = part_get(p, "processors");
	int rc = part_list(&list, e);

	for (size_t i = 0; rc == 0 && i < js_n(list.v); i++) {
		struct part x = part_at(&list, i);

		rc = part_object(&x, e);
		if (rc == 0)
			rc = load_post(l, &x, e); /* as deep as JSON may be */
	}
	return rc;
}

static const struct {
	const char *type;
	int (*load)(struct loader *l, const struct part *p, struct err *e);
} kinds[] = {
	{"TemplateProcessing", load_template},
	{"ByteLevel", load_byte_level},
	{"RobertaProcessing", load_pairs},
	{"BertProcessing", load_pairs},
	{"Sequence", load_sequence},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *
post_at(size_t i)
{
	return i < N_KINDS ? kinds[i].type : NULL;
}

int
load_post(struct loader *l, const struct part *p, struct err *e)
{
	const char *type = part_type(p);

	if (part_none(p))
		return 0;
	for (size_t i = 0; type && i < N_KINDS; i++) {
		if (strcmp(type, kinds[i].type) == 0)
			return kinds[i].load(l, p, e);
	}
	return part_unsupported(p, "the post-processor", type, e);
}
