/* SPDX-License-Identifier: ISC */
#include "model/pickle_int.h"

#include <stdio.h>
#include <string.h>

int
pk_bad(struct machine *m, int code, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(m->e, code, "%s: byte %zu of the pickle: %s", m->where, m->at,
		text);
}

static int
no_memory(struct machine *m)
{
	if (m->arena->limit_bytes != 0 &&
		m->arena->used_bytes > m->arena->limit_bytes / 2)
		return pk_bad(m, ERR_LIMIT, "its values need more than %zu MiB",
			m->arena->limit_bytes >> 21);
	return pk_bad(m, ERR_NOMEM, "memory ran out");
}

/* ---- the stack ---------------------------------------------------------- */

/* Makes room for n + 1 of size bytes. */
static int
grow(struct machine *m, void **all, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap : 64;
	void *grown;

	if (n >= PK_STACK_MAX)
		return pk_bad(m, ERR_LIMIT, "more than %d values at a time",
			PK_STACK_MAX);
	if (n < *cap)
		return 0;
	while (more <= n)
		more *= 2;
	grown = mem_resize(*all, more, size);
	if (!grown)
		return no_memory(m);
	memset((uint8_t *)grown + *cap * size, 0, (more - *cap) * size);
	*all = grown;
	*cap = more;
	return 0;
}

int
pk_push(struct machine *m, struct pk *v)
{
	void *all = m->stack;
	int rc = grow(m, &all, m->n, &m->cap, sizeof(v));

	m->stack = all;
	if (rc == 0)
		m->stack[m->n++] = v;
	return rc;
}

struct pk *
pk_push_new(struct machine *m, enum pk_type type)
{
	struct pk *v;

	if (m->n_nodes >= PK_NODES_MAX) {
		pk_bad(m, ERR_LIMIT, "more than %d values", PK_NODES_MAX);
		return NULL;
	}
	v = arena_alloc(m->arena, 1, sizeof(*v));
	if (!v) {
		no_memory(m);
		return NULL;
	}
	m->n_nodes++;
	*v = (struct pk){.type = type, .at = m->at};
	return pk_push(m, v) < 0 ? NULL : v;
}

static size_t
floor_of(const struct machine *m)
{
	return m->n_marks > 0 ? m->mark[m->n_marks - 1] : 0;
}

struct pk *
pk_top(struct machine *m)
{
	if (m->n <= floor_of(m)) {
		pk_bad(m, ERR_FORMAT, "a value is missing; the pickle is damaged");
		return NULL;
	}
	return m->stack[m->n - 1];
}

struct pk *
pk_pop(struct machine *m)
{
	struct pk *v = pk_top(m);

	if (v)
		m->n--;
	return v;
}

int
pk_mark(struct machine *m)
{
	void *all = m->mark;
	int rc = grow(m, &all, m->n_marks, &m->cap_marks, sizeof(*m->mark));

	m->mark = all;
	if (rc == 0)
		m->mark[m->n_marks++] = m->n;
	return rc;
}

int
pk_pop_mark(struct machine *m, struct pk ***item, size_t *n)
{
	size_t low = floor_of(m);

	if (m->n_marks == 0)
		return pk_bad(m, ERR_FORMAT,
			"a mark is missing; the pickle is damaged");
	m->n_marks--;
	*item = low > 0 ? m->stack + low : m->stack; /* which may be NULL */
	*n = m->n - low;
	m->n = low;
	return 0;
}

/* ---- values that hold values -------------------------------------------- */

/* The array doubles; what it leaves behind goes with the arena. */
int
pk_append(struct machine *m, struct pk *v, struct pk *const *item, size_t n)
{
	size_t cap = v->cap, need = v->n + n; /* both far below overflow */
	struct pk **grown;

	if (n == 0)
		return 0;
	if (need > PK_STACK_MAX)
		return pk_bad(m, ERR_LIMIT, "more than %d values in one", PK_STACK_MAX);
	if (need > cap) {
		cap = cap * 2 > need ? cap * 2 : need;
		grown = arena_alloc(m->arena, cap, sizeof(*grown));
		if (!grown)
			return no_memory(m);
		if (v->n > 0)
			memcpy(grown, v->item, v->n * sizeof(*grown));
		v->item = grown;
		v->cap = cap;
	}
	memcpy(v->item + v->n, item, n * sizeof(*item));
	v->n = need;
	return 0;
}

int
pk_memo_put(struct machine *m, size_t i)
{
	void *all = m->memo;
	struct pk *v = pk_top(m);
	int rc;

	if (!v)
		return m->e->code;
	rc = grow(m, &all, i, &m->cap_memo, sizeof(v));
	m->memo = all;
	if (rc < 0)
		return rc;
	if (!m->memo[i])
		m->n_memo++;
	m->memo[i] = v;
	return 0;
}

int
pk_memo_get(struct machine *m, size_t i)
{
	if (i >= m->cap_memo || !m->memo[i])
		return pk_bad(m, ERR_FORMAT,
			"value %zu was not kept; the pickle is damaged", i);
	return pk_push(m, m->memo[i]);
}

/* ---- running ------------------------------------------------------------ */

static int
step(struct machine *m)
{
	uint8_t op;

	m->at = (size_t)(m->c.p - m->begin);
	if (cur_left(&m->c) == 0)
		return pk_bad(m, ERR_FORMAT, "it is cut short");
	op = cur_u8(&m->c);
	if (m->at == 0 && op != 0x80)
		return pk_bad(m, ERR_UNSUPPORTED,
			"no pickle of protocol 2 to 5 begins with 0x%02x", op);
	if (!pk_ops[op]) {
		const char *name = pk_refused(op);

		return pk_bad(m, name ? ERR_UNSUPPORTED : ERR_FORMAT,
			"%s%s0x%02x is not among the operations that are read; save "
			"the tensors alone (a state_dict), or convert them to "
			"safetensors",
			name ? name : "", name ? " " : "", op);
	}
	return pk_ops[op](m);
}

int
pk_load(struct pk **out, struct arena *a, const char *where, const uint8_t *p,
	size_t n_bytes, const struct pk_global *globals, struct err *e)
{
	struct err own = ERR_INIT;
	struct machine m = {.where = where,
		.begin = p,
		.c = cur_of(p, n_bytes),
		.globals = globals,
		.arena = a,
		.e = e ? e : &own};
	int rc = 0;

	while (rc == 0 && !m.stopped) {
		rc = step(&m);
		if (rc == 0 && m.c.failed)
			rc = pk_bad(&m, ERR_FORMAT, "it is cut short");
	}
	if (rc == 0 && (m.n != 1 || m.n_marks != 0 || cur_left(&m.c) > 0))
		rc = pk_bad(&m, ERR_FORMAT,
			"it ends with %zu values and %zu bytes to spare; it is damaged",
			m.n, cur_left(&m.c));
	if (rc == 0)
		*out = m.stack[0];
	mem_free(m.stack);
	mem_free(m.mark);
	mem_free(m.memo);
	return rc;
}

const char *
pk_type_name(enum pk_type type)
{
	static const char *const names[] = {
		[PK_NONE] = "None",
		[PK_BOOL] = "a bool",
		[PK_INT] = "an integer",
		[PK_REAL] = "a float",
		[PK_STR] = "a string",
		[PK_BYTES] = "bytes",
		[PK_LIST] = "a list",
		[PK_TUPLE] = "a tuple",
		[PK_SET] = "a set",
		[PK_DICT] = "a dict",
		[PK_GLOBAL] = "a global",
		[PK_CALL] = "an object",
		[PK_PERSID] = "a bare storage",
	};

	return names[type];
}
