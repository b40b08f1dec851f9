/* SPDX-License-Identifier: ISC */
/*
 * Small parts of an index, done as the index does them.
 */
#include "indexer/collect.h"
#include "indexer/cooccur.h"
#include "indexer/cut.h"
#include "indexer/estimate_int.h"
#include "indexer/finish.h"
#include "indexer/machine.h"
#include "indexer/stop.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_BYTES ((uint64_t)8 << 20) /* of text */
#define FILE_LEAST ((uint64_t)256 << 10) /* of one file's text, if it has as much */
#define FILES_MOST 64

/* ---- text ----------------------------------------------------------------------- */

/* Documents of one file, until there are n_bytes of text; adds what all of it would
 * have. */
static int
read_file(struct estimate *x, const char *path, uint64_t n_bytes, struct buf *b,
	struct err *e)
{
	const struct options *o = x->plan.options;
	const struct corpus_rules rules = {o->text_field, o->id_field, o->strict,
		o->lines};
	uint64_t done, total, text = x->spool.n_bytes, docs = x->spool.n_docs;
	struct corpus *c = NULL;
	struct document d;
	double all = 1;
	int rc = corpus_open(&c, &path, 1, &rules, e);

	while (rc == 0 && x->spool.n_bytes - text < n_bytes) {
		rc = corpus_next(c, &d, e);
		if (rc <= 0)
			break;
		rc = spool_add(&x->spool, &d, b, e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc == 0 && x->spool.n_bytes - text >= n_bytes) {
			corpus_progress(c, &done, &total);
			if (done > 0 && done < total)
				all = (double)total / (double)done;
		}
	}
	corpus_close(c);
	x->exact &= all <= 1;
	x->n_text_bytes += all * (double)(x->spool.n_bytes - text);
	x->n_documents += all * (double)(x->spool.n_docs - docs);
	return rc < 0 ? rc : 0;
}

static uint64_t
size_of(const char *path)
{
	uint64_t n = 0;

	return file_size(path, &n, NULL) == 0 ? n : 0;
}

/* Every step-th file, a share of the sample each by its size. */
static int
read_files(struct estimate *x, struct err *e)
{
	const struct option_list *l = &x->plan.options->corpus;
	size_t step = (l->n + FILES_MOST - 1) / FILES_MOST;
	double read = 0;
	struct buf b;
	int rc = 0;

	buf_init(&b);
	for (size_t i = 0; i < l->n; i++)
		x->n_file_bytes += (double)size_of(l->item[i]);
	for (size_t i = 0; i < l->n && rc == 0; i += step) {
		double size = (double)size_of(l->item[i]) * (double)step;
		uint64_t n = x->n_file_bytes > 0
			? (uint64_t)(size / x->n_file_bytes * (double)SAMPLE_BYTES)
			: 0;

		rc = read_file(x, l->item[i], n > FILE_LEAST ? n : FILE_LEAST, &b, e);
		read += (double)size_of(l->item[i]);
	}
	if (step > 1 && read > 0) {
		x->exact = false;
		x->n_text_bytes *= x->n_file_bytes / read;
		x->n_documents *= x->n_file_bytes / read;
	}
	buf_clear(&b);
	return rc;
}

int
estimate_read(struct estimate *x, struct err *e)
{
	struct pool_time before[STOPWATCH_STAGES], after[STOPWATCH_STAGES];
	int rc = spool_open(&x->spool, x->dir, e);

	pool_stage(x->pool, STAGE_READ);
	pool_times(x->pool, before);
	x->exact = true;
	if (rc == 0)
		rc = read_files(x, e);
	if (rc == 0 && x->spool.n_bytes == 0)
		rc = err_set(e, ERR_FORMAT,
			"the corpus is empty: %zu documents, no text", x->spool.n_docs);
	if (rc == 0)
		rc = spool_done(&x->spool, e);
	pool_times(x->pool, after);
	x->read =
		(struct pool_time){after[STAGE_READ].wall_s - before[STAGE_READ].wall_s,
			after[STAGE_READ].busy_s - before[STAGE_READ].busy_s,
			after[STAGE_READ].cpu_s - before[STAGE_READ].cpu_s};
	return rc;
}

static struct cut_rule
rule_of(const struct estimate *x, const struct plan_group *g, uint64_t n_tokens)
{
	return (struct cut_rule){.context = g->context,
		.prepend_bos = g->prepend_bos,
		.joined = x->plan.options->joined,
		.bos = tok_bos(x->plan.tok),
		.max_tokens = n_tokens};
}

static int
drop_window(void *ctx, const struct rec_window *w, struct err *e)
{
	(void)ctx;
	(void)w;
	return stop_check(e);
}

static int
cut_sample(struct estimate *x, struct cutter *c, struct cut_tokens *t, struct err *e)
{
	const struct spool *s = &x->spool;
	size_t n;

	for (size_t at = 0; at < s->n_docs; at += n) {
		n = cut_tokens_batch(s, at);
		pool_stage(x->pool, STAGE_TOKENIZE);
		if (cut_tokens_run(t, x->plan.tok, x->pool, s, at, n, e) < 0)
			return e->code;
		pool_stage(x->pool, STAGE_OTHER);
		for (size_t i = 0; i < n; i++) {
			struct document d;

			spool_get(s, at + i, &d);
			if (cutter_document(c, (uint32_t)(at + i), d.text, &t->ids[i],
				    e) < 0)
				return e->code;
		}
	}
	return 0;
}

