/* SPDX-License-Identifier: ISC */
#include "model/tok_int.h"
#include "util/hash.h"
#include "util/mem.h"

#include <string.h>

#define SHORT_WORD_BYTES 48 /* up to here a scan beats a heap */
#define CACHE_ENTRIES 16384 /* 1 MiB a thread */

/* ---- the vocabulary by bytes -------------------------------------------- */

static size_t
slots_for(size_t n)
{
	size_t slots = 16;

	while (slots / 2 < n)
		slots *= 2;
	return slots;
}

static uint32_t *
slot_of(const struct tok *t, const char *p, size_t n_bytes)
{
	const struct bpe *b = &t->bpe;
	size_t i = hash64(p, n_bytes, 0) & (b->n_slots - 1);

	for (;; i = (i + 1) & (b->n_slots - 1)) {
		uint32_t id = b->by_bytes[i];

		if (id == TOK_NONE ||
			(t->entry[id].n_bytes == n_bytes &&
				memcmp(t->entry[id].bytes, p, n_bytes) == 0))
			return &b->by_bytes[i];
	}
}

int
bpe_index(struct tok *t, struct err *e)
{
	struct bpe *b = &t->bpe;

	b->n_slots = slots_for(t->n_ids);
	b->by_bytes = mem_new(b->n_slots, sizeof(*b->by_bytes));
	if (!b->by_bytes)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", t->path);
	memset(b->by_bytes, 0xff, b->n_slots * sizeof(*b->by_bytes));
	for (uint32_t id = 0; id < t->n_ids; id++) {
		if (t->entry[id].bytes && t->entry[id].in_model)
			*slot_of(t, t->entry[id].bytes, t->entry[id].n_bytes) = id;
	}
	for (unsigned byte = 0; byte < 256; byte++) {
		char c = (char)byte;

		b->byte_id[byte] = bpe_find(t, &c, 1);
	}
	return 0;
}

uint32_t
bpe_find(const struct tok *t, const char *p, size_t n_bytes)
{
	return *slot_of(t, p, n_bytes);
}

/* ---- merges by pair of ids ---------------------------------------------- */

static struct merge *
merge_slot(const struct bpe *b, uint64_t pair)
{
	size_t i = (pair * 0x9e3779b97f4a7c15u >> 20) & (b->n_merge_slots - 1);

	while (b->merge[i].pair != UINT64_MAX && b->merge[i].pair != pair)
		i = (i + 1) & (b->n_merge_slots - 1);
	return &b->merge[i];
}

int
bpe_merges_alloc(struct bpe *b, size_t n, struct err *e)
{
	b->n_merge_slots = slots_for(n);
	b->merge = mem_new(b->n_merge_slots, sizeof(*b->merge));
	if (!b->merge)
		return err_set(e, ERR_NOMEM, "memory ran out");
	memset(b->merge, 0xff, b->n_merge_slots * sizeof(*b->merge));
	return 0;
}

void
bpe_merge_put(struct bpe *b, uint32_t left, uint32_t right, uint32_t rank, uint32_t id)
{
	uint64_t pair = (uint64_t)left << 32 | right;

	*merge_slot(b, pair) = (struct merge){.pair = pair, .rank = rank, .id = id};
}

void
bpe_clear(struct bpe *b)
{
	mem_free(b->by_bytes);
	mem_free(b->merge);
	*b = (struct bpe){0};
}

/* ---- one word ----------------------------------------------------------- */

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
	out->start[out->n] = text->from ? text->from[a] : text->base + (uint32_t)a;
	out->end[out->n] = text->to ? text->to[b - 1] : text->base + (uint32_t)b;
	out->n++;
	return 0;
}

static int
symbols_reserve(struct tok_work *w, size_t n, struct err *e)
{
	struct symbol *s;
	struct bpe_heap_item *h;

	if (n <= w->n_symbols_cap)
		return 0;
	s = mem_resize(w->symbol, n, sizeof(*s));
	if (s)
		w->symbol = s;
	h = s ? mem_resize(w->heap, 2 * n, sizeof(*h)) : NULL;
	if (!h)
		return err_set(e, ERR_NOMEM, "memory ran out for a word of %zu bytes",
			n);
	w->heap = h;
	w->n_symbols_cap = n;
	return 0;
}

/* The word's bytes as symbols; a byte without an id is unk, or left out. */
static size_t
symbols_fill(const struct bpe *b, struct symbol *s, const char *p, size_t n_bytes)
{
	bool in_unk = false;
	size_t n = 0;

	for (size_t i = 0; i < n_bytes; i++) {
		uint32_t id = b->byte_id[(uint8_t)p[i]];

		if (id == TOK_NONE && b->unk != TOK_NONE && b->fuse_unk && in_unk) {
			s[n - 1].end = (uint32_t)i + 1;
			continue;
		}
		if (id == TOK_NONE && b->unk == TOK_NONE)
			continue;
		in_unk = id == TOK_NONE;
		s[n++] = (struct symbol){.id = in_unk ? b->unk : id,
			.start = (uint32_t)i,
			.end = (uint32_t)i + 1};
	}
	return n;
}

