/* SPDX-License-Identifier: ISC */
#include "indexer/feed_cut.h"

#include "indexer/stop.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK 1024 /* windows between two looks at the clock and at signals */

struct feed_writing {
	const struct cut_job *job;
	const struct feed *f;
	struct cut_writer *w;
	uint32_t *start, *end; /* (longest window) bytes in the window's text */
	struct rec_segment *segment; /* (longest window) */
	struct buf text;
};

/* ---- one window ------------------------------------------------------------- */

/* Tokens [i, end) that belong to one document or to none: the stretch goes on until
 * another document's. */
static uint32_t
stretch_end(const struct feed_window *w, uint32_t i, uint32_t document)
{
	while (i < w->n_tokens &&
		(w->documents == NULL || w->documents[i] == document ||
			w->documents[i] == FEED_NO_DOCUMENT))
		i++;
	return i;
}

/* What a stretch covers of its document, *from >= *to where its tokens have no text. */
static void
covered(const struct feed_window *w, uint32_t i, uint32_t end, uint32_t *from,
	uint32_t *to)
{
	*from = UINT32_MAX;
	*to = 0;
	for (; i < end; i++) {
		if (w->start[i] == w->end[i])
			continue;
		if (w->start[i] < *from)
			*from = w->start[i];
		if (w->end[i] > *to)
			*to = w->end[i];
	}
}

/* Tokens without text stand where the one before them ends. */
static void
put_stretch(struct feed_writing *g, const struct feed_window *w, uint32_t i,
	uint32_t end, uint32_t document, struct rec_segment *s)
{
	uint32_t base = (uint32_t)g->text.n_bytes, last = base, from, to;
	struct document d;

	covered(w, i, end, &from, &to);
	*s = (struct rec_segment){.document = document, .token = i, .text_start = base};
	/* what was put in front (BOS) is of no document */
	while (i < end && w->start[i] == w->end[i]) {
		g->start[i] = g->end[i] = base;
		i++;
	}
	if (i == end)
		return;
	s->token = i;
	s->doc_start = from;
	spool_get(&g->f->spool, document, &d);
	buf_put(&g->text, d.text + from, to - from);
	for (; i < end; i++) {
		bool empty = w->start[i] == w->end[i];

		g->start[i] = empty ? last : base + w->start[i] - from;
		g->end[i] = empty ? last : base + w->end[i] - from;
		last = g->end[i];
	}
}

static uint32_t
put_stretches(struct feed_writing *g, const struct feed_window *w)
{
	uint32_t i = 0, n = 0;

	while (i < w->n_tokens) {
		uint32_t document = w->document, end;

		if (w->documents != NULL) {
			for (end = i; end < w->n_tokens; end++)
				if (w->documents[end] != FEED_NO_DOCUMENT)
					break;
			if (end == w->n_tokens) { /* no document at all */
				for (; i < end; i++)
					g->start[i] = g->end[i] =
						(uint32_t)g->text.n_bytes;
				break;
			}
			document = w->documents[end];
		}
		end = stretch_end(w, i, document);
		put_stretch(g, w, i, end,
			w->documents != NULL ? g->f->number[document] : document,
			&g->segment[n++]);
		i = end;
	}
	return n;
}

static int
write_window(struct feed_writing *g, uint32_t i, struct err *e)
{
	struct feed_window w;
	struct rec_window r;

	feed_get(g->f, i, &w);
	buf_reset(&g->text);
	r = (struct rec_window){.n_tokens = w.n_tokens,
		.n_segments = put_stretches(g, &w),
		.token = w.token,
		.text_start = g->start,
		.text_end = g->end,
		.segment = g->segment};
	if (g->text.failed)
		return err_set(e, ERR_NOMEM, "no memory for a window's text");
	r.text = g->text.n_bytes > 0 ? (const char *)g->text.data : "";
	r.n_text_bytes = (uint32_t)g->text.n_bytes;
	return cut_writer_window(g->w, &r, e);
}

/* ---- all of it ---------------------------------------------------------------- */

static int
write_windows(struct feed_writing *g, struct err *e)
{
	for (uint32_t i = 0; i < g->f->n_windows; i++) {
		if (write_window(g, i, e) < 0)
			return e->code;
		if (i % TICK == 0) {
			progress_part(g->job->progress, i, g->f->n_windows);
			if (stop_check(e) < 0)
				return e->code;
		}
	}
	return 0;
}

/* Windows stand in the order of documents, unless some hold several. */
static int
write_documents(struct feed_writing *g, struct err *e)
{
	const struct feed *f = g->f;
	uint32_t at = 0, n;

	for (uint32_t d = 0; d < f->n_documents; d++, at += n) {
		struct feed_window w;

		for (n = 0; !f->mixed && at + n < f->n_windows; n++) {
			feed_get(f, at + n, &w);
			if (w.document != d)
				break;
		}
		if (cut_write_document(g->w, &f->spool, d, f->mixed ? 0 : at, n,
			    &g->text, e) < 0)
			return e->code;
	}
	return 0;
}

