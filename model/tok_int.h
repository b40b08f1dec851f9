/* SPDX-License-Identifier: ISC */
/*
 * tok_int: what the files tok*.c share and nobody else includes: the loaded
 * tokenizer, its stages, and one thread's scratch.
 */
#ifndef MODEL_TOK_INT_H
#define MODEL_TOK_INT_H

#include "model/tok.h"
#include "model/tok_re.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOK_NONE UINT32_MAX
#define TOK_IDS_MAX (1u << 24)
#define WORD_MAX_BYTES ((size_t)1 << 20) /* a longer word is cut here */

/* ---- the vocabulary and its merges (tok_bpe.c) -------------------------- */

struct merge {
	uint64_t pair; /* left id << 32 | right id; UINT64_MAX = empty slot */
	uint32_t rank;
	uint32_t id; /* of the two joined */
};

struct bpe {
	uint32_t *by_bytes; /* ids, open addressing by hash of their bytes */
	size_t n_slots; /* a power of two */
	struct merge *merge; /* open addressing by hash of the pair */
	size_t n_merge_slots;
	uint32_t byte_id[256]; /* of a single byte, or TOK_NONE */
	uint32_t unk; /* TOK_NONE: a byte without an id is dropped */
	bool fuse_unk;
	bool ignore_merges; /* a word that is in the vocabulary is one token */
};

/* ---- added tokens (tok_added.c) ----------------------------------------- */

struct added {
	char *content; /* owned; normalised if normalized */
	uint32_t n_bytes;
	uint32_t id;
	bool special, single_word, lstrip, rstrip, normalized;
};

/* Tokens matched in one pass, by first byte, the longest first. */
struct added_set {
	const struct added **by_first; /* borrowed; sorted by (byte, length down) */
	uint32_t start[257]; /* of each first byte in by_first */
};

/* ---- pre-tokenization (tok_pre.c) --------------------------------------- */

enum stage_kind { STAGE_SPLIT, STAGE_BYTE_LEVEL };
enum behavior {
	SPLIT_REMOVED,
	SPLIT_ISOLATED,
	SPLIT_WITH_PREVIOUS,
	SPLIT_WITH_NEXT,
	SPLIT_CONTIGUOUS
};

struct stage {
	enum stage_kind kind;
	struct re *re; /* owned; NULL: byte level without a regex */
	enum behavior behavior;
	bool invert;
	bool add_prefix_space;
};

#define STAGES_MAX 16

struct tok_entry {
	const char *bytes; /* in the blob; NULL: no such id */
	uint32_t n_bytes;
	bool special;
	bool in_model; /* spelt in the byte-level alphabet, so BPE can make it */
};

struct tok {
	char *path; /* of tokenizer.json */
	struct tok_entry *entry; /* (n_ids) */
	size_t n_ids;
	char *blob;
	struct bpe bpe;
	struct added *added;
	size_t n_added;
	struct added_set raw, normalized;
	struct re *re_word; /* one character of a word, for single_word */
	bool nfc;
	struct stage stage[STAGES_MAX];
	size_t n_stages;
	int64_t bos, eos;
	uint8_t hash[32];
};

/* ---- scratch ------------------------------------------------------------ */

/* Text on its way: bytes, and where in the input each of them stood. */
struct tok_text {
	const char *p;
	size_t n_bytes;
	const uint32_t *from; /* of each byte, in the input; NULL: base + i */
	const uint32_t *to; /* one past its last byte, in the input */
	uint32_t base;
};

struct symbol {
	uint32_t id;
	uint32_t start, end; /* bytes of the word */
	uint32_t prev, next; /* in the list of symbols; TOK_NONE at its ends */
};

struct bpe_heap_item {
	uint64_t key; /* rank << 32 | position */
	uint32_t id;
};

#define CACHE_WORD_BYTES 24
#define CACHE_WORD_IDS 8

struct cache_entry {
	char word[CACHE_WORD_BYTES];
	uint32_t id[CACHE_WORD_IDS];
	uint8_t n_bytes; /* 0: empty */
	uint8_t n_ids;
};

struct tok_work {
	struct cache_entry *cache; /* direct-mapped */
	struct symbol *symbol;
	size_t n_symbols_cap;
	struct bpe_heap_item *heap;
	size_t n_heap, n_heap_cap;
	struct re_work *re;
	struct buf norm, norm_from, norm_to; /* the normalised piece */
	struct buf prefix, prefix_from, prefix_to;
};

/* tok_load.c: fills t from its files. */
int tok_load(struct tok *t, const char *dir, struct err *e);

/* tok_bpe.c */
int bpe_index(struct tok *t, struct err *e); /* by_bytes and byte_id of the entries */
int bpe_merges_alloc(struct bpe *b, size_t n, struct err *e);
void bpe_merge_put(struct bpe *b, uint32_t left, uint32_t right, uint32_t rank,
	uint32_t id);
void bpe_clear(struct bpe *b);
uint32_t bpe_find(const struct tok *t, const char *p, size_t n_bytes);
/* Appends the tokens of one word, bytes [a, b) of text. */
int bpe_word(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t a, size_t b, struct tok_ids *out, struct err *e);
int tok_emit(const struct tok_text *text, size_t a, size_t b, uint32_t id,
	struct tok_ids *out, struct err *e);

/* tok_added.c */
int added_index(struct tok *t, struct err *e);
void added_clear(struct tok *t);
/* The next added token of set at or after from: its place with the white
 * space it swallows, [*a, *b), and *resume, where to look on from. Returns 1,
 * 0 when there is none, or a code. last is the end of the one before. */
int added_next(const struct tok *t, struct tok_work *w, const struct added_set *set,
	const struct tok_text *text, size_t last, bool parse_special, size_t *resume,
	size_t *a, size_t *b, uint32_t *id, struct err *e);

/* tok_pre.c: words of bytes [a, b) of text, each to BPE. */
int pre_run(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t a, size_t b, struct tok_ids *out, struct err *e);

/* tok_nfc.c: true if p is certainly in normal form C already. */
bool nfc_is(const char *p, size_t n_bytes);
/* Appends p (valid UTF-8) in normal form C to out, and for each byte of out
 * where it comes from, as base + an offset into p (uint32_t each). */
void nfc_put(struct buf *out, struct buf *from, struct buf *to, const char *p,
	size_t n_bytes, uint32_t base);

#endif
