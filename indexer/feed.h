/* SPDX-License-Identifier: ISC */
/*
 * feed: documents, windows, images and active features that were made elsewhere,
 * taken one by one in the order in which they come and kept in scratch files; then
 * given out in the order in which a run has them: by the documents' hashes, or, when
 * windows hold several documents, as they came. Reads no files and knows no format.
 */
#ifndef INDEXER_FEED_H
#define INDEXER_FEED_H

#include "indexer/act_source.h"
#include "indexer/corpus.h"
#include "indexer/scratch.h"
#include "indexer/sparse.h"
#include "indexer/spool.h"
#include "model/tok.h"
#include "schema/limits.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEED_NO_DOCUMENT UINT32_MAX /* of a position: BOS between documents */

/* Positions [token, token + n_tokens) are patches first, first + 1, ... of an image. */
struct feed_patch {
	uint32_t token, n_tokens;
	uint32_t image; /* number that feed_image() gave */
	uint32_t first, n_rows, n_cols;
};

struct feed_window {
	uint32_t n_tokens; /* 1 to LIMIT_CONTEXT */
	const uint32_t *token; /* (n_tokens) */
	/* (n_tokens) bytes in the document's text; NULL: as the vocabulary says */
	const uint32_t *start, *end;
	const uint32_t *documents; /* (n_tokens); NULL: all are of `document` */
	uint32_t document; /* as they came; given out: as they are numbered */
	const struct feed_patch *patch; /* (n_patches) */
	uint32_t n_patches;
};

struct feed_image {
	uint8_t sha256[32];
	uint64_t at; /* in the images' file */
	size_t n_bytes;
	const char *type; /* "image/png" */
	uint32_t arrival; /* what feed_image() gave */
};

/* One SAE's active features, window after window. */
struct feed_acts {
	struct scratch file;
	uint64_t *at; /* (n_windows) */
	uint64_t *hash; /* (n_windows) */
	size_t cap;
	uint32_t n; /* windows that have theirs */
};

struct feed_document; /* one whose text is not whole yet */

struct feed {
	const struct tok *tok;
	const char *dir; /* for scratch */
	uint32_t n_vocab; /* token ids below it; n_vocab itself is <patch> */
	struct spool spool;
	struct feed_document *open; /* (n_open) */
	size_t n_open, cap_open;
	uint32_t n_documents;
	struct scratch file; /* of windows */
	uint64_t *at, *hash; /* (n_windows) by arrival */
	uint32_t *order; /* (n_windows) by number, after feed_done */
	uint32_t *number; /* (n_documents) of each by arrival, after feed_done */
	uint32_t n_windows;
	size_t cap;
	uint64_t n_tokens;
	uint32_t max_tokens, last_tokens; /* of the longest window, of the last */
	bool mixed; /* a window holds several documents */
	bool all_bos; /* every window begins with BOS */
	struct scratch images;
	struct feed_image *image; /* (n_images) by hash, after feed_done */
	uint32_t *image_rank; /* (n_images) by arrival */
	uint32_t n_images;
	uint32_t *image_slot; /* (n_slots) a table by hash: number + 1, 0 = free */
	size_t n_slots; /* a power of two, at most half of them taken */
	struct feed_acts acts[LIMIT_SAES];
	uint32_t n_saes;
	/* After feed_done; the order in which all came does not matter. */
	uint8_t windows_sha256[32], acts_sha256[LIMIT_SAES][32];
	struct buf buf;
};

/* borrowed until feed_clear: scratch_dir, tok. n_saes 0: no active features. new:
 * feed_clear(), also on error. */
int feed_init(struct feed *f, const char *scratch_dir, const struct tok *tok,
	uint32_t n_vocab, uint32_t n_saes, struct err *e);
void feed_clear(struct feed *f); /* of a zeroed one is fine */

/* The next document. d->text NULL: it is what the vocabulary says of its tokens. */
int feed_document(struct feed *f, const struct document *d, struct err *e);
/* An image file, by its bytes; *number is the same for the same bytes. */
int feed_image(struct feed *f, const void *p, size_t n_bytes, uint32_t *number,
	struct err *e);
/* The next window. Its documents have come, or it is ERR_FORMAT. */
int feed_window(struct feed *f, const struct feed_window *w, struct err *e);
/* The active features of that window: its tokens are rows first, first + 1, ... */
int feed_acts(struct feed *f, uint32_t sae, const struct sparse *a, uint32_t first,
	struct err *e);
/* Ends it: every window has its active features of every SAE. */
int feed_done(struct feed *f, struct err *e);

/* Of feed_done(): orders images by hash. */
int feed_rank_images(struct feed *f, struct err *e);
/* After feed_done, by number; borrowed until feed_clear. Documents in `documents` have
 * the numbers of their arrival, images theirs: f->number and f->image_rank tell. */
void feed_get(const struct feed *f, uint32_t window, struct feed_window *out);
/* The active features of windows [first, first + n) as rows one after another. */
int feed_get_acts(const struct feed *f, uint32_t sae, uint32_t first, uint32_t n,
	struct sparse *out, struct err *e);
/* The same for a pass; borrowed: f. */
struct act_source feed_source(const struct feed *f);
/* Bytes of an image. */
const void *feed_image_bytes(const struct feed *f, const struct feed_image *x);

#endif
