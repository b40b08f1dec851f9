/* SPDX-License-Identifier: ISC */
#include "model/tok.h"

#include "model/tok_int.h"
#include "util/hash.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <string.h>

int
tok_open(struct tok **out, const char *dir, struct err *e)
{
	struct tok *t = mem_new(1, sizeof(*t));
	int rc;

	if (!t)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", dir);
	rc = tok_load(t, dir, e);
	if (rc == 0)
		rc = added_index(t, e);
	if (rc < 0) {
		tok_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

void
tok_close(struct tok *t)
{
	if (!t)
		return;
	added_clear(t);
	tok_vocab_clear(&t->bpe);
	for (size_t i = 0; i < t->n_norms; i++)
		norm_clear(&t->norm[i]);
	for (size_t i = 0; i < t->n_stages; i++)
		re_free(t->stage[i].re);
	mem_free(t->entry);
	mem_free(t->blob);
	mem_free(t->path);
	mem_free(t);
}

int
tok_work_new(struct tok_work **out, const struct tok *t, struct err *e)
{
	struct tok_work *w = mem_new(1, sizeof(*w));
	int rc;

	(void)t; /* the cache is made by the first word */
	if (!w)
		return err_set(e, ERR_NOMEM, "memory ran out");
	rc = re_work_new(&w->re, e);
	if (rc < 0) {
		tok_work_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void
tok_work_free(struct tok_work *w)
{
	if (!w)
		return;
	re_work_free(w->re);
	map_clear(&w->norm[0]);
	map_clear(&w->norm[1]);
	for (size_t i = 0; i < STAGES_MAX; i++)
		map_clear(&w->stage[i]);
	mem_free(w->cache);
	mem_free(w->symbol);
	mem_free(w->heap);
	mem_free(w);
}

void
tok_ids_clear(struct tok_ids *ids)
{
	mem_free(ids->id);
	mem_free(ids->start);
	mem_free(ids->end);
	*ids = (struct tok_ids){0};
}

/* ---- encoding ----------------------------------------------------------- */

static int
encode_valid(const struct tok *t, struct tok_work *w, const char *input, size_t a,
	size_t b, bool parse_special, struct tok_ids *out, struct err *e)
{
	const struct tok_text in = {.p = input + a,
		.n_bytes = b - a,
		.base = (uint32_t)a};
	struct tok_text text;
	size_t last = 0, resume = 0, x, y;
	uint32_t id;
	int rc = norm_all(t->norm, t->n_norms, w->re, w->norm, &in, &text, e);

	while (rc == 0) {
		rc = added_next(t, w, &t->normalized, &text, last, parse_special,
			&resume, &x, &y, &id, e);
		if (rc <= 0)
			break;
		rc = last < x ? pre_run(t, w, &text, last, x, out, e) : 0;
		if (rc == 0)
			rc = tok_emit(&text, x, y, id, out, e);
		last = y;
	}
	if (rc == 0 && last < text.n_bytes)
		rc = pre_run(t, w, &text, last, text.n_bytes, out, e);
	return rc;
}

/* A byte that is not UTF-8: its own token, by the byte-level alphabet or as
 * <0xHH>. */
static int
encode_byte(const struct tok *t, const char *input, size_t at, struct tok_ids *out,
	struct err *e)
{
	struct tok_text text = {.p = input + at, .n_bytes = 1, .base = (uint32_t)at};
	uint32_t id = t->bpe.byte_id[(uint8_t)input[at]];

	if (id == TOK_NONE)
		id = t->bpe.unk;
	return id == TOK_NONE ? 0 : tok_emit(&text, 0, 1, id, out, e);
}

static int
encode_piece(const struct tok *t, struct tok_work *w, const char *input, size_t a,
	size_t b, bool parse_special, struct tok_ids *out, struct err *e)
{
	int rc = 0;

	while (rc == 0 && a < b) {
		size_t n = utf8_valid(input + a, b - a);

		if (n > 0)
			rc = encode_valid(t, w, input, a, a + n, parse_special, out, e);
		a += n;
		while (rc == 0 && a < b && utf8_next(input + a, b - a, NULL) == 0)
			rc = encode_byte(t, input, a++, out, e);
	}
	return rc;
}

int
tok_encode(const struct tok *t, struct tok_work *w, const char *text, size_t n_bytes,
	bool parse_special, struct tok_ids *out, struct err *e)
{
	struct tok_text all = {.p = text, .n_bytes = n_bytes};
	size_t last = 0, resume = 0, a, b;
	uint32_t id;
	int rc = 0;

	if (n_bytes >= UINT32_MAX)
		return err_set(e, ERR_LIMIT, "a text of %zu bytes, at most %u", n_bytes,
			UINT32_MAX - 1);
	while (rc == 0) {
		rc = added_next(t, w, &t->raw, &all, last, parse_special, &resume, &a,
			&b, &id, e);
		if (rc <= 0)
			break;
		rc = last < a ? encode_piece(t, w, text, last, a, parse_special, out, e)
			      : 0;
		if (rc == 0)
			rc = tok_emit(&all, a, b, id, out, e);
		last = b;
	}
	if (rc == 0 && last < n_bytes)
		rc = encode_piece(t, w, text, last, n_bytes, parse_special, out, e);
	return rc;
}

/* ---- looking up --------------------------------------------------------- */

size_t
tok_n_vocab(const struct tok *t)
{
	return t->n_ids;
}

const char *
tok_bytes(const struct tok *t, uint32_t id, size_t *n_bytes)
{
	*n_bytes = 0;
	if (id >= t->n_ids || !t->entry[id].bytes)
		return NULL;
	*n_bytes = t->entry[id].n_bytes;
	return t->entry[id].bytes;
}

int64_t
tok_find(const struct tok *t, const char *bytes, size_t n_bytes)
{
	uint32_t id = vocab_find_bytes(t, bytes, n_bytes);

	for (size_t i = 0; id == TOK_NONE && i < t->n_added; i++) {
		const struct tok_entry *x = &t->entry[t->added[i].id];

		if (x->n_bytes == n_bytes && memcmp(x->bytes, bytes, n_bytes) == 0)
			id = t->added[i].id;
	}
	return id == TOK_NONE ? -1 : (int64_t)id;
}

bool
tok_is_special(const struct tok *t, uint32_t id)
{
	return id < t->n_ids && t->entry[id].special;
}

int64_t
tok_bos(const struct tok *t)
{
	return t->bos;
}

int64_t
tok_eos(const struct tok *t)
{
	return t->eos;
}

int
tok_sha256(const struct tok *t, uint8_t out[32], struct err *e)
{
	(void)e;
	memcpy(out, t->hash, 32);
	return 0;
}
