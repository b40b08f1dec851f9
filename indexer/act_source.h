/* SPDX-License-Identifier: ISC */
/*
 * act_source: where a pass has active features from that no encoder finds for it: a
 * feed that was made elsewhere, or runs that are stored already. Only the way to ask.
 */
#ifndef INDEXER_ACT_SOURCE_H
#define INDEXER_ACT_SOURCE_H

#include "indexer/sparse.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct act_source {
	/* The active features of windows [first, first + n), numbered as in the pass, as
	 * rows one after another, empty ones of windows that it has not; features of sae
	 * (the pass' number) ascending. Thread: one at a time. */
	int (*get)(const void *ctx, uint32_t sae, uint32_t first, uint32_t n,
		struct sparse *out, struct err *e);
	/* Which windows it has; the model runs on the others. NULL: all. */
	bool (*has)(const void *ctx, uint32_t window);
	const void *ctx; /* borrowed */
};

#endif
