/* SPDX-License-Identifier: ISC */
#include "indexer/ingest.h"

#include "indexer/delphi.h"
#include "indexer/fit.h"
#include "indexer/intake.h"
#include "indexer/shard.h"
#include "indexer/stop.h"
#include "model/json.h"
#include "util/mem.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS_PER_ITEM 8

struct ingest {
	const struct ingest_job *job;
	struct ingest_result *result;
	const struct plan *plan;
	size_t n_threads;
	uint32_t n_saes;
	struct intake intake;
	uint64_t n_tokens, n_tokens_all; /* so far; in all, 0: not known */
	/* activations: a batch */
	size_t max_tokens, batch; /* room for; the next one's size */
	struct plan_memory memory;
	float *x[PASS_MAX_HOOKS]; /* (max_tokens, width) */
	/* Only what a transcoder gives stands there, and the shards lack it: how well it
	 * fits is not known. */
	bool absent[PASS_MAX_HOOKS];
	uint8_t *counts; /* (max_tokens) */
	struct encoder encoder[LIMIT_SAES];
	struct fit fit[LIMIT_SAES];
	struct stream_stats *stats; /* (n_hooks, n_threads) */
	struct err *err; /* (n_threads) */
	struct shard_windows shard;
};

static const struct plan_sae *
sae_of(const struct ingest *g, uint32_t i)
{
	return &g->plan->sae[g->job->group->sae[i]];
}

static uint32_t
hook_width(const struct ingest *g, uint32_t hook)
{
	for (uint32_t i = 0; i < g->n_saes; i++) {
		const struct plan_sae *s = sae_of(g, i);

		if (s->hook == hook)
			return s->sae->info.d_in;
		if (s->out == hook)
			return s->sae->info.d_out;
	}
	return 0;
}

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM,
		"no memory for a batch; use smaller --batch-tokens");
}

/* ---- activations ------------------------------------------------------------------ */

static void
batch_clear(struct ingest *g)
{
	for (uint32_t i = 0; i < g->n_saes; i++)
		encoder_clear(&g->encoder[i]);
	for (uint32_t h = 0; h < g->job->group->n_hooks; h++) {
		mem_free(g->x[h]);
		g->x[h] = NULL;
	}
	mem_free(g->counts);
	g->counts = NULL;
	g->max_tokens = 0;
}

/* Buffers for a batch that holds the shard's longest window. */
static int
batch_room(struct ingest *g, struct err *e)
{
	size_t n = g->memory.batch_tokens;

	for (uint32_t i = 0; i < g->shard.n_windows; i++)
		if (g->shard.start[i + 1] - g->shard.start[i] > n)
			n = g->shard.start[i + 1] - g->shard.start[i];
	if (n <= g->max_tokens)
		return 0;
	batch_clear(g);
	g->counts = mem_new(n, 1);
	if (g->counts == NULL)
		return no_memory(e);
	for (uint32_t i = 0; i < g->n_saes; i++)
		if (encoder_init(&g->encoder[i], sae_of(g, i)->sae, g->n_threads, n,
			    e) < 0)
			return e->code;
		else
			encoder_limit(&g->encoder[i], g->memory.hits_bytes / g->n_saes);
	for (uint32_t h = 0; h < g->job->group->n_hooks; h++) {
		g->x[h] = mem_new_aligned(n, hook_width(g, h) * sizeof(float));
		if (g->x[h] == NULL)
			return no_memory(e);
	}
	g->max_tokens = n;
	return 0;
}

struct fitting {
	struct ingest *g;
	uint32_t first, n_windows; /* of the shard */
};

/* Item i: a few windows of one SAE, or, behind all SAEs, of one hook. */
static void
fit_item(void *ctx, size_t i, size_t thread)
{
	const struct fitting *f = ctx;
	struct ingest *g = f->g;
	const struct shard_windows *s = &g->shard;
	size_t n_groups = (f->n_windows + WINDOWS_PER_ITEM - 1) / WINDOWS_PER_ITEM;
	size_t of = i / n_groups, base = s->start[f->first];
	uint32_t w = f->first + (uint32_t)(i % n_groups) * WINDOWS_PER_ITEM;
	uint32_t end = w + WINDOWS_PER_ITEM;

	for (; w < end && w < f->first + f->n_windows; w++) {
		uint32_t from = s->start[w] - (uint32_t)base;
		uint32_t to = s->start[w + 1] - (uint32_t)base;

		if (of < g->n_saes) {
			const struct plan_sae *x = sae_of(g, (uint32_t)of);

			if (g->absent[x->out])
				continue;
			fit_window(&g->fit[of], &g->encoder[of], g->x[x->hook],
				g->x[x->out], g->counts, from, to, thread,
				&g->err[thread]);
		} else {
			size_t h = of - g->n_saes, d = hook_width(g, (uint32_t)h);

			if (g->absent[h])
				continue;
			stream_stats_add(&g->stats[h * g->n_threads + thread],
				g->x[h] + from * d, d, g->counts + from, to - from);
		}
	}
}

