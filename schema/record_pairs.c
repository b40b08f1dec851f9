/* SPDX-License-Identifier: ISC */
/* The features that fire together with one. */
#include "schema/record.h"
#include "schema/record_in.h"

void
rec_pairs_pack(struct buf *b, const struct rec_pairs *x)
{
	buf_varint(b, x->n_pairs_all);
	buf_varint(b, x->n_pairs);
	for (uint32_t i = 0; i < x->n_pairs; i++) {
		buf_varint(b, x->pair[i].slot);
		buf_varint(b, x->pair[i].feature);
		buf_varint(b, x->pair[i].n_both);
	}
}

int
rec_pairs_unpack(struct rec_pairs *x, const void *p, size_t n_bytes, struct arena *a,
	struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	struct rec_pair *list;

	*x = (struct rec_pairs){0};
	x->n_pairs_all = rec_u32(&c);
	x->n_pairs = rec_count(&c, 3);
	list = rec_alloc(a, x->n_pairs, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < x->n_pairs; i++) {
		list[i].slot = rec_u32(&c);
		list[i].feature = rec_u32(&c);
		list[i].n_both = cur_varint(&c);
	}
	if (x->n_pairs > x->n_pairs_all)
		c.failed = true;
	x->pair = list;
	return rec_end(&c, "a co-occurrence's", e);
}
