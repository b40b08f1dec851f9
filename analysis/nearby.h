/* SPDX-License-Identifier: ISC */
/*
 * nearby: the nearest of a few rows among themselves, by going through all pairs. Not
 * for more than some thousands: the k-nearest graphs of whole SAEs are stored.
 */
#ifndef ANALYSIS_NEARBY_H
#define ANALYSIS_NEARBY_H

#include <stdint.h>

/* out (d): the row divided by kernel_norm(), so that the canonical dot of two is their
 * cosine; zeros where that is 0 or not a number. */
void nearby_unit(float *out, const float *row, uint32_t d);
/* neighbor, cosine (n, k): of each of unit (n, d) the k nearest others, by cosine
 * descending, then number. k < n. */
void nearby_rows(uint32_t *neighbor, float *cosine, const float *unit, uint32_t n,
	uint32_t d, uint32_t k);

#endif
