/* SPDX-License-Identifier: ISC */
/* Measures MessagePack before anybody parses it. */
#include "schema/value.h"

#define MAX_OPEN 64 /* more than any depth that is asked for */

/* A value's first byte says how long its head is, and what comes behind. */
enum body { BODY_NONE, BODY_BYTES, BODY_ARRAY, BODY_MAP, BODY_BAD };
struct head {
	uint8_t n_bytes; /* the length field or the fixed value behind the first byte */
	enum body body; /* what that field counts; BODY_NONE: it is the value itself */
	uint8_t extra; /* bytes more (an extension's type) */
};

static const struct head heads[32] = {
	/* of 0xc0 to 0xdf */
	{0, BODY_NONE, 0},
	{0, BODY_BAD, 0},
	{0, BODY_NONE, 0},
	{0, BODY_NONE, 0},
	{1, BODY_BYTES, 0},
	{2, BODY_BYTES, 0},
	{4, BODY_BYTES, 0}, /* bin */
	{1, BODY_BYTES, 1},
	{2, BODY_BYTES, 1},
	{4, BODY_BYTES, 1}, /* ext */
	{4, BODY_NONE, 0},
	{8, BODY_NONE, 0}, /* float */
	{1, BODY_NONE, 0},
	{2, BODY_NONE, 0},
	{4, BODY_NONE, 0},
	{8, BODY_NONE, 0},
	{1, BODY_NONE, 0},
	{2, BODY_NONE, 0},
	{4, BODY_NONE, 0},
	{8, BODY_NONE, 0},
	{2, BODY_NONE, 0},
	{3, BODY_NONE, 0},
	{5, BODY_NONE, 0}, /* fixext */
	{9, BODY_NONE, 0},
	{17, BODY_NONE, 0},
	{1, BODY_BYTES, 0},
	{2, BODY_BYTES, 0},
	{4, BODY_BYTES, 0}, /* str */
	{2, BODY_ARRAY, 0},
	{4, BODY_ARRAY, 0},
	{2, BODY_MAP, 0},
	{4, BODY_MAP, 0},
};

/* One value's head. */
struct item {
	size_t n_bytes; /* head and body; of arrays and maps the head only */
	size_t n_values; /* elements; keys and values of a map */
	bool open; /* an array or map: its values follow */
};

/* Returns 1, 0 when the head itself is cut short (n_bytes is what it needs), or
 * ERR_FORMAT. */
static int
read_item(struct item *it, const uint8_t *p, size_t n_left)
{
	uint8_t c = p[0];
	const struct head *h;
	uint64_t n = 0;

	*it = (struct item){.n_bytes = 1};
	if (c < 0x80 || c >= 0xe0)
		return 1;
	if (c < 0xa0) {
		it->open = true;
		it->n_values = (size_t)(c & 15) * (c < 0x90 ? 2 : 1);
		return 1;
	}
	if (c < 0xc0) {
		it->n_bytes += c & 31;
		return 1;
	}
	h = &heads[c - 0xc0];
	if (h->body == BODY_BAD)
		return ERR_FORMAT;
	it->n_bytes += (size_t)h->n_bytes + h->extra;
	if (h->body == BODY_NONE)
		return 1;
	if (n_left < it->n_bytes)
		return 0;
	for (int i = 1; i <= h->n_bytes; i++)
		n = n << 8 | p[i];
	if (h->body == BODY_BYTES) {
		it->n_bytes += (size_t)n;
		return 1;
	}
	it->open = true;
	it->n_values = (size_t)n * (h->body == BODY_MAP ? 2 : 1);
	return 1;
}

struct scan {
	size_t pos; /* bytes measured */
	size_t pending; /* values that must still come; each has a byte at least */
	size_t n_nodes; /* values seen or promised */
	size_t depth;
	size_t left[MAX_OPEN]; /* values still due in each open array or map */
};

/* Closes what is complete. */
static void
close_full(struct scan *s)
{
	while (s->depth > 0 && s->left[s->depth - 1] == 0)
		s->depth--;
}

/* Takes one item in; a promise that cannot be kept within the limits is refused
 * when it is made, not when its bytes fail to come. */
static int
take(struct scan *s, const struct item *it, size_t max_bytes, size_t max_depth,
	size_t max_nodes, struct err *e)
{
	s->pos += it->n_bytes;
	s->pending--;
	if (s->depth > 0)
		s->left[s->depth - 1]--;
	if (it->open) {
		if (s->depth >= max_depth || s->depth >= MAX_OPEN)
			return err_set(e, ERR_LIMIT,
				"a frame is nested deeper than %zu", max_depth);
		if (it->n_values > max_nodes - s->n_nodes)
			return err_set(e, ERR_LIMIT,
				"a frame claims more than %zu values", max_nodes);
		s->n_nodes += it->n_values;
		s->pending += it->n_values;
		s->left[s->depth++] = it->n_values;
	}
	if (s->pos > max_bytes || s->pending > max_bytes - s->pos)
		return err_set(e, ERR_LIMIT, "a frame claims more than %zu bytes",
			max_bytes);
	close_full(s);
	return 0;
}

int
frame_scan(const void *p, size_t n_bytes, size_t max_bytes, size_t max_depth,
	size_t max_nodes, size_t *used, struct err *e)
{
	struct scan s = {.pending = 1, .n_nodes = 1};
	struct item it;
	int rc;

	if (max_nodes < 1)
		return err_set(e, ERR_LIMIT, "a frame claims more than %zu values",
			max_nodes);
	while (s.pending > 0) {
		if (s.pos >= n_bytes) {
			*used = s.pos + s.pending;
			return 0;
		}
		rc = read_item(&it, (const uint8_t *)p + s.pos, n_bytes - s.pos);
		if (rc < 0)
			return err_set(e, rc, "byte %zu of a frame is not MessagePack",
				s.pos);
		if (rc == 0) {
			*used = s.pos + it.n_bytes + s.pending - 1;
			return *used > max_bytes
				? err_set(e, ERR_LIMIT,
					  "a frame claims more than %zu bytes",
					  max_bytes)
				: 0;
		}
		rc = take(&s, &it, max_bytes, max_depth, max_nodes, e);
		if (rc < 0)
			return rc;
	}
	*used = s.pos;
	return s.pos <= n_bytes ? 1 : 0;
}
