/* SPDX-License-Identifier: ISC */
#include "indexer/merge.h"

#include "indexer/cooccur.h"
#include "indexer/finish.h"
#include "indexer/machine.h"
#include "indexer/merge_features.h"
#include "indexer/merge_int.h"
#include "indexer/report_sae.h"
#include "indexer/stop.h"
#include "indexer/windows.h"
#include "indexer/words.h"
#include "util/mem.h"
#include "util/paged.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BATCH_TOKENS ((size_t)4096)
#define OTHERS ((uint64_t)64 << 20) /* what is neither statistics nor activations */
#define LEAST ((uint64_t)16 << 20) /* for activations */

/* What is made of the activations. */
struct making {
	struct merging *g;
	const struct store_catalog *catalog; /* of the first shard */
	const struct cat_run *cat; /* its run */
	char id[STORE_ID_CHARS];
	uint32_t d_sae[LIMIT_SAES];
	uint8_t *excluded;
	struct run_writer *writer;
	struct windows windows;
	struct words words;
	struct pass_result *result; /* (cat->n_saes) */
	uint64_t examples, dedup_radius, interval_samples, seed;
	uint64_t free_bytes;
};

static const struct cat_sae *
sae_of(const struct making *x, uint32_t slot)
{
	return &x->catalog->sae[x->cat->sae[slot].sae];
}

/* ---- explained variance -------------------------------------------------------------- */

/* 1: s has the sums of all shards; 0: some shard has none. */
static int
add_sums(const struct making *x, uint32_t slot, struct sums *s, struct err *e)
{
	const struct merging *g = x->g;

	*s = (struct sums){0};
	for (uint32_t i = 0; i < g->n; i++) {
		const struct merge_shard *from = &g->shard[i];
		struct store_value v;
		struct sums more;
		int rc = store_sums(from->in->view, from->run, from->slot[slot], &v, e);

		if (rc < 0 || v.p == NULL)
			return rc;
		rc = sums_load(&more, v.p, v.n_bytes, sae_of(x, slot)->d_out, e);
		if (rc == 0 && i > 0)
			sums_merge(s, &more);
		if (rc < 0 || i > 0)
			sums_clear(&more);
		else
			*s = more;
		if (rc < 0)
			return err_wrap(e, "%s", from->name);
	}
	return 1;
}

/* The first shard that knows how well the SAE fits, but not from what. */
static const char *
lacks_sums(const struct making *x, uint32_t slot)
{
	for (uint32_t i = 0; i < x->g->n; i++) {
		const struct merge_shard *s = &x->g->shard[i];
		struct store_value v = {0};
		struct err ignored = ERR_INIT;

		if (!isnan(s->cat->sae[s->slot[slot]].explained) &&
			(store_sums(s->in->view, s->run, s->slot[slot], &v, &ignored) <
					0 ||
				v.p == NULL))
			return s->name;
	}
	return NULL;
}

static int
conclude(struct making *x, struct err *e)
{
	if (x->g->features != NULL) /* the pass told it, or nobody can */
		return 0;
	for (uint32_t i = 0; i < x->cat->n_saes; i++) {
		struct pass_result *r = &x->result[i];
		const char *name;
		int rc = add_sums(x, i, &r->sums, e);

		if (rc < 0)
			return rc;
		if (rc == 0)
			sums_clear(&r->sums);
		sums_conclude(&r->sums, &r->explained, &r->mse);
		name = rc == 0 ? lacks_sums(x, i) : NULL;
		if (name != NULL) {
			progress_wipe(&x->g->m->progress);
			printf("  %-16s explained variance is not known: %s was made "
			       "before runs kept what it comes from\n",
				sae_of(x, i)->name, name);
		}
	}
	return 0;
}

/* ---- from activations to records ------------------------------------------------------ */

static int
find_memory(struct making *x, struct err *e)
{
	uint64_t all = x->g->m->memory_bytes, fixed = OTHERS + paged_room();

	for (uint32_t i = 0; i < x->cat->n_saes; i++)
		fixed += state_bytes(x->d_sae[i], (uint32_t)x->examples);
	if (x->g->features != NULL)
		fixed += merge_features_bytes(x->g->features);
	if (fixed + LEAST > all)
		return err_arg(e, ERR_NOMEM, "memory",
			"%.0f MiB are not enough: statistics, and for ranges of "
			"features the model, take %.0f MiB; raise --memory above "
			"%.0f MiB",
			(double)all / 0x1p20, (double)(fixed + LEAST) / 0x1p20,
			(double)paged_limit(fixed + LEAST - paged_room()) / 0x1p20);
	x->free_bytes = all - fixed;
	return 0;
}

