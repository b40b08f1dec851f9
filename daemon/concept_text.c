/* SPDX-License-Identifier: ISC */
/* Words of a text, as they were asked for and as they stand in windows. */
#include "daemon/concept.h"

#include "model/fold.h"
#include "util/utf8.h"

#include <string.h>

#define WORD_BYTES 63 /* by which longer ones are told apart */

const char *const concept_match_name[N_MATCHES] = {"phrase", "all", "any"};

struct word_at {
	uint32_t from, to;
	char plain[WORD_BYTES + 1]; /* its folded characters, as UTF-8 */
};

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for the words of a text");
}

static void
put_plain(struct word_at *w, size_t *n, uint32_t cp)
{
	struct buf b;

	if (cp == 0)
		return;
	buf_init(&b);
	utf8_put(&b, cp);
	if (!b.failed && *n + b.n_bytes <= WORD_BYTES) {
		memcpy(w->plain + *n, b.data, b.n_bytes);
		*n += b.n_bytes;
	}
	w->plain[*n] = '\0';
	buf_clear(&b);
}

/* The next word at or behind *at; false at the end. Malformed bytes are no words. */
static bool
next_word(const char *text, size_t n_bytes, size_t *at, struct word_at *out)
{
	size_t n = 0, step, i = *at;
	uint32_t cp;

	out->plain[0] = '\0';
	out->from = out->to = 0;
	for (; i < n_bytes; i += step) {
		size_t got = utf8_next(text + i, n_bytes - i, &cp);
		bool in_word = got > 0 && fold_is_word(cp);

		step = got > 0 ? got : 1;
		if (!in_word && out->to > 0)
			break;
		if (!in_word)
			continue;
		if (out->to == 0)
			out->from = (uint32_t)i;
		out->to = (uint32_t)(i + step);
		put_plain(out, &n, fold_plain(cp));
	}
	*at = i;
	return out->to > 0;
}

int
concept_words(struct concept_words *out, const char *text, struct arena *arena,
	struct err *e)
{
	size_t n_bytes = strlen(text), at = 0;
	struct word_at w;

	out->n = 0;
	while (out->n < CONCEPT_WORDS && next_word(text, n_bytes, &at, &w)) {
		struct concept_word *x = &out->word[out->n++];

		x->p = text + w.from;
		x->n_bytes = w.to - w.from;
		x->plain = arena_strndup(arena, w.plain, sizeof(w.plain));
		if (x->plain == NULL)
			return no_memory(e);
	}
	return 0;
}

/* A word has no quotes in it, so that nothing in it is syntax. */
const char *
concept_query(const struct concept_words *w, enum concept_match how,
	struct arena *arena)
{
	static const char *const between[N_MATCHES] = {" ", "\" \"", "\" OR \""};
	const char *s = NULL;
	struct buf b;

	buf_init(&b);
	buf_puts(&b, "\"");
	for (uint32_t i = 0; i < w->n && b.n_bytes + w->word[i].n_bytes < 4000; i++) {
		if (i > 0)
			buf_puts(&b, between[how]);
		buf_put(&b, w->word[i].p, w->word[i].n_bytes);
	}
	buf_puts(&b, "\"");
	if (buf_str(&b) != NULL)
		s = arena_strndup(arena, (char *)b.data, b.n_bytes);
	buf_clear(&b);
	return s;
}

/* ---- in a window ------------------------------------------------------------- */

static bool
is_phrase_at(const struct concept_words *w, const struct word_at *x, size_t n)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (i >= n || strcmp(x[i].plain, w->word[i].plain) != 0)
			return false;
	return true;
}

static bool
is_one(const struct concept_words *w, const struct word_at *x)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (strcmp(x->plain, w->word[i].plain) == 0)
			return true;
	return false;
}

int
concept_spans(const struct concept_words *w, enum concept_match how, const char *text,
	size_t n_bytes, struct concept_span **out, uint32_t *n_out, struct arena *arena,
	struct err *e)
{
	size_t at = 0, n = 0, most = n_bytes / 2 + 1;
	struct word_at *x = NULL, one;
	struct buf b;

	buf_init(&b);
	while (next_word(text, n_bytes, &at, &one))
		buf_put(&b, &one, sizeof(one));
	*n_out = 0;
	*out = arena_alloc(arena, most, sizeof(**out));
	if (b.failed || *out == NULL) {
		buf_clear(&b);
		return no_memory(e);
	}
	x = (struct word_at *)(void *)b.data;
	n = b.n_bytes / sizeof(one);
	for (size_t i = 0; i < n && w->n > 0; i++) {
		size_t last = how == MATCH_PHRASE ? i + w->n - 1 : i;

		if (how == MATCH_PHRASE ? !is_phrase_at(w, x + i, n - i)
					: !is_one(w, &x[i]))
			continue;
		(*out)[(*n_out)++] = (struct concept_span){x[i].from, x[last].to};
		i = last;
	}
	buf_clear(&b);
	return 0;
}
