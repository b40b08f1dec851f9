/* SPDX-License-Identifier: ISC */
/*
 * labels: the labels of features that were asked for lately, beside a view. They
 * stand in almost every answer, and change only through this daemon while it has
 * the store's lock on labels; without that lock nothing is kept. Thread: one at a
 * time, as its view.
 */
#ifndef DAEMON_LABELS_H
#define DAEMON_LABELS_H

#include "store/store.h"
#include "util/err.h"
#include "util/mem.h"

#define LABELS_SLOTS 16384
#define LABELS_TEXT_BYTES ((size_t)8 << 20)

struct labels {
	struct labels_slot *slot; /* (LABELS_SLOTS), by a hash of the feature */
	struct arena text;
};
struct labels_of { /* whose; epoch: how often labels were written, 0 = do not keep */
	struct store_view *view;
	uint64_t epoch;
	uint32_t run, slot;
};

void labels_init(struct labels *c);
void labels_clear(struct labels *c);
/* Between requests: forgets all when it has grown too large. */
void labels_trim(struct labels *c);
/* As store_labels; borrowed until labels_trim, or in arena. */
int labels_get(struct labels *c, const struct labels_of *of, uint32_t feature,
	const struct store_label **out, uint32_t *n_out, struct arena *arena,
	struct err *e);
/* As store_best_labels. */
int labels_best(struct labels *c, const struct labels_of *of, const uint32_t *ids,
	size_t n, struct store_label *out, struct arena *arena, struct err *e);

#endif
