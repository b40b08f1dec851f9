/* SPDX-License-Identifier: ISC */
#include "indexer/directions.h"

#include "indexer/nearest.h"
#include "indexer/stop.h"
#include "kernel/kernel.h"
#include "util/mem.h"
#include "util/paged.h"

#include <string.h>

#define CHUNK 240 /* features asked about at a time; a multiple of 12 */
#define BLOCK (CHUNK * 32) /* features whose answers are held */

/* ---- the k best rows for each feature, on all threads --------------------------- */

struct search {
	const struct kernel_rows *rows;
	uint32_t n_rows, d, k;
	bool both_ends;
	/* features [first, first + n) at a time, so that any number of them fits */
	const float *x; /* (n, d) */
	uint32_t first, n;
	struct kernel_hit *best; /* (BLOCK, k) */
	struct kernel_hit *least; /* (BLOCK, k) where both ends are wanted */
	struct kernel_work **work; /* (n_threads) */
	struct err *err; /* (n_threads) */
	size_t n_threads;
};

static int
search_init(struct search *s, struct pool *pool, struct err *e)
{
	int rc = 0;

	s->n_threads = pool_n_threads(pool);
	s->best = mem_new(BLOCK, s->k * sizeof(*s->best));
	if (s->both_ends)
		s->least = mem_new(BLOCK, s->k * sizeof(*s->least));
	s->work = mem_new(s->n_threads, sizeof(*s->work));
	s->err = mem_new(s->n_threads, sizeof(*s->err));
	if (s->best == NULL || s->work == NULL || s->err == NULL ||
		(s->both_ends && s->least == NULL))
		return err_set(e, ERR_NOMEM, "no memory to search directions");
	for (size_t i = 0; i < s->n_threads && rc == 0; i++)
		rc = kernel_work_new(&s->work[i], e);
	return rc;
}

static void
search_clear(struct search *s)
{
	for (size_t i = 0; s->work != NULL && i < s->n_threads; i++)
		kernel_work_free(s->work[i]);
	mem_free(s->work);
	mem_free(s->err);
	mem_free(s->best);
	mem_free(s->least);
}

static void
search_chunk(void *ctx, size_t i, size_t thread)
{
	struct search *s = ctx;
	uint32_t from = (uint32_t)i * CHUNK;
	uint32_t m = s->n - from < CHUNK ? s->n - from : CHUNK;
	const float *x = s->x + (size_t)from * s->d;
	size_t at = (size_t)from * s->k;
	struct err *e = &s->err[thread];

	if (e->code != 0)
		return;
	if (s->both_ends)
		kernel_ends(s->best + at, s->least + at, s->k, s->rows, x, s->d, m,
			s->work[thread], e);
	else
		kernel_best(s->best + at, s->k, s->rows, 0, s->n_rows, x, s->d, m, NULL,
			NULL, false, NULL, s->work[thread], e);
}

/* Of n features from first on, at most a block; x is the first one's. */
static int
search_run(struct search *s, struct pool *pool, const float *x, uint32_t first,
	uint32_t n, struct err *e)
{
	s->x = x;
	s->first = first;
	s->n = n;
	pool_run(pool, (n + CHUNK - 1) / CHUNK, search_chunk, s);
	for (size_t i = 0; i < s->n_threads; i++)
		if (s->err[i].code != 0) {
			*e = s->err[i];
			return e->code;
		}
	return stop_check(e);
}

static uint32_t
block_at(uint32_t first, uint32_t n_all)
{
	return n_all - first < BLOCK ? n_all - first : BLOCK;
}

static void
to_scored(struct rec_scored *out, const struct kernel_hit *best, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = (struct rec_scored){best[i].row, best[i].value};
}

/* ---- logit effects ---------------------------------------------------------------- */

struct logits {
	struct sae_writer *writer;
	const struct lm *lm;
	const struct sae *sae;
	struct pool *pool;
	struct search search;
	float *stream; /* (BLOCK, d_model), where decoder rows are not in the stream */
};

static int
write_logits(const struct logits *x, struct err *e)
{
	struct rec_scored promoted[LIMIT_LOGITS], suppressed[LIMIT_LOGITS];
	const struct search *s = &x->search;
	struct rec_logits r = {promoted, suppressed, s->k, s->k};

	for (uint32_t i = 0; i < s->n; i++) {
		to_scored(promoted, s->best + (size_t)i * s->k, s->k);
		to_scored(suppressed, s->least + (size_t)i * s->k, s->k);
		if (sae_writer_logits(x->writer, s->first + i, &r, e) < 0)
			return e->code;
	}
	return 0;
}

