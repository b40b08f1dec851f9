/* SPDX-License-Identifier: ISC */
/*
 * delphi: the features that delphi's cache holds of one hookpoint
 * (latents/HOOKPOINT/START_END.safetensors), into a feed. Its rows of tokens become
 * windows, each a document; their text is what the vocabulary says.
 */
#ifndef INDEXER_DELPHI_H
#define INDEXER_DELPHI_H

#include "indexer/feed.h"

/* Whether a directory is such a one, by its first file. */
bool delphi_is(const char *dir);
/* Puts all of it into the feed as the active features of its SAE 0, which must be the
 * only one. memory_bytes: what it may take for the features of some rows at a time.
 * tick is called now and then with the tokens put so far and in all. */
int delphi_read(const char *dir, struct feed *feed, uint32_t d_sae, size_t memory_bytes,
	int (*tick)(void *ctx, uint64_t done, uint64_t total, struct err *e), void *ctx,
	struct err *e);

#endif
