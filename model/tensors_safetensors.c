/* SPDX-License-Identifier: ISC */
/*
 * safetensors: u64 length, a JSON header, then the data, which the tensors
 * must fill without hole or overlap.
 */
#include "model/tensors_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 8 /* the header's length, u64 */
#define HEADER_MAX_BYTES (64u << 20) /* the format allows 100,000,000 */
#define HEADER_MAX_DEPTH 4

static const struct {
	const char *name;
	uint8_t n_bits;
	enum dtype dtype;
} dtypes[] = {
	{"F32", 32, DTYPE_F32},
	{"F16", 16, DTYPE_F16},
	{"BF16", 16, DTYPE_BF16},
	{"F64", 64, DTYPE_F64},
	{"I64", 64, DTYPE_I64},
	{"I32", 32, DTYPE_I32},
	{"U8", 8, DTYPE_U8},
	{"BOOL", 8, DTYPE_BOOL},
	{"I8", 8, DTYPE_I8},
	{"F8_E5M2", 8, DTYPE_OTHER},
	{"F8_E4M3", 8, DTYPE_OTHER},
	{"F8_E8M0", 8, DTYPE_OTHER},
	{"F8_E4M3FNUZ", 8, DTYPE_OTHER},
	{"F8_E5M2FNUZ", 8, DTYPE_OTHER},
	{"I16", 16, DTYPE_I16},
	{"U16", 16, DTYPE_U16},
	{"U32", 32, DTYPE_U32},
	{"U64", 64, DTYPE_U64},
	{"C64", 64, DTYPE_OTHER},
	{"F4", 4, DTYPE_OTHER},
	{"F6_E2M3", 6, DTYPE_OTHER},
	{"F6_E3M2", 6, DTYPE_OTHER},
};

/* ---- one tensor's entry in the header ----------------------------------- */

static int
entry_dtype(struct tensor *t, size_t *n_bits, const struct js *v, struct err *e)
{
	const char *s = js_str(js_get(v, "dtype"), NULL);

	if (!s)
		return err_set(e, ERR_FORMAT,
			"%s: tensor %s: \"dtype\" must be a string", t->path, t->name);
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
		if (strcmp(s, dtypes[i].name) != 0)
			continue;
		t->dtype = dtypes[i].dtype;
		*n_bits = dtypes[i].n_bits;
		memcpy(t->dtype_name, s, strlen(s) + 1);
		return 0;
	}
	return err_set(e, ERR_FORMAT, "%s: tensor %s: unknown dtype \"%.40s\"", t->path,
		t->name, s);
}

static int
entry_shape(struct tensor *t, const struct js *v, struct err *e)
{
	const struct js *a = js_get(v, "shape");
	uint64_t u;

	if (js_type(a) != JS_ARRAY)
		return err_set(e, ERR_FORMAT,
			"%s: tensor %s: \"shape\" must be an array", t->path, t->name);
	if (js_n(a) > TENSOR_MAX_RANK)
		return err_set(e, ERR_LIMIT,
			"%s: tensor %s has %zu dimensions, at most %d", t->path,
			t->name, js_n(a), TENSOR_MAX_RANK);
	t->rank = js_n(a);
	t->n_values = 1;
	for (size_t i = 0; i < t->rank; i++) {
		if (!js_u64(js_at(a, i), &u) || u > SIZE_MAX)
			return err_set(e, ERR_FORMAT,
				"%s: tensor %s: dimension %zu is not a "
				"non-negative integer",
				t->path, t->name, i);
		t->shape[i] = (size_t)u;
		if (!mem_mul(t->n_values, t->shape[i], &t->n_values))
			return err_set(e, ERR_FORMAT,
				"%s: tensor %s: the shape's product overflows", t->path,
				t->name);
	}
	return 0;
}

/* Offsets within the data and what the shape says must agree. */
static int
entry_place(struct tensor *t, const struct js *v, size_t n_bits, const struct map *map,
	size_t data_at, struct err *e)
{
	const struct js *a = js_get(v, "data_offsets");
	size_t bits, n_data = map->n_bytes - data_at;
	uint64_t from, to;

	if (js_type(a) != JS_ARRAY || js_n(a) != 2 || !js_u64(js_at(a, 0), &from) ||
		!js_u64(js_at(a, 1), &to))
		return err_set(e, ERR_FORMAT,
			"%s: tensor %s: \"data_offsets\" must be two non-negative "
			"integers",
			t->path, t->name);
	if (from > to || to > n_data)
		return err_set(e, ERR_FORMAT,
			"%s: tensor %s lies at bytes %" PRIu64 " to %" PRIu64
			" of %zu bytes of data; the file is truncated or damaged",
			t->path, t->name, from, to, n_data);
	if (!mem_mul(t->n_values, n_bits, &bits) || bits % 8 != 0 ||
		bits / 8 != to - from)
		return err_set(e, ERR_FORMAT,
			"%s: tensor %s: %zu values of %s do not fill %" PRIu64 " bytes",
			t->path, t->name, t->n_values, t->dtype_name, to - from);
	t->n_bytes = (size_t)(to - from);
	t->data = map->data + data_at + (size_t)from;
	return 0;
}