/* ---- images ----------------------------------------------------------------------- */

static int
write_patches(const struct feed *f, struct cut_writer *w, uint32_t i,
	struct rec_patch *patch, struct err *e)
{
	struct feed_window window;

	feed_get(f, i, &window);
	if (window.n_patches == 0)
		return 0;
	for (uint32_t j = 0; j < window.n_patches; j++) {
		const struct feed_patch *p = &window.patch[j];

		patch[j] = (struct rec_patch){.token = p->token,
			.n_tokens = p->n_tokens,
			.image = f->image_rank[p->image],
			.first = p->first,
			.n_rows = p->n_rows,
			.n_cols = p->n_cols};
	}
	return cut_writer_patches(w, i, patch, window.n_patches, e);
}

static int
write_images(const struct cut_job *job, const struct feed *f, struct cut_writer *w,
	struct err *e)
{
	static const char patch_text[] = "<patch>";
	struct rec_patch *patch;
	int rc = 0;

	if (f->n_images == 0)
		return 0;
	if (cut_writer_token(w, job->n_vocab, patch_text, sizeof(patch_text) - 1, false,
		    e) < 0)
		return e->code;
	for (uint32_t i = 0; i < f->n_images && rc == 0; i++) {
		const struct feed_image *x = &f->image[i];
		struct store_image out = {.number = i,
			.bytes = feed_image_bytes(f, x),
			.n_bytes = x->n_bytes};

		memcpy(out.sha256, x->sha256, sizeof(out.sha256));
		memcpy(out.type, x->type, strlen(x->type) + 1);
		rc = cut_writer_image(w, &out, e);
	}
	patch = mem_new(f->max_tokens, sizeof(*patch));
	if (patch == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an image's patches");
	for (uint32_t i = 0; i < f->n_windows && rc == 0; i++)
		rc = write_patches(f, w, i, patch, e);
	mem_free(patch);
	return rc;
}

static int
write_all(const struct cut_job *job, const struct feed *f, struct cut_writer *w,
	struct cat_cut *info, struct err *e)
{
	struct feed_writing g = {.job = job, .f = f, .w = w};
	int rc = 0;

	buf_init(&g.text);
	g.start = mem_new(f->max_tokens, sizeof(*g.start));
	g.end = mem_new(f->max_tokens, sizeof(*g.end));
	g.segment = mem_new(f->max_tokens, sizeof(*g.segment));
	if (g.start == NULL || g.end == NULL || g.segment == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for windows of %u tokens",
			f->max_tokens);
	if (rc == 0)
		rc = cut_write_vocabulary(job, w, e);
	if (rc == 0)
		rc = write_images(job, f, w, e);
	if (rc == 0)
		rc = write_documents(&g, e);
	if (rc == 0)
		rc = write_windows(&g, e);
	buf_clear(&g.text);
	mem_free(g.start);
	mem_free(g.end);
	mem_free(g.segment);
	return rc == 0 ? cut_writer_finish(w, info, e) : rc;
}

int
feed_sha256(const struct feed *f, char hex[65], struct err *e)
{
	static const char made[] = "made elsewhere";
	uint8_t hash[32];
	struct sha256 h;

	if (spool_sha256(&f->spool, hash, e) < 0 || sha256_init(&h, e) < 0)
		return e->code;
	sha256_update(&h, made, sizeof(made));
	sha256_update(&h, hash, sizeof(hash));
	sha256_update(&h, f->windows_sha256, sizeof(f->windows_sha256));
	sha256_final(&h, hash);
	hash_hex(hash, sizeof(hash), hex);
	return 0;
}

static int
describe(const struct cut_job *job, const struct feed *f, struct cat_cut *info,
	struct err *e)
{
	*info = (struct cat_cut){.context = f->max_tokens,
		.prepend_bos = f->all_bos,
		.joined = f->mixed,
		.bos = f->all_bos || f->mixed ? tok_bos(job->tok) : -1,
		.n_documents = f->n_documents,
		.n_windows = f->n_windows,
		.n_tokens = f->n_tokens,
		.n_bytes = f->spool.n_bytes,
		.created_s = (int64_t)time(NULL)};
	memcpy(info->name, job->corpus_name,
		strnlen(job->corpus_name, LIMIT_NAME_BYTES - 1));
	memcpy(info->tokenizer_sha256, job->tokenizer_sha256,
		sizeof(info->tokenizer_sha256));
	return feed_sha256(f, info->corpus_sha256, e);
}

int
feed_cut(const struct cut_job *job, const struct feed *f, struct cat_cut *info,
	int64_t *have, struct err *e)
{
	struct cut_writer *w = NULL;
	int rc = describe(job, f, info, e);

	*have = -1;
	if (rc == 0)
		rc = cut_writer_new(&w, have, job->store, info, e);
	if (rc == 0 && w != NULL)
		rc = write_all(job, f, w, info, e);
	cut_writer_free(w);
	return rc;
}
