/* SPDX-License-Identifier: ISC */
#include "analysis/group.h"

#include "util/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BYTES 32 /* longer ones are left out */
#define NAME_WORDS 3

struct word { /* in a text of a group */
	char s[WORD_BYTES];
	uint32_t group, text;
};
struct words {
	struct word *word;
	size_t n, cap;
};

static bool
is_word(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c >= 0x80;
}

static int
add_word(struct words *w, const char *p, size_t n, uint32_t group, uint32_t text,
	struct err *e)
{
	size_t cap = w->cap > 0 ? 2 * w->cap : 256;
	struct word *x = w->word;

	if (n < 3 || n >= WORD_BYTES)
		return 0;
	if (w->n == w->cap) {
		x = mem_resize(w->word, cap, sizeof(*x));
		if (x == NULL)
			return err_set(e, ERR_NOMEM, "no memory for names");
		w->word = x;
		w->cap = cap;
	}
	x = &w->word[w->n++];
	*x = (struct word){.group = group, .text = text};
	for (size_t i = 0; i < n; i++)
		x->s[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] - 'A' + 'a' : p[i]);
	return 0;
}

static int
add_text(struct words *w, const char *s, uint32_t group, uint32_t text, struct err *e)
{
	while (*s != '\0') {
		size_t n = 0;
		int rc;

		while (is_word((unsigned char)s[n]))
			n++;
		rc = add_word(w, s, n, group, text, e);
		if (rc != 0)
			return rc;
		s += n > 0 ? n : 1;
	}
	return 0;
}

static int
by_word(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int order = strcmp(x->s, y->s);

	if (order != 0)
		return order;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

struct best { /* of one group */
	const char *s[NAME_WORDS];
	double score[NAME_WORDS];
};

static void
offer(struct best *b, const char *s, double score)
{
	for (int i = 0; i < NAME_WORDS; i++) {
		const char *was = b->s[i];
		double was_score = b->score[i];

		if (was != NULL && !(score > was_score))
			continue;
		b->s[i] = s;
		b->score[i] = score;
		if (was == NULL)
			return;
		s = was;
		score = was_score;
	}
}

/* Texts among x[0..n), which are of one word, sorted. */
static uint32_t
n_texts(const struct word *x, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i == 0 || x[i].text != x[i - 1].text;
	return sum;
}

/* One word, in all groups. */
static void
judge(struct best *best, const struct word *x, size_t n, uint32_t n_all,
	const uint32_t *size)
{
	double rare = log((double)n_all / n_texts(x, n));

	for (size_t at = 0, end; at < n; at = end) {
		uint32_t g = x[at].group, in;

		for (end = at; end < n && x[end].group == g;)
			end++;
		in = n_texts(x + at, end - at);
		if (g != GROUP_NONE && in >= 2 && 3 * (uint64_t)in > size[g])
			offer(&best[g], x[at].s, in * rare);
	}
}

static void
write_name(char out[GROUP_NAME_BYTES], const struct best *b)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < NAME_WORDS && b->s[i] != NULL && b->score[i] > 0; i++) {
		if (n + strlen(b->s[i]) + 3 > GROUP_NAME_BYTES)
			break;
		n += (size_t)snprintf(out + n, GROUP_NAME_BYTES - n, "%s%s",
			n > 0 ? ", " : "", b->s[i]);
	}
}

int
group_names(char (*name)[GROUP_NAME_BYTES], uint32_t n_groups, const uint32_t *group,
	const char *const *text, uint32_t n, struct err *e)
{
	struct best *best = mem_new(n_groups, sizeof(*best));
	uint32_t *size = mem_new(n_groups, sizeof(*size)), n_all = 0;
	struct words w = {0};
	int rc = best != NULL && size != NULL
		? 0
		: err_set(e, ERR_NOMEM, "no memory for names");

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		if (text[i] == NULL)
			continue;
		n_all++;
		if (group[i] != GROUP_NONE)
			size[group[i]]++;
		rc = add_text(&w, text[i], group[i], i, e);
	}
	if (rc == 0 && w.n > 0)
		qsort(w.word, w.n, sizeof(*w.word), by_word);
	for (size_t at = 0, end; rc == 0 && at < w.n; at = end) {
		for (end = at; end < w.n && strcmp(w.word[end].s, w.word[at].s) == 0;)
			end++;
		judge(best, w.word + at, end - at, n_all, size);
	}
	for (uint32_t g = 0; rc == 0 && g < n_groups; g++)
		write_name(name[g], &best[g]);
	mem_free(w.word);
	mem_free(size);
	mem_free(best);
	return rc;
}
