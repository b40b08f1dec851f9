/* SPDX-License-Identifier: ISC */
#include "indexer/graphs.h"

#include "indexer/stop.h"
#include "util/log.h"
#include "util/mem.h"

#include <string.h>

struct job {
	struct graphs *g;
	const struct plan *plan;
	const struct plan_group *group;
	struct store *store;
	struct pool *pool;
};

static const struct plan_sae *
sae_of(const struct job *j, uint32_t slot)
{
	return &j->plan->sae[j->group->sae[slot]];
}

static bool
in_group(const struct job *j, const char *id)
{
	for (uint32_t i = 0; i < j->group->n_saes; i++)
		if (strcmp(sae_of(j, i)->id, id) == 0)
			return true;
	return false;
}

/* Whether a stored SAE reads the same stream as one of the group's. */
static bool
shares_stream(const struct job *j, const struct cat_sae *x)
{
	if (strcmp(x->model_id, j->plan->model_id) != 0 || in_group(j, x->id))
		return false;
	for (uint32_t i = 0; i < j->group->n_saes; i++)
		if (strcmp(sae_of(j, i)->stream, x->hook) == 0)
			return true;
	return false;
}

static int
gather_directions(struct job *j, struct err *e)
{
	struct graphs *g = j->g;
	const struct store_catalog *c;

	if (store_view_open(&g->view, j->store, e) < 0)
		return e->code;
	c = store_view_catalog(g->view);
	g->directions = mem_new(j->group->n_saes + c->n_saes, sizeof(*g->directions));
	if (g->directions == NULL)
		return err_set(e, ERR_NOMEM, "no memory for neighbors");
	for (uint32_t i = 0; i < j->group->n_saes; i++) {
		const struct plan_sae *s = sae_of(j, i);

		g->directions[g->n++] = (struct directions){.id = s->id,
			.rows = s->sae->w_dec,
			.n = s->sae->info.d_sae,
			.d = s->sae->info.d_out};
	}
	for (uint32_t i = 0; i < c->n_saes; i++) {
		const struct cat_sae *s = &c->sae[i];
		struct directions x = {.id = s->id, .n = s->d_sae, .d = s->d_out};

		if (!shares_stream(j, s))
			continue;
		if (store_decoder(g->view, i, &x.rows, e) < 0)
			return e->code;
		g->directions[g->n++] = x;
	}
	return 0;
}

/* The stream and the name of a direction's SAE. */
static const char *
stream_of(const struct job *j, uint32_t i, const char **name)
{
	const struct store_catalog *c = store_view_catalog(j->g->view);

	*name = "";
	if (i < j->group->n_saes) {
		*name = sae_of(j, i)->name;
		return sae_of(j, i)->stream;
	}
	for (uint32_t s = 0; s < c->n_saes; s++)
		if (strcmp(c->sae[s].id, j->g->directions[i].id) == 0) {
			*name = c->sae[s].name;
			return c->sae[s].hook;
		}
	return "";
}

static bool
is_wanted(const struct job *j, uint32_t a, uint32_t b)
{
	const struct directions *from = &j->g->directions[a],
				*to = &j->g->directions[b];
	uint64_t rule = j->plan->options->neighbors;
	const char *from_name, *to_name;

	if (neighbors_k(from, to) == 0 || rule == NEIGHBORS_NONE ||
		strcmp(stream_of(j, a, &from_name), stream_of(j, b, &to_name)) != 0)
		return false;
	if (rule == NEIGHBORS_EXACT || !neighbors_many(from, to))
		return true;
	log_put(LOG_NOTICE,
		"no neighbors of %s in %s: %u features among %u take too long; "
		"--neighbors exact computes them",
		from_name, to_name, from->n, to->n);
	return false;
}

static int
write_graph(struct job *j, uint32_t a, uint32_t b, struct err *e)
{
	struct directions *from = &j->g->directions[a], *to = &j->g->directions[b];
	bool have = false;

	if (!is_wanted(j, a, b))
		return 0;
	if (neighbors_write(j->store, from, to, j->pool, &have, e) < 0)
		return e->code;
	if (!have)
		j->g->graph[j->g->n_graphs++] =
			(struct pair_ids){from->id, to->id, neighbors_k(from, to)};
	return stop_check(e);
}

int
graphs_write(struct graphs *g, const struct plan *p, const struct plan_group *group,
	struct store *s, struct pool *pool, struct progress *progress, struct err *e)
{
	struct job j = {g, p, group, s, pool};

	progress_phase(progress, "neighbors");
	if (gather_directions(&j, e) < 0)
		return e->code;
	g->graph = mem_new((size_t)g->n * g->n, sizeof(*g->graph));
	if (g->graph == NULL)
		return err_set(e, ERR_NOMEM, "no memory for neighbors");
	for (uint32_t a = 0; a < g->n; a++) {
		progress_part(progress, a, g->n);
		for (uint32_t b = 0; b < g->n; b++)
			if ((a < group->n_saes || b < group->n_saes) &&
				write_graph(&j, a, b, e) < 0)
				return e->code;
	}
	for (uint32_t i = 0; i < g->n; i++) /* a pass needs their room */
		directions_clear(&g->directions[i]);
	return 0;
}

void
graphs_clear(struct graphs *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		directions_clear(&g->directions[i]);
	mem_free(g->directions);
	mem_free(g->graph);
	store_view_close(g->view);
	*g = (struct graphs){0};
}
