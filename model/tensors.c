/* SPDX-License-Identifier: ISC */
#include "model/tensors.h"

#include "model/json.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 8 /* the header's length, u64 */
#define HEADER_MAX_BYTES (64u << 20) /* the format allows 100,000,000 */
#define INDEX_MAX_BYTES (64u << 20)
#define HEADER_MAX_DEPTH 4
#define TENSORS_MAX 1000000
#define NAME_MAX_BYTES 1024
#define SHARDS_MAX 4096

struct shard {
	char *path; /* owned */
	struct map map;
	struct js_doc header;
};

struct tensors {
	char *path; /* as opened: a file or a directory; owned */
	struct shard *shard;
	size_t n_shards;
	struct tensor *tensor; /* by name */
	size_t n_tensors;
};

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
	{"BOOL", 8, DTYPE_OTHER},
	{"I8", 8, DTYPE_OTHER},
	{"F8_E5M2", 8, DTYPE_OTHER},
	{"F8_E4M3", 8, DTYPE_OTHER},
	{"F8_E8M0", 8, DTYPE_OTHER},
	{"F8_E4M3FNUZ", 8, DTYPE_OTHER},
	{"F8_E5M2FNUZ", 8, DTYPE_OTHER},
	{"I16", 16, DTYPE_OTHER},
	{"U16", 16, DTYPE_OTHER},
	{"U32", 32, DTYPE_OTHER},
	{"U64", 64, DTYPE_OTHER},
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

	t->path = s->path;
	t->name = js_key(it, &n_name);
	if (n_name > NAME_MAX_BYTES)
		return err_set(e, ERR_LIMIT,
			"%s: a tensor's name has %zu bytes, at most %d", s->path,
			n_name, NAME_MAX_BYTES);
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

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct tensor *)a)->name,
		((const struct tensor *)b)->name);
}

/* Laid end to end, the tensors must fill the data exactly. */
static int
check_filled(const struct shard *s, struct tensor *t, size_t n, size_t data_at,
	struct err *e)
{
	const uint8_t *at = s->map.data + data_at;
	const uint8_t *end = s->map.data + s->map.n_bytes;

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

/* Reads s->path; appends its tensors to t. */
static int
shard_read(struct tensors *t, struct shard *s, struct err *e)
{
	struct tensor *grown, *first;
	size_t data_at = 0, n = 0;
	int rc;

	rc = map_open(&s->map, s->path, e);
	if (rc == 0)
		rc = header_read(s, &data_at, e);
	if (rc < 0)
		return rc;
	if (js_n(s->header.root) > TENSORS_MAX - t->n_tensors)
		return err_set(e, ERR_LIMIT, "%s: more than %d tensors", s->path,
			TENSORS_MAX);
	grown = mem_resize(t->tensor, t->n_tensors + js_n(s->header.root) + 1,
		sizeof(*grown));
	if (!grown)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", s->path);
	t->tensor = grown;
	first = grown + t->n_tensors;
	for (void *it = js_first(s->header.root); it;
		it = js_next(s->header.root, it)) {
		if (strcmp(js_key(it, NULL), "__metadata__") == 0) {
			rc = metadata_check(s, js_value(it), e);
		} else {
			first[n] = (struct tensor){0};
			rc = entry_read(&first[n++], s, it, data_at, e);
		}
		if (rc < 0)
			return rc;
	}
	t->n_tensors += n;
	return check_filled(s, first, n, data_at, e);
}

static int
shard_add(struct tensors *t, const char *path, struct err *e)
{
	struct shard *grown = mem_resize(t->shard, t->n_shards + 1, sizeof(*grown));

	if (!grown)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	t->shard = grown;
	grown[t->n_shards] = (struct shard){.path = mem_strdup(path)};
	if (!grown[t->n_shards].path)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	t->n_shards++;
	return 0;
}

static struct tensors *
set_new(const char *path, struct err *e)
{
	struct tensors *t = mem_new(1, sizeof(*t));

	if (t)
		t->path = mem_strdup(path);
	if (t && t->path)
		return t;
	mem_free(t);
	err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	return NULL;
}

int
tensors_open(struct tensors **out, const char *path, struct err *e)
{
	struct err own = ERR_INIT;
	struct tensors *t = set_new(path, e);
	int rc;

	if (!t)
		return ERR_NOMEM;
	e = e ? e : &own;
	rc = shard_add(t, path, e);
	if (rc == 0)
		rc = shard_read(t, &t->shard[0], e);
	if (rc < 0) {
		tensors_close(t);
		return rc;
	}
	qsort(t->tensor, t->n_tensors, sizeof(*t->tensor), by_name);
	*out = t;
	return 0;
}

void
tensors_close(struct tensors *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_shards; i++) {
		js_close(&t->shard[i].header);
		map_close(&t->shard[i].map);
		mem_free(t->shard[i].path);
	}
	mem_free(t->shard);
	mem_free(t->tensor);
	mem_free(t->path);
	mem_free(t);
}

/* ---- shards ------------------------------------------------------------- */

/* A plain file name: an index must not lead out of its directory. */
static bool
shard_name_ok(const char *name)
{
	static const char suffix[] = ".safetensors";
	size_t n = strlen(name), n_suffix = sizeof(suffix) - 1;

	return n > n_suffix && n <= 255 && name[0] != '.' && !strchr(name, '/') &&
		strcmp(name + n - n_suffix, suffix) == 0;
}

