/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <stdio.h>
#include <string.h>

struct pending *
pending_find(struct store *s, enum kind kind, const char *id)
{
	for (struct pending *p = s->pending; p != NULL; p = p->next)
		if (p->kind == kind && strcmp(p->id, id) == 0)
			return p;
	return NULL;
}

void
pending_drop(struct store *s, struct pending *p)
{
	struct pending **at = &s->pending;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	/* a moved one is not there: nobody names it, or the catalogue does */
	pending_clean(p->dir, NULL);
	mem_free(p->dir);
	mem_free(p);
}

void
pending_leave(struct store *s)
{
	while (s->pending != NULL) {
		struct pending *p = s->pending;

		if (!p->stays) {
			pending_drop(s, p);
			continue;
		}
		s->pending = p->next;
		mem_free(p->dir);
		mem_free(p);
	}
}

int
pending_add(struct pending **out, struct store *s, enum kind kind, const char *id,
	const char *dir, struct err *e)
{
	struct pending *p = mem_new(1, sizeof(*p));

	*out = NULL;
	if (p == NULL || (p->dir = mem_strdup(dir)) == NULL) {
		mem_free(p);
		return err_set(e, ERR_NOMEM, "%s: no memory", dir);
	}
	p->kind = kind;
	p->may_stay = s->inputs != NULL;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->next = s->pending;
	s->pending = p;
	*out = p;
	return 0;
}

int
pending_new(struct pending **out, struct store *s, enum kind kind, const char *id,
	const char *extra, struct err *e)
{
	char dir[PATH_BYTES];
	struct pending *p = pending_find(s, kind, id);
	int rc = store_need_write(s, e);

	*out = NULL;
	if (rc == 0)
		rc = pending_dir(dir, s, kind, id, extra, e);
	if (rc != 0)
		return rc;
	if (p != NULL)
		pending_drop(s, p);
	rc = pending_clean(dir, e);
	if (rc == 0)
		rc = pending_add(&p, s, kind, id, dir, e);
	if (rc != 0)
		return rc;
	rc = dir_make(dir, e);
	if (rc != 0) {
		pending_drop(s, p);
		return rc;
	}
	*out = p;
	return 0;
}

int
pending_finish(struct pending *p, const struct buf *info, struct err *e)
{
	int rc = dir_sync_tree(p->dir, e);

	if (rc == 0 && info != NULL)
		rc = pending_mark(p, info, e);
	if (rc == 0)
		p->state = PENDING_FINISHED;
	return rc;
}

int
pending_kv(struct kv **out, const struct pending *p, const char *sub,
	const struct kv_layout *layout, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/%s%s", p->dir, sub, layout->file);

	return rc == 0 ? kv_create(out, path, layout->names, layout->n_tables, e) : rc;
}

int
pending_db(struct db **out, const struct pending *p, const char *sub, const char *file,
	const char *schema, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/%s%s", p->dir, sub, file);

	*out = NULL;
	if (rc == 0)
		rc = db_open(out, path, DB_BUILD, e);
	if (rc == 0)
		rc = db_begin(*out, e);
	return rc == 0 ? db_exec(*out, schema, e) : rc;
}

int
pending_db_finish(struct db *db, const char *sql, struct err *e)
{
	int rc = db_exec(db, sql, e);

	return rc == 0 ? db_commit(db, e) : rc;
}