static int
first_error(const struct ingest *g, struct err *e)
{
	for (size_t i = 0; i < g->n_threads; i++)
		if (g->err[i].code != 0) {
			*e = g->err[i];
			return e->code;
		}
	return 0;
}

static int
check_finite(const struct ingest *g, const struct tensor *t, const float *x,
	uint32_t from, uint32_t n, struct err *e)
{
	size_t d = t->shape[1];

	for (size_t i = 0; i < n * d; i++)
		if (!(x[i] <= FLT_MAX && x[i] >= -FLT_MAX))
			return err_set(e, ERR_FORMAT,
				"%s: the activation of token %zu in dimension %zu of "
				"%s is not finite: its model left the range of its "
				"numbers (float16 ends at 65504)",
				g->shard.name, from + i / d, i % d, t->name);
	return 0;
}

static int
read_hooks(struct ingest *g, uint32_t from, uint32_t n, struct err *e)
{
	const struct plan_group *group = g->job->group;

	for (uint32_t h = 0; h < group->n_hooks; h++) {
		const struct tensor *all;
		struct tensor part;

		if (g->absent[h])
			continue;
		if (shard_hook(&g->shard, group->hook[h].name, hook_width(g, h), &all,
			    e) < 0)
			return e->code;
		part = tensor_rows(all, from, n);
		if (tensor_floats(&part, g->x[h], true, e) < 0 ||
			check_finite(g, all, g->x[h], from, n, e) < 0)
			return e->code;
	}
	return 0;
}

