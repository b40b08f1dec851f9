/* SPDX-License-Identifier: ISC */
/*
 * collect: for ranges of features of one SAE, what two scans of the stored
 * activations give: postings, documents, intervals with samples, the activations
 * around each example, and the keyword label. A range is one thread's at a time.
 */
#ifndef INDEXER_COLLECT_H
#define INDEXER_COLLECT_H

#include "indexer/finish.h"
#include "indexer/intervals.h"
#include "indexer/keywords.h"
#include "indexer/sparse.h"
#include "util/buf.h"
#include "util/mem.h"

struct collect {
	const struct finish_job *job;
	uint32_t first, count; /* features */
	struct by_feature window; /* the one being scanned */
	struct intervals *intervals; /* (count) */
	uint64_t *posting_at; /* (count + 1) into posting */
	uint32_t *n_postings; /* (count) */
	struct rec_posting *posting;
	uint64_t *n_documents; /* (count) */
	uint32_t *last_document; /* (count) + 1, 0 = none yet */
	uint64_t *example_at; /* (count + 1) into example */
	struct rec_example *example; /* best, then samples by interval */
	struct wanted *wanted; /* (all examples) by window, feature */
	uint64_t n_wanted, at_wanted;
	uint32_t *want_of; /* (count) in the window being scanned: place + 1 */
	struct arena arena; /* holds the examples' activations */
	uint64_t *label_at; /* (count + 1) into labels */
	double *label_score; /* (count) */
	struct buf labels;
};

/* An example whose activations are still to be fetched. */
struct wanted {
	uint32_t window, feature;
	uint64_t place; /* in example */
};

/* Fills all of c[0] to c[n - 1] but their labels from their job, which is one, first and
 * count. new: collect_clear() each, also on error. */
int collect_run(struct collect *c, size_t n, struct err *e);
/* Its labels, then. Thread: any, each c by one. */
int collect_labels(struct collect *c, struct err *e);
void collect_clear(struct collect *c);
/* About what a feature takes here. */
size_t collect_bytes(const struct finish_job *job, const struct feature_state *f);

#endif
