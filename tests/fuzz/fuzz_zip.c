/* SPDX-License-Identifier: ISC */
/* An .npy, .npz or .pt file: refused, or every byte of every tensor can be read. */
#include "tests/fuzz/fuzz.h"

#include "model/tensors.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[64];

/* In memory: a file on a disk, written anew for each input, is slow. */
static void
put(const uint8_t *p, size_t n_bytes)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, (off_t)n_bytes) != 0 ||
		pwrite(fd, p, n_bytes, 0) != (ssize_t)n_bytes)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	struct tensors *t;

	put(p, n_bytes);
	if (tensors_open(&t, path, &e) < 0)
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
