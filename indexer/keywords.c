/* SPDX-License-Identifier: ISC */
#include "indexer/keywords.h"

#include "util/hash.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <math.h>
#include <string.h>

#define BEFORE 10 /* words in front of the peak's word that are looked at */
#define AFTER 4 /* and behind it */
#define GRAM 4 /* words in a phrase at most */
#define TERMS 4 /* in a label */
#define TERM_BYTES 80
#define TABLE ((size_t)1 << 14)
#define MOST_TERMS (TABLE / 2)
#define AROUND (BEFORE + 1 + AFTER)
#define LEAST_SHARE 0.3 /* of the examples that have a term */
#define TOKEN_SHARE 0.6 /* of the peaks that are one token, to quote it */
#define COMMON 0.08 /* share of windows that have a word that is everywhere */
#define NEXT_SCORE 0.4 /* of the first term's score */

struct term {
	uint64_t hash;
	uint64_t word[GRAM]; /* hashes of its words */
	uint32_t n_words;
	uint32_t n_in; /* examples that have it */
	uint32_t last; /* example it was last seen in, + 1 */
	double weight, best_weight; /* summed; of the last example */
	uint32_t window, start,
		end; /* where it is spelt: bytes of that window's text */
	double score;
};

struct keywords {
	const struct words *corpus;
	struct term *term; /* (MOST_TERMS) */
	uint32_t n_terms;
	uint32_t *table; /* (TABLE) number of the term + 1 */
	uint32_t *place; /* (MOST_TERMS) of each term in the table */
};

int
keywords_new(struct keywords **out, const struct words *corpus, struct err *e)
{
	struct keywords *k = mem_new(1, sizeof(*k));

	*out = k;
	if (k != NULL) {
		k->corpus = corpus;
		k->term = mem_new(MOST_TERMS, sizeof(*k->term));
		k->table = mem_new(TABLE, sizeof(*k->table));
		k->place = mem_new(MOST_TERMS, sizeof(*k->place));
		if (k->term != NULL && k->table != NULL && k->place != NULL)
			return 0;
	}
	keywords_free(k);
	*out = NULL;
	return err_set(e, ERR_NOMEM, "no memory for keyword labels");
}

void
keywords_free(struct keywords *k)
{
	if (k == NULL)
		return;
	mem_free(k->term);
	mem_free(k->table);
	mem_free(k->place);
	mem_free(k);
}

/* ---- terms of the examples ----------------------------------------------------- */

static struct term *
find_term(struct keywords *k, uint64_t hash)
{
	size_t at = hash & (TABLE - 1);

	while (k->table[at] != 0 && k->term[k->table[at] - 1].hash != hash)
		at = (at + 1) & (TABLE - 1);
	if (k->table[at] == 0) {
		if (k->n_terms == MOST_TERMS)
			return NULL;
		k->term[k->n_terms] = (struct term){.hash = hash};
		k->place[k->n_terms] = (uint32_t)at;
		k->table[at] = ++k->n_terms;
	}
	return &k->term[k->table[at] - 1];
}

static void
forget_terms(struct keywords *k)
{
	for (uint32_t i = 0; i < k->n_terms; i++)
		k->table[k->place[i]] = 0;
	k->n_terms = 0;
}

/* Nearer the peak counts for more. */
static double
closeness(int distance)
{
	return 1 / (1 + 0.15 * (distance < 0 ? -distance : distance));
}

static void
add_term(struct keywords *k, const struct word *w, uint32_t n_words, uint64_t hash,
	uint32_t example, uint32_t window, double weight)
{
	struct term *t = find_term(k, hash);

	if (t == NULL || w[n_words - 1].end - w[0].start > TERM_BYTES)
		return;
	if (t->n_in == 0) {
		t->n_words = n_words;
		t->window = window;
		t->start = w[0].start;
		t->end = w[n_words - 1].end;
		for (uint32_t i = 0; i < n_words; i++)
			t->word[i] = w[i].hash;
	}
	if (t->last != example + 1) {
		t->n_in++;
		t->last = example + 1;
		t->best_weight = 0;
	}
	if (weight > t->best_weight) {
		t->weight += weight - t->best_weight;
		t->best_weight = weight;
	}
}

