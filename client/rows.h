/* SPDX-License-Identifier: ISC */
/*
 * rows: exported rows as CSV or JSON Lines.
 */
#ifndef CLIENT_ROWS_H
#define CLIENT_ROWS_H

#include "client/saedb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct rows {
	FILE *f;
	bool csv;
	const char *const *column; /* ends with NULL */
	bool begun;
};

/* A row of the map's values under the columns' names (nil where it has none); a
 * CSV's first line goes before it. */
int rows_put(struct rows *r, const struct saedb_value *map);
/* The same by hand: a cell for each column, in order. */
void rows_begin(struct rows *r);
void rows_cell_str(struct rows *r, size_t i, const char *s,
	size_t n_bytes); /* NULL: nil */
void rows_cell_int(struct rows *r, size_t i, long long v);
void rows_cell_f32(struct rows *r, size_t i, float v);
int rows_cell_value(struct rows *r, size_t i, const struct saedb_value *v);
void rows_end(struct rows *r);
/* The shortest text that reads back as v. out has 32 bytes. */
void rows_float(char *out, float v);

#endif
