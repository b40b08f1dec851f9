/* SPDX-License-Identifier: ISC */
/*
 * tok_load: what the files that read a tokenizer share, and nobody else
 * includes. All kinds of files come down to a tokenizer.json, which is read here;
 * each error names the file and where in it.
 */
#ifndef MODEL_TOK_LOAD_H
#define MODEL_TOK_LOAD_H

#include "model/json.h"
#include "model/tok_int.h"
#include "util/buf.h"

#define TOK_FILE_MAX_BYTES ((size_t)256 << 20)
#define DECODES_MAX 16

struct decode;
/* Rewrites the bytes of one token, from from, into to; false when they stay. */
typedef bool decode_fn(const struct decode *d, const struct buf *from, struct buf *to);
struct decode {
	decode_fn *run;
	const char *find, *put; /* Replace: borrowed from the document */
	size_t n_find, n_put;
};

/* What is being read, with the vocabulary at hand. */
struct loader {
	struct tok *t;
	struct js_doc doc;
	const struct js *vocab; /* spelling to id */
	struct decode decode[DECODES_MAX];
	size_t n_decodes;
	int64_t first, last; /* ids that the post-processor puts around, or -1 */
	struct buf blob; /* pieces and bytes of all tokens */
	struct buf scratch, decoded[2];
};

/* ---- a place in a document (tok_part.c) --------------------------------- */

struct part {
	const struct loader *l;
	const struct js *v;
	char path[200]; /* as in pre_tokenizer.pretokenizers[1] */
};

struct part part_root(const struct loader *l);
struct part part_get(const struct part *p, const char *key);
struct part part_at(const struct part *p, size_t i);
bool part_none(const struct part *p); /* absent or null */
const char *part_type(const struct part *p); /* its "type", or NULL */
/* "FILE: PATH: WHAT": ERR_FORMAT. */
int part_bad(const struct part *p, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "FILE: PATH: WHAT "NAME" is not supported". */
int part_unsupported(const struct part *p, const char *what, const char *name,
	struct err *e);
int part_object(const struct part *p, struct err *e); /* or it is an error */
int part_list(const struct part *p, struct err *e);
/* Calls load for each object of a list. */
int part_each(struct loader *l, const struct part *list,
	int (*load)(struct loader *l, const struct part *p, struct err *e),
	struct err *e);
/* Members: absent or null gives the fallback. */
int part_bool(const struct part *p, const char *key, bool fallback, bool *out,
	struct err *e);
/* A member that must be a string; borrowed from the document. */
int part_str(const struct part *p, const char *key, const char **s, size_t *n,
	struct err *e);
/* {"String": "x"} or {"Regex": "x"} at "pattern": not empty. */
int part_pattern(const struct part *p, bool *is_regex, const char **s, size_t *n,
	struct err *e);

/* ---- the parts of a tokenizer ------------------------------------------- */

/* "FILE: memory ran out". */
int load_no_memory(const struct loader *l, struct err *e);
/* The id of n bytes of spelling in the vocabulary, or TOK_NONE. */
uint32_t load_id(struct loader *l, const char *s, size_t n);

/* tok_vocab_load.c: entries, then (once they are indexed) merges. */
int load_vocab(struct loader *l, const struct part *added, struct err *e);
int load_merges(struct loader *l, const struct part *merges, struct err *e);
/* Makes id known: spelt in the vocabulary or (model false) only added. */
void load_entry(struct loader *l, uint32_t id, const char *s, size_t n, bool in_model);
int load_settle(struct loader *l, struct err *e); /* pointers into the blob */

/* tok_added_load.c */
int load_added(struct loader *l, const struct part *added, struct err *e);

/* tok_norm_load.c, tok_stages.c, tok_decode.c, tok_post.c; p may be none */
int load_normalizer(struct loader *l, const struct part *p, struct err *e);
int load_pre(struct loader *l, const struct part *p, struct err *e);
int load_decoder(struct loader *l, const struct part *p, struct err *e);
int load_post(struct loader *l, const struct part *p, struct err *e);
/* Their types, beside Sequence, one by one; NULL past the last. */
const char *normalizer_at(size_t i);
const char *pre_at(size_t i);
const char *decoder_at(size_t i);
const char *post_at(size_t i);

/* tok_decode.c: what a spelling stands for, borrowed until the next call, or
 * NULL when memory ran out. */
const struct buf *decode_piece(struct loader *l, const char *s, size_t n);
/* Appends the bytes that a byte-level spelling stands for; false (and nothing
 * appended) when it is not in that alphabet. */
bool decode_alphabet(struct buf *out, const char *s, size_t n);
/* The byte that <0xHH> names, or -1. */
int decode_hex(const char *s, size_t n);

/* tok_config.c: bos and eos, from tokenizer_config.json or what l knows. */
int load_config(struct loader *l, const char *dir, struct err *e);

/* tok_gpt2.c, tok_spm.c: the tokenizer.json that stands for other files, into
 * out. */
int gpt2_json(const char *dir, struct buf *out, struct err *e);
int spm_json(const char *dir, const char *path, struct buf *out, struct err *e);

#endif
