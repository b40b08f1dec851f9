/* SPDX-License-Identifier: ISC */
/* A safetensors file: refused, or every byte of every tensor can be read. */
#include "tests/fuzz/fuzz.h"

#include "model/tensors.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];

static void
forget(void)
{
	unlink(path);
}

static void
put(const uint8_t *p, size_t n_bytes)
{
	FILE *f;

	if (path[0] == '\0') {
		snprintf(path, sizeof(path), "/tmp/saedb-fuzz-%ld", (long)getpid());
		atexit(forget);
	}
	f = fopen(path, "w");
	if (f == NULL || fwrite(p, 1, n_bytes, f) != n_bytes || fclose(f) != 0)
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
