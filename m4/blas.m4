# SPDX-License-Identifier: ISC
# A BLAS with the C interface, in one file of kernel/. It must bear calls from
# several threads at once: OpenBLAS built serial does not, and is refused.
AC_DEFUN([SAEDB_CHECK_BLAS], [
	AC_ARG_WITH([blas],
		[AS_HELP_STRING([--with-blas=NAME],
			[a pkg-config module or -l flags @<:@openblas@:>@])],
		[], [with_blas=openblas])
	AS_CASE([$with_blas],
		[no|yes|''], [with_blas=openblas])
	AS_CASE([$with_blas],
		[-*], [BLAS_LIBS=$with_blas
			AC_SUBST([BLAS_CFLAGS])
			AC_SUBST([BLAS_LIBS])],
		[PKG_CHECK_MODULES([BLAS], [$with_blas])])
	saedb_save_LIBS=$LIBS
	saedb_save_CFLAGS=$CFLAGS
	LIBS="$BLAS_LIBS $LIBS"
	CFLAGS="$CFLAGS $BLAS_CFLAGS"
	AC_MSG_CHECKING([whether $with_blas has cblas_sgemm])
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cblas.h>]], [[
	float a = 1, b = 1, c = 0;

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 1, 1, 1, 1, &a, 1,
		&b, 1, 0, &c, 1);
		]])],
		[AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		 AC_MSG_ERROR([$with_blas does not link; see --with-blas])])
	AC_CHECK_FUNCS([openblas_set_num_threads openblas_get_parallel])
	AC_MSG_CHECKING([whether $with_blas is safe to call from threads])
	saedb_blas_threads=unknown
	AS_IF([test "x$ac_cv_func_openblas_get_parallel" = xyes], [
		AC_RUN_IFELSE([AC_LANG_PROGRAM([[int openblas_get_parallel(void);]],
			[[return openblas_get_parallel() == 0;]])],
			[saedb_blas_threads=yes], [saedb_blas_threads=no],
			[saedb_blas_threads=unknown])
	])
	AC_MSG_RESULT([$saedb_blas_threads])
	AS_IF([test $saedb_blas_threads = no], [AC_MSG_ERROR(m4_normalize([
		this OpenBLAS is the serial flavour, which answers wrongly when two
		threads call it; install the pthread flavour])
	)])
	LIBS=$saedb_save_LIBS
	CFLAGS=$saedb_save_CFLAGS
])
