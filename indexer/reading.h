/* SPDX-License-Identifier: ISC */
/*
 * reading: all of what is indexed, read once: a corpus into a spool, or streams of
 * shards and token ids into a feed.
 */
#ifndef INDEXER_READING_H
#define INDEXER_READING_H

#include "indexer/ingest.h"
#include "indexer/options.h"
#include "indexer/progress.h"
#include "indexer/spool.h"

/* new: spool_clear(), also on error. */
int reading_corpus(const struct options *o, struct spool *spool,
	struct progress *progress, struct err *e);

/* What was made elsewhere, read to its end. */
struct fed {
	struct feed feed;
	struct ingest_result ingest;
	char scratch[PATH_BYTES];
};
/* new: fed_clear(), also on error. */
int reading_shards(struct fed *f, const struct plan *p, struct pool *pool,
	struct progress *progress, struct err *e);
/* The same of a corpus of token ids: windows, and no active features. */
int reading_rows(struct fed *f, const struct plan *p, struct progress *progress,
	struct err *e);
/* Those who wrote to sockets are told the run's number, or the error. */
void fed_clear(struct fed *f, uint32_t run, const struct err *e);

#endif
