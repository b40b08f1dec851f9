/* SPDX-License-Identifier: ISC */
/*
 * scan: the rows nearest to one query, exactly. Rows are passed by in bytes, a quarter
 * of their floats, with a proven bound; the few that may be among the nearest are
 * decided by the canonical dot product. Knows nothing of files: the bytes may lie in
 * one that is mapped.
 */
#ifndef KERNEL_SCAN_H
#define KERNEL_SCAN_H

#include "kernel/kernel.h"

struct pool;

/* Rows in bytes: panels of 32 rows, the last filled up with zeros, all of them
 * kernel_codes_bytes() long, a multiple of 128. A panel is, in float32 and int32,
 *   scale[32], rest[32], norm[32], sum[32], then bytes[(d + 3) / 4][32][4]
 * Row i divided by its norm is about scale[i] times its signed bytes, -127 to 127: rest
 * bounds the 2-norm of the difference; sum is of the bytes. Bytes behind d are 0. A row
 * of zeros has norm 0; one that cannot be bounded an infinite rest. The same on every
 * CPU. */
#define KERNEL_CODES_ROWS 32
/* Whether rows of d floats can have them. */
bool kernel_codes_possible(size_t d);
/* Of one panel. */
size_t kernel_codes_bytes(size_t d);
/* The panel of rows (n, d), n up to 32; out aligned as floats are. */
int kernel_codes_fill(void *out, const float *rows, size_t n, size_t d, struct err *e);

/* out = x / kernel_norm(x), each rounded once; zeros where that is 0, NaNs where it is
 * one. out may be x. */
void kernel_unit(float *out, const float *x, size_t d);

struct kernel_nearest {
	const float *rows; /* (n, d) */
	const void *codes; /* panels of these rows, aligned to 64 bytes; NULL: none */
	size_t n; /* below 2^32 - 1 */
	size_t d;
	const float *query; /* (d) */
	/* Scores are canonical dots: of units if cosine, else of query and row as they
	 * are. */
	bool cosine;
	const uint64_t *allowed; /* bit i % 64 of word i / 64: row i; NULL: all */
	size_t k;
	struct pool *pool; /* the bytes are shared out; may be NULL */
};
/* out (k): *n_out rows, by score descending, then row ascending; a NaN is never among
 * them. *n_exact, if not NULL: rows that were not excluded by their bytes. */
int kernel_nearest(struct kernel_hit *out, size_t *n_out, size_t *n_exact,
	const struct kernel_nearest *q, struct err *e);

#endif
