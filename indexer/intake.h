/* SPDX-License-Identifier: ISC */
/*
 * intake: the windows, documents and images of shards into a feed. What a shard numbers
 * from its stream's beginning is numbered through all streams here.
 */
#ifndef INDEXER_INTAKE_H
#define INDEXER_INTAKE_H

#include "indexer/feed.h"
#include "indexer/shard.h"

struct intake {
	struct feed *feed;
	const struct shard_windows *shard; /* being taken in */
	uint64_t n_documents; /* of this stream so far */
	uint32_t document_base; /* of the feed when this stream began */
	uint32_t *image; /* (shard->n_images) their numbers in the feed */
	size_t cap_images;
	uint32_t *document; /* (longest window) */
	struct feed_patch *patch;
	size_t cap_window;
};

/* A stream begins. g: zeroed before the first one, but for the feed. new:
 * intake_clear(). */
void intake_stream(struct intake *g);
void intake_clear(struct intake *g);
/* Its next shard, borrowed until the one after: its images. */
int intake_shard(struct intake *g, const struct shard_windows *s, struct err *e);
/* Window i of that shard; in order. */
int intake_window(struct intake *g, uint32_t i, struct err *e);

#endif
