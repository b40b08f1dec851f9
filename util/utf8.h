/* SPDX-License-Identifier: ISC */
/*
 * utf8: what is and is not valid UTF-8, and how bytes that are not are shown.
 */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes (1 to 4) of the well-formed sequence at p, 0 if malformed
 * (overlong, surrogate, past U+10FFFF, cut short). *cp may be NULL. */
size_t utf8_next(const char *p, size_t n_bytes, uint32_t *cp);
/* The offset of the first malformed byte, or n_bytes. */
size_t utf8_valid(const char *p, size_t n_bytes);
/* Appends p to out, each malformed byte as \xHH. */
void utf8_show(struct buf *out, const char *p, size_t n_bytes);
/* Appends code point cp as UTF-8. */
void utf8_put(struct buf *out, uint32_t cp);
/* Terminal columns of a code point: 0, 1 or 2. */
int utf8_width(uint32_t cp);

#endif
