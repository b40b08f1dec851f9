/* SPDX-License-Identifier: ISC */
#include "indexer/merge_features.h"

#include "indexer/stop.h"
#include "util/mem.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define FEATURES_EACH 256 /* copied at a time */

static uint32_t
index_of(const struct merging *g, uint32_t slot)
{
	return g->shard[0].cat->sae[slot].sae;
}

static const struct cat_sae *
sae_of(const struct merging *g, uint32_t slot)
{
	return &g->shard[0].in->catalog->sae[index_of(g, slot)];
}

/* What the store has of another SAE's name, or of the same at another hook. */
static int
check_store(const struct merging *g, const struct cat_sae *x, struct err *e)
{
	const char *dir = g->m->options->store;
	const struct store_catalog *c;
	struct store_view *view;
	int rc = store_view_open(&view, g->m->store, e);

	if (rc < 0)
		return rc;
	c = store_view_catalog(view);
	for (uint32_t i = 0; i < c->n_saes && rc == 0; i++) {
		bool same = strcmp(c->sae[i].id, x->id) == 0;

		if (same && strcmp(c->sae[i].hook, x->hook) != 0)
			rc = err_set(e, ERR_MISMATCH, "%s has %s at %s, not at %s", dir,
				c->sae[i].name, c->sae[i].hook, x->hook);
		else if (!same && strcasecmp(c->sae[i].name, x->name) == 0)
			rc = err_set(e, ERR_MISMATCH,
				"%s calls another SAE %s; saedb-index rename gives one "
				"of them another name",
				dir, c->sae[i].name);
	}
	store_view_close(view);
	return rc;
}

static int
copy_some(struct merging *g, struct sae_writer *w, uint32_t slot, uint32_t first,
	uint32_t n, struct arena *arena, struct err *e)
{
	struct store_place place = {TABLE_LOGITS, index_of(g, slot), 0};
	struct store_value value[FEATURES_EACH];
	uint32_t id[FEATURES_EACH];
	struct rec_logits r;

	for (uint32_t i = 0; i < n; i++)
		id[i] = first + i;
	if (store_mget(g->shard[0].in->view, place, id, n, value, arena, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n; i++) {
		if (value[i].p == NULL) /* the model's unembedding was not known */
			continue;
		if (rec_logits_unpack(&r, value[i].p, value[i].n_bytes, arena, e) < 0 ||
			sae_writer_logits(w, id[i], &r, e) < 0)
			return e->code;
	}
	return 0;
}

static int
copy_logits(struct merging *g, struct sae_writer *w, uint32_t slot, struct err *e)
{
	uint32_t n, all = sae_of(g, slot)->d_sae;
	struct arena arena;
	int rc = 0;

	arena_init(&arena, 0);
	for (uint32_t at = 0; at < all && rc == 0; at += n) {
		n = all - at < FEATURES_EACH ? all - at : FEATURES_EACH;
		arena_reset(&arena);
		rc = copy_some(g, w, slot, at, n, &arena, e);
	}
	arena_clear(&arena);
	return rc;
}

/* Of the first part whose store has it; else NULL. */
static int
find_encoder(const struct merging *g, uint32_t slot, const float **rows, struct err *e)
{
	int rc = ERR_NOTFOUND;

	*rows = NULL;
	for (uint32_t i = 0; i < g->n && rc == ERR_NOTFOUND; i++) {
		const struct merge_shard *x = &g->shard[i];
		struct err why = ERR_INIT;
		uint32_t d;

		rc = store_rows(x->in->view, x->cat->sae[x->slot[slot]].sae,
			STORE_ENCODER, rows, &d, &why);
		if (rc < 0 && rc != ERR_NOTFOUND)
			*e = why;
	}
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static int
write_sae(struct merging *g, uint32_t slot, const float *rows, struct err *e)
{
	struct cat_sae *info = &g->sae[g->n_new_saes];
	struct sae_writer *w = NULL;
	const float *encoder = NULL;
	int64_t have;
	int rc;

	*info = *sae_of(g, slot);
	info->created_s = (int64_t)time(NULL);
	rc = check_store(g, info, e);
	if (rc == 0)
		rc = find_encoder(g, slot, &encoder, e);
	if (rc == 0)
		rc = sae_writer_new(&w, &have, g->m->store, info, rows, encoder, e);
	if (rc < 0 || have >= 0)
		return rc;
	if (w != NULL && g->features != NULL)
		rc = merge_features_logits(g, w, slot, e);
	else if (w != NULL)
		rc = copy_logits(g, w, slot, e);
	if (rc == 0 && w != NULL)
		rc = sae_writer_finish(w, e);
	sae_writer_free(w);
	g->n_new_saes++;
	return rc;
}

int
merge_saes(struct merging *g, struct err *e)
{
	const struct merge_shard *first = &g->shard[0];
	struct graph_sae sae[LIMIT_SAES];
	struct graphs_job job = {.store = g->m->store,
		.pool = g->m->pool,
		.progress = &g->m->progress,
		.model_id = first->in->catalog->model[first->cat->model].id,
		.sae = sae,
		.n_saes = first->cat->n_saes,
		.rule = g->m->options->neighbors,
		.from = first->in->view};

	g->sae = mem_new(first->cat->n_saes, sizeof(*g->sae));
	if (g->sae == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the SAEs");
	for (uint32_t i = 0; i < first->cat->n_saes; i++) {
		const struct cat_sae *x = sae_of(g, i);

		sae[i] = (struct graph_sae){.id = x->id,
			.stream = x->hook,
			.name = x->name,
			.d_sae = x->d_sae,
			.d_out = x->d_out};
		if (store_decoder(first->in->view, index_of(g, i), &sae[i].rows, e) <
				0 ||
			write_sae(g, i, sae[i].rows, e) < 0 || stop_check(e) < 0)
			return e->code;
	}
	return graphs_write(&g->graphs, &job, e);
}
