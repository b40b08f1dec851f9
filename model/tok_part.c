/* SPDX-License-Identifier: ISC */
/* A place in a tokenizer.json, and errors that name it. */
#include "model/tok_load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct part
part_root(const struct loader *l)
{
	return (struct part){.l = l, .v = l->doc.root};
}

struct part
part_get(const struct part *p, const char *key)
{
	struct part out = {.l = p->l, .v = js_get(p->v, key)};

	snprintf(out.path, sizeof(out.path), "%.150s%s%.40s", p->path,
		p->path[0] ? "." : "", key);
	return out;
}

struct part
part_at(const struct part *p, size_t i)
{
	struct part out = {.l = p->l, .v = js_at(p->v, i)};

	snprintf(out.path, sizeof(out.path), "%.170s[%zu]", p->path, i);
	return out;
}

bool
part_none(const struct part *p)
{
	return js_type(p->v) == JS_ABSENT || js_type(p->v) == JS_NULL;
}

const char *
part_type(const struct part *p)
{
	return js_str(js_get(p->v, "type"), NULL);
}

int
part_bad(const struct part *p, struct err *e, const char *fmt, ...)
{
	char what[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return err_set(e, ERR_FORMAT, "%s: %s: %s", p->l->t->path, p->path, what);
}

int
part_unsupported(const struct part *p, const char *what, const char *name,
	struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "%s: %s: %s \"%.80s\" is not supported",
		p->l->t->path, p->path, what, name ? name : "(without a type)");
}

int
part_object(const struct part *p, struct err *e)
{
	return js_type(p->v) == JS_OBJECT ? 0 : part_bad(p, e, "must be an object");
}

int
part_list(const struct part *p, struct err *e)
{
	return js_type(p->v) == JS_ARRAY ? 0 : part_bad(p, e, "must be an array");
}

int
part_each(struct loader *l, const struct part *list,
	int (*load)(struct loader *l, const struct part *p, struct err *e),
	struct err *e)
{
	int rc = part_list(list, e);

	for (size_t i = 0; rc == 0 && i < js_n(list->v); i++) {
		struct part x = part_at(list, i);

		rc = part_object(&x, e);
		if (rc == 0)
			rc = load(l, &x, e);
	}
	return rc;
}

int
part_bool(const struct part *p, const char *key, bool fallback, bool *out,
	struct err *e)
{
	struct part x = part_get(p, key);

	*out = fallback;
	if (part_none(&x))
		return 0;
	if (js_type(x.v) != JS_BOOL)
		return part_bad(&x, e, "must be true or false");
	*out = js_true(x.v);
	return 0;
}

int
part_str(const struct part *p, const char *key, const char **s, size_t *n,
	struct err *e)
{
	struct part x = part_get(p, key);

	*s = js_str(x.v, n);
	return *s ? 0 : part_bad(&x, e, "must be a string");
}

int
part_pattern(const struct part *p, bool *is_regex, const char **s, size_t *n,
	struct err *e)
{
	struct part x = part_get(p, "pattern");

	*s = js_str(js_get(x.v, "Regex"), n);
	*is_regex = *s != NULL;
	if (!*s)
		*s = js_str(js_get(x.v, "String"), n);
	if (!*s)
		return part_bad(&x, e, "must hold a Regex or a String");
	return *n > 0 ? 0 : part_unsupported(&x, "the pattern", "", e);
}
