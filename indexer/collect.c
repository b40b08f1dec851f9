/* SPDX-License-Identifier: ISC */
#include "indexer/collect.h"

#include "indexer/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD 6 /* features whose memory is asked for early */

size_t
collect_bytes(const struct finish_job *job, const struct feature_state *f)
{
	size_t n = f->n_best + (size_t)LIMIT_INTERVALS * job->interval_samples;
	size_t each = sizeof(struct rec_example) + sizeof(struct wanted);

	if (f->n_windows > 0)
		each += (f->count / f->n_windows + 1) * sizeof(struct rec_at);
	return sizeof(struct intervals) + f->n_windows * sizeof(struct rec_posting) +
		n * each + 256;
}

static const struct feature_state *
state_of(const struct collect *c, uint32_t i)
{
	return &c->job->pass->state.feature[c->first + i];
}

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM,
		"no memory to finish the features; use a larger "
		"--memory or fewer --threads");
}

static int
make_arrays(struct collect *c, struct err *e)
{
	uint64_t sum = 0;

	arena_init(&c->arena, 0);
	buf_init(&c->labels);
	if (by_feature_init(&c->window, c->first, c->count, e) < 0)
		return e->code;
	c->intervals = mem_new(c->count, sizeof(*c->intervals));
	c->posting_at = mem_new((size_t)c->count + 1, sizeof(*c->posting_at));
	c->n_postings = mem_new(c->count, sizeof(*c->n_postings));
	c->n_documents = mem_new(c->count, sizeof(*c->n_documents));
	c->last_document = mem_new(c->count, sizeof(*c->last_document));
	c->example_at = mem_new((size_t)c->count + 1, sizeof(*c->example_at));
	c->want_of = mem_new(c->count, sizeof(*c->want_of));
	c->label_at = mem_new((size_t)c->count + 1, sizeof(*c->label_at));
	c->label_score = mem_new(c->count, sizeof(*c->label_score));
	if (c->intervals == NULL || c->posting_at == NULL || c->n_postings == NULL ||
		c->n_documents == NULL || c->last_document == NULL ||
		c->example_at == NULL || c->want_of == NULL || c->label_at == NULL ||
		c->label_score == NULL)
		return no_memory(e);
	for (uint32_t i = 0; i < c->count; i++) {
		c->posting_at[i] = sum;
		sum += state_of(c, i)->n_windows;
	}
	c->posting_at[c->count] = sum;
	c->posting = mem_new(sum, sizeof(*c->posting));
	return c->posting != NULL ? 0 : no_memory(e);
}

void
collect_clear(struct collect *c)
{
	mem_free(c->intervals);
	mem_free(c->posting_at);
	mem_free(c->n_postings);
	mem_free(c->posting);
	mem_free(c->n_documents);
	mem_free(c->last_document);
	mem_free(c->example_at);
	mem_free(c->example);
	mem_free(c->wanted);
	mem_free(c->want_of);
	mem_free(c->label_at);
	mem_free(c->label_score);
	arena_clear(&c->arena);
	buf_clear(&c->labels);
	by_feature_clear(&c->window);
	*c = (struct collect){0};
}

/* ---- the first scan ---------------------------------------------------------- */

/* Documents are in ascending order along windows, so one look back is enough. */
static void
count_documents(struct collect *c, uint32_t i, const struct rec_window *w,
	const struct rec_at *at, uint32_t n)
{
	uint32_t s = 0;

	for (uint32_t j = 0; j < n && w->n_segments > 0; j++) {
		while (s + 1 < w->n_segments && w->segment[s + 1].token <= at[j].offset)
			s++;
		if (c->last_document[i] != w->segment[s].document + 1) {
			c->last_document[i] = w->segment[s].document + 1;
			c->n_documents[i]++;
		}
	}
}

static int
visit_first(void *ctx, size_t part, uint32_t window, const struct rec_window *w,
	const struct rec_acts *a, struct err *e)
{
	struct collect *c = (struct collect *)ctx + part;
	const struct finish_job *job = c->job;
	const struct by_feature *b = &c->window;

	if (scan_by_feature(job->windows, &c->window, w, a, e) < 0)
		return e->code;
	for (uint32_t f = 0; f < b->n; f++) {
		uint32_t i = b->feature[f] - c->first;
		uint32_t ahead =
			f + AHEAD < b->n ? b->feature[f + AHEAD] - c->first : i;
		const struct rec_at *at = b->at + b->start[f];
		uint32_t n = b->start[f + 1] - b->start[f];
		float max = state_of(c, i)->max, here = 0;

		__builtin_prefetch(c->intervals[ahead].population);
		__builtin_prefetch(c->intervals[ahead].worst);
		__builtin_prefetch(&state_of(c, ahead)->max);

		for (uint32_t j = 0; j < n; j++) {
			intervals_add(&c->intervals[i], job->interval_samples,
				job->seed, b->feature[f], max, window, at[j].offset,
				at[j].value);
			here = at[j].value > here ? at[j].value : here;
		}
		if (c->posting_at[i] + c->n_postings[i] >= c->posting_at[i + 1])
			return err_set(e, ERR_INTERNAL,
				"feature %u is stored in more windows than were "
				"counted",
				b->feature[f]);
		c->posting[c->posting_at[i] + c->n_postings[i]++] =
			(struct rec_posting){window, n, here};
		count_documents(c, i, w, at, n);
	}
	return 0;
}

/* ---- examples ------------------------------------------------------------------ */

static uint64_t
n_examples(const struct collect *c, uint32_t i)
{
	uint64_t n = state_of(c, i)->n_best;

	for (uint32_t v = 0; v < LIMIT_INTERVALS; v++)
		n += c->intervals[i].n[v];
	return n;
}

