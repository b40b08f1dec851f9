/* SPDX-License-Identifier: ISC */
#include "store/store.h"

#include "store/inner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VERSION_FILE_BYTES 4096

int
store_path(char out[PATH_BYTES], const struct store *s, const char *name, struct err *e)
{
	return path_join(out, e, "%s/%s", s->dir, name);
}

int
object_path(char out[PATH_BYTES], const struct store *s, enum kind kind, const char *id,
	struct err *e)
{
	return path_join(out, e, "%s/%s/%s", s->dir, kind_name[kind], id);
}

void
graph_id(char out[OBJECT_ID_CHARS], const char *from_id, const char *to_id, uint32_t k)
{
	snprintf(out, OBJECT_ID_CHARS, "%.16s-%.16s-%u", from_id, to_id, k % 10000);
}

const char *
store_dir(const struct store *s)
{
	return s->dir;
}

int
store_need_write(const struct store *s, struct err *e)
{
	if (s->mode == STORE_READ)
		return err_set(e, ERR_DENIED, "%s: opened for reading only", s->dir);
	return 0;
}

/* ---- the version file ------------------------------------------------------ */

static int
version_row(struct db *db, const struct buf *text, const char *path, int64_t *version,
	struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s,
		"SELECT json_extract(?1,'$.version') WHERE CASE WHEN"
		" json_valid(?1) THEN json_extract(?1,'$.format')='saedb'"
		" AND json_type(?1,'$.version')='integer' END",
		e);

	if (rc != 0)
		return rc;
	stmt_text(s, 1, (const char *)text->data, text->n_bytes);
	rc = stmt_step(s, e);
	if (rc == 0)
		return err_set(e, ERR_FORMAT, "%s: not the version file of a store",
			path);
	if (rc == 1)
		*version = row_i64(s, 0);
	stmt_reset(s);
	return rc < 0 ? rc : 0;
}

/* Before anything else of a store is touched. */
static int
check_version(const struct store *s, struct err *e)
{
	char path[PATH_BYTES];
	struct db *db = NULL;
	struct buf text;
	int64_t version = 0;
	int rc = store_path(path, s, "saedb.json", e);

	buf_init(&text);
	if (rc == 0)
		rc = file_read(path, VERSION_FILE_BYTES, &text, e);
	if (rc == 0)
		rc = db_open(&db, ":memory:", DB_BUILD, e);
	if (rc == 0)
		rc = version_row(db, &text, path, &version, e);
	if (rc == 0 && version != STORE_VERSION)
		rc = err_set(e, ERR_VERSION,
			"%s: a store of version %" PRId64 ", and this saedb knows"
			" version %d: use the saedb that wrote it, or index again into"
			" another directory",
			s->dir, version, STORE_VERSION);
	db_close(db);
	buf_clear(&text);
	return rc;
}

static bool
has(const struct store *s, const char *name)
{
	char path[PATH_BYTES];

	return store_path(path, s, name, NULL) == 0 && file_exists(path);
}

