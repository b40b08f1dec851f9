/* SPDX-License-Identifier: ISC */
/*
 * directions: what follows from decoder rows alone: the tokens that each feature
 * promotes and suppresses directly, and its nearest features by cosine. Computed
 * once for an SAE, and once for an ordered pair.
 */
#ifndef INDEXER_DIRECTIONS_H
#define INDEXER_DIRECTIONS_H

#include "indexer/progress.h"
#include "model/lm.h"
#include "model/sae.h"
#include "store/store.h"
#include "util/pool.h"

/* Whether the model has what logit effects of this SAE need. */
bool logits_possible(const struct lm *lm, const struct sae *sae);
/* Writes the logit effects of an SAE's rows = sae_directions() W_U, without the
 * final norm's gain, among the first n_vocab tokens. Writes none where the model is a
 * head that has no unembedding, or no directions at the hook. */
int logits_write(struct sae_writer *w, const struct lm *lm, const struct sae *sae,
	uint32_t n_vocab, struct pool *pool, struct err *e);

/* The decoder of one SAE. Zeroed, but for the first four; directions_clear() frees what
 * neighbors_write makes. */
struct directions {
	const char *id; /* of the SAE; borrowed */
	const float *rows; /* (n, d), borrowed */
	uint32_t n, d;
	float *unit; /* (n, d) of norm 1, or 0 where the row is 0; owned */
	struct kernel_rows *prepared; /* unit */
};
void directions_clear(struct directions *x);

#define NEIGHBORS_MOST 0x1p48 /* multiplications, some 20 minutes' work of two cores */
/* How many neighbors a feature of from gets among to: 0 when there are none. */
uint32_t neighbors_k(const struct directions *from, const struct directions *to);
/* Whether finding them takes more multiplications than that. */
bool neighbors_many(const struct directions *from, const struct directions *to);
/* Writes the graph unless the store has it: *have. */
int neighbors_write(struct store *s, struct directions *from, struct directions *to,
	struct pool *pool, bool *have, struct err *e);
/* The same of two SAEs' graphs, a's in b and b's in a, in one pass where neither is
 * there. */
int neighbors_write_both(struct store *s, struct directions *a, struct directions *b,
	struct pool *pool, bool have[2], struct err *e);

#endif
