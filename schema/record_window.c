/* SPDX-License-Identifier: ISC */
#include "schema/record.h"

#include "schema/record_in.h"

/* Spans nearly always follow one another, so a start is stored as its signed
 * distance from the end before it (zigzag: 0, -1, 1, -2, ...). */
static uint64_t
zigzag(int64_t v)
{
	return v < 0 ? ((uint64_t)(-(v + 1)) << 1) + 1 : (uint64_t)v << 1;
}

static int64_t
unzigzag(uint64_t v)
{
	return (v & 1) != 0 ? -(int64_t)(v >> 1) - 1 : (int64_t)(v >> 1);
}

void
rec_window_pack(struct buf *b, const struct rec_window *w)
{
	int64_t end = 0;

	buf_varint(b, w->n_tokens);
	buf_varint(b, w->n_segments);
	buf_varint(b, w->n_text_bytes);
	for (uint32_t i = 0; i < w->n_segments; i++) {
		buf_varint(b, w->segment[i].document);
		buf_varint(b, w->segment[i].token);
		buf_varint(b, w->segment[i].text_start);
		buf_varint(b, w->segment[i].doc_start);
	}
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		buf_varint(b, w->token[i]);
		buf_varint(b, zigzag((int64_t)w->text_start[i] - end));
		buf_varint(b, w->text_end[i] - w->text_start[i]);
		end = w->text_end[i];
	}
	buf_put(b, w->text, w->n_text_bytes);
}

static const struct rec_segment *
get_segments(struct cur *c, const struct rec_window *w, struct arena *a, struct err *e)
{
	struct rec_segment *list = rec_alloc(a, w->n_segments, sizeof(*list), e);

	for (uint32_t i = 0; list != NULL && i < w->n_segments; i++) {
		list[i].document = rec_u32(c);
		list[i].token = rec_u32(c);
		list[i].text_start = rec_u32(c);
		list[i].doc_start = cur_varint(c);
		if (list[i].token > w->n_tokens || list[i].text_start > w->n_text_bytes)
			c->failed = true;
	}
	return list;
}

/* token, text_start and text_end are parts of one allocation. */
static int
get_tokens(struct cur *c, struct rec_window *w, struct arena *a, struct err *e)
{
	uint32_t *all = rec_alloc(a, (size_t)w->n_tokens * 3, sizeof(*all), e);
	uint32_t *start = all + w->n_tokens, *end = start + w->n_tokens;
	int64_t last = 0;

	if (all == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		int64_t from, by;
		uint64_t len;

		all[i] = rec_u32(c);
		by = unzigzag(cur_varint(c));
		len = cur_varint(c);
		if (by < -last || by > (int64_t)w->n_text_bytes - last) {
			c->failed = true;
			break;
		}
		from = last + by;
		if (len > w->n_text_bytes - (uint64_t)from) {
			c->failed = true;
			break;
		}
		last = from + (int64_t)len;
		start[i] = (uint32_t)from;
		end[i] = (uint32_t)last;
	}
	w->token = all;
	w->text_start = start;
	w->text_end = end;
	return 0;
}

int
rec_window_unpack(struct rec_window *w, const void *p, size_t n_bytes, struct arena *a,
	struct err *e)
{
	struct cur c = cur_of(p, n_bytes);

	*w = (struct rec_window){0};
	w->n_tokens = rec_u32(&c);
	w->n_segments = rec_u32(&c);
	w->n_text_bytes = rec_u32(&c);
	if (w->n_tokens > cur_left(&c) / 3 || w->n_segments > cur_left(&c) / 4 ||
		w->n_text_bytes > cur_left(&c))
		return err_set(e, ERR_CORRUPT, "a window's record is cut short");
	w->segment = get_segments(&c, w, a, e);
	if (w->segment == NULL || get_tokens(&c, w, a, e) != 0)
		return ERR_NOMEM;
	w->text = cur_take(&c, w->n_text_bytes);
	return rec_end(&c, "a window's", e);
}
