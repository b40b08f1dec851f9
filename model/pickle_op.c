/* SPDX-License-Identifier: ISC */
/*
 * What each operation of a pickle does here. They are named as in Python's
 * pickletools; what is not in the table is refused.
 */
#include "model/pickle_int.h"
#include "util/utf8.h"

#include <string.h>

/* ---- plain values ------------------------------------------------------- */

static int
op_proto(struct machine *m)
{
	uint8_t n = cur_u8(&m->c);

	if (m->at != 0 || n < 2 || n > 5)
		return pk_bad(m, ERR_UNSUPPORTED,
			"pickle protocol %u, or not at the beginning; 2 to 5 are read",
			n);
	return 0;
}

/* Says how long a stretch of operations is; they are read one by one anyway. */
static int
op_frame(struct machine *m)
{
	uint64_t n = cur_u64(&m->c);

	if (n > cur_left(&m->c))
		return pk_bad(m, ERR_FORMAT, "a frame is cut short");
	return 0;
}

static int
op_stop(struct machine *m)
{
	m->stopped = true;
	return 0;
}

static int
op_none(struct machine *m)
{
	return pk_push_new(m, PK_NONE) ? 0 : m->e->code;
}

static int
push_int(struct machine *m, enum pk_type type, int64_t i)
{
	struct pk *v = pk_push_new(m, type);

	if (!v)
		return m->e->code;
	v->i = i;
	return 0;
}

static int
op_newtrue(struct machine *m)
{
	return push_int(m, PK_BOOL, 1);
}

static int
op_newfalse(struct machine *m)
{
	return push_int(m, PK_BOOL, 0);
}

static int
op_binint(struct machine *m)
{
	return push_int(m, PK_INT, (int32_t)cur_u32(&m->c));
}

static int
op_binint1(struct machine *m)
{
	return push_int(m, PK_INT, cur_u8(&m->c));
}

static int
op_binint2(struct machine *m)
{
	return push_int(m, PK_INT, cur_u16(&m->c));
}

/* Little-endian, two's complement; no byte at all is 0. */
static int
op_long1(struct machine *m)
{
	uint8_t n = cur_u8(&m->c);
	const uint8_t *p = cur_take(&m->c, n);
	uint64_t v = 0;

	if (n > 8)
		return pk_bad(m, ERR_UNSUPPORTED, "an integer of %u bytes, at most 8",
			n);
	if (!p)
		return 0; /* the cursor says so */
	for (uint8_t i = 0; i < 8; i++) {
		uint64_t byte = i < n ? p[i] : n > 0 && p[n - 1] & 0x80 ? 0xff : 0;

		v |= byte << 8 * i;
	}
	return push_int(m, PK_INT, (int64_t)v);
}

static int
op_binfloat(struct machine *m)
{
	uint64_t bits = cur_u64be(&m->c);
	struct pk *v = pk_push_new(m, PK_REAL);

	if (!v)
		return m->e->code;
	memcpy(&v->real, &bits, sizeof(v->real));
	return 0;
}

static int
push_bytes(struct machine *m, enum pk_type type, uint64_t n)
{
	const char *p = n > cur_left(&m->c) ? NULL : cur_take(&m->c, (size_t)n);
	struct pk *v;

	if (!p)
		return pk_bad(m, ERR_FORMAT, "a string is cut short");
	if (type == PK_STR && utf8_valid(p, (size_t)n) != n)
		return pk_bad(m, ERR_FORMAT, "a string is not UTF-8");
	v = pk_push_new(m, type);
	if (!v)
		return m->e->code;
	v->str = p;
	v->n = (size_t)n;
	return 0;
}

static int
op_short_str(struct machine *m)
{
	return push_bytes(m, PK_STR, cur_u8(&m->c));
}

static int
op_str(struct machine *m)
{
	return push_bytes(m, PK_STR, cur_u32(&m->c));
}

static int
op_str8(struct machine *m)
{
	return push_bytes(m, PK_STR, cur_u64(&m->c));
}

static int
op_short_bytes(struct machine *m)
{
	return push_bytes(m, PK_BYTES, cur_u8(&m->c));
}

static int
op_bytes(struct machine *m)
{
	return push_bytes(m, PK_BYTES, cur_u32(&m->c));
}

/* ---- values that hold values -------------------------------------------- */

static int
op_mark(struct machine *m)
{
	return pk_mark(m);
}

static int
op_empty_list(struct machine *m)
{
	return pk_push_new(m, PK_LIST) ? 0 : m->e->code;
}

static int
op_empty_dict(struct machine *m)
{
	return pk_push_new(m, PK_DICT) ? 0 : m->e->code;
}

static int
op_empty_set(struct machine *m)
{
	return pk_push_new(m, PK_SET) ? 0 : m->e->code;
}

static int
op_empty_tuple(struct machine *m)
{
	return pk_push_new(m, PK_TUPLE) ? 0 : m->e->code;
}

