/* SPDX-License-Identifier: ISC */
/*
 * tok: text to token ids and byte offsets, from a Hugging Face tokenizer.json of
 * BPE type, with the ids that `tokenizers` gives. Thread: a struct tok is read-only
 * after tok_open; each thread encodes with its own struct tok_work.
 */
#ifndef MODEL_TOK_H
#define MODEL_TOK_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tok; /* opaque */
struct tok_work; /* opaque scratch of one thread: word cache, merge heap */

/* dir: holds tokenizer.json; or vocab.json and merges.txt, as GPT-2 does; or a
 * tokenizer.model, which is a SentencePiece model of BPE type, taken as transformers
 * takes it. Beside them perhaps tokenizer_config.json. What is not understood in
 * full is ERR_UNSUPPORTED and named. new: tok_close(). */
int tok_open(struct tok **out, const char *dir, struct err *e);
void tok_close(struct tok *t);

/* What is understood, one by one: names of files, in the order in which they are
 * looked for, or types in a tokenizer.json (beside Sequence). NULL past the last. */
enum tok_part {
	TOK_FILES,
	TOK_MODELS,
	TOK_NORMALIZERS,
	TOK_PRE_TOKENIZERS,
	TOK_POST_PROCESSORS,
	TOK_DECODERS
};
const char *tok_known_at(enum tok_part part, size_t i);

int tok_work_new(struct tok_work **out, const struct tok *t, struct err *e);
void tok_work_free(struct tok_work *w);

struct tok_ids { /* growing arrays, owned; tok_ids_clear() frees */
	uint32_t *id;
	uint32_t *start; /* byte offset of the token's first byte in the text */
	uint32_t *end; /* one past its last byte */
	size_t n;
	size_t cap;
};
void tok_ids_clear(struct tok_ids *ids);

/* Appends the ids of n_bytes of text, without any BOS or template. Bytes that
 * are not UTF-8 are tokenized byte by byte, through the byte-level alphabet or as
 * <0xHH> (tokenizers itself cannot be given such text), and what stands between
 * them as if it stood alone. Special tokens spelt in the text are matched as
 * tokenizers does with its default of doing so when parse_special is true, and are
 * ordinary text when false. Offsets are those of tokenizers, except: a part of a
 * character has its own bytes only; a space that was put in front stands over no
 * byte; a letter that was composed has the bytes of its marks, too. They count in
 * the text as it was given, and starts never fall. */
int tok_encode(const struct tok *t, struct tok_work *w, const char *text,
	size_t n_bytes, bool parse_special, struct tok_ids *out, struct err *e);

size_t tok_n_vocab(const struct tok *t); /* one past the largest id */
/* The bytes an id stands for (not its byte-level spelling, <0xHH> or U+2581 for a
 * space), borrowed; NULL for an id the vocabulary lacks. Not NUL-terminated. */
const char *tok_bytes(const struct tok *t, uint32_t id, size_t *n_bytes);
/* The id whose bytes are exactly these, or -1; not <0xHH> where there is another. */
int64_t tok_find(const struct tok *t, const char *bytes, size_t n_bytes);
bool tok_is_special(const struct tok *t, uint32_t id); /* added and special */
/* bos_token of tokenizer_config.json, else what the post-processor puts in front
 * (behind), else (bos) the only special token; -1 if there is none. */
int64_t tok_bos(const struct tok *t);
int64_t tok_eos(const struct tok *t);
/* Of tokenizer.json, or of the one that stands for the other files. */
int tok_sha256(const struct tok *t, uint8_t out[32], struct err *e);

#endif
