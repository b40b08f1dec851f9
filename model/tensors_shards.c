/* SPDX-License-Identifier: ISC */
/*
 * Shards: the files that a Hugging Face index names, each in its directory.
 */
#include "model/tensors_int.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_MAX_BYTES (64u << 20)
#define INDEX_MAX_DEPTH 4
#define SHARDS_MAX 4096

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

/* Opens the shards that the index names, into t; with some those that are there. */
static int
shards_read(struct tensors *t, const char *dir, const struct js_doc *index, bool some,
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
		if (rc == 0 && (!some || file_exists(path)))
			rc = tensors_add_shard(t, path, e);
	}
	/* all paths first: tensors borrow them */
	for (size_t i = 0; rc == 0 && i < t->n_shards; i++) {
		rc = tensors_read_shard(t, &t->shard[i], e);
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

static bool
has_shard(const struct tensors *t, const char *file)
{
	for (size_t i = 0; i < t->n_shards; i++)
		if (strcmp(file_part(t->shard[i].path), file) == 0)
			return true;
	return false;
}

/* Keeps the tensors that the map gives to the file they stand in; each that
 * the map names must be there, if its file is. */
static int
map_apply(struct tensors *t, const struct js_doc *index, struct err *e)
{
	const struct js *map = js_get(index->root, "weight_map");
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < t->n_tensors; i++) {
		const char *file = js_str(js_get(map, t->tensor[i].name), NULL);

		if (file && strcmp(file, file_part(t->tensor[i].path)) == 0)
			t->tensor[n++] = t->tensor[i];
	}
	t->n_tensors = n;
	rc = tensors_sort(t, e);
	if (rc < 0)
		return rc;
	for (void *it = js_first(map); it; it = js_next(map, it)) {
		if (!tensors_find(t, js_key(it, NULL)) &&
			has_shard(t, js_str(js_value(it), NULL)))
			return err_set(e, ERR_MISMATCH,
				"%s: tensor %.200s is not in %s, where the index has "
				"it",
				index->name, js_key(it, NULL),
				js_str(js_value(it), NULL));
	}
	return 0;
}

static int
index_open(struct tensors **out, const char *dir, const char *path, bool some,
	struct err *e)
{
	struct js_doc index;
	struct tensors *t = NULL;
	int rc = js_open(&index, path, INDEX_MAX_BYTES, INDEX_MAX_DEPTH, e);

	if (rc < 0)
		return rc;
	if (js_type(js_get(index.root, "weight_map")) != JS_OBJECT) {
		rc = err_set(e, ERR_FORMAT, "%s: \"weight_map\" must be an object",
			path);
		goto out;
	}
	t = tensors_new(dir, e);
	rc = t ? shards_read(t, dir, &index, some, e) : ERR_NOMEM;
	if (rc == 0)
		rc = map_apply(t, &index, e);
out:
	js_close(&index);
	if (rc < 0 || (some && t->n_shards == 0))
		tensors_close(t);
	else
		*out = t;
	return rc;
}

static int
open_dir(struct tensors **out, const char *dir, bool some, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/model.safetensors", dir);

	if (rc < 0)
		return rc;
	if (file_exists(path))
		return tensors_open(out, path, e);
	rc = path_join(path, e, "%s/model.safetensors.index.json", dir);
	if (rc < 0)
		return rc;
	if (file_exists(path))
		return index_open(out, dir, path, some, e);
	rc = path_join(path, e, "%s/pytorch_model.bin", dir);
	if (rc < 0)
		return rc;
	if (file_exists(path))
		return tensors_open(out, path, e);
	rc = path_join(path, e, "%s/pytorch_model.bin.index.json", dir);
	if (rc < 0)
		return rc;
	if (file_exists(path))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: pickled shards are not read; convert the model to "
			"safetensors",
			path);
	return some ? 0
		    : err_set(e, ERR_NOTFOUND,
			      "%s: neither model.safetensors, nor "
			      "model.safetensors.index.json, nor pytorch_model.bin",
			      dir);
}

int
tensors_open_dir(struct tensors **out, const char *dir, struct err *e)
{
	struct err own = ERR_INIT;

	return open_dir(out, dir, false, e ? e : &own);
}

int
tensors_open_some(struct tensors **out, const char *dir, struct err *e)
{
	struct err own = ERR_INIT;

	*out = NULL;
	return open_dir(out, dir, true, e ? e : &own);
}
