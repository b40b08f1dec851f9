/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/hash.h"
#include "util/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char cut_schema[] =
	"CREATE TABLE document(number INTEGER PRIMARY KEY, id TEXT NOT NULL,"
	" meta TEXT NOT NULL, hash TEXT NOT NULL,"
	" n_bytes INTEGER NOT NULL, first_window INTEGER NOT NULL,"
	" n_windows INTEGER NOT NULL);"
	"CREATE TABLE token(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL,"
	" special INTEGER NOT NULL);"
	"CREATE VIRTUAL TABLE window_text USING fts5(text, content='',"
	" tokenize='unicode61 remove_diacritics 2');"
	"PRAGMA user_version=1;";
static const char cut_finish[] =
	"CREATE INDEX document_id ON document(id, number);"
	"CREATE INDEX token_bytes ON token(bytes, id);"
	"INSERT INTO window_text(window_text) VALUES('optimize');";

struct cut_writer {
	struct store *store;
	struct pending *pending;
	struct kv *kv;
	struct db *db;
	struct image_writer *images; /* NULL before the first */
	struct buf packed, shown;
	uint32_t n_documents, n_windows;
};

static int
cut_id(struct cat_cut *c, struct err *e)
{
	uint8_t hash[32];
	struct buf b;
	int rc;

	buf_init(&b);
	buf_printf(&b, "saedb cut 1\n%s\n%s\n%u %d %" PRId64 " %d\n",
		c->tokenizer_sha256, c->corpus_sha256, c->context, c->prepend_bos,
		c->bos, c->joined);
	rc = b.failed ? err_set(e, ERR_NOMEM, "no memory for a cut's name")
		      : sha256_of(b.data, b.n_bytes, hash, e);
	if (rc == 0)
		hash_hex(hash, 8, c->id);
	buf_clear(&b);
	return rc;
}

static void
put_numbers(struct buf *b, const struct cat_cut *info)
{
	buf_u32(b, info->n_documents);
	buf_u32(b, info->n_windows);
	buf_u64(b, info->n_tokens);
	buf_u64(b, info->n_bytes);
}

/* One that an earlier program wrote: 1 and its numbers. */
static int
take_whole(struct store *s, struct cat_cut *info, struct err *e)
{
	struct pending *p;
	struct buf b;
	struct cur c;
	int rc;

	buf_init(&b);
	rc = pending_take(&p, s, KIND_CUT, info->id, "", &b, e);
	if (rc == 1) {
		c = cur_of(b.data, b.n_bytes);
		info->n_documents = cur_u32(&c);
		info->n_windows = cur_u32(&c);
		info->n_tokens = cur_u64(&c);
		info->n_bytes = cur_u64(&c);
		if (c.failed || cur_left(&c) != 0)
			rc = err_set(e, ERR_INTERNAL, "%s: its mark is too short",
				p->dir);
	}
	buf_clear(&b);
	return rc;
}

static int
finish_pending(struct pending *p, const struct cat_cut *info, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b);
	put_numbers(&b, info);
	rc = pending_finish(p, &b, e);
	buf_clear(&b);
	return rc;
}

int
cut_writer_new(struct cut_writer **out, int64_t *have, struct store *s,
	struct cat_cut *info, struct err *e)
{
	struct cut_writer *w;
	int rc = cut_id(info, e);

