# SPDX-License-Identifier: ISC
# LMDB: what is fetched by number, in store/kv.c.
AC_DEFUN([SAEDB_CHECK_LMDB], [
	PKG_CHECK_MODULES([LMDB], [lmdb], [], [
		AC_CHECK_HEADER([lmdb.h], [], [AC_MSG_ERROR([no lmdb.h])])
		AC_CHECK_LIB([lmdb], [mdb_env_create], [LMDB_LIBS=-llmdb],
			[AC_MSG_ERROR([no liblmdb])])
		AC_SUBST([LMDB_LIBS])
	])
])
