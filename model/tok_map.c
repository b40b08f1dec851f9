/* SPDX-License-Identifier: ISC */
/* Text being rewritten, with where each byte of it stood in the input. */
#include "model/tok_int.h"
#include "util/utf8.h"

uint32_t
text_edge(const struct tok_text *t, size_t i)
{
	if (i < t->n_bytes)
		return text_from(t, i);
	return i > 0 ? text_to(t, i - 1) : t->base;
}

void
map_reset(struct tok_map *m)
{
	buf_reset(&m->p);
	buf_reset(&m->from);
	buf_reset(&m->to);
}

void
map_clear(struct tok_map *m)
{
	buf_clear(&m->p);
	buf_clear(&m->from);
	buf_clear(&m->to);
}

void
map_copy(struct tok_map *m, const struct tok_text *text, size_t a, size_t b)
{
	uint32_t *from = buf_extend(&m->from, (b - a) * sizeof(*from));
	uint32_t *to = buf_extend(&m->to, (b - a) * sizeof(*to));

	buf_put(&m->p, text->p + a, b - a);
	for (size_t i = a; from && to && i < b; i++) {
		from[i - a] = text_from(text, i);
		to[i - a] = text_to(text, i);
	}
}

void
map_put(struct tok_map *m, const char *p, size_t n_bytes, uint32_t from, uint32_t to)
{
	uint32_t *f = buf_extend(&m->from, n_bytes * sizeof(*f));
	uint32_t *t = buf_extend(&m->to, n_bytes * sizeof(*t));

	buf_put(&m->p, p, n_bytes);
	for (size_t i = 0; f && t && i < n_bytes; i++) {
		f[i] = from;
		t[i] = to;
	}
}

size_t
map_utf8(char out[4], uint32_t cp)
{
	struct buf b = {.data = (uint8_t *)out, .cap_bytes = 4}; /* never grows */

	utf8_put(&b, cp);
	return b.n_bytes;
}

int
map_text(const struct tok_map *m, struct tok_text *out, struct err *e)
{
	if (m->p.failed || m->from.failed || m->to.failed)
		return err_set(e, ERR_NOMEM, "memory ran out for a piece of %zu bytes",
			m->p.n_bytes);
	*out = (struct tok_text){.p = m->p.data ? (const char *)m->p.data : "",
		.n_bytes = m->p.n_bytes,
		.from = (const void *)m->from.data,
		.to = (const void *)m->to.data};
	return 0;
}
