/* SPDX-License-Identifier: ISC */
/*
 * tensors: a file of tensors made of fuzzed bytes: refused, or every byte of every
 * tensor can be read. A target includes it once.
 */
#ifndef TESTS_FUZZ_TENSORS_H
#define TESTS_FUZZ_TENSORS_H

#include "model/tensors.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char fuzz_path[64];

/* In memory: a file on a disk, written anew for each input, is slow. */
static inline void
fuzz_put(const uint8_t *p, size_t n_bytes)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(fuzz_path, sizeof(fuzz_path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, (off_t)n_bytes) != 0 ||
		pwrite(fd, p, n_bytes, 0) != (ssize_t)n_bytes)
		abort();
}

static inline int
fuzz_tensors(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	struct tensors *t;

	fuzz_put(p, n_bytes);
	if (tensors_open(&t, fuzz_path, &e) < 0)
		return 0;
	for (size_t i = 0; i < tensors_n(t); i++) {
		const struct tensor *x = tensors_at(t, i);
		float *v = mem_new(x->n_values, sizeof(*v));

		if (tensors_find(t, x->name) != x)
			abort();
		if (v)
			tensor_floats(x, v, true, &e);
		mem_free(v);
	}
	tensors_close(t);
	return 0;
}

#endif
