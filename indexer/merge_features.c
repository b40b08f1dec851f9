/* SPDX-License-Identifier: ISC */
#include "indexer/merge_features.h"

#include "indexer/cut_copy.h"
#include "indexer/directions.h"
#include "util/mem.h"

#include <string.h>

/* ---- the provenance of a run that sought all ------------------------------------------ */

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory to join ranges");
}

/* A map with another value for a key, or, value NULL, without the key. */
static const struct value *
with(const struct value *map, const char *key, const struct value *value,
	struct arena *arena)
{
	struct value *copy = arena_alloc(arena, 1, sizeof(*copy));
	struct value *v = arena_alloc(arena, map->n * (size_t)2, sizeof(*v));
	uint32_t n = 0;

	if (copy == NULL || v == NULL)
		return NULL;
	for (uint32_t i = 0; i < map->n; i++) {
		bool other = !value_is_str(&map->v[2 * i], key);

		if (!other && value == NULL)
			continue;
		v[2 * n] = map->v[2 * i];
		v[2 * n + 1] = other ? map->v[2 * i + 1] : *value;
		n++;
	}
	*copy = *map;
	copy->v = v;
	copy->n = n;
	return copy;
}

static int
drop_range(struct merge_shard *s, struct arena *arena, struct err *e)
{
	const struct value *options = value_get(s->provenance, "options");

	if (options == NULL || options->type != VALUE_MAP)
		return err_set(e, ERR_CORRUPT, "%s: the provenance lacks \"options\"",
			s->name);
	options = with(options, "features", NULL, arena);
	if (options != NULL)
		s->provenance = with(s->provenance, "options", options, arena);
	return options != NULL && s->provenance != NULL ? 0 : no_memory(e);
}

/* ---- what is joined ---------------------------------------------------------------- */

/* The parts in their order. new: mem_free(). */
static int
order(struct range_part **out, const struct merge_shard *shard, uint32_t n,
	struct err *e)
{
	struct range_part *part = *out = mem_new(n, sizeof(*part));

	if (part == NULL)
		return no_memory(e);
	for (uint32_t i = 0; i < n; i++)
		part[i] = (struct range_part){.view = shard[i].in->view,
			.dir = shard[i].in->dir,
			.run = shard[i].run,
			.number = i};
	return ranges_order(part, n, e);
}

int
merge_features_check(const struct merge_shard *shard, uint32_t n, struct err *e)
{
	struct range_part *part = NULL;
	int rc;

	if (!ranges_is_part(shard->in->catalog, shard->run))
		return 0;
	rc = order(&part, shard, n, e);
	mem_free(part);
	return rc < 0 ? rc : 1;
}

/* Where no model runs, to name one is a mistake. */
static int
check_unused(const struct options *o, struct err *e)
{
	if (o->model == NULL && o->sae.n == 0)
		return 0;
	return err_arg(e, ERR_ARG, o->model != NULL ? "model" : "sae",
		"--%s is of no use here: only where ranges of features are joined does "
		"the model run",
		o->model != NULL ? "model" : "sae");
}

int
merge_features_find(struct merging *g, struct err *e)
{
	struct merge_features *f;

	if (!ranges_is_part(g->shard->in->catalog, g->shard->run))
		return check_unused(g->m->options, e);
	f = g->features = mem_new(1, sizeof(*f));
	if (f == NULL)
		return no_memory(e);
	f->shard = g->shard;
	f->n = g->n;
	if (order(&f->part, f->shard, f->n, e) < 0)
		return e->code;
	f->whole = f->shard[f->part[0].number];
	g->shard = &f->whole;
	g->n = 1;
	if (drop_range(&f->whole, &g->m->arena, e) < 0)
		return e->code;
	return merge_model_open(&f->model, g->m->options, f->whole.in->catalog,
		f->whole.run, f->whole.provenance, e);
}

void
merge_features_clear(struct merging *g)
{
	struct merge_features *f = g->features;

	if (f == NULL)
		return;
	merge_model_clear(&f->model);
	mem_free(f->part);
	mem_free(f);
	g->features = NULL;
}

/* ---- its parts ------------------------------------------------------------------------ */

int
merge_features_cut(struct merging *g, struct err *e)
{
	struct merge_features *f = g->features;
	int rc;

	progress_phase(&g->m->progress, "cutting");
	rc = cut_copy(g->m->store, f->whole.in->view, f->whole.cat->cut,
		&g->m->progress, &g->cut, &g->cut_is_new, e);
	g->from[0] = (struct stored_run){.name = "the ranges",
		.part = f->part,
		.n_parts = f->n};
	if (rc == 0)
		rc = stored_init(&g->stored, g->from, g->cut.n_windows, e);
	for (uint32_t i = 0; rc == 0 && i < g->cut.n_windows; i++)
		g->stored.window[i] = i;
	return rc;
}

size_t
merge_features_bytes(const struct merge_features *f)
{
	size_t bytes = 0;

	if (f->model.lm == NULL)
		return 0;
	for (uint32_t i = 0; i < f->model.n_saes; i++) {
		const struct sae_info *s = &f->model.sae[i]->info;

		bytes += (size_t)s->d_sae * (2 * (size_t)s->d_in + s->d_out) *
			sizeof(float);
	}
	return bytes + (size_t)lm_info(f->model.lm)->n_params * 2 * sizeof(float);
}

void
merge_features_job(const struct merge_features *f, struct pass_job *job,
	size_t free_bytes)
{
	if (f->model.lm == NULL)
		return;
	job->lm = f->model.lm;
	job->hook = f->model.group.hook;
	job->n_hooks = f->model.group.n_hooks;
	job->sae = (const struct sae *const *)f->model.sae;
	job->hook_of = f->model.hook_of;
	job->out_of = f->model.out_of;
	job->hits_bytes = free_bytes / 2;
	while (job->batch_tokens > 1 &&
		pass_bytes(job, job->batch_tokens) > free_bytes / 2)
		job->batch_tokens /= 2;
}

int
merge_features_logits(const struct merging *g, struct sae_writer *w, uint32_t slot,
	struct err *e)
{
	const struct merge_model *x = &g->features->model;

	if (x->lm == NULL)
		return 0;
	return logits_write(w, x->lm, x->sae[slot], x->n_vocab, g->m->pool, e);
}
