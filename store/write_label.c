/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/utf8.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* The last condition is true: all take the parameters of bind(). */
#define SAME "sae_hash=?1 AND feature=?2 AND source=?4 AND author=?5 AND ?7 IS ?7"
static const char keep_old[] =
	"INSERT INTO history SELECT id, " LABEL_COLUMNS ", ?6 FROM label WHERE " SAME
	" AND (text<>?3 OR score IS NOT ?7)";
static const char unindex_old[] = "INSERT INTO label_text(label_text, rowid, text)"
				  " SELECT 'delete', id, text FROM label WHERE " SAME;
static const char put_new[] =
	"INSERT INTO label(" LABEL_COLUMNS ", sum) VALUES(?1,?2,?3,?4,?5,?6,?7,0)"
	" ON CONFLICT(sae_hash, feature, source, author) DO UPDATE SET text=?3, "
	"time_s=?6,"
	" score=?7";
static const char get_new[] =
	"SELECT " LABEL_COLUMNS ", sum, id FROM label WHERE " SAME;
static const char index_new[] =
	"INSERT INTO label_text(rowid, text) SELECT id, text FROM label WHERE " SAME;
static const char put_sum[] = "UPDATE label SET sum=?1 WHERE id=?2";
static const char unindex_deleted[] =
	"INSERT INTO label_text(label_text, rowid, text)"
	" SELECT 'delete', id, text FROM label WHERE id=?1 AND ?2=?2";
static const char keep_deleted[] =
	"INSERT INTO history SELECT id, " LABEL_COLUMNS ", ?2 FROM label WHERE id=?1";

int
store_labels_lock(struct store *s, struct err *e)
{
	char path[PATH_BYTES];
	int rc = 0;

	mutex_lock(s->label_lock);
	if (s->labels == NULL) {
		rc = store_path(path, s, "labels.lock", e);
		if (rc == 0)
			rc = lock_take(&s->labeller, path, e);
		if (rc == ERR_BUSY)
			rc = err_wrap(e, "%s: another program writes labels here",
				s->dir);
		else if (rc == 0)
			rc = store_path(path, s, "labels.db", e);
		if (rc == 0)
			rc = db_open(&s->labels, path, DB_WRITE, e);
		if (rc == 0)
			rc = db_check(s->labels, e);
		if (rc != 0) {
			db_close(s->labels);
			s->labels = NULL;
			if (s->labeller.fd >= 0)
				lock_release(&s->labeller);
			s->labeller.fd = -1;
		}
	}
	mutex_unlock(s->label_lock);
	return rc;
}

static int
check_string(const char *name, const char *p, size_t least, size_t most, struct err *e)
{
	size_t n = p != NULL ? strlen(p) : 0;

	if (n < least || n > most)
		return err_arg(e, n < least ? ERR_ARG : ERR_LIMIT, name,
			"a label's %s has %zu to %zu bytes, not %zu", name, least, most,
			n);
	if (n > 0 && utf8_valid(p, n) != n)
		return err_arg(e, ERR_ARG, name, "a label's %s is UTF-8", name);
	return 0;
}

static int
check_label(const struct store_label *l, struct err *e)
{
	int rc = check_string("text", l->text, 1, LIMIT_LABEL_BYTES, e);

	if (rc == 0)
		rc = check_string("source", l->source, 1, LIMIT_NAME_BYTES - 1, e);
	if (rc == 0)
		rc = check_string("author", l->author, 0, LIMIT_NAME_BYTES - 1, e);
	if (rc == 0 && strcmp(l->source, LABEL_KEYWORDS) == 0)
		rc = err_arg(e, ERR_ARG, "source",
			"keyword labels are computed, not stored");
	if (rc == 0 && l->has_score && !isfinite(l->score))
		rc = err_arg(e, ERR_ARG, "score", "a label's score is a finite number");
	return rc;
}

