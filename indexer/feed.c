/* SPDX-License-Identifier: ISC */
#include "indexer/feed.h"

#include "util/hash.h"
#include "util/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct feed_document {
	struct buf id, meta, text;
	bool has_id, by_vocabulary;
};

/* What stands in front of a window's arrays of u32: tokens, starts, ends, documents if
 * it is mixed, patches. */
struct head {
	uint32_t n_tokens, document, n_patches, mixed;
};

/* ---- life ----------------------------------------------------------------- */

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for windows that were made elsewhere");
}

int
feed_init(struct feed *f, const char *scratch_dir, const struct tok *tok,
	uint32_t n_vocab, uint32_t n_saes, struct err *e)
{
	*f = (struct feed){.tok = tok,
		.dir = scratch_dir,
		.n_vocab = n_vocab,
		.n_saes = n_saes,
		.all_bos = true,
		.spool.file.fd = -1,
		.file.fd = -1,
		.images.fd = -1};
	for (uint32_t i = 0; i < LIMIT_SAES; i++)
		f->acts[i].file.fd = -1;
	if (spool_open(&f->spool, scratch_dir, e) < 0 ||
		scratch_open(&f->file, scratch_dir, "fed-windows", e) < 0 ||
		scratch_open(&f->images, scratch_dir, "fed-images", e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n_saes; i++) {
		char name[40];

		snprintf(name, sizeof(name), "fed-features-%u", i);
		if (scratch_open(&f->acts[i].file, scratch_dir, name, e) < 0)
			return e->code;
	}
	return 0;
}

static void
document_clear(struct feed_document *d)
{
	buf_clear(&d->id);
	buf_clear(&d->meta);
	buf_clear(&d->text);
}

void
feed_clear(struct feed *f)
{
	if (f->dir == NULL)
		return;
	for (size_t i = 0; i < f->n_open; i++)
		document_clear(&f->open[i]);
	for (uint32_t i = 0; i < f->n_saes; i++) {
		scratch_close(&f->acts[i].file);
		mem_free(f->acts[i].at);
		mem_free(f->acts[i].hash);
	}
	scratch_close(&f->file);
	scratch_close(&f->images);
	spool_clear(&f->spool);
	buf_clear(&f->buf);
	mem_free(f->open);
	mem_free(f->at);
	mem_free(f->hash);
	mem_free(f->order);
	mem_free(f->number);
	mem_free(f->image);
	mem_free(f->image_rank);
	mem_free(f->image_slot);
	*f = (struct feed){0};
}

/* Room for one more of n; false where memory ran out. */
static bool
grow(void *all, size_t n, size_t *cap, size_t size)
{
	void **p = all, *more;
	size_t m = *cap ? *cap * 2 : 256;

	if (n < *cap)
		return true;
	more = mem_resize(*p, m, size);
	if (more == NULL)
		return false;
	*p = more;
	*cap = m;
	return true;
}

/* Two arrays that grow together. */
static bool
grow_two(uint64_t **a, uint64_t **b, size_t n, size_t *cap)
{
	size_t cap_a = *cap;

	return grow(a, n, &cap_a, sizeof(**a)) && grow(b, n, cap, sizeof(**b));
}

/* ---- documents ---------------------------------------------------------------- */

int
feed_document(struct feed *f, const struct document *d, struct err *e)
{
	struct feed_document *x;

	if (f->n_documents == FEED_NO_DOCUMENT)
		return err_set(e, ERR_LIMIT, "more than %u documents", UINT32_MAX - 1);
	if (d->n_text > LIMIT_LINE_BYTES)
		return err_set(e, ERR_LIMIT, "a document of %zu bytes; the limit is %d",
			d->n_text, LIMIT_LINE_BYTES);
	if (!grow(&f->open, f->n_open, &f->cap_open, sizeof(*f->open)))
		return no_memory(e);
	x = &f->open[f->n_open++];
	*x = (struct feed_document){.has_id = d->id != NULL,
		.by_vocabulary = d->text == NULL};
	if (d->id != NULL)
		buf_put(&x->id, d->id, d->n_id);
	buf_put(&x->meta, d->meta, d->n_meta);
	if (d->text != NULL)
		buf_put(&x->text, d->text, d->n_text);
	f->n_documents++;
	return x->id.failed || x->meta.failed || x->text.failed ? no_memory(e) : 0;
}

/* Documents whose text is whole go to the spool: all but the last `keep`. */
static int
spool_open_ones(struct feed *f, size_t keep, struct err *e)
{
	size_t n = f->n_open > keep ? f->n_open - keep : 0;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct feed_document *x = &f->open[i];
		struct document d = {.text = (char *)x->text.data,
			.n_text = x->text.n_bytes,
			.id = x->has_id ? (char *)x->id.data : NULL,
			.n_id = x->id.n_bytes,
			.meta = (char *)x->meta.data,
			.n_meta = x->meta.n_bytes};

		if (x->has_id && d.id == NULL)
			d.id = "";
		rc = spool_add(&f->spool, &d, &f->buf, e);
	}
	for (size_t i = 0; i < n; i++)
		document_clear(&f->open[i]);
	if (n > 0)
		memmove(f->open, f->open + n, (f->n_open - n) * sizeof(*f->open));
	f->n_open -= n;
	return rc;
}

