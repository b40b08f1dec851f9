/* SPDX-License-Identifier: ISC */
/*
 * provenance: where a run's numbers come from, as JSON that is stored with it and
 * that `verify` reads again; and the run's id, a hash of all that decides them.
 */
#ifndef INDEXER_PROVENANCE_H
#define INDEXER_PROVENANCE_H

#include "indexer/plan.h"
#include "indexer/reading.h"
#include "store/store.h"
#include "util/buf.h"

/* 16 hexadecimal digits; the order of SAEs does not matter. fed: what was made
 * elsewhere, NULL where the model runs. */
int provenance_run_id(char id[STORE_ID_CHARS], const struct plan *p,
	const struct plan_group *g, const struct cat_cut *cut, const struct fed *fed,
	struct err *e);
/* Appends the JSON object. */
int provenance_write(struct buf *b, const struct plan *p, const struct plan_group *g,
	const struct cat_cut *cut, const struct fed *fed, struct err *e);

#endif