/* A tuple of the n topmost. */
static int
tuple_of(struct machine *m, size_t n)
{
	struct pk *item[3], *v;

	for (size_t i = n; i-- > 0;) {
		item[i] = pk_pop(m);
		if (!item[i])
			return m->e->code;
	}
	v = pk_push_new(m, PK_TUPLE);
	return v ? pk_append(m, v, item, n) : m->e->code;
}

static int
op_tuple1(struct machine *m)
{
	return tuple_of(m, 1);
}

static int
op_tuple2(struct machine *m)
{
	return tuple_of(m, 2);
}

static int
op_tuple3(struct machine *m)
{
	return tuple_of(m, 3);
}

static int
op_tuple(struct machine *m)
{
	struct pk tuple = {.type = PK_TUPLE}, **item = NULL, *v;
	size_t n = 0;
	int rc = pk_pop_mark(m, &item, &n);

	/* the items before the push, which may move the stack */
	if (rc == 0)
		rc = pk_append(m, &tuple, item, n);
	if (rc < 0)
		return rc;
	v = pk_push_new(m, PK_TUPLE);
	if (!v)
		return m->e->code;
	v->item = tuple.item;
	v->n = tuple.n;
	v->cap = tuple.cap;
	return 0;
}

/* Adds what lies above the mark to the value below it. */
static int
add_items(struct machine *m, enum pk_type type)
{
	struct pk **item = NULL, *v;
	size_t n = 0;
	int rc = pk_pop_mark(m, &item, &n);

	if (rc < 0)
		return rc;
	v = pk_top(m);
	if (!v)
		return m->e->code;
	if (v->type != type || (type == PK_DICT && n % 2 != 0))
		return pk_bad(m, ERR_FORMAT, "%zu values are added to %s", n,
			pk_type_name(v->type));
	return pk_append(m, v, item, n);
}

static int
op_appends(struct machine *m)
{
	return add_items(m, PK_LIST);
}

static int
op_additems(struct machine *m)
{
	return add_items(m, PK_SET);
}

static int
op_setitems(struct machine *m)
{
	return add_items(m, PK_DICT);
}

/* Adds the n topmost to the value below them. */
static int
add_top(struct machine *m, enum pk_type type, size_t n)
{
	struct pk *item[2], *v;

	for (size_t i = n; i-- > 0;) {
		item[i] = pk_pop(m);
		if (!item[i])
			return m->e->code;
	}
	v = pk_top(m);
	if (!v)
		return m->e->code;
	if (v->type != type)
		return pk_bad(m, ERR_FORMAT, "a value is added to %s",
			pk_type_name(v->type));
	return pk_append(m, v, item, n);
}

static int
op_append(struct machine *m)
{
	return add_top(m, PK_LIST, 1);
}

static int
op_setitem(struct machine *m)
{
	return add_top(m, PK_DICT, 2);
}

/* ---- the memo ----------------------------------------------------------- */

static int
op_binput(struct machine *m)
{
	return pk_memo_put(m, cur_u8(&m->c));
}

static int
op_long_binput(struct machine *m)
{
	return pk_memo_put(m, cur_u32(&m->c));
}

static int
op_memoize(struct machine *m)
{
	return pk_memo_put(m, m->n_memo);
}

static int
op_binget(struct machine *m)
{
	return pk_memo_get(m, cur_u8(&m->c));
}

static int
op_long_binget(struct machine *m)
{
	return pk_memo_get(m, cur_u32(&m->c));
}

/* ---- names and what is done with them ----------------------------------- */

static bool
same(const char *s, size_t n, const char *name)
{
	return strlen(name) == n && memcmp(s, name, n) == 0;
}

/* Lengths for a message: the head of a name that may be anything. */
static int
shown(size_t n)
{
	return n > 80 ? 80 : (int)n;
}

static int
push_global(struct machine *m, const char *module, size_t n_module, const char *name,
	size_t n_name)
{
	struct pk *v;

	for (const struct pk_global *g = m->globals; g->name; g++) {
		if (!same(module, n_module, g->module) || !same(name, n_name, g->name))
			continue;
		v = pk_push_new(m, PK_GLOBAL);
		if (!v)
			return m->e->code;
		v->global = g;
		return 0;
	}
	return pk_bad(m, ERR_UNSUPPORTED,
		"it names %.*s.%.*s, which is not among what is read (tensors, dicts, "
		"lists, numbers and strings); save a state_dict, or convert it to "
		"safetensors",
		shown(n_module), module, shown(n_name), name);
}

/* A line of text, without its end. */
static const char *
take_line(struct machine *m, size_t *n)
{
	const char *s = (const char *)m->c.p, *end;

	end = cur_left(&m->c) > 0 ? memchr(s, '\n', cur_left(&m->c)) : NULL;
	if (!end) {
		m->c.failed = true;
		return NULL;
	}
	*n = (size_t)(end - s);
	cur_take(&m->c, *n + 1);
	return s;
}

static int
op_global(struct machine *m)
{
	size_t n_module = 0, n_name = 0;
	const char *module = take_line(m, &n_module);
	const char *name = module ? take_line(m, &n_name) : NULL;

	if (!name)
		return 0; /* the cursor says so */
	return push_global(m, module, n_module, name, n_name);
}