static int
logits_block(struct logits *x, uint32_t first, uint32_t n, struct err *e)
{
	const float *rows = x->stream;

	if (rows == NULL)
		rows = x->sae->w_dec + (size_t)first * x->search.d;
	else if (sae_directions(x->sae, x->lm, first, n, x->stream, e) < 0)
		return e->code;
	if (search_run(&x->search, x->pool, rows, first, n, e) < 0)
		return e->code;
	return write_logits(x, e);
}

static int
logits_all(struct logits *x, struct kernel_rows **unembed, uint32_t n_vocab,
	struct err *e)
{
	uint32_t n = x->sae->info.d_sae;

	if (x->sae->info.hook_out.site == HOOK_Z || x->sae->info.n_targets > 1) {
		x->stream = mem_new_aligned(BLOCK, x->search.d * sizeof(*x->stream));
		if (x->stream == NULL)
			return err_set(e, ERR_NOMEM, "no memory for directions");
	}
	if (kernel_rows_new(unembed, lm_unembed(x->lm), n_vocab, x->search.d, e) < 0)
		return e->code;
	x->search.rows = *unembed;
	if (search_init(&x->search, x->pool, e) < 0)
		return e->code;
	for (uint32_t at = 0; at < n; at += BLOCK)
		if (logits_block(x, at, block_at(at, n), e) < 0)
			return e->code;
	return 0;
}

bool
logits_possible(const struct lm *lm, const struct sae *sae)
{
	return lm_has_unembed(lm) && lm_has_directions(lm, &sae->info.hook_out);
}

int
logits_write(struct sae_writer *w, const struct lm *lm, const struct sae *sae,
	uint32_t n_vocab, struct pool *pool, struct err *e)
{
	struct logits x = {.writer = w,
		.lm = lm,
		.sae = sae,
		.pool = pool,
		.search = {.both_ends = true,
			.n_rows = n_vocab,
			.d = lm_info(lm)->d_model,
			.k = n_vocab < LIMIT_LOGITS ? n_vocab : LIMIT_LOGITS}};
	struct kernel_rows *unembed = NULL;
	int rc;

	if (!logits_possible(lm, sae))
		return 0;
	rc = logits_all(&x, &unembed, n_vocab, e);
	search_clear(&x.search);
	kernel_rows_free(unembed);
	mem_free(x.stream);
	return rc;
}

/* ---- neighbors ---------------------------------------------------------------------- */

static int
prepare(struct directions *x, struct err *e)
{
	if (x->prepared != NULL)
		return 0;
	x->unit = paged_new(x->n, x->d * sizeof(*x->unit), e);
	if (x->unit == NULL)
		return e->code;
	for (uint32_t i = 0; i < x->n; i++) {
		const float *row = x->rows + (size_t)i * x->d;
		float norm = kernel_norm(row, x->d), *unit = x->unit + (size_t)i * x->d;

		paged_passed(2 * x->d * sizeof(float));
		for (uint32_t j = 0; j < x->d && norm > 0; j++)
			unit[j] = row[j] / norm;
	}
	return kernel_rows_new(&x->prepared, x->unit, x->n, x->d, e);
}

void
directions_clear(struct directions *x)
{
	kernel_rows_free(x->prepared);
	mem_free(x->unit);
	x->prepared = NULL;
	x->unit = NULL;
}

uint32_t
neighbors_k(const struct directions *from, const struct directions *to)
{
	uint32_t n = to->n - (strcmp(from->id, to->id) == 0);

	return n < LIMIT_NEIGHBORS ? n : LIMIT_NEIGHBORS;
}

bool
neighbors_many(const struct directions *from, const struct directions *to)
{
	return (double)from->n * (double)to->n * (double)to->d > NEIGHBORS_MOST;
}

/* ---- neighbors, one way -------------------------------------------------------------- */

