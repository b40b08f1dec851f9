/* SPDX-License-Identifier: ISC */
/*
 * scan: one SAE's stored activations, window by window, for a range of features.
 */
#ifndef INDEXER_SCAN_H
#define INDEXER_SCAN_H

#include "indexer/sparse.h"
#include "indexer/windows.h"
#include "store/store.h"

struct scan {
	const struct windows *windows;
	struct run_writer *writer;
	uint32_t slot;
	uint32_t first, count; /* features */
};

/* Calls visit for every window in order, with the counted activations of the range
 * by feature (borrowed during the call); stops at its first error. Thread: any
 * number of scans at once. */
int scan_features(const struct scan *s,
	int (*visit)(void *ctx, uint32_t window, const struct rec_window *w,
		const struct by_feature *b, struct err *e),
	void *ctx, struct err *e);

/* Calls visit for every window in order with its rows as stored. */
int scan_rows(const struct scan *s,
	int (*visit)(void *ctx, const struct rec_window *w, const struct rec_acts *a,
		struct err *e),
	void *ctx, struct err *e);

#endif
