/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <stdio.h>
#include <string.h>

/* ---- life ------------------------------------------------------------------ */

void
view_free(struct store_view *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; v->handle != NULL && i < v->gen->n_handles; i++) {
		kv_view_close(v->handle[i].kv);
		db_close(v->handle[i].db);
	}
	db_close(v->labels);
	labelled_free(v->labelled);
	mem_free(v->handle);
	mem_free(v);
}

/* Views are kept with their generation when they close: what they have opened is
 * open for the next. */
int
store_view_open(struct store_view **out, struct store *s, struct err *e)
{
	struct store_view *v;
	struct generation *g;

	mutex_lock(s->lock);
	g = s->gen;
	g->n_refs++;
	v = g->idle;
	if (v != NULL)
		g->idle = v->next;
	mutex_unlock(s->lock);
	*out = v;
	if (v != NULL)
		return 0;
	v = mem_new(1, sizeof(*v));
	if (v != NULL)
		v->handle = mem_new(g->n_handles, sizeof(*v->handle));
	if (v == NULL || v->handle == NULL) {
		mem_free(v);
		mutex_lock(s->lock);
		generation_unref(s, g);
		mutex_unlock(s->lock);
		return err_set(e, ERR_NOMEM, "no memory for a view");
	}
	v->store = s;
	v->gen = g;
	*out = v;
	return 0;
}

void
store_view_close(struct store_view *v)
{
	struct store *s;

	if (v == NULL)
		return;
	s = v->store;
	mutex_lock(s->lock);
	v->next = v->gen->idle;
	v->gen->idle = v;
	generation_unref(s, v->gen);
	mutex_unlock(s->lock);
}

const struct store_catalog *
store_view_catalog(const struct store_view *v)
{
	return &v->gen->catalog;
}

/* ---- what a view may touch ------------------------------------------------- */

int
view_has_cut(const struct store_view *v, uint32_t cut, struct err *e)
{
	if (cut < v->gen->catalog.n_cuts)
		return 0;
	return err_arg(e, ERR_NOTFOUND, "cut", "there is no cut with index %u", cut);
}

int
view_has_sae(const struct store_view *v, uint32_t sae, struct err *e)
{
	if (sae < v->gen->catalog.n_saes)
		return 0;
	return err_arg(e, ERR_NOTFOUND, "sae", "there is no SAE with index %u", sae);
}

int
view_has_run(const struct store_view *v, uint32_t run, uint32_t slot, struct err *e)
{
	const struct store_catalog *c = &v->gen->catalog;

	if (run < c->n_runs && slot < c->run[run].n_saes)
		return 0;
	return err_arg(e, ERR_NOTFOUND, "run",
		"there is no run with index %u and slot %u", run, slot);
}

static bool
is_old(struct store_view *v)
{
	bool old;

	mutex_lock(v->store->lock);
	old = v->gen != v->store->gen;
	mutex_unlock(v->store->lock);
	return old || store_has_newer(v->store);
}

/* A file that is gone because its run or SAE was removed meanwhile is no damage. */
int
view_stale(struct store_view *v, int rc, struct err *e)
{
	if ((rc == ERR_CORRUPT || rc == ERR_IO) && is_old(v))
		return err_set(e, ERR_STALE,
			"the store has changed and generation %llu is gone; ask again",
			(unsigned long long)v->gen->catalog.generation);
	return rc;
}

/* The object, its part's number and the view's handle for a file. */
static int
find(struct store_view *v, enum kind kind, uint32_t i, const char *file, uint32_t slot,
	struct object **o, size_t *part, struct handle **h, struct err *e)
{
	char name[PART_NAME_CHARS];
	int rc;

	if (kind == KIND_RUN)
		snprintf(name, sizeof(name), "%02u/%s", slot, file);
	else
		snprintf(name, sizeof(name), "%s", file);
	*o = v->gen->object[kind][i];
	rc = object_part(*o, name, part, e);
	if (rc == 0)
		*h = &v->handle[v->gen->handle[kind][i] + *part];
	return rc;
}

int
view_kv(struct store_view *v, enum kind kind, uint32_t i,
	const struct kv_layout *layout, uint32_t slot, struct kv_view **kv,
	struct err *e)
{
	struct object *o;
	struct handle *h;
	struct kv *env;
	size_t part;
	int rc = find(v, kind, i, layout->file, slot, &o, &part, &h, e);

	*kv = NULL;
	if (rc == 0 && h->kv == NULL) {
		rc = object_kv(o, part, layout, &env, e);
		if (rc == 0)
			rc = kv_view_open(&h->kv, env, e);
	}
	if (rc != 0)
		return view_stale(v, rc, e);
	*kv = h->kv;
	return 0;
}