int
estimate_tokens(struct estimate *x, const struct plan_group *g, double *n_tokens,
	struct pool_time *took, struct err *e)
{
	struct pool_time before[STOPWATCH_STAGES], after[STOPWATCH_STAGES];
	const struct cut_rule rule = rule_of(x, g, 0);
	struct cut_tokens tokens = {0};
	struct stages_span span;
	struct cutter c = {0};
	int rc = cutter_init(&c, &rule, (struct window_sink){drop_window, NULL}, e);

	pool_times(x->pool, before);
	if (rc == 0)
		rc = cut_tokens_init(&tokens, x->plan.tok, x->plan.n_threads, e);
	if (rc == 0)
		rc = cut_sample(x, &c, &tokens, e);
	pool_times(x->pool, after);
	stages_span(&span, before, after);
	*took = span.of[STAGE_TOKENIZE];
	*n_tokens = (double)c.n_tokens_all;
	if (rc == 0 && c.n_tokens_all == 0)
		rc = err_set(e, ERR_FORMAT,
			"the corpus has not one window of %u tokens", g->context);
	cut_tokens_clear(&tokens);
	cutter_clear(&c);
	return rc;
}

/* ---- bytes ----------------------------------------------------------------------- */

const char *const estimate_file_name[ESTIMATE_FILES] = {
	[FILE_CUT_DB] = "cut.db",
	[FILE_WINDOW] = "window.mdb",
	[FILE_ACTS] = "acts.mdb",
	[FILE_FEATURE] = "feature.mdb",
	[FILE_FEATURE_DB] = "feature.db",
	[FILE_COOCCURRENCE] = "cooccurrence.mdb",
	[FILE_SUMS] = "sums",
	[FILE_DECODER] = "decoder.f32",
	[FILE_ENCODER] = "encoder.f32",
	[FILE_DECODER_CODES] = "decoder.i8",
	[FILE_ENCODER_CODES] = "encoder.i8",
	[FILE_LOGITS] = "logits.mdb",
	[FILE_NEIGHBORS] = "neighbors.mdb",
};

/* Of files by their names, in a directory and below. */
static int
add_bytes(double *sum, const char *dir, struct err *e)
{
	char path[PATH_BYTES], **names = NULL;
	size_t n = 0;
	int rc = dir_list(dir, &names, &n, e);

	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = path_join(path, e, "%s/%s", dir, names[i]);
		if (rc == 0 && file_is_dir(path))
			rc = add_bytes(sum, path, e);
		for (size_t k = 0; k < ESTIMATE_FILES && rc == 0; k++)
			if (strcmp(names[i], estimate_file_name[k]) == 0)
				sum[k] += (double)size_of(path);
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}

/* ---- a pass ------------------------------------------------------------------------ */

struct trial {
	struct estimate *x;
	const struct plan_group *g;
	struct cat_cut cut;
	struct windows windows;
	struct words words;
	struct run_writer *writer;
	struct pass_result *result; /* (g->n_saes) */
	struct plan_memory memory;
};

static const struct sae *
sae_of(const struct trial *t, uint32_t i)
{
	return t->x->plan.sae[t->g->sae[i]].sae;
}

static int
try_cut(struct trial *t, uint64_t n_tokens, struct err *e)
{
	struct estimate *x = t->x;
	struct cut_job job = {.store = x->store,
		.spool = &x->spool,
		.tok = x->plan.tok,
		.pool = x->pool,
		.progress = &x->progress,
		.corpus_name = x->plan.corpus_name,
		.n_vocab = x->plan.n_vocab,
		.rule = rule_of(x, t->g, n_tokens)};
	int64_t have;

	strcpy(job.tokenizer_sha256, x->plan.tokenizer_sha256);
	pool_stage(x->pool, STAGE_CUT);
	if (cut_write(&job, &t->cut, &have, e) < 0)
		return e->code;
	pool_stage(x->pool, STAGE_OTHER);
	return windows_load(&t->windows, x->store, t->cut.id, t->cut.n_windows,
		x->plan.excluded, x->plan.n_vocab, e);
}

static int
fit_memory(struct trial *t, struct pass_job *job, struct err *e)
{
	struct plan p = t->x->plan;
	uint64_t least = plan_memory_least(&p, t->g, job);

	if (t->x->least_bytes < least)
		t->x->least_bytes = least;
	if (p.memory_bytes < least) /* that it does not fit is told later */
		p.memory_bytes = least;
	if (plan_memory(&p, t->g, job, &t->memory, e) < 0)
		return e->code;
	job->batch_tokens = t->memory.batch_tokens;
	job->hits_bytes = t->memory.hits_bytes;
	return 0;
}

