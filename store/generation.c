/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <string.h>

static void
object_unref(struct store *s, struct object *o)
{
	struct object **at = &s->objects;

	if (o == NULL || --o->n_refs > 0)
		return;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	object_free(o);
}

static struct object *
object_known(struct store *s, enum kind kind, const char *id, uint64_t digest)
{
	for (struct object *o = s->objects; o != NULL; o = o->next)
		if (o->kind == kind && o->digest == digest && strcmp(o->id, id) == 0)
			return o;
	return NULL;
}

/* The object with a reference for the caller: one that is open already, or a
 * new one after a look at its files. */
static int
object_ref(struct store *s, enum kind kind, const char *id, struct object **out,
	struct err *e)
{
	char dir[PATH_BYTES];
	struct part *part;
	size_t n_parts;
	int rc = catalog_parts(s->catalog, kind, id, &part, &n_parts, e);

	if (rc != 0)
		return rc;
	*out = object_known(s, kind, id, part_digest(part, n_parts));
	if (*out != NULL) {
		mem_free(part);
		(*out)->n_refs++;
		return 0;
	}
	rc = object_path(dir, s, kind, id, e);
	if (rc == 0)
		rc = object_new(out, kind, id, dir, part, n_parts, e);
	if (rc != 0) {
		mem_free(part);
		return rc;
	}
	if (kind !=
		KIND_ANN) /* without it, all is answered: it is refused when loaded */
		rc = object_measure(*out, e);
	if (rc != 0) {
		object_free(*out);
		*out = NULL;
		return rc;
	}
	(*out)->n_refs = 1;
	(*out)->next = s->objects;
	s->objects = *out;
	return 0;
}

/* The id of object i of a kind. buf has room for a graph's. */
static const char *
id_of(const struct store_catalog *c, enum kind kind, uint32_t i,
	char buf[OBJECT_ID_CHARS])
{
	switch (kind) {
	case KIND_CUT:
		return c->cut[i].id;
	case KIND_SAE:
		return c->sae[i].id;
	case KIND_RUN:
		return c->run[i].id;
	case KIND_ANN:
		return c->ann[i].id;
	default:
		break;
	}
	graph_id(buf, c->sae[c->graph[i].from].id, c->sae[c->graph[i].to].id,
		c->graph[i].k);
	return buf;
}

static int
open_objects(struct store *s, struct generation *g, enum kind kind, struct err *e)
{
	char buf[OBJECT_ID_CHARS];
	uint32_t n = g->n_objects[kind];

	g->object[kind] = arena_alloc(&g->arena, n, sizeof(struct object *));
	g->handle[kind] = arena_alloc(&g->arena, n, sizeof(size_t));
	if (g->object[kind] == NULL || g->handle[kind] == NULL) {
		g->n_objects[kind] = 0;
		return err_set(e, ERR_NOMEM, "no memory for a generation");
	}
	memset(g->object[kind], 0, n * sizeof(struct object *));
	for (uint32_t i = 0; i < n; i++) {
		struct object **o = &g->object[kind][i];
		int rc = object_ref(s, kind, id_of(&g->catalog, kind, i, buf), o, e);

		if (rc != 0)
			return rc;
		g->handle[kind][i] = g->n_handles;
		g->n_handles += (*o)->n_parts;
	}
	return 0;
}

static void
generation_free(struct store *s, struct generation *g)
{
	struct store_view *next;

	for (struct store_view *v = g->idle; v != NULL; v = next) {
		next = v->next;
		view_free(v);
	}
	for (int kind = 0; kind < KINDS; kind++)
		for (uint32_t i = 0; g->object[kind] != NULL && i < g->n_objects[kind];
			i++)
			object_unref(s, g->object[kind][i]);
	arena_clear(&g->arena);
	mem_free(g);
}

void
generation_unref(struct store *s, struct generation *g)
{
	if (g != NULL && --g->n_refs == 0)
		generation_free(s, g);
}

/* What one reading transaction sees. */
static int
open_all(struct store *s, struct generation *g, struct err *e)
{
	int rc = db_exec(s->catalog, "BEGIN", e), end;

	if (rc != 0)
		return rc;
	rc = catalog_load(s->catalog, g, e);
	if (rc != 0)
		err_wrap(e, "%s/catalog.db", s->dir);
	g->n_objects[KIND_CUT] = g->catalog.n_cuts;
	g->n_objects[KIND_SAE] = g->catalog.n_saes;
	g->n_objects[KIND_RUN] = g->catalog.n_runs;
	g->n_objects[KIND_GRAPH] = g->catalog.n_graphs;
	g->n_objects[KIND_ANN] = g->catalog.n_anns;
	for (int kind = 0; rc == 0 && kind < KINDS; kind++)
		rc = open_objects(s, g, kind, e);
	end = rc;
	if (rc != 0)
		db_rollback(s->catalog);
	else
		end = db_commit(s->catalog, e);
	return end;
}

int
generation_open(struct generation **out, struct store *s, struct err *e)
{
	struct generation *g = mem_new(1, sizeof(*g));
	int rc;

	*out = NULL;
	if (g == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a generation");
	arena_init(&g->arena, 0);
	g->n_refs = 1;
	rc = open_all(s, g, e);
	if (rc != 0) {
		generation_free(s, g);
		return rc;
	}
	*out = g;
	return 0;
}
