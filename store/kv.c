/* SPDX-License-Identifier: ISC */
#include "store/kv.h"

#include "schema/limits.h"
#include "store/disk.h"
#include "store/kv_value.h"
#include "util/file.h"
#include "util/paged.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdbool.h>
#include <string.h>

#define COMMIT_BYTES ((size_t)16 << 20) /* put between commits */
#define MAP_BYTES ((size_t)256 << 20) /* at first */
#define PAGE_BYTES ((size_t)4096)

struct kv {
	char *path;
	MDB_env *env;
	MDB_txn *txn; /* of the writer */
	MDB_dbi dbi[KV_TABLES];
	uint64_t n_entries[KV_TABLES];
	size_t n_tables;
	const void *map; /* NULL before it is open, or where nobody watches */
	size_t map_bytes, put_bytes;
	bool finished;
	bool failed;
	/* of a resumed file: what it had, up to here, is put again and compared */
	uint8_t last[KV_TABLES][KV_KEY_BYTES];
	bool has_last[KV_TABLES];
};

struct kv_view {
	struct kv *kv;
	MDB_txn *txn;
};

/* ---- errors ---------------------------------------------------------------- */

/* After an error in writing nothing more is asked of the environment: LMDB's, when a
 * meta page could not be written, answers with errors for ever, and a sync that failed
 * says nothing the second time. It is closed, and kv_resume() opens another. */
static int
fail(struct kv *kv, int rc, const char *what, struct err *e)
{
	int code = ERR_IO;

	if (!kv->finished)
		kv->failed = true;
	if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == MDB_MAP_FULL ||
		/* what LMDB makes of a short write */
		(rc == EIO && disk_is_full(kv->path)))
		code = ERR_FULL;
	else if (rc == ENOMEM)
		code = ERR_NOMEM;
	else if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
		rc == MDB_VERSION_MISMATCH || rc == MDB_INCOMPATIBLE ||
		rc == MDB_NOTFOUND || rc == MDB_PANIC || rc == ENOENT)
		code = ERR_CORRUPT;
	else if (rc == MDB_KEYEXIST)
		code = ERR_INTERNAL;
	return err_set(e, code, "%s: %s: %s", kv->path, what,
		rc == MDB_KEYEXIST ? "keys do not ascend"
				   : mdb_strerror(code == ERR_FULL ? ENOSPC : rc));
}

int
kv_corrupt(const struct kv_view *v, size_t table, uint32_t id, uint32_t part,
	const char *why, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s: table %zu, key %u.%u: %s", v->kv->path,
		table, id, part, why);
}

/* ---- writing --------------------------------------------------------------- */

static struct kv *
kv_new(const char *path, size_t n_tables)
{
	struct kv *kv = mem_new(1, sizeof(*kv));

	assert(n_tables <= KV_TABLES);
	if (kv == NULL)
		return NULL;
	kv->n_tables = n_tables;
	kv->path = mem_strdup(path);
	if (kv->path == NULL) {
		mem_free(kv);
		return NULL;
	}
	return kv;
}

/* LMDB reads its map and writes by other ways. */
static int
watch_map(struct kv *kv, struct err *e)
{
	int fd, rc = mdb_env_get_fd(kv->env, &fd);

	return rc == 0 ? paged_map_file(fd, &kv->map, e) : fail(kv, rc, "open", e);
}

