/* SPDX-License-Identifier: ISC */
#include "indexer/index.h"

#include "indexer/cut.h"
#include "indexer/directions.h"
#include "indexer/feed_cut.h"
#include "indexer/finish.h"
#include "indexer/graphs.h"
#include "indexer/pass.h"
#include "indexer/plan.h"
#include "indexer/provenance.h"
#include "indexer/reading.h"
#include "indexer/resume.h"
#include "indexer/stats.h"
#include "indexer/stop.h"
#include "indexer/windows.h"
#include "indexer/words.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* One group of SAEs on its way to being a run. */
struct run {
	const struct plan *plan;
	const struct plan_group *group;
	struct store *store;
	struct pool *pool;
	struct progress *progress;
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

static void
describe_sae(const struct run *r, const struct plan_sae *s, struct cat_sae *out)
{
	const struct sae_info *info = &s->sae->info;

	*out = (struct cat_sae){.d_in = info->d_in,
		.d_out = info->d_out,
		.d_sae = info->d_sae,
		.k = info->k,
		.context = info->context_size,
		.prepend_bos = info->prepend_bos,
		.created_s = (int64_t)time(NULL)};
	memcpy(out->hash, s->sae->hash, sizeof(out->hash));
	strcpy(out->id, s->id);
	strcpy(out->name, s->name);
	strcpy(out->model_id, r->plan->model_id);
	strcpy(out->hook, s->stream);
	strcpy(out->family, info->family);
	strcpy(out->architecture, info->architecture);
	strcpy(out->rules, info->rules);
	snprintf(out->kind, sizeof(out->kind), "%s", sae_kind_name(info->kind));
	hash_hex(s->sae->file_hash, 32, out->weights_sha256);
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
	describe_sae(r, s, info);
	rc = sae_writer_new(&w, &have, r->store, info, s->sae->w_dec, e);
	if (rc < 0 || have >= 0)
		return rc;
	if (w != NULL) /* else it is pending, and whole */
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

/* A writer for the run, unless the store has it: then r->writer stays NULL. */
static int
begin(struct run *r, uint32_t *have, struct err *e)
{
	uint32_t d_sae[LIMIT_SAES];

	for (uint32_t i = 0; i < r->group->n_saes; i++)
		d_sae[i] = sae_of(r, i)->sae->info.d_sae;
	if (provenance_run_id(r->id, r->plan, r->group, &r->cut, r->fed, e) < 0)
		return e->code;
	resume_init(&r->checkpoints, r->plan, r->group);
	return resume_run(&r->writer, &r->checkpoints, have, r->store, r->id,
		r->group->n_saes, d_sae, e);
}

static int
run_pass(struct run *r, struct err *e)
{
	const struct options *o = r->plan->options;
	const struct sae *sae[LIMIT_SAES];
	uint32_t hook[LIMIT_SAES], out[LIMIT_SAES];
	struct pass_job job = {.lm = is_fed(r) ? NULL : r->plan->lm,
		.pool = r->pool,
		.windows = &r->windows,
		.writer = r->writer,
		.progress = r->progress,
		.hook = r->group->hook,
		.n_hooks = is_fed(r) ? 0 : r->group->n_hooks,
		.feed = is_fed(r) ? &r->fed->feed : NULL,
		.sae = sae,
		.hook_of = hook,
		.out_of = out,
		.n_saes = r->group->n_saes,
		.checkpoints = &r->checkpoints,
		.examples = (uint32_t)o->examples,
		.dedup_radius = (uint32_t)o->dedup_radius};
	int rc;

	for (uint32_t i = 0; i < r->group->n_saes; i++) {
		sae[i] = sae_of(r, i)->sae;
		hook[i] = sae_of(r, i)->hook;
		out[i] = sae_of(r, i)->out;
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
	resume_tell(&r->checkpoints, r->id, &r->windows, r->progress);
	rc = pass_run(&job, r->result, e);
	r->pass_s = progress_elapsed_s(r->progress);
	for (uint32_t i = 0; is_fed(r) && i < r->group->n_saes; i++) {
		r->result[i].explained = r->fed->ingest.fit[i].explained;
		r->result[i].mse = r->fed->ingest.fit[i].mse;
	}
	return rc == 0 ? run_writer_acts_done(r->writer, e) : rc;
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
		.memory_bytes = r->memory.finish_bytes};

	progress_phase(r->progress, "features");
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
	return run_writer_finish(r->writer, e);
}

/* ---- publishing ------------------------------------------------------------------- */

static void
describe_model(const struct run *r, struct cat_model *m)
{
	const struct lm_info *lm = lm_info(r->plan->lm);

	*m = (struct cat_model){.n_layers = lm->n_layers,
		.d_model = lm->d_model,
		.n_vocab = lm->n_vocab,
		.n_ctx = lm->n_ctx,
		.n_params = lm_can_run(r->plan->lm) ? lm->n_params : 0,
		.created_s = (int64_t)time(NULL)};
	strcpy(m->id, r->plan->model_id);
	strcpy(m->name, r->plan->model_name);
	snprintf(m->family, sizeof(m->family), "%s", lm->family);
	snprintf(m->architecture, sizeof(m->architecture), "%s", lm->architecture);
	snprintf(m->dtype_file, sizeof(m->dtype_file), "%s", lm->dtype_file);
	strcpy(m->weights_sha256, r->plan->weights_sha256);
	strcpy(m->tokenizer_sha256, r->plan->tokenizer_sha256);
}

static int
publish(struct run *r, uint32_t *number, struct err *e)
{
	struct cat_run_sae run_sae[LIMIT_SAES];
	const char *sae_id[LIMIT_SAES];
	struct cat_model model;
	struct buf provenance;
	int rc;

	describe_model(r, &model);
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
			.mse = x->mse};
	}
	buf_init(&provenance);
	rc = provenance_write(&provenance, r->plan, r->group, &r->cut, r->fed, e);
	if (rc == 0) {
		struct store_publish p = {.model = &model,
			.cut = r->cut_is_new ? &r->cut : NULL,
			.sae = r->sae,
			.n_saes = r->n_new_saes,
			.graph = (void *)r->graphs.graph,
			.n_graphs = r->graphs.n_graphs,
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
report_sae(const struct run *r, uint32_t i)
{
	const struct pass_result *x = &r->result[i];
	char explained[STATS_CHARS];

	stats_explained(explained, x->explained);
	printf("  %-16s L0 %.1f, explained variance %s, %llu of %u features dead among "
	       "%llu tokens\n",
		sae_of(r, i)->name,
		x->n_tokens ? (double)x->n_active / (double)x->n_tokens : 0, explained,
		(unsigned long long)(x->state.n_features - x->n_alive),
		x->state.n_features, (unsigned long long)x->n_tokens);
}

static void
report(const struct run *r, uint32_t number)
{
	uint64_t n = windows_n_tokens(&r->windows);
	uint64_t before = r->windows.token_at[r->checkpoints.from];
	double s = is_fed(r) ? r->fed->ingest.seconds : r->pass_s;

	printf("run %u: %llu tokens of %s in %u windows, %u documents; %.1f s of %s at "
	       "%.0f tokens/s\n",
		number, (unsigned long long)n, r->cut.name, r->cut.n_windows,
		r->cut.n_documents, s,
		!is_fed(r)                 ? "model"
			: r->plan->latents ? "reading"
					   : "encoding",
		s > 0 ? (double)(n - before) / s : 0);
	for (uint32_t i = 0; i < r->group->n_saes; i++)
		report_sae(r, i);
	if (r->checkpoints.n > 0)
		printf("  %u checkpoints took %.2f s\n", r->checkpoints.n,
			r->checkpoints.seconds);
}

static void
run_clear(struct run *r)
{
	for (uint32_t i = 0; r->result != NULL && i < r->group->n_saes; i++)
		pass_result_clear(&r->result[i]);
	mem_free(r->result);
	mem_free(r->sae);
	words_clear(&r->words);
	windows_clear(&r->windows);
	run_writer_free(r->writer);
	graphs_clear(&r->graphs);
}

static int
run_all(struct run *r, uint32_t *run_number, struct err *e)
{
	uint32_t number = 0;

	if (write_cut(r, e) < 0 || begin(r, &number, e) < 0)
		return e->code;
	if (r->writer == NULL) {
		progress_wipe(r->progress);
		printf("run %u is there already: the same model, SAEs, corpus and "
		       "options\n",
			number);
		*run_number = number;
		return 0;
	}
	if (write_saes(r, e) < 0 ||
		graphs_write(&r->graphs, r->plan, r->group, r->store, r->pool,
			r->progress, e) < 0 ||
		windows_load(&r->windows, r->store, r->cut.id, r->cut.n_windows,
			r->plan->excluded, r->plan->n_vocab, e) < 0 ||
		run_pass(r, e) < 0 || finish(r, e) < 0 || stop_check(e) < 0 ||
		publish(r, &number, e) < 0)
		return e->code;
	progress_wipe(r->progress);
	report(r, number);
	*run_number = number;
	return 0;
}

/* ---- the command ------------------------------------------------------------------- */

/* What all groups share. */
struct indexing {
	struct plan plan;
	struct store *store;
	struct pool *pool;
	struct progress progress;
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

int
index_run(const struct options *o, struct err *e)
{
	struct indexing *x = mem_new(1, sizeof(*x));
	int rc;

	if (x == NULL)
		return err_set(e, ERR_NOMEM, "no memory to index");
	x->spool.file.fd = -1;
	rc = plan_open(&x->plan, o, e);
	progress_init(&x->progress, o->quiet, o->progress_interval_s);
	if (rc == 0)
		rc = pool_new(&x->pool, x->plan.n_threads, e);
	if (rc == 0)
		rc = plan_memory_check(&x->plan, x->pool, e);
	if (rc == 0)
		rc = store_open(&x->store, o->store, STORE_CREATE, e);
	if (rc == 0)
		rc = plan_check_store(&x->plan, x->store, e);
	if (rc == 0)
		rc = resume_keep(x->store, &x->plan, e);
	if (rc == 0)
		rc = read_all(x, o, e);
	x->plan.corpus_bytes = x->spool.cap * sizeof(*x->spool.doc);
	if (rc == 0)
		rc = plan_memory_check(&x->plan, x->pool, e);
	for (uint32_t i = 0; i < x->plan.n_groups && rc == 0; i++)
		rc = run_group(x, i, e);
	progress_wipe(&x->progress);
	fed_clear(&x->fed, x->run, e);
	spool_clear(&x->spool);
	pool_free(x->pool);
	store_close(x->store);
	plan_close(&x->plan);
	mem_free(x);
	return rc;
}
