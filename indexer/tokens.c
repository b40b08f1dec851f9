/* SPDX-License-Identifier: ISC */
#include "indexer/tokens.h"

#include "indexer/scan.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

#define RANGES_PER_THREAD 2

/* What is known of one feature on one token. */
struct pair {
	uint32_t feature, n;
	double sum; /* in the order of positions */
};

/* The features seen on one token: an open table, a power of two. */
struct token_table {
	struct pair *pair; /* (cap); n 0 = free */
	uint32_t n, cap;
};

/* A range of token ids, one thread's at a time. */
struct token_range {
	const struct finish_job *job;
	uint32_t first, count;
	struct token_table *table; /* (count) */
	uint64_t *n_occurrences; /* (count) */
};

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM,
		"no memory to count features by token; use a larger "
		"--memory or fewer --threads");
}

static struct pair *
find_pair(const struct token_table *t, uint32_t feature)
{
	uint32_t at = (feature * UINT32_C(2654435761)) & (t->cap - 1);

	while (t->pair[at].n != 0 && t->pair[at].feature != feature)
		at = (at + 1) & (t->cap - 1);
	return &t->pair[at];
}

static int
grow(struct token_table *t, struct err *e)
{
	struct token_table more = {.n = t->n, .cap = t->cap ? t->cap * 2 : 16};

	more.pair = mem_new(more.cap, sizeof(*more.pair));
	if (more.pair == NULL)
		return no_memory(e);
	for (uint32_t i = 0; i < t->cap; i++)
		if (t->pair[i].n != 0)
			*find_pair(&more, t->pair[i].feature) = t->pair[i];
	mem_free(t->pair);
	*t = more;
	return 0;
}

static int
add_pair(struct token_table *t, uint32_t feature, float value, struct err *e)
{
	struct pair *p;

	if (t->n * 2 >= t->cap && grow(t, e) < 0)
		return e->code;
	p = find_pair(t, feature);
	t->n += p->n == 0;
	p->feature = feature;
	p->n++;
	p->sum += (double)value;
	return 0;
}

static int
visit_rows(void *ctx, size_t part, uint32_t window, const struct rec_window *w,
	const struct rec_acts *a, struct err *e)
{
	struct token_range *r = (struct token_range *)ctx + part;

	(void)window;
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		uint32_t at = w->token[i] - r->first;

		if (at >= r->count || !windows_counts(r->job->windows, w->token[i]))
			continue;
		r->n_occurrences[at]++;
		for (uint32_t j = a->row_start[i]; j < a->row_start[i + 1]; j++)
			if (add_pair(&r->table[at], a->feature[j], a->value[j], e) < 0)
				return e->code;
	}
	return 0;
}

static int
make_tables(struct token_range *r, struct err *e)
{
	r->table = mem_new(r->count, sizeof(*r->table));
	r->n_occurrences = mem_new(r->count, sizeof(*r->n_occurrences));
	return r->table != NULL && r->n_occurrences != NULL ? 0 : no_memory(e);
}

static void
clear_range(struct token_range *r)
{
	for (uint32_t i = 0; r->table != NULL && i < r->count; i++)
		mem_free(r->table[i].pair);
	mem_free(r->table);
	mem_free(r->n_occurrences);
	*r = (struct token_range){0};
}

/* ---- writing -------------------------------------------------------------------- */

static int
by_fired(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->feature < y->feature ? -1 : x->feature > y->feature;
}

/* The pairs of each token, most frequent first, none free among them. */
static void
sort_range(void *ctx, size_t part, size_t thread)
{
	struct token_range *r = (struct token_range *)ctx + part;

	(void)thread;
	for (uint32_t i = 0; i < r->count; i++) {
		struct token_table *t = &r->table[i];
		uint32_t n = 0;

		for (uint32_t j = 0; j < t->cap; j++)
			if (t->pair[j].n != 0)
				t->pair[n++] = t->pair[j];
		if (n > 0)
			qsort(t->pair, n, sizeof(*t->pair), by_fired);
	}
}

static int
write_token(const struct token_range *r, uint32_t i, struct err *e)
{
	struct rec_token_feature list[LIMIT_TOKEN_FEATURES];
	const struct token_table *t = &r->table[i];
	struct rec_token out = {.n_occurrences = r->n_occurrences[i],
		.feature = list,
		.n_features = t->n < LIMIT_TOKEN_FEATURES ? t->n : LIMIT_TOKEN_FEATURES,
		.n_features_all = t->n};

	for (uint32_t j = 0; j < out.n_features; j++)
		list[j] = (struct rec_token_feature){t->pair[j].feature, t->pair[j].n,
			(float)(t->pair[j].sum / t->pair[j].n)};
	return run_writer_token(r->job->writer, r->job->slot, r->first + i, &out, e);
}

static int
write_range(const struct token_range *r, struct err *e)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->n_occurrences[i] > 0 && write_token(r, i, e) < 0)
			return e->code;
	return 0;
}

/* ---- ranges --------------------------------------------------------------------- */

/* At most what the pairs of a token take: tables are at most four times their
 * pairs while they grow. */
static size_t
token_bytes(const struct finish_job *job, uint32_t token)
{
	uint64_t n = job->pass->acts_of_token[token];

	if (n > job->pass->state.n_features)
		n = job->pass->state.n_features;
	return (size_t)n * 4 * sizeof(struct pair) + 64;
}

/* The token ids from first on that fit the bytes, one at least. */
static uint32_t
fit(const struct finish_job *job, uint32_t first, size_t bytes)
{
	size_t sum = 0;
	uint32_t n = 0;

	while (first + n < job->windows->n_vocab) {
		sum += token_bytes(job, first + n);
		if (n > 0 && sum > bytes)
			break;
		n++;
	}
	return n;
}

/* Ranges from *at on, n of them at most; *at becomes where the next round begins. */
static int
run_round(const struct finish_job *job, struct token_range *range, size_t n,
	uint32_t *at, size_t each, struct err *e)
{
	struct scan scan = {.pool = job->pool,
		.windows = job->windows,
		.writer = job->writer,
		.slot = job->slot};
	int rc = 0;

	for (size_t i = 0; i < n && *at < job->windows->n_vocab; i++) {
		range[i] = (struct token_range){.job = job,
			.first = *at,
			.count = fit(job, *at, each)};
		*at += range[i].count;
		scan.n_parts++;
		if (rc == 0)
			rc = make_tables(&range[i], e);
	}
	if (rc == 0)
		rc = scan_rows(&scan, visit_rows, range, e);
	if (rc == 0)
		pool_run(job->pool, scan.n_parts, sort_range, range);
	for (size_t i = 0; i < scan.n_parts; i++) {
		if (rc == 0)
			rc = write_range(&range[i], e);
		clear_range(&range[i]);
	}
	return rc;
}

int
tokens_write(const struct finish_job *job, struct err *e)
{
	size_t n = pool_n_threads(job->pool), all = 0, each;
	struct token_range *range;
	uint32_t at = 0;
	int rc = 0;

	if (n > 1)
		n *= RANGES_PER_THREAD;
	range = mem_new(n, sizeof(*range));
	if (range == NULL)
		rc = no_memory(e);
	for (uint32_t i = 0; i < job->windows->n_vocab; i++)
		all += token_bytes(job, i);
	each = all / n + 1;
	if (each > job->memory_bytes / n)
		each = job->memory_bytes / n;
	while (at < job->windows->n_vocab && rc == 0)
		rc = run_round(job, range, n, &at, each, e);
	mem_free(range);
	return rc;
}
