/* SPDX-License-Identifier: ISC */
#include "store/db.h"

#include "store/disk.h"
#include "util/buf.h"
#include "util/hash.h"
#include "util/mem.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENTS 48 /* kept by a connection */
#define BUSY_MS 10000 /* a writer's commit is waited for */

struct stmt {
	struct db *db;
	sqlite3_stmt *st;
	const char *sql; /* borrowed: a constant */
	int bind_rc, step_rc;
};

struct db {
	sqlite3 *c;
	char *path;
	char *attached; /* or NULL */
	struct stmt stmt[STATEMENTS];
	size_t n_stmts;
	size_t next; /* to be given up when all are taken */
};

/* ---- errors ---------------------------------------------------------------- */

static const struct {
	int rc;
	int code;
} code_of[] = {
	{SQLITE_NOMEM, ERR_NOMEM},
	{SQLITE_FULL, ERR_FULL},
	{SQLITE_BUSY, ERR_BUSY},
	{SQLITE_LOCKED, ERR_BUSY},
	{SQLITE_CORRUPT, ERR_CORRUPT},
	{SQLITE_NOTADB, ERR_CORRUPT},
	{SQLITE_IOERR, ERR_IO},
	{SQLITE_CANTOPEN, ERR_IO},
	{SQLITE_READONLY, ERR_IO},
	{SQLITE_PERM, ERR_IO},
	{SQLITE_CONSTRAINT, ERR_ARG},
	{SQLITE_TOOBIG, ERR_LIMIT},
	{SQLITE_AUTH, ERR_DENIED},
	{SQLITE_INTERRUPT, ERR_CANCELLED},
};