static int
env_open(struct kv *kv, size_t map_bytes, unsigned flags, struct err *e)
{
	int rc = mdb_env_create(&kv->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(kv->env, KV_TABLES);
	if (rc == 0)
		rc = mdb_env_set_mapsize(kv->env, map_bytes);
	if (rc == 0)
		rc = mdb_env_open(kv->env, kv->path, flags | MDB_NOSUBDIR | MDB_NOLOCK,
			0644);
	kv->map_bytes = map_bytes;
	return rc == 0 ? watch_map(kv, e) : fail(kv, rc, "open", e);
}

static int
tables_make(struct kv *kv, const char *const *names, struct err *e)
{
	int rc = mdb_txn_begin(kv->env, NULL, 0, &kv->txn);

	for (size_t i = 0; rc == 0 && i < kv->n_tables; i++)
		rc = mdb_dbi_open(kv->txn, names[i], MDB_CREATE, &kv->dbi[i]);
	return rc == 0 ? 0 : fail(kv, rc, "create", e);
}

int
kv_create(struct kv **out, const char *path, const char *const *names, size_t n_tables,
	struct err *e)
{
	struct kv *kv = kv_new(path, n_tables);
	int rc;

	*out = NULL;
	if (kv == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory", path);
	/* not before kv_sync() or kv_finish(): what has no mark is swept after a crash */
	rc = env_open(kv, MAP_BYTES, MDB_NOSYNC, e);
	if (rc == 0)
		rc = tables_make(kv, names, e);
	if (rc != 0) {
		kv_close(kv);
		return rc;
	}
	*out = kv;
	return 0;
}

/* Commits what was put and makes sure that as much fits again: the map never
 * fills up inside a transaction. */
static int
commit(struct kv *kv, struct err *e)
{
	MDB_envinfo info;
	int rc = mdb_txn_commit(kv->txn);

	kv->txn = NULL;
	kv->put_bytes = 0;
	if (rc == 0)
		rc = mdb_env_info(kv->env, &info);
	if (rc == 0 && (info.me_last_pgno + 1) * PAGE_BYTES > kv->map_bytes / 2) {
		kv->map_bytes *= 2;
		paged_unmap(kv->map);
		rc = mdb_env_set_mapsize(kv->env, kv->map_bytes);
		if (rc == 0)
			return watch_map(kv, e);
	}
	return rc == 0 ? 0 : fail(kv, rc, "write", e);
}

/* What is there must be what is put; headers tell: they have lengths and sums. */
static int
compare(struct kv *kv, size_t table, MDB_val *k, const uint8_t *header, struct err *e)
{
	MDB_val x;
	int rc = mdb_get(kv->txn, kv->dbi[table], k, &x);

	if (rc != 0 && rc != MDB_NOTFOUND)
		return fail(kv, rc, "read", e);
	if (rc == 0 && memcmp(x.mv_data, header, KV_HEADER_BYTES) == 0)
		return 0;
	return err_set(e, ERR_CORRUPT,
		"%s: holds other values than those computed now, after an "
		"interruption; saedb-index gc removes it",
		kv->path);
}

static int
put_one(struct kv *kv, size_t table, uint32_t id, uint32_t part, unsigned flags,
	uint32_t n_parts, const void *p, size_t n_bytes, struct err *e)
{
	uint8_t key[KV_KEY_BYTES], header[KV_HEADER_BYTES];
	MDB_val k = {KV_KEY_BYTES, key}, x = {KV_HEADER_BYTES + n_bytes, NULL};
	int rc = kv->failed ? fail(kv, EIO, "write", e) : 0;

	assert(table < kv->n_tables && !kv->finished);
	if (rc == 0 && kv->put_bytes > COMMIT_BYTES)
		rc = commit(kv, e);
	if (rc != 0)
		return rc;
	if (kv->txn == NULL)
		rc = mdb_txn_begin(kv->env, NULL, 0, &kv->txn);
	kv_key(key, id, part);
	kv_header(header, table, key, flags, n_parts, p, n_bytes);
	if (rc == 0 && kv->has_last[table] &&
		memcmp(key, kv->last[table], KV_KEY_BYTES) <= 0)
		return compare(kv, table, &k, header, e);
	if (rc == 0)
		rc = mdb_put(kv->txn, kv->dbi[table], &k, &x, MDB_APPEND | MDB_RESERVE);
	if (rc != 0)
		return fail(kv, rc, "write", e);
	memcpy(x.mv_data, header, KV_HEADER_BYTES);
	if (n_bytes > 0)
		memcpy((uint8_t *)x.mv_data + KV_HEADER_BYTES, p, n_bytes);
	kv->put_bytes += n_bytes + PAGE_BYTES / 8;
	return 0;
}

int
kv_put(struct kv *kv, size_t table, uint32_t id, const void *p, size_t n_bytes,
	struct err *e)
{
	size_t n_parts = n_bytes == 0 ? 1 : (n_bytes - 1) / LIMIT_CHUNK_BYTES + 1;

	if (n_parts > UINT16_MAX)
		return err_set(e, ERR_LIMIT, "%s: the value of %u has %zu bytes",
			kv->path, id, n_bytes);
	for (size_t i = 0; i < n_parts; i++) {
		size_t from = i * LIMIT_CHUNK_BYTES, n = n_bytes - from;
		int rc;

		if (n > LIMIT_CHUNK_BYTES)
			n = LIMIT_CHUNK_BYTES;
		rc = put_one(kv, table, id, (uint32_t)i, 0, (uint32_t)n_parts,
			(const uint8_t *)p + from, n, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
kv_put_part(struct kv *kv, size_t table, uint32_t id, uint16_t part, const void *p,
	size_t n_bytes, struct err *e)
{
	if (n_bytes > UINT32_MAX)
		return err_set(e, ERR_LIMIT, "%s: the value of %u.%u has %zu bytes",
			kv->path, id, part, n_bytes);
	return put_one(kv, table, id, part, KV_SERIES, 1, p, n_bytes, e);
}

int
kv_sync(struct kv *kv, struct err *e)
{
	int rc = kv->failed ? EIO : mdb_env_set_flags(kv->env, MDB_NOSYNC, 0), code = 0;

	assert(!kv->finished);
	if (rc == 0 && kv->txn != NULL)
		code = commit(kv, e);
	if (rc == 0 && code == 0)
		rc = mdb_env_sync(kv->env, 1);
	return rc == 0 ? code : fail(kv, rc, "sync", e);
}

int
kv_finish(struct kv *kv, struct err *e)
{
	int rc = kv_sync(kv, e);

	kv->finished = rc == 0;
	return rc;
}

/* ---- reading --------------------------------------------------------------- */

/* Reading past the end of the file is a signal. */
static int
has_pages(struct kv *kv, uint64_t n_bytes, struct err *e)
{
	MDB_envinfo info;
	MDB_stat st;
	int rc = mdb_env_info(kv->env, &info);

	if (rc == 0)
		rc = mdb_env_stat(kv->env, &st);
	if (rc != 0)
		return fail(kv, rc, "open", e);
	if (info.me_last_pgno >= n_bytes / st.ms_psize)
		return err_set(e, ERR_CORRUPT, "%s: cut short: %llu bytes", kv->path,
			(unsigned long long)n_bytes);
	return 0;
}

static int
tables_open(struct kv *kv, const char *const *names, struct err *e)
{
	MDB_txn *txn = NULL;
	MDB_stat st;
	int rc;

	rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn);
	for (size_t i = 0; rc == 0 && i < kv->n_tables; i++) {
		rc = mdb_dbi_open(txn, names[i], 0, &kv->dbi[i]);
		if (rc == 0)
			rc = mdb_stat(txn, kv->dbi[i], &st);
		if (rc == 0)
			kv->n_entries[i] = st.ms_entries;
	}
	if (rc == 0)
		rc = mdb_txn_commit(txn); /* keeps the handles */
	else if (txn != NULL)
		mdb_txn_abort(txn);
	return rc == 0 ? 0 : fail(kv, rc, "tables", e);
}

/* Of a file that is there. */
static int
kv_of(struct kv **out, const char *path, size_t n_tables, uint64_t *n_bytes,
	struct err *e)
{
	int rc = file_size(path, n_bytes, e);

	*out = NULL;
	if (rc != 0)
		return rc;
	if (*n_bytes < 2 * PAGE_BYTES)
		return err_set(e, ERR_CORRUPT, "%s: cut short: %llu bytes", path,
			(unsigned long long)*n_bytes);
	*out = kv_new(path, n_tables);
	return *out != NULL ? 0 : err_set(e, ERR_NOMEM, "%s: no memory", path);
}

int
kv_open(struct kv **out, const char *path, const char *const *names, size_t n_tables,
	struct err *e)
{
	struct kv *kv;
	uint64_t n_bytes;
	int rc = kv_of(&kv, path, n_tables, &n_bytes, e);

	*out = NULL;
	if (rc == 0)
		rc = env_open(kv, n_bytes, MDB_RDONLY | MDB_NOTLS | MDB_NORDAHEAD, e);
	if (rc == 0)
		rc = has_pages(kv, n_bytes, e);
	if (rc == 0)
		rc = tables_open(kv, names, e);
	if (rc != 0) {
		kv_close(kv);
		return rc;
	}
	kv->finished = true;
	*out = kv;
	return 0;
}

void
kv_close(struct kv *kv)
{
	if (kv == NULL)
		return;
	if (kv->txn != NULL)
		mdb_txn_abort(kv->txn);
	paged_unmap(kv->map);
	if (kv->env != NULL)
		mdb_env_close(kv->env);
	mem_free(kv->path);
	mem_free(kv);
}

int
kv_view_open(struct kv_view **out, struct kv *kv, struct err *e)
{
	struct kv_view *v = mem_new(1, sizeof(*v));
	int rc;

	*out = NULL;
	if (v == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory", kv->path);
	v->kv = kv;
	rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &v->txn);
	if (rc != 0) {
		mem_free(v);
		return fail(kv, rc, "read", e);
	}
	*out = v;
	return 0;
}

void
kv_view_close(struct kv_view *v)
{
	if (v == NULL)
		return;
	mdb_txn_abort(v->txn);
	mem_free(v);
}

/* Takes the header off x; the payload and n_parts, or ERR_CORRUPT. */
static int
check(const struct kv_view *v, size_t table, const uint8_t key[KV_KEY_BYTES], MDB_val x,
	unsigned flags, struct kv_value *out, uint32_t *n_parts, struct err *e)
{
	const char *why =
		kv_value_check(table, key, x.mv_data, x.mv_size, flags, out, n_parts);

	return why == NULL
		? 0
		: kv_corrupt(v, table, kv_key_id(key), kv_key_part(key), why, e);
}

int
kv_get_part(struct kv_view *v, size_t table, uint32_t id, uint32_t part,
	struct kv_value *out, uint32_t *n_parts, struct err *e)
{
	uint8_t key[KV_KEY_BYTES];
	MDB_val k = {KV_KEY_BYTES, key}, x;
	int rc;

	assert(table < v->kv->n_tables);
	paged_touched(1);
	kv_key(key, id, part);
	rc = mdb_get(v->txn, v->kv->dbi[table], &k, &x);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(v->kv, rc, "read", e);
	rc = check(v, table, key, x, 0, out, n_parts, e);
	return rc == 0 ? 1 : rc;
}

static bool
key_has_id(MDB_val k, uint32_t id)
{
	return k.mv_size == KV_KEY_BYTES && kv_key_id(k.mv_data) == id;
}

/* The last key of id at or before part, else the first one after. */
static int
seek(MDB_cursor *c, uint32_t id, uint16_t part, MDB_val *k, MDB_val *x)
{
	uint8_t key[KV_KEY_BYTES];
	int rc;

	kv_key(key, id, part);
	*k = (MDB_val){KV_KEY_BYTES, key};
	rc = mdb_cursor_get(c, k, x, MDB_SET_RANGE);
	if (rc == 0 && k->mv_size == KV_KEY_BYTES &&
		memcmp(k->mv_data, key, KV_KEY_BYTES) == 0)
		return 0;
	if (rc == 0 || rc == MDB_NOTFOUND) {
		rc = mdb_cursor_get(c, k, x, rc == 0 ? MDB_PREV : MDB_LAST);
		if (rc == 0 && !key_has_id(*k, id))
			rc = mdb_cursor_get(c, k, x, MDB_NEXT);
		else if (rc == MDB_NOTFOUND)
			rc = mdb_cursor_get(c, k, x, MDB_FIRST);
	}
	return rc;
}

int
kv_each(struct kv_view *v, size_t table, uint32_t id, uint16_t part,
	int (*fn)(void *ctx, uint16_t part, struct kv_value x, struct err *e),
	void *ctx, struct err *e)
{
	MDB_cursor *c;
	MDB_val k, x;
	int rc = mdb_cursor_open(v->txn, v->kv->dbi[table], &c), got = 0;

	assert(table < v->kv->n_tables);
	if (rc != 0)
		return fail(v->kv, rc, "read", e);
	for (rc = seek(c, id, part, &k, &x); rc == 0 && key_has_id(k, id);
		rc = mdb_cursor_get(c, &k, &x, MDB_NEXT)) {
		const uint8_t *key = k.mv_data;
		struct kv_value value;
		uint32_t n_parts;

		paged_touched(1);
		got = check(v, table, key, x, KV_SERIES, &value, &n_parts, e);
		if (got == 0)
			got = fn(ctx, kv_key_part(key), value, e);
		if (got != 0)
			break;
	}
	mdb_cursor_close(c);
	if (got < 0)
		return got;
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : fail(v->kv, rc, "read", e);
}

uint64_t
kv_entries(const struct kv_view *v, size_t table)
{
	assert(table < v->kv->n_tables);
	return v->kv->n_entries[table];
}

/* One value of a file that is to be gone on with; ids have no gap. */
static int
walk_one(struct kv_view *v, size_t table, MDB_val k, MDB_val x, uint32_t *n_ids,
	struct err *e)
{
	struct kv_value value;
	uint32_t id, n_parts;

	if (k.mv_size != KV_KEY_BYTES)
		return kv_corrupt(v, table, *n_ids, 0, "a key of another length", e);
	id = kv_key_id(k.mv_data);
	if (id == UINT32_MAX || (id != *n_ids && id + 1 != *n_ids) ||
		(v->kv->has_last[table] &&
			memcmp(k.mv_data, v->kv->last[table], KV_KEY_BYTES) <= 0))
		return kv_corrupt(v, table, id, 0, "the value before it is missing", e);
	*n_ids = id + 1;
	memcpy(v->kv->last[table], k.mv_data, KV_KEY_BYTES);
	v->kv->has_last[table] = true;
	return check(v, table, k.mv_data, x, KV_SERIES, &value, &n_parts, e);
}

static int
walk(struct kv *kv, size_t table, uint32_t least_ids, struct err *e)
{
	struct kv_view v = {kv, kv->txn};
	MDB_cursor *c;
	MDB_val k, x;
	uint32_t n_ids = 0;
	int rc = mdb_cursor_open(kv->txn, kv->dbi[table], &c), code = 0;

	if (rc != 0)
		return fail(kv, rc, "read", e);
	while (code == 0 && (rc = mdb_cursor_get(c, &k, &x, MDB_NEXT)) == 0)
		code = walk_one(&v, table, k, x, &n_ids, e);
	mdb_cursor_close(c);
	if (code == 0 && rc != MDB_NOTFOUND)
		code = fail(kv, rc, "read", e);
	if (code == 0 && n_ids < least_ids)
		code = err_set(e, ERR_CORRUPT, "%s: it ends before id %u", kv->path,
			least_ids - 1);
	return code;
}

int
kv_resume(struct kv **out, const char *path, const char *const *names, size_t n_tables,
	uint32_t least_ids, struct err *e)
{
	size_t map_bytes = MAP_BYTES;
	struct kv *kv;
	uint64_t n_bytes;
	int rc = kv_of(&kv, path, n_tables, &n_bytes, e);

	*out = NULL;
	while (rc == 0 && map_bytes / 2 < n_bytes)
		map_bytes *= 2;
	if (rc == 0)
		rc = env_open(kv, map_bytes, 0, e);
	if (rc == 0)
		rc = has_pages(kv, n_bytes, e);
	if (rc == 0)
		rc = tables_make(kv, names, e);
	for (size_t i = 0; rc == 0 && i < n_tables; i++)
		rc = walk(kv, i, least_ids, e);
	if (rc != 0) {
		kv_close(kv);
		return rc;
	}
	*out = kv;
	return 0;
}
