/* SPDX-License-Identifier: ISC */
/* The vocabulary by what tokens are made of, and its merges. */
#include "model/tok_int.h"
#include "util/hash.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <stdio.h>
#include <string.h>

/* ---- ids by bytes ------------------------------------------------------- */

static size_t
slots_for(size_t n)
{
	size_t slots = 16;

	while (slots / 2 < n)
		slots *= 2;
	return slots;
}

static bool
piece_is(const struct tok_entry *x, const char *p, size_t n_bytes)
{
	return x->n_piece == n_bytes && memcmp(x->piece, p, n_bytes) == 0;
}

static bool
bytes_are(const struct tok_entry *x, const char *p, size_t n_bytes)
{
	return x->n_bytes == n_bytes && memcmp(x->bytes, p, n_bytes) == 0;
}

static uint32_t *
slot_of(const struct tok *t, uint32_t *table,
	bool (*is)(const struct tok_entry *, const char *, size_t), const char *p,
	size_t n_bytes)
{
	size_t mask = t->bpe.n_slots - 1, i = hash64(p, n_bytes, 0) & mask;

	while (table[i] != TOK_NONE && !is(&t->entry[table[i]], p, n_bytes))
		i = (i + 1) & mask;
	return &table[i];
}

uint32_t
vocab_find(const struct tok *t, const char *piece, size_t n_bytes)
{
	return *slot_of(t, t->bpe.by_piece, piece_is, piece, n_bytes);
}

uint32_t
vocab_find_bytes(const struct tok *t, const char *p, size_t n_bytes)
{
	return t->bpe.by_bytes ? *slot_of(t, t->bpe.by_bytes, bytes_are, p, n_bytes)
			       : vocab_find(t, p, n_bytes);
}

static uint32_t *
table_new(const struct tok *t)
{
	uint32_t *table = mem_new(t->bpe.n_slots, sizeof(*table));

	if (table)
		memset(table, 0xff, t->bpe.n_slots * sizeof(*table));
	return table;
}

/* Of tokens that stand for the same bytes, one that is no <0xHH>, the lowest. */
static void
put_bytes(struct tok *t, uint32_t id)
{
	const struct tok_entry *x = &t->entry[id];
	uint32_t *slot = slot_of(t, t->bpe.by_bytes, bytes_are, x->bytes, x->n_bytes);

	if (*slot == TOK_NONE || (t->entry[*slot].is_byte && !x->is_byte))
		*slot = id;
}

static uint32_t
find_byte(const struct tok *t, unsigned byte)
{
	char c = (char)byte, name[8];

	if (!t->bpe.chars)
		return vocab_find(t, &c, 1);
	snprintf(name, sizeof(name), "<0x%02X>", byte);
	return vocab_find(t, name, 6);
}

int
vocab_index(struct tok *t, struct err *e)
{
	struct bpe *b = &t->bpe;

	b->n_slots = slots_for(t->n_ids);
	b->by_piece = table_new(t);
	b->by_bytes = b->chars ? table_new(t) : NULL;
	if (!b->by_piece || (b->chars && !b->by_bytes))
		return err_set(e, ERR_NOMEM, "%s: memory ran out", t->path);
	for (uint32_t id = 0; id < t->n_ids; id++) {
		const struct tok_entry *x = &t->entry[id];

		if (!x->bytes || !x->in_model)
			continue;
		*slot_of(t, b->by_piece, piece_is, x->piece, x->n_piece) = id;
		if (b->by_bytes)
			put_bytes(t, id);
	}
	for (unsigned byte = 0; byte < 256; byte++)
		b->byte_id[byte] = find_byte(t, byte);
	return 0;
}

/* ---- merges by pair of ids ---------------------------------------------- */

static size_t
slot_from(uint64_t key, size_t n_slots)
{
	return (key * 0x9e3779b97f4a7c15u >> 20) & (n_slots - 1);
}

