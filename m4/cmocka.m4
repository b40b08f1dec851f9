# SPDX-License-Identifier: ISC
# cmocka, for the unit tests only.
AC_DEFUN([SAEDB_CHECK_CMOCKA], [
	PKG_CHECK_MODULES([CMOCKA], [cmocka >= 1.1], [have_cmocka=yes],
		[have_cmocka=no
		 AC_MSG_WARN([no cmocka: 'make check' will leave out the unit tests])])
	AM_CONDITIONAL([CMOCKA], [test "x$have_cmocka" = xyes])
])
