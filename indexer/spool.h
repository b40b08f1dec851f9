/* SPDX-License-Identifier: ISC */
/*
 * spool: the corpus read once, so that its documents can be taken in the order
 * of their hashes whatever the order of files. Texts go to a scratch file, a few
 * bytes a document stay in memory.
 */
#ifndef INDEXER_SPOOL_H
#define INDEXER_SPOOL_H

#include "indexer/corpus.h"
#include "indexer/scratch.h"

#define SPOOL_HASH_BYTES 16

struct spool_doc {
	uint8_t hash[SPOOL_HASH_BYTES]; /* SHA-256 of text, id and metadata, cut */
	uint64_t at; /* offset of its bytes in the file */
	uint32_t n_text, n_id, n_meta; /* n_id UINT32_MAX: it has none */
	uint32_t ordinal; /* in the order of reading */
};

struct spool {
	struct scratch file;
	struct spool_doc *doc; /* (n_docs), in the order of reading until sorted */
	size_t n_docs, cap;
	uint64_t n_bytes; /* of texts */
	bool sorted;
};

/* Reads all of c. tick, if not NULL, is called after every document. An empty
 * corpus (no byte of text) is ERR_FORMAT. new: spool_clear(). */
int spool_fill(struct spool *s, const char *scratch_dir, struct corpus *c,
	int (*tick)(void *ctx, struct err *e), void *ctx, struct err *e);
/* The same in steps, where documents come one by one: open, add, done. */
int spool_open(struct spool *s, const char *scratch_dir, struct err *e);
int spool_add(struct spool *s, const struct document *d, struct buf *b, struct err *e);
int spool_done(struct spool *s, struct err *e);
void spool_clear(struct spool *s); /* of a zeroed one is fine */
/* By hash; copies of one document are alike in all, so their order is no matter. */
void spool_sort(struct spool *s);
/* Back to the order of reading. */
void spool_unsort(struct spool *s);
/* Borrowed from the map until spool_clear. */
void spool_get(const struct spool *s, size_t i, struct document *d);
/* Over the documents' hashes in their present order. */
int spool_sha256(const struct spool *s, uint8_t out[32], struct err *e);

#endif
