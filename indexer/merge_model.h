/* SPDX-License-Identifier: ISC */
/*
 * merge_model: the model and SAEs of runs of ranges, opened again: what joining them
 * needs for what none of them could know, how well the SAEs explain what they read and
 * what they promote. Computes nothing.
 */
#ifndef INDEXER_MERGE_MODEL_H
#define INDEXER_MERGE_MODEL_H

#include "indexer/options.h"
#include "indexer/plan.h"
#include "schema/value.h"

struct merge_model {
	struct lm *lm; /* NULL: not found */
	struct tok *tok;
	struct sae *sae[LIMIT_SAES]; /* (n_saes) by slot */
	uint32_t n_saes;
	struct plan_group group; /* its hooks alone */
	uint32_t hook_of[LIMIT_SAES], out_of[LIMIT_SAES]; /* (n_saes) */
	uint32_t n_vocab; /* tokens that logit effects are of */
};

/* Those of a run, where its provenance says or where --model and --sae say. When they are
 * not there, and no option named them, a warning says what will lack, and lm is NULL.
 * new: merge_model_clear(), also on error. */
int merge_model_open(struct merge_model *m, const struct options *o,
	const struct store_catalog *c, uint32_t run, const struct value *provenance,
	struct err *e);
void merge_model_clear(struct merge_model *m); /* of a zeroed one is fine */

#endif
