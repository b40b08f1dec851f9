/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void (*publish_step)(const char *step);

/* For the tests, which end the program here. */
static void
step(const char *name)
{
	if (publish_step != NULL)
		publish_step(name);
}

/* Measures a finished object and moves it to its place. Until a catalogue names
 * it, what stands there is of an attempt that failed: it gives way. */
static int
move(struct store *s, struct db *db, struct pending *p, struct err *e)
{
	char to[PATH_BYTES];
	bool named;
	int rc = catalog_names(db, p->kind, p->id, &named, e);

	if (rc == 0 && named)
		rc = err_set(e, ERR_ARG, "the store has %s %s already",
			kind_name[p->kind], p->id);
	if (rc == 0)
		rc = object_path(to, s, p->kind, p->id, e);
	if (rc != 0 || p->state == PENDING_MOVED)
		return rc;
	if (p->state != PENDING_FINISHED)
		return err_set(e, ERR_INTERNAL, "%s %s is not finished",
			kind_name[p->kind], p->id);
	rc = dir_remove(to, e);
	step("removed");
	if (rc == 0)
		rc = file_rename(p->dir, to, e);
	if (rc != 0)
		return rc;
	step("moved");
	p->state = PENDING_MOVED;
	return 0;
}

static int
put_parts(struct store *s, struct db *db, const struct pending *p, struct err *e)
{
	char dir[PATH_BYTES];
	struct part *part;
	size_t n;
	int rc = object_path(dir, s, p->kind, p->id, e);

	if (rc == 0)
		rc = parts_scan(dir, &part, &n, e);
	if (rc != 0)
		return rc;
	rc = catalog_put_parts(db, p->kind, p->id, part, n, e);
	mem_free(part);
	return rc;
}

/* The pending object of that name, moved to its place and measured there. */
static int
bring(struct store *s, struct db *db, enum kind kind, const char *id, struct err *e)
{
	struct pending *p = pending_find(s, kind, id);
	int rc;

	if (p == NULL)
		return err_set(e, ERR_INTERNAL, "there is no pending %s %.40s",
			kind_name[kind], id);
	rc = move(s, db, p, e);
	return rc == 0 ? put_parts(s, db, p, e) : rc;
}

static int
put_graph(struct db *db, const char *from_id, const char *to_id, uint32_t k,
	struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s,
		"DELETE FROM file WHERE kind='graph' AND id IN (SELECT"
		" from_id||'-'||to_id||'-'||k FROM graph"
		" WHERE from_id=?1 AND to_id=?2 AND k<>?3)",
		e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, from_id);
	stmt_str(s, 2, to_id);
	stmt_i64(s, 3, k);
	rc = stmt_done(s, e);
	if (rc == 0)
		rc = db_prepare(db, &s, "INSERT OR REPLACE INTO graph VALUES(?,?,?)",
			e);
	if (rc != 0)
		return rc;
	stmt_str(s, 1, from_id);
	stmt_str(s, 2, to_id);
	stmt_i64(s, 3, k);
	return stmt_done(s, e);
}

/* An index of the same directions is nobody's from here on; gc removes it. */
static int
put_ann(struct store *s, struct db *db, const char *id, struct err *e)
{
	struct stmt *st;
	int rc = bring(s, db, KIND_ANN, id, e);

	if (rc == 0)
		rc = db_prepare(db, &st,
			"DELETE FROM file WHERE kind='ann' AND id<>?1"
			" AND substr(id,1,24)=substr(?1,1,24)",
			e);
	if (rc != 0)
		return rc;
	stmt_str(st, 1, id);
	return stmt_done(st, e);
}

