/* SPDX-License-Identifier: ISC */
/*
 * method: the one table of what can be asked. The daemon dispatches by it, the
 * command line, help, completion, documents, fuzzers and tests read it.
 */
#ifndef SCHEMA_METHOD_H
#define SCHEMA_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param_type {
	PARAM_STR,
	PARAM_INT,
	PARAM_FLOAT,
	PARAM_BOOL,
	PARAM_BIN,
	PARAM_LIST,
	PARAM_ANY
};

struct param {
	const char *name;
	enum param_type type;
	bool required;
	double min, max; /* of numbers; lengths of strings, bins and lists */
	const char *preset; /* the default as JSON text; NULL = nil */
	const char *doc;
};

#define NEED_STORE 1u /* a view of the newest generation */
#define NEED_WRITE 2u /* writes labels: refused on read-only connections */
#define NEED_SLOW 4u /* runs on the pool, not on the event loop */
#define NEED_TRY 8u /* quick at first; the handler says when it needs the pool */
#define METHOD_MAX_PARAMS 16

struct method {
	const char *name;
	const char *doc; /* one line */
	unsigned needs; /* NEED_* */
	const struct param *param;
	size_t n_params;
};

extern const struct method method_table[];
extern const size_t method_n;
/* Index in method_table, or -1. name need not be NUL-terminated; its last word may be
 * spelled otherwise. */
int method_find(const char *name, size_t n_bytes);
/* The tables' word for another spelling of a method's last word, a parameter or a
 * command; NULL where there is none. */
const char *method_spelling(const char *text, size_t n_bytes);
const char *param_type_name(enum param_type t);

#endif
