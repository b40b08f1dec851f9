/* SPDX-License-Identifier: ISC */
#include "indexer/pass.h"

#include "indexer/checkpoint.h"
#include "indexer/pass_int.h"
#include "indexer/stop.h"
#include "util/mem.h"

#include <float.h>
#include <string.h>

#define PIECES_PER_THREAD 2

/* ---- life ------------------------------------------------------------------ */

static size_t
batch_most(const struct pass_job *job, size_t batch_tokens)
{
	return batch_tokens > job->windows->max_tokens ? batch_tokens
						       : job->windows->max_tokens;
}

static size_t
piece_most(const struct pass_job *job, size_t batch_tokens)
{
	size_t n = pool_n_threads(job->pool) * PIECES_PER_THREAD;

	return batch_most(job, batch_tokens) / n + job->windows->max_tokens + 1;
}

size_t
pass_bytes(const struct pass_job *job, size_t batch_tokens)
{
	size_t n = batch_most(job, batch_tokens);
	size_t bytes = n * (sizeof(uint32_t) * 2 + 1);

	if (pass_is_mixed(job))
		bytes += n * (sizeof(uint32_t) * 3 + 1);

	for (uint32_t i = 0; i < job->n_saes && job->lm != NULL; i++)
		bytes += encoder_bytes(job->sae[i], n);
	for (uint32_t i = 0; i < job->n_hooks; i++)
		bytes += n * lm_hook_width(job->lm, &job->hook[i]) * sizeof(float);
	if (job->lm == NULL)
		return bytes;
	return bytes +
		pool_n_threads(job->pool) *
		lm_work_bytes(job->lm, piece_most(job, batch_tokens));
}

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM,
		"no memory for a batch; use a smaller "
		"--batch-tokens");
}

static int
sae_init(struct pass_sae *s, const struct pass_job *job, uint32_t i, size_t n_threads,
	size_t max_tokens, struct err *e)
{
	uint32_t end = job->end != 0 ? job->end : job->d_sae[i];
	int rc;

	/* without a model it encodes nothing, but its ranges are those of states */
	if (job->lm == NULL)
		rc = encoder_ranges(&s->encoder, job->d_sae[i], n_threads, e);
	else
		rc = encoder_init_part(&s->encoder, job->sae[i], job->first,
			end - job->first, n_threads, max_tokens, e);
	if (rc == 0 && pass_fits(job))
		rc = fit_init(&s->fit, job->sae[i], n_threads, e);
	if (rc < 0)
		return rc;
	encoder_limit(&s->encoder, job->hits_bytes / job->n_saes);
	s->ranges = mem_new(s->encoder.n_ranges, sizeof(*s->ranges));
	s->row_start =
		mem_new((size_t)job->windows->max_tokens + 1, sizeof(*s->row_start));
	if (s->ranges == NULL || s->row_start == NULL)
		return no_memory(e);
	for (size_t r = 0; r < s->encoder.n_ranges; r++)
		if (by_feature_init(&s->ranges[r], s->encoder.bound[r],
			    s->encoder.bound[r + 1] - s->encoder.bound[r], e) < 0)
			return e->code;
	return 0;
}

static void
sae_clear(struct pass_sae *s)
{
	for (size_t r = 0; s->ranges != NULL && r < s->encoder.n_ranges; r++)
		by_feature_clear(&s->ranges[r]);
	fit_clear(&s->fit);
	encoder_clear(&s->encoder);
	sparse_clear(&s->there);
	sparse_clear(&s->both);
	mem_free(s->ranges);
	mem_free(s->row_start);
}

