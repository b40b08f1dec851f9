/* SPDX-License-Identifier: ISC */
/*
 * stored: active features of windows that stored runs have already, in place of an
 * encoder's: those of a merge's shards, or of an older run over a part of the corpus.
 * What is read is checked against the windows. Knows no documents: who makes it says
 * which window is which.
 */
#ifndef INDEXER_STORED_H
#define INDEXER_STORED_H

#include "indexer/act_source.h"
#include "indexer/ranges.h"
#include "indexer/windows.h"
#include "schema/limits.h"
#include "store/store.h"

#define STORED_NONE UINT32_MAX /* no run has the window */

struct stored_run {
	struct store_view *view; /* borrowed */
	uint32_t run; /* index in its catalogue */
	const char *name; /* for errors; borrowed */
	uint32_t slot[LIMIT_SAES]; /* of the pass' SAEs */
	/* Instead of view and run: runs of ranges of features, as one; the pass' SAEs are
	 * in the first part's slots. borrowed */
	const struct range_part *part; /* (n_parts) */
	uint32_t n_parts;
};

struct stored {
	const struct stored_run *run; /* borrowed */
	const struct windows *windows; /* of the pass; borrowed; NULL until there are */
	const uint32_t *d_sae; /* (n_saes) of the pass; borrowed */
	uint32_t *window; /* (n_windows) its number in the run, or STORED_NONE */
	uint16_t *of; /* (n_windows) which run */
	uint32_t n_windows;
	struct arena *arena;
};

/* No run has any window yet. new: stored_clear(), also on error. */
int stored_init(struct stored *s, const struct stored_run *run, uint32_t n_windows,
	struct err *e);
void stored_clear(struct stored *s); /* of a zeroed one is fine */
/* For a pass; borrowed: s. some: the model runs on windows that no run has; else each
 * has one. */
struct act_source stored_source(const struct stored *s, bool some);

#endif
