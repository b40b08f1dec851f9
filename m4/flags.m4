# SPDX-License-Identifier: ISC
# Compiler and linker flags: what every file is built with, and the options
# that change it.

# SAEDB_TRY_CFLAG(VARIABLE, FLAG...): append each flag the compiler accepts.
AC_DEFUN([SAEDB_TRY_CFLAG], [
	for saedb_flag in $2; do
		saedb_save_CFLAGS=$CFLAGS
		CFLAGS="-Werror $CFLAGS $saedb_flag"
		AC_MSG_CHECKING([whether $CC accepts $saedb_flag])
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
			[AC_MSG_RESULT([yes]); $1="$$1 $saedb_flag"],
			[AC_MSG_RESULT([no])])
		CFLAGS=$saedb_save_CFLAGS
	done
])

# The same for flags of the linker.
AC_DEFUN([SAEDB_TRY_LDFLAG], [
	for saedb_flag in $2; do
		saedb_save_LDFLAGS=$LDFLAGS
		LDFLAGS="$LDFLAGS $saedb_flag"
		AC_MSG_CHECKING([whether the linker accepts $saedb_flag])
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
			[AC_MSG_RESULT([yes]); $1="$$1 $saedb_flag"],
			[AC_MSG_RESULT([no])])
		LDFLAGS=$saedb_save_LDFLAGS
	done
])

AC_DEFUN([SAEDB_ARG_WERROR], [
	AC_ARG_ENABLE([werror],
		[AS_HELP_STRING([--enable-werror], [treat warnings as errors])],
		[], [enable_werror=no])
])

AC_DEFUN([SAEDB_ARG_SANITIZERS], [
	AC_ARG_ENABLE([sanitizers],
		[AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@],
			[build with sanitizers: address,undefined
			 (when no list is given) or thread])],
		[AS_IF([test "x$enableval" = xyes],
			[enable_sanitizers=address,undefined])],
		[enable_sanitizers=no])
])

AC_DEFUN([SAEDB_ARG_FUZZER], [
	AC_ARG_ENABLE([fuzzer],
		[AS_HELP_STRING([--enable-fuzzer],
			[link the fuzz targets with libFuzzer (clang); without
			 it they replay the seeds they are given])],
		[], [enable_fuzzer=no])
	AM_CONDITIONAL([FUZZER], [test "x$enable_fuzzer" != xno])
])

AC_DEFUN([SAEDB_ARG_COVERAGE], [
	AC_ARG_ENABLE([coverage],
		[AS_HELP_STRING([--enable-coverage],
			[instrument for gcov, without optimisation])],
		[], [enable_coverage=no])
])

AC_DEFUN([SAEDB_FLAGS], [
	saedb_cflags=
	saedb_ldflags=
	saedb_cppflags=
	FUZZER_LDFLAGS=

	SAEDB_TRY_CFLAG([saedb_cflags], [-std=gnu17 \
		-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
		-Wvla -Wwrite-strings -Wpointer-arith -Wformat=2])
	# The stored value of an activation is one fixed order of real fused
	# multiply-adds; the compiler must not make others.
	SAEDB_TRY_CFLAG([saedb_cflags], [-ffp-contract=off])
	SAEDB_TRY_CFLAG([saedb_cflags], [-fvisibility=hidden -fno-common])
	AS_IF([test "x$enable_werror" != xno],
		[saedb_cflags="$saedb_cflags -Werror"])

	# Hardening.
	SAEDB_TRY_CFLAG([saedb_cflags], [-fstack-protector-strong])
	PIE_CFLAGS=
	PIE_LDFLAGS=
	AC_MSG_CHECKING([whether $CC links with -fPIE -pie])
	saedb_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -fPIE -pie"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes]); PIE_CFLAGS=-fPIE; PIE_LDFLAGS=-pie],
		[AC_MSG_RESULT([no])])
	CFLAGS=$saedb_save_CFLAGS
	SAEDB_TRY_LDFLAG([saedb_ldflags], [-Wl,-z,relro -Wl,-z,now -Wl,--as-needed])

	AS_IF([test "x$enable_sanitizers" != xno], [
		saedb_san="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer"
		AS_CASE([$enable_sanitizers], [*undefined*],
			[saedb_san="$saedb_san -fno-sanitize-recover=undefined"])
		saedb_cflags="$saedb_cflags $saedb_san"
		# What the sanitizers put in makes gcc guess wrongly.
		saedb_cflags="$saedb_cflags -Wno-error=maybe-uninitialized"
		saedb_ldflags="$saedb_ldflags -fsanitize=$enable_sanitizers"
		AC_DEFINE([SAEDB_SANITIZED], [1], [Built with sanitizers.])
	], [
		# Only sensible when optimising; glibc warns otherwise.
		saedb_save_CPPFLAGS=$CPPFLAGS
		CPPFLAGS="$CPPFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
		saedb_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -Werror"
		AC_MSG_CHECKING([for _FORTIFY_SOURCE])
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [])],
			[AC_MSG_RESULT([yes])
			 saedb_cppflags="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"],
			[AC_MSG_RESULT([no])])
		CPPFLAGS=$saedb_save_CPPFLAGS
		CFLAGS=$saedb_save_CFLAGS
	])
	AS_IF([test "x$enable_coverage" != xno], [
		saedb_cflags="$saedb_cflags --coverage -O0"
		saedb_ldflags="$saedb_ldflags --coverage"
		saedb_cppflags=
	])
	AS_IF([test "x$enable_fuzzer" != xno], [
		saedb_cflags="$saedb_cflags -fsanitize=fuzzer-no-link"
		FUZZER_LDFLAGS=-fsanitize=fuzzer
	])

	# libsaedb's symbols are named in a script where the linker takes one.
	AC_MSG_CHECKING([whether the linker takes a version script])
	echo 'V { global: main; local: *; };' >conftest.map
	saedb_save_LDFLAGS=$LDFLAGS
	LDFLAGS="$LDFLAGS -Wl,--version-script=conftest.map"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		[saedb_version_script=yes], [saedb_version_script=no])
	LDFLAGS=$saedb_save_LDFLAGS
	rm -f conftest.map
	AC_MSG_RESULT([$saedb_version_script])
	AM_CONDITIONAL([VERSION_SCRIPT], [test $saedb_version_script = yes])

	AC_SUBST([SAEDB_CFLAGS], [$saedb_cflags])
	AC_SUBST([SAEDB_CPPFLAGS], [$saedb_cppflags])
	AC_SUBST([SAEDB_LDFLAGS], [$saedb_ldflags])
	AC_SUBST([PIE_CFLAGS])
	AC_SUBST([PIE_LDFLAGS])
	AC_SUBST([FUZZER_LDFLAGS])
])