static int
by_string(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct file names of a weight map, sorted, into names. */
static int
shard_names(const struct js_doc *index, const char **names, size_t *n, struct err *e)
{
	const struct js *map = js_get(index->root, "weight_map");
	size_t n_all = 0, n_kept = 0;

	for (void *it = js_first(map); it; it = js_next(map, it)) {
		const char *name = js_str(js_value(it), NULL);

		if (!name || !shard_name_ok(name))
			return err_set(e, ERR_FORMAT,
				"%s: weight_map: \"%.80s\" is not in a file name that "
				"ends in .safetensors and stays in this directory",
				index->name, js_key(it, NULL));
		names[n_all++] = name;
	}
	qsort(names, n_all, sizeof(*names), by_string);
	for (size_t i = 0; i < n_all; i++) {
		if (n_kept == 0 || strcmp(names[n_kept - 1], names[i]) != 0)
			names[n_kept++] = names[i];
	}
	*n = n_kept;
	return 0;
}

/* Opens the shards that the index names, into t. */
static int
shards_read(struct tensors *t, const char *dir, const struct js_doc *index,
	struct err *e)
{
	size_t n = js_n(js_get(index->root, "weight_map")), n_shards = 0;
	const char **names = mem_new(n, sizeof(*names));
	char path[PATH_BYTES];
	int rc;

	if (!names)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", index->name);
	rc = shard_names(index, names, &n_shards, e);
	if (rc == 0 && n_shards > SHARDS_MAX)
		rc = err_set(e, ERR_LIMIT, "%s: more than %d files", index->name,
			SHARDS_MAX);
	for (size_t i = 0; rc == 0 && i < n_shards; i++) {
		rc = path_join(path, e, "%s/%s", dir, names[i]);
		if (rc == 0)
			rc = shard_add(t, path, e);
	}
	/* all paths first: tensors borrow them */
	for (size_t i = 0; rc == 0 && i < n_shards; i++) {
		rc = shard_read(t, &t->shard[i], e);
		if (rc < 0)
			err_wrap(e, "%s", index->name);
	}
	mem_free(names);
	return rc;
}

static const char *
file_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Keeps the tensors that the map gives to the file they stand in; each that
 * the map names must be there. */
static int
map_apply(struct tensors *t, const struct js_doc *index, struct err *e)
{
	const struct js *map = js_get(index->root, "weight_map");
	size_t n = 0;

	for (size_t i = 0; i < t->n_tensors; i++) {
		const char *file = js_str(js_get(map, t->tensor[i].name), NULL);

		if (file && strcmp(file, file_part(t->tensor[i].path)) == 0)
			t->tensor[n++] = t->tensor[i];
	}
	t->n_tensors = n;
	qsort(t->tensor, n, sizeof(*t->tensor), by_name);
	for (void *it = js_first(map); it; it = js_next(map, it)) {
		if (!tensors_find(t, js_key(it, NULL)))
			return err_set(e, ERR_MISMATCH,
				"%s: tensor %.200s is not in %s, where the index has "
				"it",
				index->name, js_key(it, NULL),
				js_str(js_value(it), NULL));
	}
	return 0;
}

static int
index_open(struct tensors **out, const char *dir, const char *path, struct err *e)
{
	struct js_doc index;
	struct tensors *t = NULL;
	int rc = js_open(&index, path, INDEX_MAX_BYTES, HEADER_MAX_DEPTH, e);

	if (rc < 0)
		return rc;
	if (js_type(js_get(index.root, "weight_map")) != JS_OBJECT) {
		rc = err_set(e, ERR_FORMAT, "%s: \"weight_map\" must be an object",
			path);
		goto out;
	}
	t = set_new(dir, e);
	rc = t ? shards_read(t, dir, &index, e) : ERR_NOMEM;
	if (rc == 0)
		rc = map_apply(t, &index, e);
out:
	js_close(&index);
	if (rc < 0)
		tensors_close(t);
	else
		*out = t;
	return rc;
}

int
tensors_open_dir(struct tensors **out, const char *dir, struct err *e)
{
	struct err own = ERR_INIT;
	char path[PATH_BYTES];
	int rc;

	e = e ? e : &own;
	rc = path_join(path, e, "%s/model.safetensors", dir);
	if (rc < 0)
		return rc;
	if (file_exists(path))
		return tensors_open(out, path, e);
	rc = path_join(path, e, "%s/model.safetensors.index.json", dir);
	if (rc < 0)
		return rc;
	if (file_exists(path))
		return index_open(out, dir, path, e);
	rc = path_join(path, e, "%s/pytorch_model.bin", dir);
	if (rc < 0)
		return rc;
	if (file_exists(path))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: a pickled model is not read; convert it to "
			"model.safetensors",
			path);
	return err_set(e, ERR_NOTFOUND,
		"%s: neither model.safetensors nor model.safetensors.index.json", dir);
}

/* ---- looking up --------------------------------------------------------- */

size_t
tensors_n(const struct tensors *t)
{
	return t->n_tensors;
}

const struct tensor *
tensors_at(const struct tensors *t, size_t i)
{
	return i < t->n_tensors ? &t->tensor[i] : NULL;
}

const struct tensor *
tensors_find(const struct tensors *t, const char *name)
{
	struct tensor key = {.name = name};

	if (t->n_tensors == 0)
		return NULL;
	return bsearch(&key, t->tensor, t->n_tensors, sizeof(key), by_name);
}

const char *
tensors_path(const struct tensors *t)
{
	return t->path;
}

int
tensors_sha256(const struct tensors *t, uint8_t out[32], struct err *e)
{
	struct sha256 h;
	int rc = sha256_init(&h, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < t->n_shards; i++)
		sha256_update(&h, t->shard[i].map.data, t->shard[i].map.n_bytes);
	sha256_final(&h, out);
	return 0;
}
