/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What fires on a list of tokens, put together from several windows. */
struct rows {
	uint32_t n; /* tokens */
	uint32_t *id, *window, *offset; /* (n) */
	uint64_t *start, *end; /* (n) bytes in the document */
	struct piece *piece; /* (n) */
	uint32_t *row_start; /* (n + 1) */
	struct buf feature,
		value; /* owned: uint32_t and float, one each an activation */
	struct buf patches; /* owned: of read_patches() */
};

static int
rows_new(struct req *q, struct rows *r, uint32_t cap, struct err *e)
{
	*r = (struct rows){0};
	r->id = req_alloc(q, cap, sizeof(*r->id), e);
	r->window = req_alloc(q, cap, sizeof(*r->window), e);
	r->offset = req_alloc(q, cap, sizeof(*r->offset), e);
	r->start = req_alloc(q, cap, sizeof(*r->start), e);
	r->end = req_alloc(q, cap, sizeof(*r->end), e);
	r->piece = req_alloc(q, cap, sizeof(*r->piece), e);
	r->row_start = req_alloc(q, (size_t)cap + 1, sizeof(*r->row_start), e);
	if (r->id == NULL || r->window == NULL || r->offset == NULL ||
		r->start == NULL || r->end == NULL || r->piece == NULL ||
		r->row_start == NULL)
		return ERR_NOMEM;
	r->row_start[0] = 0;
	buf_init(&r->feature);
	buf_init(&r->value);
	buf_init(&r->patches);
	return 0;
}

static void
rows_clear(struct rows *r)
{
	buf_clear(&r->feature);
	buf_clear(&r->value);
	buf_clear(&r->patches);
}

struct active {
	uint32_t feature;
	float value;
};

static int
by_value(const void *a, const void *b)
{
	const struct active *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->feature < y->feature ? -1 : x->feature > y->feature;
}

/* One token's activations: all, ascending by feature; or the top strongest. */
static int
rows_add(struct req *q, struct rows *r, const struct rec_acts *acts, uint32_t at,
	uint32_t top, struct err *e)
{
	uint32_t from = acts->row_start[at], n = acts->row_start[at + 1] - from;
	struct active *x;

	if (top == 0) {
		buf_put(&r->feature, acts->feature + from, n * sizeof(uint32_t));
		buf_put(&r->value, acts->value + from, n * sizeof(float));
		return 0;
	}
	x = req_alloc(q, n, sizeof(*x), e);
	if (x == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++)
		x[i] = (struct active){acts->feature[from + i], acts->value[from + i]};
	qsort(x, n, sizeof(*x), by_value);
	for (uint32_t i = 0; i < n && i < top; i++) {
		buf_put(&r->feature, &x[i].feature, sizeof(uint32_t));
		buf_put(&r->value, &x[i].value, sizeof(float));
	}
	return 0;
}

/* The tokens [first, first + n) of a window. */
static int
rows_window(struct req *q, const struct target *t, struct rows *r, uint32_t window,
	const struct rec_window *w, uint32_t first, uint32_t n, struct err *e)
{
	uint32_t top = (uint32_t)args_int(&q->args, "top");
	struct rec_acts acts;
	struct piece *piece;
	int rc = read_pieces(q, t->r->cut, w, first, n, &piece, e);

	if (rc == 0)
		rc = store_acts(q->view, t->run, t->slot, window, first, n, &acts,
			q->arena, e);
	if (rc == 0)
		rc = read_patches(q, t->r->cut, window, first, n, &r->patches, e);
	if (rc < 0)
		return rc;
	assert(acts.n_tokens == n);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		r->id[r->n] = w->token[first + i];
		r->window[r->n] = window;
		r->offset[r->n] = first + i;
		r->start[r->n] =
			window_doc_byte(w, first + i, w->text_start[first + i]);
		r->end[r->n] = window_doc_byte(w, first + i, w->text_end[first + i]);
		r->piece[r->n] = piece[i];
		rc = rows_add(q, r, &acts, i, top, e);
		r->row_start[++r->n] = (uint32_t)(r->value.n_bytes / sizeof(float));
	}
	if (rc == 0 && (r->feature.failed || r->value.failed))
		rc = err_set(e, ERR_NOMEM,
			"no memory for the activations; ask for fewer "
			"tokens");
	return rc;
}

/* ---- writing -------------------------------------------------------------- */

static void
put_numbers(struct out *o, const char *key, const uint32_t *x, size_t n)
{
	out_key(o, key);
	out_array(o, n);
	for (size_t i = 0; i < n; i++)
		out_uint(o, x[i]);
	out_end(o);
}

