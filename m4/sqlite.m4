# SPDX-License-Identifier: ISC
# SQLite: what is asked in words, in store/db.c.
AC_DEFUN([SAEDB_CHECK_SQLITE], [
	PKG_CHECK_MODULES([SQLITE], [sqlite3 >= 3.37])
])
