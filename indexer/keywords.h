/* SPDX-License-Identifier: ISC */
/*
 * keywords: a first label for a feature, made without any language model: up to
 * four words or phrases that stand near the peaks of its best examples and are rarer
 * elsewhere, as in "Golden Gate Bridge · fog"; and the peak's token in quotes where
 * that itself is what the examples share.
 */
#ifndef INDEXER_KEYWORDS_H
#define INDEXER_KEYWORDS_H

#include "indexer/state.h"
#include "indexer/windows.h"
#include "indexer/words.h"
#include "util/buf.h"

struct keywords; /* opaque: scratch of one thread */

int keywords_new(struct keywords **out, const struct words *corpus, struct err *e);
void keywords_free(struct keywords *k);
/* Appends the label of a feature with these best examples (n > 0) to b. *score:
 * the share of examples that have its first term. */
void keywords_label(struct keywords *k, const struct windows *windows,
	const struct best *best, uint32_t n, struct buf *b, double *score);

#endif
