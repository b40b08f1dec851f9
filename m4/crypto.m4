# SPDX-License-Identifier: ISC
# libcrypto: SHA-256 for provenance, in util/hash.c.
AC_DEFUN([SAEDB_CHECK_CRYPTO], [
	PKG_CHECK_MODULES([CRYPTO], [libcrypto])
])
