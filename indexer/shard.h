/* SPDX-License-Identifier: ISC */
/*
 * shard: what one shard of a stream holds (doc/shards.md), checked and as plain
 * arrays: windows, documents, text, images, and, still as tensors, activations and
 * active features. Keeps nothing from one shard to the next but the count of
 * documents.
 */
#ifndef INDEXER_SHARD_H
#define INDEXER_SHARD_H

#include "indexer/corpus.h"
#include "indexer/feed.h"
#include "indexer/source.h"
#include "indexer/sparse.h"
#include "model/tensors.h"
#include "util/mem.h"

struct shard_image {
	const uint8_t *p; /* borrowed from the shard */
	size_t n_bytes;
	uint32_t n_rows, n_cols;
};

struct shard_windows {
	const struct tensors *tensors; /* borrowed */
	const char *name; /* for errors; borrowed */
	uint32_t n_tokens, n_windows;
	uint32_t *token; /* (n_tokens) */
	uint32_t *start; /* (n_windows + 1) tokens where windows begin */
	uint32_t *text_start, *text_end; /* (n_tokens), NULL: no spans */
	/* By window, or, if mixed, by token; numbers from the stream's first. */
	uint32_t *document;
	bool mixed;
	struct document *begun; /* (n_begun) documents that begin here */
	uint32_t n_begun;
	uint64_t first_begun; /* number in the stream of the first of them */
	struct shard_image *image; /* (n_images) */
	uint32_t n_images;
	uint32_t *image_of, *patch; /* (n_patches), NULL: no images; UINT32_MAX: none */
	size_t n_patches; /* n_tokens, where there are images */
	struct arena arena; /* of all these */
};

/* n_documents: those that began in the shards before. patch_id: what positions that
 * are patches get as their id; other ids must be below it. new: shard_clear(), also on
 * error. */
int shard_open(struct shard_windows *w, const struct source_shard *s,
	uint64_t n_documents, uint32_t patch_id, struct err *e);
void shard_clear(struct shard_windows *w);

/* A tensor of integers of this shape? cols 0: of one dimension. */
int shard_check_ints(const struct shard_windows *w, const struct tensor *t, size_t rows,
	size_t cols, struct err *e);
/* Activations (n_tokens, width) at a hook, by its one name or as the shard spells it.
 * None, a wrong shape or dtype are errors. */
int shard_hook(const struct shard_windows *w, const char *hook, uint32_t width,
	const struct tensor **out, struct err *e);
/* The active features of an SAE (of the only one, if `only`), checked. */
int shard_latents(const struct shard_windows *w, const char *sae, bool only,
	uint32_t d_sae, struct sparse *out, struct err *e);

#endif
