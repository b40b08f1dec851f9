/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- taking out of the catalogue ------------------------------------------- */

static int
delete_run(struct db *db, uint32_t number, const char *id, struct err *e)
{
	static const char *const sql[] = {
		"DELETE FROM run_sae WHERE run=?1",
		"DELETE FROM run WHERE number=?1",
		"DELETE FROM file WHERE kind='run' AND id=?2 AND ?1=?1",
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(sql) / sizeof(sql[0]); i++) {
		struct stmt *s;

		rc = db_prepare(db, &s, sql[i], e);
		if (rc != 0)
			return rc;
		stmt_i64(s, 1, number);
		if (i == 2)
			stmt_str(s, 2, id);
		rc = stmt_done(s, e);
	}
	return rc;
}

int
store_remove_run(struct store *s, uint32_t number, struct err *e)
{
	const struct store_catalog *c = &s->gen->catalog;
	char id[STORE_ID_CHARS] = "", dir[PATH_BYTES];
	struct db *db;
	int rc;

	for (uint32_t i = 0; i < c->n_runs; i++)
		if (c->run[i].number == number)
			memcpy(id, c->run[i].id, sizeof(id));
	if (*id == '\0')
		return err_arg(e, ERR_NOTFOUND, "run", "there is no run %u", number);
	rc = store_catalog_write(s, &db, e);
	if (rc == 0)
		rc = db_begin(db, e);
	if (rc == 0)
		rc = delete_run(db, number, id, e);
	if (rc == 0)
		rc = catalog_commit(db, e);
	db_close(db);
	if (rc == 0)
		store_refresh(s, NULL);
	if (rc == 0)
		rc = object_path(dir, s, KIND_RUN, id, e);
	return rc == 0 ? dir_remove(dir, e) : rc;
}

int
store_rename_sae(struct store *s, const char *from, const char *to, struct err *e)
{
	const struct store_catalog *c = &s->gen->catalog;
	int64_t sae = cat_find_sae(c, from, strlen(from));
	struct stmt *st;
	struct db *db;
	int rc = cat_check_name(to, e);

	if (sae < 0)
		return err_arg(e, ERR_NOTFOUND, "sae", "there is no SAE %.100s", from);
	for (uint32_t i = 0; rc == 0 && i < c->n_saes; i++)
		if (i != sae && strcasecmp(c->sae[i].name, to) == 0)
			rc = err_arg(e, ERR_ARG, "name",
				"another SAE has the name %s already", c->sae[i].name);
	if (rc != 0)
		return rc;
	rc = store_catalog_write(s, &db, e);
	if (rc == 0)
		rc = db_begin(db, e);
	if (rc == 0)
		rc = db_prepare(db, &st, "UPDATE sae SET name=? WHERE id=?", e);
	if (rc == 0) {
		stmt_str(st, 1, to);
		stmt_str(st, 2, c->sae[sae].id);
		rc = stmt_done(st, e);
	}
	if (rc == 0)
		rc = catalog_commit(db, e);
	db_close(db);
	if (rc == 0)
		store_refresh(s, NULL);
	return rc;
}

static const char gc_sql[] =
	"DELETE FROM graph WHERE from_id NOT IN (SELECT sae_id FROM run_sae)"
	" OR to_id NOT IN (SELECT sae_id FROM run_sae);"
	"DELETE FROM sae WHERE id NOT IN (SELECT sae_id FROM run_sae);"
	"DELETE FROM cut WHERE id NOT IN (SELECT cut_id FROM run);"
	"DELETE FROM model WHERE id NOT IN (SELECT model_id FROM run)"
	" AND id NOT IN (SELECT model_id FROM sae);"
	"DELETE FROM file WHERE (kind='sae' AND id NOT IN (SELECT id FROM sae))"
	" OR (kind='ann' AND substr(id,1,16) NOT IN (SELECT id FROM sae))"
	" OR (kind='cut' AND id NOT IN (SELECT id FROM cut))"
	" OR (kind='run' AND id NOT IN (SELECT id FROM run))"
	" OR (kind='graph' AND id NOT IN"
	" (SELECT from_id||'-'||to_id||'-'||k FROM graph));";

