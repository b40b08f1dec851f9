/* SPDX-License-Identifier: ISC */
/* A pickle: refused, or every value can be walked. */
#include "tests/fuzz/fuzz.h"

#include "model/pickle.h"

#include <stdlib.h>

static const struct pk_global globals[] = {
	{"collections", "OrderedDict", PK_DICT_TYPE, 0},
	{"torch", "Size", PK_CALLABLE, 1},
	{"torch._utils", "_rebuild_tensor_v2", PK_CALLABLE, 1},
	{"torch._utils", "_rebuild_parameter", PK_CALLABLE, 1},
	{"torch", "FloatStorage", PK_VALUE, 2},
	{"torch", "DoubleStorage", PK_VALUE, 2},
	{"torch", "LongStorage", PK_VALUE, 2},
	{"torch", "float32", PK_VALUE, 2},
	{NULL, NULL, PK_VALUE, 0},
};

static size_t n_left;
static volatile unsigned sum;

/* Values may hold themselves. */
static void
walk(const struct pk *v, unsigned depth)
{
	if (depth > 30 || n_left == 0)
		return;
	n_left--;
	if (v->type == PK_GLOBAL && v->global->name == NULL)
		abort();
	if (v->type == PK_DICT && v->n % 2 != 0)
		abort();
	for (size_t i = 0; v->str != NULL && i < v->n; i++)
		sum += (unsigned char)v->str[i];
	for (size_t i = 0; v->item != NULL && i < v->n; i++)
		walk(v->item[i], depth + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	struct arena a;
	struct pk *root = NULL;

	arena_init(&a, (size_t)16 << 20);
	n_left = 10000;
	if (pk_load(&root, &a, "fuzz", p, n_bytes, globals, &e) == 0)
		walk(root, 0);
	arena_clear(&a);
	return 0;
}
