/* SPDX-License-Identifier: ISC */
/*
 * merge_int: what the files of merge share: the stores and runs that are merged
 * (merge_pick.c, merge_match.c), their documents and windows (merge_cut.c), their SAEs
 * (merge_saes.c), and where the whole comes from (merge_provenance.c). Nobody else's.
 */
#ifndef INDEXER_MERGE_INT_H
#define INDEXER_MERGE_INT_H

#include "indexer/graphs.h"
#include "indexer/options.h"
#include "indexer/progress.h"
#include "indexer/stored.h"
#include "schema/value.h"
#include "store/store.h"
#include "util/file.h"
#include "util/pool.h"

#define MERGE_MOST 256 /* stores at a time: each has some ten files open */

struct merge_input { /* as named on the command line */
	char dir[PATH_BYTES];
	const char *run; /* behind @, by number or id; NULL: the one that fits */
	struct store *store;
	struct store_view *view;
	const struct store_catalog *catalog;
};

struct merge_shard { /* one run of an input */
	const struct merge_input *in;
	uint32_t run; /* index in its catalogue */
	const struct cat_run *cat;
	const struct cat_cut *cut;
	char name[PATH_BYTES + 32]; /* "DIR, run 3" */
	const struct value *provenance;
	uint32_t slot[LIMIT_SAES]; /* by slot of the first shard */
};

struct merge {
	const struct options *options;
	struct merge_input *input; /* (n_inputs) */
	uint32_t n_inputs;
	/* Runs that make one, (n_inputs) for each of n_sets. */
	struct merge_shard *shard;
	uint32_t n_sets;
	struct arena arena; /* of provenances */
	uint64_t memory_bytes;
	struct store *store; /* that the result goes to */
	struct pool *pool;
	struct progress progress;
};

/* One run on its way. */
struct merging {
	struct merge *m;
	const struct merge_shard *shard; /* (n) */
	uint32_t n;
	struct merge_features
		*features; /* ranges of features; NULL: parts of a corpus */
	struct cat_cut cut;
	bool cut_is_new;
	struct stored stored; /* whose every window is */
	struct stored_run *from; /* (n) */
	struct cat_sae *sae; /* (n_new_saes) that the store has not */
	uint32_t n_new_saes;
	struct graphs graphs;
};

/* Opens the stores and finds the runs, which fit one another. All but m->options is
 * set; new: merge_unpick(), also on error. */
int merge_pick(struct merge *m, struct err *e);
void merge_unpick(struct merge *m);

/* Fills a shard from in's run i. */
int merge_shard_of(struct merge_shard *s, const struct merge_input *in, uint32_t i,
	struct arena *arena, struct err *e);
/* Whether it can be merged with anything: ERR_MISMATCH says why not. */
int merge_check(const struct merge_shard *s, struct err *e);
/* Whether b can be merged with a: ERR_MISMATCH names the first thing in which they
 * differ. Fills b->slot. */
int merge_match(const struct merge_shard *a, struct merge_shard *b, struct err *e);

/* The whole cut, pending unless the store has it, and g->stored. */
int merge_cut(struct merging *g, struct err *e);
/* SAEs and neighbors that the store has not. */
int merge_saes(struct merging *g, struct err *e);

/* A number of the recorded options. */
int merge_option(const struct merge_shard *s, const char *key, uint64_t *out,
	struct err *e);
int merge_run_id(char id[STORE_ID_CHARS], const struct merging *g, struct err *e);
/* Appends the JSON object. */
int merge_provenance(struct buf *b, const struct merging *g, struct err *e);
/* Token ids that statistics leave out. new: mem_free(). */
int merge_excluded(uint8_t **out, const struct merge_shard *s, uint32_t n_vocab,
	struct err *e);

#endif
