/* SPDX-License-Identifier: ISC */
/*
 * codes: one panel of bytes (scan.h) against one query, on each path. Within kernel/
 * only.
 */
#ifndef KERNEL_CODES_H
#define KERNEL_CODES_H

#include "kernel/ops.h"

#include <math.h>

/* What every bound has room for; see scan.c. */
#define SLACK_LEAST 0x1p-60
#define ROOM (1 + 0x1p-18)
#define UNIT_MOST (1 + 0x1p-10)

enum { CODES_SCALE, CODES_REST, CODES_NORM, CODES_SUM, CODES_TERMS };

struct kernel_codes_pass {
	/* The query is coarse[0] scale[0] + fine[0] scale[1] + ...: bytes in quads, each
	 * with `lift` added. */
	const int32_t *coarse, *fine; /* (n_quads) */
	size_t n_quads;
	float scale[2];
	float slack; /* of any row ... */
	float slack_rest; /* ... and times its rest */
	bool by_norm; /* bounds are times the row's norm */
	float least; /* what a bound must reach */
	float most[PANEL], low[PANEL]; /* out: bounds of the score */
};

struct kernel_codes_ops {
	int lift;
	/* A bit for each row whose bound reaches least, or is a NaN. */
	uint32_t (*panel)(struct kernel_codes_pass *s, const void *panel);
	void (*unit)(float *out, const float *x, float norm, size_t d); /* x / norm */
};

extern const struct kernel_codes_ops kernel_codes_portable;
extern const struct kernel_codes_ops kernel_codes_avx2; /* with AVX-VNNI */
extern const struct kernel_codes_ops kernel_codes_plain_avx2; /* without */
extern const struct kernel_codes_ops kernel_codes_avx512;

/* The table for the path in use (cpu.c). */
const struct kernel_codes_ops *kernel_codes(void);

/* What turning one vector into bytes needs. */
struct codes_scratch {
	float *v, *steps; /* (d) each */
	int8_t *q; /* (d, padded) */
};
int codes_scratch_init(struct codes_scratch *c, size_t d, struct err *e);
void codes_scratch_clear(struct codes_scratch *c);
/* rest = v - scale q, one fused step each; rest may be v. steps: scratch. */
void codes_rest(float *rest, float *steps, const float *v, const int8_t *q, float scale,
	size_t d);

static inline size_t
codes_quads(size_t d)
{
	return (d + 3) / 4;
}

static inline float
codes_up(double x)
{
	return nextafterf((float)x, INFINITY);
}

#endif
