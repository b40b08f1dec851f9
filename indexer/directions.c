/* SPDX-License-Identifier: ISC */
#include "indexer/directions.h"

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
	bool smallest, skip_self;
	/* features [first, first + n) at a time, so that any number of them fits */
	const float *x; /* (n, d) */
	uint32_t first, n;
	struct kernel_hit *best; /* (BLOCK, k) */
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
	s->work = mem_new(s->n_threads, sizeof(*s->work));
	s->err = mem_new(s->n_threads, sizeof(*s->err));
	if (s->best == NULL || s->work == NULL || s->err == NULL)
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
}

static void
search_chunk(void *ctx, size_t i, size_t thread)
{
	struct search *s = ctx;
	uint32_t from = (uint32_t)i * CHUNK, skip[CHUNK];
	uint32_t m = s->n - from < CHUNK ? s->n - from : CHUNK;

	for (uint32_t j = 0; j < m; j++)
		skip[j] = s->first + from + j;
	if (s->err[thread].code == 0)
		kernel_best(s->best + (size_t)from * s->k, s->k, s->rows, 0, s->n_rows,
			s->x + (size_t)from * s->d, s->d, m, NULL, NULL, s->smallest,
			s->skip_self ? skip : NULL, s->work[thread], &s->err[thread]);
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
	struct search up, down;
	float *stream; /* (BLOCK, d_model), where decoder rows are not in the stream */
};

static int
write_logits(const struct logits *x, struct err *e)
{
	struct rec_scored promoted[LIMIT_LOGITS], suppressed[LIMIT_LOGITS];
	const struct search *up = &x->up, *down = &x->down;
	struct rec_logits r = {promoted, suppressed, up->k, down->k};

	for (uint32_t i = 0; i < up->n; i++) {
		to_scored(promoted, up->best + (size_t)i * up->k, up->k);
		to_scored(suppressed, down->best + (size_t)i * down->k, down->k);
		if (sae_writer_logits(x->writer, up->first + i, &r, e) < 0)
			return e->code;
	}
	return 0;
}

static int
logits_block(struct logits *x, uint32_t first, uint32_t n, struct err *e)
{
	const float *rows = x->stream;

	if (rows == NULL)
		rows = x->sae->w_dec + (size_t)first * x->up.d;
	else if (sae_directions(x->sae, x->lm, first, n, x->stream, e) < 0)
		return e->code;
	if (search_run(&x->up, x->pool, rows, first, n, e) < 0 ||
		search_run(&x->down, x->pool, rows, first, n, e) < 0)
		return e->code;
	return write_logits(x, e);
}

static int
logits_all(struct logits *x, struct kernel_rows **unembed, uint32_t n_vocab,
	struct err *e)
{
	uint32_t n = x->sae->info.d_sae;

	if (x->sae->info.hook_out.site == HOOK_Z || x->sae->info.n_targets > 1) {
		x->stream = mem_new_aligned(BLOCK, x->up.d * sizeof(*x->stream));
		if (x->stream == NULL)
			return err_set(e, ERR_NOMEM, "no memory for directions");
	}
	if (kernel_rows_new(unembed, lm_unembed(x->lm), n_vocab, x->up.d, e) < 0)
		return e->code;
	x->up.rows = x->down.rows = *unembed;
	x->down.smallest = true;
	if (search_init(&x->up, x->pool, e) < 0 ||
		search_init(&x->down, x->pool, e) < 0)
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
		.up = {.n_rows = n_vocab,
			.d = lm_info(lm)->d_model,
			.k = n_vocab < LIMIT_LOGITS ? n_vocab : LIMIT_LOGITS}};
	struct kernel_rows *unembed = NULL;
	int rc;

	if (!logits_possible(lm, sae))
		return 0;
	x.down = x.up;
	rc = logits_all(&x, &unembed, n_vocab, e);
	search_clear(&x.up);
	search_clear(&x.down);
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
write_graph(struct graph_writer *w, struct search *s, const struct directions *from,
	struct pool *pool, struct err *e)
{
	if (search_init(s, pool, e) < 0)
		return e->code;
	for (uint32_t at = 0; at < from->n; at += BLOCK)
		if (search_run(s, pool, from->unit + (size_t)at * s->d, at,
			    block_at(at, from->n), e) < 0 ||
			write_block(w, s, e) < 0)
			return e->code;
	return graph_writer_finish(w, e);
}

int
neighbors_write(struct store *s, struct directions *from, struct directions *to,
	struct pool *pool, bool *have, struct err *e)
{
	struct search search = {.n_rows = to->n,
		.d = from->d,
		.k = neighbors_k(from, to),
		.skip_self = strcmp(from->id, to->id) == 0};
	struct graph_writer *w = NULL;
	int rc = graph_writer_new(&w, have, s, from->id, to->id, search.k, e);

	if (rc == 0 && w != NULL)
		rc = prepare(from, e);
	if (rc == 0 && w != NULL)
		rc = prepare(to, e);
	search.rows = to->prepared;
	if (rc == 0 && w != NULL)
		rc = write_graph(w, &search, from, pool, e);
	search_clear(&search);
	graph_writer_free(w);
	return rc;
}
