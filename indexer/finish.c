/* SPDX-License-Identifier: ISC */
#include "indexer/finish.h"

#include "indexer/collect.h"
#include "indexer/tokens.h"
#include "util/mem.h"

#define RANGES_PER_THREAD 2

/* ---- writing a range ---------------------------------------------------------- */

static int
write_feature(const struct collect *c, uint32_t i, struct err *e)
{
	uint32_t feature = c->first + i;
	const struct feature_state *f = &c->job->pass->state.feature[feature];
	struct rec_bin bin[REC_HIST_BINS];
	struct rec_feature r = {.count = f->count,
		.n_windows = f->n_windows,
		.n_documents = c->n_documents[i],
		.sum = exact32_get(&f->sum),
		.sum_squares = exact64_get(&f->sum_squares),
		.max = f->max,
		.max_window = f->max_window,
		.max_offset = f->max_offset,
		.bin = bin,
		.n_bins = state_bins(f, bin)};

	for (uint32_t v = 0; v < LIMIT_INTERVALS; v++)
		r.interval[v] = c->intervals[i].population[v];
	return run_writer_feature(c->job->writer, c->job->slot, feature, &r, e);
}

static int
write_lists(const struct collect *c, uint32_t i, struct err *e)
{
	struct run_writer *w = c->job->writer;
	uint32_t slot = c->job->slot, feature = c->first + i;
	struct rec_examples r = {.example = c->example + c->example_at[i],
		.n_examples = (uint32_t)(c->example_at[i + 1] - c->example_at[i])};
	if (c->n_postings[i] == 0)
		return 0;
	if (c->n_postings[i] != c->posting_at[i + 1] - c->posting_at[i])
		return err_set(e, ERR_INTERNAL,
			"feature %u is stored in fewer windows than were counted",
			feature);
	if (run_writer_examples(w, slot, feature, &r, e) < 0)
		return e->code;
	return run_writer_postings(w, slot, feature, c->posting + c->posting_at[i],
		c->n_postings[i], e);
}

static int
write_labels(const struct collect *c, struct err *e)
{
	for (uint32_t i = 0; i < c->count; i++) {
		const char *label = (const char *)c->labels.data + c->label_at[i];

		if (c->label_at[i + 1] <= c->label_at[i] + 1)
			continue; /* an empty label is none */
		if (run_writer_keywords(c->job->writer, c->job->slot, c->first + i,
			    label, c->label_score[i], e) < 0)
			return e->code;
	}
	return 0;
}

static int
write_range(const struct collect *c, struct err *e)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (write_feature(c, i, e) < 0 || write_lists(c, i, e) < 0)
			return e->code;
	return 0;
}

/* ---- shares --------------------------------------------------------------------- */

/* How many features from first on, before end, fit the bytes, one at least. */
static uint32_t
fit(const struct finish_job *job, uint32_t first, uint32_t end, size_t bytes)
{
	const struct state *s = &job->pass->state;
	uint32_t n = 0;
	size_t sum = 0;

	while (first + n < end) {
		sum += collect_bytes(job, &s->feature[first + n]);
		if (n > 0 && sum > bytes)
			break;
		n++;
	}
	return n;
}

/* Features [first, first + n) in n_ranges parts of like weight, empty ones left out;
 * returns how many. */
static size_t
split(const struct finish_job *job, struct collect *range, size_t n_ranges,
	uint32_t first, uint32_t n)
{
	size_t all = 0, sum = 0, r = 0;

	for (uint32_t i = 0; i < n; i++)
		all += collect_bytes(job, &job->pass->state.feature[first + i]);
	range[0] = (struct collect){.job = job, .first = first};
	for (uint32_t i = 0; i < n; i++) {
		if (range[r].count > 0 && r + 1 < n_ranges &&
			sum >= all / n_ranges * (r + 1))
			range[++r] = (struct collect){.job = job, .first = first + i};
		range[r].count++;
		sum += collect_bytes(job, &job->pass->state.feature[first + i]);
	}
	return r + 1;
}

/* One thread writes while the others look for labels. */
struct ending {
	struct collect *range; /* (n) */
	size_t n;
	struct err *err; /* (n + 1) */
};

static void
end_one(void *ctx, size_t i, size_t thread)
{
	struct ending *g = ctx;
	struct err *e = &g->err[i];

	(void)thread;
	if (i > 0)
		collect_labels(&g->range[i - 1], e);
	else
		for (size_t r = 0; r < g->n && e->code == 0; r++)
			write_range(&g->range[r], e);
}

static int
end_all(struct ending *g, struct pool *pool, struct err *e)
{
	pool_run(pool, g->n + 1, end_one, g);
	for (size_t i = 0; i <= g->n; i++)
		if (g->err[i].code != 0) {
			*e = g->err[i];
			return e->code;
		}
	for (size_t i = 0; i < g->n; i++)
		if (write_labels(&g->range[i], e) < 0)
			return e->code;
	return 0;
}

static int
run_share(const struct finish_job *job, struct collect *range, size_t n_ranges,
	uint32_t first, uint32_t n, struct err *e)
{
	struct ending g = {range, split(job, range, n_ranges, first, n), NULL};
	int rc = collect_run(range, g.n, e);

	g.err = mem_new(g.n + 1, sizeof(*g.err));
	if (rc == 0 && g.err == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to finish the features");
	if (rc == 0)
		rc = end_all(&g, job->pool, e);
	for (size_t i = 0; i < g.n; i++)
		collect_clear(&range[i]);
	mem_free(g.err);
	return rc;
}

static int
write_sums(const struct finish_job *job, struct err *e)
{
	struct buf b;
	int rc;

	if (job->pass->sums.stream.d == 0)
		return 0;
	buf_init(&b);
	sums_save(&job->pass->sums, &b);
	rc = b.failed ? err_set(e, ERR_NOMEM, "no memory for an SAE's sums")
		      : run_writer_sums(job->writer, job->slot, b.data, b.n_bytes, e);
	buf_clear(&b);
	return rc;
}

int
finish_sae(const struct finish_job *job, struct err *e)
{
	size_t n_ranges = pool_n_threads(job->pool);
	uint32_t n, end = job->end != 0 ? job->end : job->pass->state.n_features;
	struct collect *range;
	int rc = 0;

	if (n_ranges > 1)
		n_ranges *= RANGES_PER_THREAD;
	range = mem_new(n_ranges, sizeof(*range));
	if (range == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to finish the features");
	for (uint32_t at = job->first; at < end && rc == 0; at += n) {
		n = fit(job, at, end, job->memory_bytes);
		rc = run_share(job, range, n_ranges, at, n, e);
		progress_part(job->progress, at + n - job->first, end - job->first);
	}
	mem_free(range);
	if (rc == 0)
		rc = write_sums(job, e);
	return rc == 0 ? tokens_write(job, e) : rc;
}
