/* SPDX-License-Identifier: ISC */
/*
 * sparse: the activations in the two orders in which they are needed: by token
 * (as they are found and stored) and, window by window, by feature (as they are
 * counted).
 */
#ifndef INDEXER_SPARSE_H
#define INDEXER_SPARSE_H

#include "kernel/kernel.h"
#include "schema/record.h"
#include "util/err.h"

#include <stddef.h>
#include <stdint.h>

/* Compressed rows: token i has [row_start[i], row_start[i + 1]), features
 * ascending. */
struct sparse {
	uint32_t *row_start; /* (n_tokens + 1) */
	uint32_t *feature; /* (nnz) */
	float *value; /* (nnz) */
	uint32_t n_tokens;
	size_t row_cap, cap;
};
void sparse_clear(struct sparse *a);
/* Room for n activations of n_tokens tokens, all rows empty. */
int sparse_reserve(struct sparse *a, uint32_t n_tokens, size_t n, struct err *e);
/* Puts together what was found of n_tokens tokens in parts: hits[i] is ordered by
 * (query, row); of one query the rows in hits[i] come before those in hits[i + 1]. */
int sparse_gather(struct sparse *a, const struct kernel_hits *hits, size_t n_hits,
	uint32_t n_tokens, struct err *e);
/* Puts n rows behind the first n_rows of out, which has room; row_start (n + 1). */
void sparse_append(struct sparse *out, uint32_t n_rows, const uint32_t *row_start,
	const uint32_t *feature, const float *value, uint32_t n);
/* Activations that a token has on average. */
double sparse_density(const struct sparse *a);
/* The first place in [row_start[i], row_start[i + 1]) with feature >= first. */
uint32_t sparse_from(const struct sparse *a, uint32_t i, uint32_t first);

/* The activations of one window for features in [first, first + count), by
 * feature, in each by offset. */
struct by_feature {
	uint32_t first, count;
	uint32_t *n_of; /* (count), all 0 between windows */
	struct rec_at *raw, *at; /* as added; sorted by feature */
	uint32_t *raw_feature;
	uint32_t *feature; /* (n) those that fire, in order of appearance */
	uint32_t *start; /* (n + 1) into at */
	uint32_t n, n_raw, cap;
};
/* new: by_feature_clear(). */
int by_feature_init(struct by_feature *b, uint32_t first, uint32_t count,
	struct err *e);
void by_feature_clear(struct by_feature *b);
void by_feature_reset(struct by_feature *b);
/* Offsets ascending; feature inside the range (assert). */
int by_feature_add(struct by_feature *b, uint32_t feature, uint32_t offset, float value,
	struct err *e);
/* After the last add of a window: feature, start and at are valid until reset. */
void by_feature_build(struct by_feature *b);

#endif
