/* SPDX-License-Identifier: ISC */
#include "store/ann_inner.h"
#include "store/inner.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

const char *const kind_name[KINDS] = {"cut", "sae", "run", "graph", "ann"};

const struct kv_layout layout_window = {"window.mdb", {"window"}, 1};
const struct kv_layout layout_image = {"image.mdb",
	{"image", "bytes", "hash", "patches"}, KV_IMAGE_TABLES};
const struct kv_layout layout_logits = {"logits.mdb", {"logits"}, 1};
const struct kv_layout layout_neighbors = {"neighbors.mdb", {"neighbors"}, 1};
const struct kv_layout layout_acts = {"acts.mdb", {"acts"}, 1};
const struct kv_layout layout_pairs = {"cooccurrence.mdb", {"cooccurrence"}, 1};
const struct kv_layout layout_feature = {"feature.mdb",
	{"feature", "examples", "postings", "token"}, KV_FEATURE_TABLES};

uint64_t
part_digest(const struct part *part, size_t n_parts)
{
	uint64_t digest = n_parts;

	for (size_t i = 0; i < n_parts; i++) {
		digest = hash64(part[i].name, strlen(part[i].name), digest);
		digest = hash_mix(digest, part[i].n_bytes, part[i].hash, i);
	}
	return digest;
}

int
object_new(struct object **out, enum kind kind, const char *id, const char *dir,
	struct part *part, size_t n_parts, struct err *e)
{
	struct object *o = mem_new(1, sizeof(*o));
	int rc;

	*out = NULL;
	if (o == NULL || strlen(id) >= sizeof(o->id) ||
		(o->dir = mem_strdup(dir)) == NULL) {
		mem_free(o);
		return err_set(e, ERR_NOMEM, "%s: no memory", dir);
	}
	rc = mutex_new(&o->lock, e);
	if (rc != 0) {
		mem_free(o->dir);
		mem_free(o);
		return rc;
	}
	o->kind = kind;
	strcpy(o->id, id);
	o->digest = part_digest(part, n_parts);
	o->part = part;
	o->n_parts = n_parts;
	*out = o;
	return 0;
}

void
object_free(struct object *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < o->n_parts; i++) {
		kv_close(o->part[i].kv);
		map_close(&o->part[i].map);
	}
	for (int i = 0; i < STORE_DIRECTIONS * STORE_METRICS; i++)
		ann_free(o->flat[i / STORE_METRICS][i % STORE_METRICS]);
	ann_loaded_free(o->loaded);
	counts_free(o->counts);
	mutex_free(o->lock);
	mem_free(o->part);
	mem_free(o->dir);
	mem_free(o);
}

int
part_path(char out[PATH_BYTES], const struct object *o, size_t i, struct err *e)
{
	return path_join(out, e, "%s/%s", o->dir, o->part[i].name);
}

int
object_measure(const struct object *o, struct err *e)
{
	char path[PATH_BYTES];
	uint64_t n_bytes;

	for (size_t i = 0; i < o->n_parts; i++) {
		int rc = part_path(path, o, i, e);

		if (rc == 0)
			rc = file_size(path, &n_bytes, e);
		if (rc == ERR_NOTFOUND)
			return err_set(e, ERR_CORRUPT, "%s: the file is missing", path);
		if (rc != 0)
			return rc;
		if (n_bytes != o->part[i].n_bytes)
			return err_set(e, ERR_CORRUPT,
				"%s: %llu bytes where there were %llu", path,
				(unsigned long long)n_bytes,
				(unsigned long long)o->part[i].n_bytes);
	}
	return 0;
}

