/* SPDX-License-Identifier: ISC */
/*
 * scan: one SAE's stored activations, window by window, for several parts of its
 * features or of the vocabulary at once. All threads read a block of windows, each
 * window once; then each part, by one thread, sees the block's windows in order.
 */
#ifndef INDEXER_SCAN_H
#define INDEXER_SCAN_H

#include "indexer/sparse.h"
#include "indexer/windows.h"
#include "store/store.h"
#include "util/pool.h"

struct scan {
	struct pool *pool;
	const struct windows *windows;
	struct run_writer *writer;
	uint32_t slot;
	size_t n_parts;
};

/* Calls visit for every window in order with its rows as stored, once for each part.
 * Within a part one call at a time; the first error ends it all. Not inside a
 * pool_run(). */
typedef int (*scan_visit)(void *ctx, size_t part, uint32_t window,
	const struct rec_window *w, const struct rec_acts *a, struct err *e);
int scan_rows(const struct scan *s, scan_visit visit, void *ctx, struct err *e);

/* Puts the counted activations of one window into b, for the features of its range. */
int scan_by_feature(const struct windows *windows, struct by_feature *b,
	const struct rec_window *w, const struct rec_acts *a, struct err *e);

#endif
