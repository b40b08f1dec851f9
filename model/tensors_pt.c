/* SPDX-License-Identifier: ISC */
/*
 * PyTorch's .pt (torch.save, 1.6 and later): a pickle that describes tensors
 * as views of storages, which are members data/KEY of the same zip file. The
 * globals below are all that the pickle may name.
 */
#include "model/pickle.h"
#include "model/tensors_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PICKLE_MAX_BYTES ((size_t)64 << 20)
#define DEPTH_MAX 32

enum {
	ID_ORDERED,
	ID_TENSOR,
	ID_PARAMETER,
	ID_SIZE,
	ID_DTYPE,
	ID_STORAGE /* and those above: its dtype added */
};

static const struct pk_global globals[] = {
	{"collections", "OrderedDict", PK_DICT_TYPE, ID_ORDERED},
	{"torch._utils", "_rebuild_tensor_v2", PK_CALLABLE, ID_TENSOR},
	{"torch._utils", "_rebuild_parameter", PK_CALLABLE, ID_PARAMETER},
	{"torch", "Size", PK_CALLABLE, ID_SIZE},
	{"torch", "FloatStorage", PK_VALUE, ID_STORAGE + DTYPE_F32},
	{"torch", "HalfStorage", PK_VALUE, ID_STORAGE + DTYPE_F16},
	{"torch", "BFloat16Storage", PK_VALUE, ID_STORAGE + DTYPE_BF16},
	{"torch", "DoubleStorage", PK_VALUE, ID_STORAGE + DTYPE_F64},
	{"torch", "LongStorage", PK_VALUE, ID_STORAGE + DTYPE_I64},
	{"torch", "IntStorage", PK_VALUE, ID_STORAGE + DTYPE_I32},
	{"torch", "ShortStorage", PK_VALUE, ID_STORAGE + DTYPE_I16},
	{"torch", "CharStorage", PK_VALUE, ID_STORAGE + DTYPE_I8},
	{"torch", "ByteStorage", PK_VALUE, ID_STORAGE + DTYPE_U8},
	{"torch", "BoolStorage", PK_VALUE, ID_STORAGE + DTYPE_BOOL},
	{"torch", "float32", PK_VALUE, ID_DTYPE},
	{"torch", "float16", PK_VALUE, ID_DTYPE},
	{"torch", "bfloat16", PK_VALUE, ID_DTYPE},
	{"torch", "float64", PK_VALUE, ID_DTYPE},
	{"torch", "int64", PK_VALUE, ID_DTYPE},
	{"torch", "int32", PK_VALUE, ID_DTYPE},
	{"torch", "int16", PK_VALUE, ID_DTYPE},
	{"torch", "int8", PK_VALUE, ID_DTYPE},
	{"torch", "uint8", PK_VALUE, ID_DTYPE},
	{"torch", "bool", PK_VALUE, ID_DTYPE},
	{NULL, NULL, PK_VALUE, 0},
};

struct pt {
	struct tensors *t;
	struct shard *s;
	const char *prefix; /* of the members: "archive/" */
	char name[TENSOR_NAME_BYTES + 1]; /* of the value at hand, dotted */
	size_t n_name;
	size_t n_seen; /* shared values are seen again: a bound on all */
	struct err *e;
};

/* Sets an error that names the file and the value. */
static int __attribute__((format(printf, 3, 4)))
bad(const struct pt *r, int code, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(r->e, code, "%s: %s%.200s%s%s", r->s->path,
		r->n_name ? "value " : "", r->name, r->n_name ? ": " : "", text);
}

static bool
is_int(const struct pk *v)
{
	return v->type == PK_INT && v->i >= 0;
}

static bool
is_global(const struct pk *v, int id)
{
	return v->type == PK_GLOBAL && v->global->id == id;
}

static bool
is_str(const struct pk *v, const char *s)
{
	return v->type == PK_STR && v->n == strlen(s) && memcmp(v->str, s, v->n) == 0;
}