static int
try_pass(struct trial *t, struct err *e)
{
	const struct options *o = t->x->plan.options;
	const struct plan_group *g = t->g;
	const struct sae *sae[LIMIT_SAES];
	uint32_t hook[LIMIT_SAES], out[LIMIT_SAES], d_sae[LIMIT_SAES];
	struct pass_job job = {.lm = t->x->plan.lm,
		.pool = t->x->pool,
		.windows = &t->windows,
		.writer = t->writer,
		.progress = &t->x->progress,
		.hook = g->hook,
		.n_hooks = g->n_hooks,
		.sae = sae,
		.d_sae = d_sae,
		.hook_of = hook,
		.out_of = out,
		.n_saes = g->n_saes,
		.first = t->x->plan.first,
		.end = t->x->plan.end,
		.examples = (uint32_t)o->examples,
		.dedup_radius = (uint32_t)o->dedup_radius};
	int rc;

	for (uint32_t i = 0; i < g->n_saes; i++) {
		sae[i] = sae_of(t, i);
		d_sae[i] = sae[i]->info.d_sae;
		hook[i] = t->x->plan.sae[g->sae[i]].hook;
		out[i] = t->x->plan.sae[g->sae[i]].out;
	}
	rc = fit_memory(t, &job, e);
	if (rc == 0)
		rc = pass_run(&job, t->result, e);
	pool_stage(t->x->pool, STAGE_WRITE);
	return rc == 0 ? run_writer_acts_done(t->writer, e) : rc;
}

static int
try_pairs(struct trial *t, struct err *e)
{
	struct cooccur_job job = {.pool = t->x->pool,
		.windows = &t->windows,
		.writer = t->writer,
		.progress = &t->x->progress,
		.pass = t->result,
		.n_slots = t->g->n_saes,
		.rule = t->x->plan.options->cooccurrence,
		.memory_bytes = t->memory.finish_bytes};
	int rc;

	if (t->x->plan.end != 0)
		return 0;
	pool_stage(t->x->pool, STAGE_COOCCUR);
	rc = cooccur_write(&job, e);
	pool_stage(t->x->pool, STAGE_FEATURES);
	return rc;
}

static int
try_finish(struct trial *t, struct err *e)
{
	const struct options *o = t->x->plan.options;
	struct finish_job job = {.pool = t->x->pool,
		.windows = &t->windows,
		.writer = t->writer,
		.progress = &t->x->progress,
		.words = &t->words,
		.interval_samples = (uint32_t)o->interval_samples,
		.seed = o->seed,
		.memory_bytes = t->memory.finish_bytes,
		.first = t->x->plan.first,
		.end = t->x->plan.end};

	pool_stage(t->x->pool, STAGE_FEATURES);
	if (words_count(&t->words, &t->windows, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < t->g->n_saes; i++) {
		job.slot = i;
		job.pass = &t->result[i];
		if (finish_sae(&job, e) < 0)
			return e->code;
	}
	if (try_pairs(t, e) < 0)
		return e->code;
	return run_writer_finish(t->writer, e);
}

static int
try_run(struct trial *t, uint64_t n_tokens, struct err *e)
{
	uint32_t d_sae[LIMIT_SAES], have;
	char id[STORE_ID_CHARS];

	for (uint32_t i = 0; i < t->g->n_saes; i++)
		d_sae[i] = sae_of(t, i)->info.d_sae;
	snprintf(id, sizeof(id), "%016x", ++t->x->n_parts);
	t->result = mem_new(t->g->n_saes, sizeof(*t->result));
	if (t->result == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the features' statistics");
	if (try_cut(t, n_tokens, e) < 0 ||
		run_writer_new(&t->writer, &have, t->x->store, id, t->g->n_saes, d_sae,
			e) < 0 ||
		try_pass(t, e) < 0 || try_finish(t, e) < 0)
		return e->code;
	return 0;
}

int
estimate_pass(struct estimate *x, const struct plan_group *g, uint64_t n_tokens,
	struct estimate_part *out, struct err *e)
{
	struct pool_time before[STOPWATCH_STAGES], after[STOPWATCH_STAGES];
	double bytes[ESTIMATE_FILES] = {0};
	struct trial t = {.x = x, .g = g};
	struct stages_span span;
	int rc = add_bytes(bytes, x->dir, e);

	*out = (struct estimate_part){0};
	pool_times(x->pool, before);
	if (rc == 0)
		rc = try_run(&t, n_tokens, e);
	pool_stage(x->pool, STAGE_OTHER);
	pool_times(x->pool, after);
	stages_span(&span, before, after);
	memcpy(out->of, span.of, sizeof(out->of));
	if (rc == 0) {
		out->n_tokens = (double)windows_n_tokens(&t.windows);
		out->peak_bytes = (double)machine_peak_bytes();
		rc = add_bytes(out->file_bytes, x->dir, e);
	}
	for (size_t k = 0; k < ESTIMATE_FILES; k++)
		out->file_bytes[k] -= bytes[k];
	for (uint32_t i = 0; t.result != NULL && i < g->n_saes; i++)
		pass_result_clear(&t.result[i]);
	mem_free(t.result);
	words_clear(&t.words);
	windows_clear(&t.windows);
	run_writer_free(t.writer);
	return rc;
}
