/* SPDX-License-Identifier: ISC */
/*
 * tok_spm: the few fields of a SentencePiece model that saedb looks at, between
 * their reader and tok_spm.c, which makes a tokenizer.json of them.
 */
#ifndef MODEL_TOK_SPM_H
#define MODEL_TOK_SPM_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPM_PIECE_MAX_BYTES 512

enum spm_type {
	SPM_NORMAL = 1,
	SPM_UNKNOWN,
	SPM_CONTROL,
	SPM_USER_DEFINED,
	SPM_UNUSED,
	SPM_BYTE
};

struct spm_str {
	const char *p; /* borrowed from the file's bytes */
	size_t n_bytes;
};

struct spm_piece {
	struct spm_str s;
	float score;
	uint64_t type;
};

struct spm {
	const char *path; /* for errors */
	struct spm_piece *piece; /* owned; their order is their ids */
	size_t n_pieces, cap;
	uint64_t model_type; /* 1 unigram, 2 bpe, 3 word, 4 char */
	bool byte_fallback, space_as_suffix;
	uint64_t bos, eos; /* as signed 32-bit numbers; -1: none */
	struct spm_str normalizer, charsmap, rules;
	bool dummy_prefix, escape_spaces;
};

/* The bytes of a .model file, which stay with the caller. new: spm_clear(), also
 * on failure. */
int spm_read(struct spm *m, const char *path, const void *p, size_t n_bytes,
	struct err *e);
void spm_clear(struct spm *m);

#endif
