# SPDX-License-Identifier: ISC
# POSIX threads, in util/.
AC_DEFUN([SAEDB_CHECK_PTHREAD], [
	saedb_save_LIBS=$LIBS
	LIBS=
	AC_SEARCH_LIBS([pthread_create], [pthread], [],
		[AC_MSG_ERROR([no POSIX threads])])
	PTHREAD_LIBS=$LIBS
	LIBS=$saedb_save_LIBS
	AC_SUBST([PTHREAD_LIBS])
])
