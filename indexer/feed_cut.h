/* SPDX-License-Identifier: ISC */
/*
 * feed_cut: a feed's windows, as they came, written to the store as a pending cut.
 */
#ifndef INDEXER_FEED_CUT_H
#define INDEXER_FEED_CUT_H

#include "indexer/cut.h"
#include "indexer/feed.h"

/* As cut_write(), of a feed that is done; job->spool is the feed's, job->rule does not
 * matter, job->n_vocab is the id of patches. */
int feed_cut(const struct cut_job *job, const struct feed *f, struct cat_cut *info,
	int64_t *have, struct err *e);

/* What identifies its text and windows: a cut's corpus_sha256. */
int feed_sha256(const struct feed *f, char hex[65], struct err *e);

#endif