/* All phrases of the n words, of which peak is at the peak. */
static void
add_words(struct keywords *k, const struct word *w, int n, int peak, uint32_t example,
	uint32_t window)
{
	for (int i = 0; i < n; i++) {
		uint64_t hash = w[i].hash;

		for (int m = 1; m <= GRAM && i + m <= n; m++) {
			int distance = i > peak    ? i - peak
				: i + m - 1 < peak ? peak - (i + m - 1)
						   : 0;

			if (m > 1 && w[i + m - 1].apart)
				break;
			if (m > 1)
				hash = words_pair(hash, w[i + m - 1].hash);
			add_term(k, w + i, (uint32_t)m, hash, example, window,
				closeness(distance));
		}
	}
}

/* Where the peak's token has its first byte that is no space. */
static uint32_t
peak_byte(const struct rec_window *r, uint32_t offset)
{
	uint32_t at = r->text_start[offset], end = r->text_end[offset];

	while (at + 1 < end && (r->text[at] == ' ' || r->text[at] == '\n'))
		at++;
	return at;
}

/* The word at the peak (or the last before it), up to BEFORE words in front of it
 * and up to AFTER behind. */
static int
words_around(const struct rec_window *r, uint32_t offset, struct word w[AROUND],
	int *peak)
{
	uint32_t byte = peak_byte(r, offset);
	int n = 0;
	struct word next;
	size_t at = 0;

	*peak = -1;
	while (words_next(r->text, r->n_text_bytes, &at, &next)) {
		bool is_behind = next.start > byte;

		if (is_behind && *peak < 0)
			*peak = n > 0 ? n - 1 : 0;
		if (is_behind && n > *peak + AFTER)
			break;
		if (!is_behind && n == BEFORE + 1) {
			memmove(w, w + 1, BEFORE * sizeof(*w));
			n--;
		}
		w[n++] = next;
	}
	if (*peak < 0)
		*peak = n - 1;
	return n;
}

/* ---- scores ------------------------------------------------------------------- */

/* Share of windows: of a phrase, that of its rarest pair. */
static double
term_share(const struct keywords *k, const struct term *t)
{
	double share = words_share(k->corpus, t->word[0]);

	for (uint32_t i = 1; i < t->n_words; i++) {
		double pair =
			words_share(k->corpus, words_pair(t->word[i - 1], t->word[i]));

		if (pair < share)
			share = pair;
	}
	return share;
}

/* A phrase that begins or ends with a word that is everywhere ("in the city of"). */
static bool
hangs(const struct keywords *k, const struct term *t)
{
	return t->n_words > 1 &&
		(words_share(k->corpus, t->word[0]) > COMMON ||
			words_share(k->corpus, t->word[t->n_words - 1]) > COMMON);
}

static void
score_terms(struct keywords *k, uint32_t n)
{
	for (uint32_t i = 0; i < k->n_terms; i++) {
		struct term *t = &k->term[i];
		double in = (double)t->n_in / n;

		t->score = 0;
		if (t->n_in == 0 || in < LEAST_SHARE || (n > 3 && t->n_in < 2) ||
			hangs(k, t))
			continue;
		t->score = t->weight / n * log(in / term_share(k, t)) *
			(1 + 0.2 * (t->n_words - 1));
		if (t->score < 0)
			t->score = 0;
	}
}

static bool
has_word(const struct term *t, uint64_t word)
{
	for (uint32_t i = 0; i < t->n_words; i++)
		if (t->word[i] == word)
			return true;
	return false;
}

static bool
overlaps(const struct term *a, const struct term *b)
{
	for (uint32_t i = 0; i < a->n_words; i++)
		if (has_word(b, a->word[i]))
			return true;
	return false;
}

/* The best term that shares no word with those chosen; NULL when none is left. */
static const struct term *
next_term(const struct keywords *k, const struct term *const *chosen, uint32_t n)
{
	const struct term *best = NULL;

	for (uint32_t i = 0; i < k->n_terms; i++) {
		const struct term *t = &k->term[i];
		bool taken = t->score <= 0 ||
			(n > 0 && t->score < NEXT_SCORE * chosen[0]->score);

		for (uint32_t j = 0; j < n && !taken; j++)
			taken = overlaps(t, chosen[j]);
		if (!taken && (best == NULL || t->score > best->score))
			best = t;
	}
	return best;
}

/* ---- the peak's token ------------------------------------------------------------ */

struct peak {
	uint32_t token; /* the one most examples peak at */
	uint32_t n; /* how many */
	uint32_t window, offset; /* the best of those */
	uint64_t word; /* hash of the word it stands in, 0 = in none */
};

static uint32_t
token_at(const struct windows *windows, const struct best *b)
{
	struct rec_window r;

	windows_get(windows, b->window, &r);
	return r.token[b->offset];
}

