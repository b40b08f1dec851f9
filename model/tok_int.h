/* SPDX-License-Identifier: ISC */
/*
 * tok_int: what the files tok*.c share and nobody else includes: the loaded
 * tokenizer, its stages, and one thread's scratch.
 */
#ifndef MODEL_TOK_INT_H
#define MODEL_TOK_INT_H

#include "model/tok.h"
#include "model/tok_re.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOK_NONE UINT32_MAX
#define TOK_IDS_MAX (1u << 24)

/* ---- text on its way (tok_map.c) ---------------------------------------- */

/* Bytes, and where in the input each of them stood. */
struct tok_text {
	const char *p;
	size_t n_bytes;
	const uint32_t *from; /* of each byte, in the input; NULL: base + i */
	const uint32_t *to; /* one past its last byte, in the input */
	uint32_t base;
};

/* Text being rewritten. */
struct tok_map {
	struct buf p;
	struct buf from, to; /* uint32_t for each byte of p */
};

static inline uint32_t
text_from(const struct tok_text *t, size_t i)
{
	return t->from ? t->from[i] : t->base + (uint32_t)i;
}

static inline uint32_t
text_to(const struct tok_text *t, size_t i)
{
	return t->to ? t->to[i] : t->base + (uint32_t)i + 1;
}

/* Where something inserted in front of byte i stands; i may be n_bytes. */
uint32_t text_edge(const struct tok_text *t, size_t i);

void map_reset(struct tok_map *m);
void map_clear(struct tok_map *m);
/* Appends bytes [a, b) of text, each where it was. */
void map_copy(struct tok_map *m, const struct tok_text *text, size_t a, size_t b);
/* Appends n_bytes that together stand for [from, to) of the input. */
void map_put(struct tok_map *m, const char *p, size_t n_bytes, uint32_t from,
	uint32_t to);
size_t map_utf8(char out[4], uint32_t cp); /* its bytes */
/* What was appended, borrowed until the next change. */
int map_text(const struct tok_map *m, struct tok_text *out, struct err *e);

/* ---- normalizers (tok_norm.c) ------------------------------------------- */

struct norm {
	/* Rewrites in as out: 1, or 0 when in stays as it is, or a code. */
	int (*run)(const struct norm *n, struct re_work *re, const struct tok_text *in,
		struct tok_map *out, struct err *e);
	struct re *re; /* owned; Replace: NULL when find is literal */
	struct buf find, put; /* Replace, Prepend */
	bool left, right; /* Strip */
	bool compat, join; /* of the normal forms: K; C rather than D */
};

#define NORMS_MAX 16

/* ---- the vocabulary and its merges (tok_bpe.c) -------------------------- */

struct merge {
	uint64_t pair; /* left id << 32 | right id; UINT64_MAX = empty slot */
	uint32_t rank;
	uint32_t id; /* of the two joined */
};

/* A word's units are its bytes or, where chars is set, its characters. */
struct bpe {
	uint32_t *by_piece; /* ids, open addressing by hash of their pieces */
	uint32_t *by_bytes; /* the same of their bytes; NULL: bytes are pieces */
	size_t n_slots; /* of each, a power of two */
	struct merge *merge; /* open addressing by hash of the pair */
	size_t n_merge_slots;
	uint64_t *joint; /* open addressing: pairs of units that a merge may join */
	size_t n_joint_slots;
	uint32_t byte_id[256]; /* of a byte by itself, or TOK_NONE */
	uint32_t unk; /* TOK_NONE: a unit without an id is dropped */
	bool chars;
	bool byte_fallback; /* a character without an id is its bytes' tokens */
	bool free_cut; /* no unit is unknown, and no byte token merges */
	bool fuse_unk;
	bool ignore_merges; /* a word that is in the vocabulary is one token */
};

/* ---- added tokens (tok_added.c) ----------------------------------------- */

struct added {
	char *content; /* owned; normalised if normalized */
	char *spelt; /* owned; as in the file */
	uint32_t n_bytes, n_spelt;
	uint32_t id;
	bool special, single_word, lstrip, rstrip, normalized;
};

/* Tokens matched in one pass, by first byte, the longest first. */
struct added_set {
	/* borrowed; sorted by (first byte, length down, content) */
	const struct added **by_first;
	uint32_t *run_end; /* past those of the same byte and length; owned */
	uint32_t start[257]; /* of each first byte in by_first */
};

/* ---- pre-tokenization (tok_pre.c) --------------------------------------- */

enum behavior {
	SPLIT_REMOVED,
	SPLIT_ISOLATED,
	SPLIT_WITH_PREVIOUS,
	SPLIT_WITH_NEXT,
	SPLIT_CONTIGUOUS
};