/* Sizes or strides: a tuple (or torch.Size of a tuple) of integers. */
static int
read_tuple(const struct pt *r, const struct pk *v, uint64_t *out, size_t *n)
{
	if (v->type == PK_CALL && is_global(v->item[0], ID_SIZE) && v->item[1]->n == 1)
		v = v->item[1]->item[0];
	if (v->type != PK_TUPLE)
		return bad(r, ERR_FORMAT, "its size or stride is %s, no tuple",
			pk_type_name(v->type));
	if (v->n > TENSOR_MAX_RANK)
		return bad(r, ERR_LIMIT, "%zu dimensions, at most %d", v->n,
			TENSOR_MAX_RANK);
	*n = v->n;
	for (size_t i = 0; i < v->n; i++) {
		if (!is_int(v->item[i]))
			return bad(r, ERR_FORMAT,
				"dimension %zu of its size or stride is no "
				"non-negative integer",
				i);
		out[i] = (uint64_t)v->item[i]->i;
	}
	return 0;
}

/* ---- storages ----------------------------------------------------------- */

/* The bytes of the storage that a persistent id names; sets x's dtype. */
static int
read_storage(struct pt *r, const struct pk *v, struct tensor *x, const uint8_t **p,
	size_t *n_bytes)
{
	char member[2 * TENSOR_NAME_BYTES];
	const struct pk *id = v->type == PK_PERSID ? v->item[0] : NULL;
	struct zip_member *m;
	size_t item, need;

	if (!id || id->type != PK_TUPLE || id->n != 5 ||
		!is_str(id->item[0], "storage") || id->item[1]->type != PK_GLOBAL ||
		id->item[1]->global->id < ID_STORAGE || id->item[2]->type != PK_STR ||
		id->item[2]->n > TENSOR_NAME_BYTES / 2 || !is_int(id->item[4]))
		return bad(r, ERR_FORMAT,
			"its storage is not as PyTorch writes one: (\"storage\", type, "
			"key, location, number of values)");
	item = tensor_set_dtype(x, (enum dtype)(id->item[1]->global->id - ID_STORAGE));
	snprintf(member, sizeof(member), "%sdata/%.*s", r->prefix, (int)id->item[2]->n,
		id->item[2]->str);
	m = zip_find(&r->s->zip, member);
	if (!m)
		return bad(r, ERR_FORMAT, "the file has no member %.200s", member);
	if (!mem_mul((size_t)id->item[4]->i, item, &need) || need != m->n_bytes)
		return bad(r, ERR_FORMAT,
			"member %.200s has %zu bytes, not %" PRId64 " values of %s",
			member, m->n_bytes, id->item[4]->i, x->dtype_name);
	*n_bytes = m->n_bytes;
	return tensors_member(r->t, r->s, m, p, r->e);
}

/* Where x's values lie in a storage; a copy if they are not in C order. */
static int
place(struct pt *r, struct tensor *x, const uint8_t *p, size_t n_bytes,
	const size_t *stride, size_t offset)
{
	size_t item = x->n_values ? x->n_bytes / x->n_values : 1, last = 0;
	uint8_t *copy;

	x->data = p;
	if (x->n_values == 0)
		return 0;
	if (!tensor_last_strided(x, stride, offset, &last) || last >= n_bytes / item)
		return bad(r, ERR_FORMAT,
			"its strides reach beyond its storage of %zu values",
			n_bytes / item);
	x->data = p + offset * item;
	if (tensor_in_c_order(x, stride))
		return 0;
	if (!tensor_is_injective(x, stride))
		return bad(r, ERR_UNSUPPORTED,
			"its strides reach values twice (expand, as_strided); save it "
			"with .contiguous()");
	copy = tensors_own(r->t, r->s->path, x->n_values, item, r->e);
	if (!copy)
		return r->e->code;
	tensor_copy_strided(copy, x->data, x, stride, item);
	x->data = copy;
	return 0;
}

/* ---- values ------------------------------------------------------------- */

static char *
own_text(struct pt *r, const char *s, size_t n)
{
	char *copy;

	if (n > 0 && memchr(s, '\0', n)) {
		bad(r, ERR_FORMAT, "a string has a NUL in it");
		return NULL;
	}
	copy = tensors_own(r->t, r->s->path, n + 1, 1, r->e);
	if (copy) {
		if (n > 0)
			memcpy(copy, s, n);
		copy[n] = '\0';
	}
	return copy;
}

