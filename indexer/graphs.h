/* SPDX-License-Identifier: ISC */
/*
 * graphs: the neighbors that a run's SAEs need: among themselves, and with those of the
 * store at the same stream. Each is computed once, or copied from a store that has it.
 */
#ifndef INDEXER_GRAPHS_H
#define INDEXER_GRAPHS_H

#include "indexer/directions.h"
#include "indexer/progress.h"
#include "store/store.h"
#include "util/pool.h"

struct graph_sae {
	const char *id, *stream, *name; /* borrowed */
	const float *rows; /* (d_sae, d_out) of the decoder, borrowed */
	uint32_t d_sae, d_out;
};

struct graphs_job {
	struct store *store; /* written to */
	struct pool *pool;
	struct progress *progress;
	const char *model_id;
	const struct graph_sae *sae; /* (n_saes) the run's */
	uint32_t n_saes;
	uint64_t rule; /* enum neighbors_rule */
	struct store_view *from; /* where graphs may be copied from; or NULL */
};

struct graph_ids { /* as store_publish has it */
	const char *from_id, *to_id;
	uint32_t k;
};

struct graphs {
	const struct graphs_job *job; /* while they are written */
	struct store_view *view; /* keeps decoders of the store's SAEs mapped */
	struct graph_sae *sae; /* (n_saes) the run's, then those in the store */
	struct directions *directions; /* (n_saes) set up when first needed */
	uint32_t n_saes;
	struct graph_ids *made; /* (n_made) pending; ids are borrowed */
	uint32_t n_made;
};

/* Whether neighbors_rule has them computed. */
bool graphs_wanted(uint64_t rule, const struct directions *from,
	const struct directions *to);
/* new: graphs_clear(), also on error. */
int graphs_write(struct graphs *g, const struct graphs_job *job, struct err *e);
void graphs_clear(struct graphs *g); /* of a zeroed one is fine */

#endif
