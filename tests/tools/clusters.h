/* SPDX-License-Identifier: ISC */
/*
 * clusters: directions with structure, made by a formula: unit rows around random
 * centres, one for 64 rows. A row is its centre times `pull` plus noise of the same
 * length, normalised: at 0.6 rows of one centre have a cosine of about 0.26, at 0.3 of
 * 0.08.
 */
#ifndef TESTS_TOOLS_CLUSTERS_H
#define TESTS_TOOLS_CLUSTERS_H

#include "util/hash.h"

#include <math.h>

#define CLUSTER_ROWS 64

/* About normal: four uniform numbers of 16 bits, added. */
static inline float
clusters_noise(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return ((float)(z & 0xffff) + (float)(z >> 16 & 0xffff) +
		       (float)(z >> 32 & 0xffff) + (float)(z >> 48) - 131070.0f) /
		37837.0f;
}

/* Row i of n, of d floats. */
static inline void
clusters_row(float *out, uint32_t i, uint32_t n, uint32_t d, float pull, uint64_t seed)
{
	uint32_t n_centres = n / CLUSTER_ROWS > 0 ? n / CLUSTER_ROWS : 1;
	uint64_t centre = hash_mix(seed, 1, i % n_centres, 0);
	uint64_t noise = hash_mix(seed, 2, i, 0);
	double sum = 0;

	for (uint32_t j = 0; j < d; j++) {
		out[j] = pull * clusters_noise(&centre) + clusters_noise(&noise);
		sum += (double)out[j] * (double)out[j];
	}
	for (uint32_t j = 0; j < d; j++)
		out[j] = (float)((double)out[j] / sqrt(sum));
}

#endif
