/* SPDX-License-Identifier: ISC */
/*
 * cutter: tokens of documents into windows, by one of two rules.
 *
 * By document: each window is [BOS] and up to context - 1 tokens of one document.
 * Joined: documents laid end to end, BOS in front of every window and between
 * documents, every window of exactly `context` tokens; what is left at the end of
 * the corpus is dropped. That is what SAELens' activation store trains on.
 *
 * Never tokenizes, never writes.
 */
#ifndef INDEXER_CUTTER_H
#define INDEXER_CUTTER_H

#include "model/tok.h"
#include "schema/record.h"
#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct cut_rule {
	uint32_t context; /* tokens in a window at most, BOS included */
	bool prepend_bos;
	bool joined;
	int64_t bos; /* id, -1 = the tokenizer has none */
	uint64_t max_tokens; /* 0 = no limit */
};

/* Takes a finished window, borrowed during the call. */
struct window_sink {
	int (*put)(void *ctx, const struct rec_window *w, struct err *e);
	void *ctx;
};

struct cutter {
	struct cut_rule rule;
	struct window_sink sink;
	uint32_t *token, *text_start, *text_end; /* (context) of the open window */
	struct rec_segment *segment; /* (context) */
	uint32_t n_tokens, n_segments;
	struct buf text;
	uint64_t n_windows, n_tokens_all; /* given to the sink */
	bool full; /* max_tokens is reached: no more windows */
};

/* new: cutter_clear(). A context too short for BOS and a token is ERR_ARG. */
int cutter_init(struct cutter *c, const struct cut_rule *rule, struct window_sink sink,
	struct err *e);
void cutter_clear(struct cutter *c);
/* How many windows the next document of n_ids tokens will make (by document). */
uint64_t cutter_windows_of(const struct cutter *c, size_t n_ids);
/* ids: the tokens of text with their spans in it. */
int cutter_document(struct cutter *c, uint32_t number, const char *text,
	const struct tok_ids *ids, struct err *e);
/* Tokens of a window that never became full (joined); they are dropped. */
uint32_t cutter_left(const struct cutter *c);

#endif
