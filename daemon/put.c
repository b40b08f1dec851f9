/* SPDX-License-Identifier: ISC */
/* What several answers share: reading records, and the words of results. */
#include "daemon/req.h"

#include "util/hash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void *
req_alloc(struct req *q, size_t n, size_t size, struct err *e)
{
	void *p = arena_alloc(q->arena, n, size);

	if (p == NULL)
		err_set(e, ERR_NOMEM,
			"the request needs too much memory; ask for less at "
			"once");
	return p;
}

/* ---- words --------------------------------------------------------------- */

void
put_head(struct out *o, const struct req *q, size_t n_pairs)
{
	out_map(o, 1 + n_pairs);
	out_key_uint(o, "generation", q->cat->generation);
}

void
put_head_run(struct out *o, const struct req *q, const struct target *t, size_t n_pairs)
{
	put_head(o, q, 2 + n_pairs);
	out_key_uint(o, "run", t->r->number);
	out_key_str(o, "sae", t->s->name);
}

void
put_address(struct out *o, const struct cat_sae *s, uint32_t index)
{
	char text[LIMIT_NAME_BYTES + 12];
	int n = snprintf(text, sizeof(text), "%s/%u", s->name, index);

	out_text(o, text, (size_t)n);
}

void
put_bytes(struct out *o, const char *p, size_t n_bytes, bool raw)
{
	if (raw)
		out_bin(o, p, n_bytes);
	else
		out_text(o, p, n_bytes);
}

static void
put_words(struct out *o, const char *s)
{
	if (s == NULL)
		out_nil(o);
	else
		out_text(o, s, strlen(s));
}

void
put_best_label(struct out *o, const struct store_label *l)
{
	out_key(o, "label");
	put_words(o, l != NULL ? l->text : NULL);
	out_key(o, "source");
	put_words(o, l != NULL && l->text != NULL ? l->source : NULL);
}

void
put_row(struct out *o, const struct target *t, const struct feature_row *r,
	const struct store_label *label)
{
	out_key(o, "feature");
	put_address(o, t->s, r->index);
	out_key_uint(o, "index", r->index);
	if (cat_sought(t->rs, r->index)) {
		out_key_uint(o, "count", r->count);
		out_key_f64(o, "density", r->density);
		out_key_f32(o, "max", r->max);
		out_key_f64(o, "mean", r->mean);
	} else {
		static const char *const unknown[] = {"count", "density", "max",
			"mean"};

		for (size_t i = 0; i < 4; i++)
			out_key_str(o, unknown[i], NULL);
	}
	put_best_label(o, label);
}

void
put_row_of(struct feature_row *row, uint32_t index, const struct rec_feature *f,
	uint64_t n_tokens)
{
	*row = (struct feature_row){
		.index = index,
		.count = f->count,
		.density = n_tokens > 0 ? (double)f->count / (double)n_tokens : 0,
		.mean = f->count > 0 ? f->sum / (double)f->count : 0,
		.max = f->max,
	};
}

void
put_label(struct out *o, const struct store_label *l, const struct cat_sae *s,
	bool with_index)
{
	char hex[65];

	hash_hex(l->sae_hash, sizeof(l->sae_hash), hex);
	out_map(o, with_index ? 9 : 8);
	out_key_int(o, "id", l->id);
	out_key(o, "feature");
	if (s != NULL)
		put_address(o, s, l->feature);
	else
		out_nil(o);
	if (with_index)
		out_key_uint(o, "index", l->feature);
	out_key_str(o, "sae_hash", hex);
	out_key(o, "text");
	put_words(o, l->text);
	out_key(o, "source");
	put_words(o, l->source);
	out_key(o, "author");
	put_words(o, l->author);
	out_key_int(o, "time_s", l->time_s);
	out_key(o, "score");
	if (l->has_score)
		out_f64(o, l->score);
	else
		out_nil(o);
	out_end(o);
}

/* ---- records ------------------------------------------------------------- */

int
read_feature(struct req *q, const struct target *t, uint32_t index,
	struct rec_feature *out, struct err *e)
{
	struct store_place place = {TABLE_FEATURE, t->run, t->slot};
	struct store_value v;
	int rc;

	*out = (struct rec_feature){0};
	rc = store_mget(q->view, place, &index, 1, &v, q->arena, e);
	if (rc < 0 || v.p == NULL)
		return rc;
	return rec_feature_unpack(out, v.p, v.n_bytes, q->arena, e);
}

int
read_window(struct req *q, uint32_t cut, uint32_t window, struct rec_window *out,
	struct err *e)
{
	struct store_place place = {TABLE_WINDOW, cut, 0};
	struct store_value v;
	int rc = store_mget(q->view, place, &window, 1, &v, q->arena, e);

