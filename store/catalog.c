/* SPDX-License-Identifier: ISC */
#include "store/columns.h"
#include "store/inner.h"
#include "util/hash.h"

#include <stdio.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

const char catalog_schema[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE model(id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
	" family TEXT NOT NULL, architecture TEXT NOT NULL, dtype_file TEXT NOT NULL,"
	" n_layers INTEGER, d_model INTEGER, n_vocab INTEGER, n_ctx INTEGER,"
	" n_params INTEGER, weights_sha256 TEXT NOT NULL, tokenizer_sha256 TEXT NOT "
	"NULL,"
	" created_s INTEGER);"
	"CREATE TABLE cut(id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
	" tokenizer_sha256 TEXT NOT NULL, corpus_sha256 TEXT NOT NULL, context INTEGER,"
	" n_documents INTEGER, n_windows INTEGER, prepend_bos INTEGER, joined INTEGER,"
	" bos INTEGER, n_tokens INTEGER, n_bytes INTEGER, created_s INTEGER);"
	"CREATE TABLE sae(id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,"
	" name TEXT NOT NULL COLLATE NOCASE UNIQUE, model_id TEXT NOT NULL,"
	" hook TEXT NOT NULL, kind TEXT NOT NULL, family TEXT NOT NULL,"
	" architecture TEXT NOT NULL, rules TEXT NOT NULL, d_in INTEGER, d_sae INTEGER,"
	" k INTEGER, context INTEGER, prepend_bos INTEGER, weights_sha256 TEXT NOT "
	"NULL,"
	" created_s INTEGER);"
	"CREATE TABLE run(number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" id TEXT NOT NULL UNIQUE, model_id TEXT NOT NULL, cut_id TEXT NOT NULL,"
	" created_s INTEGER, provenance TEXT NOT NULL);"
	"CREATE TABLE run_sae(run INTEGER NOT NULL, slot INTEGER NOT NULL,"
	" sae_id TEXT NOT NULL, n_tokens INTEGER, n_active INTEGER, n_alive INTEGER,"
	" l0 REAL, explained REAL, mse REAL, PRIMARY KEY(run, slot)) WITHOUT ROWID;"
	"CREATE TABLE graph(from_id TEXT NOT NULL, to_id TEXT NOT NULL, k INTEGER NOT "
	"NULL,"
	" UNIQUE(from_id, to_id));"
	"CREATE TABLE file(kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,"
	" n_bytes INTEGER NOT NULL, xxh3 INTEGER NOT NULL, PRIMARY KEY(kind, id, name))"
	" WITHOUT ROWID;"
	"PRAGMA user_version=1;";

static int
put_row(struct db *db, const char *sql, const struct columns *c, const void *row,
	struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, sql, e);

	if (rc != 0)
		return rc;
	columns_bind(s, 1, c, row);
	return stmt_done(s, e);
}

int
catalog_put_model(struct db *db, const struct cat_model *m, struct err *e)
{
	return put_row(db,
		"INSERT INTO model SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13"
		" WHERE NOT EXISTS(SELECT 1 FROM model WHERE id=?1)",
		&columns_model, m, e);
}

int
catalog_put_cut(struct db *db, const struct cat_cut *c, struct err *e)
{
	return put_row(db, "INSERT INTO cut VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
		&columns_cut, c, e);
}

/* Unless asking gives a row. */
static int
add_columns(struct db *db, const char *ask, const char *alter, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, ask, e);

	if (rc == 0)
		rc = stmt_step(s, e);
	if (rc == 1)
		stmt_reset(s);
	return rc == 0 ? db_exec(db, alter, e) : rc < 0 ? rc : 0;
}

/* Only a width of its own is written, in a column that the first SAE to have one
 * adds: stores without are as they have always been. */
static int
put_d_out(struct db *db, const struct cat_sae *x, struct err *e)
{
	struct stmt *s;
	int rc = add_columns(db,
		"SELECT 1 FROM pragma_table_info('sae') WHERE name='d_out'",
		"ALTER TABLE sae ADD COLUMN d_out INTEGER", e);

	if (rc == 0)
		rc = db_prepare(db, &s, "UPDATE sae SET d_out=? WHERE id=?", e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, x->d_out);
	stmt_str(s, 2, x->id);
	return stmt_done(s, e);
}

