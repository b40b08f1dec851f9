/* SPDX-License-Identifier: ISC */
/*
 * graphs: the nearest features of a group's SAEs among one another and among those
 * of the store that stand at the same place, in both directions.
 */
#ifndef INDEXER_GRAPHS_H
#define INDEXER_GRAPHS_H

#include "indexer/directions.h"
#include "indexer/plan.h"
#include "indexer/progress.h"
#include "store/store.h"
#include "util/pool.h"

struct pair_ids {
	const char *from_id, *to_id;
	uint32_t k;
};

struct graphs {
	struct store_view *view; /* keeps decoders of the store's SAEs mapped */
	struct directions *directions; /* (n) the group's, then those in the store */
	uint32_t n;
	struct pair_ids *graph; /* (n_graphs) new ones */
	uint32_t n_graphs;
};

/* Writes those that the store has not, but for what --neighbors leaves out. new:
 * graphs_clear(), also on error. */
int graphs_write(struct graphs *g, const struct plan *p, const struct plan_group *group,
	struct store *s, struct pool *pool, struct progress *progress, struct err *e);
void graphs_clear(struct graphs *g); /* of a zeroed one is fine */

#endif
