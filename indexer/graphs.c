/* SPDX-License-Identifier: ISC */
#include "indexer/graphs.h"

#include "indexer/options.h"
#include "indexer/stop.h"
#include "util/log.h"
#include "util/mem.h"

#include <string.h>

#define COPIED_AT_A_TIME 256 /* records */

void
graphs_clear(struct graphs *g)
{
	for (uint32_t i = 0; g->directions != NULL && i < g->n_saes; i++)
		directions_clear(&g->directions[i]);
	mem_free(g->directions);
	mem_free(g->sae);
	mem_free(g->made);
	store_view_close(g->view);
	*g = (struct graphs){0};
}

/* ---- whose ------------------------------------------------------------------------ */

/* Whether a stored SAE reads the same stream as one of the run's, which it is not. */
static bool
shares_stream(const struct graphs_job *job, const struct cat_sae *x)
{
	bool shares = false;

	if (strcmp(x->model_id, job->model_id) != 0)
		return false;
	for (uint32_t i = 0; i < job->n_saes; i++) {
		if (strcmp(job->sae[i].id, x->id) == 0)
			return false;
		shares |= strcmp(job->sae[i].stream, x->hook) == 0;
	}
	return shares;
}

static void
add(struct graphs *g, const struct graph_sae *x)
{
	g->directions[g->n_saes] = (struct directions){.id = x->id,
		.rows = x->rows,
		.n = x->d_sae,
		.d = x->d_out};
	g->sae[g->n_saes++] = *x;
}

static int
gather(struct graphs *g, const struct graphs_job *job, struct err *e)
{
	const struct store_catalog *c;
	size_t most;

	if (store_view_open(&g->view, job->store, e) < 0)
		return e->code;
	c = store_view_catalog(g->view);
	most = (size_t)job->n_saes + c->n_saes;
	g->sae = mem_new(most, sizeof(*g->sae));
	g->directions = mem_new(most, sizeof(*g->directions));
	if (g->sae == NULL || g->directions == NULL)
		return err_set(e, ERR_NOMEM, "no memory for neighbors");
	while (g->n_saes < job->n_saes)
		add(g, &job->sae[g->n_saes]);
	for (uint32_t i = 0; i < c->n_saes; i++) {
		struct graph_sae x = {.id = c->sae[i].id,
			.stream = c->sae[i].hook,
			.name = c->sae[i].name,
			.d_sae = c->sae[i].d_sae,
			.d_out = c->sae[i].d_out};

		if (!shares_stream(job, &c->sae[i]))
			continue;
		if (store_decoder(g->view, i, &x.rows, e) < 0)
			return e->code;
		add(g, &x);
	}
	g->made = mem_new((size_t)g->n_saes * g->n_saes, sizeof(*g->made));
	return g->made != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory for neighbors");
}

/* ---- one ----------------------------------------------------------------------------- */

/* Its index in a catalogue; -1: it has none. */
static int64_t
find(const struct store_catalog *c, const struct graph_ids *x)
{
	for (uint32_t i = 0; i < c->n_graphs; i++)
		if (c->graph[i].k == x->k &&
			strcmp(c->sae[c->graph[i].from].id, x->from_id) == 0 &&
			strcmp(c->sae[c->graph[i].to].id, x->to_id) == 0)
			return i;
	return -1;
}

