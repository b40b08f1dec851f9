/* SPDX-License-Identifier: ISC */
/*
 * .npy: magic, version, length, a Python dict literal, then the values. Of the
 * literal only what numpy writes is read: three keys, each once.
 */
#include "model/tensors_int.h"

#include <inttypes.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define HEADER_MAX_BYTES 65536 /* numpy itself stops at 10,000 */

struct npy {
	const char *where; /* for errors */
	struct cur c; /* within the literal */
	char descr[16];
	bool fortran;
	uint64_t shape[TENSOR_MAX_RANK];
	size_t rank;
};

static const struct {
	const char *descr;
	enum dtype dtype;
} dtypes[] = {
	{"<f4", DTYPE_F32},
	{"<f8", DTYPE_F64},
	{"<f2", DTYPE_F16},
	{"<i2", DTYPE_I16},
	{"<i4", DTYPE_I32},
	{"<i8", DTYPE_I64},
	{"|i1", DTYPE_I8},
	{"|u1", DTYPE_U8},
	{"<u2", DTYPE_U16},
	{"<u4", DTYPE_U32},
	{"<u8", DTYPE_U64},
	{"|b1", DTYPE_BOOL},
};

bool
npy_is(const uint8_t *p, size_t n_bytes)
{
	return n_bytes >= MAGIC_BYTES && memcmp(p, MAGIC, MAGIC_BYTES) == 0;
}

/* ---- the literal -------------------------------------------------------- */

static int
bad_header(const struct npy *h, const char *what, struct err *e)
{
	return err_set(e, ERR_FORMAT, "%s: the .npy header %s", h->where, what);
}

/* The next character that is no space, or '\0'. */
static char
peek(struct npy *h)
{
	while (cur_left(&h->c) > 0 && (*h->c.p == ' ' || *h->c.p == '\n'))
		h->c.p++;
	return cur_left(&h->c) > 0 ? (char)*h->c.p : '\0';
}

static bool
take(struct npy *h, char c)
{
	if (c == '\0' || peek(h) != c)
		return false;
	h->c.p++;
	return true;
}

static bool
take_word(struct npy *h, const char *word)
{
	size_t n = strlen(word);

	peek(h);
	if (cur_left(&h->c) < n || memcmp(h->c.p, word, n) != 0)
		return false;
	h->c.p += n;
	return true;
}

static bool
take_string(struct npy *h, char *out, size_t size)
{
	char quote = peek(h), c;
	size_t n = 0;

	if (quote != '\'' && quote != '"')
		return false;
	h->c.p++;
	while (cur_left(&h->c) > 0) {
		c = (char)*h->c.p++;
		if (c == quote) {
			out[n] = '\0';
			return true;
		}
		if (c == '\\' || (unsigned char)c < 0x20 || n + 1 >= size)
			return false;
		out[n++] = c;
	}
	return false;
}

static bool
take_number(struct npy *h, uint64_t *out)
{
	char c = peek(h);
	uint64_t v = 0;

	if (c < '0' || c > '9')
		return false;
	while (cur_left(&h->c) > 0 && *h->c.p >= '0' && *h->c.p <= '9') {
		uint64_t digit = *h->c.p++ - (uint64_t)'0';

		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	take(h, 'L'); /* a long of Python 2 */
	*out = v;
	return true;
}

static int
read_shape(struct npy *h, struct err *e)
{
	uint64_t v;

	if (!take(h, '('))
		return bad_header(h, "has a \"shape\" that is no tuple", e);
	while (!take(h, ')')) {
		if (!take_number(h, &v))
			return bad_header(h,
				"has a \"shape\" that is no tuple of sizes", e);
		if (h->rank == TENSOR_MAX_RANK)
			return err_set(e, ERR_LIMIT, "%s: more than %d dimensions",
				h->where, TENSOR_MAX_RANK);
		h->shape[h->rank++] = v;
		if (!take(h, ',') && peek(h) != ')')
			return bad_header(h,
				"has a \"shape\" that is no tuple of sizes", e);
	}
	return 0;
}

static int
read_value(struct npy *h, const char *key, unsigned *seen, struct err *e)
{
	static const char *const keys[] = {"descr", "fortran_order", "shape"};
	unsigned which = 0;

	while (which < 3 && strcmp(key, keys[which]) != 0)
		which++;
	if (which == 3 || (*seen & 1u << which))
		return bad_header(h, "repeats a key or has an unknown one", e);
	*seen |= 1u << which;
	if (which == 2)
		return read_shape(h, e);
	if (which == 1) {
		h->fortran = take_word(h, "True");
		if (!h->fortran && !take_word(h, "False"))
			return bad_header(h, "has no bool as \"fortran_order\"", e);
		return 0;
	}
	if (peek(h) == '[')
		return err_set(e, ERR_UNSUPPORTED,
			"%s: an array of records is not read; save each field as an "
			"array",
			h->where);
	if (!take_string(h, h->descr, sizeof(h->descr)))
		return bad_header(h, "has no short string as \"descr\"", e);
	return 0;
}

static int
read_literal(struct npy *h, struct err *e)
{
	char key[16];
	unsigned seen = 0;
	int rc;

	if (!take(h, '{'))
		return bad_header(h, "is no dict", e);
	while (!take(h, '}')) {
		if (!take_string(h, key, sizeof(key)) || !take(h, ':'))
			return bad_header(h, "is no dict of short strings", e);
		rc = read_value(h, key, &seen, e);
		if (rc < 0)
			return rc;
		if (!take(h, ',') && peek(h) != '}')
			return bad_header(h, "is no dict", e);
	}
	if (seen != 7)
		return bad_header(h, "lacks \"descr\", \"fortran_order\" or \"shape\"",
			e);
	if (peek(h) != '\0' || cur_left(&h->c) > 0)
		return bad_header(h, "has more behind its dict", e);
	return 0;
}

/* ---- the array ---------------------------------------------------------- */

static const char *
hint(const char *descr)
{
	if (descr[0] == '>')
		return " (big-endian)";
	if (strchr(descr, 'O'))
		return " (pickled objects)";
	return strcmp(descr + 1, "V2") == 0 ? " (bfloat16, perhaps)" : "";
}

static int
find_dtype(const struct npy *h, enum dtype *out, struct err *e)
{
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
		if (strcmp(h->descr, dtypes[i].descr) == 0) {
			*out = dtypes[i].dtype;
			return 0;
		}
	}
	return err_set(e, ERR_UNSUPPORTED,
		"%s: values of type \"%s\"%s are not read; save them as float32 "
		"(.astype(\"<f4\"))",
		h->where, h->descr, h->descr[0] ? hint(h->descr) : "");
}

