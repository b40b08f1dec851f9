/* SPDX-License-Identifier: ISC */
/*
 * describe: what the catalogue says of a plan's model and SAEs.
 */
#ifndef INDEXER_DESCRIBE_H
#define INDEXER_DESCRIBE_H

#include "indexer/plan.h"
#include "store/store.h"

void describe_model(struct cat_model *out, const struct plan *p);
void describe_sae(struct cat_sae *out, const struct plan *p, const struct plan_sae *s);

#endif
