/* SPDX-License-Identifier: ISC */
/*
 * source: streams of shards (doc/shards.md), from a directory, a file, standard
 * input or a Unix socket, one shard at a time. Sees to it that shards are numbered
 * without a gap and that the last one came. Never looks at what they hold.
 */
#ifndef INDEXER_SOURCE_H
#define INDEXER_SOURCE_H

#include "model/tensors.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source; /* opaque: one stream */

struct source_shard {
	const struct tensors *tensors; /* borrowed until the next call */
	uint64_t number;
	bool last;
};

/* path: a directory, a file, "-" or "unix:PATH", where this waits for somebody to
 * connect. max_bytes: the most that one shard may take. new: source_close(). */
int source_open(struct source **out, const char *path, uint64_t max_bytes,
	struct err *e);
void source_close(struct source *s);
/* Returns 1, 0 behind the last shard, or a code; errors name the shard. */
int source_next(struct source *s, struct source_shard *out, struct err *e);
/* Bytes read so far, and in all (0: not known). */
void source_progress(const struct source *s, uint64_t *done, uint64_t *total);
/* Sends a line to who wrote to a socket; others are not told. */
void source_answer(struct source *s, const char *line);

#endif
