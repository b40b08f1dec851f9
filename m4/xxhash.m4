# SPDX-License-Identifier: ISC
# xxHash: checksums of stored values, in util/hash.c.
AC_DEFUN([SAEDB_CHECK_XXHASH], [
	PKG_CHECK_MODULES([XXHASH], [libxxhash])
])
