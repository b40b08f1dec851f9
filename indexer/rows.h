/* SPDX-License-Identifier: ISC */
/*
 * rows: a corpus that is token ids already, in .npy or safetensors, into a feed. A row
 * is a window as it stands, and a document; its text is what the vocabulary says.
 */
#ifndef INDEXER_ROWS_H
#define INDEXER_ROWS_H

#include "indexer/feed.h"

/* Whether a corpus' name says that it is one. */
bool rows_is(const char *path);
/* path: an array of integers (rows, columns), or (tokens), which is cut into rows of
 * context; in safetensors, "input_ids", "tokens", or the only one. Of "attention_mask"
 * beside it, what is 0 at a row's end is no part of it. n_ctx: the longest row that the
 * model takes. */
int rows_read(const char *path, struct feed *feed, uint32_t context, uint32_t n_ctx,
	int (*tick)(void *ctx, uint64_t done, uint64_t total, struct err *e), void *ctx,
	struct err *e);

#endif