/* A store, nothing (absent, or what an interrupted start left), or neither. */
static int
find_out(const struct store *s, bool *is_store, struct err *e)
{
	char **names = NULL;
	size_t n = 0;
	int rc = 0;

	*is_store = has(s, "saedb.json");
	if (*is_store)
		return 0;
	if (file_exists(s->dir) && !file_is_dir(s->dir))
		return err_set(e, ERR_FORMAT, "%s: not a directory", s->dir);
	if (!file_is_dir(s->dir)) {
		if (s->mode == STORE_CREATE)
			return 0;
		return err_set(e, ERR_NOTFOUND, "%s: no such directory", s->dir);
	}
	if (s->mode != STORE_CREATE)
		return err_set(e, ERR_FORMAT, "%s: not a store: it has no saedb.json",
			s->dir);
	rc = dir_list(s->dir, &names, &n, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (strncmp(names[i], "saedb.json", 10) != 0 &&
			strcmp(names[i], "writer.lock") != 0 &&
			strcmp(names[i], "lost+found") != 0)
			rc = err_set(e, ERR_FORMAT,
				"%s: neither empty nor a store: it has %.60s, and no"
				" saedb.json",
				s->dir, names[i]);
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	mem_free(names);
	return rc;
}

/* ---- making one ------------------------------------------------------------ */

/* A database made beside and renamed, so that it is there whole or not at all. */
static int
make_db(const struct store *s, const char *name,
	int (*fill)(struct db *db, struct err *e), struct err *e)
{
	char beside[PATH_BYTES], path[PATH_BYTES];
	struct db *db = NULL;
	int rc = path_join(beside, e, "%s/tmp/%s", s->dir, name);

	if (rc == 0)
		rc = store_path(path, s, name, e);
	if (rc == 0)
		rc = dir_remove(beside, e);
	if (rc == 0)
		rc = db_open(&db, beside, DB_MAKE, e);
	if (rc == 0)
		rc = fill(db, e);
	db_close(db);
	if (rc == 0)
		rc = file_sync(beside, e);
	return rc == 0 ? file_rename(beside, path, e) : rc;
}

static int
make_labels(struct db *db, struct err *e)
{
	int rc = db_begin(db, e);

	if (rc == 0)
		rc = db_exec(db, labels_schema, e);
	return rc == 0 ? db_commit(db, e) : rc;
}

static bool
dir_is_empty(const struct store *s, const char *name)
{
	char path[PATH_BYTES], **names;
	size_t n;

	if (store_path(path, s, name, NULL) != 0 ||
		dir_list(path, &names, &n, NULL) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	mem_free(names);
	return n == 0;
}

/* Whatever of an empty store is missing. A store that has objects is never given
 * an empty catalogue. The writer's lock is held. */
static int
make_rest(const struct store *s, struct err *e)
{
	static const char *const dirs[] = {"tmp", "cut", "sae", "run", "graph", "ann"};
	char path[PATH_BYTES];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		rc = store_path(path, s, dirs[i], e);
		if (rc == 0)
			rc = dir_make(path, e);
	}
	if (rc != 0 || has(s, "catalog.db"))
		return rc;
	for (int kind = 0; kind < KINDS; kind++)
		if (!dir_is_empty(s, kind_name[kind]))
			return err_set(e, ERR_CORRUPT,
				"%s/catalog.db: the file is missing", s->dir);
	/* whoever made the directory may not have come to that */
	rc = file_sync_parent(s->dir, e);
	if (rc == 0 && !has(s, "labels.db"))
		rc = make_db(s, "labels.db", make_labels, e);
	return rc == 0 ? make_db(s, "catalog.db", catalog_make, e) : rc;
}

static int
make_version(const struct store *s, struct err *e)
{
	char path[PATH_BYTES], text[64];
	int rc = store_path(path, s, "saedb.json", e);

	snprintf(text, sizeof(text), "{\"format\":\"saedb\",\"version\":%d}\n",
		STORE_VERSION);
	return rc == 0 ? file_write_atomic(path, text, strlen(text), e) : rc;
}

/* Locks for writing; makes what is not there yet. */
static int
prepare_write(struct store *s, bool is_store, struct err *e)
{
	char path[PATH_BYTES];
	int rc = dir_make(s->dir, e);

	if (rc == 0)
		rc = store_path(path, s, "writer.lock", e);
	if (rc == 0)
		rc = lock_take(&s->writer, path, e);
	if (rc == ERR_BUSY)
		return err_wrap(e, "%s: another program is writing to this store",
			s->dir);
	/* what another writer had got no further with than to do it: a commit, say, that
	 * we take for done */
	if (rc == 0)
		rc = file_sync(s->dir, e);
	if (rc == 0 && !is_store && !has(s, "saedb.json"))
		rc = make_version(s, e);
	if (rc == 0)
		rc = check_version(s, e);
	return rc == 0 ? make_rest(s, e) : rc;
}

/* ---- opening --------------------------------------------------------------- */

static int
must_have(const struct store *s, const char *name, struct err *e)
{
	if (has(s, name))
		return 0;
	return err_set(e, ERR_CORRUPT, "%s/%s: the file is missing", s->dir, name);
}

static int
open_all(struct store *s, struct err *e)
{
	char path[PATH_BYTES];
	bool is_store;
	int rc = find_out(s, &is_store, e);

	if (rc == 0 && is_store)
		rc = check_version(s, e);
	if (rc == 0 && s->mode != STORE_READ)
		rc = prepare_write(s, is_store, e);
	if (rc == 0)
		rc = must_have(s, "catalog.db", e);
	if (rc == 0)
		rc = must_have(s, "labels.db", e);
	if (rc == 0)
		rc = store_path(path, s, "catalog.db", e);
	if (rc == 0)
		rc = db_open(&s->catalog, path, DB_READ, e);
	if (rc == 0)
		rc = generation_open(&s->gen, s, e);
	if (rc == 0 && s->mode != STORE_READ)
		rc = pending_sweep(s, e);
	return rc;
}

int
store_open(struct store **out, const char *dir, enum store_mode mode, struct err *e)
{
	struct store *s = mem_new(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL || (s->dir = mem_strdup(dir)) == NULL) {
		mem_free(s);
		return err_set(e, ERR_NOMEM, "%s: no memory", dir);
	}
	s->mode = mode;
	s->writer.fd = s->labeller.fd = -1;
	rc = mutex_new(&s->lock, e);
	if (rc == 0)
		rc = mutex_new(&s->label_lock, e);
	if (rc == 0)
		rc = open_all(s, e);
	if (rc != 0) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	pending_leave(s);
	generation_unref(s, s->gen);
	db_close(s->catalog);
	db_close(s->labels);
	if (s->labeller.fd >= 0)
		lock_release(&s->labeller);
	if (s->writer.fd >= 0)
		lock_release(&s->writer);
	mutex_free(s->lock);
	mutex_free(s->label_lock);
	mem_free(s->inputs);
	mem_free(s->dir);
	mem_free(s);
}

bool
store_has_newer(struct store *s)
{
	uint64_t generation = 0;
	bool newer;

	mutex_lock(s->lock);
	newer = catalog_generation(s->catalog, &generation, NULL) == 0 &&
		generation != s->gen->catalog.generation;
	mutex_unlock(s->lock);
	return newer;
}

int
store_refresh_locked(struct store *s, struct err *e)
{
	struct generation *g;
	uint64_t generation;
	int rc = catalog_generation(s->catalog, &generation, e);

	if (rc != 0 || generation == s->gen->catalog.generation)
		return rc;
	rc = generation_open(&g, s, e);
	if (rc != 0)
		return rc;
	generation_unref(s, s->gen);
	s->gen = g;
	return 0;
}

int
store_refresh(struct store *s, struct err *e)
{
	int rc;

	mutex_lock(s->lock);
	rc = store_refresh_locked(s, e);
	mutex_unlock(s->lock);
	return rc;
}

int
store_catalog_write(struct store *s, struct db **db, struct err *e)
{
	char path[PATH_BYTES];
	int rc = store_need_write(s, e);

	*db = NULL;
	if (rc == 0)
		rc = store_path(path, s, "catalog.db", e);
	return rc == 0 ? db_open(db, path, DB_WRITE, e) : rc;
}
