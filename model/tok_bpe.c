/* SPDX-License-Identifier: ISC */
#include "model/tok_int.h"
#include "util/hash.h"
#include "util/mem.h"

#include <string.h>

#define SHORT_WORD_UNITS 48 /* up to here a scan beats a heap */
#define CACHE_ENTRIES 16384 /* 1 MiB a thread */

int
tok_emit(const struct tok_text *text, size_t a, size_t b, uint32_t id,
	struct tok_ids *out, struct err *e)
{
	if (out->n == out->cap) {
		size_t cap = out->cap ? 2 * out->cap : 256;
		uint32_t *grown = mem_resize(out->id, cap, sizeof(*grown));

		if (grown)
			out->id = grown;
		if (grown && (grown = mem_resize(out->start, cap, sizeof(*grown))))
			out->start = grown;
		if (grown && (grown = mem_resize(out->end, cap, sizeof(*grown))))
			out->end = grown;
		if (!grown)
			return err_set(e, ERR_NOMEM, "memory ran out for %zu tokens",
				cap);
		out->cap = cap;
	}
	out->id[out->n] = id;
	out->start[out->n] = text_from(text, a);
	out->end[out->n] = text_to(text, b - 1);
	out->n++;
	return 0;
}

static int
symbols_reserve(struct tok_work *w, size_t n, struct err *e)
{
	struct symbol *s;

	if (n <= w->n_symbols_cap)
		return 0;
	s = mem_resize(w->symbol, n, sizeof(*s));
	if (!s)
		return err_set(e, ERR_NOMEM, "memory ran out for a word of %zu bytes",
			n);
	w->symbol = s;
	w->n_symbols_cap = n;
	return 0;
}

/* The symbols of a word while they are found. What is unknown waits, since it
 * may grow: also behind the byte tokens that follow it, as in tokenizers. */
struct filling {
	struct symbol *s;
	size_t n;
	uint32_t at; /* bytes so far */
	uint32_t n_unk_bytes; /* 0: no unk waits */
};

static void
fill_put(struct filling *f, uint32_t id, uint32_t n_bytes)
{
	f->s[f->n++] =
		(struct symbol){.id = id, .start = f->at, .end = f->at + n_bytes};
	f->at += n_bytes;
}

static void
fill_flush(const struct bpe *b, struct filling *f)
{
	if (f->n_unk_bytes > 0)
		fill_put(f, b->unk, f->n_unk_bytes);
	f->n_unk_bytes = 0;
}

static void
fill_unknown(const struct bpe *b, struct filling *f, uint32_t n_bytes)
{
	if (b->unk == TOK_NONE) {
		f->at += n_bytes;
		return;
	}
	if (!b->fuse_unk)
		fill_flush(b, f);
	f->n_unk_bytes += n_bytes;
}

/* Has each byte a token of its own? */
static bool
falls_back(const struct bpe *b, const char *p, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (b->byte_id[(uint8_t)p[k]] == TOK_NONE)
			return false;
	}
	return b->byte_fallback;
}

static uint32_t
unit_id(const struct tok *t, const char *p, size_t n)
{
	return t->bpe.chars ? vocab_find(t, p, n) : t->bpe.byte_id[(uint8_t)p[0]];
}

/* The word's units as symbols; one without an id is the tokens of its bytes,
 * or unk, or left out. */
static size_t
symbols_fill(const struct tok *t, struct symbol *s, const char *p, size_t n_bytes)
{
	const struct bpe *b = &t->bpe;
	struct filling f = {.s = s};
	uint32_t unit;
	size_t n;

	for (size_t i = 0; i < n_bytes; i += n) {
		uint32_t id;

		n = vocab_unit(b, p + i, n_bytes - i, &unit);
		id = unit_id(t, p + i, n);
		if (id != TOK_NONE) {
			fill_flush(b, &f);
			fill_put(&f, id, (uint32_t)n);
		} else if (b->chars && falls_back(b, p + i, n)) {
			for (size_t k = 0; k < n; k++)
				fill_put(&f, b->byte_id[(uint8_t)p[i + k]], 1);
		} else {
			fill_unknown(b, &f, (uint32_t)n);
		}
	}
	fill_flush(b, &f);
	return f.n;
}

static uint32_t
rank_of(const struct bpe *b, const struct symbol *left, const struct symbol *right,
	uint32_t *id)
{
	const struct merge *m = vocab_merge(b, left->id, right->id);

	*id = m ? m->id : TOK_NONE;
	return m ? m->rank : UINT32_MAX;
}