static int
op_stack_global(struct machine *m)
{
	struct pk *name = pk_pop(m), *module = name ? pk_pop(m) : NULL;

	if (!module)
		return m->e->code;
	if (name->type != PK_STR || module->type != PK_STR)
		return pk_bad(m, ERR_FORMAT, "a global's name is no string");
	return push_global(m, module->str, module->n, name->str, name->n);
}

static int
op_binpersid(struct machine *m)
{
	struct pk *id = pk_pop(m), *v = id ? pk_push_new(m, PK_PERSID) : NULL;

	return v ? pk_append(m, v, &id, 1) : m->e->code;
}

/* Nothing is called: the call becomes a value. */
static int
op_reduce(struct machine *m)
{
	struct pk *call[2], *v;
	enum pk_type type = PK_CALL;

	call[1] = pk_pop(m);
	call[0] = call[1] ? pk_pop(m) : NULL;
	if (!call[0])
		return m->e->code;
	if (call[0]->type != PK_GLOBAL || call[0]->global->use == PK_VALUE ||
		call[1]->type != PK_TUPLE)
		return pk_bad(m, ERR_UNSUPPORTED, "it calls %s%s%s, which is not read",
			call[0]->type == PK_GLOBAL ? call[0]->global->module
						   : pk_type_name(call[0]->type),
			call[0]->type == PK_GLOBAL ? "." : "",
			call[0]->type == PK_GLOBAL ? call[0]->global->name : "");
	if (call[0]->global->use == PK_DICT_TYPE) {
		if (call[1]->n > 0)
			return pk_bad(m, ERR_UNSUPPORTED,
				"%s is made with arguments, which is not read",
				call[0]->global->name);
		type = PK_DICT;
	}
	v = pk_push_new(m, type);
	if (!v)
		return m->e->code;
	return type == PK_CALL ? pk_append(m, v, call, 2) : 0;
}

/* Attributes of a dict (a state_dict's _metadata) are no tensors; nothing else
 * may have any. */
static int
op_build(struct machine *m)
{
	struct pk *state = pk_pop(m), *v = state ? pk_top(m) : NULL;

	if (!v)
		return m->e->code;
	if (v->type != PK_DICT || state->type != PK_DICT)
		return pk_bad(m, ERR_UNSUPPORTED,
			"it gives attributes to %s, which is not read; save plain "
			"tensors",
			pk_type_name(v->type));
	return 0;
}

pk_op *const pk_ops[256] = {
	[0x80] = op_proto,
	[0x95] = op_frame,
	['.'] = op_stop,
	['N'] = op_none,
	[0x88] = op_newtrue,
	[0x89] = op_newfalse,
	['J'] = op_binint,
	['K'] = op_binint1,
	['M'] = op_binint2,
	[0x8a] = op_long1,
	['G'] = op_binfloat,
	[0x8c] = op_short_str,
	['X'] = op_str,
	[0x8d] = op_str8,
	['U'] = op_short_str, /* SHORT_BINSTRING, of Python 2 */
	['C'] = op_short_bytes,
	['B'] = op_bytes,
	['('] = op_mark,
	[']'] = op_empty_list,
	['}'] = op_empty_dict,
	[0x8f] = op_empty_set,
	[')'] = op_empty_tuple,
	[0x85] = op_tuple1,
	[0x86] = op_tuple2,
	[0x87] = op_tuple3,
	['t'] = op_tuple,
	['e'] = op_appends,
	[0x90] = op_additems,
	['u'] = op_setitems,
	['a'] = op_append,
	['s'] = op_setitem,
	['q'] = op_binput,
	['r'] = op_long_binput,
	[0x94] = op_memoize,
	['h'] = op_binget,
	['j'] = op_long_binget,
	['c'] = op_global,
	[0x93] = op_stack_global,
	['Q'] = op_binpersid,
	['R'] = op_reduce,
	['b'] = op_build,
};

const char *
pk_refused(uint8_t op)
{
	static const struct {
		uint8_t op;
		const char *name;
	} known[] = {
		{'0', "POP"},
		{'1', "POP_MARK"},
		{'2', "DUP"},
		{'F', "FLOAT"},
		{'I', "INT"},
		{'L', "LONG"},
		{'S', "STRING"},
		{'V', "UNICODE"},
		{'T', "BINSTRING"},
		{'P', "PERSID"},
		{'d', "DICT"},
		{'g', "GET"},
		{'p', "PUT"},
		{'i', "INST"},
		{'l', "LIST"},
		{'o', "OBJ"},
		{0x81, "NEWOBJ"},
		{0x82, "EXT1"},
		{0x83, "EXT2"},
		{0x84, "EXT4"},
		{0x8b, "LONG4"},
		{0x8e, "BINBYTES8"},
		{0x91, "FROZENSET"},
		{0x92, "NEWOBJ_EX"},
		{0x96, "BYTEARRAY8"},
		{0x97, "NEXT_BUFFER"},
		{0x98, "READONLY_BUFFER"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].op == op)
			return known[i].name;
	}
	return NULL;
}