	*out = NULL;
	*have = -1;
	if (rc == 0)
		rc = store_need_write(s, e);
	if (rc != 0)
		return rc;
	*have = cat_find_cut_id(&s->gen->catalog, info->id);
	if (*have >= 0)
		return 0;
	rc = take_whole(s, info, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	w = mem_new(1, sizeof(*w));
	if (w == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a cut");
	w->store = s;
	rc = pending_new(&w->pending, s, KIND_CUT, info->id, "", e);
	if (rc == 0)
		rc = pending_kv(&w->kv, w->pending, "", &layout_window, e);
	if (rc == 0)
		rc = pending_db(&w->db, w->pending, "", FILE_CUT_DB, cut_schema, e);
	if (rc != 0) {
		cut_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

int
cut_writer_document(struct cut_writer *w, const struct store_document *d, struct err *e)
{
	struct stmt *s;
	int rc;

	if (d->number != w->n_documents)
		return err_set(e, ERR_INTERNAL, "document %u comes after %u", d->number,
			w->n_documents);
	if (strlen(d->meta) > LIMIT_META_BYTES)
		return err_set(e, ERR_LIMIT, "document %s: over %d bytes of metadata",
			d->id, LIMIT_META_BYTES);
	rc = db_prepare(w->db, &s,
		"INSERT INTO document SELECT ?1,?2,?3,?4,?5,?6,?7"
		" WHERE CASE WHEN json_valid(?3) THEN json_type(?3)='object' END",
		e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, d->number);
	stmt_str(s, 2, d->id);
	stmt_str(s, 3, d->meta);
	stmt_str(s, 4, d->hash);
	stmt_i64(s, 5, (int64_t)d->n_bytes);
	stmt_i64(s, 6, d->first_window);
	stmt_i64(s, 7, d->n_windows);
	rc = stmt_done(s, e);
	if (rc == 0 && db_n_changed(w->db) != 1)
		rc = err_set(e, ERR_FORMAT,
			"document %.100s: its metadata is no JSON object", d->id);
	if (rc == 0)
		w->n_documents++;
	return rc;
}

int
cut_writer_token(struct cut_writer *w, uint32_t id, const char *bytes, size_t n_bytes,
	bool special, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(w->db, &s, "INSERT INTO token VALUES(?,?,?)", e);

	if (rc != 0)
		return rc;
	stmt_i64(s, 1, id);
	stmt_blob(s, 2, n_bytes > 0 ? bytes : "", n_bytes);
	stmt_i64(s, 3, special);
	return stmt_done(s, e);
}

static int
put_text(struct cut_writer *w, const struct rec_window *r, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(w->db, &s,
		"INSERT INTO window_text(rowid, text) VALUES(?,?)", e);

	if (rc != 0)
		return rc;
	buf_reset(&w->shown);
	utf8_show(&w->shown, r->text, r->n_text_bytes);
	if (w->shown.failed)
		return err_set(e, ERR_NOMEM, "no memory for a window's text");
	stmt_i64(s, 1, (int64_t)w->n_windows + 1);
	stmt_text(s, 2, w->shown.n_bytes > 0 ? (char *)w->shown.data : "",
		w->shown.n_bytes);
	return stmt_done(s, e);
}

int
cut_writer_window(struct cut_writer *w, const struct rec_window *r, struct err *e)
{
	int rc;

	buf_reset(&w->packed);
	rec_window_pack(&w->packed, r);
	if (w->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for a window");
	rc = kv_put(w->kv, KV_WINDOW, w->n_windows, w->packed.data, w->packed.n_bytes,
		e);
	if (rc == 0)
		rc = put_text(w, r, e);
	if (rc == 0)
		w->n_windows++;
	return rc;
}

int
cut_writer_image(struct cut_writer *w, const struct store_image *x, struct err *e)
{
	int rc = w->images != NULL ? 0 : image_writer_new(&w->images, w->pending, e);

	return rc == 0 ? image_writer_image(w->images, x, e) : rc;
}

int
cut_writer_patches(struct cut_writer *w, uint32_t window, const struct rec_patch *x,
	size_t n, struct err *e)
{
	if (w->images != NULL)
		return image_writer_patches(w->images, window, x, n, e);
	return n == 0
		? 0
		: err_set(e, ERR_INTERNAL,
			  "window %u has patches, and there are no images", window);
}

int
cut_writer_finish(struct cut_writer *w, const struct cat_cut *info, struct err *e)
{
	int rc;

	if (info->n_documents != w->n_documents || info->n_windows != w->n_windows)
		return err_set(e, ERR_INTERNAL,
			"a cut of %u documents and %u windows has %u and %u",
			info->n_documents, info->n_windows, w->n_documents,
			w->n_windows);
	rc = kv_finish(w->kv, e);
	if (rc == 0 && w->images != NULL)
		rc = image_writer_finish(w->images, w->n_windows, e);
	if (rc == 0)
		rc = pending_db_finish(w->db, cut_finish, e);
	image_writer_free(w->images);
	kv_close(w->kv);
	db_close(w->db);
	w->images = NULL;
	w->kv = NULL;
	w->db = NULL;
	return rc == 0 ? finish_pending(w->pending, info, e) : rc;
}

void
cut_writer_free(struct cut_writer *w)
{
	if (w == NULL)
		return;
	image_writer_free(w->images);
	kv_close(w->kv);
	db_close(w->db);
	buf_clear(&w->packed);
	buf_clear(&w->shown);
	mem_free(w);
}

/* ---- reading one again, pending or published ------------------------------- */

struct cut_reader {
	struct kv *kv;
	struct kv_view *view;
};

int
cut_reader_open(struct cut_reader **out, struct store *s, const char *id, struct err *e)
{
	char path[PATH_BYTES];
	struct pending *p = pending_find(s, KIND_CUT, id);
	struct cut_reader *r = mem_new(1, sizeof(*r));
	int rc;

	*out = NULL;
	if (r == NULL)
		return err_set(e, ERR_NOMEM, "no memory to read a cut");
	rc = p != NULL
		? path_join(path, e, "%s/%s", p->dir, layout_window.file)
		: path_join(path, e, "%s/cut/%s/%s", s->dir, id, layout_window.file);
	if (rc == 0)
		rc = kv_open(&r->kv, path, layout_window.names, layout_window.n_tables,
			e);
	if (rc == 0)
		rc = kv_view_open(&r->view, r->kv, e);
	if (rc != 0) {
		cut_reader_close(r);
		return rc;
	}
	*out = r;
	return 0;
}

void
cut_reader_close(struct cut_reader *r)
{
	if (r == NULL)
		return;
	kv_view_close(r->view);
	kv_close(r->kv);
	mem_free(r);
}

int
cut_reader_window(struct cut_reader *r, uint32_t window, struct rec_window *out,
	struct arena *arena, struct err *e)
{
	struct kv_value x;
	int rc = kv_get(r->view, KV_WINDOW, window, &x, arena, e);

	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "there is no window %u", window);
	return rc < 0 ? rc : rec_window_unpack(out, x.p, x.n_bytes, arena, e);
}
