/* SPDX-License-Identifier: ISC */
/*
 * scratch: a directory of its own for each test program, made before and
 * removed after; and what util's tests share.
 */
#ifndef TESTS_UTIL_SCRATCH_H
#define TESTS_UTIL_SCRATCH_H

#include "util/file.h"
#include "util/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[64];

static inline int
scratch_make(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(scratch, sizeof(scratch), "%.30s/saedb-test-XXXXXX",
		tmp ? tmp : "/tmp");
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

static inline int
scratch_remove(void **state)
{
	(void)state;
	return dir_remove(scratch, NULL);
}

/* A path in the scratch directory; good until the eighth call from now. */
static inline char *
at(const char *name)
{
	static char path[8][PATH_BYTES];
	static unsigned i;
	char *p = path[i++ % 8];

	assert_int_equal(path_join(p, NULL, "%s/%s", scratch, name), 0);
	return p;
}

static inline void
put_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

#endif
