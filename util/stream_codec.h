/* SPDX-License-Identifier: ISC */
/*
 * stream_codec: between stream.c and the decompressors; nobody else's. The
 * compressed bytes are read by stream.c, a decoder takes from what it offers.
 */
#ifndef UTIL_STREAM_CODEC_H
#define UTIL_STREAM_CODEC_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STREAM_IN_BYTES ((size_t)1 << 17)

/* Bytes [at, n) of data were read and not yet taken. */
struct stream_in {
	uint8_t *data; /* STREAM_IN_BYTES, owned by the stream */
	size_t at;
	size_t n;
	uint64_t n_read; /* from fd so far */
	const char *path;
	int fd;
	bool end; /* fd has no more */
};

/* Offset in the file of the next byte not taken. */
static inline uint64_t
stream_in_offset(const struct stream_in *in)
{
	return in->n_read - (in->n - in->at);
}

/* Makes at < n unless the file has ended. 0 or a code. */
int stream_in_fill(struct stream_in *in, struct err *e);

struct stream_codec {
	/* new: *state, for close. */
	int (*open)(void **state, struct err *e);
	/* As stream_read. */
	ssize_t (*read)(void *state, struct stream_in *in, void *p, size_t n_bytes,
		struct err *e);
	void (*close)(void *state);
};

extern const struct stream_codec stream_gz;
extern const struct stream_codec stream_zst;

#endif
