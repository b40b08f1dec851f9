/* SPDX-License-Identifier: ISC */
/*
 * specific: how specific a feature is for a few places in a corpus, from counts alone,
 * and how several rankings become one.
 */
#ifndef ANALYSIS_SPECIFIC_H
#define ANALYSIS_SPECIFIC_H

#include <stdint.h>

/* That a feature which fires on a share density of all tokens fires on one at least of
 * n_tokens of them by chance: 1 - (1 - density)^n_tokens. */
double specific_chance(double density, double n_tokens);
/* strength * ln(((n_fired + 1/2) / (n + 1)) / chance): strength (0 to 1) is how near
 * to its maximum it comes at n places on average, n_fired at how many it fires. 0 where
 * that is not above chance. */
double specific_score(double strength, uint64_t n_fired, uint64_t n, double chance);
/* What rank 1, 2, 3, ... of one ranking adds to a place in all: 1 / (60 + rank)
 * (reciprocal rank fusion). */
double specific_fused(uint32_t rank);

#endif
