/* SPDX-License-Identifier: ISC */
/*
 * stream_gz: what stream_gz.c offers besides its codec: deflated bytes in
 * memory, and the checksum of zip and gzip, for readers of zip files.
 */
#ifndef UTIL_STREAM_GZ_H
#define UTIL_STREAM_GZ_H

#include "util/err.h"

#include <stddef.h>
#include <stdint.h>

/* Inflates raw deflate (no header): n_in bytes must give n_out, neither more
 * nor fewer, else ERR_FORMAT without a name. */
int stream_gz_inflate(void *out, size_t n_out, const void *in, size_t n_in,
	struct err *e);
uint32_t stream_gz_crc32(const void *p, size_t n_bytes);

#endif