static struct peak
common_peak(const struct windows *windows, const struct best *best, uint32_t n)
{
	struct peak p = {0};

	for (uint32_t i = 0; i < n; i++) {
		uint32_t token = token_at(windows, &best[i]), same = 0;

		for (uint32_t j = i; j < n; j++)
			same += token_at(windows, &best[j]) == token;
		if (same > p.n)
			p = (struct peak){token, same, best[i].window, best[i].offset,
				0};
	}
	return p;
}

/* The word that the token makes whole, if it does. */
static void
find_peak_word(const struct windows *windows, struct peak *p)
{
	uint32_t byte;
	struct rec_window r;
	struct word w;
	size_t at = 0;

	windows_get(windows, p->window, &r);
	byte = peak_byte(&r, p->offset);
	while (words_next(r.text, r.n_text_bytes, &at, &w) && w.start <= byte)
		if (w.end > byte)
			p->word = w.hash;
}

static void
put_quoted(struct buf *b, const struct windows *windows, const struct peak *p)
{
	struct rec_window r;
	uint32_t from, to;

	windows_get(windows, p->window, &r);
	if (p->token == windows->patch) {
		buf_puts(b, "image patch");
		return;
	}
	from = r.text_start[p->offset];
	to = r.text_end[p->offset];
	while (from + 1 < to && r.text[from] == ' ')
		from++;
	buf_puts(b, "\"");
	for (; from < to; from++) {
		char c = r.text[from];
		size_t n = utf8_next(r.text + from, to - from, NULL);

		if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '\t')
			buf_puts(b, "\\t");
		else if (c >= 0 && c < ' ')
			buf_printf(b, "\\x%02x", c);
		else {
			utf8_show(b, r.text + from, n > 0 ? n : 1);
			from += n > 0 ? (uint32_t)n - 1 : 0;
		}
	}
	if (r.text_start[p->offset] == r.text_end[p->offset])
		buf_puts(b, "BOS");
	buf_puts(b, "\"");
}

/* Whether a peak's token is made of whole characters: a piece of one says nothing to a
 * reader. */
static bool
peak_is_legible(const struct windows *windows, const struct peak *p)
{
	struct rec_window r;
	uint32_t from;
	size_t n;

	windows_get(windows, p->window, &r);
	from = r.text_start[p->offset];
	n = r.text_end[p->offset] - from;
	return utf8_valid(r.text + from, n) == n;
}

/* ---- the label --------------------------------------------------------------------- */

/* As spelt, its spaces one each. */
static void
put_term(struct buf *b, const struct windows *windows, const struct term *t)
{
	struct rec_window r;

	windows_get(windows, t->window, &r);
	utf8_show(b, r.text + t->start, t->end - t->start);
}

static void
gather_terms(struct keywords *k, const struct windows *windows, const struct best *best,
	uint32_t n)
{
	struct word w[AROUND];
	struct rec_window r;
	int peak, n_words;

	forget_terms(k);
	for (uint32_t i = 0; i < n; i++) {
		windows_get(windows, best[i].window, &r);
		n_words = words_around(&r, best[i].offset, w, &peak);
		add_words(k, w, n_words, peak, i, best[i].window);
	}
	score_terms(k, n);
}

void
keywords_label(struct keywords *k, const struct windows *windows,
	const struct best *best, uint32_t n, struct buf *b, double *score)
{
	struct peak peak = common_peak(windows, best, n);
	const struct term *chosen[TERMS], *t;
	uint32_t n_chosen = 0;
	bool quoted;

	gather_terms(k, windows, best, n);
	find_peak_word(windows, &peak);
	while (n_chosen < TERMS && (t = next_term(k, chosen, n_chosen)) != NULL)
		chosen[n_chosen++] = t;
	quoted = n_chosen == 0 ||
		(peak.n >= TOKEN_SHARE * n &&
			!(peak.word != 0 && has_word(chosen[0], peak.word)) &&
			peak_is_legible(windows, &peak));
	*score = quoted ? (double)peak.n / n : (double)chosen[0]->n_in / n;
	if (quoted)
		put_quoted(b, windows, &peak);
	for (uint32_t i = 0; i < n_chosen; i++) {
		if (quoted && chosen[i]->n_words == 1 &&
			chosen[i]->word[0] == peak.word)
			continue;
		if (b->n_bytes > 0)
			buf_puts(b, " · ");
		put_term(b, windows, chosen[i]);
	}
}
