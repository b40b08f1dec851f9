/* SPDX-License-Identifier: ISC */
/*
 * kernel: exact answers about a product of two float32 matrices, found by a
 * cheaper pass with a proven error bound, on the fastest path of this CPU.
 * No I/O, no threads of its own: every call runs on the thread that makes it
 * and touches only what it is given.
 *
 * The canonical dot product of a and b, both of n floats, is
 *   lane[l] = fma(a[i], b[i], lane[l]) for i = l, l + 64, l + 128, ... (l < 64)
 *   then lane[l] += lane[l + w] for w = 32, 16, 8, 4, 2, 1 and l < w
 * with n padded by zeros to a multiple of 64, starting from +0. It is the value
 * that saedb stores; every path gives these bits.
 *
 * The ordered product is what the model's forward pass uses:
 *   c[m][n] = fma(a[m][k], b[k][n], c[m][n]) for k = 0, 1, 2, ... starting from
 * a given c (0 or a bias). Its bits depend neither on the path, nor on tiles,
 * nor on which rows are computed together.
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the path ---------------------------------------------------------- */

enum kernel_path { KERNEL_PORTABLE, KERNEL_AVX2, KERNEL_AVX512, KERNEL_N_PATHS };

/* The best path of this CPU, or what SAEDB_CPU (portable, avx2, avx512) names
 * if the CPU has it; decided once. */
enum kernel_path kernel_path(void);
const char *kernel_path_name(enum kernel_path path);
/* Tests: use another path from now on; false if this CPU lacks it. */
bool kernel_use_path(enum kernel_path path);

/* How pairs are excluded: whichever is faster for the data, or always the one.
 * SAEDB_PASS (f32, int8) decides for a process; the answers are the same. */
enum kernel_pass_kind { KERNEL_PASS_AUTO, KERNEL_PASS_F32, KERNEL_PASS_INT8 };
/* Tests: from now on; rows made before keep the form they have. */
void kernel_use_pass(enum kernel_pass_kind kind);

/* Tests: whether bytes are multiplied by VNNI where this CPU has it. */
void kernel_use_vnni(bool use);

/* ---- vectors ----------------------------------------------------------- */

float kernel_dot(const float *a, const float *b, size_t n); /* canonical */
/* The upper bound on the 2-norm that the error bounds use: >= ||a||. */
float kernel_norm_up(const float *a, size_t n);
/* sqrt of the canonical dot of a with itself. */
float kernel_norm(const float *a, size_t n);
void kernel_axpy(float *y, const float *x, float s, size_t n); /* y = fma(s, x, y) */

/* Elementwise, the same bits on every path; within 2 ulp of the true value of
 * exp, 4 ulp of tanh. x may be y. */
void kernel_exp(float *y, const float *x, size_t n);
void kernel_tanh(float *y, const float *x, size_t n);
/* GPT-2's gelu: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
void kernel_gelu_tanh(float *y, const float *x, size_t n);
/* gelu itself: 0.5 x (1 + erf(x / sqrt(2))), erf within 2^-23 of the true value. */
void kernel_gelu(float *y, const float *x, size_t n);
void kernel_silu(float *y, const float *x, size_t n); /* x / (1 + exp(-x)) */
/* x[0..n) becomes softmax(x): maximum subtracted, exp, canonical sum, divide. */
void kernel_softmax(float *x, size_t n);
/* y = (x - mean) / sqrt(var + eps) * gain + bias; mean and (biased) variance
 * by canonical sums; gain and bias may be NULL. */
void kernel_layer_norm(float *y, const float *x, const float *gain, const float *bias,
	float eps, size_t n);
/* y = x / sqrt(mean(x x) + eps) * gain; the mean by the canonical dot product;
 * gain may be NULL. */
void kernel_rms_norm(float *y, const float *x, const float *gain, float eps, size_t n);

/* ---- layout ------------------------------------------------------------ */

/* Some points of one epoch of UMAP's descent (analysis/umap.h): each moves along its
 * edges that are due (epoch * rate, modulo 2^32, is below rate), and away from
 * negative_rate points drawn for each such edge; all others stay where they are. The
 * same bits on every path. */
