/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

#define DOCUMENT_PAIRS 6

/* Metadata that is no JSON object after all is shown as nil. */
static void
put_document(struct out *o, const struct store_document *d)
{
	struct err ignored = ERR_INIT;

	out_key(o, "document");
	out_text(o, d->id, strlen(d->id));
	out_key_uint(o, "number", d->number);
	out_key_uint(o, "n_bytes", d->n_bytes);
	out_key(o, "meta");
	out_json_text(o, d->meta, &ignored);
	out_key_uint(o, "first_window", d->first_window);
	out_key_uint(o, "n_windows", d->n_windows);
}

/* ---- lists ---------------------------------------------------------------- */

struct page {
	uint32_t run, after, limit;
	const char *key, *value;
	uint64_t check;
};

static int
find_page(struct req *q, struct page *p, struct err *e)
{
	struct cursor c;
	int rc;

	*p = (struct page){
		.limit = (uint32_t)args_int(&q->args, "limit") + 1,
		.key = args_str(&q->args, "key"),
		.value = args_str(&q->args, "value"),
		.check = 2,
	};
	if ((p->key == NULL) != (p->value == NULL))
		return err_arg(e, ERR_MISSING, p->key == NULL ? "key" : "value",
			"key and value go together");
	if (p->key != NULL)
		p->check = hash64(p->value, strlen(p->value),
			hash64(p->key, strlen(p->key), 2));
	rc = cursor_read(q, p->check, &c, e);
	if (rc == 0)
		return find_any_run(q, &p->run, e);
	if (rc == 1)
		rc = cursor_run(q, &c, &p->run, e);
	p->after = (uint32_t)c.index;
	return rc;
}

int
h_document_list(struct req *q, struct out *o, struct err *e)
{
	struct store_document *d;
	const struct cat_run *r;
	struct page p;
	uint32_t n = 0;
	bool more;
	int rc = find_page(q, &p, e);

	if (rc < 0)
		return rc;
	r = &q->cat->run[p.run];
	d = req_alloc(q, p.limit, sizeof(*d), e);
	if (d == NULL)
		return ERR_NOMEM;
	rc = store_documents(q->view, r->cut, p.after, p.key, p.value, p.limit, d, &n,
		q->arena, e);
	if (rc < 0)
		return rc;
	more = n == p.limit;
	n -= more;
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = find_windows(q, r->cut, &d[i], e);
	if (rc < 0)
		return rc;
	put_head(o, q, more ? 3 : 2);
	out_key_uint(o, "run", r->number);
	out_key(o, "documents");
	out_array(o, n);
	for (uint32_t i = 0; i < n; i++) {
		out_map(o, DOCUMENT_PAIRS);
		put_document(o, &d[i]);
		out_end(o);
	}
	out_end(o);
	if (more) {
		struct cursor c = {.check = p.check,
			.index = (uint64_t)d[n - 1].number + 1};
		char text[CURSOR_CHARS];

		memcpy(c.run_id, r->id, sizeof(c.run_id));
		cursor_write(&c, text);
		out_key_str(o, "next", text);
	}
	out_end(o);
	return 0;
}

/* ---- one document --------------------------------------------------------- */

/* Appends what a window holds of a document's text. */
static int
gather_window(struct buf *text, const struct rec_window *w, uint32_t number,
	struct err *e)
{
	for (uint32_t i = 0; i < w->n_segments; i++) {
		const struct rec_segment *s = &w->segment[i];
		uint32_t end =
			i + 1 < w->n_segments ? s[1].text_start : w->n_text_bytes;

		if (s->document != number)
			continue;
		if (s->text_start > end || end > w->n_text_bytes)
			return err_set(e, ERR_CORRUPT,
				"a stretch of document %u lies outside "
				"its window",
				number);
		buf_put(text, w->text + s->text_start, end - s->text_start);
	}
	return 0;
}

static int
gather(struct req *q, uint32_t cut, const struct store_document *d, struct buf *text,
	struct err *e)
{
	struct arena *mine = q->arena, scratch;
	int rc = 0;

	if (d->n_bytes > LIMIT_REPLY_BYTES)
		return err_set(e, ERR_LIMIT,
			"the document has %llu bytes, more than a reply "
			"may have",
			(unsigned long long)d->n_bytes);
	arena_init(&scratch, DAEMON_ARENA_BYTES);
	q->arena = &scratch;
	for (uint32_t i = 0; i < d->n_windows && rc == 0; i++) {
		struct rec_window w;

		rc = read_window(q, cut, d->first_window + i, &w, e);
		if (rc == 0)
			rc = gather_window(text, &w, d->number, e);
		arena_reset(&scratch);
	}
	q->arena = mine;
	arena_clear(&scratch);
	if (rc == 0 && text->failed)
		rc = err_set(e, ERR_NOMEM, "no memory for the text of a document");
	return rc;
}

int
h_document_get(struct req *q, struct out *o, struct err *e)
{
	struct store_document d;
	struct buf text;
	uint32_t run;
	int rc = find_any_run(q, &run, e);

	if (rc == 0)
		rc = find_document(q, q->cat->run[run].cut, &d, e);
	if (rc < 0)
		return rc;
	buf_init(&text);
	rc = gather(q, q->cat->run[run].cut, &d, &text, e);
	if (rc == 0) {
		put_head(o, q, 1 + DOCUMENT_PAIRS + 2);
		out_key_uint(o, "run", q->cat->run[run].number);
		put_document(o, &d);
		out_key_str(o, "hash", d.hash);
		out_key(o, "text");
		put_bytes(o, (const char *)text.data, text.n_bytes,
			args_bool(&q->args, "raw"));
		out_end(o);
	}
	buf_clear(&text);
	return rc;
}

