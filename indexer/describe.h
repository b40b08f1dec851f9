/* SPDX-License-Identifier: ISC */
/*
 * describe: a plan's model and SAEs in the catalogue's words.
 */
#ifndef INDEXER_DESCRIBE_H
#define INDEXER_DESCRIBE_H

#include "indexer/plan.h"
#include "store/store.h"

void describe_model(struct cat_model *m, const struct plan *p);
void describe_sae(struct cat_sae *out, const struct plan *p, const struct plan_sae *s);

#endif
