/* SPDX-License-Identifier: ISC */
#include "indexer/spool.h"

#include "util/hash.h"
#include "util/mem.h"
#include "util/paged.h"

#include <stdlib.h>
#include <string.h>

/* The bytes that are hashed and written: lengths, text, id, metadata. */
static int
put_record(struct spool *s, struct spool_doc *doc, const struct document *d,
	struct buf *b, struct err *e)
{
	uint8_t hash[32];

	doc->n_text = (uint32_t)d->n_text;
	doc->n_id = d->id != NULL ? (uint32_t)d->n_id : UINT32_MAX;
	doc->n_meta = (uint32_t)d->n_meta;
	buf_reset(b);
	buf_u32(b, doc->n_text);
	buf_u32(b, doc->n_id);
	buf_u32(b, doc->n_meta);
	buf_put(b, d->text, d->n_text);
	buf_put(b, d->id, d->id != NULL ? d->n_id : 0);
	buf_put(b, d->meta, d->n_meta);
	if (b->failed)
		return err_set(e, ERR_NOMEM, "no memory for a document of %zu bytes",
			d->n_text);
	if (sha256_of(b->data, b->n_bytes, hash, e) < 0)
		return e->code;
	memcpy(doc->hash, hash, sizeof(doc->hash));
	doc->at = s->file.n_bytes + 12;
	return scratch_put(&s->file, b->data, b->n_bytes, e);
}

int
spool_open(struct spool *s, const char *scratch_dir, struct err *e)
{
	*s = (struct spool){0};
	return scratch_open(&s->file, scratch_dir, "documents", e);
}

int
spool_done(struct spool *s, struct err *e)
{
	return scratch_map(&s->file, e);
}

int
spool_add(struct spool *s, const struct document *d, struct buf *b, struct err *e)
{
	if (s->n_docs == UINT32_MAX)
		return err_set(e, ERR_LIMIT, "the corpus has more than %u documents",
			UINT32_MAX);
	if (s->n_docs == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 1024;
		struct spool_doc *more = mem_resize(s->doc, cap, sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_NOMEM, "no memory for %zu documents",
				cap);
		s->doc = more;
		s->cap = cap;
	}
	s->doc[s->n_docs].ordinal = (uint32_t)s->n_docs;
	if (put_record(s, &s->doc[s->n_docs], d, b, e) < 0)
		return e->code;
	s->n_docs++;
	s->n_bytes += d->n_text;
	return 0;
}

int
spool_fill(struct spool *s, const char *scratch_dir, struct corpus *c,
	int (*tick)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	struct document d;
	struct buf b;
	int rc;

	rc = spool_open(s, scratch_dir, e);
	if (rc < 0)
		return rc;
	buf_init(&b);
	while ((rc = corpus_next(c, &d, e)) == 1) {
		rc = spool_add(s, &d, &b, e);
		if (rc == 0 && tick != NULL)
			rc = tick(ctx, e);
		if (rc < 0)
			break;
	}
	buf_clear(&b);
	if (rc == 0 && s->n_bytes == 0)
		rc = err_set(e, ERR_FORMAT,
			"the corpus is empty: %zu documents, no text", s->n_docs);
	return rc < 0 ? rc : spool_done(s, e);
}

void
spool_clear(struct spool *s)
{
	scratch_close(&s->file);
	mem_free(s->doc);
	*s = (struct spool){.file.fd = -1};
}

static int
by_hash(const void *a, const void *b)
{
	const struct spool_doc *x = a, *y = b;
	int order = memcmp(x->hash, y->hash, sizeof(x->hash));

	return order != 0 ? order
			  : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

static int
by_ordinal(const void *a, const void *b)
{
	const struct spool_doc *x = a, *y = b;

	return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

void
spool_sort(struct spool *s)
{
	qsort(s->doc, s->n_docs, sizeof(*s->doc), by_hash);
	s->sorted = true;
}

void
spool_unsort(struct spool *s)
{
	qsort(s->doc, s->n_docs, sizeof(*s->doc), by_ordinal);
	s->sorted = false;
}

void
spool_get(const struct spool *s, size_t i, struct document *d)
{
	const struct spool_doc *doc = &s->doc[i];
	const char *p = (const char *)s->file.map.data + doc->at;
	size_t n_id = doc->n_id == UINT32_MAX ? 0 : doc->n_id;

	paged_touched(1);
	*d = (struct document){.text = p, .n_text = doc->n_text};
	if (doc->n_id != UINT32_MAX)
		d->id = p + doc->n_text;
	d->n_id = n_id;
	d->meta = p + doc->n_text + n_id;
	d->n_meta = doc->n_meta;
}

int
spool_sha256(const struct spool *s, uint8_t out[32], struct err *e)
{
	struct sha256 h;

	if (sha256_init(&h, e) < 0)
		return e->code;
	for (size_t i = 0; i < s->n_docs; i++)
		sha256_update(&h, s->doc[i].hash, sizeof(s->doc[i].hash));
	sha256_final(&h, out);
	return 0;
}