static int
write_block(struct graph_writer *w, const struct search *s, struct err *e)
{
	struct rec_scored list[LIMIT_NEIGHBORS];

	for (uint32_t i = 0; i < s->n; i++) {
		to_scored(list, s->best + (size_t)i * s->k, s->k);
		if (graph_writer_put(w, s->first + i, list, s->k, e) < 0)
			return e->code;
	}
	return 0;
}

static int
write_one_way(struct graph_writer *w, const struct directions *from,
	const struct directions *to, struct pool *pool, struct err *e)
{
	struct search s = {.rows = to->prepared,
		.n_rows = to->n,
		.d = from->d,
		.k = neighbors_k(from, to)};
	int rc = search_init(&s, pool, e);

	for (uint32_t at = 0; at < from->n && rc == 0; at += BLOCK) {
		rc = search_run(&s, pool, from->unit + (size_t)at * s.d, at,
			block_at(at, from->n), e);
		if (rc == 0)
			rc = write_block(w, &s, e);
	}
	search_clear(&s);
	return rc;
}

/* ---- neighbors, both ways ------------------------------------------------------------ */

static struct nearest_side
side_of(const struct directions *x, const struct directions *other)
{
	return (struct nearest_side){.rows = x->prepared,
		.x = x->unit,
		.n = x->n,
		.d = x->d,
		.k = neighbors_k(x, other)};
}

static int
write_lists(struct graph_writer *w, const struct nearest_side *s, struct err *e)
{
	struct rec_scored list[LIMIT_NEIGHBORS];

	for (uint32_t i = 0; i < s->n; i++) {
		const struct kernel_near *near = kernel_lists_row(s->lists, i);

		paged_passed(s->k * sizeof(*near));
		for (uint32_t j = 0; j < s->k; j++)
			list[j] = (struct rec_scored){near[j].row, near[j].value};
		if (graph_writer_put(w, i, list, s->k, e) < 0)
			return e->code;
	}
	return 0;
}

/* back == NULL: b's features need no list, since b is a. */
static int
write_both_ways(struct graph_writer *there, struct graph_writer *back,
	const struct directions *a, const struct directions *b, struct pool *pool,
	struct err *e)
{
	struct nearest_side x = side_of(a, b), y = side_of(b, a);
	int rc = nearest_find(&x, back != NULL ? &y : NULL, pool, e);

	if (rc == 0)
		rc = write_lists(there, &x, e);
	if (rc == 0 && back != NULL)
		rc = write_lists(back, &y, e);
	kernel_lists_free(x.lists);
	kernel_lists_free(y.lists);
	return rc;
}

/* A writer that is NULL has its graph already. */
static int
write_graphs(struct graph_writer *there, struct graph_writer *back,
	struct directions *a, struct directions *b, struct pool *pool, struct err *e)
{
	int rc = 0;

	if (there == NULL && back == NULL)
		return 0;
	if (prepare(a, e) < 0 || prepare(b, e) < 0)
		return e->code;
	if (strcmp(a->id, b->id) == 0 || (there != NULL && back != NULL))
		rc = write_both_ways(there, back, a, b, pool, e);
	else if (there != NULL)
		rc = write_one_way(there, a, b, pool, e);
	else
		rc = write_one_way(back, b, a, pool, e);
	if (rc == 0 && there != NULL)
		rc = graph_writer_finish(there, e);
	if (rc == 0 && back != NULL)
		rc = graph_writer_finish(back, e);
	return rc;
}

int
neighbors_write(struct store *s, struct directions *from, struct directions *to,
	struct pool *pool, bool *have, struct err *e)
{
	struct graph_writer *w = NULL;
	int rc = graph_writer_new(&w, have, s, from->id, to->id, neighbors_k(from, to),
		e);

	if (rc == 0)
		rc = write_graphs(w, NULL, from, to, pool, e);
	graph_writer_free(w);
	return rc;
}

int
neighbors_write_both(struct store *s, struct directions *a, struct directions *b,
	struct pool *pool, bool have[2], struct err *e)
{
	struct graph_writer *there = NULL, *back = NULL;
	int rc = graph_writer_new(&there, &have[0], s, a->id, b->id, neighbors_k(a, b),
		e);

	if (rc == 0)
		rc = graph_writer_new(&back, &have[1], s, b->id, a->id,
			neighbors_k(b, a), e);
	if (rc == 0)
		rc = write_graphs(there, back, a, b, pool, e);
	graph_writer_free(there);
	graph_writer_free(back);
	return rc;
}
