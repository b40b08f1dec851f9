/* SPDX-License-Identifier: ISC */
#include "indexer/index.h"

#include "indexer/approximate.h"
#include "indexer/cooccur.h"
#include "indexer/cut.h"
#include "indexer/describe.h"
#include "indexer/directions.h"
#include "indexer/feed_cut.h"
#include "indexer/finish.h"
#include "indexer/graphs.h"
#include "indexer/pass.h"
#include "indexer/plan.h"
#include "indexer/provenance.h"
#include "indexer/reading.h"
#include "indexer/report.h"
#include "indexer/resume.h"
#include "indexer/reuse.h"
#include "indexer/stop.h"
#include "indexer/windows.h"
#include "indexer/words.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/paged.h"

#include <stdio.h>
#include <string.h>

/* One group of SAEs on its way to being a run. */
struct run {
	const struct plan *plan;
	const struct plan_group *group;
	struct store *store;
	struct pool *pool;
	struct progress *progress;
	struct report *report;
	struct spool *spool;
	const struct fed *fed; /* windows as they came; NULL: cut from the spool */
	struct cat_cut cut;
	bool cut_is_new;
	char id[STORE_ID_CHARS];
	struct run_writer *writer;
	struct cat_sae *sae; /* (n_new_saes) */
	uint32_t n_new_saes;
	struct graphs graphs;
	struct windows windows;
	struct reuse reuse;
	struct words words;
	struct pass_result *result; /* (group->n_saes) */
	struct plan_memory memory;
	struct checkpoints checkpoints;
	double pass_s;
};

static const struct plan_sae *
sae_of(const struct run *r, uint32_t slot)
{
	return &r->plan->sae[r->group->sae[slot]];
}

/* Whether active features came with the windows: else the model runs. */
static bool
is_fed(const struct run *r)
{
	return r->plan->n_sources > 0;
}

/* ---- SAEs that the store has not ------------------------------------------------ */

/* Whether an SAE that the store has came without its logit effects. */
static int
tell_lack(const struct run *r, const struct plan_sae *s, uint32_t sae, struct err *e)
{
	struct store_place place = {TABLE_LOGITS, sae, 0};
	struct store_value value = {0};
	struct store_view *view = NULL;
	uint32_t feature = 0;
	struct arena arena;
	int rc;

	if (r->plan->end != 0 || !logits_possible(r->plan->lm, s->sae))
		return 0;
	arena_init(&arena, 0);
	rc = store_view_open(&view, r->store, e);
	if (rc == 0)
		rc = store_mget(view, place, &feature, 1, &value, &arena, e);
	if (rc == 0 && value.p == NULL)
		log_put(LOG_WARNING,
			"%s is in the store without logit effects, from a run of a "
			"range of its features or from one made elsewhere; an index "
			"into another store has them",
			s->name);
	store_view_close(view);
	arena_clear(&arena);
	return rc;
}

static int
write_sae(struct run *r, const struct plan_sae *s, struct err *e)
{
	struct cat_sae *info = &r->sae[r->n_new_saes];
	uint32_t n_vocab = r->plan->n_vocab;
	struct sae_writer *w = NULL;
	int64_t have;
	int rc;

	if (tok_n_vocab(r->plan->tok) < n_vocab)
		n_vocab = (uint32_t)tok_n_vocab(r->plan->tok);
	describe_sae(info, r->plan, s);
	pool_stage(r->pool, STAGE_LOGITS);
	rc = sae_writer_new(&w, &have, r->store, info, s->sae->w_dec, s->sae->w_enc, e);
	if (rc == 0 && have >= 0)
		rc = tell_lack(r, s, (uint32_t)have, e);
	if (rc < 0 || have >= 0)
		return rc;
	/* else it is pending, and whole; of a range merge computes them, once for all */
	if (w != NULL && r->plan->end == 0)
		rc = logits_write(w, r->plan->lm, s->sae, n_vocab, r->pool, e);
	if (rc == 0 && w != NULL)
		rc = sae_writer_finish(w, e);
	sae_writer_free(w);
	r->n_new_saes++;
	return rc;
}

