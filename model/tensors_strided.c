/* SPDX-License-Identifier: ISC */
/* Shapes and strides, checked before they are believed. */
#include "model/tensors_int.h"

#include <inttypes.h>
#include <string.h>

static const struct {
	const char *name;
	size_t n_bytes;
} kinds[] = {
	[DTYPE_F32] = {"F32", 4},
	[DTYPE_F16] = {"F16", 2},
	[DTYPE_BF16] = {"BF16", 2},
	[DTYPE_F64] = {"F64", 8},
	[DTYPE_I64] = {"I64", 8},
	[DTYPE_I32] = {"I32", 4},
	[DTYPE_U8] = {"U8", 1},
	[DTYPE_I16] = {"I16", 2},
	[DTYPE_I8] = {"I8", 1},
	[DTYPE_BOOL] = {"BOOL", 1},
	[DTYPE_U16] = {"U16", 2},
	[DTYPE_U32] = {"U32", 4},
	[DTYPE_U64] = {"U64", 8},
};

size_t
tensor_set_dtype(struct tensor *x, enum dtype dtype)
{
	x->dtype = dtype;
	memcpy(x->dtype_name, kinds[dtype].name, strlen(kinds[dtype].name) + 1);
	return kinds[dtype].n_bytes;
}

int
tensor_set_shape(struct tensor *x, const char *where, const uint64_t *shape,
	size_t rank, size_t item_bytes, struct err *e)
{
	if (rank > TENSOR_MAX_RANK)
		return err_set(e, ERR_LIMIT, "%s: %zu dimensions, at most %d", where,
			rank, TENSOR_MAX_RANK);
	x->rank = rank;
	x->n_values = 1;
	for (size_t i = 0; i < rank; i++) {
		x->shape[i] = (size_t)shape[i];
		if (shape[i] > SIZE_MAX ||
			!mem_mul(x->n_values, x->shape[i], &x->n_values))
			return err_set(e, ERR_FORMAT,
				"%s: the shape's product overflows", where);
	}
	if (!mem_mul(x->n_values, item_bytes, &x->n_bytes))
		return err_set(e, ERR_FORMAT, "%s: the shape's product overflows",
			where);
	return 0;
}

/* One index a dimension, the last one fastest, as C order has it. */
void
tensor_copy_strided(uint8_t *out, const uint8_t *from, const struct tensor *x,
	const size_t *stride, size_t item_bytes)
{
	size_t index[TENSOR_MAX_RANK] = {0}, at = 0;

	for (size_t n = 0; n < x->n_values; n++) {
		memcpy(out + n * item_bytes, from + at * item_bytes, item_bytes);
		for (size_t i = x->rank; i-- > 0;) {
			at += stride[i];
			if (++index[i] < x->shape[i])
				break;
			at -= index[i] * stride[i];
			index[i] = 0;
		}
	}
}

bool
tensor_last_strided(const struct tensor *x, const size_t *stride, size_t offset,
	size_t *last)
{
	for (size_t i = 0; i < x->rank; i++) {
		size_t step;

		if (!mem_mul(x->shape[i] - 1, stride[i], &step) ||
			!mem_add(offset, step, &offset))
			return false;
	}
	*last = offset;
	return true;
}

bool
tensor_in_c_order(const struct tensor *x, const size_t *stride)
{
	size_t step = 1;

	for (size_t i = x->rank; i-- > 0; step *= x->shape[i]) {
		if (x->shape[i] != 1 && stride[i] != step)
			return false;
	}
	return true;
}

/* Each stride must be beyond what the smaller ones reach together. */
bool
tensor_is_injective(const struct tensor *x, const size_t *stride)
{
	bool done[TENSOR_MAX_RANK] = {false};
	size_t reach = 0;

	for (size_t n = 0; n < x->rank; n++) {
		size_t least = x->rank;

		for (size_t i = 0; i < x->rank; i++) {
			if (!done[i] && (least == x->rank || stride[i] < stride[least]))
				least = i;
		}
		done[least] = true;
		if (x->shape[least] == 1)
			continue;
		if (stride[least] <= reach)
			return false;
		reach += (x->shape[least] - 1) * stride[least];
	}
	return true;
}
