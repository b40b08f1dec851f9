/* SPDX-License-Identifier: ISC */
/*
 * state: what is known of each feature of one SAE after some windows: count, exact
 * sums, histogram, maximum and the k best windows. A commutative monoid: states of
 * two sets of windows merge to the state of both, whatever the order. Each
 * feature is written by one thread at a time, so there is no lock.
 */
#ifndef INDEXER_STATE_H
#define INDEXER_STATE_H

#include "schema/record.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/exact.h"

#include <stdbool.h>
#include <stdint.h>

/* The maximum of a feature in one window. Order: value descending, then window,
 * then offset ascending. */
struct best {
	uint64_t
		key; /* hash of the tokens around the peak: equal ones are one example */
	float value;
	uint32_t window, offset;
};
bool best_before(const struct best *a, const struct best *b);
/* The key of a peak: tokens within radius of it, and where among them it is. */
uint64_t best_key(const uint32_t *token, uint32_t n_tokens, uint32_t offset,
	uint32_t radius);

struct feature_state {
	uint64_t count, n_windows;
	struct exact64 sum_squares;
	struct exact32 sum;
	float max; /* 0 while count is 0 */
	uint32_t max_window, max_offset;
	uint16_t first_bin, n_bins; /* of the histogram's stretch that is kept */
	uint16_t n_best;
	uint64_t *bin; /* (n_bins) */
	struct best *best; /* (n_best), best first; room for k + 1 */
};

struct state {
	struct feature_state *feature; /* (n_features) */
	uint32_t n_features;
	uint32_t k; /* best kept */
	uint32_t radius; /* tokens around a peak that make its key */
};

/* new: state_clear(). */
int state_init(struct state *s, uint32_t n_features, uint32_t k, uint32_t radius,
	struct err *e);
void state_clear(struct state *s);
size_t state_bytes(uint32_t n_features, uint32_t k); /* about what it takes */

/* All n activations of a feature in a window (offsets ascending, values above 0),
 * whose tokens are token[0..n_tokens). */
int state_add(struct state *s, uint32_t feature, uint32_t window, const uint32_t *token,
	uint32_t n_tokens, const struct rec_at *at, uint32_t n, struct err *e);
/* Adds all of from; both have the same sizes (assert). Their windows differ. */
int state_merge(struct state *into, const struct state *from, struct err *e);
uint64_t state_n_alive(const struct state *s);

/* Features [first, first + n) as bytes. */
void state_save(const struct state *s, uint32_t first, uint32_t n, struct buf *b);
/* The same back into features that nothing was added to, out of states of windows
 * before n_windows. What cannot be one is ERR_CORRUPT; the state may be cleared then. */
int state_load(struct state *s, uint32_t first, uint32_t n, uint32_t n_windows,
	struct cur *c, struct err *e);
/* The nonempty bins, ascending, into bin (room for REC_HIST_BINS). Returns n. */
uint32_t state_bins(const struct feature_state *f, struct rec_bin *bin);

#endif
