/* SPDX-License-Identifier: ISC */
#include "client/conn.h"
#include "schema/out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* struct saedb_value is the public name of struct value. */
static const struct value *
inner(const struct saedb_value *v)
{
	return (const struct value *)(const void *)v;
}

static const struct saedb_value *
outer(const struct value *v)
{
	return (const struct saedb_value *)(const void *)v;
}

void
saedb_reply_free(struct saedb_reply *r)
{
	if (r == NULL)
		return;
	arena_clear(&r->arena);
	mem_free(r->data);
	mem_free(r);
}

const struct saedb_value *
saedb_result(const struct saedb_reply *r)
{
	return r == NULL ? NULL : outer(r->result);
}

enum saedb_type
saedb_type(const struct saedb_value *v)
{
	static const enum saedb_type type[] = {
		[VALUE_NIL] = SAEDB_NIL,
		[VALUE_BOOL] = SAEDB_BOOL,
		[VALUE_INT] = SAEDB_INT,
		[VALUE_UINT] = SAEDB_INT,
		[VALUE_F32] = SAEDB_FLOAT,
		[VALUE_F64] = SAEDB_FLOAT,
		[VALUE_STR] = SAEDB_STR,
		[VALUE_BIN] = SAEDB_BIN,
		[VALUE_ARRAY] = SAEDB_LIST,
		[VALUE_MAP] = SAEDB_MAP,
	};

	return v == NULL ? SAEDB_NIL : type[inner(v)->type];
}

size_t
saedb_length(const struct saedb_value *v)
{
	switch (saedb_type(v)) {
	case SAEDB_STR:
	case SAEDB_BIN:
	case SAEDB_LIST:
	case SAEDB_MAP:
		return inner(v)->n;
	case SAEDB_NIL:
	case SAEDB_BOOL:
	case SAEDB_INT:
	case SAEDB_FLOAT:
		break;
	}
	return 0;
}

const struct saedb_value *
saedb_get(const struct saedb_value *map, const char *key)
{
	return outer(map == NULL ? NULL : value_get(inner(map), key));
}

const struct saedb_value *
saedb_at(const struct saedb_value *list, size_t i)
{
	if (saedb_type(list) != SAEDB_LIST || i >= inner(list)->n)
		return NULL;
	return outer(&inner(list)->v[i]);
}

const struct saedb_value *
saedb_key(const struct saedb_value *map, size_t i)
{
	if (saedb_type(map) != SAEDB_MAP || i >= inner(map)->n)
		return NULL;
	return outer(&inner(map)->v[2 * i]);
}

const struct saedb_value *
saedb_pair(const struct saedb_value *map, size_t i)
{
	if (saedb_type(map) != SAEDB_MAP || i >= inner(map)->n)
		return NULL;
	return outer(&inner(map)->v[2 * i + 1]);
}

int64_t
saedb_int(const struct saedb_value *v, int64_t otherwise)
{
	int64_t i;

	return v != NULL && value_as_int(inner(v), &i) ? i : otherwise;
}

double
saedb_float(const struct saedb_value *v, double otherwise)
{
	double f;

	return v != NULL && value_as_float(inner(v), &f) ? f : otherwise;
}

bool
saedb_bool(const struct saedb_value *v, bool otherwise)
{
	return saedb_type(v) == SAEDB_BOOL ? inner(v)->boolean : otherwise;
}

const char *
saedb_str(const struct saedb_value *v, const char *otherwise)
{
	return saedb_type(v) == SAEDB_STR ? inner(v)->str : otherwise;
}

const void *
saedb_bin(const struct saedb_value *v, size_t *n_bytes)
{
	if (saedb_type(v) != SAEDB_BIN)
		return NULL;
	if (n_bytes != NULL)
		*n_bytes = inner(v)->n;
	return inner(v)->str;
}

size_t
saedb_floats(const struct saedb_value *v, float *out, size_t n)
{
	size_t n_bytes = 0, there;
	const void *p = saedb_bin(v, &n_bytes);
	struct cur c = cur_of(p != NULL ? p : "", n_bytes);

	there = p != NULL                     ? n_bytes / 4
		: saedb_type(v) == SAEDB_LIST ? saedb_length(v)
					      : 0;
	for (size_t i = 0; i < n && i < there; i++)
		out[i] = p != NULL ? cur_f32(&c)
				   : (float)saedb_float(saedb_at(v, i), (double)NAN);
	return there;
}

int
saedb_json(const struct saedb_value *v, char **text)
{
	static const struct value nil = {.type = VALUE_NIL};
	struct buf b;
	struct out o;

	*text = NULL;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	value_write(&o, v != NULL ? inner(v) : &nil);
	if (!out_failed(&o))
		*text = buf_str(&b);
	if (*text == NULL)
		buf_clear(&b);
	return *text != NULL ? 0 : SAEDB_NO_MEMORY;
}

void
saedb_text_free(char *text)
{
	mem_free(text);
}

static uint64_t
natural(const struct saedb_value *row, const char *key)
{
	int64_t i = saedb_int(saedb_get(row, key), 0);

	return i > 0 ? (uint64_t)i : 0;
}

int
saedb_read_feature(const struct saedb_value *row, struct saedb_feature *out)
{
	*out = (struct saedb_feature){0};
	if (saedb_type(row) != SAEDB_MAP)
		return SAEDB_BAD_FORMAT;
	out->address = saedb_str(saedb_get(row, "feature"), NULL);
	out->index = natural(row, "index");
	out->count = natural(row, "count");
	out->density = saedb_float(saedb_get(row, "density"), 0);
	out->max = saedb_float(saedb_get(row, "max"), 0);
	out->mean = saedb_float(saedb_get(row, "mean"), 0);
	out->label = saedb_str(saedb_get(row, "label"), NULL);
	out->source = saedb_str(saedb_get(row, "source"), NULL);
	out->cosine = saedb_float(saedb_get(row, "cosine"), 0);
	return 0;
}

int
saedb_read_example(const struct saedb_value *row, struct saedb_example *out)
{
	*out = (struct saedb_example){0};
	if (saedb_type(row) != SAEDB_MAP)
		return SAEDB_BAD_FORMAT;
	out->document = saedb_str(saedb_get(row, "document"), NULL);
	out->window = natural(row, "window");
	out->offset = natural(row, "offset");
	out->first = natural(row, "first");
	out->value = saedb_float(saedb_get(row, "value"), 0);
	out->interval = (int)saedb_int(saedb_get(row, "interval"), -1);
	out->tokens = saedb_get(row, "tokens");
	out->values = saedb_get(row, "values");
	out->n_tokens =
		saedb_type(out->tokens) == SAEDB_LIST ? saedb_length(out->tokens) : 0;
	return 0;
}
