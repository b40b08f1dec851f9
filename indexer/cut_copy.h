/* SPDX-License-Identifier: ISC */
/*
 * cut_copy: a stored cut into another store, as it stands: documents, vocabulary and
 * windows by their numbers.
 */
#ifndef INDEXER_CUT_COPY_H
#define INDEXER_CUT_COPY_H

#include "indexer/progress.h"
#include "store/store.h"

/* *info: what `to` has then; *is_new: pending, to be published. Cuts with images are
 * ERR_UNSUPPORTED. */
int cut_copy(struct store *to, struct store_view *from, uint32_t cut,
	struct progress *progress, struct cat_cut *info, bool *is_new, struct err *e);

#endif
