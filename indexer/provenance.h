/* SPDX-License-Identifier: ISC */
/*
 * provenance: where a run's numbers come from, as JSON that is stored with it and
 * that `verify` reads again; and the run's id, a hash of all that decides them.
 */
#ifndef INDEXER_PROVENANCE_H
#define INDEXER_PROVENANCE_H

#include "indexer/plan.h"
#include "indexer/reading.h"
#include "indexer/reuse.h"
#include "store/store.h"
#include "util/buf.h"

#define RUN_FORMAT 1 /* changes when what a run computes changes */

/* What decides a run's result, and so is its id. */
struct run_identity {
	const char *weights_sha256, *cut_id;
	uint64_t examples, dedup_radius, interval_samples, seed;
	bool count_special;
	uint32_t first, end; /* features that are sought; end 0: all */
	uint32_t n_saes;
	uint8_t sae[LIMIT_SAES][32]; /* (n_saes) hashes; sorted here */
};
int provenance_id(char id[STORE_ID_CHARS], struct run_identity *x, struct err *e);

/* 16 hexadecimal digits; the order of SAEs does not matter. fed: what was made
 * elsewhere, NULL where the model runs. */
int provenance_run_id(char id[STORE_ID_CHARS], const struct plan *p,
	const struct plan_group *g, const struct cat_cut *cut, const struct fed *fed,
	struct err *e);
/* Appends the JSON object. */
int provenance_write(struct buf *b, const struct plan *p, const struct plan_group *g,
	const struct cat_cut *cut, const struct fed *fed, const struct reuse *reuse,
	struct err *e);

#endif