/* Windows [first, first + n) of the shard. */
static int
encode_batch(struct ingest *g, uint32_t first, uint32_t n, struct err *e)
{
	const struct shard_windows *s = &g->shard;
	uint32_t from = s->start[first], n_tokens = s->start[first + n] - from;
	struct fitting f = {g, first, n};
	size_t n_groups = (n + WINDOWS_PER_ITEM - 1) / WINDOWS_PER_ITEM;

	if (read_hooks(g, from, n_tokens, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n_tokens; i++)
		g->counts[i] = g->plan->excluded[s->token[from + i]] == 0;
	pool_stage(g->job->pool, STAGE_ENCODE);
	for (uint32_t i = 0; i < g->n_saes; i++)
		if (encoder_run(&g->encoder[i], g->job->pool, g->x[sae_of(g, i)->hook],
			    n_tokens, g->err, e) < 0)
			return err_wrap(e, "%s", s->name);
	pool_stage(g->job->pool, STAGE_COUNT);
	pool_run(g->job->pool, n_groups * (g->n_saes + g->job->group->n_hooks),
		fit_item, &f);
	pool_stage(g->job->pool, STAGE_READ);
	if (first_error(g, e) < 0)
		return err_wrap(e, "%s", s->name);
	for (uint32_t w = first; w < first + n; w++) {
		if (intake_window(&g->intake, w, e) < 0)
			return e->code;
		for (uint32_t i = 0; i < g->n_saes; i++)
			if (feed_acts(g->job->feed, i, &g->encoder[i].acts,
				    s->start[w] - from, e) < 0)
				return e->code;
	}
	return 0;
}

/* How many windows from first on make the next batch: one at least. */
static uint32_t
windows_that_fit(const struct ingest *g, uint32_t first)
{
	const uint32_t *start = g->shard.start;
	uint32_t n = 1;

	while (first + n < g->shard.n_windows &&
		start[first + n + 1] - start[first] <= g->batch)
		n++;
	return n;
}

static void
show_progress(struct ingest *g, uint32_t n_tokens)
{
	uint64_t done, total;

	g->n_tokens += n_tokens;
	source_progress(g->result->source[g->result->n_sources - 1], &done, &total);
	progress_stream(g->job->progress, g->n_tokens, g->n_tokens_all, done, total);
}

static size_t
next_batch(const struct ingest *g)
{
	double density = 0;

	for (uint32_t i = 0; i < g->n_saes; i++)
		density += encoder_density(&g->encoder[i]);
	return encoder_batch(density, g->memory.batch_tokens, g->memory.hits_bytes);
}

/* Hooks that no SAE reads may be missing. */
static void
look_for_outputs(struct ingest *g)
{
	for (uint32_t i = 0; i < g->n_saes; i++) {
		const struct plan_sae *s = sae_of(g, i);
		const struct tensor *t;
		bool is_read = false;

		for (uint32_t j = 0; j < g->n_saes; j++)
			is_read |= sae_of(g, j)->hook == s->out;
		if (!is_read &&
			shard_hook(&g->shard, g->job->group->hook[s->out].name,
				hook_width(g, s->out), &t, NULL) < 0)
			g->absent[s->out] = true;
	}
}

static int
take_activations(struct ingest *g, struct err *e)
{
	const struct shard_windows *s = &g->shard;

	if (batch_room(g, e) < 0)
		return e->code;
	look_for_outputs(g);
	for (uint32_t at = 0, n; at < s->n_windows; at += n) {
		n = windows_that_fit(g, at);
		if (encode_batch(g, at, n, e) < 0 || stop_check(e) < 0)
			return e->code;
		g->batch = next_batch(g);
		show_progress(g, s->start[at + n] - s->start[at]);
	}
	return 0;
}

/* ---- active features ---------------------------------------------------------------- */

/* A feed takes a window and then its features of each SAE, a shard has them SAE by SAE:
 * so all of a shard's are held. */
static int
take_latents(struct ingest *g, struct err *e)
{
	const struct shard_windows *s = &g->shard;

	for (uint32_t i = 0; i < g->n_saes; i++)
		if (shard_latents(s, sae_of(g, i)->name, g->n_saes == 1,
			    sae_of(g, i)->sae->info.d_sae, &g->encoder[i].acts, e) < 0)
			return e->code;
	for (uint32_t w = 0; w < s->n_windows; w++) {
		if (intake_window(&g->intake, w, e) < 0)
			return e->code;
		for (uint32_t i = 0; i < g->n_saes; i++)
			if (feed_acts(g->job->feed, i, &g->encoder[i].acts, s->start[w],
				    e) < 0)
				return e->code;
	}
	show_progress(g, s->n_tokens);
	return stop_check(e);
}

/* ---- shards ---------------------------------------------------------------------------- */

/* A number of a JSON object {"NAME": number} in the notes; NAN when there is none. */
static double
noted(const struct tensors *t, const char *key, const char *sae)
{
	const char *text = tensors_note(t, key);
	struct js_doc doc;
	double v = (double)NAN;

	if (text == NULL || js_parse(&doc, key, text, strlen(text), 2, NULL) < 0)
		return v;
	if (js_opt_f64(&doc, doc.root, sae, v, &v, NULL) < 0)
		v = (double)NAN;
	js_close(&doc);
	return v;
}

static void
read_notes(struct ingest *g, const struct source_shard *s)
{
	const char *made_by = tensors_note(s->tensors, "made_by");
	const char *n = tensors_note(s->tensors, "n_tokens");
	bool alone = g->plan->n_sources == 1;

	if (s->number == 0 && made_by != NULL)
		snprintf(g->result->made_by, sizeof(g->result->made_by), "%s", made_by);
	if (s->number == 0 && n != NULL && alone)
		g->n_tokens_all = strtoull(n, NULL, 10);
	for (uint32_t i = 0; g->plan->latents && s->last && i < g->n_saes; i++) {
		const char *name = sae_of(g, i)->name;

		g->result->fit[i] =
			(struct ingest_fit){alone ? noted(s->tensors, "explained", name)
						  : (double)NAN,
				alone ? noted(s->tensors, "mse", name) : (double)NAN};
	}
}

static int
take_shard(struct ingest *g, const struct source_shard *s, struct err *e)
{
	int rc = shard_open(&g->shard, s, g->intake.n_documents, g->job->feed->n_vocab,
		e);

	if (rc == 0)
		rc = intake_shard(&g->intake, &g->shard, e);
	if (rc == 0)
		rc = g->plan->latents ? take_latents(g, e) : take_activations(g, e);
	read_notes(g, s);
	shard_clear(&g->shard);
	return rc;
}

static int
delphi_tick(void *ctx, uint64_t done, uint64_t total, struct err *e)
{
	const struct ingest *g = ctx;

	progress_stream(g->job->progress, done, total, 0, 0);
	return stop_check(e);
}

static int
take_delphi(struct ingest *g, const char *path, struct err *e)
{
	if (g->n_saes != 1)
		return err_arg(e, ERR_UNSUPPORTED, "latents",
			"%s is one hookpoint of delphi's cache: index it with its SAE "
			"alone",
			path);
	snprintf(g->result->made_by, sizeof(g->result->made_by), "delphi");
	g->result->fit[0] = (struct ingest_fit){(double)NAN, (double)NAN};
	return delphi_read(path, g->job->feed, sae_of(g, 0)->sae->info.d_sae,
		g->plan->memory_bytes / PLAN_SHARD_SHARE, delphi_tick, g, e);
}

static int
take_stream(struct ingest *g, const char *path, struct err *e)
{
	struct source *source;
	struct source_shard shard;
	int rc;

	if (g->plan->latents && delphi_is(path))
		return take_delphi(g, path, e);
	if (source_open(&source, path, g->plan->memory_bytes / PLAN_SHARD_SHARE, e) < 0)
		return e->code;
	g->result->source[g->result->n_sources++] = source;
	intake_stream(&g->intake);
	while ((rc = source_next(source, &shard, e)) == 1)
		if (take_shard(g, &shard, e) < 0)
			return e->code;
	return rc;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int
fits_init(struct ingest *g, struct err *e)
{
	size_t n_hooks = g->job->group->n_hooks;

	g->stats = mem_new(n_hooks * g->n_threads, sizeof(*g->stats));
	if (g->stats == NULL)
		return no_memory(e);
	for (size_t i = 0; i < n_hooks * g->n_threads; i++)
		if (stream_stats_init(&g->stats[i],
			    hook_width(g, (uint32_t)(i / g->n_threads)), e) < 0)
			return e->code;
	for (uint32_t i = 0; i < g->n_saes; i++)
		if (fit_init(&g->fit[i], sae_of(g, i)->sae, g->n_threads, e) < 0)
			return e->code;
	return 0;
}

static void
conclude_one(struct ingest *g, uint32_t i)
{
	struct ingest_fit *fit = &g->result->fit[i];
	uint32_t out = sae_of(g, i)->out;

	fit_conclude(&g->fit[i], &g->stats[out * g->n_threads], &fit->explained,
		&fit->mse);
	if (g->absent[out])
		*fit = (struct ingest_fit){(double)NAN, (double)NAN};
}

static void
fits_conclude(struct ingest *g)
{
	for (uint32_t h = 0; h < g->job->group->n_hooks; h++)
		for (size_t i = 1; i < g->n_threads; i++)
			stream_stats_merge(&g->stats[h * g->n_threads],
				&g->stats[h * g->n_threads + i]);
	for (uint32_t i = 0; i < g->n_saes; i++)
		conclude_one(g, i);
}

static int
ingest_init(struct ingest *g, struct err *e)
{
	g->err = mem_new(g->n_threads, sizeof(*g->err));
	if (g->err == NULL)
		return no_memory(e);
	if (g->plan->latents)
		return 0;
	if (plan_ingest_memory(g->plan, g->job->group, &g->memory, e) < 0)
		return e->code;
	g->batch = g->memory.batch_tokens < ENCODER_FIRST_BATCH ? g->memory.batch_tokens
								: ENCODER_FIRST_BATCH;
	return fits_init(g, e);
}

static void
ingest_free(struct ingest *g)
{
	size_t n = g->job->group->n_hooks * g->n_threads;

	batch_clear(g);
	for (size_t i = 0; g->stats != NULL && i < n; i++)
		stream_stats_clear(&g->stats[i]);
	for (uint32_t i = 0; i < g->n_saes; i++)
		fit_clear(&g->fit[i]);
	mem_free(g->stats);
	mem_free(g->err);
	intake_clear(&g->intake);
}

int
ingest_run(const struct ingest_job *job, struct ingest_result *out, struct err *e)
{
	struct ingest *g = mem_new(1, sizeof(*g));
	int rc;

	*out = (struct ingest_result){0};
	if (g == NULL)
		return no_memory(e);
	g->job = job;
	g->plan = job->plan;
	g->result = out;
	g->intake.feed = job->feed;
	g->n_threads = pool_n_threads(job->pool);
	g->n_saes = job->group->n_saes;
	progress_phase(job->progress, job->plan->latents ? "reading" : "encoding");
	rc = ingest_init(g, e);
	for (uint32_t i = 0; i < job->plan->n_sources && rc == 0; i++)
		rc = take_stream(g, job->plan->source[i], e);
	if (rc == 0 && !job->plan->latents)
		fits_conclude(g);
	out->seconds = progress_elapsed_s(job->progress);
	ingest_free(g);
	mem_free(g);
	return rc;
}

void
ingest_clear(struct ingest_result *r, const char *answer)
{
	for (uint32_t i = 0; i < r->n_sources; i++) {
		source_answer(r->source[i], answer);
		source_close(r->source[i]);
	}
	r->n_sources = 0;
}