int
object_part(const struct object *o, const char *name, size_t *i, struct err *e)
{
	size_t low = 0, high = o->n_parts;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(o->part[mid].name, name);

		if (order == 0) {
			*i = mid;
			return 0;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return err_set(e, ERR_CORRUPT, "%s/%s: the catalogue does not know the file",
		o->dir, name);
}

/* ---- opening, once, after a check ------------------------------------------ */

/* The lock is held. */
static int
check(struct part *part, const char *path, struct err *e)
{
	struct map m;
	int rc = map_open(&m, path, e);

	if (rc == ERR_NOTFOUND)
		return err_set(e, ERR_CORRUPT, "%s: the file is missing", path);
	if (rc != 0)
		return rc;
	if (m.n_bytes != part->n_bytes)
		rc = err_set(e, ERR_CORRUPT, "%s: %zu bytes where there were %llu",
			path, m.n_bytes, (unsigned long long)part->n_bytes);
	else if (part->n_bytes <= CHECK_WHOLE_BYTES &&
		hash64(m.data != NULL ? (const void *)m.data : "", m.n_bytes, 0) !=
			part->hash)
		rc = err_set(e, ERR_CORRUPT, "%s: the file does not match its checksum",
			path);
	map_close(&m);
	part->checked = rc == 0;
	part->hashed = rc == 0 && part->n_bytes <= CHECK_WHOLE_BYTES;
	return rc;
}

static int
check_locked(struct object *o, size_t i, char path[PATH_BYTES], struct err *e)
{
	int rc = part_path(path, o, i, e);

	if (rc == 0 && !o->part[i].checked)
		rc = check(&o->part[i], path, e);
	return rc;
}

int
object_check(struct object *o, size_t i, struct err *e)
{
	char path[PATH_BYTES];
	int rc;

	mutex_lock(o->lock);
	rc = check_locked(o, i, path, e);
	mutex_unlock(o->lock);
	return rc;
}

int
object_kv(struct object *o, size_t i, const struct kv_layout *layout, struct kv **kv,
	struct err *e)
{
	char path[PATH_BYTES];
	int rc = 0;

	mutex_lock(o->lock);
	if (o->part[i].kv == NULL) {
		rc = check_locked(o, i, path, e);
		if (rc == 0)
			rc = kv_open(&o->part[i].kv, path, layout->names,
				layout->n_tables, e);
	}
	*kv = o->part[i].kv;
	mutex_unlock(o->lock);
	return rc;
}

int
object_map(struct object *o, size_t i, const struct map **map, struct err *e)
{
	char path[PATH_BYTES];
	int rc = 0;

	mutex_lock(o->lock);
	if (o->part[i].map.data == NULL) {
		rc = check_locked(o, i, path, e);
		if (rc == 0)
			rc = map_open(&o->part[i].map, path, e);
	}
	*map = &o->part[i].map;
	mutex_unlock(o->lock);
	return rc;
}

int
object_map_whole(struct object *o, size_t i, const struct map **map, struct err *e)
{
	struct part *part = &o->part[i];
	int rc = object_map(o, i, map, e);

	if (rc != 0)
		return rc;
	mutex_lock(o->lock);
	if (!part->hashed)
		part->hashed =
			hash64(part->map.data, part->map.n_bytes, 0) == part->hash;
	if (!part->hashed)
		rc = err_set(e, ERR_CORRUPT,
			"%s/%s: the file does not match its checksum", o->dir,
			part->name);
	mutex_unlock(o->lock);
	return rc;
}

/* ---- measuring a finished directory ---------------------------------------- */

struct scan {
	const char *dir;
	struct part *part;
	size_t n_parts;
};

static int
scan_file(struct scan *s, const char *path, const char *name, struct err *e)
{
	struct part *more = mem_resize(s->part, s->n_parts + 1, sizeof(*more)), *p;
	struct map m;
	int rc;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory", path);
	s->part = more;
	if (strlen(name) >= PART_NAME_CHARS)
		return err_set(e, ERR_INTERNAL, "%s: the name is too long", path);
	rc = map_open(&m, path, e);
	if (rc != 0)
		return rc;
	p = &s->part[s->n_parts++];
	*p = (struct part){.n_bytes = m.n_bytes};
	strcpy(p->name, name);
	p->hash = hash64(m.data != NULL ? (const void *)m.data : "", m.n_bytes, 0);
	map_close(&m);
	return 0;
}

/* The files of dir/below, and of its directories: runs have one a slot. */
static int
scan_dir(struct scan *s, const char *below, int depth, struct err *e)
{
	char path[PATH_BYTES], name[PATH_BYTES], **names = NULL;
	size_t n = 0;
	int rc = path_join(path, e, "%s/%s", s->dir, below);

	if (rc == 0)
		rc = dir_list(path, &names, &n, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = path_join(name, e, "%s%s", below, names[i]);
		if (rc == 0)
			rc = path_join(path, e, "%s/%s", s->dir, name);
		if (rc == 0 && file_is_dir(path) && depth > 0) {
			rc = path_join(name, e, "%s%s/", below, names[i]);
			if (rc == 0)
				rc = scan_dir(s, name, depth - 1, e);
		} else if (rc == 0)
			rc = scan_file(s, path, name, e);
	}
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	mem_free(names);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

int
parts_scan(const char *dir, struct part **part, size_t *n_parts, struct err *e)
{
	struct scan s = {.dir = dir};
	int rc = scan_dir(&s, "", 1, e);

	if (rc != 0) {
		mem_free(s.part);
		return rc;
	}
	if (s.n_parts > 1)
		qsort(s.part, s.n_parts, sizeof(*s.part), by_name);
	*part = s.part;
	*n_parts = s.n_parts;
	return 0;
}
