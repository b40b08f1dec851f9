/* SPDX-License-Identifier: ISC */
/* The added tokens of a tokenizer.json. */
#include "model/tok_load.h"
#include "util/mem.h"

#include <string.h>

#define ADDED_MAX_BYTES 4096

static int
added_flags(const struct part *p, struct added *x, struct err *e)
{
	const struct {
		const char *key;
		bool *out;
	} flags[] = {
		{"special", &x->special},
		{"single_word", &x->single_word},
		{"lstrip", &x->lstrip},
		{"rstrip", &x->rstrip},
		{"normalized", &x->normalized},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(flags) / sizeof(flags[0]); i++)
		rc = part_bool(p, flags[i].key, false, flags[i].out, e);
	return rc;
}

/* The content as it is looked for: put through the normalizers if the text is,
 * too. */
static int
added_content(struct loader *l, struct added *x, const char *s, size_t n, struct err *e)
{
	struct tok_text in = {.p = s, .n_bytes = n}, out = in;
	struct tok_map maps[2] = {{{0}, {0}, {0}}, {{0}, {0}, {0}}};
	struct re_work *re = NULL;
	int rc = 0;

	if (x->normalized) {
		rc = re_work_new(&re, e);
		if (rc == 0)
			rc = norm_all(l->t->norm, l->t->n_norms, re, maps, &in, &out,
				e);
	}
	if (rc == 0) {
		x->content = mem_strndup(out.p, out.n_bytes);
		x->n_bytes = (uint32_t)out.n_bytes;
		x->spelt = mem_strndup(s, n);
		x->n_spelt = (uint32_t)n;
		if (!x->content || !x->spelt)
			rc = load_no_memory(l, e);
	}
	map_clear(&maps[0]);
	map_clear(&maps[1]);
	re_work_free(re);
	return rc;
}

static int
load_one(struct loader *l, const struct part *p, struct err *e)
{
	struct added *x = &l->t->added[l->t->n_added++];
	struct part content = part_get(p, "content");
	size_t n;
	const char *s = js_str(content.v, &n);
	struct tok_entry *entry;
	uint64_t id = 0;
	uint32_t in_vocab;
	int rc;

	js_u64(js_get(p->v, "id"), &id); /* load_vocab() has looked at it */
	x->id = (uint32_t)id;
	if (!s || n == 0 || n > ADDED_MAX_BYTES)
		return part_bad(&content, e, "must be a string of 1 to %d bytes",
			ADDED_MAX_BYTES);
	rc = added_flags(p, x, e);
	if (rc == 0)
		rc = added_content(l, x, s, n, e);
	if (rc < 0)
		return rc;
	in_vocab = load_id(l, s, n);
	entry = &l->t->entry[x->id];
	if (in_vocab != TOK_NONE ? in_vocab != x->id : entry->bytes != NULL)
		return err_set(e, ERR_MISMATCH,
			"%s: %s: \"%.80s\" has id %u, but the vocabulary says "
			"otherwise",
			l->t->path, p->path, s, x->id);
	if (!entry->bytes)
		load_entry(l, x->id, s, n, false);
	entry->special = x->special;
	return 0;
}

int
load_added(struct loader *l, const struct part *added, struct err *e)
{
	int rc = 0;

	if (part_none(added))
		return 0;
	l->t->added = mem_new(js_n(added->v), sizeof(*l->t->added));
	if (!l->t->added)
		return load_no_memory(l, e);
	for (size_t i = 0; rc == 0 && i < js_n(added->v); i++) {
		struct part x = part_at(added, i);

		rc = load_one(l, &x, e);
	}
	return rc;
}
