/* SPDX-License-Identifier: ISC */
#include "schema/out.h"

#include "schema/value.h"
#include "util/utf8.h"

#include <assert.h>
#include <string.h>

#define MAX_LEVEL \
	(sizeof(((struct out *)NULL)->level) / sizeof(((struct out *)NULL)->level[0]))

/* Whether to write on; a sink that grew past its limit stops growing. */
static bool
open_for(struct out *o)
{
	if (o->limit_bytes != 0 && o->buf->n_bytes > o->limit_bytes)
		o->over_limit = true;
	return !o->over_limit && !o->buf->failed;
}

static void
written(struct out *o)
{
	if (o->depth == 0)
		return;
	assert(o->level[o->depth - 1].left > 0);
	o->level[o->depth - 1].left--;
	o->level[o->depth - 1].first = false;
}

static void
push(struct out *o, size_t n_values, bool is_map)
{
	written(o);
	assert((size_t)o->depth < MAX_LEVEL);
	o->level[o->depth].left = n_values;
	o->level[o->depth].is_map = is_map;
	o->level[o->depth].first = true;
	o->depth++;
}

bool
out_failed(const struct out *o)
{
	return o->over_limit || o->buf->failed ||
		(o->limit_bytes != 0 && o->buf->n_bytes > o->limit_bytes);
}

void
out_map(struct out *o, size_t n_pairs)
{
	if (open_for(o))
		o->ops->map(o, n_pairs);
	push(o, 2 * n_pairs, true);
}

void
out_array(struct out *o, size_t n)
{
	if (open_for(o))
		o->ops->array(o, n);
	push(o, n, false);
}

void
out_end(struct out *o)
{
	assert(o->depth > 0 && o->level[o->depth - 1].left == 0);
	if (open_for(o))
		o->ops->end(o);
	o->depth--;
}

void
out_nil(struct out *o)
{
	if (open_for(o))
		o->ops->nil(o);
	written(o);
}

void
out_bool(struct out *o, bool v)
{
	if (open_for(o))
		o->ops->boolean(o, v);
	written(o);
}

void
out_int(struct out *o, int64_t v)
{
	if (open_for(o))
		o->ops->integer(o, v);
	written(o);
}

void
out_uint(struct out *o, uint64_t v)
{
	if (open_for(o))
		o->ops->unsigned_(o, v);
	written(o);
}

void
out_f32(struct out *o, float v)
{
	if (open_for(o))
		o->ops->f32(o, v);
	written(o);
}

void
out_f64(struct out *o, double v)
{
	if (open_for(o))
		o->ops->f64(o, v);
	written(o);
}

void
out_strn(struct out *o, const char *p, size_t n_bytes)
{
	if (open_for(o))
		o->ops->str(o, p, n_bytes);
	written(o);
}

void
out_str(struct out *o, const char *s)
{
	if (s == NULL)
		out_nil(o);
	else
		out_strn(o, s, strlen(s));
}

void
out_text(struct out *o, const char *p, size_t n_bytes)
{
	struct buf shown;

	if (utf8_valid(p, n_bytes) == n_bytes) {
		out_strn(o, p, n_bytes);
		return;
	}
	buf_init(&shown);
	utf8_show(&shown, p, n_bytes);
	if (shown.failed)
		o->buf->failed = true;
	out_strn(o, (const char *)shown.data, shown.n_bytes);
	buf_clear(&shown);
}

void
out_bin(struct out *o, const void *p, size_t n_bytes)
{
	if (open_for(o))
		o->ops->bin(o, p, n_bytes);
	written(o);
}

void
out_key(struct out *o, const char *key)
{
	out_strn(o, key, strlen(key));
}

void
out_key_str(struct out *o, const char *key, const char *v)
{
	out_key(o, key);
	out_str(o, v);
}

void
out_key_int(struct out *o, const char *key, int64_t v)
{
	out_key(o, key);
	out_int(o, v);
}

void
out_key_uint(struct out *o, const char *key, uint64_t v)
{
	out_key(o, key);
	out_uint(o, v);
}

void
out_key_f32(struct out *o, const char *key, float v)
{
	out_key(o, key);
	out_f32(o, v);
}

void
out_key_f64(struct out *o, const char *key, double v)
{
	out_key(o, key);
	out_f64(o, v);
}

void
out_key_bool(struct out *o, const char *key, bool v)
{
	out_key(o, key);
	out_bool(o, v);
}

int
out_json_text(struct out *o, const char *json, struct err *e)
{
	const struct value *v;
	struct arena arena;
	int rc;

	arena_init(&arena, 0);
	rc = value_parse_json(&v, json, strlen(json), &arena, e);
	if (rc == 0)
		value_write(o, v);
	else
		out_nil(o);
	arena_clear(&arena);
	return rc;
}
