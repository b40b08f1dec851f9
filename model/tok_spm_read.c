/* SPDX-License-Identifier: ISC */
/*
 * A SentencePiece model is a Protocol Buffers message: fields, each a number and
 * a type and then a varint, 8 bytes, 4 bytes, or a length and that many bytes.
 * Tables say which fields are kept; others are skipped.
 */
#include "model/tok_int.h"
#include "model/tok_spm.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <math.h>
#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct value {
	uint64_t number;
	struct spm_str bytes;
};

struct reader {
	struct spm *m;
	const uint8_t *start;
	struct cur c;
	struct err *e;
};

struct field {
	uint32_t number;
	enum wire wire;
	int (*take)(struct reader *r, const struct value *v);
};

static int
bad(const struct reader *r, const char *what)
{
	return err_set(r->e, ERR_FORMAT, "%s: byte %zu: %s", r->m->path,
		(size_t)(r->c.p - r->start), what);
}

/* Reads the next field's value by its wire type. */
static int
read_value(struct reader *r, uint64_t wire, struct value *v)
{
	switch ((enum wire)wire) {
	case WIRE_VARINT:
		v->number = cur_varint(&r->c);
		return 0;
	case WIRE_64:
		v->number = cur_u64(&r->c);
		return 0;
	case WIRE_32:
		v->number = cur_u32(&r->c);
		return 0;
	case WIRE_BYTES:
		v->number = cur_varint(&r->c);
		if (v->number > cur_left(&r->c))
			return bad(r, "a field is longer than what holds it");
		v->bytes.n_bytes = (size_t)v->number;
		v->bytes.p = cur_take(&r->c, v->bytes.n_bytes);
		return 0;
	}
	return bad(r, "a field of a type that SentencePiece does not use");
}

/* Every field of the message that r stands at the start of. */
static int
read_fields(struct reader *r, const struct field *fields, size_t n_fields)
{
	int rc = 0;

	while (rc == 0 && cur_left(&r->c) > 0) {
		uint64_t key = cur_varint(&r->c);
		struct value v = {0};

		rc = read_value(r, key & 7, &v);
		if (rc == 0 && r->c.failed)
			rc = bad(r, "the file is cut short, or a number too long");
		for (size_t i = 0; rc == 0 && i < n_fields; i++) {
			if (fields[i].number != key >> 3)
				continue;
			rc = fields[i].wire == (key & 7)
				? fields[i].take(r, &v)
				: bad(r,
					  "a field has another type than in "
					  "SentencePiece");
		}
	}
	return rc;
}

/* A message inside. */
static int
read_inside(struct reader *r, const struct value *v, const struct field *fields,
	size_t n_fields)
{
	struct reader inside = {.m = r->m,
		.start = r->start,
		.c = cur_of(v->bytes.p, v->bytes.n_bytes),
		.e = r->e};

	return read_fields(&inside, fields, n_fields);
}

/* ---- pieces ------------------------------------------------------------- */

static struct spm_piece *
last(struct reader *r)
{
	return &r->m->piece[r->m->n_pieces - 1];
}

static int
take_piece(struct reader *r, const struct value *v)
{
	last(r)->s = v->bytes;
	return 0;
}

static int
take_score(struct reader *r, const struct value *v)
{
	uint32_t bits = (uint32_t)v->number;

	memcpy(&last(r)->score, &bits, sizeof(bits));
	return 0;
}

static int
take_type(struct reader *r, const struct value *v)
{
	last(r)->type = v->number;
	return 0;
}

static int
check_piece(struct reader *r, const struct spm_piece *x)
{
	size_t n = x->s.n_bytes;

	if (n == 0 || n > SPM_PIECE_MAX_BYTES)
		return err_set(r->e, ERR_FORMAT,
			"%s: pieces[%zu].piece: must be 1 to %d bytes", r->m->path,
			r->m->n_pieces - 1, SPM_PIECE_MAX_BYTES);
	if (utf8_valid(x->s.p, n) != n || memchr(x->s.p, '\0', n))
		return err_set(r->e, ERR_FORMAT,
			"%s: pieces[%zu].piece: must be UTF-8 without NUL", r->m->path,
			r->m->n_pieces - 1);
	if (!isfinite(x->score))
		return err_set(r->e, ERR_FORMAT,
			"%s: pieces[%zu].score: must be finite", r->m->path,
			r->m->n_pieces - 1);
	return x->type >= SPM_NORMAL && x->type <= SPM_BYTE
		? 0
		: err_set(r->e, ERR_FORMAT, "%s: pieces[%zu].type: %llu is unknown",
			  r->m->path, r->m->n_pieces - 1, (unsigned long long)x->type);
}

