/* SPDX-License-Identifier: ISC */
/*
 * ann: FAISS's indexes. The rows nearest to a vector by cosine or inner product:
 * exactly, by a flat index; or a set of candidates, by any index that a factory string
 * names, of unit vectors. The only file that knows FAISS; opens no file but the one
 * that it writes.
 */
#ifndef STORE_ANN_H
#define STORE_ANN_H

#include "schema/record.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

/* ---- indexes by a factory string ------------------------------------------- */

/* ERR_UNSUPPORTED where FAISS was compiled for more than this CPU has: nothing else
 * may be called then. */
int ann_usable(struct err *e);
/* Threads of FAISS' in calls of this thread, from now on. */
void ann_threads(int n);
/* Empty. ERR_ARG about `factory` where FAISS does not know it. new: ann_free(). */
int ann_make(struct ann **out, const char *factory, size_t d, struct err *e);
/* unit (n, d): a sample of the rows to come. */
int ann_train(struct ann *a, const float *unit, size_t n, struct err *e);
int ann_add(struct ann *a, const float *unit, size_t n, struct err *e);
/* nprobe or efSearch, for all searches to come. */
int ann_set(struct ann *a, const char *name, uint32_t value, struct err *e);
/* The numbers of about the k nearest of each of unit (n, d) by the index's own lights,
 * best first: id (n, k), -1 where there are no more. */
int ann_candidates(const struct ann *a, const float *unit, size_t n, size_t k,
	int64_t *id, struct err *e);
int ann_write(const struct ann *a, const char *path, struct err *e);
/* Of bytes that are known to be what ann_write() wrote: it trusts them. ERR_CORRUPT
 * where it has other than n rows of d. new: ann_free(). */
int ann_read(struct ann **out, const void *bytes, size_t n_bytes, size_t n, size_t d,
	struct err *e);

#endif