static int
read_options(struct making *x, struct err *e)
{
	const struct merge_shard *s = &x->g->shard[0];

	if (merge_option(s, "examples", &x->examples, e) < 0 ||
		merge_option(s, "dedup_radius", &x->dedup_radius, e) < 0 ||
		merge_option(s, "interval_samples", &x->interval_samples, e) < 0 ||
		merge_option(s, "seed", &x->seed, e) < 0)
		return e->code;
	if (x->examples < 1 || x->examples > LIMIT_EXAMPLES ||
		x->dedup_radius > LIMIT_CONTEXT ||
		x->interval_samples > LIMIT_INTERVAL_SAMPLES)
		return err_set(e, ERR_CORRUPT,
			"%s: an option of its provenance is out of range", s->name);
	return merge_excluded(&x->excluded, s, x->catalog->model[x->cat->model].n_vocab,
		e);
}

static int
count(struct making *x, struct err *e)
{
	struct merge *m = x->g->m;
	struct act_source source = stored_source(&x->g->stored, false);
	struct pass_job job = {.pool = m->pool,
		.windows = &x->windows,
		.writer = x->writer,
		.progress = &m->progress,
		.source = &source,
		.d_sae = x->d_sae,
		.n_saes = x->cat->n_saes,
		.examples = (uint32_t)x->examples,
		.dedup_radius = (uint32_t)x->dedup_radius,
		.batch_tokens = BATCH_TOKENS,
		.hits_bytes = (size_t)x->free_bytes};

	x->g->stored.windows = &x->windows;
	x->g->stored.d_sae = x->d_sae;
	x->result = mem_new(x->cat->n_saes, sizeof(*x->result));
	if (x->result == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the features' statistics");
	if (x->g->features != NULL) {
		source.has = NULL; /* the model runs on all windows */
		merge_features_job(x->g->features, &job, (size_t)x->free_bytes);
	}
	progress_phase(&m->progress, job.lm != NULL ? "model" : "counting");
	if (pass_run(&job, x->result, e) < 0 || conclude(x, e) < 0)
		return e->code;
	return run_writer_acts_done(x->writer, e);
}

static int
count_pairs(const struct making *x, struct err *e)
{
	struct cooccur_job job = {.pool = x->g->m->pool,
		.windows = &x->windows,
		.writer = x->writer,
		.progress = &x->g->m->progress,
		.pass = x->result,
		.n_slots = x->cat->n_saes,
		.rule = x->g->m->options->cooccurrence,
		.memory_bytes = (size_t)x->free_bytes};

	return cooccur_write(&job, e);
}

static int
finish(struct making *x, struct err *e)
{
	struct finish_job job = {.pool = x->g->m->pool,
		.windows = &x->windows,
		.writer = x->writer,
		.progress = &x->g->m->progress,
		.words = &x->words,
		.interval_samples = (uint32_t)x->interval_samples,
		.seed = x->seed,
		.memory_bytes = (size_t)x->free_bytes};

	progress_phase(&x->g->m->progress, "features");
	if (words_count(&x->words, &x->windows, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < x->cat->n_saes; i++) {
		job.slot = i;
		job.pass = &x->result[i];
		if (finish_sae(&job, e) < 0)
			return e->code;
	}
	if (count_pairs(x, e) < 0)
		return e->code;
	return run_writer_finish(x->writer, e);
}

/* ---- publishing ----------------------------------------------------------------------- */

static int
publish(struct making *x, uint32_t *number, struct err *e)
{
	struct merging *g = x->g;
	struct cat_run_sae run_sae[LIMIT_SAES];
	const char *sae_id[LIMIT_SAES];
	struct buf provenance;
	int rc;

	for (uint32_t i = 0; i < x->cat->n_saes; i++) {
		const struct pass_result *r = &x->result[i];

		sae_id[i] = sae_of(x, i)->id;
		run_sae[i] = (struct cat_run_sae){.n_tokens = r->n_tokens,
			.n_active = r->n_active,
			.n_alive = r->n_alive,
			.l0 = r->n_tokens > 0
				? (double)r->n_active / (double)r->n_tokens
				: 0,
			.explained = r->explained,
			.mse = r->mse};
	}
	buf_init(&provenance);
	rc = merge_provenance(&provenance, g, e);
	if (rc == 0) {
		struct store_publish p = {.model = &x->catalog->model[x->cat->model],
			.cut = g->cut_is_new ? &g->cut : NULL,
			.sae = g->sae,
			.n_saes = g->n_new_saes,
			.graph = (void *)g->graphs.made,
			.n_graphs = g->graphs.n_made,
			.run_id = x->id,
			.run_cut_id = g->cut.id,
			.provenance = buf_str(&provenance),
			.run_sae_id = sae_id,
			.run_sae = run_sae,
			.n_run_saes = x->cat->n_saes};

		rc = store_publish(g->m->store, &p, number, e);
	}
	buf_clear(&provenance);
	return rc;
}

static void
report(const struct making *x, uint32_t number)
{
	const struct cat_cut *cut = &x->g->cut;

	progress_wipe(&x->g->m->progress);
	printf("run %u: %llu tokens of %s in %u windows, %u documents; merged from %u "
	       "%s\n",
		number, (unsigned long long)cut->n_tokens, cut->name, cut->n_windows,
		cut->n_documents, x->g->features != NULL ? x->g->features->n : x->g->n,
		x->g->features != NULL ? "ranges of features" : "runs");
	for (uint32_t i = 0; i < x->cat->n_saes; i++)
		report_sae(sae_of(x, i)->name, &x->result[i], 0, 0);
}

/* ---- one run ---------------------------------------------------------------------------- */

static int
make(struct making *x, struct err *e)
{
	struct merging *g = x->g;
	uint32_t number = 0, n_vocab = x->catalog->model[x->cat->model].n_vocab;

	if (read_options(x, e) < 0 || find_memory(x, e) < 0 ||
		(g->features != NULL ? merge_features_cut(g, e) : merge_cut(g, e)) <
			0 ||
		merge_run_id(x->id, g, e) < 0 ||
		run_writer_new(&x->writer, &number, g->m->store, x->id, x->cat->n_saes,
			x->d_sae, e) < 0)
		return e->code;
	if (x->writer == NULL) {
		progress_wipe(&g->m->progress);
		printf("run %u is there already: it is what merging would give\n",
			number);
		return 0;
	}
	if (merge_saes(g, e) < 0 ||
		windows_load(&x->windows, g->m->store, g->cut.id, g->cut.n_windows,
			x->excluded, n_vocab, e) < 0 ||
		count(x, e) < 0 || finish(x, e) < 0 || stop_check(e) < 0 ||
		publish(x, &number, e) < 0)
		return e->code;
	report(x, number);
	return 0;
}

static void
make_clear(struct making *x)
{
	struct merging *g = x->g;

	for (uint32_t i = 0; x->result != NULL && i < x->cat->n_saes; i++)
		pass_result_clear(&x->result[i]);
	mem_free(x->result);
	mem_free(x->excluded);
	words_clear(&x->words);
	windows_clear(&x->windows);
	run_writer_free(x->writer);
	graphs_clear(&g->graphs);
	stored_clear(&g->stored);
	mem_free(g->sae);
	mem_free(g->from);
	merge_features_clear(g);
}

static int
merge_set(struct merge *m, uint32_t set, struct err *e)
{
	const struct merge_shard *first = &m->shard[(size_t)set * m->n_inputs];
	struct merging g = {.m = m, .shard = first, .n = m->n_inputs};
	struct making x = {.g = &g, .windows.file.fd = -1};
	int rc = merge_features_find(&g, e);

	first = g.shard;
	x.catalog = first->in->catalog;
	x.cat = first->cat;
	for (uint32_t i = 0; i < x.cat->n_saes; i++)
		x.d_sae[i] = sae_of(&x, i)->d_sae;
	g.from = mem_new(g.n, sizeof(*g.from));
	if (rc == 0 && g.from == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to merge");
	for (uint32_t i = 0; i < g.n && rc == 0; i++) {
		const struct merge_shard *s = &first[i];

		g.from[i] = (struct stored_run){.view = s->in->view,
			.run = s->run,
			.name = s->name};
		memcpy(g.from[i].slot, s->slot, sizeof(s->slot));
	}
	if (rc == 0)
		rc = make(&x, e);
	make_clear(&x);
	return rc;
}

int
merge_run(const struct options *o, struct err *e)
{
	struct merge m = {.options = o,
		.memory_bytes = o->memory_bytes != 0 ? o->memory_bytes
						     : machine_memory_bytes() / 2};
	int rc = plan_memory_begin(o->store, m.memory_bytes, e);

	if (rc == 0)
		rc = merge_pick(&m, e);
	progress_init(&m.progress, o->quiet, o->progress_interval_s);
	if (rc == 0)
		rc = pool_new(&m.pool,
			o->threads != 0 ? (size_t)o->threads : pool_cpus(), e);
	if (rc == 0)
		rc = store_open(&m.store, o->store, STORE_CREATE, e);
	for (uint32_t set = 0; set < m.n_sets && rc == 0; set++)
		rc = merge_set(&m, set, e);
	progress_wipe(&m.progress);
	store_close(m.store);
	pool_free(m.pool);
	merge_unpick(&m);
	paged_end();
	return rc;
}
