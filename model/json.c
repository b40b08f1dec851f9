/* SPDX-License-Identifier: ISC */
#include "model/json.h"

#include "util/buf.h"
#include "util/file.h"
#include "util/mem.h"

#include <jansson.h>
#include <string.h>

static const char *const type_names[] = {
	[JS_ABSENT] = "nothing",
	[JS_NULL] = "null",
	[JS_BOOL] = "a boolean",
	[JS_INT] = "an integer",
	[JS_REAL] = "a number",
	[JS_STR] = "a string",
	[JS_ARRAY] = "an array",
	[JS_OBJECT] = "an object",
};

/* The parser calls a failed allocation a syntax error, or nothing at all. */
static _Thread_local bool alloc_failed;

static void *
js_alloc(size_t n_bytes)
{
	void *p = mem_new(n_bytes, 1);

	if (!p)
		alloc_failed = true;
	return p;
}

static json_t *
as_json(const struct js *v)
{
	return (json_t *)v;
}

static const struct js *
as_js(const json_t *v)
{
	return (const struct js *)v;
}

/* Does v nest at most max_depth deep? */
static bool
depth_within(json_t *v, size_t max_depth)
{
	const char *key;
	json_t *child;
	size_t i;

	if (!json_is_array(v) && !json_is_object(v))
		return true;
	if (max_depth == 0)
		return false;
	json_array_foreach(v, i, child)
	{
		if (!depth_within(child, max_depth - 1))
			return false;
	}
	json_object_foreach(v, key, child)
	{
		if (!depth_within(child, max_depth - 1))
			return false;
	}
	return true;
}

int
js_parse(struct js_doc *d, const char *name, const void *p, size_t n_bytes,
	size_t max_depth, struct err *e)
{
	json_error_t je;
	json_t *root;

	*d = (struct js_doc){0};
	json_set_alloc_funcs(js_alloc, mem_free);
	alloc_failed = false;
	root = json_loadb(p, n_bytes, JSON_REJECT_DUPLICATES, &je);
	if (!root && alloc_failed)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", name);
	if (!root)
		return err_set(e, ERR_FORMAT,
			"%s: not valid JSON at line %d (byte %d): %s", name, je.line,
			je.position, je.text);
	if (!depth_within(root, max_depth)) {
		json_decref(root);
		return err_set(e, ERR_LIMIT, "%s: JSON nested more than %zu deep", name,
			max_depth);
	}
	d->name = mem_strdup(name);
	if (!d->name) {
		json_decref(root);
		return err_set(e, ERR_NOMEM, "%s: memory ran out", name);
	}
	d->root = (struct js *)root;
	return 0;
}

int
js_open(struct js_doc *d, const char *path, size_t max_bytes, size_t max_depth,
	struct err *e)
{
	struct buf b;
	int rc;

	*d = (struct js_doc){0};
	buf_init(&b);
	rc = file_read(path, max_bytes, &b, e);
	if (rc == 0)
		rc = js_parse(d, path, b.data ? (const void *)b.data : "", b.n_bytes,
			max_depth, e);
	buf_clear(&b);
	return rc;
}

void
js_close(struct js_doc *d)
{
	json_decref(as_json(d->root));
	mem_free(d->name);
	*d = (struct js_doc){0};
}

enum js_type
js_type(const struct js *v)
{
	static const enum js_type types[] = {
		[JSON_OBJECT] = JS_OBJECT,
		[JSON_ARRAY] = JS_ARRAY,
		[JSON_STRING] = JS_STR,
		[JSON_INTEGER] = JS_INT,
		[JSON_REAL] = JS_REAL,
		[JSON_TRUE] = JS_BOOL,
		[JSON_FALSE] = JS_BOOL,
		[JSON_NULL] = JS_NULL,
	};

	return v ? types[json_typeof(as_json(v))] : JS_ABSENT;
}

const char *
js_type_name(enum js_type type)
{
	return type_names[type];
}

const struct js *
js_get(const struct js *v, const char *key)
{
	return as_js(json_object_get(as_json(v), key));
}

size_t
js_n(const struct js *v)
{
	if (js_type(v) == JS_OBJECT)
		return json_object_size(as_json(v));
	return json_array_size(as_json(v));
}

const struct js *
js_at(const struct js *v, size_t i)
{
	return as_js(json_array_get(as_json(v), i));
}