static int
put_shared(struct store *s, struct db *db, const struct store_publish *p, struct err *e)
{
	char id[OBJECT_ID_CHARS];
	int rc = p->model != NULL ? catalog_put_model(db, p->model, e) : 0;

	if (rc == 0 && p->cut != NULL)
		rc = bring(s, db, KIND_CUT, p->cut->id, e);
	if (rc == 0 && p->cut != NULL)
		rc = catalog_put_cut(db, p->cut, e);
	for (uint32_t i = 0; rc == 0 && i < p->n_saes; i++) {
		rc = bring(s, db, KIND_SAE, p->sae[i].id, e);
		if (rc == 0)
			rc = catalog_put_sae(db, &p->sae[i], e);
	}
	for (uint32_t i = 0; rc == 0 && i < p->n_graphs; i++) {
		graph_id(id, p->graph[i].from_id, p->graph[i].to_id, p->graph[i].k);
		rc = bring(s, db, KIND_GRAPH, id, e);
		if (rc == 0)
			rc = put_graph(db, p->graph[i].from_id, p->graph[i].to_id,
				p->graph[i].k, e);
	}
	return rc == 0 && p->ann_id != NULL ? put_ann(s, db, p->ann_id, e) : rc;
}

static int
put_run(struct store *s, struct db *db, const struct store_publish *p, uint32_t *number,
	struct err *e)
{
	struct stmt *st;
	int rc = bring(s, db, KIND_RUN, p->run_id, e);

	if (rc == 0)
		rc = db_prepare(db, &st,
			"INSERT INTO run(id, model_id, cut_id, created_s,"
			" provenance) SELECT ?1,?2,?3,?4,?5"
			" WHERE json_valid(?5)",
			e);
	if (rc != 0)
		return rc;
	stmt_str(st, 1, p->run_id);
	stmt_str(st, 2, p->model != NULL ? p->model->id : "");
	stmt_str(st, 3, p->run_cut_id != NULL ? p->run_cut_id : p->cut->id);
	stmt_i64(st, 4, time(NULL));
	stmt_str(st, 5, p->provenance != NULL ? p->provenance : "{}");
	rc = stmt_done(st, e);
	if (rc == 0 && db_n_changed(db) != 1)
		rc = err_set(e, ERR_INTERNAL, "a run's provenance is no JSON");
	*number = (uint32_t)db_last_id(db);
	for (uint32_t i = 0; rc == 0 && i < p->n_run_saes; i++)
		rc = catalog_put_run_sae(db, *number, i, p->run_sae_id[i],
			&p->run_sae[i], e);
	return rc;
}

static void
published(struct store *s, enum kind kind, const char *id)
{
	struct pending *p = pending_find(s, kind, id);

	if (p != NULL && p->state == PENDING_MOVED)
		pending_drop(s, p);
}

/* What was pending is the catalogue's now. */
static void
forget(struct store *s, const struct store_publish *p)
{
	char id[OBJECT_ID_CHARS];

	if (p->cut != NULL)
		published(s, KIND_CUT, p->cut->id);
	for (uint32_t i = 0; i < p->n_saes; i++)
		published(s, KIND_SAE, p->sae[i].id);
	for (uint32_t i = 0; i < p->n_graphs; i++) {
		graph_id(id, p->graph[i].from_id, p->graph[i].to_id, p->graph[i].k);
		published(s, KIND_GRAPH, id);
	}
	if (p->ann_id != NULL)
		published(s, KIND_ANN, p->ann_id);
	if (p->run_id != NULL)
		published(s, KIND_RUN, p->run_id);
}

int
store_publish(struct store *s, const struct store_publish *p, uint32_t *number,
	struct err *e)
{
	struct db *db;
	int rc = store_catalog_write(s, &db, e);

	*number = 0;
	if (rc != 0)
		return rc;
	step("start");
	rc = db_begin(db, e);
	if (rc == 0)
		rc = put_shared(s, db, p, e);
	if (rc == 0 && p->run_id != NULL)
		rc = put_run(s, db, p, number, e);
	step("rows");
	if (rc == 0)
		rc = catalog_commit(db, e);
	else
		db_rollback(db);
	step("committed");
	db_close(db);
	if (rc != 0)
		return rc;
	forget(s, p);
	store_refresh(s, NULL); /* it is published whether or not we can see it */
	return 0;
}
