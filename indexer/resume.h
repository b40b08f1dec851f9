/* SPDX-License-Identifier: ISC */
/*
 * resume: how an interrupted index is gone on with: what decides whether its pending
 * objects can be taken up, and a run's writer at the last checkpoint. Computes nothing.
 */
#ifndef INDEXER_RESUME_H
#define INDEXER_RESUME_H

#include "indexer/plan.h"
#include "indexer/reuse.h"

/* Tells the store what its pending objects are made of. */
int resume_keep(struct store *s, const struct plan *p, struct err *e);
/* How often there are checkpoints of a group's pass: as the options say, and none where
 * activations come from elsewhere. */
void resume_init(struct checkpoints *c, const struct plan *p,
	const struct plan_group *g);
/* The writer of a run, at its last checkpoint (c->from windows done) or at its
 * beginning; NULL when the store has the run already (*have). A checkpoint that is no
 * good is logged. Windows of another run are given up where the checkpoint was made
 * without them. */
int resume_run(struct run_writer **out, struct checkpoints *c, struct reuse *reuse,
	uint32_t *have, struct store *s, const char *id, uint32_t n_slots,
	const uint32_t *d_sae, struct err *e);
/* Prints where it goes on. */
void resume_tell(const struct checkpoints *c, const char *id, const struct windows *w,
	struct progress *p);

#endif
