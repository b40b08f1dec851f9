/* SPDX-License-Identifier: ISC */
/*
 * reuse: more corpus for a finished run. A run of the store whose documents are all
 * among those of the new one, of the same model and SAEs, has the activations of their
 * windows, and the exact sums over them: they are taken from it, and the model runs on
 * the others. The result is what it would be without.
 */
#ifndef INDEXER_REUSE_H
#define INDEXER_REUSE_H

#include "indexer/plan.h"
#include "indexer/spool.h"
#include "indexer/stored.h"
#include "indexer/sums.h"

struct reuse {
	struct store_view *view; /* NULL: no run was looked for */
	const struct cat_run *cat; /* borrowed from it; NULL: none fits */
	struct stored stored;
	struct stored_run run;
	struct sums sums[LIMIT_SAES]; /* (n_saes) over its windows */
	uint32_t d_sae[LIMIT_SAES], n_saes;
	struct act_source source; /* for a pass, if cat is not NULL */
	uint32_t n_windows; /* that it has */
};

/* The run with the most windows. id: of the new run; where the store has that already,
 * nothing is looked for. borrowed: windows. new: reuse_clear(), also on error. */
int reuse_find(struct reuse *r, struct store *s, const char *id, const struct plan *p,
	const struct plan_group *g, const struct cat_cut *cut,
	const struct spool *spool, const struct windows *windows, struct err *e);
void reuse_clear(struct reuse *r); /* of a zeroed one is fine */
/* Tokens of windows from first on that it has. */
uint64_t reuse_n_tokens(const struct reuse *r, uint32_t first);

#endif
