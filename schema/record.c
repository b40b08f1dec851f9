/* SPDX-License-Identifier: ISC */
#include "schema/record.h"

#include "schema/record_in.h"

uint32_t
rec_u32(struct cur *c)
{
	uint64_t v = cur_varint(c);

	if (v > UINT32_MAX)
		c->failed = true;
	return c->failed ? 0 : (uint32_t)v;
}

uint32_t
rec_count(struct cur *c, size_t least_bytes)
{
	uint32_t n = rec_u32(c);

	if (n > cur_left(c) / least_bytes)
		c->failed = true;
	return c->failed ? 0 : n;
}

uint32_t
rec_step(struct cur *c, uint32_t from)
{
	uint32_t by = rec_u32(c);

	if (by > UINT32_MAX - from)
		c->failed = true;
	return c->failed ? 0 : from + by;
}

int
rec_end(const struct cur *c, const char *what, struct err *e)
{
	if (c->failed)
		return err_set(e, ERR_CORRUPT, "%s record is malformed", what);
	if (cur_left(c) > 0)
		return err_set(e, ERR_CORRUPT, "%s record has %zu bytes too many", what,
			cur_left(c));
	return 0;
}

void *
rec_alloc(struct arena *a, size_t n, size_t size, struct err *e)
{
	void *p = arena_alloc(a, n, size);

	if (p == NULL)
		err_set(e, ERR_NOMEM, "no memory for a record of %zu entries", n);
	return p;
}

/* ---- lists of (id, score) -------------------------------------------------- */

static void
put_scored(struct buf *b, const struct rec_scored *x, size_t n)
{
	buf_varint(b, n);
	for (size_t i = 0; i < n; i++) {
		buf_varint(b, x[i].id);
		buf_f32(b, x[i].score);
	}
}

static int
get_scored(struct cur *c, const struct rec_scored **x, uint32_t *n, struct arena *a,
	struct err *e)
{
	struct rec_scored *list;

	*n = rec_count(c, 5);
	list = rec_alloc(a, *n, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < *n; i++) {
		list[i].id = rec_u32(c);
		list[i].score = cur_f32(c);
	}
	*x = list;
	return 0;
}

void
rec_logits_pack(struct buf *b, const struct rec_logits *x)
{
	put_scored(b, x->promoted, x->n_promoted);
	put_scored(b, x->suppressed, x->n_suppressed);
}

int
rec_logits_unpack(struct rec_logits *x, const void *p, size_t n_bytes, struct arena *a,
	struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	int rc;

	*x = (struct rec_logits){0};
	rc = get_scored(&c, &x->promoted, &x->n_promoted, a, e);
	if (rc == 0)
		rc = get_scored(&c, &x->suppressed, &x->n_suppressed, a, e);
	return rc != 0 ? rc : rec_end(&c, "a logit effects'", e);
}

void
rec_neighbors_pack(struct buf *b, const struct rec_scored *x, size_t n)
{
	put_scored(b, x, n);
}

int
rec_neighbors_unpack(const struct rec_scored **x, size_t *n, const void *p,
	size_t n_bytes, struct arena *a, struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	uint32_t count;
	int rc = get_scored(&c, x, &count, a, e);

	*n = count;
	return rc != 0 ? rc : rec_end(&c, "a neighbors'", e);
}

/* ---- postings -------------------------------------------------------------- */

void
rec_postings_pack(struct buf *b, const struct rec_posting *x, size_t n)
{
	uint32_t window = 0;

	buf_varint(b, n);
	for (size_t i = 0; i < n; i++) {
		buf_varint(b, x[i].window - window);
		buf_varint(b, x[i].n_fired);
		buf_f32(b, x[i].max);
		window = x[i].window;
	}
}

int
rec_postings_unpack(const struct rec_posting **x, size_t *n, const void *p,
	size_t n_bytes, struct arena *a, struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	struct rec_posting *list;
	uint32_t window = 0;

	*n = rec_count(&c, 6);
	list = rec_alloc(a, *n, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < *n; i++) {
		window = rec_step(&c, window);
		list[i].window = window;
		list[i].n_fired = rec_u32(&c);
		list[i].max = cur_f32(&c);
	}
	*x = list;
	return rec_end(&c, "a postings'", e);
}

/* ---- the features of a token id -------------------------------------------- */

void
rec_token_pack(struct buf *b, const struct rec_token *x)
{
	buf_varint(b, x->n_occurrences);
	buf_varint(b, x->n_features_all);
	buf_varint(b, x->n_features);
	for (uint32_t i = 0; i < x->n_features; i++) {
		buf_varint(b, x->feature[i].feature);
		buf_varint(b, x->feature[i].n_fired);
		buf_f32(b, x->feature[i].mean);
	}
}

int
rec_token_unpack(struct rec_token *x, const void *p, size_t n_bytes, struct arena *a,
	struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	struct rec_token_feature *list;

	*x = (struct rec_token){0};
	x->n_occurrences = cur_varint(&c);
	x->n_features_all = rec_u32(&c);
	x->n_features = rec_count(&c, 6);
	list = rec_alloc(a, x->n_features, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < x->n_features; i++) {
		list[i].feature = rec_u32(&c);
		list[i].n_fired = rec_u32(&c);
		list[i].mean = cur_f32(&c);
	}
	x->feature = list;
	return rec_end(&c, "a token's", e);
}
