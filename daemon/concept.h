/* SPDX-License-Identifier: ISC */
/*
 * concept: from words to features, each way by itself: by the labels that have them, by
 * the places in the corpus where they stand, and by what fires on them in the model. A
 * way gives a ranking over all SAEs asked, or says what it lacks; h_concept.c merges.
 */
#ifndef DAEMON_CONCEPT_H
#define DAEMON_CONCEPT_H

#include "daemon/req.h"

#define CONCEPT_WORDS 32 /* of the text, for labels and examples */
#define CONCEPT_ROWS 200 /* of one way */

/* ---- concept_text.c: words, and where they stand --------------------------- */

struct concept_word {
	const char *p; /* as it stands in the text */
	uint32_t n_bytes;
	const char *plain; /* lower case, letters without their marks */
};
struct concept_words {
	struct concept_word word[CONCEPT_WORDS];
	uint32_t n;
};
enum concept_match { MATCH_PHRASE, MATCH_ALL, MATCH_ANY, N_MATCHES };
extern const char *const concept_match_name[N_MATCHES];

/* The first words of a text; strings borrowed from it or in arena. */
int concept_words(struct concept_words *out, const char *text, struct arena *arena,
	struct err *e);
/* As a query of the full-text index, in arena. NULL without memory. */
const char *concept_query(const struct concept_words *w, enum concept_match how,
	struct arena *arena);
struct concept_span {
	uint32_t from, to; /* bytes */
};
/* Where they stand in a text, ascending: as a phrase, or each of them. In arena. */
int concept_spans(const struct concept_words *w, enum concept_match how,
	const char *text, size_t n_bytes, struct concept_span **out, uint32_t *n_out,
	struct arena *arena, struct err *e);

/* ---- the ways --------------------------------------------------------------- */

struct concept_row {
	uint32_t target, feature;
	double score; /* of its way; larger is better */
	enum concept_match match; /* labels */
	const char *label, *source; /* labels: the one found */
	uint32_t n_fired, n_matches; /* examples */
	float strength; /* examples: mean share of its maximum; model: the largest */
	float peak, last; /* model: largest value on the text, that on its last token */
	uint32_t token; /* model: where the largest is */
};
struct concept_way {
	struct concept_row *row; /* (n) best first; at most CONCEPT_ROWS */
	uint32_t n;
	enum concept_match match; /* examples */
	uint32_t n_windows, n_matches; /* examples: that were looked at */
	uint32_t n_tokens; /* model: of the text */
	const char *missing; /* why there is nothing, or not all; NULL: nothing is */
	int code; /* of missing */
};
struct concept {
	const char *text;
	struct concept_words words;
	const struct target *target; /* (n_targets) SAEs asked, with their runs */
	uint32_t n_targets;
	uint32_t n_windows; /* to look at, at most */
};
int concept_by_labels(struct req *q, const struct concept *c, struct concept_way *out,
	struct err *e);
int concept_by_examples(struct req *q, const struct concept *c, struct concept_way *out,
	struct err *e);
int concept_by_model(struct req *q, const struct concept *c, struct concept_way *out,
	struct err *e);

/* Rows of a way as they come, CONCEPT_ROWS of the best kept by score descending, then
 * target, then feature. */
struct concept_list {
	struct concept_row *row; /* (cap) */
	size_t n, cap;
};
int concept_put(struct concept_list *l, const struct concept_row *r, struct err *e);
/* Sorts; the best become the way's. Ends the list, also without a way. */
int concept_take(struct req *q, struct concept_list *l, struct concept_way *out,
	struct err *e);

#endif