static void
list_example(struct collect *c, uint32_t i, uint32_t interval, uint32_t window,
	uint32_t offset, float value)
{
	c->wanted[c->n_wanted] = (struct wanted){window, i, c->n_wanted};
	c->example[c->n_wanted++] = (struct rec_example){.interval = interval,
		.window = window,
		.offset = offset,
		.value = value};
}

static int
by_window(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	if (x->feature != y->feature)
		return x->feature < y->feature ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

static int
list_examples(struct collect *c, struct err *e)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		c->example_at[i] = sum;
		sum += n_examples(c, i);
	}
	c->example_at[c->count] = sum;
	c->example = mem_new(sum, sizeof(*c->example));
	c->wanted = mem_new(sum, sizeof(*c->wanted));
	if (c->example == NULL || c->wanted == NULL)
		return no_memory(e);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct feature_state *f = state_of(c, i);
		const struct intervals *x = &c->intervals[i];

		for (uint32_t j = 0; j < f->n_best; j++)
			list_example(c, i, REC_BEST, f->best[j].window,
				f->best[j].offset, f->best[j].value);
		for (uint32_t v = 0; v < LIMIT_INTERVALS; v++)
			for (uint32_t j = 0; j < x->n[v]; j++)
				list_example(c, i, v, x->sample[v][j].window,
					x->sample[v][j].offset, x->sample[v][j].value);
	}
	qsort(c->wanted, c->n_wanted, sizeof(*c->wanted), by_window);
	return 0;
}

/* The second scan: examples of one feature in one window share their list. */
static int
give_at(struct collect *c, const struct wanted *from, const struct wanted *end,
	const struct rec_at *at, uint32_t n, struct err *e)
{
	struct rec_at *copy = arena_alloc(&c->arena, n, sizeof(*copy));

	if (copy == NULL)
		return no_memory(e);
	memcpy(copy, at, n * sizeof(*copy));
	for (const struct wanted *w = from; w < end && w->feature == from->feature;
		w++) {
		c->example[w->place].at = copy;
		c->example[w->place].n_at = n;
	}
	return 0;
}

static int
visit_second(void *ctx, size_t part, uint32_t window, const struct rec_window *r,
	const struct rec_acts *a, struct err *e)
{
	struct collect *c = (struct collect *)ctx + part;
	const struct by_feature *b = &c->window;
	uint64_t from = c->at_wanted, to = from;
	int rc = 0;

	while (to < c->n_wanted && c->wanted[to].window == window)
		to++;
	if (to == from)
		return 0;
	if (scan_by_feature(c->job->windows, &c->window, r, a, e) < 0)
		return e->code;
	for (uint64_t i = to; i > from; i--) /* ends at the first of each feature */
		c->want_of[c->wanted[i - 1].feature] = (uint32_t)(i - from);
	for (uint32_t f = 0; f < b->n && rc == 0; f++) {
		uint32_t want = c->want_of[b->feature[f] - c->first];

		if (want != 0)
			rc = give_at(c, c->wanted + from + want - 1, c->wanted + to,
				b->at + b->start[f], b->start[f + 1] - b->start[f], e);
	}
	for (uint64_t i = from; i < to; i++)
		c->want_of[c->wanted[i].feature] = 0;
	c->at_wanted = to;
	return rc;
}

/* ---- labels --------------------------------------------------------------------- */

int
collect_labels(struct collect *c, struct err *e)
{
	struct keywords *k = NULL;
	struct buf one;

	if (keywords_new(&k, c->job->words, e) < 0)
		return e->code;
	buf_init(&one);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct feature_state *f = state_of(c, i);

		c->label_at[i] = c->labels.n_bytes;
		if (f->n_best == 0)
			continue;
		buf_reset(&one);
		keywords_label(k, c->job->windows, f->best, f->n_best, &one,
			&c->label_score[i]);
		buf_put(&c->labels, one.data, one.n_bytes);
		buf_u8(&c->labels, 0);
		c->labels.failed |= one.failed;
	}
	c->label_at[c->count] = c->labels.n_bytes;
	buf_clear(&one);
	keywords_free(k);
	return c->labels.failed ? no_memory(e) : 0;
}

/* ---- all of it ------------------------------------------------------------------ */

struct collecting {
	struct collect *c; /* (n) */
	struct err *err; /* (n) */
	int (*step)(struct collect *c, struct err *e);
};

static void
run_step(void *ctx, size_t i, size_t thread)
{
	struct collecting *g = ctx;

	(void)thread;
	g->step(&g->c[i], &g->err[i]);
}

static int
each(struct collecting *g, size_t n, int (*step)(struct collect *c, struct err *e),
	struct err *e)
{
	g->step = step;
	pool_run(g->c->job->pool, n, run_step, g);
	for (size_t i = 0; i < n; i++)
		if (g->err[i].code != 0) {
			*e = g->err[i];
			return e->code;
		}
	return 0;
}

int
collect_run(struct collect *c, size_t n, struct err *e)
{
	const struct finish_job *job = c->job;
	struct scan scan = {job->pool, job->windows, job->writer, job->slot, n};
	struct collecting g = {.c = c, .err = mem_new(n, sizeof(*g.err))};
	int rc;

	if (g.err == NULL)
		return no_memory(e);
	rc = each(&g, n, make_arrays, e);
	if (rc == 0)
		rc = scan_rows(&scan, visit_first, c, e);
	if (rc == 0)
		rc = each(&g, n, list_examples, e);
	if (rc == 0)
		rc = scan_rows(&scan, visit_second, c, e);
	mem_free(g.err);
	return rc;
}