int
catalog_put_sae(struct db *db, const struct cat_sae *x, struct err *e)
{
	int rc = put_row(db,
		"INSERT INTO sae(id, hash, name, model_id, hook, kind, family,"
		" architecture, rules, d_in, d_sae, k, context, prepend_bos,"
		" weights_sha256, created_s) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		&columns_sae, x, e);

	return rc == 0 && x->d_out != x->d_in ? put_d_out(db, x, e) : rc;
}

/* The same of the features that a run sought: first_feature is added last. */
static int
put_range(struct db *db, uint32_t run, uint32_t slot, const struct cat_run_sae *x,
	struct err *e)
{
	struct stmt *s;
	int rc = add_columns(db,
		"SELECT 1 FROM pragma_table_info('run_sae')"
		" WHERE name='first_feature'",
		"ALTER TABLE run_sae ADD COLUMN end_feature INTEGER;"
		"ALTER TABLE run_sae ADD COLUMN first_feature INTEGER",
		e);

	if (rc == 0)
		rc = db_prepare(db, &s,
			"UPDATE run_sae SET end_feature=?, first_feature=?"
			" WHERE run=? AND slot=?",
			e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, x->end);
	stmt_i64(s, 2, x->first);
	stmt_i64(s, 3, run);
	stmt_i64(s, 4, slot);
	return stmt_done(s, e);
}

/* Whether it sought a part of the SAE's features: 1. */
static int
is_part(struct db *db, const char *sae_id, const struct cat_run_sae *x, struct err *e)
{
	struct stmt *s;
	int rc;

	if (x->end == 0)
		return 0;
	rc = db_prepare(db, &s, "SELECT 1 FROM sae WHERE id=? AND (?>0 OR ?<d_sae)", e);
	if (rc != 0)
		return rc;
	stmt_str(s, 1, sae_id);
	stmt_i64(s, 2, x->first);
	stmt_i64(s, 3, x->end);
	rc = stmt_step(s, e);
	stmt_reset(s);
	return rc;
}

int
catalog_put_run_sae(struct db *db, uint32_t run, uint32_t slot, const char *sae_id,
	const struct cat_run_sae *x, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s,
		"INSERT INTO run_sae(run, slot, sae_id, n_tokens, n_active, n_alive,"
		" l0, explained, mse) VALUES(?,?,?,?,?,?,?,?,?)",
		e);

	if (rc != 0)
		return rc;
	stmt_i64(s, 1, run);
	stmt_i64(s, 2, slot);
	stmt_str(s, 3, sae_id);
	columns_bind(s, 4, &columns_run_sae, x);
	rc = stmt_done(s, e);
	if (rc == 0)
		rc = is_part(db, sae_id, x, e);
	return rc == 1 ? put_range(db, run, slot, x, e) : rc;
}

int
catalog_put_parts(struct db *db, enum kind kind, const char *id,
	const struct part *part, size_t n_parts, struct err *e)
{
	struct stmt *s;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n_parts; i++) {
		rc = db_prepare(db, &s, "INSERT OR REPLACE INTO file VALUES(?,?,?,?,?)",
			e);
		if (rc != 0)
			break;
		stmt_str(s, 1, kind_name[kind]);
		stmt_str(s, 2, id);
		stmt_str(s, 3, part[i].name);
		stmt_i64(s, 4, (int64_t)part[i].n_bytes);
		stmt_i64(s, 5, (int64_t)part[i].hash);
		rc = stmt_done(s, e);
	}
	return rc;
}

/* ---- the sum over everything ----------------------------------------------- */

static const char *const all_rows[] = {
	"SELECT * FROM model ORDER BY rowid",
	"SELECT * FROM cut ORDER BY rowid",
	"SELECT * FROM sae ORDER BY rowid",
	"SELECT * FROM run ORDER BY number",
	"SELECT * FROM run_sae ORDER BY run, slot",
	"SELECT * FROM graph ORDER BY rowid",
	"SELECT * FROM file ORDER BY kind, id, name",
	"SELECT * FROM meta WHERE key<>'sum' ORDER BY key",
};

static int
sum_rows(struct db *db, uint64_t *sum, struct err *e)
{
	int rc = 0;

	*sum = 0;
	for (size_t i = 0; i < N(all_rows); i++) {
		struct stmt *s;

		rc = db_prepare(db, &s, all_rows[i], e);
		if (rc != 0)
			return rc;
		while ((rc = stmt_step(s, e)) == 1)
			*sum = row_hash(s, 0, row_n(s), *sum);
		if (rc != 0)
			return rc;
		*sum = hash_mix(*sum, i, 0, 0);
	}
	return 0;
}

