/* SPDX-License-Identifier: ISC */
#include "model/tensors.h"

#include <assert.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are little-endian");

/* "I64", "U16": bytes of a value, 0 for what is no integer. */
static size_t
width_of(const struct tensor *t)
{
	const char *name = t->dtype_name;

	if (name[0] != 'I' && name[0] != 'U')
		return 0;
	return strcmp(name + 1, "8") == 0     ? 1
		: strcmp(name + 1, "16") == 0 ? 2
		: strcmp(name + 1, "32") == 0 ? 4
		: strcmp(name + 1, "64") == 0 ? 8
					      : 0;
}

bool
tensor_is_int(const struct tensor *t)
{
	return width_of(t) != 0;
}

int64_t
tensor_int(const struct tensor *t, size_t i)
{
	size_t n;
	uint64_t v = 0;

	assert(i < t->n_values);
	n = t->n_bytes / t->n_values;
	memcpy(&v, t->data + i * n, n);
	if (t->dtype_name[0] == 'U')
		return v > INT64_MAX ? INT64_MAX : (int64_t)v;
	if (n < 8 && v >> (8 * n - 1))
		v |= UINT64_MAX << 8 * n;
	return (int64_t)v;
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
