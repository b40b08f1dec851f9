/* SPDX-License-Identifier: ISC */
/* The vocabulary and the merges of a tokenizer.json. */
#include "model/tok_load.h"
#include "util/mem.h"

#include <string.h>

/* ---- the vocabulary ----------------------------------------------------- */

static int
count_added(const struct part *added, uint64_t *most, bool *any, struct err *e)
{
	uint64_t id;

	if (part_none(added))
		return 0;
	if (part_list(added, e) < 0)
		return e->code;
	for (size_t i = 0; i < js_n(added->v); i++) {
		struct part x = part_at(added, i), of = part_get(&x, "id");

		if (!js_u64(of.v, &id) || id >= TOK_IDS_MAX)
			return part_bad(&of, e, "must be an integer below %u",
				TOK_IDS_MAX);
		*most = id > *most ? id : *most;
		*any = true;
	}
	return 0;
}

/* One past the largest id of the vocabulary and the added tokens. */
static int
count_ids(struct loader *l, const struct part *added, struct err *e)
{
	uint64_t id, most = 0;
	bool any = false;
	int rc;

	for (void *it = js_first(l->vocab); it; it = js_next(l->vocab, it)) {
		if (!js_u64(js_value(it), &id) || id >= TOK_IDS_MAX)
			return err_set(e, ERR_FORMAT,
				"%s: model.vocab: the id of \"%.80s\" must be an "
				"integer below %u",
				l->t->path, js_key(it, NULL), TOK_IDS_MAX);
		most = id > most ? id : most;
		any = true;
	}
	rc = count_added(added, &most, &any, e);
	if (rc < 0)
		return rc;
	if (!any)
		return err_set(e, ERR_FORMAT, "%s: model.vocab: is empty", l->t->path);
	l->t->n_ids = (size_t)most + 1;
	l->t->entry = mem_new(l->t->n_ids, sizeof(*l->t->entry));
	return l->t->entry ? 0 : load_no_memory(l, e);
}

static const char *
blob_put(struct loader *l, const void *p, size_t n, uint32_t *n_out)
{
	uintptr_t at = l->blob.n_bytes + 1; /* an offset until load_settle() */

	buf_put(&l->blob, p, n);
	*n_out = (uint32_t)n;
	return (const char *)at;
}

void
load_entry(struct loader *l, uint32_t id, const char *s, size_t n, bool in_model)
{
	struct tok_entry *x = &l->t->entry[id];
	const struct buf *bytes;

	x->in_model = in_model;
	if (l->t->bpe.chars) {
		x->is_byte = decode_hex(s, n) >= 0;
		x->piece = blob_put(l, s, n, &x->n_piece);
		bytes = decode_piece(l, s, n);
		if (bytes)
			x->bytes =
				blob_put(l, bytes->data, bytes->n_bytes, &x->n_bytes);
		else
			l->blob.failed = true;
		return;
	}
	buf_reset(&l->scratch);
	if (in_model && decode_alphabet(&l->scratch, s, n)) {
		x->piece =
			blob_put(l, l->scratch.data, l->scratch.n_bytes, &x->n_piece);
		l->blob.failed |= l->scratch.failed;
	} else {
		x->in_model = false;
		x->piece = blob_put(l, s, n, &x->n_piece);
	}
	x->bytes = x->piece;
	x->n_bytes = x->n_piece;
}

int
load_vocab(struct loader *l, const struct part *added, struct err *e)
{
	int rc = count_ids(l, added, e);

	if (rc < 0)
		return rc;
	for (void *it = js_first(l->vocab); it; it = js_next(l->vocab, it)) {
		uint64_t id = 0;
		size_t n;
		const char *s = js_key(it, &n);

		js_u64(js_value(it), &id);
		if (l->t->entry[id].bytes)
			return err_set(e, ERR_FORMAT,
				"%s: model.vocab: \"%.80s\" and another token both "
				"have id %u",
				l->t->path, s, (unsigned)id);
		load_entry(l, (uint32_t)id, s, n, true);
	}
	return 0;
}

