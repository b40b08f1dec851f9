# SPDX-License-Identifier: ISC
# PCRE2: the pre-tokenizer's regular expression, in model/.
AC_DEFUN([SAEDB_CHECK_PCRE2], [
	PKG_CHECK_MODULES([PCRE2], [libpcre2-8])
])
