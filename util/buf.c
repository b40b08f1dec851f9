/* SPDX-License-Identifier: ISC */
#include "util/buf.h"

#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define FIRST_BYTES 64

void
buf_init(struct buf *b)
{
	*b = (struct buf){0};
}

void
buf_clear(struct buf *b)
{
	mem_free(b->data);
	buf_init(b);
}

void
buf_reset(struct buf *b)
{
	b->n_bytes = 0;
	b->failed = false;
}

/* Room for n_bytes more; false (and failed) when there is none. */
static bool
reserve(struct buf *b, size_t n_bytes)
{
	size_t need, cap;
	uint8_t *data;

	if (b->failed)
		return false;
	if (b->cap_bytes - b->n_bytes >= n_bytes && b->data != NULL)
		return true;
	b->failed = true;
	if (!mem_add(b->n_bytes, n_bytes, &need))
		return false;
	cap = b->cap_bytes + b->cap_bytes / 2;
	if (cap < FIRST_BYTES)
		cap = FIRST_BYTES;
	if (cap < need)
		cap = need;
	data = mem_resize(b->data, cap, 1);
	if (data == NULL)
		return false;
	b->data = data;
	b->cap_bytes = cap;
	b->failed = false;
	return true;
}

void *
buf_extend(struct buf *b, size_t n_bytes)
{
	void *p;

	if (!reserve(b, n_bytes))
		return NULL;
	p = b->data + b->n_bytes;
	b->n_bytes += n_bytes;
	return p;
}

void
buf_put(struct buf *b, const void *p, size_t n_bytes)
{
	void *to = buf_extend(b, n_bytes);

	if (to != NULL && n_bytes > 0)
		memcpy(to, p, n_bytes);
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	if (n < 0 || !reserve(b, (size_t)n + 1))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->n_bytes, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n_bytes += (size_t)n;
}

static void
put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t *p = buf_extend(b, n);

	for (size_t i = 0; p != NULL && i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void
put_be(struct buf *b, uint64_t v, size_t n)
{
	uint8_t *p = buf_extend(b, n);

	for (size_t i = 0; p != NULL && i < n; i++)
		p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

void
buf_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void
buf_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
buf_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
buf_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void
buf_u16be(struct buf *b, uint16_t v)
{
	put_be(b, v, 2);
}

void
buf_u32be(struct buf *b, uint32_t v)
{
	put_be(b, v, 4);
}

void
buf_u64be(struct buf *b, uint64_t v)
{
	put_be(b, v, 8);
}

void
buf_f32(struct buf *b, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	buf_u32(b, bits);
}

void
buf_f64(struct buf *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	buf_u64(b, bits);
}

void
buf_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	buf_put(b, bytes, n);
}

char *
buf_str(struct buf *b)
{
	if (!reserve(b, 1))
		return NULL;
	b->data[b->n_bytes] = '\0';
	return (char *)b->data;
}

/* ---- the cursor -------------------------------------------------------- */

size_t
cur_left(const struct cur *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->p);
}

const void *
cur_take(struct cur *c, size_t n_bytes)
{
	const void *p = c->p;

	if (c->failed || (size_t)(c->end - c->p) < n_bytes) {
		c->failed = true;
		return NULL;
	}
	c->p += n_bytes;
	return p;
}

/* Inline, so that n is known and it becomes one load. */
static inline __attribute__((always_inline)) uint64_t
take_le(struct cur *c, size_t n)
{
	const uint8_t *p = cur_take(c, n);
	uint64_t v = 0;

	for (size_t i = 0; p != NULL && i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint64_t
take_be(struct cur *c, size_t n)
{
	const uint8_t *p = cur_take(c, n);
	uint64_t v = 0;

	for (size_t i = 0; p != NULL && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
cur_u8(struct cur *c)
{
	return (uint8_t)take_le(c, 1);
}

uint16_t
cur_u16(struct cur *c)
{
	return (uint16_t)take_le(c, 2);
}

uint32_t
cur_u32(struct cur *c)
{
	return (uint32_t)take_le(c, 4);
}

uint64_t
cur_u64(struct cur *c)
{
	return take_le(c, 8);
}

uint32_t
cur_u32be(struct cur *c)
{
	return (uint32_t)take_be(c, 4);
}

uint64_t
cur_u64be(struct cur *c)
{
	return take_be(c, 8);
}

float
cur_f32(struct cur *c)
{
	uint32_t bits = cur_u32(c);
	float v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

void
cur_f32s(struct cur *c, float *out, size_t n)
{
	const uint8_t *p = n <= SIZE_MAX / 4 ? cur_take(c, 4 * n) : NULL;

	if (p == NULL) {
		c->failed = true;
		memset(out, 0, n * sizeof(*out));
		return;
	}
	for (size_t i = 0; i < n; i++, p += 4) {
		uint32_t bits = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
			(uint32_t)p[3] << 24;

		memcpy(&out[i], &bits, sizeof(bits));
	}
}

double
cur_f64(struct cur *c)
{
	uint64_t bits = cur_u64(c);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

uint64_t
cur_varint(struct cur *c)
{
	uint64_t v = 0;

	if (!c->failed && c->p < c->end && *c->p < 0x80) /* most are small */
		return *c->p++;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cur_u8(c);

		if (c->failed)
			return 0;
		if (shift == 63 && byte > 1)
			break; /* past 64 bits */
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
	c->failed = true;
	return 0;
}