/* The open document of that number; NULL when its text is closed, or has not come. */
static struct feed_document *
open_document(struct feed *f, uint32_t number)
{
	size_t first = f->n_documents - f->n_open;

	return number >= first && number < f->n_documents ? &f->open[number - first]
							  : NULL;
}

/* ---- windows ------------------------------------------------------------------- */

static int
check_window(const struct feed *f, const struct feed_window *w, struct err *e)
{
	if (w->n_tokens == 0 || w->n_tokens > LIMIT_CONTEXT)
		return err_set(e, ERR_LIMIT,
			"window %u has %u tokens; a window has 1 to %d", f->n_windows,
			w->n_tokens, LIMIT_CONTEXT);
	if (f->n_windows == UINT32_MAX)
		return err_set(e, ERR_LIMIT, "more than %u windows", UINT32_MAX);
	for (uint32_t i = 0; i < w->n_tokens; i++)
		if (w->token[i] > f->n_vocab)
			return err_set(e, ERR_MISMATCH,
				"window %u, token %u: id %u is past the vocabulary of "
				"%u: it is of another model",
				f->n_windows, i, w->token[i], f->n_vocab);
	return 0;
}

static uint32_t
document_of(const struct feed_window *w, uint32_t i)
{
	return w->documents != NULL ? w->documents[i] : w->document;
}

/* The token's text put behind its document's. */
static int
put_by_vocabulary(struct feed *f, const struct feed_window *w, uint32_t i,
	uint32_t *start, uint32_t *end, struct err *e)
{
	struct feed_document *x = open_document(f, document_of(w, i));
	uint32_t id = w->token[i];
	const char *bytes = NULL;
	size_t n = 0;

	if (id < tok_n_vocab(f->tok) && !tok_is_special(f->tok, id))
		bytes = tok_bytes(f->tok, id, &n);
	*start = (uint32_t)x->text.n_bytes;
	if (bytes != NULL && *start + n <= LIMIT_LINE_BYTES)
		buf_put(&x->text, bytes, n);
	*end = (uint32_t)x->text.n_bytes;
	return x->text.failed ? no_memory(e) : 0;
}

/* The span as it was given, or as the vocabulary has it. */
static int
put_span(struct feed *f, const struct feed_window *w, uint32_t i, uint32_t *start,
	uint32_t *end, struct err *e)
{
	uint32_t document = document_of(w, i);
	const struct feed_document *x = open_document(f, document);

	*start = *end = 0;
	if (document == FEED_NO_DOCUMENT)
		return 0;
	if (x == NULL)
		return err_set(e, ERR_FORMAT, "window %u, token %u: document %u %s",
			f->n_windows, i, document,
			document < f->n_documents ? "is over already"
						  : "has not begun yet");
	if (x->by_vocabulary != (w->start == NULL))
		return err_set(e, ERR_FORMAT,
			"window %u: a text without spans, or spans without a text",
			f->n_windows);
	if (w->start == NULL)
		return put_by_vocabulary(f, w, i, start, end, e);
	if (w->start[i] > w->end[i] || w->end[i] > x->text.n_bytes)
		return err_set(e, ERR_FORMAT,
			"window %u, token %u: its bytes %u to %u are not in its "
			"document's text of %zu",
			f->n_windows, i, w->start[i], w->end[i], x->text.n_bytes);
	*start = w->start[i];
	*end = w->end[i];
	return 0;
}

static uint64_t
window_hash(const struct feed *f, const struct feed_window *w, const uint32_t *spans)
{
	uint64_t h = hash64(w->token, w->n_tokens * sizeof(*w->token), w->n_tokens);

	h = hash64(spans, 2 * (size_t)w->n_tokens * sizeof(*spans), h);
	/* documents by position keep their numbers; one of a window gets its later */
	if (w->documents != NULL)
		h = hash64(w->documents, w->n_tokens * sizeof(*w->documents), h);
	for (uint32_t i = 0; i < w->n_patches; i++) {
		const struct feed_patch *p = &w->patch[i];
		uint64_t grid = (uint64_t)p->n_rows << 32 | p->n_cols;

		h = hash_mix(h, (uint64_t)p->token << 32 | p->n_tokens, p->first, grid);
		h = hash64(f->image[p->image].sha256, 32, h);
	}
	return h;
}

