/* SPDX-License-Identifier: ISC */
#include "store/db.h"
#include "tests/store/small.h"

static char *
make(const char *name)
{
	struct db *db;
	char *path = at(name);

	OK(db_open(&db, path, DB_MAKE, e));
	OK(db_exec(db,
		"CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE);"
		"PRAGMA user_version=7",
		e));
	db_close(db);
	return path;
}

static void
test_rows(void **state)
{
	struct db *db;
	struct stmt *s;
	int64_t version;
	size_t n;
	struct err said = ERR_INIT;

	(void)state;
	OK(db_open(&db, make("odd %41?x=#1"), DB_WRITE, e));
	assert_true(file_exists(at("odd %41?x=#1")));
	OK(db_version(db, &version, e));
	assert_int_equal(version, 7);
	OK(db_begin(db, e));
	OK(db_prepare(db, &s, "INSERT INTO t VALUES(?,?)", e));
	stmt_i64(s, 1, INT64_MIN);
	stmt_str(s, 2, "it's");
	OK(stmt_done(s, e));
	assert_int_equal(db_n_changed(db), 1);
	OK(db_commit(db, e));
	OK(db_prepare(db, &s, "SELECT a, b, NULL, 1.5, x'00ff' FROM t", e));
	assert_int_equal(stmt_step(s, &said), 1);
	assert_int_equal(row_n(s), 5);
	assert_true(row_i64(s, 0) == INT64_MIN);
	assert_string_equal(row_str(s, 1), "it's");
	assert_true(row_null(s, 2) && row_str(s, 2)[0] == '\0');
	assert_true(row_f64(s, 3) == 1.5);
	assert_memory_equal(row_blob(s, 4, &n), "\x00\xff", 2);
	assert_int_equal(n, 2);
	assert_true(row_hash(s, 0, 2, 0) != row_hash(s, 0, 3, 0));
	assert_int_equal(stmt_step(s, &said), 0);
	db_close(db);
	db_close(NULL);
}

static void
test_errors(void **state)
{
	struct db *db, *other;
	struct stmt *s;
	struct err said = ERR_INIT;
	char *path = make("errors.db");

	(void)state;
	FAILS(ERR_IO, db_open(&db, at("none"), DB_WRITE, e));
	FAILS(ERR_IO, db_open(&db, at("none"), DB_READ, e));
	assert_false(file_exists(at("none")));
	put_file(at("junk"), "this is no database, and it is long enough to see", 50);
	FAILS(ERR_CORRUPT, db_open(&db, at("junk"), DB_WRITE, e));
	OK(db_open(&db, path, DB_READ, e));
	FAILS(ERR_IO, db_exec(db, "INSERT INTO t VALUES(1,'x')", e)); /* only reads */
	FAILS(ERR_INTERNAL, db_prepare(db, &s, "SELECT nonsense", e));
	OK(db_prepare(db, &s, "SELECT ?1", e));
	stmt_i64(s, 2, 1);
	assert_int_equal(stmt_step(s, &said), ERR_INTERNAL); /* sticky */
	db_close(db);
	OK(db_open(&db, path, DB_WRITE, e));
	OK(db_exec(db, "INSERT INTO t VALUES(1,'x')", e));
	OK(db_prepare(db, &s, "INSERT INTO t VALUES(2,'x')", e));
	assert_int_equal(stmt_step(s, &said), ERR_ARG);
	assert_non_null(strstr(said.text, "errors.db"));
	/* a rollback leaves nothing */
	OK(db_begin(db, e));
	OK(db_exec(db, "INSERT INTO t VALUES(3,'y')", e));
	OK(db_open(&other, path, DB_READ, e));
	db_rollback(db);
	OK(db_prepare(other, &s, "SELECT count(*) FROM t", e));
	assert_int_equal(stmt_step(s, &said), 1);
	assert_int_equal(row_i64(s, 0), 1);
	db_close(other);
	db_close(db);
}

/* More statements than a connection keeps. */
static void
test_many(void **state)
{
	static char sql[100][32];
	struct db *db;
	struct stmt *s;
	struct err said = ERR_INIT;

	(void)state;
	OK(db_open(&db, ":memory:", DB_BUILD, e));
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 100; i++) {
			snprintf(sql[i], sizeof(sql[i]), "SELECT %d", i);
			OK(db_prepare(db, &s, sql[i], e));
			assert_int_equal(stmt_step(s, &said), 1);
			assert_int_equal(row_i64(s, 0), i);
		}
	db_close(db);
}

/* A file that is said never to change is read without a lock or a journal, also
 * where nothing may be written. */
static void
test_frozen(void **state)
{
	struct db *db, *writer;
	struct stmt *s;
	struct err said = ERR_INIT;
	char *path = make("frozen.db");

	(void)state;
	OK(db_open(&writer, path, DB_WRITE, e));
	OK(db_exec(writer, "BEGIN EXCLUSIVE", e));
	OK(db_open(&db, path, DB_FROZEN, e));
	OK(db_prepare(db, &s, "SELECT count(*) FROM t", e));
	assert_int_equal(stmt_step(s, &said), 1);
	FAILS(ERR_IO, db_exec(db, "INSERT INTO t VALUES(1,'x')", e));
	db_close(db);
	db_close(writer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_frozen),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
