/* SPDX-License-Identifier: ISC */
/*
 * tok_files: what tok_gpt2.c and tok_spm.c share when they write the
 * tokenizer.json that stands for older files, as transformers converts them.
 * Nobody else includes it.
 */
#ifndef MODEL_TOK_FILES_H
#define MODEL_TOK_FILES_H

#include "model/json.h"
#include "util/buf.h"

struct file_token {
	const char *content; /* borrowed */
	size_t n_bytes;
	uint32_t id;
	bool special, single_word, lstrip, rstrip, normalized;
};

/* What stands beside the vocabulary. */
struct files {
	const char *dir;
	struct js_doc config; /* tokenizer_config.json, or empty */
	struct js_doc map; /* special_tokens_map.json, or empty */
	struct js_doc added; /* added_tokens.json, or empty */
	struct file_token *token; /* owned */
	size_t n_tokens, cap;
	/* The id of a token of the vocabulary, or -1. */
	int64_t (*find)(void *ctx, const char *s, size_t n_bytes);
	void *ctx;
};

int files_open(struct files *f, const char *dir, struct err *e);
void files_close(struct files *f);
/* tokenizer_class, or NULL. */
const char *files_class(const struct files *f);
/* A token that is matched whole; one of the same content is taken over. */
int files_token(struct files *f, const struct file_token *x, struct err *e);
/* unk_token and so on: where no file names it, the class's own, if any. */
int files_named(struct files *f, const char *key, const char *own, struct err *e);
/* added_tokens_decoder of tokenizer_config.json; looks at added_tokens.json. */
int files_decoder(struct files *f, struct err *e);
/* Appends "added_tokens": [...] */
void files_put(const struct files *f, struct buf *out);
void json_put(struct buf *out, const char *s, size_t n_bytes); /* a string */

#endif