static int
write_window(struct feed *f, const struct feed_window *w, const uint32_t *spans,
	struct err *e)
{
	struct head head = {w->n_tokens, w->document, w->n_patches,
		w->documents != NULL};
	size_t n = w->n_tokens * sizeof(*w->token);

	f->at[f->n_windows] = f->file.n_bytes;
	f->hash[f->n_windows] = window_hash(f, w, spans);
	if (scratch_put(&f->file, &head, sizeof(head), e) < 0 ||
		scratch_put(&f->file, w->token, n, e) < 0 ||
		scratch_put(&f->file, spans, 2 * n, e) < 0)
		return e->code;
	if (w->documents != NULL && scratch_put(&f->file, w->documents, n, e) < 0)
		return e->code;
	return scratch_put(&f->file, w->patch, w->n_patches * sizeof(*w->patch), e);
}

/* How many documents at the end may still get text: those from this window's last one
 * on. */
static size_t
still_open(const struct feed *f, const struct feed_window *w)
{
	uint32_t last = w->document;

	if (w->documents != NULL) {
		last = FEED_NO_DOCUMENT;
		for (uint32_t i = w->n_tokens; i-- > 0 && last == FEED_NO_DOCUMENT;)
			last = w->documents[i];
	}
	return last < f->n_documents ? f->n_documents - last : f->n_open;
}

int
feed_window(struct feed *f, const struct feed_window *w, struct err *e)
{
	uint32_t *spans;
	int64_t bos = tok_bos(f->tok);

	if (check_window(f, w, e) < 0)
		return e->code;
	if (!grow_two(&f->at, &f->hash, f->n_windows, &f->cap))
		return no_memory(e);
	buf_reset(&f->buf);
	spans = buf_extend(&f->buf, 2 * (size_t)w->n_tokens * sizeof(*spans));
	if (spans == NULL)
		return no_memory(e);
	for (uint32_t i = 0; i < w->n_tokens; i++)
		if (put_span(f, w, i, &spans[i], &spans[w->n_tokens + i], e) < 0)
			return e->code;
	if (write_window(f, w, spans, e) < 0 ||
		spool_open_ones(f, still_open(f, w), e) < 0)
		return e->code;
	f->mixed |= w->documents != NULL;
	f->all_bos &= bos >= 0 && w->token[0] == (uint64_t)bos;
	f->last_tokens = w->n_tokens;
	f->n_windows++;
	f->n_tokens += w->n_tokens;
	if (w->n_tokens > f->max_tokens)
		f->max_tokens = w->n_tokens;
	return 0;
}

/* ---- active features ------------------------------------------------------------- */

int
feed_acts(struct feed *f, uint32_t sae, const struct sparse *a, uint32_t first,
	struct err *e)
{
	struct feed_acts *x = &f->acts[sae];
	uint32_t at = a->row_start[first], end = first + f->last_tokens;
	uint32_t n = a->row_start[end] - at;
	uint64_t h = hash64(a->feature + at, n * sizeof(*a->feature), n);

	assert(end <= a->n_tokens && x->n + 1 == f->n_windows);
	if (!grow_two(&x->at, &x->hash, x->n, &x->cap))
		return no_memory(e);
	x->at[x->n] = x->file.n_bytes;
	h = hash64(a->value + at, n * sizeof(*a->value), h);
	for (uint32_t i = first; i <= end; i++) {
		uint32_t row = a->row_start[i] - at;

		h = hash_mix(h, row, 0, 0);
		if (scratch_put(&x->file, &row, sizeof(row), e) < 0)
			return e->code;
	}
	x->hash[x->n++] = h;
	if (scratch_put(&x->file, a->feature + at, n * sizeof(*a->feature), e) < 0)
		return e->code;
	return scratch_put(&x->file, a->value + at, n * sizeof(*a->value), e);
}

/* ---- the end ------------------------------------------------------------------------ */

struct placed { /* a window */
	uint32_t document, arrival;
};

static int
by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->document != y->document)
		return x->document < y->document ? -1 : 1;
	return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

static struct head
head_at(const struct feed *f, uint32_t arrival)
{
	struct head head;

	memcpy(&head, f->file.map.data + f->at[arrival], sizeof(head));
	return head;
}

static int
order_windows(struct feed *f, struct err *e)
{
	struct placed *place = mem_new(f->n_windows, sizeof(*place));

	f->order = mem_new(f->n_windows, sizeof(*f->order));
	f->number = mem_new(f->n_documents, sizeof(*f->number));
	if (place == NULL || f->order == NULL || f->number == NULL) {
		mem_free(place);
		return no_memory(e);
	}
	for (uint32_t i = 0; i < f->n_documents; i++)
		f->number[f->spool.doc[i].ordinal] = i;
	for (uint32_t i = 0; i < f->n_windows; i++)
		place[i] = (struct placed){f->mixed ? 0
						    : f->number[head_at(f, i).document],
			i};
	qsort(place, f->n_windows, sizeof(*place), by_place);
	for (uint32_t i = 0; i < f->n_windows; i++)
		f->order[i] = place[i].arrival;
	mem_free(place);
	return 0;
}

