/* SPDX-License-Identifier: ISC */
#include "model/tensors.h"

#include "util/paged.h"

#include <math.h>
#include <string.h>

#define TOUCH_VALUES 16384

static float
float_of_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static uint32_t
load16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t
load32(const uint8_t *p)
{
	return load16(p) | load16(p + 2) << 16;
}

static uint64_t
load64(const uint8_t *p)
{
	return (uint64_t)load32(p) | (uint64_t)load32(p + 4) << 32;
}

/* IEEE half: 1 sign, 5 exponent, 10 fraction bits. Exact. */
static float
float_of_f16(uint32_t h)
{
	uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31,
		 fraction = h & 0x3ff;
	float f;

	if (exponent == 31)
		return float_of_bits(sign | 0x7f800000 | fraction << 13);
	if (exponent > 0)
		return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
	f = (float)fraction * 0x1p-24f; /* subnormal */
	return sign ? -f : f;
}

static void
from_f32(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = float_of_bits(load32(p + 4 * i));
}

static void
from_f16(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = float_of_f16(load16(p + 2 * i));
}

static void
from_bf16(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = float_of_bits(load16(p + 2 * i) << 16);
}

static void
from_f64(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t bits = load64(p + 8 * i);
		double d;

		memcpy(&d, &bits, sizeof(d));
		out[i] = (float)d;
	}
}

static void
from_i64(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)(int64_t)load64(p + 8 * i);
}

static void
from_i32(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)(int32_t)load32(p + 4 * i);
}

static void
from_u8(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)p[i];
}

static void
from_i16(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)(int16_t)load16(p + 2 * i);
}

static void
from_i8(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)(int8_t)p[i];
}

static void
from_bool(float *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = p[i] != 0 ? 1.0f : 0.0f;
}

typedef void convert_fn(float *out, const uint8_t *p, size_t n);

static convert_fn *const converters[] = {
	[DTYPE_F32] = from_f32,
	[DTYPE_F16] = from_f16,
	[DTYPE_BF16] = from_bf16,
	[DTYPE_F64] = from_f64,
	[DTYPE_I64] = from_i64,
	[DTYPE_I32] = from_i32,
	[DTYPE_U8] = from_u8,
	[DTYPE_I16] = from_i16,
	[DTYPE_I8] = from_i8,
	[DTYPE_BOOL] = from_bool,
	[DTYPE_OTHER] = NULL,
};

static int
check_finite(const struct tensor *t, const float *x, size_t from, size_t n,
	struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (i % TOUCH_VALUES == 0)
			paged_passed(TOUCH_VALUES * sizeof(*x));
		if (!isfinite(x[i]))
			return err_set(e, ERR_FORMAT,
				"%s: tensor %s holds %s at index %zu; the weights are "
				"damaged",
				t->path, t->name, isnan(x[i]) ? "NaN" : "infinity",
				from + i);
	}
	return 0;
}

int
tensor_floats_some(const struct tensor *t, size_t from, size_t n, float *out,
	bool allow_nonfinite, struct err *e)
{
	size_t size = t->n_values > 0 ? t->n_bytes / t->n_values : 0;

	if (!converters[t->dtype])
		return err_set(e, ERR_UNSUPPORTED,
			"%s: tensor %s has dtype %s, which is not supported (F32, "
			"F16, BF16, F64 and integers are)",
			t->path, t->name, t->dtype_name);
	converters[t->dtype](out, t->data + from * size, n);
	return allow_nonfinite ? 0 : check_finite(t, out, from, n, e);
}

int
tensor_mapped(const struct tensor *t, const float **out, struct err *e)
{
	*out = NULL;
	if (t->dtype != DTYPE_F32 || (uintptr_t)t->data % sizeof(float) != 0)
		return 0;
	*out = (const float *)(const void *)t->data;
	return check_finite(t, *out, 0, t->n_values, e);
}

int
tensor_floats(const struct tensor *t, float *out, bool allow_nonfinite, struct err *e)
{
	size_t at = 0, n;
	int rc;

	do {
		n = t->n_values - at < TOUCH_VALUES ? t->n_values - at : TOUCH_VALUES;
		rc = tensor_floats_some(t, at, n, out + at, allow_nonfinite, e);
		paged_passed(2 * TOUCH_VALUES * sizeof(*out));
		at += n;
	} while (rc == 0 && at < t->n_values);
	return rc;
}
