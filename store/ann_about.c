/* SPDX-License-Identifier: ISC */
/*
 * What an approximate index is, and how good it was when it was built: a small file
 * beside it. Framed and checked as the sums of a run are.
 */
#include "store/ann_inner.h"
#include "util/hash.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "saedbann"
#define VERSION 1u
#define HEAD_BYTES ((size_t)20)

static const char *const direction_name[] = {"decoder", "encoder"};

void
ann_id(char out[OBJECT_ID_CHARS], const char *sae_id, enum store_direction direction,
	const char *factory)
{
	uint64_t hash = hash64(factory, strlen(factory), 0);

	snprintf(out, OBJECT_ID_CHARS, "%.16s-%s-%08x", sae_id,
		direction_name[direction], (unsigned)(hash & 0xffffffff));
}

bool
ann_id_direction(const char *id, enum store_direction *direction)
{
	for (unsigned i = 0; i < 2; i++)
		if (strlen(id) == 33 && id[16] == '-' && id[24] == '-' &&
			memcmp(id + 17, direction_name[i], 7) == 0) {
			*direction = (enum store_direction)i;
			return true;
		}
	return false;
}

static void
put_text(struct buf *b, const char *text)
{
	buf_varint(b, strlen(text));
	buf_puts(b, text);
}

int
ann_about_write(const char *path, const struct store_ann *x, struct err *e)
{
	struct buf b, body;
	int rc;

	buf_init(&body);
	put_text(&body, x->sae_id);
	buf_u8(&body, (uint8_t)x->direction);
	put_text(&body, x->factory);
	put_text(&body, x->parameter);
	buf_varint(&body, x->value);
	buf_varint(&body, x->n_candidates);
	buf_varint(&body, x->n_rows);
	buf_varint(&body, x->d);
	buf_f64(&body, x->recall);
	buf_varint(&body, x->n_queries);
	buf_f64(&body, x->build_s);
	buf_varint(&body, x->build_bytes);
	put_text(&body, x->version);
	put_text(&body, x->level);
	buf_init(&b);
	buf_put(&b, MAGIC, 8);
	buf_u32(&b, VERSION);
	buf_u64(&b, body.n_bytes);
	buf_put(&b, body.data, body.n_bytes);
	buf_u64(&b, b.failed ? 0 : hash64(b.data, b.n_bytes, 0));
	rc = b.failed || body.failed ? err_set(e, ERR_NOMEM, "%s: no memory", path)
				     : file_write_atomic(path, b.data, b.n_bytes, e);
	buf_clear(&b);
	buf_clear(&body);
	return rc;
}

static void
take_text(struct cur *c, char *out, size_t size)
{
	uint64_t n = cur_varint(c);
	const void *p = n < size ? cur_take(c, (size_t)n) : NULL;

	out[0] = '\0';
	if (p == NULL) {
		c->failed = true;
		return;
	}
	memcpy(out, p, (size_t)n);
	out[n] = '\0';
}

static uint32_t
take_u32(struct cur *c)
{
	uint64_t v = cur_varint(c);

	c->failed |= v > UINT32_MAX;
	return (uint32_t)v;
}

static bool
take_body(struct cur *c, struct store_ann *x)
{
	uint8_t direction;

	take_text(c, x->sae_id, sizeof(x->sae_id));
	direction = cur_u8(c);
	x->direction = direction == 1 ? STORE_ENCODER : STORE_DECODER;
	take_text(c, x->factory, sizeof(x->factory));
	take_text(c, x->parameter, sizeof(x->parameter));
	x->value = take_u32(c);
	x->n_candidates = take_u32(c);
	x->n_rows = take_u32(c);
	x->d = take_u32(c);
	x->recall = cur_f64(c);
	x->n_queries = take_u32(c);
	x->build_s = cur_f64(c);
	x->build_bytes = cur_varint(c);
	take_text(c, x->version, sizeof(x->version));
	take_text(c, x->level, sizeof(x->level));
	return !c->failed && cur_left(c) == 0 && direction <= 1 && x->recall >= 0 &&
		x->recall <= 1 && x->n_candidates > 0;
}

void
ann_describe(struct store_ann *x)
{
	if (x->parameter[0] != '\0')
		snprintf(x->text, sizeof(x->text), "%s, %s %u, %u candidates",
			x->factory, x->parameter, x->value, x->n_candidates);
	else
		snprintf(x->text, sizeof(x->text), "%s, %u candidates", x->factory,
			x->n_candidates);
}

int
ann_about_read(struct store_ann *x, const void *p, size_t n_bytes, struct err *e)
{
	struct cur c = cur_of(p, n_bytes), body;
	const void *magic = cur_take(&c, 8);
	uint32_t version = cur_u32(&c);
	uint64_t n = cur_u64(&c);

	memset(x, 0, sizeof(*x));
	if (c.failed || memcmp(magic, MAGIC, 8) != 0)
		return err_set(e, ERR_CORRUPT, "no record of an index");
	if (version != VERSION)
		return err_set(e, ERR_VERSION,
			"a record of version %u; this saedb reads %u", version,
			VERSION);
	if (cur_left(&c) < 8 || n != cur_left(&c) - 8)
		return err_set(e, ERR_CORRUPT, "the record is cut short");
	body = cur_of(cur_take(&c, (size_t)n), (size_t)n);
	if (cur_u64(&c) != hash64(p, HEAD_BYTES + (size_t)n, 0))
		return err_set(e, ERR_CORRUPT,
			"the record does not match its checksum");
	if (!take_body(&body, x))
		return err_set(e, ERR_CORRUPT, "the record of an index is malformed");
	ann_describe(x);
	return 0;
}
