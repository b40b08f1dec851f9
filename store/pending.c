/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
	if (p->state != PENDING_MOVED) /* then nobody names it, or the catalogue does */
		dir_remove(p->dir, NULL);
	mem_free(p->dir);
	mem_free(p);
}

int
pending_new(struct pending **out, struct store *s, enum kind kind, const char *id,
	struct err *e)
{
	char dir[PATH_BYTES];
	struct pending *p = pending_find(s, kind, id);
	int rc = store_need_write(s, e);

	*out = NULL;
	if (rc == 0)
		rc = path_join(dir, e, "%s/tmp/%ld-%u", s->dir, (long)getpid(),
			s->n_pending++);
	if (rc != 0)
		return rc;
	if (p != NULL)
		pending_drop(s, p);
	p = mem_new(1, sizeof(*p));
	if (p == NULL || (p->dir = mem_strdup(dir)) == NULL) {
		mem_free(p);
		return err_set(e, ERR_NOMEM, "%s: no memory", dir);
	}
	p->kind = kind;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->next = s->pending;
	s->pending = p;
	rc = dir_make(dir, e);
	if (rc != 0) {
		pending_drop(s, p);
		return rc;
	}
	*out = p;
	return 0;
}

int
pending_finish(struct pending *p, struct err *e)
{
	int rc = dir_sync_tree(p->dir, e);

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
