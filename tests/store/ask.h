/* SPDX-License-Identifier: ISC */
/*
 * For tests that look into a store's catalogue behind the store's back.
 */
#ifndef TESTS_STORE_ASK_H
#define TESTS_STORE_ASK_H

#include "store/db.h"
#include "tests/store/small.h"

/* What the catalogue answers to a query for one number. */
static int64_t
ask_number(const char *dir, const char *sql)
{
	char path[PATH_BYTES];
	struct stmt *st;
	struct db *db;
	int64_t n;

	OK(path_join(path, e, "%s/catalog.db", dir));
	OK(db_open(&db, path, DB_READ, e));
	OK(db_prepare(db, &st, sql, e));
	assert_int_equal(stmt_step(st, NULL), 1);
	n = row_i64(st, 0);
	stmt_reset(st);
	db_close(db);
	return n;
}

#endif
