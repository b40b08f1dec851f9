/* SPDX-License-Identifier: ISC */
#include "analysis/nearby.h"

#include "kernel/kernel.h"

#include <assert.h>
#include <stddef.h>

void
nearby_unit(float *out, const float *row, uint32_t d)
{
	float norm = kernel_norm(row, d);

	for (uint32_t i = 0; i < d; i++)
		out[i] = norm > 0 ? row[i] / norm : 0;
}

/* Into the sorted list of n (at most k): numbers come in ascending order, so that an
 * equal one goes behind. Returns the new n. */
static uint32_t
offer(uint32_t *neighbor, float *cosine, uint32_t n, uint32_t k, uint32_t id, float c)
{
	uint32_t at = n;

	if (n == k && !(c > cosine[n - 1]))
		return n;
	if (n == k)
		at--;
	for (; at > 0 && c > cosine[at - 1]; at--) {
		neighbor[at] = neighbor[at - 1];
		cosine[at] = cosine[at - 1];
	}
	neighbor[at] = id;
	cosine[at] = c;
	return n < k ? n + 1 : n;
}

void
nearby_rows(uint32_t *neighbor, float *cosine, const float *unit, uint32_t n,
	uint32_t d, uint32_t k)
{
	assert(k > 0 && k < n);
	for (uint32_t i = 0; i < n; i++) {
		const float *a = unit + (size_t)i * d;
		uint32_t n_found = 0;

		for (uint32_t j = 0; j < n; j++)
			if (j != i)
				n_found = offer(neighbor + (size_t)i * k,
					cosine + (size_t)i * k, n_found, k, j,
					kernel_dot(a, unit + (size_t)j * d, d));
	}
}
