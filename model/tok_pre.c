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

int
stage_prefix_space(const struct stage *s, const struct tok_text *in, size_t a, size_t b,
	struct tok_map *out)
{
	uint32_t at = text_from(in, a);

	(void)s;
	if (in->p[a] == ' ')
		return 0;
	map_put(out, " ", 1, at, at);
	map_copy(out, in, a, b);
	return 1;
}

/* A mark for each space, and perhaps one in front. */
int
stage_metaspace(const struct stage *s, const struct tok_text *in, size_t a, size_t b,
	struct tok_map *out)
{
	size_t n_mark = strlen(s->mark), done = a;
	bool marked = in->p[a] == ' ' ||
		(b - a >= n_mark && memcmp(in->p + a, s->mark, n_mark) == 0);
	uint32_t at = text_from(in, a);
	bool put = !marked &&
		(s->scheme == PREPEND_ALWAYS ||
			(s->scheme == PREPEND_FIRST && at == 0));
	const char *space;

	if (!put && !memchr(in->p + a, ' ', b - a))
		return 0;
	if (put)
		map_put(out, s->mark, n_mark, at, at);
	while ((space = memchr(in->p + done, ' ', b - done))) {
		size_t i = (size_t)(space - in->p);

		map_copy(out, in, done, i);
		map_put(out, s->mark, n_mark, text_from(in, i), text_to(in, i));
		done = i + 1;
	}
	map_copy(out, in, done, b);
	return 1;
}

static int
stage_run(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t stage, size_t a, size_t b, struct tok_ids *out, struct err *e)
{
	struct splitter s = {.t = t, .w = w, .text = text, .out = out};
	struct tok_text other;
	struct tok_map *map;

	if (stage == t->n_stages)
		return bpe_word(t, w, text, a, b, out, e);
	s.stage = &t->stage[stage];
	map = &w->stage[stage];
	map_reset(map);
	if (s.stage->rewrite && s.stage->rewrite(s.stage, text, a, b, map)) {
		int rc = map_text(map, &other, e);

		if (rc < 0)
			return rc;
		s.text = &other;
		a = 0;
		b = other.n_bytes;
	}
	return s.stage->re ? split_all(&s, a, b, e) : split_emit(&s, a, b, e);
}

int
pre_run(const struct tok *t, struct tok_work *w, const struct tok_text *text, size_t a,
	size_t b, struct tok_ids *out, struct err *e)
{
	return a == b ? 0 : stage_run(t, w, text, 0, a, b, out, e);
}
