/* SPDX-License-Identifier: ISC */
/* The normalizers of a tokenizer.json, one function each in a table by type. */
#include "model/tok_load.h"
#include "model/tok_norm.h"

#include <string.h>

static int
copy(const struct part *p, struct buf *out, const char *s, size_t n, struct err *e)
{
	buf_put(out, s, n);
	return out->failed ? load_no_memory(p->l, e) : 0;
}

static int
form(struct norm *n, bool compat, bool join)
{
	n->run = norm_form;
	n->compat = compat;
	n->join = join;
	return 0;
}

static int
load_nfc(const struct part *p, struct norm *n, struct err *e)
{
	(void)p;
	(void)e;
	return form(n, false, true);
}

static int
load_nfd(const struct part *p, struct norm *n, struct err *e)
{
	(void)p;
	(void)e;
	return form(n, false, false);
}

static int
load_nfkc(const struct part *p, struct norm *n, struct err *e)
{
	(void)p;
	(void)e;
	return form(n, true, true);
}

static int
load_nfkd(const struct part *p, struct norm *n, struct err *e)
{
	(void)p;
	(void)e;
	return form(n, true, false);
}

static int
load_lowercase(const struct part *p, struct norm *n, struct err *e)
{
	(void)p;
	(void)e;
	n->run = norm_lowercase;
	return 0;
}

static int
load_strip_accents(const struct part *p, struct norm *n, struct err *e)
{
	(void)p;
	(void)e;
	n->run = norm_strip_accents;
	return 0;
}

static int
load_strip(const struct part *p, struct norm *n, struct err *e)
{
	int rc = part_bool(p, "strip_left", true, &n->left, e);

	n->run = norm_strip;
	return rc == 0 ? part_bool(p, "strip_right", true, &n->right, e) : rc;
}

static int
load_prepend(const struct part *p, struct norm *n, struct err *e)
{
	const char *s;
	size_t n_bytes;
	int rc = part_str(p, "prepend", &s, &n_bytes, e);

	n->run = norm_prepend;
	return rc == 0 ? copy(p, &n->put, s, n_bytes, e) : rc;
}

static int
load_replace(const struct part *p, struct norm *n, struct err *e)
{
	const char *s, *put;
	size_t n_bytes, n_put;
	bool is_regex;
	int rc = part_pattern(p, &is_regex, &s, &n_bytes, e);

	n->run = norm_replace;
	if (rc == 0)
		rc = part_str(p, "content", &put, &n_put, e);
	if (rc == 0)
		rc = copy(p, &n->put, put, n_put, e);
	if (rc < 0)
		return rc;
	if (!is_regex)
		return copy(p, &n->find, s, n_bytes, e);
	return re_new(&n->re, s, n_bytes, e) < 0
		? err_wrap(e, "%s: %s.pattern", p->l->t->path, p->path)
		: 0;
}

static const struct {
	const char *type;
	int (*load)(const struct part *p, struct norm *n, struct err *e);
} kinds[] = {
	{"NFC", load_nfc},
	{"NFD", load_nfd},
	{"NFKC", load_nfkc},
	{"NFKD", load_nfkd},
	{"Lowercase", load_lowercase},
	{"StripAccents", load_strip_accents},
	{"Strip", load_strip},
	{"Prepend", load_prepend},
	{"Replace", load_replace},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *
normalizer_at(size_t i)
{
	return i < N_KINDS ? kinds[i].type : NULL;
}

int
load_normalizer(struct loader *l, const struct part *p, struct err *e)
{
	struct tok *t = l->t;
	const char *type = part_type(p);

	if (part_none(p))
		return 0;
	if (type && strcmp(type, "Sequence") == 0) {
		struct part list = part_get(p, "normalizers");

		return part_each(l, &list, load_normalizer,
			e); /* as deep as JSON may be */
	}
	if (t->n_norms == NORMS_MAX)
		return err_set(e, ERR_LIMIT, "%s: %s: more than %d normalizers",
			t->path, p->path, NORMS_MAX);
	for (size_t i = 0; type && i < N_KINDS; i++) {
		if (strcmp(type, kinds[i].type) == 0)
			return kinds[i].load(p, &t->norm[t->n_norms++], e);
	}
	return part_unsupported(p, "the normalizer", type, e);
}