static int
fail(struct db *db, int rc, const char *what, struct err *e)
{
	int code = ERR_INTERNAL, os = db->c != NULL ? sqlite3_system_errno(db->c) : 0;
	const char *path = db->path;

	for (size_t i = 0; i < sizeof(code_of) / sizeof(code_of[0]); i++)
		if (code_of[i].rc == (rc & 0xff))
			code = code_of[i].code;
	/* SQLite asks for the file in more than one way, and keeps the last errno */
	if (((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN) &&
		disk_is_full(db->path))
		os = ENOSPC;
	if (code == ERR_IO && (os == ENOSPC || os == EDQUOT || os == EFBIG))
		code = ERR_FULL;
	if (rc == SQLITE_IOERR_NOMEM)
		code = ERR_NOMEM;
	if (rc == SQLITE_IOERR_SHORT_READ)
		code = ERR_CORRUPT;
	/* the first was whole when it was opened, and is never changed */
	if (code == ERR_CORRUPT && db->attached != NULL)
		path = db->attached;
	if (code == ERR_FULL)
		return err_set(e, code, "%s: %s: the disk is full", path, what);
	return err_set(e, code, "%s: %s: %s", path, what,
		db->c != NULL ? sqlite3_errmsg(db->c) : sqlite3_errstr(rc));
}

/* ---- connections ----------------------------------------------------------- */

/* file:PATH with what has a meaning in URIs escaped. */
static char *
uri_of(const char *path, const char *query, struct buf *b)
{
	buf_puts(b, "file:");
	if (path[0] == '/')
		buf_puts(b, "//");
	for (const char *p = path; *p != '\0'; p++) {
		if (strchr("%?#", *p) != NULL)
			buf_printf(b, "%%%02X", (unsigned char)*p);
		else
			buf_put(b, p, 1);
	}
	buf_puts(b, query);
	return buf_str(b);
}

/* A reader may have to roll back what a killed writer left, so it opens to
 * write where it can; query_only keeps it from more. */
static const struct {
	int flags;
	const char *query, *sql;
} modes[] = {
	[DB_FROZEN] = {SQLITE_OPEN_READWRITE, "?immutable=1", "PRAGMA query_only=1"},
	[DB_READ] = {SQLITE_OPEN_READWRITE, "", "PRAGMA query_only=1"},
	/* EXTRA: the directory is synced when the journal is gone; else a commit could
	 * be rolled back after power loss */
	[DB_WRITE] = {SQLITE_OPEN_READWRITE, "",
		"PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA;"
		"PRAGMA foreign_keys=1"},
	[DB_BUILD] = {SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "",
		"PRAGMA page_size=4096; PRAGMA journal_mode=MEMORY;"
		"PRAGMA synchronous=OFF; PRAGMA cache_size=-16384;"
		"PRAGMA locking_mode=EXCLUSIVE"},
	[DB_MAKE] = {SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "",
		"PRAGMA page_size=4096; PRAGMA journal_mode=DELETE;"
		"PRAGMA synchronous=FULL; PRAGMA foreign_keys=1"},
};

static int
open_uri(struct db *db, enum db_mode mode, struct err *e)
{
	struct buf b;
	char *uri;
	int rc;

	buf_init(&b);
	uri = uri_of(db->path, modes[mode].query, &b);
	if (uri == NULL) {
		buf_clear(&b);
		return err_set(e, ERR_NOMEM, "%s: no memory", db->path);
	}
	rc = sqlite3_open_v2(strcmp(db->path, ":memory:") == 0 ? db->path : uri, &db->c,
		modes[mode].flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	buf_clear(&b);
	return rc == SQLITE_OK ? 0 : fail(db, rc, "open", e);
}

int
db_open(struct db **out, const char *path, enum db_mode mode, struct err *e)
{
	struct db *db = mem_new(1, sizeof(*db));
	int rc;

	*out = NULL;
	if (db != NULL)
		db->path = mem_strdup(path);
	if (db == NULL || db->path == NULL) {
		mem_free(db);
		return err_set(e, ERR_NOMEM, "%s: no memory", path);
	}
	rc = open_uri(db, mode, e);
	if (rc == 0) {
		sqlite3_extended_result_codes(db->c, 1);
		sqlite3_busy_timeout(db->c, BUSY_MS);
		/* no schema of a damaged or strange file may run code of ours */
		sqlite3_db_config(db->c, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		sqlite3_db_config(db->c, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		rc = db_exec(db, modes[mode].sql, e);
	}
	if (rc != 0) {
		db_close(db);
		return rc;
	}
	*out = db;
	return 0;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->n_stmts; i++)
		sqlite3_finalize(db->stmt[i].st);
	sqlite3_close(db->c);
	mem_free(db->attached);
	mem_free(db->path);
	mem_free(db);
}

int
db_exec(struct db *db, const char *sql, struct err *e)
{
	int rc = sqlite3_exec(db->c, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(db, rc, "set up", e);
}

int
db_check(struct db *db, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "PRAGMA integrity_check(1)", e);

	if (rc == 0)
		rc = stmt_step(s, e);
	if (rc == 1 && strcmp(row_str(s, 0), "ok") != 0)
		rc = err_set(e, ERR_CORRUPT, "%s: %.400s", db->path, row_str(s, 0));
	if (s != NULL)
		stmt_reset(s);
	return rc < 0 ? rc : 0;
}

int
db_version(struct db *db, int64_t *version, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "PRAGMA user_version", e);

	if (rc == 0)
		rc = stmt_step(s, e);
	*version = rc == 1 ? row_i64(s, 0) : -1;
	if (s != NULL)
		stmt_reset(s);
	return rc < 0 ? rc : 0;
}

int
db_attach(struct db *db, const char *path, struct err *e)
{
	struct stmt *s;
	struct buf b;
	char *uri;
	int rc = db_prepare(db, &s, "ATTACH ? AS labels", e);

	if (rc != 0)
		return rc;
	buf_init(&b);
	uri = uri_of(path, "", &b);
	db->attached = mem_strdup(path);
	if (uri != NULL && db->attached != NULL) {
		stmt_str(s, 1, uri);
		rc = stmt_done(s, e);
	} else
		rc = err_set(e, ERR_NOMEM, "%s: no memory", path);
	buf_clear(&b);
	return rc;
}

int
db_begin(struct db *db, struct err *e)
{
	int rc = sqlite3_exec(db->c, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(db, rc, "begin", e);
}

int
db_commit(struct db *db, struct err *e)
{
	int rc = sqlite3_exec(db->c, "COMMIT", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		return 0;
	rc = fail(db, rc, "commit", e);
	db_rollback(db);
	return rc;
}

void
db_rollback(struct db *db)
{
	for (size_t i = 0; i < db->n_stmts; i++)
		sqlite3_reset(db->stmt[i].st);
	if (!sqlite3_get_autocommit(db->c))
		sqlite3_exec(db->c, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- statements ------------------------------------------------------------ */

static struct stmt *
stmt_slot(struct db *db)
{
	struct stmt *s;

	if (db->n_stmts < STATEMENTS)
		return &db->stmt[db->n_stmts++];
	s = &db->stmt[db->next++ % STATEMENTS];
	sqlite3_finalize(s->st);
	return s;
}

int
db_prepare(struct db *db, struct stmt **out, const char *sql, struct err *e)
{
	sqlite3_stmt *st;
	struct stmt *s;
	int rc;

	*out = NULL;

	for (size_t i = 0; i < db->n_stmts; i++) {
		s = &db->stmt[i];
		if (s->sql != sql && strcmp(s->sql, sql) != 0)
			continue;
		sqlite3_reset(s->st);
		sqlite3_clear_bindings(s->st);
		s->bind_rc = SQLITE_OK;
		*out = s;
		return 0;
	}
	rc = sqlite3_prepare_v3(db->c, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
	if (rc != SQLITE_OK)
		return fail(db, rc, "prepare", e);
	s = stmt_slot(db);
	*s = (struct stmt){.db = db, .st = st, .sql = sql};
	*out = s;
	return 0;
}

static void
bound(struct stmt *s, int rc)
{
	if (s->bind_rc == SQLITE_OK)
		s->bind_rc = rc;
}

void
stmt_i64(struct stmt *s, int i, int64_t v)
{
	bound(s, sqlite3_bind_int64(s->st, i, v));
}

void
stmt_f64(struct stmt *s, int i, double v)
{
	bound(s, sqlite3_bind_double(s->st, i, v));
}

void
stmt_text(struct stmt *s, int i, const char *p, size_t n_bytes)
{
	bound(s, sqlite3_bind_text64(s->st, i, p, n_bytes, SQLITE_STATIC, SQLITE_UTF8));
}

void
stmt_str(struct stmt *s, int i, const char *p)
{
	stmt_text(s, i, p, p != NULL ? strlen(p) : 0);
}

void
stmt_blob(struct stmt *s, int i, const void *p, size_t n_bytes)
{
	bound(s, sqlite3_bind_blob64(s->st, i, p, n_bytes, SQLITE_STATIC));
}

int
stmt_step(struct stmt *s, struct err *e)
{
	int rc = s->bind_rc != SQLITE_OK ? s->bind_rc : sqlite3_step(s->st);

	s->step_rc = rc;
	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		rc = fail(s->db, rc, "query", e);
	else
		rc = 0;
	sqlite3_reset(s->st);
	return rc;
}

int
stmt_done(struct stmt *s, struct err *e)
{
	int rc;

	do
		rc = stmt_step(s, e);
	while (rc == 1);
	return rc;
}

void
stmt_reset(struct stmt *s)
{
	sqlite3_reset(s->st);
}

bool
stmt_bad_query(const struct stmt *s)
{
	return s->step_rc == SQLITE_ERROR;
}

/* ---- rows ------------------------------------------------------------------ */

int64_t
row_i64(const struct stmt *s, int i)
{
	return sqlite3_column_int64(s->st, i);
}

double
row_f64(const struct stmt *s, int i)
{
	return sqlite3_column_double(s->st, i);
}

const char *
row_str(const struct stmt *s, int i)
{
	const char *p = (const char *)sqlite3_column_text(s->st, i);

	return p != NULL ? p : "";
}

const void *
row_blob(const struct stmt *s, int i, size_t *n_bytes)
{
	const void *p = sqlite3_column_blob(s->st, i);

	*n_bytes = p != NULL ? (size_t)sqlite3_column_bytes(s->st, i) : 0;
	return p;
}

bool
row_null(const struct stmt *s, int i)
{
	return sqlite3_column_type(s->st, i) == SQLITE_NULL;
}

int
row_n(const struct stmt *s)
{
	return sqlite3_column_count(s->st);
}

/* Integers and reals by their 8 bytes, the rest by their bytes. */
static uint64_t
column_hash(const struct stmt *s, int i, uint64_t seed)
{
	int type = sqlite3_column_type(s->st, i);
	int64_t number = 0;
	double real;
	const void *p;

	if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
		p = sqlite3_column_blob(s->st, i);
		number = sqlite3_column_bytes(s->st, i);
		seed = hash64(p != NULL ? p : "", (size_t)number, seed);
	} else if (type == SQLITE_FLOAT) {
		real = sqlite3_column_double(s->st, i);
		memcpy(&number, &real, sizeof(number));
	} else if (type == SQLITE_INTEGER)
		number = sqlite3_column_int64(s->st, i);
	return hash_mix(seed, (uint64_t)type, (uint64_t)number, 0);
}

uint64_t
row_hash(const struct stmt *s, int first, int n, uint64_t seed)
{
	for (int i = first; i < first + n; i++)
		seed = column_hash(s, i, seed);
	return hash_mix(seed, (uint64_t)n, 0, 0);
}

int64_t
db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->c);
}

int64_t
db_n_changed(const struct db *db)
{
	return sqlite3_changes64(db->c);
}