static int
hooks_init(struct pass *p, struct err *e)
{
	size_t n = p->n_threads * p->job->n_hooks;

	for (uint32_t h = 0; h < p->job->n_hooks; h++) {
		size_t d = lm_hook_width(p->job->lm, &p->job->hook[h]);

		p->x[h] = mem_new_aligned(p->max_tokens, d * sizeof(**p->x));
		if (p->x[h] == NULL)
			return no_memory(e);
	}
	for (size_t i = 0; i < n; i++)
		if (stream_stats_init(&p->stats[i],
			    lm_hook_width(p->job->lm, &p->job->hook[i / p->n_threads]),
			    e) < 0)
			return e->code;
	for (size_t i = 0; i < p->n_threads && p->job->lm != NULL; i++) {
		size_t most = piece_most(p->job, p->job->batch_tokens);

		p->piece_start[i] = mem_new(most + 1, sizeof(**p->piece_start));
		if (p->piece_start[i] == NULL)
			return no_memory(e);
		if (lm_work_new(&p->work[i], p->job->lm, most, e) < 0)
			return e->code;
	}
	return 0;
}

static int
pass_init(struct pass *p, const struct pass_job *job, struct pass_result *out,
	struct err *e)
{
	size_t n_threads = pool_n_threads(job->pool);