static struct merge *
merge_slot(const struct bpe *b, uint64_t pair)
{
	size_t i = slot_from(pair, b->n_merge_slots);

	while (b->merge[i].pair != UINT64_MAX && b->merge[i].pair != pair)
		i = (i + 1) & (b->n_merge_slots - 1);
	return &b->merge[i];
}

const struct merge *
vocab_merge(const struct bpe *b, uint32_t left, uint32_t right)
{
	const struct merge *m = merge_slot(b, (uint64_t)left << 32 | right);

	return m->pair == UINT64_MAX ? NULL : m;
}

static uint64_t *
joint_slot(const struct bpe *b, uint64_t pair)
{
	size_t i = slot_from(pair, b->n_joint_slots);

	while (b->joint[i] != UINT64_MAX && b->joint[i] != pair)
		i = (i + 1) & (b->n_joint_slots - 1);
	return &b->joint[i];
}

bool
vocab_joint(const struct bpe *b, uint32_t left, uint32_t right)
{
	uint64_t pair = (uint64_t)left << 32 | right;

	return *joint_slot(b, pair) == pair;
}

size_t
vocab_unit(const struct bpe *b, const char *p, size_t n_bytes, uint32_t *unit)
{
	if (b->chars)
		return utf8_next(p, n_bytes, unit);
	*unit = (uint8_t)p[0];
	return n_bytes > 0;
}

int
vocab_merges_alloc(struct bpe *b, size_t n, struct err *e)
{
	b->n_merge_slots = b->n_joint_slots = slots_for(n);
	b->merge = mem_new(b->n_merge_slots, sizeof(*b->merge));
	b->joint = mem_new(b->n_joint_slots, sizeof(*b->joint));
	if (!b->merge || !b->joint)
		return err_set(e, ERR_NOMEM, "memory ran out");
	memset(b->merge, 0xff, b->n_merge_slots * sizeof(*b->merge));
	memset(b->joint, 0xff, b->n_joint_slots * sizeof(*b->joint));
	return 0;
}

static void
joint_put(struct tok *t, const struct tok_entry *left, const struct tok_entry *right)
{
	struct bpe *b = &t->bpe;
	uint32_t x = 0, y = 0;
	size_t at = left->n_piece;
	uint64_t pair;

	if (left->n_piece == 0 || right->n_piece == 0)
		return;
	do /* the start of the last unit */
		at--;
	while (b->chars && at > 0 && ((uint8_t)left->piece[at] & 0xc0) == 0x80);
	vocab_unit(b, left->piece + at, left->n_piece - at, &x);
	vocab_unit(b, right->piece, right->n_piece, &y);
	pair = (uint64_t)x << 32 | y;
	*joint_slot(b, pair) = pair;
}

void
vocab_merge_put(struct tok *t, uint32_t left, uint32_t right, uint32_t rank,
	uint32_t id)
{
	uint64_t pair = (uint64_t)left << 32 | right;

	*merge_slot(&t->bpe, pair) =
		(struct merge){.pair = pair, .rank = rank, .id = id};
	joint_put(t, &t->entry[left], &t->entry[right]);
}

void
vocab_settle(struct tok *t)
{
	struct bpe *b = &t->bpe;
	bool free_cut = !b->chars || b->byte_fallback;

	for (size_t i = 0; free_cut && i < 256; i++)
		free_cut = b->byte_id[i] != TOK_NONE;
	for (size_t i = 0; free_cut && b->chars && i < b->n_merge_slots; i++) {
		uint64_t pair = b->merge[i].pair;

		if (pair != UINT64_MAX &&
			(t->entry[pair >> 32].is_byte ||
				t->entry[(uint32_t)pair].is_byte))
			free_cut = false;
	}
	b->free_cut = free_cut;
}

void
tok_vocab_clear(struct bpe *b)
{
	mem_free(b->by_piece);
	mem_free(b->by_bytes);
	mem_free(b->merge);
	mem_free(b->joint);
	*b = (struct bpe){0};
}
