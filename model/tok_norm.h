/* SPDX-License-Identifier: ISC */
/*
 * tok_norm: the kinds of normalizers, between what runs them and what loads
 * them; nobody else's. Each is a struct norm's run.
 */
#ifndef MODEL_TOK_NORM_H
#define MODEL_TOK_NORM_H

#include "model/tok_int.h"

typedef int norm_fn(const struct norm *n, struct re_work *re, const struct tok_text *in,
	struct tok_map *out, struct err *e);

norm_fn norm_form, norm_lowercase, norm_strip, norm_strip_accents, norm_prepend,
	norm_replace;

#endif
