/* SPDX-License-Identifier: ISC */
/*
 * sums: what explained variance and squared error of an SAE come from, exactly, of some
 * windows. A commutative monoid: those of two sets of windows merge to those of both, so
 * that a run can be put together of others. Stored with each run.
 */
#ifndef INDEXER_SUMS_H
#define INDEXER_SUMS_H

#include "indexer/stats.h"
#include "util/buf.h"

struct sums {
	struct stream_stats stream; /* of what the SAE stands for; d 0: not known */
	struct exact64 error; /* squared errors */
};

/* new: sums_clear(), also on error. */
int sums_copy(struct sums *s, const struct stream_stats *stream,
	const struct exact64 *error, struct err *e);
void sums_clear(struct sums *s); /* of zeroed ones is fine */
/* Both of one width (assert). */
void sums_merge(struct sums *into, const struct sums *from);
void sums_save(const struct sums *s, struct buf *b);
/* Of a width d: what is none is ERR_CORRUPT. new: sums_clear(), also on error. */
int sums_load(struct sums *s, const void *p, size_t n_bytes, uint32_t d, struct err *e);
/* NaN both where they are not known. */
void sums_conclude(const struct sums *s, double *explained, double *mse);

#endif
