/* SPDX-License-Identifier: ISC */
#include "client/conn.h"
#include "schema/out.h"

#include <string.h>

struct saedb_args *
saedb_args_new(void)
{
	struct saedb_args *a = mem_new(1, sizeof(*a));

	if (a != NULL)
		buf_init(&a->body);
	return a;
}

void
saedb_args_free(struct saedb_args *a)
{
	if (a == NULL)
		return;
	buf_clear(&a->body);
	mem_free(a->cursor);
	mem_free(a);
}

/* Accounts for one value, named at the top and in maps, and writes its key.
 * false when nothing is to be written. */
static bool
begin(struct saedb_args *a, const char *name, struct out *o)
{
	bool named = a != NULL && (a->depth == 0 || a->level[a->depth - 1].is_map);

	if (a == NULL || a->err.code != 0)
		return false;
	if (named != (name != NULL)) {
		err_set(&a->err, ERR_ARG,
			named ? "an argument has no name"
			      : "an element of a list has a name");
		return false;
	}
	if (a->depth > 0 && --a->level[a->depth - 1].left == 0)
		a->depth--; /* the last one due there; its own content goes above */
	out_init_msgpack(o, &a->body, 0);
	if (named)
		out_str(o, name);
	return true;
}

/* The value is written: at the top it was one more pair. */
static void
count(struct saedb_args *a, bool at_top)
{
	if (at_top)
		a->n_pairs++;
	if (a->body.failed)
		err_set(&a->err, ERR_NOMEM, "no memory for the arguments");
}

static bool
at_top(const struct saedb_args *a)
{
	return a != NULL && a->depth == 0;
}

void
saedb_args_strn(struct saedb_args *a, const char *name, const char *v, size_t n_bytes)
{
	bool top = at_top(a);
	struct out o;

	if (begin(a, name, &o)) {
		out_strn(&o, v, n_bytes);
		count(a, top);
	}
}

void
saedb_args_str(struct saedb_args *a, const char *name, const char *v)
{
	if (v != NULL)
		saedb_args_strn(a, name, v, strlen(v));
	else if (a != NULL && a->depth > 0)
		saedb_args_nil(a, name); /* one was announced */
}

void
saedb_args_int(struct saedb_args *a, const char *name, int64_t v)
{
	bool top = at_top(a);
	struct out o;

	if (begin(a, name, &o)) {
		out_int(&o, v);
		count(a, top);
	}
}

void
saedb_args_float(struct saedb_args *a, const char *name, double v)
{
	bool top = at_top(a);
	struct out o;

	if (begin(a, name, &o)) {
		out_f64(&o, v);
		count(a, top);
	}
}

void
saedb_args_bool(struct saedb_args *a, const char *name, bool v)
{
	bool top = at_top(a);
	struct out o;

	if (begin(a, name, &o)) {
		out_bool(&o, v);
		count(a, top);
	}
}

void
saedb_args_nil(struct saedb_args *a, const char *name)
{
	bool top = at_top(a);
	struct out o;

	if (begin(a, name, &o)) {
		out_nil(&o);
		count(a, top);
	}
}

void
saedb_args_bin(struct saedb_args *a, const char *name, const void *p, size_t n_bytes)
{
	bool top = at_top(a);
	struct out o;

	if (begin(a, name, &o)) {
		out_bin(&o, p, n_bytes);
		count(a, top);
	}
}

void
saedb_args_floats(struct saedb_args *a, const char *name, const float *v, size_t n)
{
	struct buf b;

	if (a == NULL)
		return;
	buf_init(&b);
	for (size_t i = 0; i < n; i++)
		buf_f32(&b, v[i]);
	if (b.failed)
		err_set(&a->err, ERR_NOMEM, "no memory for a vector");
	saedb_args_bin(a, name, b.data, b.n_bytes);
	buf_clear(&b);
}

/* Writes the head of n values or pairs by itself: a sink wants them at once. */
static void
nest(struct saedb_args *a, const char *name, size_t n, bool is_map)
{
	bool top = at_top(a);
	struct out o;

	if (!begin(a, name, &o))
		return;
	if (a->depth == LIMIT_DEPTH - 2 || n > LIMIT_NODES) {
		err_set(&a->err, ERR_LIMIT, "the arguments are too deep or too many");
		return;
	}
	if (n < 16) {
		buf_u8(&a->body, (uint8_t)((is_map ? 0x80 : 0x90) | n));
	} else {
		buf_u8(&a->body, is_map ? 0xdf : 0xdd);
		buf_u32be(&a->body, (uint32_t)n);
	}
	if (n > 0) {
		a->level[a->depth].left = n;
		a->level[a->depth].is_map = is_map;
		a->depth++;
	}
	count(a, top);
}

void
saedb_args_list(struct saedb_args *a, const char *name, size_t n)
{
	nest(a, name, n, false);
}

void
saedb_args_map(struct saedb_args *a, const char *name, size_t n)
{
	nest(a, name, n, true);
}

/* Each pair of an object as an argument of its own. */
static int
put_pairs(struct saedb_args *a, const struct value *v)
{
	struct out o;

	if (v->type != VALUE_MAP)
		return err_set(&a->err, ERR_ARG, "the arguments are no JSON object");
	if (a->depth != 0)
		return err_set(&a->err, ERR_ARG, "an argument has no name");
	out_init_msgpack(&o, &a->body, 0);
	for (uint32_t i = 0; i < v->n; i++) {
		value_write(&o, &v->v[2 * i]);
		value_write(&o, &v->v[2 * i + 1]);
		count(a, true);
	}
	return a->err.code;
}

int
saedb_args_json(struct saedb_args *a, const char *name, const char *json)
{
	const struct value *v;
	struct arena arena;
	bool top = at_top(a);
	struct out o;
	int rc;

	if (a == NULL)
		return SAEDB_NO_MEMORY;
	if (a->err.code != 0)
		return a->err.code;
	arena_init(&arena, 0);
	rc = value_parse_json(&v, json, strlen(json), &arena, &a->err);
	if (rc == 0 && name == NULL && top) {
		rc = put_pairs(a, v);
	} else if (rc == 0 && begin(a, name, &o)) {
		value_write(&o, v);
		count(a, top);
	}
	arena_clear(&arena);
	return a->err.code;
}

bool
saedb_next(const struct saedb_reply *reply, struct saedb_args *args)
{
	const char *next = saedb_str(saedb_get(saedb_result(reply), "next"), NULL);
	char *copy;

	if (next == NULL || args == NULL)
		return false;
	copy = mem_strdup(next);
	if (copy == NULL)
		err_set(&args->err, ERR_NOMEM, "no memory for a cursor");
	mem_free(args->cursor);
	args->cursor = copy;
	return true; /* without memory the next call tells */
}

int
conn_put_args(struct out *o, struct buf *b, const struct saedb_args *args,
	struct err *e)
{
	uint32_t n = args == NULL ? 0 : args->n_pairs + (args->cursor != NULL);
	struct out top;

	if (args != NULL && args->err.code != 0) {
		*e = args->err;
		return e->code;
	}
	if (args != NULL && args->depth != 0)
		return err_set(e, ERR_ARG,
			"a list or map of the arguments is not full");
	out_array(o, n > 0 ? 1 : 0);
	if (n > 0) {
		buf_u8(b, 0xdf);
		buf_u32be(b, n);
		buf_put(b, args->body.data, args->body.n_bytes);
	}
	out_init_msgpack(&top, b, 0);
	if (args != NULL && args->cursor != NULL)
		out_key_str(&top, "cursor", args->cursor);
	return 0;
}
