/* SPDX-License-Identifier: ISC */
/*
 * words: text as words, and in how many windows of the corpus each occurs, by
 * hash in a table of fixed size (words that collide share a count, which is
 * good enough to tell common from rare).
 */
#ifndef INDEXER_WORDS_H
#define INDEXER_WORDS_H

#include "indexer/windows.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stretch of letters, digits, _ and inner apostrophes, or one character of a
 * script that is written without spaces. */
struct word {
	uint32_t start, end; /* bytes in the text */
	uint64_t hash; /* of its characters in lower case */
	bool apart; /* more than one space stands between it and the word before */
};

/* The next word at or behind *at (0 at first) in text; false at the end. */
bool words_next(const char *text, size_t n_bytes, size_t *at, struct word *w);

struct words {
	uint32_t *n_windows_of; /* (WORDS_TABLE) */
	uint32_t n_windows;
};
#define WORDS_TABLE ((size_t)1 << 21)

/* Counts, for words and pairs of neighboring words, the windows they occur in.
 * new: words_clear(). */
int words_count(struct words *x, const struct windows *windows, struct err *e);
void words_clear(struct words *x);
/* Share of windows with that hash, never 0. */
double words_share(const struct words *x, uint64_t hash);
/* The hash of a word followed by another. */
uint64_t words_pair(uint64_t hash, uint64_t next);

#endif