static int
get_meta(struct db *db, const char *key, int64_t *value, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "SELECT value FROM meta WHERE key=?", e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, key);
	rc = stmt_step(s, e);
	if (rc == 0)
		return err_set(e, ERR_CORRUPT, "the catalogue has no %s", key);
	if (rc < 0)
		return rc;
	*value = row_i64(s, 0);
	stmt_reset(s);
	return 0;
}

static int
put_meta(struct db *db, const char *key, int64_t value, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "INSERT OR REPLACE INTO meta VALUES(?,?)", e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, key);
	stmt_i64(s, 2, value);
	return stmt_done(s, e);
}

int
catalog_generation(struct db *db, uint64_t *generation, struct err *e)
{
	int64_t value = 0;
	int rc = get_meta(db, "generation", &value, e);

	*generation = (uint64_t)value;
	return rc;
}

int
catalog_check(struct db *db, struct err *e)
{
	uint64_t sum;
	int64_t want = 0;
	int rc = sum_rows(db, &sum, e);

	if (rc == 0)
		rc = get_meta(db, "sum", &want, e);
	if (rc == 0 && (uint64_t)want != sum)
		rc = err_set(e, ERR_CORRUPT,
			"the catalogue does not match its checksum");
	return rc;
}

int
catalog_seal(struct db *db, struct err *e)
{
	uint64_t generation, sum;
	int rc = catalog_generation(db, &generation, e);

	if (rc == 0)
		rc = put_meta(db, "generation", (int64_t)(generation + 1), e);
	if (rc == 0)
		rc = sum_rows(db, &sum, e);
	return rc == 0 ? put_meta(db, "sum", (int64_t)sum, e) : rc;
}

int
catalog_make(struct db *db, struct err *e)
{
	int rc = db_begin(db, e);

	if (rc == 0)
		rc = db_exec(db, catalog_schema, e);
	if (rc == 0)
		rc = put_meta(db, "generation", 0, e);
	if (rc == 0)
		rc = catalog_seal(db, e);
	return rc == 0 ? db_commit(db, e) : rc;
}

int
catalog_parts(struct db *db, enum kind kind, const char *id, struct part **part,
	size_t *n_parts, struct err *e)
{
	struct stmt *s;
	struct part *list = NULL, *more;
	size_t n = 0;
	int rc = db_prepare(db, &s,
		"SELECT name, n_bytes, xxh3 FROM file WHERE kind=? AND id=?"
		" ORDER BY name",
		e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, kind_name[kind]);
	stmt_str(s, 2, id);
	while ((rc = stmt_step(s, e)) == 1) {
		more = mem_resize(list, n + 1, sizeof(*list));
		if (more == NULL) {
			rc = err_set(e, ERR_NOMEM, "no memory for the catalogue");
			break;
		}
		list = more;
		list[n] = (struct part){.n_bytes = (uint64_t)row_i64(s, 1),
			.hash = (uint64_t)row_i64(s, 2)};
		snprintf(list[n].name, sizeof(list[n].name), "%s", row_str(s, 0));
		n++;
	}
	if (rc == 0 && n == 0)
		rc = err_set(e, ERR_CORRUPT, "the catalogue names no file of %s/%s",
			kind_name[kind], id);
	if (rc != 0) {
		stmt_reset(s);
		mem_free(list);
		return rc;
	}
	*part = list;
	*n_parts = n;
	return 0;
}

int
catalog_names(struct db *db, enum kind kind, const char *id, bool *named, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "SELECT 1 FROM file WHERE kind=? AND id=? LIMIT 1",
		e);

	*named = false;
	if (rc != 0)
		return rc;
	stmt_str(s, 1, kind_name[kind]);
	stmt_str(s, 2, id);
	rc = stmt_step(s, e);
	*named = rc == 1;
	stmt_reset(s);
	return rc < 0 ? rc : 0;
}

int
catalog_commit(struct db *db, struct err *e)
{
	struct generation g = {0};
	int rc = catalog_seal(db, e);

	arena_init(&g.arena, 0);
	if (rc == 0)
		rc = catalog_load(db, &g, e);
	arena_clear(&g.arena);
	if (rc == 0)
		return db_commit(db, e);
	db_rollback(db);
	return rc;
}
