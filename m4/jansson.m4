# SPDX-License-Identifier: ISC
# jansson: JSON, in schema/ and model/json.c.
AC_DEFUN([SAEDB_CHECK_JANSSON], [
	PKG_CHECK_MODULES([JANSSON], [jansson >= 2.12])
])