/* Over hashes in the windows' order, each with its document's number, so that the order
 * of arrival does not matter. */
static int
hash_all(const struct feed *f, const uint64_t *hash, uint8_t out[32], struct err *e)
{
	struct sha256 h;

	if (sha256_init(&h, e) < 0)
		return e->code;
	for (uint32_t w = 0; w < f->n_windows; w++) {
		uint32_t arrival = f->order[w];
		uint32_t of = f->mixed ? 0 : f->number[head_at(f, arrival).document];

		sha256_update(&h, &hash[arrival], sizeof(*hash));
		sha256_update(&h, &of, sizeof(of));
	}
	sha256_final(&h, out);
	return 0;
}

static int
map_all(struct feed *f, struct err *e)
{
	for (uint32_t i = 0; i < f->n_saes; i++)
		if (scratch_map(&f->acts[i].file, e) < 0)
			return e->code;
	if (spool_done(&f->spool, e) < 0 || scratch_map(&f->images, e) < 0)
		return e->code;
	return scratch_map(&f->file, e);
}

int
feed_done(struct feed *f, struct err *e)
{
	if (f->n_windows == 0)
		return err_set(e, ERR_FORMAT, "not one window came");
	if (spool_open_ones(f, 0, e) < 0 || map_all(f, e) < 0)
		return e->code;
	if (f->mixed)
		spool_unsort(&f->spool);
	else
		spool_sort(&f->spool);
	if (order_windows(f, e) < 0 || feed_rank_images(f, e) < 0 ||
		hash_all(f, f->hash, f->windows_sha256, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < f->n_saes; i++) {
		assert(f->acts[i].n == f->n_windows);
		if (hash_all(f, f->acts[i].hash, f->acts_sha256[i], e) < 0)
			return e->code;
	}
	return 0;
}

/* ---- giving out ------------------------------------------------------------------------ */

void
feed_get(const struct feed *f, uint32_t window, struct feed_window *out)
{
	uint32_t arrival = f->order[window];
	struct head head = head_at(f, arrival);
	const uint32_t *p =
		(const uint32_t *)(f->file.map.data + f->at[arrival] + sizeof(head));
	size_t n = head.n_tokens;

	*out = (struct feed_window){.n_tokens = head.n_tokens,
		.token = p,
		.start = p + n,
		.end = p + 2 * n,
		.document = head.mixed ? 0 : f->number[head.document],
		.documents = head.mixed ? p + 3 * n : NULL,
		.patch = (const struct feed_patch *)(p + (head.mixed ? 4 : 3) * n),
		.n_patches = head.n_patches};
}

/* Where a window's active features stand. */
static const uint32_t *
rows_of(const struct feed *f, uint32_t sae, uint32_t window)
{
	const struct feed_acts *x = &f->acts[sae];

	return (const uint32_t *)(x->file.map.data + x->at[f->order[window]]);
}

int
feed_get_acts(const struct feed *f, uint32_t sae, uint32_t first, uint32_t n,
	struct sparse *out, struct err *e)
{
	uint32_t n_tokens = 0, token = 0, at = 0;
	size_t n_all = 0;

	for (uint32_t w = first; w < first + n; w++) {
		struct head head = head_at(f, f->order[w]);

		n_all += rows_of(f, sae, w)[head.n_tokens];
		n_tokens += head.n_tokens;
	}
	if (sparse_reserve(out, n_tokens, n_all, e) < 0)
		return e->code;
	for (uint32_t w = first; w < first + n; w++) {
		uint32_t m = head_at(f, f->order[w]).n_tokens;
		const uint32_t *row = rows_of(f, sae, w), n_here = row[m];

		for (uint32_t i = 0; i < m; i++)
			out->row_start[token + i] = at + row[i];
		memcpy(out->feature + at, row + m + 1, n_here * sizeof(*out->feature));
		memcpy(out->value + at, row + m + 1 + n_here,
			n_here * sizeof(*out->value));
		token += m;
		at += n_here;
	}
	out->row_start[token] = at;
	return 0;
}

static int
get_acts(const void *ctx, uint32_t sae, uint32_t first, uint32_t n, struct sparse *out,
	struct err *e)
{
	return feed_get_acts(ctx, sae, first, n, out, e);
}

struct act_source
feed_source(const struct feed *f)
{
	return (struct act_source){.get = get_acts, .ctx = f};
}
