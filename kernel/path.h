/* SPDX-License-Identifier: ISC */
/*
 * path: what path_gemm.c, path_dot.c and path_math.c of one instruction set
 * share. Every name ends in the path's.
 */
#ifndef KERNEL_PATH_H
#define KERNEL_PATH_H

#include "kernel/ops.h"
#include "kernel/vec.h"

#define LANES 64 /* of the canonical dot product */

float PATH(path_dot)(const float *a, const float *b, size_t n);
void PATH(path_axpy)(float *y, const float *x, float s, size_t n);
void PATH(path_softmax)(float *x, size_t n);
void PATH(path_layer_norm)(float *y, const float *x, const float *gain,
	const float *bias, float eps, size_t n);
void PATH(path_rms_norm)(float *y, const float *x, const float *gain, float eps,
	size_t n);

void PATH(path_exp)(float *y, const float *x, size_t n);
void PATH(path_tanh)(float *y, const float *x, size_t n);
void PATH(path_gelu_tanh)(float *y, const float *x, size_t n);
void PATH(path_gelu)(float *y, const float *x, size_t n);
void PATH(path_silu)(float *y, const float *x, size_t n);
void PATH(path_layout)(const struct kernel_layout *l);

#endif
