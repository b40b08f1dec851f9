# SPDX-License-Identifier: ISC
# What configure chose, said once at the end.
AC_DEFUN([SAEDB_SUMMARY], [
	saedb_prefix=$prefix
	AS_IF([test "x$saedb_prefix" = xNONE], [saedb_prefix=$ac_default_prefix])
	cat <<_SAEDB_EOF

saedb $PACKAGE_VERSION
  prefix             $saedb_prefix
  host               $host
  compiler           $CC $CFLAGS
  flags              $SAEDB_CPPFLAGS$SAEDB_CFLAGS
  linker             $SAEDB_LDFLAGS $PIE_LDFLAGS
  warnings as errors $enable_werror
  sanitizers         $enable_sanitizers
  fuzzer             $enable_fuzzer
  coverage           $enable_coverage
  kernels            $saedb_kernels
  BLAS               $BLAS_LIBS (safe to call from threads: $saedb_blas_threads)
  FAISS              $saedb_faiss_version $saedb_faiss_level: $FAISS_LIBS
  LMDB               $LMDB_LIBS
  SQLite             $SQLITE_LIBS
  libevent           $LIBEVENT_LIBS
  msgpack-c          $MSGPACK_LIBS
  jansson            $JANSSON_LIBS
  PCRE2              $PCRE2_LIBS
  zlib               $ZLIB_LIBS
  Zstandard          $ZSTD_LIBS
  xxHash             $XXHASH_LIBS
  libcrypto          $CRYPTO_LIBS
  threads            ${PTHREAD_LIBS:-in libc}
  unit tests         cmocka: $have_cmocka
  bash completion    $with_bash_completion_dir

_SAEDB_EOF
])
