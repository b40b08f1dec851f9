/* SPDX-License-Identifier: ISC */
/*
 * windows: all windows of a cut in one mapped scratch file, so that every thread
 * can read any of them at no cost. Loaded once from the store, in order.
 */
#ifndef INDEXER_WINDOWS_H
#define INDEXER_WINDOWS_H

#include "indexer/scratch.h"
#include "schema/record.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct windows {
	struct scratch file;
	uint64_t *at; /* (n_windows) offset in the file */
	uint64_t *token_at; /* (n_windows + 1) tokens before it */
	uint32_t n_windows, cap;
	uint32_t max_tokens; /* of the longest */
	/* By token id: whether it is left out of the statistics. borrowed */
	const uint8_t *excluded;
	uint32_t n_vocab;
	uint32_t patch; /* the id of image patches; UINT32_MAX: there are none */
};

/* Starts an empty set; then windows_add in order; then windows_map. new:
 * windows_clear(). */
int windows_init(struct windows *w, const char *scratch_dir, const uint8_t *excluded,
	uint32_t n_vocab, struct err *e);
int windows_add(struct windows *w, const struct rec_window *r, struct err *e);
int windows_map(struct windows *w, struct err *e);
void windows_clear(struct windows *w);

/* Borrowed until windows_clear. Thread: any. */
void windows_get(const struct windows *w, uint32_t i, struct rec_window *out);
uint64_t windows_n_tokens(const struct windows *w);
/* Whether position counts in statistics. */
static inline bool
windows_counts(const struct windows *w, uint32_t token)
{
	return w->excluded[token] == 0;
}

struct store;
/* All windows of a pending or published cut. */
int windows_load(struct windows *w, struct store *s, const char *cut_id,
	uint32_t n_windows, const uint8_t *excluded, uint32_t n_vocab, struct err *e);

#endif
