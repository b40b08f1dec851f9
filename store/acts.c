/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <string.h>

/* A chunk that overlaps what is wanted. */
struct chunk {
	struct rec_acts acts;
	struct chunk *next;
};

struct gather {
	uint32_t first, end; /* tokens wanted */
	uint32_t at; /* tokens before this one are there */
	struct chunk *head, **tail;
	struct arena *arena;
};

/* A chunk of the window, in order; 1 when the last token wanted is there. */
static int
take(void *ctx, uint16_t part, struct kv_value x, struct err *e)
{
	struct gather *g = ctx;
	struct chunk *c = arena_alloc(g->arena, 1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_set(e, ERR_NOMEM, "no memory for activations");
	rc = rec_acts_unpack(&c->acts, x.p, x.n_bytes, g->arena, e);
	if (rc != 0)
		return rc;
	c->next = NULL;
	if (c->acts.first_token != part || c->acts.first_token > g->at)
		return err_set(e, ERR_CORRUPT,
			"activations from token %u on are missing", g->at);
	if (c->acts.n_tokens > UINT32_MAX - c->acts.first_token)
		return err_set(e, ERR_CORRUPT, "activations are malformed");
	if (c->acts.first_token + c->acts.n_tokens > g->at)
		g->at = c->acts.first_token + c->acts.n_tokens;
	*g->tail = c;
	g->tail = &c->next;
	return g->at >= g->end ? 1 : 0;
}

/* Calls for each chunk and the rows [from, to) of it that are wanted. */
static bool
rows_of(const struct gather *g, const struct chunk *c, uint32_t *from, uint32_t *to)
{
	uint32_t first = c->acts.first_token, end = first + c->acts.n_tokens;

	*from = g->first > first ? g->first - first : 0;
	*to = (g->end < end ? g->end : end) - first;
	return end > g->first && first < g->end && *from < *to;
}

static int
put_together(const struct gather *g, struct rec_acts *out, struct err *e)
{
	uint32_t *row, *feature, from, to, n_rows = 0;
	float *value;
	size_t nnz = 0;

	for (struct chunk *c = g->head; c != NULL; c = c->next)
		if (rows_of(g, c, &from, &to))
			nnz += c->acts.row_start[to] - c->acts.row_start[from];
	row = arena_alloc(g->arena, (size_t)(g->end - g->first) + 1, sizeof(*row));
	feature = arena_alloc(g->arena, nnz, sizeof(*feature));
	value = arena_alloc(g->arena, nnz, sizeof(*value));
	if (row == NULL || feature == NULL || value == NULL || nnz > UINT32_MAX)
		return err_set(e, ERR_NOMEM, "no memory for %zu activations", nnz);
	row[0] = 0;
	for (struct chunk *c = g->head; c != NULL; c = c->next) {
		uint32_t at = row[n_rows], base;

		if (!rows_of(g, c, &from, &to))
			continue;
		base = c->acts.row_start[from];
		for (uint32_t i = from; i < to; i++)
			row[++n_rows] = at + c->acts.row_start[i + 1] - base;
		memcpy(feature + at, c->acts.feature + base,
			(row[n_rows] - at) * sizeof(*feature));
		memcpy(value + at, c->acts.value + base,
			(row[n_rows] - at) * sizeof(*value));
	}
	*out = (struct rec_acts){g->first, n_rows, row, feature, value};
	return 0;
}

int
acts_none(uint32_t first, uint32_t n, struct rec_acts *out, struct arena *arena,
	struct err *e)
{
	uint32_t *row = arena_alloc(arena, (size_t)n + 1, sizeof(*row));

	if (row == NULL)
		return err_set(e, ERR_NOMEM, "no memory for activations");
	memset(row, 0, ((size_t)n + 1) * sizeof(*row));
	*out = (struct rec_acts){first, n, row, row, NULL};
	return 0;
}

int
acts_gather(struct kv_view *v, uint32_t window, uint32_t first, uint32_t n,
	struct rec_acts *out, struct arena *arena, struct err *e)
{
	struct gather g = {.first = first, .at = first, .arena = arena};
	bool all = n == UINT32_MAX;
	int rc;

	*out = (struct rec_acts){0};
	g.tail = &g.head;
	g.end = all ? UINT32_MAX : first + n;
	if (first > UINT16_MAX || (!all && n > UINT16_MAX))
		return err_arg(e, ERR_ARG, "first", "no window has %u tokens",
			first > UINT16_MAX ? first : n);
	rc = kv_each(v, KV_ACTS, window, (uint16_t)first, take, &g, e);
	if (rc != 0)
		return err_wrap(e, "window %u", window);
	if (all)
		g.end = g.at;
	if (g.at < g.end)
		return err_set(e, ERR_CORRUPT,
			"window %u: activations from token %u on are missing", window,
			g.at);
	return put_together(&g, out, e);
}
