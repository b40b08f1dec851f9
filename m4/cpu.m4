# SPDX-License-Identifier: ISC
# Which instruction sets kernel/ is compiled for. Which of them runs is chosen
# at run time.
AC_DEFUN([SAEDB_CPU], [
	AVX2_CFLAGS="-mavx2 -mfma -mf16c"
	AVX512_CFLAGS="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma"
	saedb_x86_64=no
	saedb_kernels=portable
	AS_CASE([$host_cpu], [x86_64], [saedb_x86_64=yes])
	AS_IF([test $saedb_x86_64 = yes], [
		AC_DEFINE([SAEDB_X86_64], [1], [Kernels for AVX2 and AVX-512 are built.])
		saedb_kernels="portable avx2 avx512"
	])
	AM_CONDITIONAL([X86_64], [test $saedb_x86_64 = yes])
	AC_SUBST([AVX2_CFLAGS])
	AC_SUBST([AVX512_CFLAGS])
])
