/* SPDX-License-Identifier: ISC */
#include "model/tok_int.h"

#include <string.h>

/* One split waits: whether it joins the next is only known then. */
struct splitter {
	const struct tok *t;
	struct tok_work *w;
	const struct tok_text *text;
	const struct stage *stage;
	struct tok_ids *out;
	size_t a, b; /* what waits; empty at first */
	bool waits, waits_match;
};

static int stage_run(const struct tok *t, struct tok_work *w,
	const struct tok_text *text, size_t stage, size_t a, size_t b,
	struct tok_ids *out, struct err *e);

static int
split_emit(const struct splitter *s, size_t a, size_t b, struct err *e)
{
	size_t next = (size_t)(s->stage - s->t->stage) + 1;

	return a == b ? 0 : stage_run(s->t, s->w, s->text, next, a, b, s->out, e);
}

static int
split_flush(struct splitter *s, struct err *e)
{
	bool had = s->waits;

	s->waits = false;
	return had ? split_emit(s, s->a, s->b, e) : 0;
}

/* Takes the next split [a, b), a match of the pattern or what lies between. */
static int
split_take(struct splitter *s, size_t a, size_t b, bool is_match, struct err *e)
{
	bool join = false;
	int rc;

	is_match ^= s->stage->invert;
	switch (s->stage->behavior) {
	case SPLIT_REMOVED:
		return is_match ? 0 : split_emit(s, a, b, e);
	case SPLIT_ISOLATED:
		return split_emit(s, a, b, e);
	case SPLIT_CONTIGUOUS:
		join = s->waits && is_match == s->waits_match;
		break;
	case SPLIT_WITH_PREVIOUS:
		join = s->waits && is_match && !s->waits_match;
		break;
	case SPLIT_WITH_NEXT:
		join = s->waits && !is_match && s->waits_match;
		break;
	}
	if (!join) {
		rc = split_flush(s, e);
		if (rc < 0)
			return rc;
		s->a = a;
	}
	s->b = b;
	s->waits = true;
	s->waits_match = is_match;
	return 0;
}

/* Cuts [a, b) of text at the matches of the stage's pattern. A match sees
 * nothing outside of [a, b). */
static int
split_all(struct splitter *s, size_t a, size_t b, struct err *e)
{
	const char *p = s->text->p + a;
	size_t n_bytes = b - a, from = 0, done = 0, last_end = SIZE_MAX, x, y;
	int rc = 0;

	while (rc == 0 && from <= n_bytes) {
		int found =
			re_search(s->stage->re, s->w->re, p, n_bytes, from, &x, &y, e);

		if (found < 0)
			return found;
		if (found == 0)
			break;
		if (x == y && y == last_end) { /* empty, right behind a match */
			from++;
			while (from < n_bytes && ((uint8_t)p[from] & 0xc0) == 0x80)
				from++;
			continue;
		}
		from = last_end = y;
		if (done != x)
			rc = split_take(s, a + done, a + x, false, e);
		if (rc == 0)
			rc = split_take(s, a + x, a + y, true, e);
		done = y;
	}
	if (rc == 0 && done < n_bytes)
		rc = split_take(s, a + done, b, false, e);
	return rc == 0 ? split_flush(s, e) : rc;
}

/* [a, b) of text with a space in front, as *with. */
static int
prefix_text(struct tok_work *w, const struct tok_text *text, size_t a, size_t b,
	struct tok_text *with, struct err *e)
{
	uint32_t at = text->from ? text->from[a] : text->base + (uint32_t)a;

	buf_reset(&w->prefix);
	buf_reset(&w->prefix_from);
	buf_reset(&w->prefix_to);
	buf_u8(&w->prefix, ' ');
	buf_put(&w->prefix, text->p + a, b - a);
	buf_put(&w->prefix_from, &at, sizeof(at));
	buf_put(&w->prefix_to, &at, sizeof(at));
	for (size_t i = a; i < b; i++) {
		uint32_t from = text->from ? text->from[i] : text->base + (uint32_t)i;
		uint32_t to = text->to ? text->to[i] : text->base + (uint32_t)i + 1;

		buf_put(&w->prefix_from, &from, sizeof(from));
		buf_put(&w->prefix_to, &to, sizeof(to));
	}
	if (w->prefix.failed || w->prefix_from.failed || w->prefix_to.failed)
		return err_set(e, ERR_NOMEM, "memory ran out for a piece of %zu bytes",
			b - a);
	*with = (struct tok_text){.p = (const char *)w->prefix.data,
		.n_bytes = w->prefix.n_bytes,
		.from = (const void *)w->prefix_from.data,
		.to = (const void *)w->prefix_to.data};
	return 0;
}

static int
stage_run(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t stage, size_t a, size_t b, struct tok_ids *out, struct err *e)
{
	struct splitter s = {.t = t, .w = w, .text = text, .out = out};
	struct tok_text with;

	if (stage == t->n_stages)
		return bpe_word(t, w, text, a, b, out, e);
	s.stage = &t->stage[stage];
	if (s.stage->add_prefix_space && text->p[a] != ' ') {
		int rc = prefix_text(w, text, a, b, &with, e);

		if (rc < 0)
			return rc;
		s.text = &with;
		a = 0;
		b = with.n_bytes;
	}
	return s.stage->re ? split_all(&s, a, b, e) : split_emit(&s, a, b, e);
}

int
pre_run(const struct tok *t, struct tok_work *w, const struct tok_text *text, size_t a,
	size_t b, struct tok_ids *out, struct err *e)
{
	return a == b ? 0 : stage_run(t, w, text, 0, a, b, out, e);
}
