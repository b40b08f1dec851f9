/* SPDX-License-Identifier: ISC */
#include "schema/value.h"

#include "schema/out.h"

#include <math.h>
#include <string.h>

#define TWO_63 9223372036854775808.0

bool
value_is_str(const struct value *v, const char *s)
{
	return v != NULL && v->type == VALUE_STR && strlen(s) == v->n &&
		memcmp(v->str, s, v->n) == 0;
}

const struct value *
value_get(const struct value *v, const char *key)
{
	if (v == NULL || v->type != VALUE_MAP)
		return NULL;
	for (uint32_t i = 0; i < v->n; i++)
		if (value_is_str(&v->v[2 * i], key))
			return &v->v[2 * i + 1];
	return NULL;
}

bool
value_as_int(const struct value *v, int64_t *out)
{
	if (v == NULL)
		return false;
	if (v->type == VALUE_INT) {
		*out = v->i;
		return true;
	}
	if ((v->type != VALUE_F32 && v->type != VALUE_F64) || !(v->f >= -TWO_63) ||
		!(v->f < TWO_63) || v->f != trunc(v->f))
		return false;
	*out = (int64_t)v->f;
	return true;
}

bool
value_as_float(const struct value *v, double *out)
{
	if (v == NULL)
		return false;
	switch (v->type) {
	case VALUE_INT:
		*out = (double)v->i;
		return true;
	case VALUE_UINT:
		*out = (double)v->u;
		return true;
	case VALUE_F32:
	case VALUE_F64:
		*out = v->f;
		return true;
	default:
		return false;
	}
}

static void
write_nested(struct out *o, const struct value *v)
{
	uint32_t n = v->type == VALUE_MAP ? 2 * v->n : v->n;

	if (v->type == VALUE_MAP)
		out_map(o, v->n);
	else
		out_array(o, v->n);
	for (uint32_t i = 0; i < n; i++)
		value_write(o, &v->v[i]);
	out_end(o);
}

void
value_write(struct out *o, const struct value *v)
{
	switch (v->type) {
	case VALUE_NIL:
		out_nil(o);
		break;
	case VALUE_BOOL:
		out_bool(o, v->boolean);
		break;
	case VALUE_INT:
		out_int(o, v->i);
		break;
	case VALUE_UINT:
		out_uint(o, v->u);
		break;
	case VALUE_F32:
		out_f32(o, (float)v->f);
		break;
	case VALUE_F64:
		out_f64(o, v->f);
		break;
	case VALUE_STR:
		out_strn(o, v->str, v->n);
		break;
	case VALUE_BIN:
		out_bin(o, v->str, v->n);
		break;
	case VALUE_ARRAY:
	case VALUE_MAP:
		write_nested(o, v);
		break;
	}
}