const char *
js_str(const struct js *v, size_t *n_bytes)
{
	if (n_bytes)
		*n_bytes = json_string_length(as_json(v));
	return json_string_value(as_json(v));
}

bool
js_true(const struct js *v)
{
	return json_is_true(as_json(v));
}

bool
js_u64(const struct js *v, uint64_t *out)
{
	json_int_t i = json_integer_value(as_json(v));

	if (js_type(v) != JS_INT || i < 0)
		return false;
	*out = (uint64_t)i;
	return true;
}

void *
js_first(const struct js *v)
{
	return json_object_iter(as_json(v));
}

void *
js_next(const struct js *v, void *it)
{
	return json_object_iter_next(as_json(v), it);
}

const char *
js_key(void *it, size_t *n_bytes)
{
	const char *key = json_object_iter_key(it);

	if (n_bytes)
		*n_bytes = strlen(key); /* the parser refuses NUL in keys */
	return key;
}

const struct js *
js_value(void *it)
{
	return as_js(json_object_iter_value(it));
}

static int
wrong_type(const struct js_doc *d, const struct js *v, const char *key,
	const char *wanted, struct err *e)
{
	if (!v)
		return err_set(e, ERR_FORMAT, "%s: \"%s\" is missing (%s)", d->name,
			key, wanted);
	return err_set(e, ERR_FORMAT, "%s: \"%s\" must be %s, not %s", d->name, key,
		wanted, type_names[js_type(v)]);
}

static bool
is_none(const struct js *v)
{
	return js_type(v) == JS_ABSENT || js_type(v) == JS_NULL;
}

int
js_need_u32(const struct js_doc *d, const struct js *v, const char *key, uint32_t *out,
	struct err *e)
{
	const struct js *m = js_get(v, key);
	uint64_t u;

	if (js_type(m) != JS_INT)
		return wrong_type(d, m, key, "a non-negative integer", e);
	if (!js_u64(m, &u) || u > UINT32_MAX)
		return err_set(e, ERR_FORMAT, "%s: \"%s\" must lie between 0 and %u",
			d->name, key, UINT32_MAX);
	*out = (uint32_t)u;
	return 0;
}

int
js_opt_u32(const struct js_doc *d, const struct js *v, const char *key,
	uint32_t fallback, uint32_t *out, struct err *e)
{
	*out = fallback;
	return is_none(js_get(v, key)) ? 0 : js_need_u32(d, v, key, out, e);
}

int
js_opt_bool(const struct js_doc *d, const struct js *v, const char *key, bool fallback,
	bool *out, struct err *e)
{
	const struct js *m = js_get(v, key);

	*out = fallback;
	if (is_none(m))
		return 0;
	if (js_type(m) != JS_BOOL)
		return wrong_type(d, m, key, "true or false", e);
	*out = js_true(m);
	return 0;
}

int
js_opt_f64(const struct js_doc *d, const struct js *v, const char *key, double fallback,
	double *out, struct err *e)
{
	const struct js *m = js_get(v, key);

	*out = fallback;
	if (is_none(m))
		return 0;
	if (js_type(m) != JS_REAL && js_type(m) != JS_INT)
		return wrong_type(d, m, key, "a number", e);
	*out = json_number_value(as_json(m));
	return 0;
}

int
js_need_str(const struct js_doc *d, const struct js *v, const char *key, char *out,
	size_t size, struct err *e)
{
	const struct js *m = js_get(v, key);
	const char *s;
	size_t n;

	if (js_type(m) != JS_STR)
		return wrong_type(d, m, key, "a string", e);
	s = js_str(m, &n);
	if (n >= size)
		return err_set(e, ERR_LIMIT, "%s: \"%s\" is longer than %zu bytes",
			d->name, key, size - 1);
	memcpy(out, s, n + 1);
	return 0;
}

int
js_opt_str(const struct js_doc *d, const struct js *v, const char *key,
	const char *fallback, char *out, size_t size, struct err *e)
{
	if (!is_none(js_get(v, key)))
		return js_need_str(d, v, key, out, size, e);
	if (strlen(fallback) >= size)
		return err_set(e, ERR_INTERNAL, "fallback too long");
	memcpy(out, fallback, strlen(fallback) + 1);
	return 0;
}
