# SPDX-License-Identifier: ISC
# The C API of FAISS, in store/ann.c. Debian ships its headers without its
# library, so only linking tells. `./dev setup` builds a static one, which
# needs libfaiss and what that stands on beside it.
AC_DEFUN([SAEDB_CHECK_FAISS], [
	AC_ARG_WITH([faiss],
		[AS_HELP_STRING([--with-faiss=DIR],
			[where libfaiss_c is: DIR, or DIR/lib and DIR/include])],
		[], [with_faiss=yes])
	FAISS_CFLAGS=
	FAISS_LIBS=
	saedb_faiss_dir=
	AS_CASE([$with_faiss],
		[yes], [],
		[no], [AC_MSG_ERROR([saedb needs FAISS])],
		[for saedb_dir in "$with_faiss" "$with_faiss/lib"; do
			AS_IF([test -d "$saedb_dir"],
				[saedb_faiss_dir="$saedb_faiss_dir -L$saedb_dir"])
		 done
		 AS_IF([test -d "$with_faiss/include"],
			[FAISS_CFLAGS="-I$with_faiss/include"])])
	saedb_save_LIBS=$LIBS
	saedb_save_CFLAGS=$CFLAGS
	saedb_save_LDFLAGS=$LDFLAGS
	CFLAGS="$CFLAGS $FAISS_CFLAGS"
	LDFLAGS="$LDFLAGS $saedb_faiss_dir"
	AC_MSG_CHECKING([for the C API of FAISS])
	for saedb_try in "-lfaiss_c" \
		"-lfaiss_c -lfaiss -lgomp $BLAS_LIBS -lstdc++ -lm" \
		"-lfaiss_c -lfaiss -lgomp -llapack -lblas -lstdc++ -lm"; do
		LIBS="$saedb_try $saedb_save_LIBS"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <faiss/c_api/index_factory_c.h>
			]], [[
	FaissIndex *index = 0;

	return faiss_index_factory(&index, 8, "Flat", METRIC_INNER_PRODUCT);
			]])],
			[FAISS_LIBS="$saedb_faiss_dir $saedb_try"])
		AS_IF([test -n "$FAISS_LIBS"], [break])
	done
	AS_IF([test -z "$FAISS_LIBS"], [
		AC_MSG_RESULT([no])
		AC_MSG_ERROR(m4_normalize([libfaiss_c does not link; './dev setup'
			builds one, and --with-faiss=DIR names it]))
	])
	AC_MSG_RESULT([$FAISS_LIBS])
	LIBS=$saedb_save_LIBS
	CFLAGS=$saedb_save_CFLAGS
	LDFLAGS=$saedb_save_LDFLAGS
	# What it is, for --version and the records of indexes.
	saedb_faiss_level=packaged
	for saedb_dir in "$with_faiss" "$with_faiss/lib"; do
		AS_IF([test -r "$saedb_dir/level"],
			[saedb_faiss_level=`cat "$saedb_dir/level"`])
	done
	saedb_faiss_version=
	for saedb_dir in "$with_faiss/include" /usr/local/include /usr/include; do
		AS_IF([test -z "$saedb_faiss_version" &&
			test -r "$saedb_dir/faiss/Index.h"],
			[saedb_faiss_version=`sed -n -e \
				's/^#define FAISS_VERSION_@<:@A-Z@:>@* \(@<:@0-9@:>@*\)$/\1/p' \
				"$saedb_dir/faiss/Index.h" | paste -s -d. -`])
	done
	AC_DEFINE_UNQUOTED([FAISS_VERSION], ["${saedb_faiss_version:-unknown}"],
		[FAISS's version.])
	AC_DEFINE_UNQUOTED([FAISS_LEVEL], ["$saedb_faiss_level"],
		[What FAISS is compiled for: packaged, generic or avx2.])
	AC_SUBST([with_faiss])
	AC_SUBST([FAISS_CFLAGS])
	AC_SUBST([FAISS_LIBS])
])
