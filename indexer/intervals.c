/* SPDX-License-Identifier: ISC */
#include "indexer/intervals.h"

#include "schema/record.h"
#include "util/hash.h"

#include <stdbool.h>

static bool
sample_before(const struct interval_sample *a, const struct interval_sample *b)
{
	if (a->hash != b->hash)
		return a->hash < b->hash;
	if (a->window != b->window)
		return a->window < b->window;
	return a->offset < b->offset;
}

void
intervals_add(struct intervals *x, uint32_t n_samples, uint64_t seed, uint32_t feature,
	float max, uint32_t window, uint32_t offset, float value)
{
	uint32_t at = rec_interval(value, max), i;
	struct interval_sample *list = x->sample[at];
	struct interval_sample new = {hash_mix(seed, feature, window, offset), window,
		offset, value};

	x->population[at]++;
	i = x->n[at];
	if (n_samples == 0 || (i == n_samples && new.hash > x->worst[at]))
		return;
	if (i == n_samples) {
		if (!sample_before(&new, &list[i - 1]))
			return;
		i--;
	} else {
		x->n[at]++;
	}
	for (; i > 0 && sample_before(&new, &list[i - 1]); i--)
		list[i] = list[i - 1];
	list[i] = new;
	x->worst[at] = list[x->n[at] - 1].hash;
}
