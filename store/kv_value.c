/* SPDX-License-Identifier: ISC */
#include "store/kv_value.h"

#include "util/buf.h"
#include "util/hash.h"

#include <string.h>

#define MAGIC 0x6b76u /* "vk" */
#define CODEC 1u
#define SUMMED_BYTES 12u /* of the header */

void
kv_key(uint8_t key[KV_KEY_BYTES], uint32_t id, uint32_t part)
{
	key[0] = (uint8_t)(id >> 24);
	key[1] = (uint8_t)(id >> 16);
	key[2] = (uint8_t)(id >> 8);
	key[3] = (uint8_t)id;
	key[4] = (uint8_t)(part >> 8);
	key[5] = (uint8_t)part;
}

uint32_t
kv_key_id(const uint8_t key[KV_KEY_BYTES])
{
	struct cur c = cur_of(key, 4);

	return cur_u32be(&c);
}

uint16_t
kv_key_part(const uint8_t key[KV_KEY_BYTES])
{
	return (uint16_t)(key[4] << 8 | key[5]);
}

static void
put_le(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
value_sum(size_t table, const uint8_t key[KV_KEY_BYTES], const uint8_t *header,
	const void *payload, size_t n_bytes)
{
	uint8_t head[1 + KV_KEY_BYTES + SUMMED_BYTES];

	head[0] = (uint8_t)table;
	memcpy(head + 1, key, KV_KEY_BYTES);
	memcpy(head + 1 + KV_KEY_BYTES, header, SUMMED_BYTES);
	return hash64_2(head, sizeof(head), payload, n_bytes);
}

void
kv_header(uint8_t header[KV_HEADER_BYTES], size_t table,
	const uint8_t key[KV_KEY_BYTES], unsigned flags, uint32_t n_parts,
	const void *p, size_t n_bytes)
{
	put_le(header, MAGIC, 2);
	put_le(header + 2, CODEC, 1);
	put_le(header + 3, flags, 1);
	put_le(header + 4, n_bytes, 4);
	put_le(header + 8, n_parts, 4);
	put_le(header + SUMMED_BYTES, value_sum(table, key, header, p, n_bytes), 8);
}

const char *
kv_value_check(size_t table, const uint8_t key[KV_KEY_BYTES], const void *p,
	size_t n_bytes, unsigned flags, struct kv_value *out, uint32_t *n_parts)
{
	struct cur c = cur_of(p, n_bytes);
	uint16_t magic = cur_u16(&c);
	uint8_t codec = cur_u8(&c), is = cur_u8(&c);
	uint32_t length = cur_u32(&c);
	uint64_t sum;

	*n_parts = cur_u32(&c);
	sum = cur_u64(&c);
	if (c.failed || magic != MAGIC || length != cur_left(&c))
		return "the header is damaged";
	if (sum != value_sum(table, key, p, c.p, length))
		return "the checksum does not match";
	if (codec != CODEC || is != flags)
		return "an unknown codec";
	out->p = c.p;
	out->n_bytes = length;
	return NULL;
}
