/* SPDX-License-Identifier: ISC */
#include "indexer/words.h"

#include "util/hash.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <string.h>

/* ---- characters ----------------------------------------------------------- */

struct span {
	uint32_t from, to;
};

/* Punctuation, symbols and spaces past ASCII. */
static const struct span not_letters[] = {{0x80, 0xa9}, {0xab, 0xb4}, {0xb6, 0xb9},
	{0xbb, 0xbf}, {0xd7, 0xd7}, {0xf7, 0xf7}, {0x2000, 0x206f}, {0x20a0, 0x20cf},
	{0x2190, 0x2bff}, {0x2e00, 0x2e7f}, {0x3000, 0x3004}, {0x3008, 0x3020},
	{0x3030, 0x303f}, {0xd800, 0xf8ff}, {0xfe10, 0xfe6f}, {0xff00, 0xff0f},
	{0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65}, {0xfff0, 0xffff},
	{0x1f000, 0x1fbff}, {0xe0000, 0x10ffff}};

/* Scripts without spaces between words: a character is a word. */
static const struct span alone[] = {{0x0e00, 0x0eff}, {0x3040, 0x30ff},
	{0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xf900, 0xfaff}, {0x20000, 0x3ffff}};

static bool
among(const struct span *list, size_t n, uint32_t cp)
{
	for (size_t i = 0; i < n; i++)
		if (cp >= list[i].from && cp <= list[i].to)
			return true;
	return false;
}

static bool
is_letter(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') ||
			(cp >= '0' && cp <= '9') || cp == '_';
	return !among(not_letters, sizeof(not_letters) / sizeof(not_letters[0]), cp);
}

static bool
is_alone(uint32_t cp)
{
	return cp >= alone[0].from &&
		among(alone, sizeof(alone) / sizeof(alone[0]), cp);
}

/* Lower case in the alphabets that have it, near enough to count words. */
static uint32_t
lower(uint32_t cp)
{
	if (cp < 0x80)
		return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
	if ((cp >= 0xc0 && cp <= 0xde) || (cp >= 0x391 && cp <= 0x3a9) ||
		(cp >= 0x410 && cp <= 0x42f))
		return cp + 32;
	if (cp >= 0x400 && cp <= 0x40f)
		return cp + 80;
	if (cp >= 0x100 && cp <= 0x137)
		return cp | 1;
	return cp;
}

/* ---- words ---------------------------------------------------------------- */

static size_t
letter_at(const char *text, size_t n_bytes, size_t at, uint32_t *cp)
{
	size_t n = at < n_bytes ? utf8_next(text + at, n_bytes - at, cp) : 0;

	return n > 0 && is_letter(*cp) ? n : 0;
}

/* An apostrophe between letters belongs to the word: don't, l'eau. */
static size_t
apostrophe_at(const char *text, size_t n_bytes, size_t at)
{
	uint32_t cp;
	size_t n = 0;

	if (at < n_bytes && text[at] == '\'')
		n = 1;
	else if (at + 3 <= n_bytes && memcmp(text + at, "\xe2\x80\x99", 3) == 0)
		n = 3;
	return n > 0 && letter_at(text, n_bytes, at + n, &cp) > 0 ? n : 0;
}

bool
words_next(const char *text, size_t n_bytes, size_t *at, struct word *w)
{
	size_t from = *at, n = 0;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	uint32_t cp = 0;

	while (*at < n_bytes) {
		n = letter_at(text, n_bytes, *at, &cp);
		if (n > 0)
			break;
		n = utf8_next(text + *at, n_bytes - *at, &cp);
		*at += n > 0 ? n : 1;
		n = 0;
	}
	if (n == 0)
		return false;
	w->apart = from > 0 && *at != from && !(*at == from + 1 && text[from] == ' ');
	w->start = (uint32_t)*at;
	do {
		bool single = is_alone(cp);

		hash = (hash ^ lower(cp)) * UINT64_C(0x100000001b3);
		*at += n;
		if (single || apostrophe_at(text, n_bytes, *at) > 0)
			*at += single ? 0 : apostrophe_at(text, n_bytes, *at);
		n = single ? 0 : letter_at(text, n_bytes, *at, &cp);
	} while (n > 0 && !is_alone(cp));
	w->end = (uint32_t)*at;
	w->hash = hash_mix(hash, 0, 0, 0);
	return true;
}

uint64_t
words_pair(uint64_t hash, uint64_t next)
{
	return hash_mix(hash, next, 1, 0);
}

/* ---- counts ---------------------------------------------------------------- */

static void
count_once(struct words *x, uint32_t *last, uint64_t hash, uint32_t window)
{
	size_t at = hash & (WORDS_TABLE - 1);

	if (last[at] == window + 1)
		return;
	last[at] = window + 1;
	x->n_windows_of[at]++;
}

static void
count_window(struct words *x, uint32_t *last, const struct rec_window *r,
	uint32_t window)
{
	uint64_t before = 0;
	struct word w;
	size_t at = 0;

	while (words_next(r->text, r->n_text_bytes, &at, &w)) {
		count_once(x, last, w.hash, window);
		if (before != 0 && !w.apart)
			count_once(x, last, words_pair(before, w.hash), window);
		before = w.hash;
	}
}

int
words_count(struct words *x, const struct windows *windows, struct err *e)
{
	uint32_t *last = mem_new(WORDS_TABLE, sizeof(*last));
	struct rec_window w;

	*x = (struct words){.n_windows = windows->n_windows};
	x->n_windows_of = mem_new(WORDS_TABLE, sizeof(*x->n_windows_of));
	if (last == NULL || x->n_windows_of == NULL) {
		mem_free(last);
		words_clear(x);
		return err_set(e, ERR_NOMEM, "no memory to count words");
	}
	for (uint32_t i = 0; i < windows->n_windows; i++) {
		windows_get(windows, i, &w);
		count_window(x, last, &w, i);
	}
	mem_free(last);
	return 0;
}

void
words_clear(struct words *x)
{
	mem_free(x->n_windows_of);
	*x = (struct words){0};
}

double
words_share(const struct words *x, uint64_t hash)
{
	double n = x->n_windows_of[hash & (WORDS_TABLE - 1)];

	return (n + 0.5) / (x->n_windows + 1.0);
}
