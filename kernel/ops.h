/* SPDX-License-Identifier: ISC */
/*
 * ops: what differs from path to path: one table of functions each, made from
 * the same sources (path_*.c) compiled once for each instruction set. Within
 * kernel/ only.
 *
 * A panel is 32 columns of a right-hand matrix, stored (k, 32), zeros where
 * the matrix has no column. A strip is up to `mr` rows of a left-hand matrix,
 * stored (k, n_rows): what one tile of the product reads at step k is
 * contiguous.
 */
#ifndef KERNEL_OPS_H
#define KERNEL_OPS_H

#include "kernel/kernel.h"

#include <stdint.h>

#define PANEL 32 /* columns of a panel */
#define STRIP_MOST 12 /* rows of a strip, on any path */

/* A tile of a product: acc = from, then fma over k, and acc to `to`; for the
 * columns [col, col_end) of a panel, whole steps of nr. */
struct kernel_tile {
	const float *a; /* (k, n_rows): a strip */
	const float *b; /* (k, PANEL): a panel */
	size_t k;
	size_t n_rows; /* 1 to mr */
	size_t col;
	size_t col_end;
	const float *from; /* (n_rows, PANEL) at stride ld_from */
	size_t ld_from; /* 0: the same row for all */
	float *to; /* (n_rows, PANEL) at stride ld_to */
	size_t ld_to;
	bool add; /* to += acc, not to = acc */
};

/* The tile's product is not stored: bit j of mask[i] says that row j of the
 * panel cannot be excluded for query i. */
struct kernel_scan {
	const float *a;
	const float *b;
	size_t k;
	size_t n_rows;
	const float *slack; /* (n_rows): bound of query i ... */
	const float *row_slack; /* (PANEL): ... times bound of row j */
	const float *cut; /* (PANEL): kernel_above: threshold - bias; pairs: as kth */
	const float *bias; /* (PANEL): kernel_best */
	const float *scale; /* (PANEL): kernel_best */
	const float *kth; /* (n_rows): kernel_best: to be exceeded */
	const float *least; /* (n_rows): ends: the same of the negated product */
	uint32_t mask[STRIP_MOST];
};

struct kernel_ops {
	size_t mr; /* rows of a strip, at most STRIP_MOST */
	size_t nr; /* columns at a time, a divisor of PANEL */
	float (*dot)(const float *a, const float *b, size_t n);
	void (*axpy)(float *y, const float *x, float s, size_t n);
	void (*exp)(float *y, const float *x, size_t n);
	void (*tanh)(float *y, const float *x, size_t n);
	void (*gelu_tanh)(float *y, const float *x, size_t n);
	void (*gelu)(float *y, const float *x, size_t n);
	void (*silu)(float *y, const float *x, size_t n);
	void (*softmax)(float *x, size_t n);
	void (*layer_norm)(float *y, const float *x, const float *gain,
		const float *bias, float eps, size_t n);
	void (*rms_norm)(float *y, const float *x, const float *gain, float eps,
		size_t n);
	void (*layout)(const struct kernel_layout *l);
	void (*tile)(const struct kernel_tile *t);
	/* Return whether any bit of a mask is set. */
	bool (*scan_above)(struct kernel_scan *s);
	bool (*scan_best)(struct kernel_scan *s);
	bool (*scan_ends)(struct kernel_scan *s); /* beyond kth, or least */
	bool (*scan_pairs)(struct kernel_scan *s); /* beyond kth, or the row's cut */
};

extern const struct kernel_ops kernel_ops_portable;
extern const struct kernel_ops kernel_ops_avx2;
extern const struct kernel_ops kernel_ops_avx512;

/* The table of the path in use. */
const struct kernel_ops *kernel_ops(void);

#endif
