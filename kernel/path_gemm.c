/* SPDX-License-Identifier: ISC */
#include "kernel/path.h"

/*
 * acc[i][j] = fma(a[k][i], b[k][j], acc[i][j]) for k = 0, 1, 2, ...
 * for n_rows rows and two vectors of columns: the accumulators fill the
 * registers. n_rows is a constant wherever this is inlined.
 */
VEC void
accumulate(vf acc[][2], const float *a, const float *b, size_t k, const int n_rows)
{
	for (size_t at = 0; at < k; at++) {
		vf b0 = v_load(b), b1 = v_load(b + VW);

#pragma GCC unroll 12
		for (int i = 0; i < n_rows; i++) {
			vf ai = v_all(a[i]);

			acc[i][0] = v_fma(ai, b0, acc[i][0]);
			acc[i][1] = v_fma(ai, b1, acc[i][1]);
		}
		a += n_rows;
		b += PANEL;
	}
}

VEC void
tile_rows(const struct kernel_tile *t, size_t col, const int n_rows)
{
	vf acc[STRIP_MOST][2];

#pragma GCC unroll 12
	for (int i = 0; i < n_rows; i++) {
		acc[i][0] = v_load(t->from + (size_t)i * t->ld_from + col);
		acc[i][1] = v_load(t->from + (size_t)i * t->ld_from + col + VW);
	}
	accumulate(acc, t->a, t->b + col, t->k, n_rows);
#pragma GCC unroll 12
	for (int i = 0; i < n_rows; i++) {
		float *to = t->to + (size_t)i * t->ld_to + col;

		if (t->add) {
			acc[i][0] = v_load(to) + acc[i][0];
			acc[i][1] = v_load(to + VW) + acc[i][1];
		}
		v_store(to, acc[i][0]);
		v_store(to + VW, acc[i][1]);
	}
}

/* A NaN excludes nothing. */
VEC uint32_t
above_bits(vf acc, const struct kernel_scan *s, int i, size_t col)
{
	vf most = v_fma(v_all(s->slack[i]), v_load(s->row_slack + col), acc);

	return v_not_less(most, v_load(s->cut + col));
}

VEC uint32_t
best_bits(vf acc, const struct kernel_scan *s, int i, size_t col)
{
	vf most = v_fma(v_all(s->slack[i]), v_load(s->row_slack + col), acc);

	most = (most + v_load(s->bias + col)) * v_load(s->scale + col);
	return v_not_at_most(most, v_all(s->kth[i]));
}

/* The least of the product, negated, is the most of the negated product. */
VEC uint32_t
ends_bits(vf acc, const struct kernel_scan *s, int i, size_t col)
{
	vf slack = v_all(s->slack[i]), row = v_load(s->row_slack + col);

	return v_not_at_most(v_fma(slack, row, acc), v_all(s->kth[i])) |
		v_not_at_most(v_fma(slack, row, -acc), v_all(s->least[i]));
}

VEC uint32_t
pairs_bits(vf acc, const struct kernel_scan *s, int i, size_t col)
{
	vf most = v_fma(v_all(s->slack[i]), v_load(s->row_slack + col), acc);

	return v_not_at_most(most, v_all(s->kth[i])) |
		v_not_at_most(most, v_load(s->cut + col));
}

#define SCAN_ROWS(what) \
	VEC void what##_rows(struct kernel_scan *s, size_t col, const int n_rows) \
	{ \
		vf acc[STRIP_MOST][2] = {0}; \
\
		accumulate(acc, s->a, s->b + col, s->k, n_rows); \
		_Pragma("GCC unroll 12") for (int i = 0; i < n_rows; i++) \
			s->mask[i] |= what##_bits(acc[i][0], s, i, col) << col | \
			what##_bits(acc[i][1], s, i, col + VW) << (col + VW); \
	}
SCAN_ROWS(above)
SCAN_ROWS(best)
SCAN_ROWS(ends)
SCAN_ROWS(pairs)

/* One function for each number of rows, so that accumulators are registers. */
#define ROWS(n) \
	static void tile_##n(const struct kernel_tile *t, size_t col) \
	{ \
		tile_rows(t, col, n); \
	} \
	static void above_##n(struct kernel_scan *s, size_t col) \
	{ \
		above_rows(s, col, n); \
	} \
	static void best_##n(struct kernel_scan *s, size_t col) \
	{ \
		best_rows(s, col, n); \
	} \
	static void ends_##n(struct kernel_scan *s, size_t col) \
	{ \
		ends_rows(s, col, n); \
	} \
	static void pairs_##n(struct kernel_scan *s, size_t col) \
	{ \
		pairs_rows(s, col, n); \
	}
#include "kernel/by_rows.h"

static void (*const tiles[MR])(const struct kernel_tile *, size_t) = NAMES(tile_);
static void (*const aboves[MR])(struct kernel_scan *, size_t) = NAMES(above_);
static void (*const bests[MR])(struct kernel_scan *, size_t) = NAMES(best_);
static void (*const ends[MR])(struct kernel_scan *, size_t) = NAMES(ends_);
static void (*const pairs[MR])(struct kernel_scan *, size_t) = NAMES(pairs_);

static void
tile(const struct kernel_tile *t)
{
	for (size_t col = t->col; col < t->col_end; col += 2 * VW)
		tiles[t->n_rows - 1](t, col);
}

static bool
scan(struct kernel_scan *s, void (*const *by_rows)(struct kernel_scan *, size_t))
{
	uint32_t any = 0;

	memset(s->mask, 0, sizeof(s->mask));
	for (size_t col = 0; col < PANEL; col += 2 * VW)
		by_rows[s->n_rows - 1](s, col);
	for (size_t i = 0; i < s->n_rows; i++)
		any |= s->mask[i];
	return any != 0;
}

static bool
scan_above(struct kernel_scan *s)
{
	return scan(s, aboves);
}

static bool
scan_best(struct kernel_scan *s)
{
	return scan(s, bests);
}

static bool
scan_ends(struct kernel_scan *s)
{
	return scan(s, ends);
}

static bool
scan_pairs(struct kernel_scan *s)
{
	return scan(s, pairs);
}

const struct kernel_ops PATH(kernel_ops) = {
	.mr = MR,
	.nr = 2 * VW,
	.dot = PATH(path_dot),
	.axpy = PATH(path_axpy),
	.exp = PATH(path_exp),
	.tanh = PATH(path_tanh),
	.gelu_tanh = PATH(path_gelu_tanh),
	.gelu = PATH(path_gelu),
	.silu = PATH(path_silu),
	.softmax = PATH(path_softmax),
	.layer_norm = PATH(path_layer_norm),
	.rms_norm = PATH(path_rms_norm),
	.layout = PATH(path_layout),
	.tile = tile,
	.scan_above = scan_above,
	.scan_best = scan_best,
	.scan_ends = scan_ends,
	.scan_pairs = scan_pairs,
};