int
view_db(struct store_view *v, enum kind kind, uint32_t i, const char *file,
	uint32_t slot, struct db **db, struct err *e)
{
	char path[PATH_BYTES];
	struct object *o;
	struct handle *h;
	size_t part;
	int rc = find(v, kind, i, file, slot, &o, &part, &h, e);

	*db = NULL;
	if (rc == 0 && h->db == NULL) {
		rc = object_check(o, part, e);
		if (rc == 0)
			rc = part_path(path, o, part, e);
		if (rc == 0)
			rc = db_open(&h->db, path, DB_FROZEN, e);
		if (rc == 0 && kind == KIND_RUN) {
			rc = store_path(path, v->store, "labels.db", e);
			if (rc == 0)
				rc = db_attach(h->db, path, e);
			if (rc != 0) {
				db_close(h->db);
				h->db = NULL;
			}
		}
	}
	if (rc != 0)
		return view_stale(v, rc, e);
	*db = h->db;
	return 0;
}

int
view_cut_stmt(struct store_view *v, uint32_t cut, const char *sql, struct stmt **s,
	struct err *e)
{
	struct db *db;
	int rc = view_has_cut(v, cut, e);

	if (rc == 0)
		rc = view_db(v, KIND_CUT, cut, FILE_CUT_DB, 0, &db, e);
	return rc == 0 ? db_prepare(db, s, sql, e) : rc;
}

int
view_labels(struct store_view *v, struct db **db, struct err *e)
{
	char path[PATH_BYTES];
	int64_t version;
	int rc = 0;

	if (v->labels == NULL) {
		rc = store_path(path, v->store, "labels.db", e);
		if (rc == 0)
			rc = db_open(&v->labels, path, DB_READ, e);
		if (rc == 0)
			rc = db_version(v->labels, &version, e);
		if (rc == 0 && version != LABELS_DB_VERSION)
			rc = err_set(e, ERR_CORRUPT,
				"%s: no labels: version %lld where %d is", path,
				(long long)version, LABELS_DB_VERSION);
		if (rc != 0) {
			db_close(v->labels);
			v->labels = NULL;
		}
	}
	*db = v->labels;
	return rc;
}

/* ---- records by number ----------------------------------------------------- */

/* Which ids below the bound have a record. */
enum density { SOME, ALL, ALL_OR_NONE };

/* Where each table of the interface lies. */
static const struct {
	enum kind kind;
	const struct kv_layout *layout;
	size_t table;
	enum density density;
} tables[] = {
	[TABLE_WINDOW] = {KIND_CUT, &layout_window, KV_WINDOW, ALL},
	[TABLE_LOGITS] = {KIND_SAE, &layout_logits, KV_LOGITS, ALL_OR_NONE},
	[TABLE_FEATURE] = {KIND_RUN, &layout_feature, KV_FEATURE, ALL},
	[TABLE_EXAMPLES] = {KIND_RUN, &layout_feature, KV_EXAMPLES, SOME},
	[TABLE_POSTINGS] = {KIND_RUN, &layout_feature, KV_POSTINGS, SOME},
	[TABLE_TOKEN] = {KIND_RUN, &layout_feature, KV_TOKEN, SOME},
	[TABLE_PAIRS] = {KIND_RUN, &layout_pairs, KV_PAIRS, SOME},
	[TABLE_NEIGHBORS] = {KIND_GRAPH, &layout_neighbors, KV_NEIGHBORS, SOME},
};

static uint32_t
bound_of(const struct store_catalog *c, struct store_place place)
{
	return place.table == TABLE_WINDOW ? c->cut[place.a].n_windows
					   : c->sae[place.a].d_sae;
}

static int
check_place(const struct store_view *v, struct store_place place, struct err *e)
{
	if ((size_t)place.table >= sizeof(tables) / sizeof(tables[0]))
		return err_set(e, ERR_INTERNAL, "there is no table %d",
			(int)place.table);
	if (tables[place.table].kind == KIND_RUN)
		return view_has_run(v, place.a, place.b, e);
	if (place.a < v->gen->n_objects[tables[place.table].kind])
		return 0;
	return err_set(e, ERR_NOTFOUND, "there is no %s with index %u",
		kind_name[tables[place.table].kind], place.a);
}

/* 1 where this id, which has no record, must have one. */
static int
is_lost(struct store_view *v, struct store_place place, struct kv_view *kv, uint32_t id,
	struct arena *arena, struct err *e)
{
	enum density density = tables[place.table].density;
	struct kv_value x;
	uint32_t bound;

