/* SPDX-License-Identifier: ISC */
/*
 * hash: SHA-256 for identity (libcrypto), XXH3 for checks and sampling
 * (libxxhash). The only file that includes either.
 */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include "util/err.h"

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	void *state; /* libcrypto's */
};

int sha256_init(struct sha256 *h, struct err *e);
void sha256_update(struct sha256 *h, const void *p, size_t n_bytes);
/* Ends h, also when not all of it was wanted. out may be NULL. */
void sha256_final(struct sha256 *h, uint8_t out[32]);
/* One call. */
int sha256_of(const void *p, size_t n_bytes, uint8_t out[32], struct err *e);
int sha256_file(const char *path, uint8_t out[32], struct err *e);
/* n_bytes * 2 + 1 characters of lower-case hexadecimal. */
void hash_hex(const uint8_t *p, size_t n_bytes, char *out);

uint64_t hash64(const void *p, size_t n_bytes, uint64_t seed); /* XXH3-64 */
uint64_t hash64_2(const void *a, size_t n_a, const void *b,
	size_t n_b); /* of a then b */
/* A well-mixed 64-bit number of a few integers; the same on every machine. */
uint64_t hash_mix(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);

#endif