enum scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct stage {
	/* Rewrites [a, b) of in as out before it is split: 1, or 0 when it stays
	 * as it is, or a code. NULL: it always does. */
	int (*rewrite)(const struct stage *s, const struct tok_text *in, size_t a,
		size_t b, struct tok_map *out);
	struct re *re; /* owned; NULL: no split */
	enum behavior behavior;
	bool invert;
	bool byte_level;
	enum scheme scheme; /* of Metaspace */
	char mark[5]; /* what Metaspace puts for a space */
};

int stage_prefix_space(const struct stage *s, const struct tok_text *in, size_t a,
	size_t b, struct tok_map *out);
int stage_metaspace(const struct stage *s, const struct tok_text *in, size_t a,
	size_t b, struct tok_map *out);

#define STAGES_MAX 16

struct tok_entry {
	const char *bytes; /* what it stands for, in the blob; NULL: no such id */
	const char *piece; /* as BPE looks for it, in the blob */
	uint32_t n_bytes, n_piece;
	bool special;
	bool in_model; /* BPE can make it */
	bool is_byte; /* <0xHH> */
};

struct tok {
	char *path; /* of the file that was read */
	struct tok_entry *entry; /* (n_ids) */
	size_t n_ids;
	char *blob;
	struct bpe bpe;
	struct added *added;
	size_t n_added;
	struct added_set raw, normalized;
	struct re *re_word; /* one character of a word, for single_word */
	struct norm norm[NORMS_MAX];
	size_t n_norms;
	struct stage stage[STAGES_MAX];
	size_t n_stages;
	int64_t bos, eos;
	uint8_t hash[32];
};

/* ---- scratch ------------------------------------------------------------ */

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
	struct tok_map norm[2]; /* the normalised piece, by turns */
	struct tok_map stage[STAGES_MAX]; /* what each stage has rewritten */
};

/* tok_load.c: fills t from its files. */
int tok_load(struct tok *t, const char *dir, struct err *e);

/* tok_vocab.c */
int vocab_index(struct tok *t, struct err *e); /* by_piece, by_bytes, byte_id */
int vocab_merges_alloc(struct bpe *b, size_t n, struct err *e);
/* Pairs of the ids left and right join to id; a later call wins. */
void vocab_merge_put(struct tok *t, uint32_t left, uint32_t right, uint32_t rank,
	uint32_t id);
/* free_cut: once merges and options are there. */
void vocab_settle(struct tok *t);
void tok_vocab_clear(struct bpe *b);
uint32_t vocab_find(const struct tok *t, const char *piece, size_t n_bytes);
/* The same by what tokens stand for. */
uint32_t vocab_find_bytes(const struct tok *t, const char *p, size_t n_bytes);
const struct merge *vocab_merge(const struct bpe *b, uint32_t left, uint32_t right);
/* May a merge join a token that ends in unit left to one that begins with unit
 * right? Units are code points or bytes. */
bool vocab_joint(const struct bpe *b, uint32_t left, uint32_t right);
/* The unit at p: its length, 0 if malformed. */
size_t vocab_unit(const struct bpe *b, const char *p, size_t n_bytes, uint32_t *unit);

/* tok_bpe.c */
/* Appends the tokens of one word, bytes [a, b) of text. */
int bpe_word(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t a, size_t b, struct tok_ids *out, struct err *e);
int tok_emit(const struct tok_text *text, size_t a, size_t b, uint32_t id,
	struct tok_ids *out, struct err *e);

/* tok_added.c */
int added_index(struct tok *t, struct err *e);
void added_clear(struct tok *t);
/* Where the white space that ends at (begins at) a place begins (ends). */
size_t space_before(const struct tok_text *text, size_t at);
size_t space_after(const struct tok_text *text, size_t at);
/* The next added token of set at or after from: its place with the white
 * space it swallows, [*a, *b), and *resume, where to look on from. Returns 1,
 * 0 when there is none, or a code. last is the end of the one before. */
int added_next(const struct tok *t, struct tok_work *w, const struct added_set *set,
	const struct tok_text *text, size_t last, bool parse_special, size_t *resume,
	size_t *a, size_t *b, uint32_t *id, struct err *e);

/* tok_pre.c: words of bytes [a, b) of text, each to BPE. */
int pre_run(const struct tok *t, struct tok_work *w, const struct tok_text *text,
	size_t a, size_t b, struct tok_ids *out, struct err *e);

/* tok_norm.c: the whole chain, over valid UTF-8; *out may be in itself, else it
 * is borrowed from maps. */
int norm_all(const struct norm *n, size_t n_norms, struct re_work *re,
	struct tok_map maps[2], const struct tok_text *in, struct tok_text *out,
	struct err *e);
void norm_clear(struct norm *n);

/* tok_nfc.c */
/* Is p certainly in that normal form already? */
bool nf_is(const char *p, size_t n_bytes, bool compat, bool join);
/* Appends text (valid UTF-8) in that normal form to out. */
void nf_put(struct tok_map *out, const struct tok_text *text, bool compat, bool join);

#endif
