/* SPDX-License-Identifier: ISC */
/*
 * json: JSON files that saedb did not write (configs, tokenizers, headers),
 * read strictly: valid UTF-8, no duplicate keys, a limit on size and depth,
 * and an error that names the file and the key. Never writes JSON. Functions
 * are js_*, because the library underneath owns json_*.
 */
#ifndef MODEL_JSON_H
#define MODEL_JSON_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct js; /* opaque: one value, borrowed from its document */

enum js_type {
	JS_ABSENT,
	JS_NULL,
	JS_BOOL,
	JS_INT,
	JS_REAL,
	JS_STR,
	JS_ARRAY,
	JS_OBJECT
};

struct js_doc {
	struct js *root; /* owned */
	char *name; /* of the file, for errors; owned */
};

/* path: a JSON file of at most max_bytes, nested at most max_depth deep.
 * new: js_close(). */
int js_open(struct js_doc *d, const char *path, size_t max_bytes, size_t max_depth,
	struct err *e);
/* The same from memory; name is for errors. new: js_close(). */
int js_parse(struct js_doc *d, const char *name, const void *p, size_t n_bytes,
	size_t max_depth, struct err *e);
void js_close(struct js_doc *d);

enum js_type js_type(const struct js *v); /* JS_ABSENT for NULL */
const char *js_type_name(enum js_type type);
/* NULL when v is no object or lacks the key. */
const struct js *js_get(const struct js *v, const char *key);
size_t js_n(const struct js *v); /* members of an array or object, else 0 */
const struct js *js_at(const struct js *v, size_t i); /* of an array, or NULL */
const char *js_str(const struct js *v, size_t *n_bytes); /* NULL if no string */
bool js_true(const struct js *v);
/* A non-negative integer; false otherwise. */
bool js_u64(const struct js *v, uint64_t *out);

/* Members of an object, in the order of the file:
 * for (it = js_first(v); it; it = js_next(v, it)) js_key(it), js_value(it) */
void *js_first(const struct js *v);
void *js_next(const struct js *v, void *it);
const char *js_key(void *it, size_t *n_bytes);
const struct js *js_value(void *it);

/* Typed members. A missing or null member gives the fallback in js_opt_*, and
 * ERR_FORMAT in js_need_*; a wrong type or range is always ERR_FORMAT. */
int js_need_u32(const struct js_doc *d, const struct js *v, const char *key,
	uint32_t *out, struct err *e);
int js_opt_u32(const struct js_doc *d, const struct js *v, const char *key,
	uint32_t fallback, uint32_t *out, struct err *e);
int js_opt_bool(const struct js_doc *d, const struct js *v, const char *key,
	bool fallback, bool *out, struct err *e);
int js_opt_f64(const struct js_doc *d, const struct js *v, const char *key,
	double fallback, double *out, struct err *e);
/* At most size - 1 bytes, else ERR_LIMIT. */
int js_need_str(const struct js_doc *d, const struct js *v, const char *key, char *out,
	size_t size, struct err *e);
int js_opt_str(const struct js_doc *d, const struct js *v, const char *key,
	const char *fallback, char *out, size_t size, struct err *e);

#endif
