/* SPDX-License-Identifier: ISC */
/*
 * table: rows in aligned columns. Cells are filled in order; the last column of a
 * terminal's line is cut to fit.
 */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include "client/term.h"

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS 16

struct column {
	const char *title; /* "" for none; NULL ends the list of columns */
	bool right; /* numbers */
	enum style style;
};

struct table {
	const struct column *column;
	size_t n_columns;
	char **cell; /* (n_cells) owned, as a terminal may have them */
	size_t n_cells, cap_cells;
	bool utf8;
	bool failed; /* memory ran out */
	int indent;
	size_t *kept; /* (TABLE_COLUMNS) widths so far, of a table in pages; or NULL */
	bool no_titles;
};

void table_init(struct table *t, const struct column *column, bool utf8);
void table_clear(struct table *t);
/* The next cell: ours, or from outside (NULL for an empty one). */
void table_put(struct table *t, const char *s);
void table_text(struct table *t, const char *s);
void table_printf(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void table_print(const struct table *t, const struct term *term);

#endif