struct kernel_layout {
	const float *xy; /* (n, 2) */
	float *to; /* (n_points, 2): where they come to lie */
	const uint32_t *point; /* (n_points) */
	size_t n_points;
	const uint32_t *among; /* (n_among): those that are drawn; NULL: all */
	uint32_t n_among; /* at most 2^24 */
	const uint32_t *start; /* (n + 1): of a point's edges */
	const uint32_t *tail;
	const uint32_t *rate; /* of 2^32 epochs, in how many the edge is sampled */
	uint32_t *
		due; /* scratch: KERNEL_LAYOUT_LANES for each edge of a point, and one */
	uint32_t epoch; /* from 1 */
	uint32_t key; /* random */
	uint32_t negative_rate;
	float alpha; /* of the step */
	float a, b, repulsion;
};
#define KERNEL_LAYOUT_LANES 16

void kernel_layout(const struct kernel_layout *l);

/* ---- ordered product --------------------------------------------------- */

/* A right-hand matrix b (k, n), packed once for the path in use. */
struct kernel_packed;

/* b[i][j] stands at b[i * row_stride + j * col_stride]. new:
 * kernel_packed_free(). */
int kernel_pack(struct kernel_packed **out, const float *b, size_t k, size_t n,
	size_t row_stride, size_t col_stride, struct err *e);
void kernel_packed_free(struct kernel_packed *p);
/* c (m, n) = ordered product of a (m, k) and p, started from bias (n) or, when
 * bias is NULL, from 0; add_to adds the finished product to what c held (one
 * rounding) instead of replacing it. lda, ldc: row strides in floats. c must
 * not overlap a or bias. Takes some 500 KiB of stack. */
void kernel_gemm(float *c, size_t ldc, const float *a, size_t lda, size_t m,
	const struct kernel_packed *p, const float *bias, bool add_to);

/* ---- which pairs pass a threshold -------------------------------------- */

/* Rows to be searched: w (n, d), mapped or in memory, with what the bounds
 * need computed once. borrowed: w until kernel_rows_free. new. Limits: a packed
 * copy of w is kept: n * d bytes more where the CPU multiplies bytes fast
 * (AVX512-VNNI, AVX-VNNI, most with AVX2), else n * d * 4; d up to 2^20, n below 2^32 - 1. Where
 * bytes are kept and the data want floats, those are packed by blocks, again in
 * each call. */
struct kernel_rows;
int kernel_rows_new(struct kernel_rows **out, const float *w, size_t n, size_t d,
	struct err *e);
void kernel_rows_free(struct kernel_rows *r);
size_t kernel_rows_n(const struct kernel_rows *r);

struct kernel_hit {
	uint32_t row; /* of w */
	uint32_t query; /* of x */
	float value; /* canonical dot(x[query], w[row]) + bias[row], rounded once more */
};

struct kernel_hits { /* a growing array, owned; kernel_hits_clear() frees */
	struct kernel_hit *hit;
	size_t n;
	size_t cap;
	size_t most; /* kernel_above ends with ERR_LIMIT before n passes it; 0: none */
};
void kernel_hits_clear(struct kernel_hits *h);

/* Scratch of one thread, and what it learned of the queries so far. new:
 * kernel_work_free(). Limits: some MiB for a chunk of queries; for each row of
 * the rows last searched at most min(d / 4, 64) + 20 bytes. */
struct kernel_work;
int kernel_work_new(struct kernel_work **out, struct err *e);
void kernel_work_free(struct kernel_work *k);
/* About the most that one takes for n rows of d floats, hits not counted. */
size_t kernel_work_bytes(size_t n, size_t d);

/* What the searches with one kernel_work did so far. */
struct kernel_counts {
	uint64_t queries;
	uint64_t queries_int8; /* of them, in bytes */
	uint64_t tried; /* pairs that were not excluded */
	uint64_t kept; /* of them, that qualified when they were seen */
};
struct kernel_counts kernel_work_counts(const struct kernel_work *k);