int
load_settle(struct loader *l, struct err *e)
{
	struct tok *t = l->t;

	if (l->blob.failed)
		return load_no_memory(l, e);
	t->blob = mem_new(l->blob.n_bytes + 1, 1);
	if (!t->blob)
		return load_no_memory(l, e);
	if (l->blob.n_bytes > 0)
		memcpy(t->blob, l->blob.data, l->blob.n_bytes);
	for (size_t i = 0; i < t->n_ids; i++) {
		struct tok_entry *x = &t->entry[i];

		if (!x->bytes)
			continue;
		x->bytes = t->blob + ((uintptr_t)x->bytes - 1);
		x->piece = t->blob + ((uintptr_t)x->piece - 1);
	}
	return 0;
}

uint32_t
load_id(struct loader *l, const char *s, size_t n)
{
	uint64_t id;
	const char *key;

	buf_reset(&l->scratch);
	buf_put(&l->scratch, s, n);
	key = buf_str(&l->scratch);
	return key && js_u64(js_get(l->vocab, key), &id) ? (uint32_t)id : TOK_NONE;
}

/* ---- merges ------------------------------------------------------------- */

/* Both halves of one merge: "a b", or ["a", "b"]. */
static bool
merge_halves(const struct js *v, const char **left, size_t *n_left, const char **right,
	size_t *n_right)
{
	size_t n;
	const char *s = js_str(v, &n);

	if (!s) {
		*left = js_str(js_at(v, 0), n_left);
		*right = js_str(js_at(v, 1), n_right);
		return js_n(v) == 2 && *left && *right;
	}
	*left = s;
	*right = memchr(s, ' ', n);
	if (!*right)
		return false;
	*n_left = (size_t)(*right - s);
	*n_right = n - *n_left - 1;
	++*right;
	return !memchr(*right, ' ', *n_right);
}

static int
load_merge(struct loader *l, const struct part *p, uint32_t rank, struct err *e)
{
	const char *left, *right;
	size_t n_left, n_right;
	uint32_t a, b, joined;
	struct buf *whole = &l->decoded[0];

	if (!merge_halves(p->v, &left, &n_left, &right, &n_right))
		return part_bad(p, e, "is not a pair");
	a = load_id(l, left, n_left);
	b = load_id(l, right, n_right);
	buf_reset(whole);
	buf_put(whole, left, n_left);
	buf_put(whole, right, n_right);
	joined = load_id(l, (const char *)whole->data, whole->n_bytes);
	if (whole->failed || l->scratch.failed)
		return load_no_memory(l, e);
	if (a == TOK_NONE || b == TOK_NONE || joined == TOK_NONE)
		return part_bad(p, e,
			"\"%.*s\" and \"%.*s\": a part or the whole is not in the "
			"vocabulary",
			(int)(n_left < 80 ? n_left : 80), left,
			(int)(n_right < 80 ? n_right : 80), right);
	vocab_merge_put(l->t, a, b, rank, joined);
	return 0;
}

int
load_merges(struct loader *l, const struct part *merges, struct err *e)
{
	size_t n = js_n(merges->v);
	uint32_t rank = 0;
	int rc = part_list(merges, e);

	if (rc == 0 && n > 4 * (size_t)TOK_IDS_MAX)
		rc = part_bad(merges, e, "%zu merges are too many", n);
	if (rc == 0)
		rc = vocab_merges_alloc(&l->t->bpe, n, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct part x = {.l = l, .v = js_at(merges->v, i)};
		const char *s = js_str(x.v, NULL);

		if (s && strncmp(s, "#version", 8) == 0)
			continue;
		rc = load_merge(l, &x, rank++, e);
		if (rc == ERR_FORMAT) { /* once more, with its place */
			x = part_at(merges, i);
			rc = load_merge(l, &x, rank, e);
		}
	}
	return rc;
}
