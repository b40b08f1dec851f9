/* SPDX-License-Identifier: ISC */
/*
 * group: which points of a small map belong together, by the k-nearest graph alone
 * (label propagation: Raghavan, Albert, Kumara 2007), in a fixed order, so that the same
 * graph gives the same groups. Names for them, from what their points are called.
 */
#ifndef ANALYSIS_GROUP_H
#define ANALYSIS_GROUP_H

#include "util/err.h"

#include <stdint.h>

#define GROUP_NONE UINT32_MAX
#define GROUP_NAME_BYTES 96

/* group (n): of each point the number of its group, from 0 by the least point in it, or
 * GROUP_NONE where that has less than min_size points. neighbor, weight (n, k). */
int group_points(uint32_t *group, uint32_t *n_groups, const uint32_t *neighbor,
	const float *weight, uint32_t n, uint32_t k, uint32_t min_size, struct err *e);

/*
 * name (n_groups): up to three words that are frequent in a group's texts and rare in
 * others', joined by ", ": by (texts of the group with the word) times log(texts in all
 * / texts with the word), of words that stand in at least two texts of the group and over
 * a third of them; "" where there is none. Ties go by the word. text (n): NULL where
 * there is none; ASCII is compared without case.
 */
int group_names(char (*name)[GROUP_NAME_BYTES], uint32_t n_groups,
	const uint32_t *group, const char *const *text, uint32_t n, struct err *e);

#endif
