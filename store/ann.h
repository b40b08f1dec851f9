/* SPDX-License-Identifier: ISC */
/*
 * ann: the rows nearest to a vector by cosine or inner product. Built once from the
 * rows of a SAE, then only asked. The only file that knows FAISS.
 */
#ifndef STORE_ANN_H
#define STORE_ANN_H

#include "schema/record.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ann; /* opaque; thread: any number may search */

/* rows (n, d), copied, and normalised if cosine; a row of zeros is near to nothing. new:
 * ann_free(). */
int ann_new(struct ann **out, const float *rows, size_t n, size_t d, bool cosine,
	struct err *e);
void ann_free(struct ann *a);
/* The k nearest of vector (d), by score descending, then number; fewer where
 * there are fewer. */
int ann_search(const struct ann *a, const float *vector, uint32_t k,
	struct rec_scored *out, uint32_t *n_out, struct err *e);

#endif