static uint32_t
rank_of(const struct bpe *b, const struct symbol *left, const struct symbol *right,
	uint32_t *id)
{
	const struct merge *m = merge_slot(b, (uint64_t)left->id << 32 | right->id);

	*id = m->id;
	return m->pair == UINT64_MAX ? UINT32_MAX : m->rank;
}

/* The lowest rank first, the leftmost among equals, until no pair has one. */
static size_t
merge_scan(const struct bpe *b, struct symbol *s, size_t n)
{
	uint32_t rank[SHORT_WORD_BYTES], id[SHORT_WORD_BYTES];

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

static void
heap_push(struct tok_work *w, struct bpe_heap_item item)
{
	size_t i = w->n_heap++;

	while (i > 0 && w->heap[(i - 1) / 2].key > item.key) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = item;
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

static void
heap_offer(const struct bpe *b, struct tok_work *w, uint32_t left)
{
	const struct symbol *s = w->symbol;
	uint32_t id, rank;

	if (left == TOK_NONE || s[left].next == TOK_NONE)
		return;
	rank = rank_of(b, &s[left], &s[s[left].next], &id);
	if (rank != UINT32_MAX)
		heap_push(w, (struct bpe_heap_item){(uint64_t)rank << 32 | left, id});
}

/* As merge_scan in O(n log n): a heap of pairs over a linked list. A popped
 * pair is stale if its left symbol is gone or no longer makes the same id. */
static size_t
merge_heap(const struct bpe *b, struct tok_work *w, size_t n)
{
	struct symbol *s = w->symbol;
	size_t n_left = 0;

	w->n_heap = 0;
	for (size_t i = 0; i < n; i++) {
		s[i].prev = i > 0 ? (uint32_t)i - 1 : TOK_NONE;
		s[i].next = i + 1 < n ? (uint32_t)i + 1 : TOK_NONE;
	}
	for (size_t i = 0; i < n; i++)
		heap_offer(b, w, (uint32_t)i);
	while (w->n_heap > 0) {
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
		heap_offer(b, w, i);
		heap_offer(b, w, s[i].prev);
	}
	for (size_t i = 0; i < n; i++) {
		if (s[i].id != TOK_NONE)
			s[n_left++] = s[i];
	}
	return n_left;
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
		if (s[i].start != at || s[i].end - at != t->entry[s[i].id].n_bytes)
			return;
	}
	memcpy(c->word, p, n_bytes);
	c->n_bytes = (uint8_t)n_bytes;
	c->n_ids = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		c->id[i] = s[i].id;
}

static int
cut_word(const struct tok *t, struct tok_work *w, const struct tok_text *text, size_t a,
	size_t b, struct tok_ids *out, struct err *e)
{
	const char *p = text->p + a;
	size_t n_bytes = b - a, n;
	int rc = symbols_reserve(w, n_bytes > 256 ? n_bytes : 256, e);

	if (rc < 0)
		return rc;
	n = symbols_fill(&t->bpe, w->symbol, p, n_bytes);
	n = n <= SHORT_WORD_BYTES ? merge_scan(&t->bpe, w->symbol, n)
				  : merge_heap(&t->bpe, w, n);
	if (n_bytes <= CACHE_WORD_BYTES)
		cache_put(t, cache_slot(w, p, n_bytes), p, n_bytes, w->symbol, n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tok_emit(text, a + w->symbol[i].start, a + w->symbol[i].end,
			w->symbol[i].id, out, e);
	return rc;
}

int
bpe_word(const struct tok *t, struct tok_work *w, const struct tok_text *text, size_t a,
	size_t b, struct tok_ids *out, struct err *e)
{
	const char *p = text->p + a;
	size_t n_bytes = b - a;
	int rc = 0;

	if (!w->cache) {
		w->cache = mem_new_aligned(CACHE_ENTRIES, sizeof(*w->cache));
		if (!w->cache)
			return err_set(e, ERR_NOMEM,
				"memory ran out for the word cache");
	}
	if (t->bpe.ignore_merges) {
		uint32_t id = bpe_find(t, p, n_bytes);

		if (id != TOK_NONE)
			return tok_emit(text, a, b, id, out, e);
	}
	if (n_bytes <= CACHE_WORD_BYTES) {
		const struct cache_entry *c = cache_slot(w, p, n_bytes);

		if (c->n_bytes == n_bytes && memcmp(c->word, p, n_bytes) == 0) {
			for (size_t i = 0; i < c->n_ids && rc == 0; i++) {
				size_t n = t->entry[c->id[i]].n_bytes;

				rc = tok_emit(text, a, a + n, c->id[i], out, e);
				a += n;
			}
			return rc;
		}
	}
	for (; a < b && rc == 0; a += n_bytes) {
		n_bytes = b - a < WORD_MAX_BYTES ? b - a : WORD_MAX_BYTES;
		rc = cut_word(t, w, text, a, a + n_bytes, out, e);
	}
	return rc;
}
