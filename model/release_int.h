/* SPDX-License-Identifier: ISC */
/*
 * release_int: the table of release_table.c, for release.c alone. make_releases.py
 * says what its rows mean.
 */
#ifndef MODEL_RELEASE_INT_H
#define MODEL_RELEASE_INT_H

#include "model/release.h"

/* What its list says beside the files. */
enum { RELEASE_CENTER = 1, RELEASE_CONSTANT_NORM = 2 };

struct release {
	const char *name, *repo;
	const char *loader; /* SAELens' name for who reads it */
	unsigned flags;
	size_t first_row, n_rows;
};

struct release_row {
	const char *id, *path;
	const char *scales; /* NULL for none */
};

extern const struct release release_table[];
extern const size_t release_count;
extern const struct release_row release_rows[];

#endif
