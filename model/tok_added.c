/* SPDX-License-Identifier: ISC */
#include "model/tok_int.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <stdlib.h>
#include <string.h>

static int
by_first_then_length(const void *a, const void *b)
{
	const struct added *x = *(const struct added *const *)a;
	const struct added *y = *(const struct added *const *)b;
	uint8_t cx = (uint8_t)x->content[0], cy = (uint8_t)y->content[0];
	int order;

	if (cx != cy)
		return cx < cy ? -1 : 1;
	if (x->n_bytes != y->n_bytes)
		return x->n_bytes > y->n_bytes ? -1 : 1;
	order = memcmp(x->content, y->content, x->n_bytes);
	if (order != 0)
		return order;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int
set_build(const struct tok *t, struct added_set *set, bool normalized, struct err *e)
{
	size_t n = 0;

	set->by_first = mem_new(t->n_added, sizeof(const struct added *));
	set->run_end = mem_new(t->n_added, sizeof(*set->run_end));
	if (!set->by_first || !set->run_end)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", t->path);
	for (size_t i = 0; i < t->n_added; i++) {
		if (t->added[i].normalized == normalized && t->added[i].n_bytes > 0)
			set->by_first[n++] = &t->added[i];
	}
	qsort(set->by_first, n, sizeof(const struct added *), by_first_then_length);
	for (size_t i = n; i-- > 0;) {
		const struct added *x = set->by_first[i], *y = NULL;

		set->start[(uint8_t)x->content[0] + 1]++;
		if (i + 1 < n)
			y = set->by_first[i + 1];
		set->run_end[i] =
			y && y->content[0] == x->content[0] && y->n_bytes == x->n_bytes
			? set->run_end[i + 1]
			: (uint32_t)i + 1;
	}
	for (size_t c = 0; c < 256; c++)
		set->start[c + 1] += set->start[c];
	return 0;
}

int
added_index(struct tok *t, struct err *e)
{
	static const char word[] = "[\\w\\x{200c}\\x{200d}]"; /* joiners, too */
	int rc = set_build(t, &t->raw, false, e);

	if (rc == 0)
		rc = set_build(t, &t->normalized, true, e);
	if (rc == 0)
		rc = re_new(&t->re_word, word, sizeof(word) - 1, e);
	return rc;
}

void
added_clear(struct tok *t)
{
	for (size_t i = 0; i < t->n_added; i++) {
		mem_free(t->added[i].content);
		mem_free(t->added[i].spelt);
	}
	mem_free(t->added);
	mem_free(t->raw.by_first);
	mem_free(t->raw.run_end);
	mem_free(t->normalized.by_first);
	mem_free(t->normalized.run_end);
	re_free(t->re_word);
}

/* Of tokens [low, high), of one length and in order, the one that stands at p. */
static const struct added *
find_in(const struct added_set *set, size_t low, size_t high, const char *p)
{
	size_t n = set->by_first[low]->n_bytes, end = high;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(set->by_first[middle]->content, p, n) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && memcmp(set->by_first[low]->content, p, n) == 0
		? set->by_first[low]
		: NULL;
}

/* The longest token of set that stands at p, or NULL. There may be thousands that
 * begin alike (<unused42>), but of few lengths. */
static const struct added *
longest_at(const struct added_set *set, const char *p, size_t n_bytes)
{
	uint8_t c = (uint8_t)p[0];

	for (uint32_t i = set->start[c]; i < set->start[c + 1]; i = set->run_end[i]) {
		const struct added *x = NULL;

		if (set->by_first[i]->n_bytes <= n_bytes)
			x = find_in(set, i, set->run_end[i], p);
		if (x)
			return x;
	}
	return NULL;
}

/* ---- what stands beside a token ----------------------------------------- */

static bool
is_white_space(uint32_t cp)
{
	return (cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 || cp == 0xa0 ||
		cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 ||
		cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

/* Bytes of the well-formed character that ends at p + at; 0 if there is none. */
static size_t
char_before(const char *p, size_t at, uint32_t *cp)
{
	for (size_t n = 1; n <= 4 && n <= at; n++) {
		if (utf8_next(p + at - n, n, cp) == n)
			return n;
	}
	return 0;
}

static int
is_word(const struct tok *t, struct tok_work *w, const char *p, size_t n_bytes,
	struct err *e)
{
	size_t a, b;

	return n_bytes == 0 ? 0
			    : re_search(t->re_word, w->re, p, n_bytes, 0, &a, &b, e);
}

/* Does a word character touch [a, b)? */
static int
inside_word(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t a, size_t b, struct err *e)
{
	uint32_t cp;
	size_t before = char_before(text->p, a, &cp);
	int rc = is_word(t, w, text->p + a - before, before, e);

	if (rc != 0)
		return rc;
	return is_word(t, w, text->p + b,
		utf8_next(text->p + b, text->n_bytes - b, &cp), e);
}

size_t
space_before(const struct tok_text *text, size_t at)
{
	uint32_t cp;
	size_t n;

	while ((n = char_before(text->p, at, &cp)) > 0 && is_white_space(cp))
		at -= n;
	return at;
}

size_t
space_after(const struct tok_text *text, size_t at)
{
	uint32_t cp;
	size_t n;

	while (at < text->n_bytes &&
		(n = utf8_next(text->p + at, text->n_bytes - at, &cp)) > 0 &&
		is_white_space(cp))
		at += n;
	return at;
}

int
added_next(const struct tok *t, struct tok_work *w, const struct added_set *set,
	const struct tok_text *text, size_t last, bool parse_special, size_t *resume,
	size_t *a, size_t *b, uint32_t *id, struct err *e)
{
	size_t i = *resume;

	while (set->start[256] > 0 && i < text->n_bytes) {
		const struct added *x = longest_at(set, text->p + i, text->n_bytes - i);
		int rc = 0;

		if (!x) {
			i++;
			continue;
		}
		*a = i;
		*b = i += x->n_bytes;
		if (x->special && !parse_special)
			continue;
		if (x->single_word)
			rc = inside_word(t, w, text, *a, *b, e);
		if (rc < 0)
			return rc;
		if (rc > 0)
			continue;
		if (x->lstrip) {
			size_t from = space_before(text, *a);

			*a = from > last ? from : last;
		}
		if (x->rstrip)
			*b = space_after(text, *b);
		*id = x->id;
		*resume = i;
		return 1;
	}
	*resume = i;
	return 0;
}
