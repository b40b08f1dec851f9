/* SPDX-License-Identifier: ISC */
#include "kernel/gemm.h"

#include "util/mem.h"
#include "util/paged.h"

#include <string.h>

#define BLOCK_K 384 /* a strip of this depth and a panel stay in cache */
#define BLOCK_ROWS 192 /* rows of a packed at a time; a multiple of every mr */
#define BLOCK_COLS 256 /* columns of unfinished sums beside c; add_to only */

/* Dispatched tile by tile: the table of the path may change between calls. */
struct kernel_packed {
	size_t k;
	size_t n;
	float *panel; /* (n / PANEL rounded up, k, PANEL) */
};

void
kernel_panels_fill(float *panels, const float *b, size_t k, size_t n, size_t row_stride,
	size_t col_stride)
{
	for (size_t first = 0; first < n; first += PANEL) {
		size_t cols = n - first < PANEL ? n - first : PANEL;
		const float *from = b + first * col_stride;
		float *to = panels + first * k;

		paged_passed(2 * k * PANEL * sizeof(*to));
		if (cols < PANEL)
			memset(to, 0, k * PANEL * sizeof(*to));
		/* i in short runs: both sides stay in cache, whichever is strided */
		for (size_t i0 = 0; i0 < k; i0 += 16)
			for (size_t j = 0; j < cols; j++)
				for (size_t i = i0; i < k && i < i0 + 16; i++)
					to[i * PANEL + j] =
						from[i * row_stride + j * col_stride];
	}
}

float *
kernel_panels_new(const float *b, size_t k, size_t n, size_t row_stride,
	size_t col_stride, struct err *e)
{
	size_t n_panels = n / PANEL + (n % PANEL > 0), n_floats;
	float *panels;

	if (!mem_mul(n_panels, k, &n_floats) || !mem_mul(n_floats, PANEL, &n_floats)) {
		err_set(e, ERR_NOMEM, "a matrix of %zu by %zu is too large", k, n);
		return NULL;
	}
	panels = paged_new(n_floats, sizeof(float), e);
	if (panels != NULL)
		kernel_panels_fill(panels, b, k, n, row_stride, col_stride);
	return panels;
}

typedef float quad __attribute__((vector_size(16)));

/* to[j * n_rows + i] = a[i * lda + j] for i, j < 4. */
static inline void
turn_square(float *to, size_t n_rows, const float *a, size_t lda)
{
	quad r[4], s[4];

	for (int i = 0; i < 4; i++)
		memcpy(&r[i], a + (size_t)i * lda, sizeof(r[i]));
	s[0] = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
	s[1] = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
	s[2] = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
	s[3] = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
	r[0] = __builtin_shufflevector(s[0], s[1], 0, 1, 4, 5);
	r[1] = __builtin_shufflevector(s[0], s[1], 2, 3, 6, 7);
	r[2] = __builtin_shufflevector(s[2], s[3], 0, 1, 4, 5);
	r[3] = __builtin_shufflevector(s[2], s[3], 2, 3, 6, 7);
	for (int j = 0; j < 4; j++)
		memcpy(to + (size_t)j * n_rows, &r[j], sizeof(r[j]));
}

void
kernel_strip(float *strip, const float *a, size_t lda, size_t n_rows, size_t k)
{
	size_t i = 0;

	for (; i + 4 <= n_rows; i += 4) {
		size_t at = 0;

		for (; at + 4 <= k; at += 4)
			turn_square(strip + at * n_rows + i, n_rows, a + i * lda + at,
				lda);
		for (; at < k; at++)
			for (size_t j = i; j < i + 4; j++)
				strip[at * n_rows + j] = a[j * lda + at];
	}
	for (; i < n_rows; i++)
		for (size_t at = 0; at < k; at++)
			strip[at * n_rows + i] = a[i * lda + at];
}

int
kernel_pack(struct kernel_packed **out, const float *b, size_t k, size_t n,
	size_t row_stride, size_t col_stride, struct err *e)
{
	struct kernel_packed *p = mem_new(1, sizeof(*p));

	*out = NULL;
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "no memory to pack a matrix of %zu by %zu",
			k, n);
	p->panel = kernel_panels_new(b, k, n, row_stride, col_stride, e);
	if (p->panel == NULL) {
		mem_free(p);
		return e != NULL ? e->code : ERR_NOMEM;
	}
	p->k = k;
	p->n = n;
	*out = p;
	return 0;
}

void
kernel_packed_free(struct kernel_packed *p)
{
	if (p == NULL)
		return;
	mem_free(p->panel);
	mem_free(p);
}

