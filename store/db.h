/* SPDX-License-Identifier: ISC */
/*
 * db: files that are asked in words: connections, prepared statements kept by
 * their text, bound parameters only. The only file that knows SQLite. A
 * statement is sticky: binding never fails by itself, db_step() tells.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db; /* one connection; thread: one at a time */
struct stmt; /* borrowed from its connection */

enum db_mode {
	DB_FROZEN, /* a file that never changes: no locks, no journal */
	DB_READ, /* a file that others write; only reads it */
	DB_WRITE, /* there already; every commit is durable */
	DB_BUILD, /* makes a pending file: quick, durable only after a sync */
	DB_MAKE, /* makes a file whose every commit is durable */
};
/* path ":memory:" with DB_BUILD: no file. new: db_close(). */
int db_open(struct db **out, const char *path, enum db_mode mode, struct err *e);
void db_close(struct db *db);
/* Several statements, constant text, no results wanted. */
int db_exec(struct db *db, const char *sql, struct err *e);
/* Other code's question whether a file is in order; ERR_CORRUPT names what is
 * wrong first. */
int db_check(struct db *db, struct err *e);
/* The file's own version number (user_version). */
int db_version(struct db *db, int64_t *version, struct err *e);
/* Lets queries of this connection also name the tables of another file, as
 * labels.TABLE. Only for one that never changes (DB_FROZEN), and once: damage that is
 * found is the other's. */
int db_attach(struct db *db, const char *path, struct err *e);

int db_begin(struct db *db, struct err *e); /* takes the write lock */
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db);

/* The statement of that text, reset and unbound; kept with the connection, so
 * texts are constants. */
int db_prepare(struct db *db, struct stmt **out, const char *sql, struct err *e);
void stmt_i64(struct stmt *s, int i, int64_t v); /* i from 1 */
void stmt_f64(struct stmt *s, int i, double v);
/* Borrowed until the next db_prepare() of it. p NULL: SQL's NULL. */
void stmt_text(struct stmt *s, int i, const char *p, size_t n_bytes);
void stmt_str(struct stmt *s, int i, const char *p);
void stmt_blob(struct stmt *s, int i, const void *p, size_t n_bytes);
/* 1 with a row, 0 at the end (then it is reset), or a code (reset too). */
int stmt_step(struct stmt *s, struct err *e);
int stmt_done(struct stmt *s, struct err *e); /* steps to the end */
void stmt_reset(struct stmt *s); /* needed only before the end */
/* Whether the last step failed because the text of a query makes no sense. */
bool stmt_bad_query(const struct stmt *s);

int64_t row_i64(const struct stmt *s, int i); /* i from 0 */
double row_f64(const struct stmt *s, int i);
const char *row_str(const struct stmt *s, int i); /* "" for NULL; until the next step */
const void *row_blob(const struct stmt *s, int i, size_t *n_bytes);
bool row_null(const struct stmt *s, int i);
int row_n(const struct stmt *s); /* columns */
/* Hash over n columns from first on, types and lengths included. */
uint64_t row_hash(const struct stmt *s, int first, int n, uint64_t seed);

int64_t db_last_id(const struct db *db);
int64_t db_n_changed(const struct db *db); /* rows, by the last statement */

#endif
