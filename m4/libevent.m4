# SPDX-License-Identifier: ISC
# libevent with its pthread glue, in daemon/.
AC_DEFUN([SAEDB_CHECK_LIBEVENT], [
	PKG_CHECK_MODULES([LIBEVENT], [libevent >= 2.1 libevent_pthreads >= 2.1])
	saedb_save_LIBS=$LIBS
	saedb_save_CFLAGS=$CFLAGS
	LIBS="$LIBEVENT_LIBS $LIBS"
	CFLAGS="$CFLAGS $LIBEVENT_CFLAGS"
	AC_MSG_CHECKING([whether libevent links])
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <event2/event.h>
#include <event2/thread.h>
		]], [[
	evthread_use_pthreads();
	return event_base_new() == NULL;
		]])],
		[AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		 AC_MSG_ERROR([libevent or libevent_pthreads does not link])])
	LIBS=$saedb_save_LIBS
	CFLAGS=$saedb_save_CFLAGS
])
