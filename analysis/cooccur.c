/* SPDX-License-Identifier: ISC */
#include "analysis/cooccur.h"

#include "analysis/overlap.h"

#include <stdbool.h>
#include <string.h>

#define AHEAD 4 /* rows: most lie far from the one before */

/* Four at a time: the next are read before these are written. */
static void
add_row(uint32_t *n_both, const uint32_t *f, const uint32_t *end)
{
	for (; end - f >= 4; f += 4) {
		uint32_t w = f[0], x = f[1], y = f[2], z = f[3];

		n_both[w]++;
		n_both[x]++;
		n_both[y]++;
		n_both[z]++;
	}
	for (; f < end; f++)
		n_both[*f]++;
}

/* A row of A^T A: the sum of the rows of the tokens on which one feature fires. */
void
cooccur_add(uint32_t *n_both, const struct cooccur_rows *rows, const uint32_t *token,
	size_t n_tokens)
{
	for (size_t i = 0; i < n_tokens; i++) {
		if (i + AHEAD <
			n_tokens) { /* here: gcc drops a function that only does it */
			const uint32_t *f =
				rows->feature + rows->row_start[token[i + AHEAD]];

			__builtin_prefetch(f);
			__builtin_prefetch(f + 16);
			__builtin_prefetch(f + 32);
		}
		add_row(n_both, rows->feature + rows->row_start[token[i]],
			rows->feature + rows->row_start[token[i] + 1]);
	}
}

static double
score(const struct cooccur_best *b, const struct cooccur_pair *p)
{
	switch (b->sort) {
	case COOCCUR_BY_JACCARD:
		return overlap_jaccard(p->n_both, b->count, p->count);
	case COOCCUR_BY_PMI:
		return overlap_pmi(p->n_both, b->count, p->count, b->n_tokens);
	case COOCCUR_BY_COUNT:
		break;
	}
	return (double)p->n_both;
}

static bool
before(const struct cooccur_pair *x, const struct cooccur_pair *y)
{
	if (x->score != y->score)
		return x->score > y->score;
	if (x->n_both != y->n_both)
		return x->n_both > y->n_both;
	return x->sae != y->sae ? x->sae < y->sae : x->feature < y->feature;
}

void
cooccur_offer(struct cooccur_best *b, struct cooccur_pair pair)
{
	pair.score = score(b, &pair);
	cooccur_place(b, pair);
}

void
cooccur_place(struct cooccur_best *b, struct cooccur_pair pair)
{
	size_t lo = 0, hi = b->n;

	if (b->k == 0 || (b->n == b->k && !before(&pair, &b->pair[b->n - 1])))
		return;
	while (lo < hi) { /* the first that is not before it */
		size_t mid = lo + (hi - lo) / 2;

		if (before(&b->pair[mid], &pair))
			lo = mid + 1;
		else
			hi = mid;
	}
	if (b->n < b->k)
		b->n++;
	memmove(&b->pair[lo + 1], &b->pair[lo], (b->n - 1 - lo) * sizeof(*b->pair));
	b->pair[lo] = pair;
}
