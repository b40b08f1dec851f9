/* SPDX-License-Identifier: ISC */
#include "analysis/specific.h"

#include <math.h>

double
specific_chance(double density, double n_tokens)
{
	return density < 1 ? -expm1(n_tokens * log1p(-density)) : 1;
}

double
specific_score(double strength, uint64_t n_fired, uint64_t n, double chance)
{
	double rate = ((double)n_fired + 0.5) / ((double)n + 1);

	if (n_fired == 0 || !(chance > 0) || rate <= chance)
		return 0;
	return strength * log(rate / chance);
}

double
specific_fused(uint32_t rank)
{
	return 1 / (60 + (double)rank);
}
