/* SPDX-License-Identifier: ISC */
#include "indexer/pass_int.h"

#include "util/mem.h"

#include <math.h>
#include <string.h>

#define WINDOWS_PER_ITEM 8

/* ---- features' states -------------------------------------------------------- */

static int
count_window(struct pass *p, uint32_t sae, struct by_feature *b, uint32_t w,
	struct err *e)
{
	const struct sparse *a = &p->sae[sae].encoder.acts;
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
	const struct sparse *a = &p->sae[sae].encoder.acts;
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

/* ---- explained variance ----------------------------------------------------- */

static const struct sae_act *
acts_of(struct pass_work *work, const struct sparse *a, uint32_t i, struct err *e)
{
	uint32_t from = a->row_start[i], n = a->row_start[i + 1] - from;

	if (n > work->cap || work->acts == NULL) {
		mem_free(work->acts);
		work->cap = n + 64;
		work->acts = mem_new(work->cap, sizeof(*work->acts));
		if (work->acts == NULL) {
			work->cap = 0;
			err_set(e, ERR_NOMEM, "no memory for a token's activations");
			return NULL;
		}
	}
	for (uint32_t j = 0; j < n; j++)
		work->acts[j] =
			(struct sae_act){a->feature[from + j], a->value[from + j]};
	return work->acts;
}

static int
window_error(struct pass *p, uint32_t sae, uint32_t w, size_t thread, struct err *e)
{
	struct pass_sae *s = &p->sae[sae];
	const struct encoder *c = &s->encoder;
	struct pass_work *work = &s->work[thread];
	size_t d = c->sae->info.d_out;
	const float *x = p->x[p->job->hook_of[sae]];
	const float *y = p->x[p->job->out_of[sae]];
	double sum = 0;

	if (c->sae->info.cross_layer)
		return 0;
	memset(work->acc, 0, d * sizeof(*work->acc));
	for (uint32_t i = p->window_start[w]; i < p->window_start[w + 1]; i++) {
		const struct sae_act *acts;

		if (p->counts[i] == 0)
			continue;
		acts = acts_of(work, &c->acts, i, e);
		if (acts == NULL)
			return e->code;
		sae_decode(c->sae, work->x_hat, acts,
			c->acts.row_start[i + 1] - c->acts.row_start[i], c->scale[i],
			c->shift[i]);
		sae_skip(c->sae, work->x_hat, x + i * c->sae->info.d_in);
		stats_error(work->acc, y + i * d, work->x_hat, d);
	}
	for (size_t j = 0; j < d; j++)
		sum += work->acc[j];
	if (!(sum <= 1e300))
		return err_set(e, ERR_FORMAT,
			"the SAE's reconstruction is not finite: its weights leave the "
			"range of float32");
	stats_add(&s->error[thread], sum);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------ */

/* Items of one kind, numbered one after the other. */
struct item {
	enum { ITEM_WRITE, ITEM_COUNT, ITEM_ERROR, ITEM_STREAM } kind;
	uint32_t of; /* SAE or hook */
	size_t i; /* range, or group of windows */
};

static size_t
n_groups(const struct pass *p)
{
	return (p->n_windows + WINDOWS_PER_ITEM - 1) / WINDOWS_PER_ITEM;
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
stream_window(struct pass *p, uint32_t hook, uint32_t w, size_t thread)
{
	size_t d = lm_hook_width(p->job->lm, &p->job->hook[hook]);
	uint32_t from = p->window_start[w];

	stream_stats_add(&p->stats[hook * p->n_threads + thread], p->x[hook] + from * d,
		d, p->counts + from, p->window_start[w + 1] - from);
}

static void
run_item(void *ctx, size_t i, size_t thread)
{
	struct pass *p = ctx;
	struct item item = item_at(p, i);
	uint32_t w = (uint32_t)item.i * WINDOWS_PER_ITEM, end = w + WINDOWS_PER_ITEM;
	struct err *e = &p->err[thread];

	if (end > p->n_windows)
		end = p->n_windows;
	if (e->code != 0)
		return;
	if (item.kind == ITEM_WRITE)
		write_acts(p, item.of, e);
	else if (item.kind == ITEM_COUNT)
		count_range(p, item.of, item.i, e);
	else
		for (; w < end && e->code == 0; w++) {
			if (item.kind == ITEM_ERROR)
				window_error(p, item.of, w, thread, e);
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
pass_conclude(struct pass *p)
{
	for (uint32_t h = 0; h < p->job->n_hooks; h++)
		for (size_t i = 1; i < p->n_threads; i++)
			stream_stats_merge(&p->stats[h * p->n_threads],
				&p->stats[h * p->n_threads + i]);
	for (uint32_t s = 0; s < p->n_saes; s++) {
		struct pass_result *r = &p->result[s];
		const struct stream_stats *x =
			&p->stats[p->job->out_of[s] * p->n_threads];
		double error, variance = stream_stats_variance(x);

		for (size_t i = 1; i < p->n_threads; i++)
			exact64_merge(&p->sae[s].error[0], &p->sae[s].error[i]);
		error = exact64_get(&p->sae[s].error[0]);
		r->n_tokens = x->n;
		r->n_alive = state_n_alive(&r->state);
		for (uint32_t f = 0; f < r->state.n_features; f++)
			r->n_active += r->state.feature[f].count;
		r->explained = variance > 0 ? 1 - error / variance : 0;
		r->mse = x->n > 0 ? error / (double)x->n : 0;
		if (p->sae[s].encoder.sae->info.cross_layer)
			r->explained = r->mse = (double)NAN;
	}
}
