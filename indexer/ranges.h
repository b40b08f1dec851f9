/* SPDX-License-Identifier: ISC */
/*
 * ranges: stored runs that each sought a range of the same SAEs' features over the same
 * cut, seen as the one run that sought all: whether they are, and its active features.
 * Writes nothing.
 */
#ifndef INDEXER_RANGES_H
#define INDEXER_RANGES_H

#include "schema/record.h"
#include "store/store.h"

struct range_part {
	struct store_view *view; /* borrowed */
	const char *dir; /* of the store, for messages; borrowed */
	uint32_t run; /* index in the view's catalogue */
	uint32_t number; /* the caller's, of this part */
	uint32_t first, end; /* features, of each SAE */
	uint32_t slot[LIMIT_SAES]; /* of the SAE that the first part has in slot i */
};

/* Whether a run sought a range of any of its SAEs. */
bool ranges_is_part(const struct store_catalog *c, uint32_t run);
/* Fills first, end and slot, and orders the parts by their features. Runs of unlike SAEs
 * or cuts, gaps and overlaps are ERR_MISMATCH, and named. */
int ranges_order(struct range_part *part, uint32_t n, struct err *e);
/* Active features of a window, of the SAE in the first part's slot; as
 * store_acts_all(), in arena. */
int ranges_acts(const struct range_part *part, uint32_t n, uint32_t slot,
	uint32_t window, struct rec_acts *out, struct arena *arena, struct err *e);

#endif
