/* SPDX-License-Identifier: ISC */
/*
 * stream: reads bytes and lines from a plain, gzip or zstd file (told by its
 * first bytes, not its name) or from standard input ("-"). zlib stands in
 * stream_gz.c, zstd in stream_zst.c, each alone.
 */
#ifndef UTIL_STREAM_H
#define UTIL_STREAM_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stream; /* opaque */

/* new: stream_close(). */
int stream_open(struct stream **out, const char *path, struct err *e);
void stream_close(struct stream *s);
/* Up to n_bytes; 0 at the end; a negative code on error (a truncated or
 * corrupt member is ERR_FORMAT and names the offset). */
ssize_t stream_read(struct stream *s, void *p, size_t n_bytes, struct err *e);
/* The next line without its '\n' (the last one may lack it). *line is
 * borrowed until the next call. Returns 1, 0 at the end, or a code: ERR_LIMIT
 * past max_bytes (the text names the line number and the limit). A NUL byte is
 * an ordinary byte. */
int stream_line(struct stream *s, size_t max_bytes, char **line, size_t *n_bytes,
	struct err *e);
uint64_t stream_line_number(const struct stream *s); /* of the last line, from 1 */
bool stream_line_ended(const struct stream *s); /* the last line, by a newline */
/* Compressed bytes consumed and in all (0 = unknown), for progress. */
void stream_progress(const struct stream *s, uint64_t *done, uint64_t *total);

#endif
