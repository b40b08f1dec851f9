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
	long double p, q, x;

	if (n_both == 0)
		return -INFINITY;
	p = (long double)n_both * (long double)n;
	q = (long double)n_a * (long double)n_b;
	x = (p - q) /
		q; /* near independence no digit is lost in a difference of logs */
	return x > -0.5L && x < 1 ? (double)log1pl(x) : (double)logl(p / q);
}