	*p = (struct pass){.job = job, .result = out, .n_threads = n_threads};
	p->max_tokens = batch_most(job, job->batch_tokens);
	p->ids = mem_new(p->max_tokens, sizeof(*p->ids));
	p->counts = mem_new(p->max_tokens, sizeof(*p->counts));
	p->window_start = mem_new(p->max_tokens + 1, sizeof(*p->window_start));
	p->x = mem_new(job->n_hooks, sizeof(*p->x));
	p->stats = mem_new(n_threads * job->n_hooks, sizeof(*p->stats));
	p->work = mem_new(n_threads, sizeof(*p->work));
	p->piece_start = mem_new(n_threads, sizeof(*p->piece_start));
	p->err = mem_new(n_threads, sizeof(*p->err));
	p->sae = mem_new(job->n_saes, sizeof(*p->sae));
	if (p->ids == NULL || p->counts == NULL || p->window_start == NULL ||
		p->x == NULL || p->stats == NULL || p->work == NULL ||
		p->piece_start == NULL || p->err == NULL || p->sae == NULL)
		return no_memory(e);
	if (hooks_init(p, e) < 0 || pass_model_init(p, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < job->n_saes; i++) {
		p->n_saes = i + 1;
		if (sae_init(&p->sae[i], job, i, n_threads, p->max_tokens, e) < 0)
			return e->code;
	}
	return 0;
}

static void
pass_clear(struct pass *p)
{
	for (uint32_t i = 0; i < p->n_saes; i++)
		sae_clear(&p->sae[i]);
	for (uint32_t h = 0; p->x != NULL && h < p->job->n_hooks; h++)
		mem_free(p->x[h]);
	for (size_t i = 0; p->stats != NULL && i < p->n_threads * p->job->n_hooks; i++)
		stream_stats_clear(&p->stats[i]);
	for (size_t i = 0; p->work != NULL && i < p->n_threads; i++)
		lm_work_free(p->work[i]);
	for (size_t i = 0; p->piece_start != NULL && i < p->n_threads; i++)
		mem_free(p->piece_start[i]);
	pass_model_clear(p);
	mem_free(p->ids);
	mem_free(p->counts);
	mem_free(p->window_start);
	mem_free(p->x);
	mem_free(p->stats);
	mem_free(p->work);
	mem_free(p->piece_start);
	mem_free(p->err);
	mem_free(p->sae);
}

static int
result_init(struct pass_result *r, const struct pass_job *job, uint32_t d_sae,
	struct err *e)
{
	*r = (struct pass_result){0};
	if (state_init(&r->state, d_sae, job->examples, job->dedup_radius, e) < 0)
		return e->code;
	r->acts_of_token = mem_new(job->windows->n_vocab, sizeof(*r->acts_of_token));
	return r->acts_of_token != NULL ? 0 : no_memory(e);
}

void
pass_result_clear(struct pass_result *r)
{
	state_clear(&r->state);
	sums_clear(&r->sums);
	mem_free(r->acts_of_token);
	*r = (struct pass_result){0};
}

/* ---- the model ---------------------------------------------------------------- */

static int
first_error(struct pass *p, struct err *e)
{
	for (size_t i = 0; i < p->n_threads; i++)
		if (p->err[i].code != 0) {
			*e = p->err[i];
			return e->code;
		}
	return 0;
}

/* Whole windows from first on, at most max_tokens of them (one at least). */
static void
fill_batch(struct pass *p, uint32_t first, size_t max_tokens)
{
	const struct windows *windows = p->job->windows;
	struct rec_window w;

	p->first = first;
	p->n_windows = p->n_tokens = 0;
	while (first + p->n_windows < windows->n_windows) {
		windows_get(windows, first + p->n_windows, &w);
		if (p->n_windows > 0 && p->n_tokens + w.n_tokens > max_tokens)
			break;
		memcpy(p->ids + p->n_tokens, w.token, w.n_tokens * sizeof(*w.token));
		p->window_start[p->n_windows++] = p->n_tokens;
		p->n_tokens += w.n_tokens;
	}
	p->window_start[p->n_windows] = p->n_tokens;
	for (uint32_t i = 0; i < p->n_tokens; i++) {
		p->counts[i] = windows_counts(windows, p->ids[i]);
		p->n_counted += p->counts[i];
	}
}

/* The first window whose tokens begin at or behind share i of n of the model's. */
static uint32_t
piece_bound(const struct pass_model *m, size_t i, size_t n)
{
	uint32_t at = (uint32_t)((uint64_t)m->n_tokens * i / n), w = 0;

	while (w < m->n_windows && m->window_start[w] < at)
		w++;
	return w;
}

/* Its number in the pass. */
static uint32_t
window_of(const struct pass *p, uint32_t w)
{
	return p->first + (p->model.window != NULL ? p->model.window[w] : w);
}

static bool
all_finite(const float *x, size_t n)
{
	bool good = true;

	for (size_t i = 0; i < n; i++)
		good &= x[i] <= FLT_MAX && x[i] >= -FLT_MAX;
	return good;
}

static void
forward_piece(void *ctx, size_t i, size_t thread)
{
	struct pass *p = ctx;
	const struct pass_job *job = p->job;
	size_t n = p->n_threads * PIECES_PER_THREAD;
	const struct pass_model *m = &p->model;
	uint32_t w0 = piece_bound(m, i, n), w1 = piece_bound(m, i + 1, n);
	uint32_t from = m->window_start[w0], n_tokens = m->window_start[w1] - from;
	struct err *e = &p->err[thread];
	uint32_t *start = p->piece_start[thread];
	float *out[PASS_MAX_HOOKS];

	if (w0 == w1 || e->code != 0)
		return;
	for (uint32_t w = w0; w <= w1; w++)
		start[w - w0] = m->window_start[w] - from;
	for (uint32_t h = 0; h < job->n_hooks; h++)
		out[h] = p->x[h] + from * lm_hook_width(job->lm, &job->hook[h]);
	if (lm_forward(job->lm, p->work[thread], m->ids + from, start, w1 - w0,
		    job->hook, job->n_hooks, out, e) < 0)
		return;
	for (uint32_t h = 0; h < job->n_hooks; h++)
		if (!all_finite(out[h],
			    n_tokens * lm_hook_width(job->lm, &job->hook[h])))
			err_set(e, ERR_FORMAT,
				"%s is not finite in windows %u to %u: the model's "
				"weights "
				"leave the range of float32",
				job->hook[h].name, window_of(p, w0),
				window_of(p, w1 - 1));
}

/* ---- the loop ------------------------------------------------------------------- */

static int
forward_batch(struct pass *p, struct err *e)
{
	if (p->job->lm == NULL || p->model.n_tokens == 0)
		return 0;
	pool_run(p->job->pool, p->n_threads * PIECES_PER_THREAD, forward_piece, p);
	return first_error(p, e);
}

static int
encode_batch(struct pass *p, uint32_t i, struct err *e)
{
	const struct pass_job *job = p->job;
	struct encoder *c = &p->sae[i].encoder;
	const float *x = job->lm != NULL ? p->x[job->hook_of[i]] : NULL;
	uint32_t n = p->model.n_tokens;
	int rc = 0;

	p->sae[i].acts = &c->acts;
	if (job->source == NULL || pass_is_mixed(job)) {
		if (n > 0)
			rc = encoder_run(c, job->pool, x, n, p->err, e);
		return rc == 0 && job->source != NULL ? pass_model_join(p, i, e) : rc;
	}
	if (x != NULL)
		encoder_prepare(c, job->pool, x, n);
	return job->source->get(job->source->ctx, i, p->first, p->n_windows, &c->acts,
		e);
}

static int
run_batch(struct pass *p, struct err *e)
{
	pass_model_fill(p);
	if (forward_batch(p, e) < 0)
		return e->code;
	pool_stage(p->job->pool, STAGE_ENCODE);
	for (uint32_t i = 0; i < p->n_saes; i++)
		if (encode_batch(p, i, e) < 0)
			return e->code;
	pool_stage(p->job->pool, STAGE_COUNT);
	pass_consume(p);
	return first_error(p, e);
}

static size_t
next_batch(const struct pass *p)
{
	double density = 0;

	for (uint32_t i = 0; i < p->n_saes; i++)
		density += sparse_density(p->sae[i].acts);
	return encoder_batch(density, p->job->batch_tokens, p->job->hits_bytes);
}

static void
show_progress(const struct pass *p)
{
	const struct pass_job *job = p->job;
	uint64_t alive = 0, all = 0;

	if (!progress_due(job->progress))
		return;
	for (uint32_t i = 0; i < job->n_saes; i++) {
		alive += state_n_alive(&p->result[i].state);
		all += p->result[i].state.n_features;
	}
	progress_tokens(job->progress, job->windows->token_at[p->first + p->n_windows],
		windows_n_tokens(job->windows), alive, all);
}

static int
run_all(struct pass *p, uint32_t at, struct err *e)
{
	size_t batch = p->job->batch_tokens < ENCODER_FIRST_BATCH ? p->job->batch_tokens
								  : ENCODER_FIRST_BATCH;

	for (; at < p->job->windows->n_windows; at += p->n_windows) {
		pool_stage(p->job->pool, STAGE_FORWARD);
		fill_batch(p, at, batch);
		if (run_batch(p, e) < 0)
			return e->code;
		pool_stage(p->job->pool, STAGE_CHECKPOINT);
		if (checkpoint_perhaps(p, at + p->n_windows, e) < 0 ||
			stop_check(e) < 0)
			return e->code;
		batch = next_batch(p);
		show_progress(p);
	}
	return 0;
}

/* The sums of windows that the source has: of a stream that SAEs share, once. */
static void
add_before(struct pass *p)
{
	const struct pass_job *job = p->job;

	for (uint32_t i = 0; i < job->n_saes; i++) {
		struct stream_stats *s = &p->stats[job->out_of[i] * p->n_threads];

		if (job->before[i].stream.d == 0)
			continue;
		if (s->n == 0)
			stream_stats_merge(s, &job->before[i].stream);
		exact64_merge(&p->sae[i].fit.error[0], &job->before[i].error);
	}
}

int
pass_run(const struct pass_job *job, struct pass_result *out, struct err *e)
{
	struct pass p;
	int rc = 0;

	for (uint32_t i = 0; i < job->n_saes; i++)
		out[i] = (struct pass_result){0};
	for (uint32_t i = 0; i < job->n_saes && rc == 0; i++)
		rc = result_init(&out[i], job, job->d_sae[i], e);
	if (rc < 0)
		return rc;
	rc = pass_init(&p, job, out, e);
	if (rc == 0 && job->checkpoints != NULL && job->checkpoints->from > 0)
		rc = checkpoint_load(&p, e);
	else if (rc == 0 && job->before != NULL)
		add_before(&p);
	if (rc == 0)
		rc = run_all(&p, job->checkpoints != NULL ? job->checkpoints->from : 0,
			e);
	if (rc == 0)
		rc = pass_conclude(&p, e);
	pass_clear(&p);
	return rc;
}
