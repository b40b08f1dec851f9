/* SPDX-License-Identifier: ISC */
/*
 * approximate: indexes for searches of SAEs that are slow to go through. Builds those
 * that are missing, one after the other, and tells what each one is; how they are built
 * is the store's matter.
 */
#ifndef INDEXER_APPROXIMATE_H
#define INDEXER_APPROXIMATE_H

#include "indexer/options.h"
#include "indexer/progress.h"
#include "store/approximate.h"

struct approximate_job {
	struct store *store;
	struct progress *progress;
	uint64_t rule; /* enum ann_rule */
	uint64_t memory_bytes; /* most to use beside what there is */
	size_t n_threads;
};
/* Of the published SAE of that id: by the rule, and no error where auto lacks memory. */
int approximate_write(const struct approximate_job *job, const char *sae_id,
	struct err *e);
/* The command: saedb-index ann STORE [SAE ...]. */
int approximate_run(const struct options *o, struct err *e);

#endif
