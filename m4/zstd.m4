# SPDX-License-Identifier: ISC
# Zstandard: .zst corpora and stored blocks, in util/.
AC_DEFUN([SAEDB_CHECK_ZSTD], [
	PKG_CHECK_MODULES([ZSTD], [libzstd])
])
