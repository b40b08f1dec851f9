/* SPDX-License-Identifier: ISC */
#include "analysis/overlap.h"

#include <math.h>

double
overlap_jaccard(uint64_t n_both, uint64_t n_a, uint64_t n_b)
{
	uint64_t n_either = n_a + n_b - n_both;

	return n_either > 0 ? (double)n_both / (double)n_either : 0;
}

double
overlap_pmi(uint64_t n_both, uint64_t n_a, uint64_t n_b, uint64_t n)
{
	if (n_both == 0)
		return -INFINITY;
	return log((double)n_both) + log((double)n) - log((double)n_a) -
		log((double)n_b);
}
