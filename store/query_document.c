/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <string.h>

#define COLUMNS "number, id, meta, hash, n_bytes, first_window, n_windows"

static const char by_number[] = "SELECT " COLUMNS " FROM document WHERE number=?1";
static const char by_id[] =
	"SELECT " COLUMNS " FROM document WHERE id=?1 ORDER BY number LIMIT 1";
static const char from_number[] =
	"SELECT " COLUMNS " FROM document WHERE number>=?1 ORDER BY number LIMIT ?2";
/* A value is compared as text: true and false by these words; a list has the value
 * when one of its entries does. */
#define AS_TEXT(t) \
	"CASE " t ".type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'" \
	" WHEN 'null' THEN 'null' ELSE CAST(" t ".atom AS TEXT) END=?4"
static const char with_meta[] =
	"SELECT " COLUMNS " FROM document AS d WHERE number>=?1 AND EXISTS("
	"SELECT 1 FROM json_each(d.meta) AS m WHERE m.key=?3 AND (" AS_TEXT(
		"m") " OR (m.type='array' AND EXISTS(SELECT 1 FROM json_each(m.value) "
		     "AS a WHERE " AS_TEXT("a") ")))) ORDER BY number LIMIT ?2";

static const char *
copy(const struct stmt *s, int i, struct arena *arena)
{
	return arena_strndup(arena, row_str(s, i), SIZE_MAX);
}

static int
get_document(const struct stmt *s, struct store_document *d, struct arena *arena,
	struct err *e)
{
	d->number = (uint32_t)row_i64(s, 0);
	d->id = copy(s, 1, arena);
	d->meta = copy(s, 2, arena);
	d->hash = copy(s, 3, arena);
	d->n_bytes = (uint64_t)row_i64(s, 4);
	d->first_window = (uint32_t)row_i64(s, 5);
	d->n_windows = (uint32_t)row_i64(s, 6);
	if (d->id == NULL || d->meta == NULL || d->hash == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a document");
	return 0;
}

/* The one row; 0 when there is none. */
static int
one(struct stmt *s, struct store_document *out, struct arena *arena, struct err *e)
{
	int rc = stmt_step(s, e), got = 0;

	if (rc == 1)
		got = get_document(s, out, arena, e);
	stmt_reset(s);
	return got != 0 ? got : rc;
}

int
store_document(struct store_view *v, uint32_t cut, uint32_t number,
	struct store_document *out, struct arena *arena, struct err *e)
{
	struct stmt *s;
	int rc = view_cut_stmt(v, cut, by_number, &s, e);

	if (rc != 0)
		return rc;
	stmt_i64(s, 1, number);
	rc = one(s, out, arena, e);
	if (rc == 0)
		return err_arg(e, ERR_NOTFOUND, "document", "there is no document %u",
			number);
	return rc < 0 ? rc : 0;
}

int
store_document_by_id(struct store_view *v, uint32_t cut, const char *id,
	struct store_document *out, struct arena *arena, struct err *e)
{
	struct stmt *s;
	int rc = view_cut_stmt(v, cut, by_id, &s, e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, id);
	rc = one(s, out, arena, e);
	if (rc == 0)
		return err_arg(e, ERR_NOTFOUND, "document",
			"there is no document %.100s", id);
	return rc < 0 ? rc : 0;
}

int
store_documents(struct store_view *v, uint32_t cut, uint32_t after, const char *key,
	const char *value, uint32_t limit, struct store_document *out, uint32_t *n_out,
	struct arena *arena, struct err *e)
{
	struct stmt *s;
	uint32_t n = 0;
	int rc = view_cut_stmt(v, cut, key != NULL ? with_meta : from_number, &s, e);

	*n_out = 0;
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, after);
	stmt_i64(s, 2, limit);
	if (key != NULL) {
		stmt_str(s, 3, key);
		stmt_str(s, 4, value != NULL ? value : "");
	}
	while (n < limit && (rc = stmt_step(s, e)) == 1) {
		rc = get_document(s, &out[n], arena, e);
		if (rc != 0)
			break;
		n++;
	}
	stmt_reset(s);
	*n_out = n;
	return rc < 0 ? rc : 0;
}
