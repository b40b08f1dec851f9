/* SPDX-License-Identifier: ISC */
/*
 * tok_re: the regular expressions of tokenizers (Oniguruma's syntax, with its
 * idea of white space and words) on PCRE2. The only file that includes PCRE2.
 */
#ifndef MODEL_TOK_RE_H
#define MODEL_TOK_RE_H

#include "util/err.h"

#include <stddef.h>

struct re; /* opaque, read-only once compiled */
struct re_work; /* opaque scratch of one thread */

/* new: re_free(). ERR_UNSUPPORTED names the construct at fault. */
int re_new(struct re **out, const char *pattern, size_t n_bytes, struct err *e);
/* A pattern that matches these bytes and nothing else. */
int re_new_literal(struct re **out, const char *text, size_t n_bytes, struct err *e);
void re_free(struct re *r);

int re_work_new(struct re_work **out, struct err *e);
void re_work_free(struct re_work *w);

/* The first match in p (valid UTF-8) at or after from: [*a, *b). Returns 1, 0
 * when there is none, or a code. */
int re_search(const struct re *r, struct re_work *w, const char *p, size_t n_bytes,
	size_t from, size_t *a, size_t *b, struct err *e);

#endif