static int
copy_some(struct graph_writer *w, struct store_view *from, uint32_t graph,
	uint32_t first, uint32_t n, struct arena *arena, struct err *e)
{
	struct store_place place = {TABLE_NEIGHBORS, graph, 0};
	struct store_value value[COPIED_AT_A_TIME];
	uint32_t id[COPIED_AT_A_TIME];
	const struct rec_scored *x;
	size_t n_x;

	for (uint32_t i = 0; i < n; i++)
		id[i] = first + i;
	if (store_mget(from, place, id, n, value, arena, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n; i++) {
		if (value[i].p == NULL)
			continue;
		if (rec_neighbors_unpack(&x, &n_x, value[i].p, value[i].n_bytes, arena,
			    e) < 0 ||
			graph_writer_put(w, id[i], x, n_x, e) < 0)
			return e->code;
	}
	return 0;
}

static int
copy(struct graphs *g, const struct graph_ids *x, uint32_t graph, uint32_t n,
	bool *have, struct err *e)
{
	struct graph_writer *w = NULL;
	struct arena arena;
	int rc = graph_writer_new(&w, have, g->job->store, x->from_id, x->to_id, x->k,
		e);

	arena_init(&arena, 0);
	for (uint32_t at = 0; at < n && w != NULL && rc == 0; at += COPIED_AT_A_TIME) {
		arena_reset(&arena);
		rc = copy_some(w, g->job->from, graph, at,
			n - at < COPIED_AT_A_TIME ? n - at : COPIED_AT_A_TIME, &arena,
			e);
	}
	if (rc == 0 && w != NULL)
		rc = graph_writer_finish(w, e);
	graph_writer_free(w);
	arena_clear(&arena);
	return rc;
}

bool
graphs_wanted(uint64_t rule, const struct directions *from, const struct directions *to)
{
	return rule == NEIGHBORS_EXACT ||
		(rule != NEIGHBORS_NONE && !neighbors_many(from, to));
}

/* Whether it is to be computed; what takes too long is named. */
static bool
is_wanted(const struct graphs *g, uint32_t i, uint32_t j)
{
	const struct graph_sae *from = &g->sae[i], *to = &g->sae[j];

	if (graphs_wanted(g->job->rule, &g->directions[i], &g->directions[j]))
		return true;
	if (g->job->rule == NEIGHBORS_NONE)
		return false;
	log_put(LOG_NOTICE,
		"no neighbors of %s in %s: %u features among %u take too long; "
		"--neighbors exact computes them",
		from->name, to->name, from->d_sae, to->d_sae);
	return false;
}

enum what { NOTHING, COPIED, COMPUTED };

/* What is to be done about i's neighbors in j; *there: what it may be copied from. */
static enum what
what_of(const struct graphs *g, uint32_t i, uint32_t j, struct graph_ids *x,
	int64_t *there)
{
	const struct graph_sae *from = &g->sae[i], *to = &g->sae[j];

	*x = (struct graph_ids){from->id, to->id,
		neighbors_k(&g->directions[i], &g->directions[j])};
	*there = -1;
	if (x->k == 0 || strcmp(from->stream, to->stream) != 0 ||
		find(store_view_catalog(g->view), x) >= 0)
		return NOTHING;
	if (g->job->from != NULL)
		*there = find(store_view_catalog(g->job->from), x);
	if (*there >= 0)
		return COPIED;
	return is_wanted(g, i, j) ? COMPUTED : NOTHING;
}

/* i's neighbors in j. */
static int
write_one(struct graphs *g, uint32_t i, uint32_t j, enum what what,
	const struct graph_ids *x, int64_t there, struct err *e)
{
	bool have = false;
	int rc = 0;

	if (what == NOTHING)
		return 0;
	if (what == COPIED)
		rc = copy(g, x, (uint32_t)there, g->sae[i].d_sae, &have, e);
	else
		rc = neighbors_write(g->job->store, &g->directions[i],
			&g->directions[j], g->job->pool, &have, e);
	if (rc == 0 && !have)
		g->made[g->n_made++] = *x;
	return rc == 0 ? stop_check(e) : rc;
}

/* i's neighbors in j, and j's in i: in one pass, where both are to be computed. */
static int
write_pair(struct graphs *g, uint32_t i, uint32_t j, struct err *e)
{
	struct graph_ids x, y;
	int64_t x_there, y_there;
	enum what there = what_of(g, i, j, &x, &x_there), back = NOTHING;
	bool have[2] = {false};
	int rc;

	if (i != j)
		back = what_of(g, j, i, &y, &y_there);
	if (there != COMPUTED || back != COMPUTED) {
		rc = write_one(g, i, j, there, &x, x_there, e);
		return rc == 0 && back != NOTHING
			? write_one(g, j, i, back, &y, y_there, e)
			: rc;
	}
	rc = neighbors_write_both(g->job->store, &g->directions[i], &g->directions[j],
		g->job->pool, have, e);
	if (rc == 0 && !have[0])
		g->made[g->n_made++] = x;
	if (rc == 0 && !have[1])
		g->made[g->n_made++] = y;
	return rc == 0 ? stop_check(e) : rc;
}

int
graphs_write(struct graphs *g, const struct graphs_job *job, struct err *e)
{
	*g = (struct graphs){.job = job};
	progress_phase(job->progress, "neighbors");
	if (gather(g, job, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < g->n_saes; i++) {
		progress_part(job->progress, i, g->n_saes);
		for (uint32_t j = i; j < g->n_saes && i < job->n_saes; j++)
			if (write_pair(g, i, j, e) < 0)
				return e->code;
	}
	for (uint32_t i = 0; i < g->n_saes; i++) /* a pass needs their room */
		directions_clear(&g->directions[i]);
	return 0;
}
