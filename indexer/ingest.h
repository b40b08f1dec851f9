/* SPDX-License-Identifier: ISC */
/*
 * ingest: streams of shards (doc/shards.md) into a feed, shard by shard: windows,
 * documents and images as they are, activations through the SAEs' encoders, active
 * features as they came. What it holds at a time is one shard and one batch.
 */
#ifndef INDEXER_INGEST_H
#define INDEXER_INGEST_H

#include "indexer/feed.h"
#include "indexer/plan.h"
#include "indexer/progress.h"
#include "indexer/source.h"
#include "util/pool.h"

struct ingest_job {
	const struct plan *plan;
	const struct plan_group *group;
	struct pool *pool;
	struct progress *progress;
	struct feed *feed; /* begun with one set of active features for each SAE */
};

struct ingest_fit { /* of one SAE; NAN where it is not known */
	double explained, mse;
};

struct ingest_result {
	struct ingest_fit fit[LIMIT_SAES]; /* (n_saes) */
	char made_by[128]; /* what the first shard says */
	double seconds; /* that it took */
	struct source *source[LIMIT_SOURCES]; /* (n_sources), read to their ends */
	uint32_t n_sources;
};

/* Reads all streams to their ends; the feed is not done yet. new: ingest_clear(), also
 * on error. */
int ingest_run(const struct ingest_job *job, struct ingest_result *out, struct err *e);
/* Tells those who wrote to sockets how it went, and closes. */
void ingest_clear(struct ingest_result *r, const char *answer);

#endif
