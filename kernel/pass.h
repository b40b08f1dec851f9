/* SPDX-License-Identifier: ISC */
/*
 * pass: the cheap pass over rows x queries that kernel_above and kernel_best
 * share. It excludes pairs; what it cannot exclude it hands on, tile by tile,
 * rows ascending for each query. Within kernel/ only.
 */
#ifndef KERNEL_PASS_H
#define KERNEL_PASS_H

#include "kernel/int8.h"
#include "kernel/ops.h"

#define KERNEL_BLOCK_ROWS 1024 /* at most, between two calls of pass.strip */
#define KERNEL_BLOCK_MOST (KERNEL_BLOCK_ROWS / PANEL)
#define SAMPLE_STEP 16

struct kernel_rows {
	const float *w; /* (n, d), borrowed */
	size_t n;
	size_t d;
	uint64_t serial; /* no other rows have it, or will */
	bool in_bytes; /* bytes are there; panels otherwise */
	float *panels; /* w packed: (n / PANEL rounded up, d, PANEL) */
	float *slack; /* (n padded to PANEL): see pass.c */
	struct kernel_bytes bytes;
};

/* A pair that was not excluded. */
struct kernel_pair {
	uint32_t query;
	uint32_t row;
};

/* What the pass in bytes was worth; see choose.c. */
struct kernel_stat {
	uint64_t serial; /* of the rows that it tells of; 0 = none */
	bool known;
	double waste; /* pairs in vain, of all */
	unsigned n_passed; /* chunks since, in floats */
};

/* How samples of rows foretold the k-th best; see best.c. */
struct kernel_luck {
	uint64_t serial;
	uint64_t n; /* queries */
	uint64_t n_missed;
};

struct kernel_work {
	float *block; /* panels that no rows keep */
	size_t cap_block;
	struct kernel_int8_work int8;
	struct kernel_stat stat;
	struct kernel_luck luck;
	struct kernel_counts counts;
	float *strips; /* queries of a chunk, packed */
	size_t cap_strips;
	float *slack; /* of each query of a chunk */
	size_t cap_slack;
	float *row_terms; /* what scan compares with, for each row */
	size_t cap_row_terms;
	struct kernel_pair *pair; /* kernel_above: waiting for the canonical dot */
	size_t cap_pair;
	size_t n_pairs;
	size_t *count; /* of hits, for each query of a chunk */
	size_t cap_count;
	struct kernel_hits found; /* kernel_above: of a chunk, not in order */
};

/* *p has room for n of size bytes each, contents lost; false = no memory. */
bool kernel_room(void *p, size_t *cap, size_t n, size_t size);
bool kernel_hits_room(struct kernel_hits *h, size_t n_more);

struct kernel_pass {
	const struct kernel_rows *r;
	const struct kernel_ops *ops;
	struct kernel_work *work;
	size_t first; /* row range */
	size_t count;
	const float *x; /* (queries, d) at ldx */
	size_t ldx;
	/* Of the panels that the range touches, from its first on: */
	const float *row_slack; /* in floats */
	const float *row_norm; /* in bytes */
	const float *row_rest;
	const float *cut;
	const float *bias;
	const float *scale;
	float *kth; /* of each query of the chunk */
	float *least; /* the same at the other end; may be NULL */
	bool (*scan)(struct kernel_scan *s);
	bool (*scan8)(struct kernel_scan8 *s);
	/* Pairs of one tile: bit j of mask[i] is (query + i, row + j). */
	int (*tile)(struct kernel_pass *p, size_t query, size_t n_queries, size_t row,
		const uint32_t *mask, struct err *e);
	/* Behind the last tile of a strip in a block of rows; may be NULL. */
	int (*strip)(struct kernel_pass *p, struct err *e);
	/* Whether every SAMPLE_STEP-th block of rows, n_rows in all, shall come first
	 * for the chunk's queries [at, end); sampled() is called behind them. NULL:
	 * they come in order. */
	bool (*sample)(struct kernel_pass *p, size_t at, size_t end, size_t n_rows);
	void (*sampled)(struct kernel_pass *p, size_t at, size_t end);
	void *ctx;
};

/* n floats, on their way to the L2 cache. */
static inline void
kernel_prefetch(const float *from, size_t n)
{
	for (size_t at = 0; at < n; at += 64 / sizeof(float))
		__builtin_prefetch(from + at, 0, 2);
}

static inline size_t
kernel_pass_first_panel(size_t first)
{
	return first / PANEL;
}

/* Panels that [first, first + count) touches. */
static inline size_t
kernel_pass_n_panels(size_t first, size_t count)
{
	return count == 0 ? 0 : (first + count - 1) / PANEL + 1 - first / PANEL;
}

/* Bits of the panel's rows that lie in the range. */
uint32_t kernel_pass_range_bits(const struct kernel_pass *p, size_t row);
/* row_slack, row_norm and row_rest of plain products: no bias, no scale. */
void kernel_pass_terms(struct kernel_pass *p);
/* Refuses ranges and counts out of bounds. */
int kernel_pass_check(const struct kernel_rows *r, size_t first, size_t count, size_t m,
	struct err *e);
/* Queries at a time, at most; and how many of those that are left come next. */
size_t kernel_pass_chunk(const struct kernel_rows *r);
size_t kernel_pass_take(const struct kernel_rows *r, size_t n_left);
/* Queries [query, query + n), in bytes or in floats: n at most a chunk. */
int kernel_pass_run(struct kernel_pass *p, size_t query, size_t n, struct err *e);

/* Blocks of rows in the order they are passed in: for (b = kernel_blocks(...);
 * kernel_blocks_more(&b); b.i++) is about panels [b.panel, b.panel + b.n). */
struct kernel_blocks {
	struct kernel_pass *p;
	size_t at, end; /* queries */
	size_t n_panels;
	size_t most; /* panels of a block */
	size_t n_blocks;
	size_t n_first; /* of them, a sample */
	size_t i;
	size_t panel;
	size_t n;
};
struct kernel_blocks kernel_blocks(struct kernel_pass *p, size_t at, size_t end,
	size_t most);
bool kernel_blocks_more(struct kernel_blocks *b);

/* The same of the chunk's queries [query + at, query + end), in floats. */
int kernel_float_run(struct kernel_pass *p, size_t query, size_t at, size_t end,
	struct err *e);

/* Whether rows of d floats are worth to be kept in bytes. */
bool kernel_pass_wants_bytes(size_t d);

#endif
