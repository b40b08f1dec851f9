/* SPDX-License-Identifier: ISC */
/*
 * overlap: how much two features fire on the same tokens, from counts alone.
 */
#ifndef ANALYSIS_OVERLAP_H
#define ANALYSIS_OVERLAP_H

#include <stdint.h>

/* Tokens on which both fire, over those on which either does; 0 where neither ever
 * does. n_a and n_b: tokens on which the one and the other fires. */
double overlap_jaccard(uint64_t n_both, uint64_t n_a, uint64_t n_b);
/* Pointwise mutual information in nats, log(n_both n / (n_a n_b)) over n tokens;
 * -inf where they never fire together. */
double overlap_pmi(uint64_t n_both, uint64_t n_a, uint64_t n_b, uint64_t n);

#endif