static void
put_bytes_at(struct out *o, const char *key, const uint64_t *x, size_t n)
{
	out_key(o, key);
	out_array(o, n);
	for (size_t i = 0; i < n; i++)
		out_uint(o, x[i]);
	out_end(o);
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Labels of all features that fire, each once. */
static int
put_labels(struct req *q, struct out *o, const struct target *t, const struct rows *r,
	struct err *e)
{
	size_t n = r->feature.n_bytes / sizeof(uint32_t), n_ids = 0, n_labels = 0;
	uint32_t *id = req_alloc(q, n, sizeof(*id), e);
	struct store_label *label;
	char text[16];
	int rc;

	if (id == NULL)
		return ERR_NOMEM;
	if (n > 0) {
		memcpy(id, r->feature.data, n * sizeof(*id));
		qsort(id, n, sizeof(*id), by_number);
	}
	for (size_t i = 0; i < n; i++)
		if (i == 0 || id[i] != id[i - 1])
			id[n_ids++] = id[i];
	label = req_alloc(q, n_ids, sizeof(*label), e);
	if (label == NULL)
		return ERR_NOMEM;
	rc = read_best_labels(q, t, id, n_ids, label, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n_ids; i++)
		n_labels += label[i].text != NULL;
	out_key(o, "labels");
	out_map(o, n_labels);
	for (size_t i = 0; i < n_ids; i++) {
		if (label[i].text == NULL)
			continue;
		snprintf(text, sizeof(text), "%u", id[i]);
		out_str(o, text);
		out_text(o, label[i].text, strlen(label[i].text));
	}
	out_end(o);
	return 0;
}

#define ROWS_PAIRS 10

/* Of put_rows() and its head. */
static size_t
n_pairs(const struct req *q, const struct rows *r)
{
	return ROWS_PAIRS + N_PATCH_PAIRS(&r->patches) + args_bool(&q->args, "labels");
}

static int
put_rows(struct req *q, struct out *o, const struct target *t, const struct rows *r,
	uint64_t n_tokens, struct err *e)
{
	bool raw = args_bool(&q->args, "raw");
	size_t n = r->value.n_bytes / sizeof(float);
	int rc;

	out_key(o, "tokens");
	out_array(o, r->n);
	for (uint32_t i = 0; i < r->n; i++)
		put_bytes(o, r->piece[i].p, r->piece[i].n_bytes, raw);
	out_end(o);
	put_numbers(o, "ids", r->id, r->n);
	put_numbers(o, "windows", r->window, r->n);
	put_numbers(o, "offsets", r->offset, r->n);
	put_bytes_at(o, "starts", r->start, r->n);
	put_bytes_at(o, "ends", r->end, r->n);
	put_numbers(o, "row_start", r->row_start, (size_t)r->n + 1);
	put_numbers(o, "features", (const uint32_t *)(const void *)r->feature.data, n);
	out_key(o, "values");
	out_array(o, n);
	for (size_t i = 0; i < n; i++)
		out_f32(o, ((const float *)(const void *)r->value.data)[i]);
	out_end(o);
	out_key_uint(o, "n_tokens", n_tokens);
	rc = put_patches(q, o, t->r->cut, &r->patches, true, e);
	return rc == 0 && args_bool(&q->args, "labels") ? put_labels(q, o, t, r, e)
							: rc;
}

/* ---- a document's tokens -------------------------------------------------- */

struct span { /* counted through the document */
	uint64_t first, end, seen;
};

/* Takes those tokens of a window that are the document's and in the span. */
static int
document_window(struct req *q, const struct target *t, struct rows *r,
	const struct store_document *d, uint32_t window, struct span *span,
	struct err *e)
{
	struct rec_window w;
	int rc = read_window(q, t->r->cut, window, &w, e);

	for (uint32_t i = 0; i < w.n_segments && rc == 0; i++) {
		uint32_t at = w.segment[i].token, end = segment_end(&w, i), skip, n;

		if (w.segment[i].document != d->number || at >= end || end > w.n_tokens)
			continue;
		skip = span->seen < span->first
			? (uint32_t)(span->first - span->seen < end - at
					  ? span->first - span->seen
					  : end - at)
			: 0;
		n = end - at - skip;
		if (span->seen + skip + n > span->end)
			n = span->seen + skip < span->end
				? (uint32_t)(span->end - span->seen - skip)
				: 0;
		span->seen += end - at;
		if (n > 0)
			rc = rows_window(q, t, r, window, &w, at + skip, n, e);
	}
	return rc;
}

int
h_document_activations(struct req *q, struct out *o, struct err *e)
{
	uint32_t n = (uint32_t)args_int(&q->args, "n");
	struct store_document d;
	struct span span = {.first = (uint64_t)args_int(&q->args, "first")};
	struct target t;
	struct rows r;
	int rc = find_sae(q, "sae", &t, e);

	span.end = span.first + n;
	if (rc == 0)
		rc = find_run(q, &t, e);
	if (rc == 0)
		rc = find_document(q, t.r->cut, &d, e);
	if (rc == 0)
		rc = rows_new(q, &r, n, e);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < d.n_windows && rc == 0; i++)
		rc = document_window(q, &t, &r, &d, d.first_window + i, &span, e);
	if (rc == 0) {
		put_head_run(o, q, &t, n_pairs(q, &r));
		rc = put_rows(q, o, &t, &r, span.seen, e);
	}
	if (rc == 0)
		out_end(o);
	rows_clear(&r);
	return rc;
}