/* ---- documents where a feature fires -------------------------------------- */

struct fired {
	uint32_t document, n_fired, n_windows;
	float max;
};
struct tally { /* ascending documents, since windows are in their order */
	struct fired *x; /* owned */
	size_t n, cap;
};

static int
tally_add(struct tally *t, uint32_t document, uint32_t n_fired, float max,
	struct err *e)
{
	struct fired *f = t->n > 0 ? &t->x[t->n - 1] : NULL;

	if (f == NULL || f->document != document) {
		if (t->n == t->cap) {
			size_t cap = t->cap > 0 ? 2 * t->cap : 256;
			struct fired *x = mem_resize(t->x, cap, sizeof(*x));

			if (x == NULL)
				return err_set(e, ERR_NOMEM,
					"no memory for %zu documents", cap);
			t->x = x;
			t->cap = cap;
		}
		f = &t->x[t->n++];
		*f = (struct fired){.document = document};
	}
	f->n_fired += n_fired;
	f->n_windows++;
	f->max = max > f->max ? max : f->max;
	return 0;
}

/* A window's activations, each to its document. */
static int
tally_shared(struct tally *tally, const struct rec_window *w, const struct rec_at *at,
	uint32_t n, struct err *e)
{
	uint32_t i = 0;
	int rc = 0;

	for (uint32_t s = 0; s < w->n_segments && rc == 0; s++) {
		uint32_t n_fired = 0, end = segment_end(w, s);
		float max = 0;

		for (; i < n && at[i].offset < end; i++, n_fired++)
			max = at[i].value > max ? at[i].value : max;
		if (n_fired > 0)
			rc = tally_add(tally, w->segment[s].document, n_fired, max, e);
	}
	return rc;
}

/* The posting alone tells where its window is one document's. */
static int
tally_window(struct req *q, const struct target *t, const struct rec_posting *p,
	struct tally *tally, struct err *e)
{
	const struct rec_at *at;
	struct rec_window w;
	uint32_t n;
	int rc = read_window(q, t->r->cut, p->window, &w, e);

	if (rc == 0 && w.n_segments == 1)
		return tally_add(tally, w.segment[0].document, p->n_fired, p->max, e);
	if (rc == 0)
		rc = read_fired(q, t, p, &w, &at, &n, e);
	return rc < 0 ? rc : tally_shared(tally, &w, at, n, e);
}

static int
tally_windows(struct req *q, const struct target *t, const struct rec_posting *p,
	size_t n, struct tally *tally, struct err *e)
{
	struct arena *mine = q->arena, scratch;
	int rc = 0;

	arena_init(&scratch, DAEMON_ARENA_BYTES);
	q->arena = &scratch;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = tally_window(q, t, &p[i], tally, e);
		arena_reset(&scratch);
	}
	q->arena = mine;
	arena_clear(&scratch);
	return rc;
}

static int
by_max(const void *a, const void *b)
{
	const struct fired *x = a, *y = b;

	if (x->max != y->max)
		return x->max > y->max ? -1 : 1;
	return x->document < y->document ? -1 : x->document > y->document;
}

static int
put_fired(struct req *q, struct out *o, uint32_t cut, const struct fired *f,
	struct err *e)
{
	struct store_document d;
	int rc = store_document(q->view, cut, f->document, &d, q->arena, e);

	if (rc < 0)
		return rc;
	out_map(o, 5);
	out_key(o, "document");
	out_text(o, d.id, strlen(d.id));
	out_key_uint(o, "number", f->document);
	out_key_f32(o, "max", f->max);
	out_key_uint(o, "n_fired", f->n_fired);
	out_key_uint(o, "n_windows", f->n_windows);
	out_end(o);
	return 0;
}

int
h_feature_documents(struct req *q, struct out *o, struct err *e)
{
	size_t offset = (size_t)args_int(&q->args, "offset"), n, n_postings;
	size_t limit = (size_t)args_int(&q->args, "limit");
	const struct rec_posting *posting;
	struct tally tally = {0};
	struct target t;
	int rc = find_feature_run(q, &t, e);

	if (rc == 0)
		rc = read_postings(q, &t, &posting, &n_postings, e);
	if (rc == 0)
		rc = tally_windows(q, &t, posting, n_postings, &tally, e);
	if (rc == 0) {
		if (tally.n > 0)
			qsort(tally.x, tally.n, sizeof(*tally.x), by_max);
		n = offset >= tally.n ? 0 : tally.n - offset;
		n = n < limit ? n : limit;
		put_head_run(o, q, &t, 2);
		out_key_uint(o, "n_documents", tally.n);
		out_key(o, "documents");
		out_array(o, n);
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = put_fired(q, o, t.r->cut, &tally.x[offset + i], e);
		if (rc == 0) {
			out_end(o);
			out_end(o);
		}
	}
	mem_free(tally.x);
	return rc;
}