	if (rc < 0)
		return rc;
	if (v.p == NULL)
		return err_set(e, ERR_NOTFOUND, "there is no window %u", window);
	return rec_window_unpack(out, v.p, v.n_bytes, q->arena, e);
}

static struct labels_of
labels_of(const struct req *q, const struct target *t)
{
	return (struct labels_of){
		.view = q->view,
		.epoch = q->daemon->labels ? q->label_epoch : 0,
		.run = t->run,
		.slot = t->slot,
	};
}

int
read_labels(struct req *q, const struct target *t, uint32_t feature,
	const struct store_label **out, uint32_t *n, struct err *e)
{
	struct labels_of of = labels_of(q, t);

	return labels_get(q->labels, &of, feature, out, n, q->arena, e);
}

int
read_best_labels(struct req *q, const struct target *t, const uint32_t *ids, size_t n,
	struct store_label *out, struct err *e)
{
	struct labels_of of = labels_of(q, t);

	return labels_best(q->labels, &of, ids, n, out, q->arena, e);
}

int
find_document(struct req *q, uint32_t cut, struct store_document *out, struct err *e)
{
	int rc = store_document_by_id(q->view, cut, args_str(&q->args, "document"), out,
		q->arena, e);

	if (rc == ERR_NOTFOUND)
		snprintf(e->arg, sizeof(e->arg), "document");
	return rc < 0 ? rc : find_windows(q, cut, out, e);
}

int
read_postings(struct req *q, const struct target *t, const struct rec_posting **out,
	size_t *n, struct err *e)
{
	struct store_place place = {TABLE_POSTINGS, t->run, t->slot};
	struct store_value v;
	int rc = store_mget(q->view, place, &t->index, 1, &v, q->arena, e);

	*out = NULL;
	*n = 0;
	if (rc < 0 || v.p == NULL)
		return rc;
	return rec_postings_unpack(out, n, v.p, v.n_bytes, q->arena, e);
}

const float *
acts_value(const struct rec_acts *acts, uint32_t i, uint32_t feature)
{
	uint32_t lo = acts->row_start[i], hi = acts->row_start[i + 1];

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (acts->feature[mid] < feature)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < acts->row_start[i + 1] && acts->feature[lo] == feature
		? &acts->value[lo]
		: NULL;
}

const struct rec_segment *
window_segment(const struct rec_window *w, uint32_t offset)
{
	const struct rec_segment *s = w->segment;

	for (uint32_t i = 1; i < w->n_segments && w->segment[i].token <= offset; i++)
		s = &w->segment[i];
	return w->n_segments > 0 ? s : NULL;
}

uint64_t
window_doc_byte(const struct rec_window *w, uint32_t token, uint32_t text_byte)
{
	const struct rec_segment *s = window_segment(w, token);

	if (s == NULL || text_byte < s->text_start)
		return s != NULL ? s->doc_start : 0;
	return s->doc_start + (text_byte - s->text_start);
}

uint32_t
segment_end(const struct rec_window *w, uint32_t segment)
{
	return segment + 1 < w->n_segments ? w->segment[segment + 1].token
					   : w->n_tokens;
}

/* Tokens without text (BOS and others that were put in) by their vocabulary. */
static int
name_inserted(struct req *q, uint32_t cut, const uint32_t *ids, struct piece *piece,
	uint32_t n, struct err *e)
{
	struct store_token token;

	for (uint32_t i = 0; i < n; i++) {
		int rc;

		if (piece[i].n_bytes > 0)
			continue;
		rc = vocab_get(q->vocab, q->view, cut, &ids[i], 1, &token, q->arena, e);
		if (rc < 0)
			return rc;
		if (token.bytes != NULL)
			piece[i] = (struct piece){token.bytes, token.n_bytes};
	}
	return 0;
}

int
read_pieces(struct req *q, uint32_t cut, const struct rec_window *w, uint32_t first,
	uint32_t n, struct piece **out, struct err *e)
{
	struct piece *piece = req_alloc(q, n, sizeof(*piece), e);

	assert(first <= w->n_tokens && n <= w->n_tokens - first);
	if (piece == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t from = w->text_start[first + i], to = w->text_end[first + i];

		if (from > to || to > w->n_text_bytes)
			return err_set(e, ERR_CORRUPT,
				"token %u of a window of cut %u lies "
				"outside its text",
				first + i, cut);
		piece[i] = (struct piece){w->text + from, to - from};
	}
	*out = piece;
	return name_inserted(q, cut, w->token + first, piece, n, e);
}
