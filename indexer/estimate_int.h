/* SPDX-License-Identifier: ISC */
/*
 * estimate_int: what estimate.c (from parts to the whole, and telling it) and
 * estimate_try.c (doing a part) share. Nobody else's.
 */
#ifndef INDEXER_ESTIMATE_INT_H
#define INDEXER_ESTIMATE_INT_H

#include "indexer/plan.h"
#include "indexer/progress.h"
#include "indexer/report.h"
#include "indexer/spool.h"
#include "indexer/stages.h"

enum estimate_file {
	FILE_CUT_DB,
	FILE_WINDOW,
	FILE_ACTS,
	FILE_FEATURE,
	FILE_FEATURE_DB,
	FILE_COOCCURRENCE,
	FILE_SUMS,
	FILE_DECODER,
	FILE_ENCODER,
	FILE_DECODER_CODES,
	FILE_ENCODER_CODES,
	FILE_LOGITS,
	FILE_NEIGHBORS,
	ESTIMATE_FILES
};
extern const char *const estimate_file_name[ESTIMATE_FILES];

/* What a part took, or what the whole would. */
struct estimate_part {
	double n_tokens;
	double peak_bytes; /* most memory until then */
	struct pool_time of[STOPWATCH_STAGES];
	double file_bytes[ESTIMATE_FILES];
};

struct estimate {
	struct plan plan;
	struct pool *pool;
	struct progress progress;
	struct report report;
	struct stopwatch open;
	char dir[PATH_BYTES]; /* thrown away at the end; "" until it is there */
	struct store *store; /* in it */
	unsigned n_parts; /* tried */
	struct spool spool; /* documents of the sample */
	/* of the whole corpus */
	double n_text_bytes, n_documents, n_file_bytes;
	bool exact; /* the sample is all of it */
	struct pool_time read; /* of the sample */
	uint64_t least_bytes; /* of memory, for any group */
	struct estimate_part whole; /* all groups */
};

/* Documents from the beginnings of the corpus' files, and what they tell of all. new:
 * spool_clear(x->spool). */
int estimate_read(struct estimate *x, struct err *e);
/* Tokenizes the sample: tokens of the whole corpus as one group cuts it. */
int estimate_tokens(struct estimate *x, const struct plan_group *g, double *n_tokens,
	struct pool_time *took, struct err *e);
/* Cuts, encodes and finishes n_tokens of it. */
int estimate_pass(struct estimate *x, const struct plan_group *g, uint64_t n_tokens,
	struct estimate_part *out, struct err *e);
/* Logit effects and neighbors of a group, to their ends, from some rows of each. */
int estimate_directions(struct estimate *x, const struct plan_group *g,
	struct estimate_part *out, struct err *e);

#endif