/* Appends to out, ordered by (query, row), every pair of a query x[q] (m, d)
 * and a row in [first, first + count) with
 *   dot(x[q], w[row]) + bias[row] > threshold[row]   (strictly; canonical)
 * bias NULL means 0, threshold NULL means 0. What the cheap pass discards is
 * proven not to qualify. A NaN anywhere makes a pair not qualify. On error out
 * holds what was found for the first queries. */
int kernel_above(struct kernel_hits *out, const struct kernel_rows *r, size_t first,
	size_t count, const float *x, size_t ldx, size_t m, const float *bias,
	const float *threshold, struct kernel_work *k, struct err *e);

/* For each query, the k largest (dot(x[q], w[row]) + bias[row]) * scale[row] in
 * [first, first + count), each step rounded (bias NULL means 0, scale NULL 1),
 * ordered by value descending, then row ascending (that total order also
 * decides ties at the k-th place). best is (m, k); where fewer than k rows
 * exist, the rest have row UINT32_MAX. A NaN is never among them. smallest
 * gives the k smallest, ascending, instead. skip, when not NULL, has for each
 * query one row that is left out (UINT32_MAX: none). */
int kernel_best(struct kernel_hit *best, size_t k, const struct kernel_rows *r,
	size_t first, size_t count, const float *x, size_t ldx, size_t m,
	const float *bias, const float *scale, bool smallest, const uint32_t *skip,
	struct kernel_work *w, struct err *e);

/* The k largest dot(x[q], w[row]) of all rows for each query, and the k smallest, as
 * kernel_best gives either (no bias, scale or skip), in one pass over the product. */
int kernel_ends(struct kernel_hit *largest, struct kernel_hit *smallest, size_t k,
	const struct kernel_rows *r, const float *x, size_t ldx, size_t m,
	struct kernel_work *w, struct err *e);

/* Merges b (k best of one range of rows) into a (k best of another), in place,
 * by the order of kernel_best. */
void kernel_best_merge(struct kernel_hit *a, const struct kernel_hit *b, size_t k,
	bool smallest);

/* ---- both ways ------------------------------------------------------------- */

/* The k best so far of each of n rows, by the order of kernel_best, among the rows of
 * another matrix or of the same, and a bar for each: what is not above it is passed
 * over. new: kernel_lists_free(). Limits: n * (8 k + 8) bytes. */
struct kernel_lists;
struct kernel_near {
	uint32_t row;
	float value;
};
int kernel_lists_new(struct kernel_lists **out, size_t n, size_t k, struct err *e);
void kernel_lists_free(struct kernel_lists *l);
/* Before anything is offered; without, there is no bar. Not a NaN. */
void kernel_lists_bar(struct kernel_lists *l, size_t row, float bar);
#define KERNEL_PAIRS_ALIGN 32
/* Offers each pair of a row of ra in [a_first, a_first + a_count) and a row of rb in
 * [b_first, b_first + b_count) to the list of either, in one pass. Both begin at
 * multiples of KERNEL_PAIRS_ALIGN. a == b: they are lists of one matrix, ra == rb; the
 * ranges are apart, or the same: then each pair of two rows in it comes once. Thread:
 * several at once, where no two have the same rows of a list. */
int kernel_pairs(struct kernel_lists *a, const struct kernel_rows *ra, size_t a_first,
	size_t a_count, struct kernel_lists *b, const struct kernel_rows *rb,
	size_t b_first, size_t b_count, struct kernel_work *w, struct err *e);
/* When all pairs have been offered: the row's list, best first; false where fewer than k
 * are above the bar, or a number: then it is not what kernel_best says. */
bool kernel_lists_sort(struct kernel_lists *l, size_t row);
struct kernel_near *kernel_lists_row(const struct kernel_lists *l,
	size_t row); /* (k) */

/* Single-thread SGEMM rate of the BLAS and of kernel_gemm at (m, n, k), in
 * flop/s, for the benchmarks. */
double kernel_sgemm_rate(size_t m, size_t n, size_t k, bool own);

#endif
