/* SPDX-License-Identifier: ISC */
#include "indexer/pass_int.h"

#define WINDOWS_PER_ITEM 8

/* ---- features' states -------------------------------------------------------- */

static int
count_window(struct pass *p, uint32_t sae, struct by_feature *b, uint32_t w,
	struct err *e)
{
	const struct sparse *a = p->sae[sae].acts;
	uint32_t from = p->window_start[w], n = p->window_start[w + 1] - from;

	by_feature_reset(b);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t end = a->row_start[from + i + 1];

		if (p->counts[from + i] == 0)
			continue;
		for (uint32_t j = sparse_from(a, from + i, b->first);
			j < end && a->feature[j] - b->first < b->count; j++)
			if (by_feature_add(b, a->feature[j], i, a->value[j], e) < 0)
				return e->code;
	}
	by_feature_build(b);
	for (uint32_t f = 0; f < b->n; f++)
		if (state_add(&p->result[sae].state, b->feature[f], p->first + w,
			    p->ids + from, n, b->at + b->start[f],
			    b->start[f + 1] - b->start[f], e) < 0)
			return e->code;
	return 0;
}

static void
count_range(struct pass *p, uint32_t sae, size_t r, struct err *e)
{
	for (uint32_t w = 0; w < p->n_windows; w++)
		if (count_window(p, sae, &p->sae[sae].ranges[r], w, e) < 0)
			return;
}

/* ---- what is stored ------------------------------------------------------------- */

/* By one thread for each SAE, in the order of windows. */
static void
write_acts(struct pass *p, uint32_t sae, struct err *e)
{
	const struct sparse *a = p->sae[sae].acts;
	uint64_t *of_token = p->result[sae].acts_of_token;
	uint32_t *row_start = p->sae[sae].row_start;

	for (uint32_t i = 0; i < p->n_tokens; i++)
		if (p->counts[i])
			of_token[p->ids[i]] += a->row_start[i + 1] - a->row_start[i];
	if (p->job->writer == NULL)
		return;
	for (uint32_t w = 0; w < p->n_windows; w++) {
		uint32_t from = p->window_start[w], n = p->window_start[w + 1] - from;
		uint32_t at = a->row_start[from];
		struct rec_acts out = {.n_tokens = n,
			.row_start = row_start,
			.feature = a->feature + at,
			.value = a->value + at};

		for (uint32_t i = 0; i <= n; i++)
			row_start[i] = a->row_start[from + i] - at;
		if (run_writer_acts(p->job->writer, sae, p->first + w, &out, e) < 0)
			return;
	}
}

/* ---- all of it ------------------------------------------------------------------ */

/* Items of one kind, numbered one after the other. */
struct item {
	enum { ITEM_WRITE, ITEM_COUNT, ITEM_ERROR, ITEM_STREAM } kind;
	uint32_t of; /* SAE or hook */
	size_t i; /* range, or group of windows */
};

bool
pass_fits(const struct pass_job *job)
{
	return job->lm != NULL && job->end == 0;
}

/* Of windows that SAEs and streams are compared in. */
static size_t
n_groups(const struct pass *p)
{
	if (!pass_fits(p->job))
		return 0;
	return (p->model.n_windows + WINDOWS_PER_ITEM - 1) / WINDOWS_PER_ITEM;
}

static struct item
item_at(const struct pass *p, size_t i)
{
	if (i < p->n_saes)
		return (struct item){ITEM_WRITE, (uint32_t)i, 0};
	i -= p->n_saes;
	for (uint32_t s = 0; s < p->n_saes; s++) {
		if (i < p->sae[s].encoder.n_ranges)
			return (struct item){ITEM_COUNT, s, i};
		i -= p->sae[s].encoder.n_ranges;
	}
	for (uint32_t s = 0; s < p->n_saes; s++) {
		if (i < n_groups(p))
			return (struct item){ITEM_ERROR, s, i};
		i -= n_groups(p);
	}
	return (struct item){ITEM_STREAM, (uint32_t)(i / n_groups(p)), i % n_groups(p)};
}

static size_t
n_items(const struct pass *p)
{
	size_t n = p->n_saes + (p->n_saes + p->job->n_hooks) * n_groups(p);

	for (uint32_t s = 0; s < p->n_saes; s++)
		n += p->sae[s].encoder.n_ranges;
	return n;
}

static void
fit_one(struct pass *p, uint32_t sae, uint32_t w, size_t thread, struct err *e)
{
	fit_window(&p->sae[sae].fit, &p->sae[sae].encoder, p->x[p->job->hook_of[sae]],
		p->x[p->job->out_of[sae]], p->model.counts, p->model.window_start[w],
		p->model.window_start[w + 1], thread, e);
}

static void
stream_window(struct pass *p, uint32_t hook, uint32_t w, size_t thread)
{
	size_t d = lm_hook_width(p->job->lm, &p->job->hook[hook]);
	uint32_t from = p->model.window_start[w];

	stream_stats_add(&p->stats[hook * p->n_threads + thread], p->x[hook] + from * d,
		d, p->model.counts + from, p->model.window_start[w + 1] - from);
}

static void
run_item(void *ctx, size_t i, size_t thread)
{
	struct pass *p = ctx;
	struct item item = item_at(p, i);
	uint32_t w = (uint32_t)item.i * WINDOWS_PER_ITEM, end = w + WINDOWS_PER_ITEM;
	struct err *e = &p->err[thread];

	if (end > p->model.n_windows)
		end = p->model.n_windows;
	if (e->code != 0)
		return;
	if (item.kind == ITEM_WRITE)
		write_acts(p, item.of, e);
	else if (item.kind == ITEM_COUNT)
		count_range(p, item.of, item.i, e);
	else
		for (; w < end && e->code == 0; w++) {
			if (item.kind == ITEM_ERROR)
				fit_one(p, item.of, w, thread, e);
			else
				stream_window(p, item.of, w, thread);
		}
}

void
pass_consume(struct pass *p)
{
	pool_run(p->job->pool, n_items(p), run_item, p);
}

void
pass_gather(struct pass *p)
{
	for (uint32_t h = 0; h < p->job->n_hooks; h++)
		for (size_t i = 1; i < p->n_threads; i++) {
			struct stream_stats *from = &p->stats[h * p->n_threads + i];

			stream_stats_merge(&p->stats[h * p->n_threads], from);
			stream_stats_reset(from);
		}
	for (uint32_t s = 0; s < p->n_saes; s++)
		fit_gather(&p->sae[s].fit);
}

int
pass_conclude(struct pass *p, struct err *e)
{
	pass_gather(p);
	for (uint32_t s = 0; s < p->n_saes; s++) {
		struct pass_result *r = &p->result[s];

		if (pass_fits(p->job) && !p->job->sae[s]->info.cross_layer &&
			sums_copy(&r->sums, &p->stats[p->job->out_of[s] * p->n_threads],
				&p->sae[s].fit.error[0], e) < 0)
			return e->code;
		sums_conclude(&r->sums, &r->explained, &r->mse);
		r->n_tokens = p->n_counted;
		r->n_alive = state_n_alive(&r->state);
		for (uint32_t f = 0; f < r->state.n_features; f++)
			r->n_active += r->state.feature[f].count;
	}
	return 0;
}
