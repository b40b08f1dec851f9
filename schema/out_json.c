/* SPDX-License-Identifier: ISC */
/* JSON on one line. What it lacks: see out.h. */
#include "schema/out.h"

#include "util/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE ((uint64_t)1 << 53)

/* Whether the next value is a map's key. */
static bool
at_key(const struct out *o)
{
	return o->depth > 0 && o->level[o->depth - 1].is_map &&
		o->level[o->depth - 1].left % 2 == 0;
}

/* What stands in front of the next value: a comma, or the colon behind a key. */
static void
lead(struct out *o)
{
	if (o->depth == 0)
		return;
	if (o->level[o->depth - 1].is_map && !at_key(o))
		buf_u8(o->buf, ':');
	else if (!o->level[o->depth - 1].first)
		buf_u8(o->buf, ',');
}

/* A bare word or number; as a key it becomes a string. */
static void
word(struct out *o, const char *s)
{
	bool quoted = at_key(o);

	lead(o);
	if (quoted)
		buf_u8(o->buf, '"');
	buf_puts(o->buf, s);
	if (quoted)
		buf_u8(o->buf, '"');
}

static void
put_map(struct out *o, size_t n_pairs)
{
	(void)n_pairs;
	lead(o);
	buf_u8(o->buf, '{');
}

static void
put_array(struct out *o, size_t n)
{
	(void)n;
	lead(o);
	buf_u8(o->buf, '[');
}

static void
put_end(struct out *o)
{
	buf_u8(o->buf, o->level[o->depth - 1].is_map ? '}' : ']');
}

static void
put_nil(struct out *o)
{
	word(o, "null");
}

static void
put_boolean(struct out *o, bool v)
{
	word(o, v ? "true" : "false");
}

static void
put_integer(struct out *o, int64_t v)
{
	uint64_t size = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char text[32];

	snprintf(text, sizeof(text),
		size > WHOLE && !at_key(o) ? "\"%" PRId64 "\"" : "%" PRId64, v);
	word(o, text);
}

static void
put_unsigned(struct out *o, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text),
		v > WHOLE && !at_key(o) ? "\"%" PRIu64 "\"" : "%" PRIu64, v);
	word(o, text);
}

/* Six digits read back as the same decimal in every float32 (15 in a double), and
 * %g drops trailing zeros: so the first of these that reads back is shortest. */
static void
put_f32(struct out *o, float v)
{
	char text[32];

	if (!isfinite(v)) {
		put_nil(o);
		return;
	}
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)v);
		if (strtof(text, NULL) == v)
			break;
	}
	word(o, text);
}

static void
put_f64(struct out *o, double v)
{
	char text[40];

	if (!isfinite(v)) {
		put_nil(o);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	word(o, text);
}

static void
escaped(struct buf *b, unsigned char c)
{
	static const char letter[] = "btnvfr"; /* 8 to 13; \v is not JSON's */

	if (c == '"' || c == '\\')
		buf_printf(b, "\\%c", c);
	else if (c >= 8 && c <= 13 && c != 11)
		buf_printf(b, "\\%c", letter[c - 8]);
	else
		buf_printf(b, "\\u%04x", c);
}

/* Runs of plain characters are copied whole; malformed bytes shown as \xHH. */
static void
put_str(struct out *o, const char *p, size_t n_bytes)
{
	size_t start = 0, i = 0, n;

	lead(o);
	buf_u8(o->buf, '"');
	while (i < n_bytes) {
		unsigned char c = (unsigned char)p[i];

		n = c < 0x80 ? 1 : utf8_next(p + i, n_bytes - i, NULL);
		if (n > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
			i += n;
			continue;
		}
		buf_put(o->buf, p + start, i - start);
		if (n == 0)
			buf_printf(o->buf, "\\\\x%02X", c);
		else
			escaped(o->buf, c);
		start = ++i;
	}
	if (n_bytes > 0)
		buf_put(o->buf, p + start, i - start);
	buf_u8(o->buf, '"');
}

static void
put_bin(struct out *o, const void *data, size_t n_bytes)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = data;

	lead(o);
	buf_u8(o->buf, '"');
	for (size_t i = 0; i < n_bytes; i += 3) {
		size_t n = n_bytes - i < 3 ? n_bytes - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;
		char *q = buf_extend(o->buf, 4);

		if (q == NULL)
			return;
		v |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= n > 2 ? p[i + 2] : 0;
		q[0] = digit[v >> 18];
		q[1] = digit[v >> 12 & 63];
		q[2] = n > 1 ? digit[v >> 6 & 63] : '=';
		q[3] = n > 2 ? digit[v & 63] : '=';
	}
	buf_u8(o->buf, '"');
}

static const struct out_ops json_ops = {
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
out_init_json(struct out *o, struct buf *buf, size_t limit_bytes)
{
	*o = (struct out){.ops = &json_ops, .buf = buf, .limit_bytes = limit_bytes};
}