/* Reads the magic, the version and the literal; p moves to the values. */
static int
read_header(struct npy *h, struct cur *c, struct err *e)
{
	uint8_t major;
	uint32_t n;
	const void *literal;

	cur_take(c, MAGIC_BYTES);
	major = cur_u8(c);
	if (cur_u8(c) != 0 || major < 1 || major > 3)
		return c->failed ? bad_header(h, "is cut short", e)
				 : err_set(e, ERR_UNSUPPORTED,
					   "%s: .npy version %u is not 1.0, 2.0 or 3.0",
					   h->where, major);
	n = major == 1 ? cur_u16(c) : cur_u32(c);
	if (!c->failed && n > HEADER_MAX_BYTES)
		return err_set(e, ERR_LIMIT,
			"%s: an .npy header of %u bytes, at most %d", h->where, n,
			HEADER_MAX_BYTES);
	literal = cur_take(c, n);
	if (c->failed)
		return bad_header(h, "is cut short", e);
	h->c = cur_of(literal, n);
	return read_literal(h, e);
}

/* The first index is the fastest in Fortran's order. */
static int
to_c_order(struct tensors *t, const struct shard *s, struct tensor *x, size_t item,
	struct err *e)
{
	size_t stride[TENSOR_MAX_RANK], step = 1;
	uint8_t *copy;

	if (x->rank < 2 || x->n_values == 0)
		return 0;
	copy = tensors_own(t, s->path, x->n_values, item, e);
	if (!copy)
		return e->code;
	for (size_t i = 0; i < x->rank; i++) {
		stride[i] = step;
		step *= x->shape[i];
	}
	tensor_copy_strided(copy, x->data, x, stride, item);
	x->data = copy;
	return 0;
}

int
npy_array(struct tensors *t, const struct shard *s, const char *where, char *name,
	const uint8_t *p, size_t n_bytes, struct err *e)
{
	struct npy h = {.where = where};
	struct cur c = cur_of(p, n_bytes);
	enum dtype dtype = DTYPE_OTHER;
	struct tensor *x;
	size_t item = 0;
	int rc;

	rc = npy_is(p, n_bytes) ? read_header(&h, &c, e)
				: err_set(e, ERR_FORMAT, "%s: no .npy array", where);
	if (rc == 0)
		rc = find_dtype(&h, &dtype, e);
	if (rc < 0)
		return rc;
	x = tensors_add(t, s, e);
	if (!x)
		return e->code;
	x->name = name;
	item = tensor_set_dtype(x, dtype);
	rc = tensor_set_shape(x, where, h.shape, h.rank, item, e);
	if (rc < 0)
		return rc;
	if (x->n_bytes != cur_left(&c))
		return err_set(e, ERR_FORMAT,
			"%s: %zu values of %s do not fill %zu bytes; the file is "
			"truncated or damaged",
			where, x->n_values, x->dtype_name, cur_left(&c));
	x->data = c.p;
	return h.fortran ? to_c_order(t, s, x, item, e) : 0;
}

/* A file of one array, called as the file. */
int
npy_read(struct tensors *t, struct shard *s, struct err *e)
{
	char *name = tensors_stem(t, s, e);

	if (!name)
		return e->code;
	return npy_array(t, s, s->path, name, s->map.data, s->map.n_bytes, e);
}