/* ?1 to ?7 as in LABEL_COLUMNS, ?6 the time. */
static void
bind(struct stmt *s, const struct store_label *l, int64_t now)
{
	stmt_blob(s, 1, l->sae_hash, sizeof(l->sae_hash));
	stmt_i64(s, 2, l->feature);
	stmt_str(s, 3, l->text);
	stmt_str(s, 4, l->source);
	stmt_str(s, 5, l->author != NULL ? l->author : "");
	stmt_i64(s, 6, now);
	if (l->has_score)
		stmt_f64(s, 7, l->score);
}

static int
run(struct db *db, const char *sql, const struct store_label *l, int64_t now,
	struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, sql, e);

	if (rc != 0)
		return rc;
	bind(s, l, now);
	return stmt_done(s, e);
}

/* The row's sum is over what the database has made of it. */
static int
seal(struct db *db, const struct store_label *l, int64_t *id, struct err *e)
{
	struct stmt *s;
	uint64_t sum;
	int rc = db_prepare(db, &s, get_new, e);

	if (rc != 0)
		return rc;
	stmt_blob(s, 1, l->sae_hash, sizeof(l->sae_hash));
	stmt_i64(s, 2, l->feature);
	stmt_str(s, 4, l->source);
	stmt_str(s, 5, l->author != NULL ? l->author : "");
	rc = stmt_step(s, e);
	if (rc != 1)
		return rc < 0 ? rc : err_set(e, ERR_INTERNAL, "a label was not stored");
	sum = label_sum(s);
	*id = row_i64(s, LABEL_ID);
	stmt_reset(s);
	rc = db_prepare(db, &s, put_sum, e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, (int64_t)sum);
	stmt_i64(s, 2, *id);
	return stmt_done(s, e);
}

static int
put_all(struct db *db, const struct store_label *labels, size_t n, int64_t *ids,
	struct err *e)
{
	int64_t now = time(NULL);
	int rc = db_begin(db, e);

	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct store_label *l = &labels[i];

		rc = check_label(l, e);
		if (rc == 0)
			rc = run(db, keep_old, l, now, e);
		if (rc == 0)
			rc = run(db, unindex_old, l, now, e);
		if (rc == 0)
			rc = run(db, put_new, l, l->time_s != 0 ? l->time_s : now, e);
		if (rc == 0)
			rc = run(db, index_new, l, now, e);
		if (rc == 0)
			rc = seal(db, l, &ids[i], e);
	}
	if (rc == 0)
		return db_commit(db, e);
	db_rollback(db);
	return rc;
}

static int
not_locked(const struct store *s, struct err *e)
{
	return err_set(e, ERR_DENIED, "%s: labels are not open for writing", s->dir);
}

int
store_label_put(struct store *s, const struct store_label *labels, size_t n,
	int64_t *ids, struct err *e)
{
	int rc;

	mutex_lock(s->label_lock);
	rc = s->labels != NULL ? put_all(s->labels, labels, n, ids, e)
			       : not_locked(s, e);
	mutex_unlock(s->label_lock);
	return rc;
}

static int
delete_one(struct db *db, int64_t id, struct err *e)
{
	static const char *const sql[] = {keep_deleted, unindex_deleted,
		"DELETE FROM label WHERE id=?1 AND ?2=?2"};
	int64_t now = time(NULL);
	int rc = db_begin(db, e);

	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < sizeof(sql) / sizeof(sql[0]); i++) {
		struct stmt *s;

		rc = db_prepare(db, &s, sql[i], e);
		if (rc != 0)
			break;
		stmt_i64(s, 1, id);
		stmt_i64(s, 2, now);
		rc = stmt_done(s, e);
		if (rc == 0 && i == 0 && db_n_changed(db) == 0)
			rc = err_arg(e, ERR_NOTFOUND, "id", "there is no label %lld",
				(long long)id);
	}
	if (rc == 0)
		return db_commit(db, e);
	db_rollback(db);
	return rc;
}

int
store_label_delete(struct store *s, int64_t id, struct err *e)
{
	int rc;

	mutex_lock(s->label_lock);
	rc = s->labels != NULL ? delete_one(s->labels, id, e) : not_locked(s, e);
	mutex_unlock(s->label_lock);
	return rc;
}
