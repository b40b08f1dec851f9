/* SPDX-License-Identifier: ISC */
/*
 * exact: sums of floats without rounding, so that they do not depend on order
 * and shards merge to what one pass gives. A fixed-point number in 32-bit
 * digits kept in int64 (carries are settled when needed), rounded once, to
 * nearest even, when read.
 */
#ifndef UTIL_EXACT_H
#define UTIL_EXACT_H

#include "util/buf.h"

#include <stddef.h>
#include <stdint.h>

/* Sums of float32 values. Up to 2^30 adds between settles (done inside). */
struct exact32 {
	int64_t digit[10]; /* digit[i] counts 2^(32 i - 149) */
	uint32_t n_adds; /* since the last settle */
};

/* Sums of squares of float32 values, and of any finite double whose
 * magnitude lies in [2^-298, 2^256) (bits below 2^-298 are an error of the
 * caller: assert). */
struct exact64 {
	int64_t digit[19]; /* digit[i] counts 2^(32 i - 298) */
	uint32_t n_adds;
};

/* v must be finite (assert). */
void exact32_add(struct exact32 *x, float v);
void exact32_merge(struct exact32 *into, const struct exact32 *from);
/* Carries done: equal sums have equal bytes from here on (merges do it too). */
void exact32_settle(struct exact32 *x);
double exact32_get(const struct exact32 *x); /* rounded to nearest even */

void exact64_add(struct exact64 *x, double v);
void exact64_add_square(struct exact64 *x, float v); /* v * v, exactly */
void exact64_merge(struct exact64 *into, const struct exact64 *from);
void exact64_settle(struct exact64 *x);
double exact64_get(const struct exact64 *x);

/* The sum as bytes, the same for equal sums: u8 the place of the first digit that is
 * not 0 and, in bit 0, whether it is negative; u8 how many follow; they, as varints. */
void exact32_save(const struct exact32 *x, struct buf *b);
void exact64_save(const struct exact64 *x, struct buf *b);
/* What is no sum fails the cursor. */
void exact32_load(struct exact32 *x, struct cur *c);
void exact64_load(struct exact64 *x, struct cur *c);

#endif