/* The value's name; a file that holds just one is called as the file. */
static char *
own_name(struct pt *r)
{
	return r->n_name ? own_text(r, r->name, r->n_name)
			 : tensors_stem(r->t, r->s, r->e);
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks) */
static int
add_tensor(struct pt *r, const struct pk *args)
{
	uint64_t shape[TENSOR_MAX_RANK], wide[TENSOR_MAX_RANK];
	size_t stride[TENSOR_MAX_RANK], n_shape = 0, n_stride = 0, n_bytes = 0, item;
	const uint8_t *p = NULL;
	struct tensor *x;
	int rc;

	if (args->n < 6 || !is_int(args->item[1]))
		return bad(r, ERR_FORMAT, "no tensor as PyTorch writes one");
	if (args->n > 6)
		return bad(r, ERR_UNSUPPORTED,
			"a tensor with metadata (a conjugate or negative view); save "
			"it with .resolve_conj().resolve_neg()");
	x = tensors_add(r->t, r->s, r->e);
	if (!x)
		return r->e->code;
	rc = read_storage(r, args->item[0], x, &p, &n_bytes);
	if (rc == 0)
		rc = read_tuple(r, args->item[2], shape, &n_shape);
	if (rc == 0)
		rc = read_tuple(r, args->item[3], wide, &n_stride);
	if (rc == 0 && n_shape != n_stride)
		rc = bad(r, ERR_FORMAT, "%zu sizes and %zu strides", n_shape, n_stride);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n_shape; i++)
		stride[i] = (size_t)wide[i];
	item = tensor_set_dtype(x, x->dtype);
	rc = tensor_set_shape(x, r->s->path, shape, n_shape, item, r->e);
	if (rc == 0)
		rc = place(r, x, p, n_bytes, stride, (size_t)args->item[1]->i);
	if (rc < 0)
		return rc;
	x->name = own_name(r);
	return x->name ? 0 : r->e->code;
}

static int
add_meta(struct pt *r, const struct pk *v)
{
	struct tensor_meta *m = tensors_add_meta(r->t, r->s, r->e);

	if (!m)
		return r->e->code;
	m->i = v->i;
	m->real = v->real;
	switch (v->type) {
	case PK_BOOL:
		m->type = META_BOOL;
		break;
	case PK_INT:
		m->type = META_INT;
		break;
	case PK_REAL:
		m->type = META_REAL;
		break;
	case PK_STR:
		m->type = META_STR;
		m->str = own_text(r, v->str, v->n);
		break;
	case PK_GLOBAL: /* a dtype: its name */
		m->type = META_STR;
		m->str = v->global->name;
		break;
	default:
		m->type = META_NONE;
		break;
	}
	m->name = m->type == META_STR && !m->str ? NULL : own_name(r);
	if (!m->name)
		m->name = ""; /* the set is about to be closed */
	return *m->name ? 0 : r->e->code;
}

/* Appends to the name: a dot between parts. */
static int
enter(struct pt *r, const struct pk *key, size_t index)
{
	char digits[24];
	const char *s = digits;
	size_t n;

	if (key && key->type != PK_STR && !is_int(key))
		return bad(r, ERR_UNSUPPORTED,
			"a dict has %s as a key; only strings and numbers are read",
			pk_type_name(key->type));
	if (key && key->type == PK_STR) {
		s = key->str;
		n = key->n;
	} else {
		n = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64,
			key ? (uint64_t)key->i : (uint64_t)index);
	}
	if (n > 0 && memchr(s, '\0', n))
		return bad(r, ERR_FORMAT, "a key has a NUL in it");
	if (n > TENSOR_NAME_BYTES - 1 - r->n_name)
		return bad(r, ERR_LIMIT, "its name has more than %d bytes",
			TENSOR_NAME_BYTES - 1);
	if (r->n_name > 0)
		r->name[r->n_name++] = '.';
	if (n > 0)
		memcpy(r->name + r->n_name, s, n);
	r->n_name += n;
	r->name[r->n_name] = '\0';
	return 0;
}

static int walk(struct pt *r, const struct pk *v, unsigned depth);

static int
walk_items(struct pt *r, const struct pk *v, unsigned depth)
{
	size_t n_name = r->n_name, step = v->type == PK_DICT ? 2 : 1;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < v->n; i += step) {
		rc = enter(r, step == 2 ? v->item[i] : NULL, i);
		if (rc == 0)
			rc = walk(r, v->item[i + step - 1], depth + 1);
		if (rc == 0) {
			r->n_name = n_name;
			r->name[n_name] = '\0';
		}
	}
	return rc;
}

