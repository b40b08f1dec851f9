/* SPDX-License-Identifier: ISC */
#include "model/tensors.h"

#include <assert.h>
#include <string.h>

static const struct width {
	const char *name; /* safetensors' word */
	uint8_t n_bytes;
	bool is_signed;
} widths[] = {
	{"I64", 8, true},
	{"I32", 4, true},
	{"I16", 2, true},
	{"I8", 1, true},
	{"U64", 8, false},
	{"U32", 4, false},
	{"U16", 2, false},
	{"U8", 1, false},
};

static const struct width *
width_of(const struct tensor *t)
{
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (strcmp(widths[i].name, t->dtype_name) == 0)
			return &widths[i];
	return NULL;
}

bool
tensor_is_int(const struct tensor *t)
{
	return width_of(t) != NULL;
}

static int64_t
any_int(const struct tensor *t, size_t i)
{
	const struct width *w = width_of(t);
	const uint8_t *p = t->data + i * w->n_bytes;
	uint64_t v = 0;

	for (size_t j = 0; j < w->n_bytes; j++)
		v |= (uint64_t)p[j] << 8 * j;
	if (w->is_signed && w->n_bytes < 8 && v >> (8 * w->n_bytes - 1))
		v |= UINT64_MAX << 8 * w->n_bytes;
	if (!w->is_signed && v > INT64_MAX)
		return INT64_MAX;
	return (int64_t)v;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are little-endian");

int64_t
tensor_int(const struct tensor *t, size_t i)
{
	int32_t v32;
	int64_t v64;

	if (t->dtype == DTYPE_I32) {
		memcpy(&v32, t->data + i * sizeof(v32), sizeof(v32));
		return v32;
	}
	if (t->dtype == DTYPE_I64) {
		memcpy(&v64, t->data + i * sizeof(v64), sizeof(v64));
		return v64;
	}
	return any_int(t, i);
}

struct tensor
tensor_rows(const struct tensor *t, size_t first, size_t n)
{
	struct tensor part = *t;
	size_t row;

	assert(t->rank > 0 && first <= t->shape[0] && n <= t->shape[0] - first);
	row = t->shape[0] > 0 ? t->n_bytes / t->shape[0] : 0;
	part.shape[0] = n;
	part.n_values = t->shape[0] > 0 ? t->n_values / t->shape[0] * n : 0;
	part.data = n > 0 ? t->data + first * row : t->data;
	part.n_bytes = n * row;
	return part;
}
