/* SPDX-License-Identifier: ISC */
/*
 * cut: a spooled corpus tokenized, numbered, cut into windows and written to the
 * store as a pending cut.
 */
#ifndef INDEXER_CUT_H
#define INDEXER_CUT_H

#include "indexer/cutter.h"
#include "indexer/progress.h"
#include "indexer/spool.h"
#include "store/store.h"
#include "util/pool.h"

struct cut_job {
	struct store *store;
	struct spool *spool;
	const struct tok *tok;
	struct pool *pool;
	struct progress *progress;
	const char *corpus_name; /* for the catalogue */
	char tokenizer_sha256[65];
	uint32_t n_vocab; /* ids the model has */
	struct cut_rule rule;
};

/* Fills *info. Where the store has that cut already, *have is its index in the
 * catalogue, else -1 and the cut is pending. */
int cut_write(const struct cut_job *job, struct cat_cut *info, int64_t *have,
	struct err *e);

/* A row for each id of the tokenizer's vocabulary. */
int cut_write_vocabulary(const struct cut_job *job, struct cut_writer *w,
	struct err *e);
/* Document i of the spool, in windows [first, first + n_windows) of the cut. */
int cut_write_document(struct cut_writer *w, const struct spool *s, size_t i,
	uint64_t first, uint64_t n_windows, struct buf *b, struct err *e);

/* The documents [first, first + n) of a spool, tokenized on all threads. */
struct cut_tokens {
	struct tok_ids *ids; /* (cap) */
	size_t cap;
	struct tok_work **work; /* (n_threads) */
	size_t n_threads;
	struct err *err; /* (n_threads) */
};
int cut_tokens_init(struct cut_tokens *t, const struct tok *tok, size_t n_threads,
	struct err *e);
void cut_tokens_clear(struct cut_tokens *t);
/* How many documents from first make one batch. */
size_t cut_tokens_batch(const struct spool *s, size_t first);
int cut_tokens_run(struct cut_tokens *t, const struct tok *tok, struct pool *pool,
	const struct spool *s, size_t first, size_t n, struct err *e);

#endif