static int
entry_read(struct tensor *t, const struct shard *s, void *it, size_t data_at,
	struct err *e)
{
	const struct js *v = js_value(it);
	size_t n_bits = 0, n_name;
	int rc;

	t->name = js_key(it, &n_name);
	if (n_name > TENSOR_NAME_BYTES)
		return err_set(e, ERR_LIMIT,
			"%s: a tensor's name has %zu bytes, at most %d", s->path,
			n_name, TENSOR_NAME_BYTES);
	if (js_type(v) != JS_OBJECT)
		return err_set(e, ERR_FORMAT, "%s: tensor %s must be an object, not %s",
			s->path, t->name, js_type_name(js_type(v)));
	rc = entry_dtype(t, &n_bits, v, e);
	if (rc == 0)
		rc = entry_shape(t, v, e);
	if (rc == 0)
		rc = entry_place(t, v, n_bits, &s->map, data_at, e);
	return rc;
}

static int
metadata_check(const struct shard *s, const struct js *v, struct err *e)
{
	if (js_type(v) != JS_OBJECT)
		return err_set(e, ERR_FORMAT, "%s: __metadata__ must be an object",
			s->path);
	for (void *it = js_first(v); it; it = js_next(v, it)) {
		if (js_type(js_value(it)) != JS_STR)
			return err_set(e, ERR_FORMAT,
				"%s: __metadata__: \"%.80s\" must be a string", s->path,
				js_key(it, NULL));
	}
	return 0;
}

/* ---- one file ----------------------------------------------------------- */

static int
by_place(const void *a, const void *b)
{
	const struct tensor *x = a, *y = b;

	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	return x->n_bytes < y->n_bytes ? -1 : x->n_bytes > y->n_bytes;
}

/* Laid end to end, the tensors must fill the data exactly. */
static int
check_filled(const struct shard *s, struct tensor *t, size_t n, size_t data_at,
	struct err *e)
{
	const uint8_t *at = s->map.data + data_at;
	const uint8_t *end = s->map.data + s->map.n_bytes;

	if (n > 0)
		qsort(t, n, sizeof(*t), by_place);
	for (size_t i = 0; i < n; i++) {
		if (t[i].data < at)
			return err_set(e, ERR_FORMAT, "%s: tensors %s and %s overlap",
				s->path, t[i - 1].name, t[i].name);
		if (t[i].data > at)
			return err_set(e, ERR_FORMAT,
				"%s: a hole of %zu bytes before tensor %s", s->path,
				(size_t)(t[i].data - at), t[i].name);
		at += t[i].n_bytes;
	}
	if (at != end)
		return err_set(e, ERR_FORMAT,
			"%s: %zu bytes of data belong to no tensor", s->path,
			(size_t)(end - at));
	return 0;
}

/* Reads the 8 bytes of length and the header; *data_at is where data begins. */
static int
header_read(struct shard *s, size_t *data_at, struct err *e)
{
	const uint8_t *p = s->map.data;
	struct cur c = cur_of(p, s->map.n_bytes);
	uint64_t n = cur_u64(&c);

	if (c.failed)
		return err_set(e, ERR_FORMAT,
			"%s: %zu bytes are too few for a safetensors file", s->path,
			s->map.n_bytes);
	if (n > s->map.n_bytes - PREFIX_BYTES)
		return err_set(e, ERR_FORMAT,
			"%s: a header of %" PRIu64 " bytes does not fit in a file "
			"of %zu; it is truncated or no safetensors file",
			s->path, n, s->map.n_bytes);
	if (n > HEADER_MAX_BYTES)
		return err_set(e, ERR_LIMIT,
			"%s: a header of %" PRIu64 " bytes, at most %u", s->path, n,
			HEADER_MAX_BYTES);
	if (n == 0 || p[PREFIX_BYTES] != '{')
		return err_set(e, ERR_FORMAT, "%s: the header does not begin with '{'",
			s->path);
	*data_at = PREFIX_BYTES + (size_t)n;
	if (js_parse(&s->header, s->path, p + PREFIX_BYTES, (size_t)n, HEADER_MAX_DEPTH,
		    e) < 0)
		return e->code;
	return 0;
}

/* A length that fits in four bytes, and an object behind it: no other magic
 * looks so. */
bool
safetensors_is(const uint8_t *p, size_t n_bytes)
{
	static const uint8_t zero[4];

	return n_bytes > PREFIX_BYTES && p[PREFIX_BYTES] == '{' &&
		memcmp(p + 4, zero, 4) == 0;
}

int
safetensors_read(struct tensors *t, struct shard *s, struct err *e)
{
	size_t data_at = 0, first = t->n_tensors;
	int rc = header_read(s, &data_at, e);

	if (rc < 0)
		return rc;
	for (void *it = js_first(s->header.root); it;
		it = js_next(s->header.root, it)) {
		struct tensor *x;

		if (strcmp(js_key(it, NULL), "__metadata__") == 0) {
			rc = metadata_check(s, js_value(it), e);
		} else {
			x = tensors_add(t, s, e);
			rc = x ? entry_read(x, s, it, data_at, e) : e->code;
		}
		if (rc < 0)
			return rc;
	}
	if (t->n_tensors == first)
		return check_filled(s, NULL, 0, data_at, e);
	return check_filled(s, t->tensor + first, t->n_tensors - first, data_at, e);
}
