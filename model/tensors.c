/* SPDX-License-Identifier: ISC */
#include "model/tensors_int.h"

#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

/* In this order: the length that begins a safetensors file may look like
 * another's magic. */
static const struct container containers[] = {
	{".safetensors", safetensors_is, safetensors_read},
	{".npy", npy_is, npy_read},
	{".npz, .pt", tensors_zip_is, tensors_zip_read},
};
#define N_CONTAINERS (sizeof(containers) / sizeof(containers[0]))

const char *
tensors_container_at(size_t i)
{
	return i < N_CONTAINERS ? containers[i].name : NULL;
}

/* ---- building a set ----------------------------------------------------- */

struct tensors *
tensors_new(const char *path, struct err *e)
{
	struct tensors *t = mem_new(1, sizeof(*t));

	if (t)
		t->path = mem_strdup(path);
	if (t && t->path) {
		arena_init(&t->own, TENSORS_OWN_BYTES);
		return t;
	}
	mem_free(t);
	err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	return NULL;
}

int
tensors_add_shard(struct tensors *t, const char *path, struct err *e)
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

/* Room for one more of n (size bytes each), zeroed, or NULL. */
static void *
grow(void **all, size_t *n, size_t *cap, size_t size, const char *path, struct err *e)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *grown;

	if (*n >= TENSORS_MAX) {
		err_set(e, ERR_LIMIT, "%s: more than %d tensors or values", path,
			TENSORS_MAX);
		return NULL;
	}
	if (*n == *cap) {
		grown = mem_resize(*all, more, size);
		if (!grown) {
			err_set(e, ERR_NOMEM, "%s: memory ran out", path);
			return NULL;
		}
		*all = grown;
		*cap = more;
	}
	return memset((uint8_t *)*all + (*n)++ * size, 0, size);
}

struct tensor *
tensors_add(struct tensors *t, const struct shard *s, struct err *e)
{
	void *all = t->tensor;
	struct tensor *x =
		grow(&all, &t->n_tensors, &t->cap_tensors, sizeof(*x), s->path, e);

	t->tensor = all;
	if (x) {
		x->path = s->path;
		x->name = "";
	}
	return x;
}

struct tensor_meta *
tensors_add_meta(struct tensors *t, const struct shard *s, struct err *e)
{
	void *all = t->meta;
	struct tensor_meta *m =
		grow(&all, &t->n_meta, &t->cap_meta, sizeof(*m), s->path, e);

	t->meta = all;
	if (m)
		m->name = "";
	return m;
}

void *
tensors_own(struct tensors *t, const char *path, size_t n, size_t size, struct err *e)
{
	size_t bytes;
	void *p;

	if (!mem_mul(n, size, &bytes) || bytes > TENSORS_OWN_BYTES ||
		t->own.used_bytes > TENSORS_OWN_BYTES - bytes) {
		err_set(e, ERR_LIMIT,
			"%s: more than %zu GiB of tensors are compressed or not in C "
			"order; save them uncompressed and contiguous",
			path, TENSORS_OWN_BYTES >> 30);
		return NULL;
	}
	p = arena_alloc(&t->own, n, size);
	if (!p)
		err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	return p;
}

char *
tensors_stem(struct tensors *t, const struct shard *s, struct err *e)
{
	const char *slash = strrchr(s->path, '/'), *file = slash ? slash + 1 : s->path;
	const char *dot = strrchr(file, '.');
	size_t n = dot && dot > file ? (size_t)(dot - file) : strlen(file);
	char *name = tensors_own(t, s->path, n + 1, 1, e);

	if (name) {
		memcpy(name, file, n);
		name[n] = '\0';
	}
	return name;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct tensor *)a)->name,
		((const struct tensor *)b)->name);
}

static int
by_meta_name(const void *a, const void *b)
{
	return strcmp(((const struct tensor_meta *)a)->name,
		((const struct tensor_meta *)b)->name);
}

