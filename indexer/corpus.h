/* SPDX-License-Identifier: ISC */
/*
 * corpus: documents out of files, one at a time: JSON Lines or plain text,
 * compressed or not, told by the name or, where that says nothing, by the first
 * line. Every error names the file and the line. Never tokenizes.
 */
#ifndef INDEXER_CORPUS_H
#define INDEXER_CORPUS_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct corpus; /* opaque */

struct corpus_rules {
	const char *text_field, *id_field; /* of JSON Lines */
	bool strict; /* refuse malformed UTF-8 in plain text */
	bool lines; /* plain text: a document a line, else a document a file */
};

struct document {
	const char *text; /* bytes as in the file */
	size_t n_text;
	const char *id; /* NULL = it has none */
	size_t n_id;
	const char *meta; /* JSON object of the other fields; "{}" */
	size_t n_meta;
};

/* borrowed until corpus_close: paths, rules. new: corpus_close(). */
int corpus_open(struct corpus **out, const char *const *paths, size_t n_paths,
	const struct corpus_rules *rules, struct err *e);
void corpus_close(struct corpus *c);
/* The next document, borrowed until the next call. Returns 1, 0 at the end, or a
 * code. */
int corpus_next(struct corpus *c, struct document *d, struct err *e);
/* Compressed bytes read and in all (0 = unknown). */
void corpus_progress(const struct corpus *c, uint64_t *done, uint64_t *total);

#endif
