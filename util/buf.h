/* SPDX-License-Identifier: ISC */
/*
 * buf: a growing byte buffer, and a bounded reading cursor. Both are sticky:
 * after a failure later calls do nothing; ask once at the end. Integers are
 * little-endian unless the name says be.
 */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* owned */
	size_t n_bytes;
	size_t cap_bytes;
	bool failed; /* memory ran out */
};

void buf_init(struct buf *b);
void buf_clear(struct buf *b); /* frees */
void buf_reset(struct buf *b); /* empties, keeps memory and clears failed */
/* n bytes to fill in place, or NULL (failed). */
void *buf_extend(struct buf *b, size_t n_bytes);
void buf_put(struct buf *b, const void *p, size_t n_bytes);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_u16be(struct buf *b, uint16_t v);
void buf_u32be(struct buf *b, uint32_t v);
void buf_u64be(struct buf *b, uint64_t v);
void buf_f32(struct buf *b, float v);
void buf_f64(struct buf *b, double v);
void buf_varint(struct buf *b, uint64_t v); /* LEB128 */

/* NUL-terminates (not counted) and returns the bytes as a string, or NULL. */
char *buf_str(struct buf *b);

struct cur {
	const uint8_t *p;
	const uint8_t *end;
	bool failed; /* read past the end, or a malformed varint */
};

static inline struct cur
cur_of(const void *p, size_t n_bytes)
{
	const uint8_t *from = p;

	/* NULL may be nothing, but no offset is added to it. */
	return (struct cur){.p = from, .end = n_bytes > 0 ? from + n_bytes : from};
}

size_t cur_left(const struct cur *c);
/* borrowed from what the cursor reads; NULL when fewer bytes are left. */
const void *cur_take(struct cur *c, size_t n_bytes);
uint8_t cur_u8(struct cur *c);
uint16_t cur_u16(struct cur *c);
uint32_t cur_u32(struct cur *c);
uint64_t cur_u64(struct cur *c);
uint32_t cur_u32be(struct cur *c);
uint64_t cur_u64be(struct cur *c);
float cur_f32(struct cur *c);
void cur_f32s(struct cur *c, float *out, size_t n); /* n of them; all 0 when it fails */
double cur_f64(struct cur *c);
uint64_t cur_varint(struct cur *c);

#endif