/* Removes dir/NAME for each name that keep does not want. */
static int
sweep_dir(struct store *s, const char *dir,
	int (*keep)(struct store *s, const char *dir, const char *name, bool *keep,
		struct err *e),
	uint64_t *freed, struct err *e)
{
	char path[PATH_BYTES], **names = NULL;
	uint64_t n_bytes;
	size_t n = 0;
	bool stays;
	int rc = store_path(path, s, dir, e);

	if (rc == 0)
		rc = dir_list(path, &names, &n, e);
	for (size_t i = 0; i < n; i++) {
		stays = true;
		if (rc == 0)
			rc = keep(s, dir, names[i], &stays, e);
		if (rc == 0)
			rc = path_join(path, e, "%s/%s/%s", s->dir, dir, names[i]);
		if (rc == 0 && !stays) {
			rc = dir_size(path, &n_bytes, e);
			if (rc == 0)
				rc = dir_remove(path, e);
			if (rc == 0)
				*freed += n_bytes;
		}
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}

static int
keep_named(struct store *s, const char *dir, const char *name, bool *keep,
	struct err *e)
{
	for (int kind = 0; kind < KINDS; kind++) {
		int rc;

		if (strcmp(kind_name[kind], dir) != 0)
			continue;
		if (pending_find(s, (enum kind)kind, name) != NULL)
			return 0;
		mutex_lock(s->lock);
		rc = catalog_names(s->catalog, (enum kind)kind, name, keep, e);
		mutex_unlock(s->lock);
		return rc;
	}
	return 0;
}

static int
keep_pending(struct store *s, const char *dir, const char *name, bool *keep,
	struct err *e)
{
	(void)e;
	(void)dir;
	*keep = false;
	for (struct pending *p = s->pending; p != NULL; p = p->next) {
		const char *base = strrchr(p->dir, '/');

		if (base != NULL && strncmp(base + 1, name, strlen(base + 1)) == 0)
			*keep = true; /* or its mark */
	}
	return 0;
}

int
store_gc(struct store *s, uint64_t *freed_bytes, struct err *e)
{
	struct db *db;
	int rc = store_catalog_write(s, &db, e);

	*freed_bytes = 0;
	if (rc == 0)
		rc = db_begin(db, e);
	if (rc == 0)
		rc = db_exec(db, gc_sql, e);
	if (rc == 0)
		rc = catalog_commit(db, e);
	db_close(db);
	if (rc == 0)
		store_refresh(s, NULL);
	for (int kind = 0; rc == 0 && kind < KINDS; kind++)
		rc = sweep_dir(s, kind_name[kind], keep_named, freed_bytes, e);
	return rc == 0 ? sweep_dir(s, "tmp", keep_pending, freed_bytes, e) : rc;
}

/* ---- how much there is ----------------------------------------------------- */

struct usages {
	struct store_usage *list;
	size_t n;
};

static int
add_usage(struct usages *u, const struct store *s, const char *what, const char *id,
	const char *name, const char *file, struct err *e)
{
	struct store_usage *more = mem_resize(u->list, u->n + 1, sizeof(*more)), *x;
	char path[PATH_BYTES];
	int rc;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a list");
	u->list = more;
	x = &more[u->n];
	memset(x, 0, sizeof(*x));
	snprintf(x->what, sizeof(x->what), "%s", what);
	snprintf(x->id, sizeof(x->id), "%s", id);
	snprintf(x->name, sizeof(x->name), "%s", name);
	rc = store_path(path, s, file, e);
	if (rc == 0)
		rc = file_is_dir(path) ? dir_size(path, &x->n_bytes, e)
				       : file_size(path, &x->n_bytes, e);
	if (rc == 0)
		u->n++;
	return rc;
}

static int
add_object(struct usages *u, const struct store *s, enum kind kind, uint32_t i,
	struct err *e)
{
	const struct store_catalog *c = &s->gen->catalog;
	const char *id = s->gen->object[kind][i]->id;
	char name[LIMIT_NAME_BYTES * 2 + 8], file[64];

	if (kind == KIND_CUT)
		snprintf(name, sizeof(name), "%s", c->cut[i].name);
	else if (kind == KIND_SAE)
		snprintf(name, sizeof(name), "%s", c->sae[i].name);
	else if (kind == KIND_RUN)
		snprintf(name, sizeof(name), "run %u", c->run[i].number);
	else if (kind == KIND_ANN)
		snprintf(name, sizeof(name), "%s, %s", c->sae[c->ann[i].sae].name,
			c->ann[i].direction == STORE_ENCODER ? "encoder" : "decoder");
	else
		snprintf(name, sizeof(name), "%s to %s", c->sae[c->graph[i].from].name,
			c->sae[c->graph[i].to].name);
	name[LIMIT_NAME_BYTES - 1] = '\0';
	snprintf(file, sizeof(file), "%s/%s", kind_name[kind], id);
	return add_usage(u, s, kind_name[kind], id, name, file, e);
}

/* Sizes are as good as they can be: a writer may be at work there. */
static int
add_left_over(void *ctx, enum kind kind, const char *id, const char *dir,
	const char *mark, struct err *e)
{
	struct usages *u = ctx;
	struct store_usage *more = mem_resize(u->list, u->n + 1, sizeof(*more)), *x;
	uint64_t n_bytes = 0;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a list");
	u->list = more;
	x = &more[u->n++];
	memset(x, 0, sizeof(*x));
	strcpy(x->what, "resumable");
	snprintf(x->id, sizeof(x->id), "%s", id);
	snprintf(x->name, sizeof(x->name), "%s", kind_name[kind]);
	if (dir_size(dir, &n_bytes, NULL) == 0)
		x->n_bytes += n_bytes;
	if (dir_size(mark, &n_bytes, NULL) == 0)
		x->n_bytes += n_bytes;
	return 0;
}

int
store_resumable(struct store *s, struct store_usage **out, size_t *n_out, struct err *e)
{
	struct usages u = {0};
	int rc = pending_each(s, add_left_over, &u, e);

	if (rc != 0) {
		mem_free(u.list);
		return rc;
	}
	*out = u.list;
	*n_out = u.n;
	return 0;
}

/* What can be taken up, one by one, and the rest of tmp/. */
static int
add_tmp(struct usages *u, struct store *s, struct err *e)
{
	size_t first = u->n;
	uint64_t sum = 0;
	int rc = pending_each(s, add_left_over, u, e);

	for (size_t i = first; i < u->n; i++)
		sum += u->list[i].n_bytes;
	if (rc == 0)
		rc = add_usage(u, s, "tmp", "", "", "tmp", e);
	if (rc == 0) {
		struct store_usage *x = &u->list[u->n - 1];

		x->n_bytes -= sum < x->n_bytes ? sum : x->n_bytes;
	}
	return rc;
}

int
store_du(struct store *s, struct store_usage **out, size_t *n_out, struct err *e)
{
	struct usages u = {0};
	int rc = 0;

	for (int kind = 0; kind < KINDS; kind++)
		for (uint32_t i = 0; rc == 0 && i < s->gen->n_objects[kind]; i++)
			rc = add_object(&u, s, (enum kind)kind, i, e);
	if (rc == 0)
		rc = add_usage(&u, s, "labels", "", "", "labels.db", e);
	if (rc == 0)
		rc = add_usage(&u, s, "catalog", "", "", "catalog.db", e);
	if (rc == 0)
		rc = add_tmp(&u, s, e);
	if (rc != 0) {
		mem_free(u.list);
		return rc;
	}
	*out = u.list;
	*n_out = u.n;
	return 0;
}
