/* SPDX-License-Identifier: ISC */
/*
 * pickle: Python's pickle format (protocols 2 to 5), read as data. Nothing is
 * imported, called or executed: a global that the caller's list does not name
 * is refused where it stands, and a call of one that it names becomes a value
 * that says so. Own code, because what exists executes.
 */
#ifndef MODEL_PICKLE_H
#define MODEL_PICKLE_H

#include "util/err.h"
#include "util/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pk_type {
	PK_NONE,
	PK_BOOL,
	PK_INT,
	PK_REAL,
	PK_STR,
	PK_BYTES,
	PK_LIST,
	PK_TUPLE,
	PK_SET,
	PK_DICT,
	PK_GLOBAL,
	PK_CALL, /* item[0] called with the tuple item[1] */
	PK_PERSID /* item[0] is the persistent id */
};

/* One value. Values may be shared, and may hold themselves: whoever walks them
 * keeps count. */
struct pk {
	enum pk_type type;
	size_t at; /* offset in the pickle */
	int64_t i; /* BOOL, INT */
	double real; /* REAL */
	const char *str; /* STR (UTF-8), BYTES: n bytes in the pickle, no NUL behind */
	size_t n; /* of str, or of item */
	struct pk **item; /* LIST, TUPLE, SET; DICT: key, value, key, value */
	size_t cap;
	const struct pk_global *global; /* GLOBAL */
};

enum pk_use {
	PK_VALUE, /* may only stand as a value */
	PK_CALLABLE, /* called, it gives a PK_CALL */
	PK_DICT_TYPE /* called with (), it gives a PK_DICT */
};

struct pk_global {
	const char *module, *name;
	enum pk_use use;
	int id; /* the caller's */
};

#define PK_NODES_MAX 1000000
#define PK_STACK_MAX 1000000 /* of the stack, the memo, one list */
#define PK_ARENA_BYTES ((size_t)512 << 20)

/* where: for errors. globals: what may be named, until one without a name.
 * *out is borrowed from a and p. */
int pk_load(struct pk **out, struct arena *a, const char *where, const uint8_t *p,
	size_t n_bytes, const struct pk_global *globals, struct err *e);
const char *pk_type_name(enum pk_type type);

#endif
