/* SPDX-License-Identifier: ISC */
/*
 * verify_int: what the files of verify share: the inputs of one run, opened again
 * from its provenance (verify_inputs.c), its windows (verify_cut.c), and the
 * features that are recomputed (verify_pass.c, verify_feature.c). Nobody else's.
 */
#ifndef INDEXER_VERIFY_INT_H
#define INDEXER_VERIFY_INT_H

#include "indexer/options.h"
#include "indexer/spool.h"
#include "indexer/windows.h"
#include "model/lm.h"
#include "model/sae.h"
#include "model/tok.h"
#include "schema/value.h"
#include "store/store.h"
#include "util/pool.h"

/* One recomputed activation. */
struct found {
	uint32_t window, offset;
	float value;
};
struct found_list {
	struct found *found; /* (n) */
	size_t n, cap;
};
int found_add(struct found_list *l, struct found f, struct err *e);

struct verify_sae {
	struct sae *sae;
	uint32_t index; /* in the catalogue */
	uint32_t *feature; /* (n_features) ascending */
	uint32_t n_features;
	struct found_list *list; /* (n_features), by window and offset after the pass */
};

struct verify {
	const struct options *options;
	struct store *store;
	struct store_view *view;
	const struct store_catalog *catalog;
	struct pool *pool;
	uint32_t run; /* index in the catalogue */
	const struct cat_run *cat;
	const struct cat_cut *cut;
	const struct value *provenance;
	struct arena arena; /* of the provenance */
	struct lm *lm;
	struct tok *tok;
	struct verify_sae sae[LIMIT_SAES];
	uint8_t *excluded; /* (n_vocab) */
	struct windows windows; /* as stored */
	uint64_t examples, dedup_radius, interval_samples, seed;
	size_t n_wrong; /* differences printed so far */
};

/* Prints one difference; what is of the thing it is in. */
void verify_wrong(struct verify *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

int verify_inputs(struct verify *v, struct err *e);
int verify_cut(struct verify *v, struct err *e);
/* The same where the corpus is token ids: windows are what the files hold. */
int verify_rows(struct verify *v, const char *const *paths, size_t n,
	const char *scratch_dir, struct err *e);
int verify_pass(struct verify *v, struct err *e);
/* All that is stored of the slot's chosen features. */
int verify_features(struct verify *v, uint32_t slot, struct err *e);

#endif
