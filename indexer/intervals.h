/* SPDX-License-Identifier: ISC */
/*
 * intervals: the ten equal parts of (0, maximum] of a feature: how many positions
 * lie in each, and a uniform sample of those: the smallest hashes of (seed,
 * feature, window, offset), so that it depends on nothing else.
 */
#ifndef INDEXER_INTERVALS_H
#define INDEXER_INTERVALS_H

#include "schema/limits.h"

#include <stdint.h>

struct interval_sample {
	uint64_t hash;
	uint32_t window, offset;
	float value;
};

struct intervals {
	uint64_t population[LIMIT_INTERVALS];
	uint64_t worst
		[LIMIT_INTERVALS]; /* hash of the last sample, where all are taken */
	uint8_t n[LIMIT_INTERVALS]; /* samples taken */
	struct interval_sample sample[LIMIT_INTERVALS][LIMIT_INTERVAL_SAMPLES];
};

/* One activation of a feature whose maximum is max; n_samples are kept. */
void intervals_add(struct intervals *x, uint32_t n_samples, uint64_t seed,
	uint32_t feature, float max, uint32_t window, uint32_t offset, float value);

#endif
