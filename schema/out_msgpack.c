/* SPDX-License-Identifier: ISC */
/* MessagePack, each value in its smallest form. */
#include "schema/out.h"

#include <string.h>

static void
big(struct buf *b, uint8_t tag, uint64_t v, int n_bytes)
{
	uint8_t *p = buf_extend(b, 1 + (size_t)n_bytes);

	if (p == NULL)
		return;
	*p++ = tag;
	for (int i = n_bytes - 1; i >= 0; i--)
		*p++ = (uint8_t)(v >> (8 * i));
}

static void
put_unsigned(struct out *o, uint64_t v)
{
	if (v < 128)
		buf_u8(o->buf, (uint8_t)v);
	else if (v <= UINT8_MAX)
		big(o->buf, 0xcc, v, 1);
	else if (v <= UINT16_MAX)
		big(o->buf, 0xcd, v, 2);
	else if (v <= UINT32_MAX)
		big(o->buf, 0xce, v, 4);
	else
		big(o->buf, 0xcf, v, 8);
}

static void
put_integer(struct out *o, int64_t v)
{
	if (v >= 0)
		put_unsigned(o, (uint64_t)v);
	else if (v >= -32)
		buf_u8(o->buf, (uint8_t)v);
	else if (v >= INT8_MIN)
		big(o->buf, 0xd0, (uint64_t)v, 1);
	else if (v >= INT16_MIN)
		big(o->buf, 0xd1, (uint64_t)v, 2);
	else if (v >= INT32_MIN)
		big(o->buf, 0xd2, (uint64_t)v, 4);
	else
		big(o->buf, 0xd3, (uint64_t)v, 8);
}

/* A head of 4 or 5 bits in the tag, else of 16 or 32 behind it. Longer than 32
 * bits fails the sink. */
static void
counted(struct out *o, size_t n, uint8_t fix, size_t fix_max, uint8_t tag16)
{
	if (n <= fix_max)
		buf_u8(o->buf, (uint8_t)(fix | n));
	else if (n <= UINT16_MAX)
		big(o->buf, tag16, n, 2);
	else if (n <= UINT32_MAX)
		big(o->buf, tag16 + 1, n, 4);
	else
		o->over_limit = true;
}

static void
put_map(struct out *o, size_t n_pairs)
{
	counted(o, n_pairs, 0x80, 15, 0xde);
}

static void
put_array(struct out *o, size_t n)
{
	counted(o, n, 0x90, 15, 0xdc);
}

static void
put_end(struct out *o)
{
	(void)o;
}

static void
put_nil(struct out *o)
{
	buf_u8(o->buf, 0xc0);
}

static void
put_boolean(struct out *o, bool v)
{
	buf_u8(o->buf, v ? 0xc3 : 0xc2);
}

static void
put_f32(struct out *o, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	big(o->buf, 0xca, bits, 4);
}

static void
put_f64(struct out *o, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	big(o->buf, 0xcb, bits, 8);
}

/* Bytes behind their head; a length that would pass the limit is not copied. */
static void
body(struct out *o, const void *p, size_t n_bytes)
{
	if (o->limit_bytes != 0 && n_bytes > o->limit_bytes)
		o->over_limit = true;
	if (!o->over_limit && n_bytes > 0)
		buf_put(o->buf, p, n_bytes);
}

static void
put_str(struct out *o, const char *p, size_t n_bytes)
{
	if (n_bytes > 31 && n_bytes <= UINT8_MAX)
		big(o->buf, 0xd9, n_bytes, 1);
	else
		counted(o, n_bytes, 0xa0, 31, 0xda);
	body(o, p, n_bytes);
}

static void
put_bin(struct out *o, const void *p, size_t n_bytes)
{
	if (n_bytes <= UINT8_MAX)
		big(o->buf, 0xc4, n_bytes, 1);
	else
		counted(o, n_bytes, 0, 0, 0xc5);
	body(o, p, n_bytes);
}

static const struct out_ops msgpack_ops = {
	.map = put_map,
	.array = put_array,
	.end = put_end,
	.nil = put_nil,
	.boolean = put_boolean,
	.integer = put_integer,
	.unsigned_ = put_unsigned,
	.f32 = put_f32,
	.f64 = put_f64,
	.str = put_str,
	.bin = put_bin,
};

void
out_init_msgpack(struct out *o, struct buf *buf, size_t limit_bytes)
{
	*o = (struct out){.ops = &msgpack_ops, .buf = buf, .limit_bytes = limit_bytes};
}
