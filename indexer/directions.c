/* SPDX-License-Identifier: ISC */
#include "indexer/directions.h"

#include "kernel/kernel.h"
#include "util/mem.h"

#include <string.h>

#define CHUNK 240 /* features asked about at a time; a multiple of 12 */

/* ---- the k best rows for each feature, on all threads --------------------------- */

struct search {
	const struct kernel_rows *rows;
	uint32_t n_rows;
	const float *x; /* (n, d) */
	uint32_t n, d, k;
	bool smallest, skip_self;
	struct kernel_hit *best; /* (n, k) */
	struct kernel_work **work; /* (n_threads) */
	struct err *err; /* (n_threads) */
};

static void
search_chunk(void *ctx, size_t i, size_t thread)
{
	struct search *s = ctx;
	uint32_t from = (uint32_t)i * CHUNK, skip[CHUNK];
	uint32_t m = s->n - from < CHUNK ? s->n - from : CHUNK;

	for (uint32_t j = 0; j < m; j++)
		skip[j] = from + j;
	if (s->err[thread].code == 0)
		kernel_best(s->best + (size_t)from * s->k, s->k, s->rows, 0, s->n_rows,
			s->x + (size_t)from * s->d, s->d, m, NULL, NULL, s->smallest,
			s->skip_self ? skip : NULL, s->work[thread], &s->err[thread]);
}

static int
search_run(struct search *s, struct pool *pool, struct err *e)
{
	size_t n_threads = pool_n_threads(pool);
	int rc = 0;

	s->best = mem_new(s->n, s->k * sizeof(*s->best));
	s->work = mem_new(n_threads, sizeof(*s->work));
	s->err = mem_new(n_threads, sizeof(*s->err));
	if (s->best == NULL || s->work == NULL || s->err == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to search %u directions", s->n);
	for (size_t i = 0; i < n_threads && rc == 0; i++)
		rc = kernel_work_new(&s->work[i], e);
	if (rc == 0)
		pool_run(pool, (s->n + CHUNK - 1) / CHUNK, search_chunk, s);
	for (size_t i = 0; i < n_threads && rc == 0; i++)
		if (s->err[i].code != 0) {
			*e = s->err[i];
			rc = e->code;
		}
	for (size_t i = 0; s->work != NULL && i < n_threads; i++)
		kernel_work_free(s->work[i]);
	mem_free(s->work);
	mem_free(s->err);
	return rc;
}

/* ---- logit effects ---------------------------------------------------------------- */

static void
to_scored(struct rec_scored *out, const struct kernel_hit *best, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = (struct rec_scored){best[i].row, best[i].value};
}

static int
write_logits(struct sae_writer *w, const struct search *up, const struct search *down,
	struct err *e)
{
	struct rec_scored promoted[LIMIT_LOGITS], suppressed[LIMIT_LOGITS];
	struct rec_logits r = {promoted, suppressed, up->k, down->k};

	for (uint32_t i = 0; i < up->n; i++) {
		to_scored(promoted, up->best + (size_t)i * up->k, up->k);
		to_scored(suppressed, down->best + (size_t)i * down->k, down->k);
		if (sae_writer_logits(w, i, &r, e) < 0)
			return e->code;
	}
	return 0;
}

static int
logits_of(struct sae_writer *w, const struct lm *lm, uint32_t n_vocab,
	const float *rows, uint32_t n, struct pool *pool, struct err *e)
{
	uint32_t d = lm_info(lm)->d_model;
	uint32_t k = n_vocab < LIMIT_LOGITS ? n_vocab : LIMIT_LOGITS;
	struct search up = {.n_rows = n_vocab, .x = rows, .n = n, .d = d, .k = k};
	struct search down = up;
	struct kernel_rows *unembed = NULL;
	int rc = kernel_rows_new(&unembed, lm_unembed(lm), n_vocab, d, e);

	up.rows = down.rows = unembed;
	down.smallest = true;
	if (rc == 0)
		rc = search_run(&up, pool, e);
	if (rc == 0)
		rc = search_run(&down, pool, e);
	if (rc == 0)
		rc = write_logits(w, &up, &down, e);
	mem_free(up.best);
	mem_free(down.best);
	kernel_rows_free(unembed);
	return rc;
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
	uint32_t n = sae->info.d_sae;
	float *stream;
	int rc;

	if (!logits_possible(lm, sae))
		return 0;
	if (sae->info.hook_out.site != HOOK_Z && sae->info.n_targets == 1)
		return logits_of(w, lm, n_vocab, sae->w_dec, n, pool, e);
	stream = mem_new_aligned(n, lm_info(lm)->d_model * sizeof(*stream));
	if (stream == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u directions", n);
	rc = sae_directions(sae, lm, 0, n, stream, e);
	if (rc == 0)
		rc = logits_of(w, lm, n_vocab, stream, n, pool, e);
	mem_free(stream);
	return rc;
}

/* ---- neighbors ---------------------------------------------------------------------- */

int
directions_init(struct directions *x, const char *id, const float *rows, uint32_t n,
	uint32_t d, struct err *e)
{
	*x = (struct directions){.id = id, .rows = rows, .n = n, .d = d};
	x->unit = mem_new_aligned(n, d * sizeof(*x->unit));
	if (x->unit == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u directions", n);
	for (uint32_t i = 0; i < n; i++) {
		const float *row = rows + (size_t)i * d;
		float norm = kernel_norm(row, d), *unit = x->unit + (size_t)i * d;

		for (uint32_t j = 0; j < d && norm > 0; j++)
			unit[j] = row[j] / norm;
	}
	if (kernel_rows_new(&x->prepared, x->unit, n, d, e) < 0) {
		directions_clear(x);
		return e->code;
	}
	return 0;
}

void
directions_clear(struct directions *x)
{
	kernel_rows_free(x->prepared);
	mem_free(x->unit);
	*x = (struct directions){0};
}

uint32_t
neighbors_k(const struct directions *from, const struct directions *to)
{
	uint32_t n = to->n - (strcmp(from->id, to->id) == 0);

	return n < LIMIT_NEIGHBORS ? n : LIMIT_NEIGHBORS;
}

static int
write_graph(struct graph_writer *w, const struct search *s, struct err *e)
{
	struct rec_scored list[LIMIT_NEIGHBORS];

	for (uint32_t i = 0; i < s->n; i++) {
		to_scored(list, s->best + (size_t)i * s->k, s->k);
		if (graph_writer_put(w, i, list, s->k, e) < 0)
			return e->code;
	}
	return graph_writer_finish(w, e);
}

int
neighbors_write(struct store *s, const struct directions *from,
	const struct directions *to, struct pool *pool, bool *have, struct err *e)
{
	struct search search = {.rows = to->prepared,
		.n_rows = to->n,
		.x = from->unit,
		.n = from->n,
		.d = from->d,
		.k = neighbors_k(from, to),
		.skip_self = strcmp(from->id, to->id) == 0};
	struct graph_writer *w = NULL;
	int rc = graph_writer_new(&w, have, s, from->id, to->id, search.k, e);

	if (rc == 0 && w != NULL)
		rc = search_run(&search, pool, e);
	if (rc == 0 && w != NULL)
		rc = write_graph(w, &search, e);
	mem_free(search.best);
	graph_writer_free(w);
	return rc;
}