/* ---- a window's tokens ---------------------------------------------------- */

static int
put_segments(struct req *q, struct out *o, uint32_t cut, const struct rec_window *w,
	struct err *e)
{
	struct store_document d;
	int rc = 0;

	out_key(o, "document");
	out_array(o, w->n_segments);
	for (uint32_t i = 0; i < w->n_segments && rc == 0; i++) {
		rc = store_document(q->view, cut, w->segment[i].document, &d, q->arena,
			e);
		if (rc == 0)
			out_text(o, d.id, strlen(d.id));
	}
	if (rc == 0)
		out_end(o);
	return rc;
}

int
h_window_activations(struct req *q, struct out *o, struct err *e)
{
	uint32_t window = (uint32_t)args_int(&q->args, "window");
	uint32_t first = (uint32_t)args_int(&q->args, "first");
	uint32_t n = (uint32_t)args_int(&q->args, "n");
	struct rec_window w;
	struct target t;
	struct rows r;
	int rc = find_sae(q, "sae", &t, e);

	if (rc == 0)
		rc = find_run(q, &t, e);
	if (rc == 0 && window >= q->cat->cut[t.r->cut].n_windows)
		rc = err_arg(e, ERR_NOTFOUND, "window",
			"run %u has windows 0 to %u, not %u", t.r->number,
			q->cat->cut[t.r->cut].n_windows - 1, window);
	if (rc == 0)
		rc = read_window(q, t.r->cut, window, &w, e);
	if (rc < 0)
		return rc;
	first = first < w.n_tokens ? first : w.n_tokens;
	n = n < w.n_tokens - first ? n : w.n_tokens - first;
	rc = rows_new(q, &r, n, e);
	if (rc < 0)
		return rc;
	if (n > 0)
		rc = rows_window(q, &t, &r, window, &w, first, n, e);
	if (rc == 0) {
		put_head_run(o, q, &t, n_pairs(q, &r) + 1);
		rc = put_segments(q, o, t.r->cut, &w, e);
	}
	if (rc == 0)
		rc = put_rows(q, o, &t, &r, w.n_tokens, e);
	if (rc == 0)
		out_end(o);
	rows_clear(&r);
	return rc;
}

/* ---- every activation of a feature ---------------------------------------- */

/* Where it fires in one window. */
static int
feature_window(struct req *q, const struct target *t, struct rows *r,
	const struct rec_posting *p, struct err *e)
{
	struct arena *mine = q->arena, scratch;
	const struct rec_at *at;
	struct rec_window w;
	uint32_t n = 0;
	int rc;

	arena_init(&scratch, DAEMON_ARENA_BYTES);
	q->arena = &scratch;
	rc = read_fired(q, t, p, &w, &at, &n, e);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		uint32_t place[2] = {p->window, at[i].offset};

		buf_put(&r->feature, place, sizeof(place));
		buf_put(&r->value, &at[i].value, sizeof(at[i].value));
	}
	q->arena = mine;
	arena_clear(&scratch);
	if (rc == 0 && (r->feature.failed || r->value.failed))
		rc = err_set(e, ERR_NOMEM,
			"no memory for the activations; ask for fewer windows");
	return rc;
}

/* r->feature holds pairs of window and offset. */
static void
put_places(struct out *o, const struct rows *r, const char *key, size_t which)
{
	const uint32_t *at = (const uint32_t *)(const void *)r->feature.data;
	size_t n = r->value.n_bytes / sizeof(float);

	out_key(o, key);
	out_array(o, n);
	for (size_t i = 0; i < n; i++)
		out_uint(o, at[2 * i + which]);
	out_end(o);
}

int
h_feature_activations(struct req *q, struct out *o, struct err *e)
{
	int64_t after = args_int(&q->args, "after"),
		limit = args_int(&q->args, "limit");
	const struct rec_posting *p;
	size_t n_postings, i = 0, n_values;
	struct rows r;
	struct target t;
	int rc = find_feature_run(q, &t, e);

	if (rc == 0)
		rc = read_postings(q, &t, &p, &n_postings, e);
	if (rc == 0)
		rc = rows_new(q, &r, 0, e);
	if (rc < 0)
		return rc;
	while (i < n_postings && (int64_t)p[i].window <= after)
		i++;
	for (; i < n_postings && limit > 0 && rc == 0; i++, limit--)
		rc = feature_window(q, &t, &r, &p[i], e);
	if (rc == 0) {
		put_head_run(o, q, &t, 4);
		put_places(o, &r, "windows", 0);
		put_places(o, &r, "offsets", 1);
		n_values = r.value.n_bytes / sizeof(float);
		out_key(o, "values");
		out_array(o, n_values);
		for (size_t j = 0; j < n_values; j++)
			out_f32(o, ((const float *)(const void *)r.value.data)[j]);
		out_end(o);
		out_key(o, "next");
		if (i < n_postings && i > 0)
			out_uint(o, p[i - 1].window);
		else
			out_nil(o);
		out_end(o);
	}
	rows_clear(&r);
	return rc;
}