static int
write_saes(struct run *r, struct err *e)
{
	r->sae = mem_new(r->group->n_saes, sizeof(*r->sae));
	if (r->sae == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the SAEs");
	for (uint32_t i = 0; i < r->group->n_saes; i++)
		if (write_sae(r, sae_of(r, i), e) < 0 || stop_check(e) < 0)
			return e->code;
	return 0;
}

static int
write_graphs(struct run *r, struct err *e)
{
	struct graph_sae sae[LIMIT_SAES];
	struct graphs_job job = {.store = r->store,
		.pool = r->pool,
		.progress = r->progress,
		.model_id = r->plan->model_id,
		.sae = sae,
		.n_saes = r->group->n_saes,
		.rule = r->plan->options->neighbors};

	if (r->plan->end != 0) /* merge computes them, once for all ranges */
		return 0;
	pool_stage(r->pool, STAGE_NEIGHBORS);
	for (uint32_t i = 0; i < r->group->n_saes; i++) {
		const struct plan_sae *s = sae_of(r, i);

		sae[i] = (struct graph_sae){.id = s->id,
			.stream = s->stream,
			.name = s->name,
			.rows = s->sae->w_dec,
			.d_sae = s->sae->info.d_sae,
			.d_out = s->sae->info.d_out};
	}
	return graphs_write(&r->graphs, &job, e);
}

/* ---- the run ------------------------------------------------------------------------ */

static int
feed_job(struct run *r, struct cut_job *job, int64_t *have, struct err *e)
{
	job->n_vocab = r->fed->feed.n_vocab;
	return feed_cut(job, &r->fed->feed, &r->cut, have, e);
}

static int
write_cut(struct run *r, struct err *e)
{
	const struct options *o = r->plan->options;
	struct cut_job job = {.store = r->store,
		.spool = r->spool,
		.tok = r->plan->tok,
		.pool = r->pool,
		.progress = r->progress,
		.corpus_name = r->plan->corpus_name,
		.n_vocab = r->plan->n_vocab,
		.rule = {.context = r->group->context,
			.prepend_bos = r->group->prepend_bos,
			.joined = o->joined,
			.bos = tok_bos(r->plan->tok),
			.max_tokens = o->max_tokens}};
	struct store_view *view = NULL;
	int64_t have;
	int rc;

	progress_phase(r->progress, "cutting");
	pool_stage(r->pool, STAGE_CUT);
	strcpy(job.tokenizer_sha256, r->plan->tokenizer_sha256);
	if (r->fed != NULL)
		rc = feed_job(r, &job, &have, e);
	else
		rc = cut_write(&job, &r->cut, &have, e);
	r->cut_is_new = have < 0;
	if (rc < 0 || have < 0)
		return rc;
	if (store_view_open(&view, r->store, e) < 0)
		return e->code;
	r->cut = store_view_catalog(view)->cut[have];
	store_view_close(view);
	return 0;
}

/* What another run has already; the windows are loaded for that. */
static int
find_reuse(struct run *r, struct err *e)
{
	if (r->fed != NULL || r->plan->end != 0 || r->plan->options->fresh)
		return 0;
	return reuse_find(&r->reuse, r->store, r->id, r->plan, r->group, &r->cut,
		r->spool, &r->windows, e);
}

/* A writer for the run, unless the store has it: then r->writer stays NULL. */
static int
begin(struct run *r, uint32_t *have, struct err *e)
{
	uint32_t d_sae[LIMIT_SAES];

	for (uint32_t i = 0; i < r->group->n_saes; i++)
		d_sae[i] = sae_of(r, i)->sae->info.d_sae;
	if (provenance_run_id(r->id, r->plan, r->group, &r->cut, r->fed, e) < 0 ||
		windows_load(&r->windows, r->store, r->cut.id, r->cut.n_windows,
			r->plan->excluded, r->plan->n_vocab, e) < 0 ||
		find_reuse(r, e) < 0)
		return e->code;
	resume_init(&r->checkpoints, r->plan, r->group);
	return resume_run(&r->writer, &r->checkpoints, &r->reuse, have, r->store, r->id,
		r->group->n_saes, d_sae, e);
}

static void
tell_reuse(const struct run *r)
{
	if (r->reuse.cat == NULL)
		return;
	progress_wipe(r->progress);
	printf("%u of %u windows taken from run %u\n", r->reuse.n_windows,
		r->cut.n_windows, r->reuse.cat->number);
	fflush(stdout);
}

static int
run_pass(struct run *r, struct err *e)
{
	const struct options *o = r->plan->options;
	const struct sae *sae[LIMIT_SAES];
	uint32_t hook[LIMIT_SAES], out[LIMIT_SAES], d_sae[LIMIT_SAES];
	struct act_source source = {0};
	struct pass_job job = {.lm = is_fed(r) ? NULL : r->plan->lm,
		.pool = r->pool,
		.windows = &r->windows,
		.writer = r->writer,
		.progress = r->progress,
		.hook = r->group->hook,
		.n_hooks = is_fed(r) ? 0 : r->group->n_hooks,
		.source = is_fed(r) ? &source : NULL,
		.sae = sae,
		.d_sae = d_sae,
		.hook_of = hook,
		.out_of = out,
		.n_saes = r->group->n_saes,
		.first = r->plan->first,
		.end = r->plan->end,
		.checkpoints = &r->checkpoints,
		.examples = (uint32_t)o->examples,
		.dedup_radius = (uint32_t)o->dedup_radius};
	int rc;

	for (uint32_t i = 0; i < r->group->n_saes; i++) {
		sae[i] = sae_of(r, i)->sae;
		hook[i] = sae_of(r, i)->hook;
		out[i] = sae_of(r, i)->out;
		d_sae[i] = sae[i]->info.d_sae;
	}
	if (is_fed(r))
		source = feed_source(&r->fed->feed);
	if (r->reuse.cat != NULL) {
		job.source = &r->reuse.source;
		job.before = r->reuse.sums;
	}
	r->result = mem_new(r->group->n_saes, sizeof(*r->result));
	if (r->result == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the features' statistics");
	rc = plan_memory(r->plan, r->group, &job, &r->memory, e);
	if (rc < 0)
		return rc;
	job.batch_tokens = r->memory.batch_tokens;
	job.hits_bytes = r->memory.hits_bytes;
	progress_phase(r->progress, is_fed(r) ? "counting" : "model");
	tell_reuse(r);
	resume_tell(&r->checkpoints, r->id, &r->windows, r->progress);
	rc = pass_run(&job, r->result, e);
	r->pass_s = progress_elapsed_s(r->progress);
	pool_stage(r->pool, STAGE_WRITE);
	for (uint32_t i = 0; is_fed(r) && i < r->group->n_saes; i++) {
		r->result[i].explained = r->fed->ingest.fit[i].explained;
		r->result[i].mse = r->fed->ingest.fit[i].mse;
	}
	return rc == 0 ? run_writer_acts_done(r->writer, e) : rc;
}

/* Of a range of features merge counts it, once for all. */
static int
count_pairs(struct run *r, struct err *e)
{
	struct cooccur_job job = {.pool = r->pool,
		.windows = &r->windows,
		.writer = r->writer,
		.progress = r->progress,
		.pass = r->result,
		.n_slots = r->group->n_saes,
		.rule = r->plan->options->cooccurrence,
		.memory_bytes = r->memory.finish_bytes};
	int rc;

	if (r->plan->end != 0)
		return 0;
	pool_stage(r->pool, STAGE_COOCCUR);
	rc = cooccur_write(&job, e);
	pool_stage(r->pool, STAGE_FEATURES);
	return rc;
}

static int
finish(struct run *r, struct err *e)
{
	struct finish_job job = {.pool = r->pool,
		.windows = &r->windows,
		.writer = r->writer,
		.progress = r->progress,
		.words = &r->words,
		.interval_samples = (uint32_t)r->plan->options->interval_samples,
		.seed = r->plan->options->seed,
		.memory_bytes = r->memory.finish_bytes,
		.first = r->plan->first,
		.end = r->plan->end};

	progress_phase(r->progress, "features");
	pool_stage(r->pool, STAGE_FEATURES);
	if (is_fed(r))
		r->windows.patch = r->fed->feed.n_vocab;
	if (words_count(&r->words, &r->windows, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < r->group->n_saes; i++) {
		job.slot = i;
		job.pass = &r->result[i];
		if (finish_sae(&job, e) < 0)
			return e->code;
	}
	if (count_pairs(r, e) < 0)
		return e->code;
	return run_writer_finish(r->writer, e);
}

/* ---- publishing ------------------------------------------------------------------- */

static int
publish(struct run *r, uint32_t *number, struct err *e)
{
	struct cat_run_sae run_sae[LIMIT_SAES];
	const char *sae_id[LIMIT_SAES];
	struct cat_model model;
	struct buf provenance;
	int rc;

	pool_stage(r->pool, STAGE_PUBLISH);
	describe_model(&model, r->plan);
	for (uint32_t i = 0; i < r->group->n_saes; i++) {
		const struct pass_result *x = &r->result[i];

		sae_id[i] = sae_of(r, i)->id;
		run_sae[i] = (struct cat_run_sae){.n_tokens = x->n_tokens,
			.n_active = x->n_active,
			.n_alive = x->n_alive,
			.l0 = x->n_tokens > 0
				? (double)x->n_active / (double)x->n_tokens
				: 0,
			.explained = x->explained,
			.mse = x->mse,
			.first = r->plan->first,
			.end = r->plan->end};
	}
	buf_init(&provenance);
	rc = provenance_write(&provenance, r->plan, r->group, &r->cut, r->fed,
		&r->reuse, e);
	if (rc == 0) {
		struct store_publish p = {.model = &model,
			.cut = r->cut_is_new ? &r->cut : NULL,
			.sae = r->sae,
			.n_saes = r->n_new_saes,
			.graph = (void *)r->graphs.made,
			.n_graphs = r->graphs.n_made,
			.run_id = r->id,
			.run_cut_id = r->cut.id,
			.provenance = buf_str(&provenance),
			.run_sae_id = sae_id,
			.run_sae = run_sae,
			.n_run_saes = r->group->n_saes};

		rc = store_publish(r->store, &p, number, e);
	}
	buf_clear(&provenance);
	return rc;
}

static void
run_clear(struct run *r)
{
	for (uint32_t i = 0; r->result != NULL && i < r->group->n_saes; i++)
		pass_result_clear(&r->result[i]);
	mem_free(r->result);
	mem_free(r->sae);
	reuse_clear(&r->reuse);
	words_clear(&r->words);
	windows_clear(&r->windows);
	run_writer_free(r->writer);
	graphs_clear(&r->graphs);
}

static int
tell(const struct run *r, uint32_t number, struct err *e)
{
	const struct report_run x = {.plan = r->plan,
		.group = r->group,
		.fed = r->fed,
		.cut = &r->cut,
		.id = r->id,
		.number = number,
		.is_new = r->writer != NULL,
		.windows = &r->windows,
		.result = r->result,
		.checkpoints = &r->checkpoints,
		.memory = &r->memory,
		.reuse = &r->reuse,
		.pass_s = r->pass_s};

	report_print(&x);
	return report_add(r->report, &x, e);
}

static int
run_all(struct run *r, uint32_t *run_number, struct err *e)
{
	uint32_t number = 0;

	if (write_cut(r, e) < 0 || begin(r, &number, e) < 0)
		return e->code;
	if (r->writer == NULL) {
		progress_wipe(r->progress);
		*run_number = number;
		return tell(r, number, e);
	}
	if (write_saes(r, e) < 0 || write_graphs(r, e) < 0 || run_pass(r, e) < 0 ||
		finish(r, e) < 0 || stop_check(e) < 0 || publish(r, &number, e) < 0)
		return e->code;
	progress_wipe(r->progress);
	*run_number = number;
	return tell(r, number, e);
}

/* ---- the command ------------------------------------------------------------------- */

/* What all groups share. */
struct indexing {
	struct plan plan;
	struct store *store;
	struct pool *pool;
	struct progress progress;
	struct report report;
	struct stopwatch open; /* of what is done before there is a pool */
	struct spool spool;
	struct fed fed;
	uint32_t run; /* number of the last one made */
};

static int
run_group(struct indexing *x, uint32_t i, struct err *e)
{
	bool fed = x->plan.n_sources > 0 || x->plan.rows;
	struct run r = {.plan = &x->plan,
		.group = &x->plan.group[i],
		.store = x->store,
		.pool = x->pool,
		.progress = &x->progress,
		.report = &x->report,
		.spool = fed ? &x->fed.feed.spool : &x->spool,
		.fed = fed ? &x->fed : NULL};
	int rc = run_all(&r, &x->run, e);

	run_clear(&r);
	return rc;
}

static int
read_all(struct indexing *x, const struct options *o, struct err *e)
{
	if (x->plan.n_sources > 0)
		return reading_shards(&x->fed, &x->plan, x->pool, &x->progress, e);
	if (x->plan.rows)
		return reading_rows(&x->fed, &x->plan, &x->progress, e);
	return reading_corpus(o, &x->spool, &x->progress, e);
}

static int
open_all(struct indexing *x, const struct options *o, struct err *e)
{
	stopwatch_go(&x->open, STAGE_OPEN);
	progress_init(&x->progress, o->quiet, o->progress_interval_s);
	if (report_open(&x->report, o->report, e) < 0 ||
		plan_open(&x->plan, o, e) < 0 ||
		pool_new(&x->pool, x->plan.n_threads, e) < 0 ||
		plan_memory_check(&x->plan, x->pool, e) < 0 ||
		store_open(&x->store, o->store, STORE_CREATE, e) < 0 ||
		plan_check_store(&x->plan, x->store, e) < 0 ||
		resume_keep(x->store, &x->plan, e) < 0)
		return e->code;
	stopwatch_rest(&x->open);
	pool_stage(x->pool, STAGE_READ);
	progress_watch(&x->progress, x->pool);
	return 0;
}

/* Beside weights that are in memory still. */
static int
write_indexes(struct indexing *x, const struct options *o, struct err *e)
{
	uint64_t used = paged_in_memory();
	struct approximate_job job = {.store = x->store,
		.progress = &x->progress,
		.rule = o->ann,
		.memory_bytes =
			x->plan.memory_bytes > used ? x->plan.memory_bytes - used : 0,
		.n_threads = x->plan.n_threads};
	int rc = 0;

	if (x->plan.end != 0) /* as graphs are: once, for all ranges */
		return 0;
	pool_stage(x->pool, STAGE_NEIGHBORS);
	for (uint32_t i = 0; i < x->plan.n_saes && rc == 0; i++)
		rc = approximate_write(&job, x->plan.sae[i].id, e);
	return rc;
}

int
index_run(const struct options *o, struct err *e)
{
	struct indexing *x = mem_new(1, sizeof(*x));
	int rc;

	if (x == NULL)
		return err_set(e, ERR_NOMEM, "no memory to index");
	x->spool.file.fd = -1;
	rc = open_all(x, o, e);
	if (rc == 0)
		rc = read_all(x, o, e);
	x->plan.corpus_bytes = x->spool.cap * sizeof(*x->spool.doc);
	if (rc == 0)
		rc = plan_memory_check(&x->plan, x->pool, e);
	for (uint32_t i = 0; i < x->plan.n_groups && rc == 0; i++)
		rc = run_group(x, i, e);
	if (rc == 0)
		rc = write_indexes(x, o, e);
	progress_wipe(&x->progress);
	if (rc == 0)
		rc = report_end(&x->report, &x->plan, x->pool, &x->open, o->quiet, e);
	fed_clear(&x->fed, x->run, e);
	report_clear(&x->report);
	spool_clear(&x->spool);
	pool_free(x->pool);
	store_close(x->store);
	plan_close(&x->plan);
	mem_free(x);
	return rc;
}
