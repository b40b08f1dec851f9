/* SPDX-License-Identifier: ISC */
/*
 * ann_tune: how good an index is, and with which parameters it is good enough: queries
 * that it was not built for, their ten nearest by the exact search, and the cheapest
 * parameters that find them.
 */
#ifndef STORE_ANN_TUNE_H
#define STORE_ANN_TUNE_H

#include "kernel/kernel.h"
#include "store/ann_inner.h"

#define ANN_QUERIES 400u
/* Parameters are chosen on every other pair of queries; on the others recall is told.
 * Asked for by so much more, it is seldom less than STORE_RECALL there. */
#define ANN_MARGIN 0.005

struct ann_tune {
	uint32_t n_queries, d;
	float *query; /* (n_queries, d) unit vectors */
	struct kernel_hit *truth; /* (n_queries, ANN_RECALL_AT) */
	struct kernel_hit *part; /* the same of one block */
	struct kernel_work *work;
};

/* Half of the queries are rows, half are rows with as much noise added. new:
 * ann_tune_clear(). */
int ann_tune_init(struct ann_tune *t, const float *rows, uint32_t n, uint32_t d,
	struct err *e);
void ann_tune_clear(struct ann_tune *t);
/* Adds a block of unit rows (n, d), numbered from first, to what is searched exactly. */
int ann_tune_block(struct ann_tune *t, const float *unit, uint32_t first, uint32_t n,
	struct err *e);
/* Sets parameter, value, candidates and recall of x, whose factory and n_rows are set;
 * a keeps the parameter. row_bytes: of a row's code, about. */
int ann_tune_run(struct ann_tune *t, struct ann *a, struct store_ann *x,
	size_t row_bytes,
	int (*tell)(void *ctx, const char *stage, uint64_t done, uint64_t total,
		struct err *e),
	void *ctx, struct err *e);
/* The number behind IVF in a factory string; 0: none. */
uint32_t ann_n_lists(const char *factory);

#endif
