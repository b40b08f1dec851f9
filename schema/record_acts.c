/* SPDX-License-Identifier: ISC */
#include "schema/record.h"

#include "schema/record_in.h"

/* ---- examples -------------------------------------------------------------- */

static void
put_example(struct buf *b, const struct rec_example *x)
{
	uint32_t offset = 0;

	buf_u8(b, (uint8_t)x->interval);
	buf_varint(b, x->window);
	buf_varint(b, x->offset);
	buf_f32(b, x->value);
	buf_varint(b, x->n_at);
	for (uint32_t i = 0; i < x->n_at; i++) {
		buf_varint(b, x->at[i].offset - offset);
		buf_f32(b, x->at[i].value);
		offset = x->at[i].offset;
	}
}

void
rec_examples_pack(struct buf *b, const struct rec_examples *x)
{
	buf_varint(b, x->n_examples);
	for (uint32_t i = 0; i < x->n_examples; i++)
		put_example(b, &x->example[i]);
}

static int
get_example(struct cur *c, struct rec_example *x, struct arena *a, struct err *e)
{
	struct rec_at *list;
	uint32_t offset = 0;

	x->interval = cur_u8(c);
	if (x->interval != REC_BEST && x->interval >= LIMIT_INTERVALS)
		c->failed = true;
	x->window = rec_u32(c);
	x->offset = rec_u32(c);
	x->value = cur_f32(c);
	x->n_at = rec_count(c, 5);
	list = rec_alloc(a, x->n_at, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < x->n_at; i++) {
		offset = rec_step(c, offset);
		list[i].offset = offset;
		list[i].value = cur_f32(c);
	}
	x->at = list;
	return 0;
}

int
rec_examples_unpack(struct rec_examples *x, const void *p, size_t n_bytes,
	struct arena *a, struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	struct rec_example *list;

	x->n_examples = rec_count(&c, 8);
	list = rec_alloc(a, x->n_examples, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < x->n_examples; i++)
		if (get_example(&c, &list[i], a, e) != 0)
			return ERR_NOMEM;
	x->example = list;
	return rec_end(&c, "an examples'", e);
}

/* ---- active features of tokens --------------------------------------------- */

void
rec_acts_pack(struct buf *b, const struct rec_acts *x)
{
	uint32_t nnz = x->row_start[x->n_tokens];

	buf_varint(b, x->first_token);
	buf_varint(b, x->n_tokens);
	for (uint32_t i = 0; i < x->n_tokens; i++) {
		uint32_t feature = 0;

		buf_varint(b, x->row_start[i + 1] - x->row_start[i]);
		for (uint32_t j = x->row_start[i]; j < x->row_start[i + 1]; j++) {
			buf_varint(b, x->feature[j] - feature);
			feature = x->feature[j];
		}
	}
	for (uint32_t j = x->row_start[0]; j < nnz; j++)
		buf_f32(b, x->value[j]);
}

/* One row of features at list[n]; ascending, so only the first step may be 0. */
static uint32_t
get_row(struct cur *c, uint32_t *list, uint32_t n, uint32_t most)
{
	uint32_t n_row = rec_u32(c), feature = 0;

	if (n_row > most - n) {
		c->failed = true;
		return n;
	}
	for (uint32_t j = 0; j < n_row; j++) {
		uint32_t next = rec_step(c, feature);

		if (j > 0 && next == feature)
			c->failed = true;
		feature = next;
		list[n + j] = feature;
	}
	return n + n_row;
}

int
rec_acts_unpack(struct rec_acts *x, const void *p, size_t n_bytes, struct arena *a,
	struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	uint32_t *row, *feature, n = 0, most;
	float *value;

	*x = (struct rec_acts){0};
	x->first_token = rec_u32(&c);
	x->n_tokens = rec_count(&c, 1);
	most = (uint32_t)((cur_left(&c) - x->n_tokens) /
		5); /* entries that can follow */
	row = rec_alloc(a, (size_t)x->n_tokens + 1, sizeof(*row), e);
	feature = rec_alloc(a, most, sizeof(*feature), e);
	if (row == NULL || feature == NULL)
		return ERR_NOMEM;
	row[0] = 0;
	for (uint32_t i = 0; i < x->n_tokens; i++) {
		n = get_row(&c, feature, n, most);
		row[i + 1] = n;
	}
	value = rec_alloc(a, n, sizeof(*value), e);
	if (value == NULL)
		return ERR_NOMEM;
	cur_f32s(&c, value, n);
	x->row_start = row;
	x->feature = feature;
	x->value = value;
	return rec_end(&c, "an activations'", e);
}
