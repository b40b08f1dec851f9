/* SPDX-License-Identifier: ISC */
/*
 * label_file: labels in JSON Lines and CSV, as rows. Knows no daemon.
 */
#ifndef CLIENT_LABEL_FILE_H
#define CLIENT_LABEL_FILE_H

#include "util/err.h"
#include "util/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct label_row {
	uint64_t line; /* of the file, from 1 */
	const char *feature, *sae_hash, *text, *source, *author; /* or NULL */
	bool has_index, has_time, has_score;
	int64_t index, time_s;
	double score;
};

enum label_format { LABEL_JSONL, LABEL_CSV };

/* Reads rows from the whole of a file (n_bytes at p). *rows are in the arena.
 * text, explanation and description are one; other columns are left alone. An
 * error names the line. */
int label_file_read(struct label_row **rows, size_t *n_rows, const char *p,
	size_t n_bytes, enum label_format format, struct arena *arena, struct err *e);

#endif
