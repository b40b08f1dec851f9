/* SPDX-License-Identifier: ISC */
/*
 * merge_features: runs of ranges of features of one cut, in merge's eyes one run of all
 * features, whose activations lie side by side in several stores. What no range could
 * know is computed: how well the SAEs explain what they read, by the model's forward
 * pass, and their logit effects.
 */
#ifndef INDEXER_MERGE_FEATURES_H
#define INDEXER_MERGE_FEATURES_H

#include "indexer/merge_int.h"
#include "indexer/merge_model.h"
#include "indexer/pass.h"
#include "indexer/ranges.h"

struct merge_features {
	const struct merge_shard *shard; /* (n) borrowed */
	uint32_t n;
	struct range_part *part; /* (n) by their features */
	struct merge_shard whole; /* the first of these, as if it had sought all */
	struct merge_model model;
};

/* Whether the shards, which match one another, are ranges that make a whole (1), or none
 * is a range (0). Gaps and overlaps are ERR_MISMATCH. */
int merge_features_check(const struct merge_shard *shard, uint32_t n, struct err *e);
/* If the shards sought ranges: g->features, and g->shard is the whole, g->n 1; else
 * nothing changes. Finds the model. new: merge_features_clear(), also on error. */
int merge_features_find(struct merging *g, struct err *e);
void merge_features_clear(struct merging *g); /* fine without ranges */

/* The cut as it stands, and g->stored. */
int merge_features_cut(struct merging *g, struct err *e);
/* What the pass needs to tell how well SAEs fit, if the model was found, with so much
 * memory for batches. */
void merge_features_job(const struct merge_features *f, struct pass_job *job,
	size_t free_bytes);
size_t merge_features_bytes(const struct merge_features *f); /* of model and SAEs */
/* Logit effects of the SAE in a slot, if the model was found. */
int merge_features_logits(const struct merging *g, struct sae_writer *w, uint32_t slot,
	struct err *e);

#endif