	if (density == SOME)
		return 0;
	if (place.table == TABLE_FEATURE)
		return cat_sought(&v->gen->catalog.run[place.a].sae[place.b], id);
	bound = bound_of(&v->gen->catalog, place);
	if (density == ALL || id >= bound)
		return id < bound;
	return kv_get(kv, tables[place.table].table, id > 0 ? 0 : bound - 1, &x, arena,
		e);
}

int
store_has(struct store_view *v, struct store_place place, bool *has, struct err *e)
{
	const struct object *o;
	char name[PART_NAME_CHARS];
	int rc = check_place(v, place, e);

	*has = false;
	if (rc != 0)
		return rc;
	o = v->gen->object[tables[place.table].kind][place.a];
	if (tables[place.table].kind == KIND_RUN)
		snprintf(name, sizeof(name), "%02u/%s", place.b,
			tables[place.table].layout->file);
	else
		snprintf(name, sizeof(name), "%s", tables[place.table].layout->file);
	for (size_t i = 0; i < o->n_parts; i++)
		*has |= strcmp(o->part[i].name, name) == 0;
	return 0;
}

int
store_mget(struct store_view *v, struct store_place place, const uint32_t *ids,
	size_t n, struct store_value *out, struct arena *arena, struct err *e)
{
	struct kv_view *kv;
	struct kv_value x;
	int rc = check_place(v, place, e);

	if (rc == 0)
		rc = view_kv(v, tables[place.table].kind, place.a,
			tables[place.table].layout, place.b, &kv, e);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		rc = kv_get(kv, tables[place.table].table, ids[i], &x, arena, e);
		if (rc < 0)
			return rc;
		out[i] = (struct store_value){rc == 1 ? x.p : NULL, x.n_bytes};
		rc = rc == 0 ? is_lost(v, place, kv, ids[i], arena, e) : 0;
		if (rc < 0)
			return rc;
		if (rc == 1)
			return err_set(e, ERR_CORRUPT, "%s/%s: table %zu lacks key %u",
				v->gen->object[tables[place.table].kind][place.a]->dir,
				tables[place.table].layout->file,
				tables[place.table].table, ids[i]);
	}
	return 0;
}

static int
window_tokens(struct store_view *v, uint32_t cut, uint32_t window, uint32_t *n_tokens,
	struct err *e)
{
	struct store_place place = {TABLE_WINDOW, cut, 0};
	struct store_value x;
	struct arena none;
	struct cur c;
	int rc;

	arena_init(&none, 0);
	rc = store_mget(v, place, &window, 1, &x, &none, e);
	if (rc == 0 && x.p == NULL)
		rc = err_arg(e, ERR_NOTFOUND, "window", "there is no window %u",
			window);
	if (rc == 0) {
		c = cur_of(x.p, x.n_bytes);
		*n_tokens = (uint32_t)cur_varint(&c); /* the record's first word */
	}
	arena_clear(&none);
	return rc;
}

int
store_acts(struct store_view *v, uint32_t run, uint32_t slot, uint32_t window,
	uint32_t first, uint32_t n, struct rec_acts *out, struct arena *arena,
	struct err *e)
{
	struct kv_view *kv;
	uint32_t n_tokens;
	int rc = view_has_run(v, run, slot, e);

	if (rc == 0)
		rc = window_tokens(v, v->gen->catalog.run[run].cut, window, &n_tokens,
			e);
	if (rc == 0 && (first > n_tokens || n > n_tokens - first))
		rc = err_arg(e, ERR_ARG, "first",
			"window %u has %u tokens; asked for %u from %u on", window,
			n_tokens, n, first);
	if (rc == 0)
		rc = view_kv(v, KIND_RUN, run, &layout_acts, slot, &kv, e);
	if (rc == 0 && n_tokens > 0 &&
		v->gen->catalog.run[run].sae[slot].n_active > 0) {
		rc = acts_gather(kv, window, first, n, out, arena, e);
		return rc == ERR_CORRUPT
			? err_wrap(e, "%s/%02u/%s", v->gen->object[KIND_RUN][run]->dir,
				  slot, layout_acts.file)
			: rc;
	}
	return rc == 0 ? acts_none(first, n, out, arena, e) : rc;
}

int
store_acts_all(struct store_view *v, uint32_t run, uint32_t slot, uint32_t window,
	struct rec_acts *out, struct arena *arena, struct err *e)
{
	struct kv_view *kv;
	int rc = view_has_run(v, run, slot, e);

	if (rc == 0)
		rc = view_kv(v, KIND_RUN, run, &layout_acts, slot, &kv, e);
	if (rc != 0)
		return rc;
	rc = acts_gather(kv, window, 0, UINT32_MAX, out, arena, e);
	return rc == ERR_CORRUPT
		? err_wrap(e, "%s/%02u/%s", v->gen->object[KIND_RUN][run]->dir, slot,
			  layout_acts.file)
		: rc;
}
