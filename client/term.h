/* SPDX-License-Identifier: ISC */
/*
 * term: what standard output can show, and text on it. Everything that comes from
 * a store or a daemon passes text_show(): no byte of a corpus reaches a terminal
 * as a control sequence.
 */
#ifndef CLIENT_TERM_H
#define CLIENT_TERM_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum term_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct term {
	FILE *out;
	bool tty;
	bool color;
	bool utf8;
	int width; /* columns to stay in; 0 = as long as it likes */
};

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_ADDR, STYLE_LABEL, STYLE_N };

/* Looks at out, the locale, NO_COLOR, TERM and COLUMNS. */
void term_init(struct term *t, FILE *out, enum term_color when);
/* s as it is: ours, or shown already. */
void term_put(const struct term *t, enum style style, const char *s);
void term_printf(const struct term *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* s from outside. NULL writes nothing. */
void term_text(const struct term *t, enum style style, const char *s);
/* s, shown already, in at most so many columns of a terminal's line. */
void term_fit(const struct term *t, enum style style, const char *s, size_t most);
/* The background of a value's share of the maximum; share 0 ends it. */
void term_shade(const struct term *t, double share);

/* Appends n_bytes as a terminal may have them: a newline as a symbol, controls and
 * malformed bytes escaped, and without UTF-8 all beyond ASCII escaped. */
void text_show(struct buf *out, const char *p, size_t n_bytes, bool utf8);
/* One character of the UTF-8 at p, shown; returns its bytes (1 if malformed). */
size_t text_show_char(struct buf *out, const char *p, size_t n_bytes, bool utf8);
size_t text_width(const char *p, size_t n_bytes); /* terminal columns */
/* The bytes of the longest start of s that takes at most so many columns. */
size_t text_fit(const char *s, size_t columns);

/* A bar of share (0 to 1) of width columns; a column of share 0 to 1. */
void text_bar(struct buf *out, double share, int width, bool utf8);
void text_spark(struct buf *out, double share, bool utf8);

#endif
