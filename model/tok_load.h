/* SPDX-License-Identifier: ISC */
/*
 * tok_load: what tok_load.c and tok_stages.c share while a tokenizer.json is
 * read, and nobody else includes.
 */
#ifndef MODEL_TOK_LOAD_H
#define MODEL_TOK_LOAD_H

#include "model/json.h"
#include "model/tok_int.h"
#include "util/buf.h"

/* What is being read, with the vocabulary at hand. */
struct loader {
	struct tok *t;
	struct js_doc doc;
	const struct js *vocab; /* spelling to id */
	struct buf blob; /* bytes of all tokens */
	struct buf scratch;
};

/* "PATH: what": ERR_FORMAT. */
int load_bad(const struct loader *l, struct err *e, const char *what);
/* "PATH: what "name" is not supported". */
int load_unsupported(const struct loader *l, const char *what, const char *name,
	struct err *e);
/* Absent or null. */
bool load_none(const struct js *v);
/* Is v's "type" this? */
bool load_named(const struct js *v, const char *type);

/* tok_stages.c */
int load_normalizer(struct loader *l, const struct js *v, struct err *e);
int load_pre(struct loader *l, const struct js *v, struct err *e);

#endif