static int
walk_call(struct pt *r, const struct pk *v, unsigned depth)
{
	const struct pk *args = v->item[1];

	switch (v->item[0]->global->id) {
	case ID_TENSOR:
		return add_tensor(r, args);
	case ID_PARAMETER: /* (data, requires_grad, hooks) */
		if (args->n != 3 || args->item[0]->type != PK_CALL ||
			!is_global(args->item[0]->item[0], ID_TENSOR))
			return bad(r, ERR_FORMAT, "a parameter without its tensor");
		return add_tensor(r, args->item[0]->item[1]);
	default: /* torch.Size */
		if (args->n != 1 || args->item[0]->type != PK_TUPLE)
			return bad(r, ERR_FORMAT, "a torch.Size of no tuple");
		return walk_items(r, args->item[0], depth);
	}
}

static int
walk(struct pt *r, const struct pk *v, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return bad(r, ERR_LIMIT, "it is nested deeper than %d, or holds itself",
			DEPTH_MAX);
	if (++r->n_seen > TENSORS_MAX)
		return bad(r, ERR_LIMIT, "more than %d values", TENSORS_MAX);
	switch (v->type) {
	case PK_LIST:
	case PK_TUPLE:
	case PK_SET:
	case PK_DICT:
		return walk_items(r, v, depth);
	case PK_CALL:
		return walk_call(r, v, depth);
	case PK_GLOBAL:
		if (is_global(v, ID_DTYPE))
			return add_meta(r, v);
		return bad(r, ERR_UNSUPPORTED, "%s.%s is no tensor and no value",
			v->global->module, v->global->name);
	case PK_BYTES:
	case PK_PERSID:
		return bad(r, ERR_UNSUPPORTED,
			"it is %s; only tensors, numbers and strings are read",
			pk_type_name(v->type));
	default:
		return add_meta(r, v);
	}
}

/* ---- the file ----------------------------------------------------------- */

/* A member that PyTorch adds since 1.13: "little", or "big". */
static int
check_byteorder(struct pt *r)
{
	char name[TENSOR_NAME_BYTES + 16];
	struct zip_member *m;
	const uint8_t *p = NULL;
	int rc;

	snprintf(name, sizeof(name), "%sbyteorder", r->prefix);
	m = zip_find(&r->s->zip, name);
	if (!m)
		return 0;
	rc = tensors_member(r->t, r->s, m, &p, r->e);
	if (rc < 0 || (m->n_bytes == 6 && memcmp(p, "little", 6) == 0))
		return rc;
	return bad(r, ERR_UNSUPPORTED,
		"its byte order is \"%.*s\", not \"little\"; save it again on a "
		"little-endian machine",
		(int)(m->n_bytes > 16 ? 16 : m->n_bytes), (const char *)p);
}

static int
check_torchscript(struct pt *r)
{
	char name[TENSOR_NAME_BYTES + 16];

	snprintf(name, sizeof(name), "%sconstants.pkl", r->prefix);
	if (zip_find(&r->s->zip, name))
		return bad(r, ERR_UNSUPPORTED,
			"this is a TorchScript program; save its state_dict");
	return 0;
}

int
pt_read(struct tensors *t, struct shard *s, const char *prefix, struct err *e)
{
	struct pt r = {.t = t, .s = s, .prefix = prefix, .e = e};
	char where[PATH_BYTES + 2 * TENSOR_NAME_BYTES], name[TENSOR_NAME_BYTES + 16];
	struct zip_member *m;
	const uint8_t *p = NULL;
	struct arena values;
	struct pk *root = NULL;
	int rc;

	snprintf(name, sizeof(name), "%sdata.pkl", prefix);
	snprintf(where, sizeof(where), "%s: %s", s->path, name);
	m = zip_find(&s->zip, name);
	if (!m || m->n_bytes > PICKLE_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "%s: more than %zu bytes", where,
			PICKLE_MAX_BYTES);
	arena_init(&values, PK_ARENA_BYTES);
	rc = check_torchscript(&r);
	if (rc == 0)
		rc = check_byteorder(&r);
	if (rc == 0)
		rc = tensors_member(t, s, m, &p, e);
	if (rc == 0)
		rc = pk_load(&root, &values, where, p, m->n_bytes, globals, e);
	if (rc == 0)
		rc = walk(&r, root, 0);
	arena_clear(&values);
	return rc;
}