int
tensors_sort(struct tensors *t, struct err *e)
{
	if (t->n_tensors > 0)
		qsort(t->tensor, t->n_tensors, sizeof(*t->tensor), by_name);
	for (size_t i = 1; i < t->n_tensors; i++) {
		if (strcmp(t->tensor[i - 1].name, t->tensor[i].name) == 0)
			return err_set(e, ERR_FORMAT, "%s: two tensors are called %s",
				t->tensor[i].path, t->tensor[i].name);
	}
	if (t->n_meta > 0)
		qsort(t->meta, t->n_meta, sizeof(*t->meta), by_meta_name);
	for (size_t i = 0; i < t->n_meta; i++) {
		const char *name = t->meta[i].name;

		if ((i > 0 && strcmp(t->meta[i - 1].name, name) == 0) ||
			tensors_find(t, name))
			return err_set(e, ERR_FORMAT, "%s: two values are called %s",
				t->path, name);
	}
	return 0;
}

/* ---- opening ------------------------------------------------------------ */

int
tensors_read_shard(struct tensors *t, struct shard *s, struct err *e)
{
	int rc = map_open(&s->map, s->path, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < N_CONTAINERS; i++) {
		if (containers[i].is(s->map.data, s->map.n_bytes))
			return containers[i].read(t, s, e);
	}
	rc = tensors_refuse(s->path, s->map.data, s->map.n_bytes, e);
	/* what has no magic of its own is a damaged safetensors file */
	return rc < 0 ? rc : safetensors_read(t, s, e);
}

/* The set in its order, or, after an error, nothing. */
static int
hand_over(struct tensors **out, struct tensors *t, int rc, struct err *e)
{
	if (rc == 0)
		rc = tensors_sort(t, e);
	if (rc < 0)
		tensors_close(t);
	else
		*out = t;
	return rc;
}

int
tensors_open(struct tensors **out, const char *path, struct err *e)
{
	struct err own = ERR_INIT;
	struct tensors *t;
	int rc;

	e = e ? e : &own;
	t = tensors_new(path, e);
	if (!t)
		return ERR_NOMEM;
	rc = tensors_add_shard(t, path, e);
	if (rc == 0)
		rc = tensors_read_shard(t, &t->shard[0], e);
	return hand_over(out, t, rc, e);
}

int
tensors_of_bytes(struct tensors **out, const char *name, const void *p, size_t n_bytes,
	struct err *e)
{
	struct tensors *t = tensors_new(name, e);
	int rc;

	if (!t)
		return ERR_NOMEM;
	rc = tensors_add_shard(t, name, e);
	if (rc == 0) {
		t->shard[0].map = (struct map){p, n_bytes};
		t->shard[0].borrowed = true;
		rc = safetensors_read(t, &t->shard[0], e);
	}
	return hand_over(out, t, rc, e);
}

void
tensors_close(struct tensors *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_shards; i++) {
		js_close(&t->shard[i].header);
		zip_close(&t->shard[i].zip);
		if (!t->shard[i].borrowed)
			map_close(&t->shard[i].map);
		mem_free(t->shard[i].path);
	}
	arena_clear(&t->own);
	mem_free(t->shard);
	mem_free(t->tensor);
	mem_free(t->meta);
	mem_free(t->path);
	mem_free(t);
}

/* What is sorted stays so: all begin alike. */
void
tensors_enter(struct tensors *t, const char *prefix)
{
	size_t n = strlen(prefix), kept = 0;

	for (size_t i = 0; i < t->n_tensors; i++) {
		if (strncmp(t->tensor[i].name, prefix, n) != 0)
			return;
	}
	for (size_t i = 0; i < t->n_tensors; i++)
		t->tensor[i].name += n;
	for (size_t i = 0; t->n_tensors > 0 && i < t->n_meta; i++) {
		if (strncmp(t->meta[i].name, prefix, n) != 0)
			continue;
		t->meta[kept] = t->meta[i];
		t->meta[kept++].name += n;
	}
	t->n_meta = t->n_tensors > 0 ? kept : t->n_meta;
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

size_t
tensors_n_meta(const struct tensors *t)
{
	return t->n_meta;
}

const struct tensor_meta *
tensors_meta_at(const struct tensors *t, size_t i)
{
	return i < t->n_meta ? &t->meta[i] : NULL;
}

const struct tensor_meta *
tensors_meta(const struct tensors *t, const char *name)
{
	struct tensor_meta key = {.name = name};

	if (t->n_meta == 0)
		return NULL;
	return bsearch(&key, t->meta, t->n_meta, sizeof(key), by_meta_name);
}

const char *
tensors_note(const struct tensors *t, const char *key)
{
	const struct js *notes = js_get(t->shard[0].header.root, "__metadata__");

	return js_str(js_get(notes, key), NULL);
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
