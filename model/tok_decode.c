/* SPDX-License-Identifier: ISC */
/*
 * The decoders of a tokenizer.json, as far as they say what one token stands
 * for: Fuse and Strip work on whole texts and change no token.
 */
#include "model/tok_load.h"
#include "util/utf8.h"

#include <string.h>

/* The byte that a character of the byte-level alphabet stands for, or -1. */
static int
byte_of(uint32_t cp)
{
	if ((cp >= 0x21 && cp <= 0x7e) || (cp >= 0xa1 && cp <= 0xac) ||
		(cp >= 0xae && cp <= 0xff))
		return (int)cp;
	if (cp < 0x100 || cp > 0x143)
		return -1;
	cp -= 0x100; /* the rest, in order: 00-20, 7F-A0, AD */
	return (int)(cp <= 0x20 ? cp : cp <= 0x42 ? cp - 0x21 + 0x7f : 0xad);
}

bool
decode_alphabet(struct buf *out, const char *s, size_t n)
{
	size_t n_before = out->n_bytes, step;
	uint32_t cp;

	for (size_t i = 0; i < n; i += step) {
		int byte;

		step = utf8_next(s + i, n - i, &cp);
		byte = step > 0 ? byte_of(cp) : -1;
		if (byte < 0) {
			out->n_bytes = n_before;
			return false;
		}
		buf_u8(out, (uint8_t)byte);
	}
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
decode_hex(const char *s, size_t n)
{
	int high, low;

	if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>')
		return -1;
	high = hex_digit(s[3]);
	low = hex_digit(s[4]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool
run_alphabet(const struct decode *d, const struct buf *from, struct buf *to)
{
	(void)d;
	return decode_alphabet(to, (const char *)from->data, from->n_bytes);
}

static bool
run_fallback(const struct decode *d, const struct buf *from, struct buf *to)
{
	int byte = decode_hex((const char *)from->data, from->n_bytes);

	(void)d;
	if (byte < 0)
		return false;
	buf_u8(to, (uint8_t)byte);
	return true;
}

static bool
run_replace(const struct decode *d, const struct buf *from, struct buf *to)
{
	size_t i = 0;

	while (i < from->n_bytes) {
		const uint8_t *p = from->data + i;

		if (from->n_bytes - i >= d->n_find &&
			memcmp(p, d->find, d->n_find) == 0) {
			buf_put(to, d->put, d->n_put);
			i += d->n_find;
		} else {
			buf_u8(to, *p);
			i++;
		}
	}
	return true;
}

const struct buf *
decode_piece(struct loader *l, const char *s, size_t n)
{
	struct buf *at = &l->decoded[0], *other = &l->decoded[1];

	buf_reset(at);
	buf_put(at, s, n);
	for (size_t i = 0; i < l->n_decodes && !at->failed && at->n_bytes > 0; i++) {
		buf_reset(other);
		if (l->decode[i].run(&l->decode[i], at, other)) {
			struct buf *was = at;

			at = other;
			other = was;
		}
	}
	return at->failed ? NULL : at;
}

/* ---- loading ------------------------------------------------------------ */

static int
load_alphabet(const struct part *p, struct decode *d, struct err *e)
{
	(void)p;
	(void)e;
	d->run = run_alphabet;
	return 0;
}

static int
load_fallback(const struct part *p, struct decode *d, struct err *e)
{
	(void)p;
	(void)e;
	d->run = run_fallback;
	return 0;
}

static int
load_replace(const struct part *p, struct decode *d, struct err *e)
{
	bool is_regex;
	int rc = part_pattern(p, &is_regex, &d->find, &d->n_find, e);

	if (rc == 0)
		rc = part_str(p, "content", &d->put, &d->n_put, e);
	if (rc == 0 && is_regex)
		rc = part_unsupported(p, "in a decoder, the pattern", "Regex", e);
	d->run = run_replace;
	return rc;
}

static int
load_metaspace(const struct part *p, struct decode *d, struct err *e)
{
	int rc = part_str(p, "replacement", &d->find, &d->n_find, e);
	struct part x = part_get(p, "replacement");

	if (rc == 0 && d->n_find == 0)
		rc = part_bad(&x, e, "must be one character");
	d->put = " ";
	d->n_put = 1;
	d->run = run_replace;
	return rc;
}

/* What changes whole texts, and no token by itself. */
static int
load_nothing(const struct part *p, struct decode *d, struct err *e)
{
	(void)p;
	(void)d;
	(void)e;
	return 0;
}

static const struct {
	const char *type;
	int (*load)(const struct part *p, struct decode *d, struct err *e);
} kinds[] = {
	{"ByteLevel", load_alphabet},
	{"ByteFallback", load_fallback},
	{"Replace", load_replace},
	{"Metaspace", load_metaspace},
	{"Fuse", load_nothing},
	{"Strip", load_nothing},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *
decoder_at(size_t i)
{
	return i < N_KINDS ? kinds[i].type : NULL;
}

int
load_decoder(struct loader *l, const struct part *p, struct err *e)
{
	const char *type = part_type(p);

	if (part_none(p))
		return 0;
	if (type && strcmp(type, "Sequence") == 0) {
		struct part list = part_get(p, "decoders");

		return part_each(l, &list, load_decoder,
			e); /* as deep as JSON may be */
	}
	if (l->n_decodes == DECODES_MAX)
		return err_set(e, ERR_LIMIT, "%s: %s: more than %d decoders",
			l->t->path, p->path, DECODES_MAX);
	for (size_t i = 0; type && i < N_KINDS; i++) {
		struct decode *d = &l->decode[l->n_decodes];
		int rc;

		if (strcmp(type, kinds[i].type) != 0)
			continue;
		rc = kinds[i].load(p, d, e);
		l->n_decodes += d->run != NULL;
		return rc;
	}
	return part_unsupported(p, "the decoder", type, e);
}
