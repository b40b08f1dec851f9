# SPDX-License-Identifier: ISC
# zlib: .gz corpora, read in util/.
AC_DEFUN([SAEDB_CHECK_ZLIB], [
	PKG_CHECK_MODULES([ZLIB], [zlib])
])