/* What one block of rows, columns and k is made from and goes to. */
struct block {
	const struct kernel_ops *ops;
	const float *strips; /* (n_rows / mr, k, mr) */
	size_t n_rows;
	size_t k;
	const float *from; /* (n_rows, n_cols) at ld_from; NULL = zeros */
	size_t ld_from;
	float *to; /* (n_rows, n_cols) at ld_to */
	size_t ld_to;
	bool add;
};

/* The last, narrower panel: through a whole tile beside c. */
static void
narrow_tile(const struct block *b, struct kernel_tile t, size_t n_cols)
{
	float in[STRIP_MOST * PANEL] = {0}, out[STRIP_MOST * PANEL];
	float *to = t.to;
	size_t ld_to = t.ld_to;

	for (size_t i = 0; i < t.n_rows; i++)
		memcpy(in + i * PANEL, t.from + i * t.ld_from, n_cols * sizeof(float));
	t.col_end = PANEL;
	t.from = in;
	t.ld_from = PANEL;
	t.to = out;
	t.ld_to = PANEL;
	t.add = false;
	b->ops->tile(&t);
	for (size_t i = 0; i < t.n_rows; i++)
		for (size_t j = 0; j < n_cols; j++)
			to[i * ld_to + j] = b->add
				? to[i * ld_to + j] + out[i * PANEL + j]
				: out[i * PANEL + j];
}

/* All strips of the block against one panel of n_cols columns at col. What is
 * read of the panel stays in the L1 cache: hence strips inside, nr outside. */
static void
panel_column(const struct block *b, const float *panel, size_t col, size_t n_cols)
{
	static const float zeros[PANEL];
	size_t mr = b->ops->mr, step = n_cols == PANEL ? b->ops->nr : PANEL;
	struct kernel_tile t = {
		.b = panel,
		.k = b->k,
		.ld_from = b->ld_from,
		.ld_to = b->ld_to,
		.add = b->add,
	};

	for (t.col = 0; t.col < PANEL; t.col += step)
		for (size_t row = 0; row < b->n_rows; row += mr) {
			t.a = b->strips + row * b->k;
			t.n_rows = b->n_rows - row < mr ? b->n_rows - row : mr;
			t.col_end = t.col + step;
			t.from = b->from == NULL ? zeros
						 : b->from + row * b->ld_from + col;
			t.to = b->to + row * b->ld_to + col;
			if (n_cols == PANEL)
				b->ops->tile(&t);
			else
				narrow_tile(b, t, n_cols);
		}
}

/* Columns [first, first + n_cols) of c for BLOCK_ROWS rows or fewer. The sums
 * over k pause in `part` between blocks of k, and go on from there. */
static void
block_of_rows(const struct block *whole, const float *a, size_t lda,
	const struct kernel_packed *p, size_t first, size_t n_cols, float *part,
	size_t ld_part)
{
	_Alignas(64) float strips[BLOCK_ROWS * BLOCK_K];
	struct block b = *whole;
	size_t mr = b.ops->mr;

	b.strips = strips;
	for (size_t at = 0; at == 0 || at < p->k; at += BLOCK_K) {
		bool last = p->k - at <= BLOCK_K;

		b.k = last ? p->k - at : BLOCK_K;
		for (size_t row = 0; row < b.n_rows; row += mr)
			kernel_strip(strips + row * b.k, a + row * lda + at, lda,
				b.n_rows - row < mr ? b.n_rows - row : mr, b.k);
		b.from = at == 0 ? whole->from : part;
		b.ld_from = at == 0 ? whole->ld_from : ld_part;
		b.to = last ? whole->to : part;
		b.ld_to = last ? whole->ld_to : ld_part;
		b.add = last && whole->add;
		for (size_t col = 0; col < n_cols; col += PANEL)
			panel_column(&b, p->panel + (first + col) * p->k + at * PANEL,
				col, n_cols - col < PANEL ? n_cols - col : PANEL);
	}
}

void
kernel_gemm(float *c, size_t ldc, const float *a, size_t lda, size_t m,
	const struct kernel_packed *p, const float *bias, bool add_to)
{
	_Alignas(64) float part[BLOCK_ROWS * BLOCK_COLS];
	/* c itself holds unfinished sums, unless it is needed for the addition */
	bool beside = add_to && p->k > BLOCK_K;
	size_t step = beside ? BLOCK_COLS : p->n;

	for (size_t row = 0; row < m; row += BLOCK_ROWS)
		for (size_t col = 0; col < p->n; col += step) {
			struct block b = {
				.ops = kernel_ops(),
				.n_rows = m - row < BLOCK_ROWS ? m - row : BLOCK_ROWS,
				.from = bias != NULL ? bias + col : NULL,
				.to = c + row * ldc + col,
				.ld_to = ldc,
				.add = add_to,
			};

			block_of_rows(&b, a + row * lda, lda, p, col,
				p->n - col < step ? p->n - col : step,
				beside ? part : b.to, beside ? BLOCK_COLS : ldc);
		}
}