/* The lowest rank first, the leftmost among equals, until no pair has one. */
static size_t
merge_scan(const struct bpe *b, struct symbol *s, size_t n)
{
	uint32_t rank[SHORT_WORD_UNITS], id[SHORT_WORD_UNITS];

	for (size_t i = 0; i + 1 < n; i++)
		rank[i] = rank_of(b, &s[i], &s[i + 1], &id[i]);
	while (n > 1) {
		size_t best = 0;

		for (size_t i = 1; i + 1 < n; i++) {
			if (rank[i] < rank[best])
				best = i;
		}
		if (rank[best] == UINT32_MAX)
			break;
		s[best].id = id[best];
		s[best].end = s[best + 1].end;
		n--;
		for (size_t i = best + 1; i < n; i++) {
			s[i] = s[i + 1];
			rank[i] = rank[i + 1];
			id[i] = id[i + 1];
		}
		if (best + 1 < n)
			rank[best] = rank_of(b, &s[best], &s[best + 1], &id[best]);
		if (best > 0)
			rank[best - 1] =
				rank_of(b, &s[best - 1], &s[best], &id[best - 1]);
	}
	return n;
}

static bool
heap_push(struct tok_work *w, struct bpe_heap_item item)
{
	size_t i = w->n_heap;

	if (w->n_heap == w->n_heap_cap) {
		size_t cap = w->n_heap_cap ? 2 * w->n_heap_cap : 256;
		struct bpe_heap_item *grown = mem_resize(w->heap, cap, sizeof(*grown));

		if (!grown)
			return false;
		w->heap = grown;
		w->n_heap_cap = cap;
	}
	w->n_heap++;
	while (i > 0 && w->heap[(i - 1) / 2].key > item.key) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = item;
	return true;
}

static struct bpe_heap_item
heap_pop(struct tok_work *w)
{
	struct bpe_heap_item top = w->heap[0], last = w->heap[--w->n_heap];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < w->n_heap &&
			w->heap[child + 1].key < w->heap[child].key)
			child++;
		if (child >= w->n_heap || w->heap[child].key >= last.key)
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->n_heap > 0)
		w->heap[i] = last;
	return top;
}

static bool
heap_offer(const struct bpe *b, struct tok_work *w, uint32_t left)
{
	const struct symbol *s = w->symbol;
	uint32_t id, rank;

	if (left == TOK_NONE || s[left].next == TOK_NONE)
		return true;
	rank = rank_of(b, &s[left], &s[s[left].next], &id);
	return rank == UINT32_MAX ||
		heap_push(w, (struct bpe_heap_item){(uint64_t)rank << 32 | left, id});
}

static bool
heap_start(const struct bpe *b, struct tok_work *w, size_t n)
{
	struct symbol *s = w->symbol;

	w->n_heap = 0;
	for (size_t i = 0; i < n; i++) {
		s[i].prev = i > 0 ? (uint32_t)i - 1 : TOK_NONE;
		s[i].next = i + 1 < n ? (uint32_t)i + 1 : TOK_NONE;
	}
	for (size_t i = 0; i < n; i++) {
		if (!heap_offer(b, w, (uint32_t)i))
			return false;
	}
	return true;
}

/* As merge_scan in O(n log n): a heap of pairs over a linked list. A popped
 * pair is stale if its left symbol is gone or no longer makes the same id. */
static int
merge_heap(const struct bpe *b, struct tok_work *w, size_t *n, struct err *e)
{
	struct symbol *s = w->symbol;
	size_t n_left = 0;
	bool ok = heap_start(b, w, *n);

	while (ok && w->n_heap > 0) {
		struct bpe_heap_item item = heap_pop(w);
		uint32_t i = (uint32_t)item.key, j = s[i].next, id;

		if (s[i].id == TOK_NONE || j == TOK_NONE ||
			rank_of(b, &s[i], &s[j], &id) != item.key >> 32 ||
			id != item.id)
			continue;
		s[i].id = id;
		s[i].end = s[j].end;
		s[i].next = s[j].next;
		if (s[j].next != TOK_NONE)
			s[s[j].next].prev = i;
		s[j].id = TOK_NONE;
		ok = heap_offer(b, w, i) && heap_offer(b, w, s[i].prev);
	}
	if (!ok)
		return err_set(e, ERR_NOMEM, "memory ran out for a word of %zu symbols",
			*n);
	for (size_t i = 0; i < *n; i++) {
		if (s[i].id != TOK_NONE)
			s[n_left++] = s[i];
	}
	*n = n_left;
	return 0;
}

