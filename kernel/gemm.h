/* SPDX-License-Identifier: ISC */
/*
 * gemm: the two packings that every product here is made of. Within kernel/
 * only.
 */
#ifndef KERNEL_GEMM_H
#define KERNEL_GEMM_H

#include "kernel/ops.h"

/* b (k, n) at its strides as panels (n / PANEL rounded up, k, PANEL), NULL
 * and the error when there is no room. new: mem_free(). */
float *kernel_panels_new(const float *b, size_t k, size_t n, size_t row_stride,
	size_t col_stride, struct err *e);

/* The same into `panels`. */
void kernel_panels_fill(float *panels, const float *b, size_t k, size_t n,
	size_t row_stride, size_t col_stride);

/* n_rows rows of a, k floats each at stride lda, as a strip (k, n_rows). */
void kernel_strip(float *strip, const float *a, size_t lda, size_t n_rows, size_t k);

#endif
