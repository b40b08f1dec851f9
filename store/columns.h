/* SPDX-License-Identifier: ISC */
/*
 * columns: which field of a catalogue struct stands in which column, in one
 * table for reading and writing both.
 */
#ifndef STORE_COLUMNS_H
#define STORE_COLUMNS_H

#include "store/db.h"
#include "util/err.h"

#include <stddef.h>

struct column {
	char type; /* s string, u u32, U u64, i i64, b bool, d double, n double or NULL (NAN), h 32 bytes */
	size_t offset, size;
};
struct columns { /* in the order of the table */
	const struct column *list;
	size_t n;
};
extern const struct columns columns_model, columns_cut, columns_sae, columns_run,
	columns_run_sae;

/* Columns from first (from 0) on into the struct at row; ERR_CORRUPT where a value
 * does not fit. */
int columns_get(const struct stmt *s, int first, const struct columns *c, void *row,
	struct err *e);
/* The struct's fields to the parameters from first (from 1) on. */
void columns_bind(struct stmt *s, int first, const struct columns *c, const void *row);

#endif