static struct cache_entry *
cache_slot(const struct tok_work *w, const char *p, size_t n_bytes)
{
	return &w->cache[hash64(p, n_bytes, 0) & (CACHE_ENTRIES - 1)];
}

/* Not where a byte was left out or is unknown: offsets come from lengths. */
static void
cache_put(const struct tok *t, struct cache_entry *c, const char *p, size_t n_bytes,
	const struct symbol *s, size_t n)
{
	if (n > CACHE_WORD_IDS)
		return;
	for (size_t i = 0, at = 0; i < n; at = s[i++].end) {
		if (s[i].start != at || s[i].end - at != t->entry[s[i].id].n_piece)
			return;
	}
	memcpy(c->word, p, n_bytes);
	c->n_bytes = (uint8_t)n_bytes;
	c->n_ids = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		c->id[i] = s[i].id;
}

/* Bytes [a, b) of text, which no token crosses. */
static int
merge_word(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t a, size_t b, struct tok_ids *out, struct err *e)
{
	const char *p = text->p + a;
	size_t n_bytes = b - a, n;
	int rc = symbols_reserve(w, n_bytes > 256 ? n_bytes : 256, e);

	if (rc < 0)
		return rc;
	n = symbols_fill(t, w->symbol, p, n_bytes);
	if (n <= SHORT_WORD_UNITS)
		n = merge_scan(&t->bpe, w->symbol, n);
	else
		rc = merge_heap(&t->bpe, w, &n, e);
	if (rc == 0 && n_bytes <= CACHE_WORD_BYTES)
		cache_put(t, cache_slot(w, p, n_bytes), p, n_bytes, w->symbol, n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tok_emit(text, a + w->symbol[i].start, a + w->symbol[i].end,
			w->symbol[i].id, out, e);
	return rc;
}

static int
cached_word(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t a, size_t b, struct tok_ids *out, struct err *e)
{
	const struct cache_entry *c;
	int rc = 0;

	if (b - a > CACHE_WORD_BYTES)
		return merge_word(t, w, text, a, b, out, e);
	c = cache_slot(w, text->p + a, b - a);
	if (c->n_bytes != b - a || memcmp(c->word, text->p + a, b - a) != 0)
		return merge_word(t, w, text, a, b, out, e);
	for (size_t i = 0; i < c->n_ids && rc == 0; i++) {
		size_t n = t->entry[c->id[i]].n_piece;

		rc = tok_emit(text, a, a + n, c->id[i], out, e);
		a += n;
	}
	return rc;
}

/* Where the word [a, b) may be cut first: no merge joins what stands on the two
 * sides, and nothing unknown is near, so both sides come out as they would
 * together. Whole texts are one word to SentencePiece, and this makes short
 * ones of them. */
static size_t
next_cut(const struct tok *t, const struct tok_text *text, size_t a, size_t b)
{
	const struct bpe *v = &t->bpe;
	uint32_t left, right;
	size_t n = vocab_unit(v, text->p + a, b - a, &left), m;

	for (size_t at = a + n; at < b; at += n) {
		m = n;
		n = vocab_unit(v, text->p + at, b - at, &right);
		if (!vocab_joint(v, left, right) &&
			(v->free_cut ||
				(unit_id(t, text->p + at - m, m) != TOK_NONE &&
					unit_id(t, text->p + at, n) != TOK_NONE)))
			return at;
		left = right;
	}
	return b;
}

int
bpe_word(const struct tok *t, struct tok_work *w, const struct tok_text *text, size_t a,
	size_t b, struct tok_ids *out, struct err *e)
{
	int rc = 0;

	if (!w->cache) {
		w->cache = mem_new_aligned(CACHE_ENTRIES, sizeof(*w->cache));
		if (!w->cache)
			return err_set(e, ERR_NOMEM,
				"memory ran out for the word cache");
	}
	if (t->bpe.ignore_merges) {
		uint32_t id = vocab_find(t, text->p + a, b - a);

		if (id != TOK_NONE)
			return tok_emit(text, a, b, id, out, e);
	}
	if (b - a <= CACHE_WORD_BYTES)
		return cached_word(t, w, text, a, b, out, e);
	for (size_t next; rc == 0 && a < b; a = next) {
		next = next_cut(t, text, a, b);
		rc = cached_word(t, w, text, a, next, out, e);
	}
	return rc;
}
