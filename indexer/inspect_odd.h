/* SPDX-License-Identifier: ISC */
/*
 * inspect_odd: what in the weights of an SAE a user should know before
 * believing its numbers. Looks at what was loaded alone; prints nothing.
 */
#ifndef INDEXER_INSPECT_ODD_H
#define INDEXER_INSPECT_ODD_H

#include "model/sae.h"

#define ODD_MOST 10
#define ODD_CHARS 160

struct odd_spread {
	size_t n; /* 0: there are no such values */
	float min, median, max;
};

struct odd {
	struct odd_spread enc_norm, dec_norm; /* of rows */
	struct odd_spread threshold;
	struct odd_spread cosine; /* between the two rows of a feature */
	char text[ODD_MOST][ODD_CHARS]; /* a sentence each */
	size_t n;
};

/* Fills o, which starts zeroed. */
int odd_find(struct odd *o, const struct sae *s, struct err *e);

#endif
