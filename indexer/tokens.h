/* SPDX-License-Identifier: ISC */
/*
 * tokens: for each token id of the corpus, the features that fire on it: on how
 * many of its occurrences, and how strongly in the mean.
 */
#ifndef INDEXER_TOKENS_H
#define INDEXER_TOKENS_H

#include "indexer/finish.h"

/* Writes one slot's records of all token ids that occur and count. */
int tokens_write(const struct finish_job *job, struct err *e);

#endif