static int
take_pieces(struct reader *r, const struct value *v)
{
	static const struct field fields[] = {
		{1, WIRE_BYTES, take_piece},
		{2, WIRE_32, take_score},
		{3, WIRE_VARINT, take_type},
	};
	struct spm *m = r->m;
	int rc;

	if (m->n_pieces == TOK_IDS_MAX)
		return bad(r, "too many pieces");
	if (m->n_pieces == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 1024;
		struct spm_piece *grown = mem_resize(m->piece, cap, sizeof(*grown));

		if (!grown)
			return err_set(r->e, ERR_NOMEM, "%s: memory ran out", m->path);
		m->piece = grown;
		m->cap = cap;
	}
	m->piece[m->n_pieces++] = (struct spm_piece){.type = SPM_NORMAL};
	rc = read_inside(r, v, fields, sizeof(fields) / sizeof(fields[0]));
	return rc == 0 ? check_piece(r, last(r)) : rc;
}

/* ---- how it was trained, and normalizes --------------------------------- */

#define TAKE(name, member, what) \
	static int name(struct reader *r, const struct value *v) \
	{ \
		r->m->member = v->what; \
		return 0; \
	}
TAKE(take_model_type, model_type, number)
TAKE(take_suffix, space_as_suffix, number != 0)
TAKE(take_fallback, byte_fallback, number != 0)
TAKE(take_bos, bos, number)
TAKE(take_eos, eos, number)
TAKE(take_name, normalizer, bytes)
TAKE(take_charsmap, charsmap, bytes)
TAKE(take_prefix, dummy_prefix, number != 0)
TAKE(take_escape, escape_spaces, number != 0)
TAKE(take_rules, rules, bytes)

static int
take_trainer(struct reader *r, const struct value *v)
{
	static const struct field fields[] = {
		{3, WIRE_VARINT, take_model_type},
		{24, WIRE_VARINT, take_suffix},
		{35, WIRE_VARINT, take_fallback},
		{41, WIRE_VARINT, take_bos},
		{42, WIRE_VARINT, take_eos},
	};

	return read_inside(r, v, fields, sizeof(fields) / sizeof(fields[0]));
}

static int
take_normalizer(struct reader *r, const struct value *v)
{
	static const struct field fields[] = {
		{1, WIRE_BYTES, take_name},
		{2, WIRE_BYTES, take_charsmap},
		{3, WIRE_VARINT, take_prefix},
		{5, WIRE_VARINT, take_escape},
		{6, WIRE_BYTES, take_rules},
	};

	return read_inside(r, v, fields, sizeof(fields) / sizeof(fields[0]));
}

int
spm_read(struct spm *m, const char *path, const void *p, size_t n_bytes, struct err *e)
{
	static const struct field fields[] = {
		{1, WIRE_BYTES, take_pieces},
		{2, WIRE_BYTES, take_trainer},
		{3, WIRE_BYTES, take_normalizer},
	};
	struct reader r = {.m = m, .start = p, .c = cur_of(p, n_bytes), .e = e};
	int rc;

	*m = (struct spm){.path = path,
		.model_type = 1,
		.bos = 1,
		.eos = 2,
		.dummy_prefix = true,
		.escape_spaces = true};
	rc = read_fields(&r, fields, sizeof(fields) / sizeof(fields[0]));
	if (rc == 0 && m->n_pieces == 0)
		rc = err_set(e, ERR_FORMAT, "%s: pieces: is empty", path);
	return rc;
}

void
spm_clear(struct spm *m)
{
	mem_free(m->piece);
}
