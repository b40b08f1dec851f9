/* SPDX-License-Identifier: ISC */
/*
 * cooccur: which features fire on the same tokens as one feature, counted from rows
 * of active features, and the strongest of them under a total order, so that whoever
 * counts, in whatever parts, finds the same. No I/O.
 */
#ifndef ANALYSIS_COOCCUR_H
#define ANALYSIS_COOCCUR_H

#include <stddef.h>
#include <stdint.h>

/* Active features of a stretch of tokens: token t has those of
 * [row_start[t], row_start[t + 1]). */
struct cooccur_rows {
	const uint32_t *row_start;
	const uint32_t *feature;
};

/* n_both[f] += tokens of the list on which f is active; n_both holds every feature. */
void cooccur_add(uint32_t *n_both, const struct cooccur_rows *rows,
	const uint32_t *token, size_t n_tokens);

enum cooccur_sort { COOCCUR_BY_JACCARD, COOCCUR_BY_PMI, COOCCUR_BY_COUNT };

struct cooccur_pair {
	uint32_t sae, feature; /* sae: a number of the caller's */
	uint64_t n_both; /* tokens on which both fire */
	uint64_t count; /* tokens on which this one does */
	double score; /* what it is sorted by: cooccur_offer() sets it */
};

/* The best so far of what one feature's partners. */
struct cooccur_best {
	struct cooccur_pair *pair; /* (k) best first; the caller's */
	size_t n, k;
	enum cooccur_sort sort;
	uint64_t count; /* tokens on which the one feature fires */
	uint64_t n_tokens; /* in all */
};
/* Order: score, then n_both, largest first; then sae, then feature, ascending. */
void cooccur_offer(struct cooccur_best *b, struct cooccur_pair pair);
/* The same with the score that the pair comes with. */
void cooccur_place(struct cooccur_best *b, struct cooccur_pair pair);

#endif
