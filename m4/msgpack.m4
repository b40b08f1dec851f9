# SPDX-License-Identifier: ISC
# msgpack-c, in schema/. Debian 12 calls it msgpack, others msgpack-c.
AC_DEFUN([SAEDB_CHECK_MSGPACK], [
	PKG_CHECK_MODULES([MSGPACK], [msgpack-c], [],
		[PKG_CHECK_MODULES([MSGPACK], [msgpack])])
])
