/* SPDX-License-Identifier: ISC */
/*
 * kv_value: the bytes of a key and of a value's header, made and checked, and what
 * kv.c gives kv_get.c. Nobody else's.
 */
#ifndef STORE_KV_VALUE_H
#define STORE_KV_VALUE_H

#include "store/kv.h"

#define KV_SERIES 1u /* flag: one of a series of values, kept whole */
#define KV_KEY_BYTES 6u
#define KV_HEADER_BYTES \
	20u /* magic u16, codec u8, flags u8, length u32, n_parts u32, sum u64 */

void kv_key(uint8_t key[KV_KEY_BYTES], uint32_t id, uint32_t part);
uint32_t kv_key_id(const uint8_t key[KV_KEY_BYTES]);
uint16_t kv_key_part(const uint8_t key[KV_KEY_BYTES]);
void kv_header(uint8_t header[KV_HEADER_BYTES], size_t table,
	const uint8_t key[KV_KEY_BYTES], unsigned flags, uint32_t n_parts,
	const void *p, size_t n_bytes);
/* Takes the header off; NULL, or what is wrong. *out borrowed from p. */
const char *kv_value_check(size_t table, const uint8_t key[KV_KEY_BYTES], const void *p,
	size_t n_bytes, unsigned flags, struct kv_value *out, uint32_t *n_parts);

/* kv.c's, for kv_get.c: the part of a value, 1, or 0 when there is none. */
int kv_get_part(struct kv_view *v, size_t table, uint32_t id, uint32_t part,
	struct kv_value *out, uint32_t *n_parts, struct err *e);
/* ERR_CORRUPT, with file and key. */
int kv_corrupt(const struct kv_view *v, size_t table, uint32_t id, uint32_t part,
	const char *why, struct err *e);

#endif
