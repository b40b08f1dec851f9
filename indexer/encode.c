/* SPDX-License-Identifier: ISC */
#include "indexer/encode.h"

#include "util/mem.h"

#include <stdatomic.h>

#define RANGES_PER_THREAD 4
#define RANGE_FEWEST 64 /* features */
#define BYTES_PER_HIT 96 /* in all the forms that an activation takes on its way */
#define BYTES_FOUND 32 /* of these, while others are being looked for */
#define CHUNK 64 /* tokens prepared or merged by one item */

static int
split_ranges(struct encoder *c, struct err *e)
{
	uint32_t n = c->sae->info.d_sae;

	c->n_ranges = c->n_threads == 1 ? 1 : c->n_threads * RANGES_PER_THREAD;
	if (c->n_ranges > n / RANGE_FEWEST)
		c->n_ranges = n / RANGE_FEWEST > 0 ? n / RANGE_FEWEST : 1;
	c->bound = mem_new(c->n_ranges + 1, sizeof(*c->bound));
	c->hits = mem_new(c->n_ranges, sizeof(*c->hits));
	if (c->bound == NULL || c->hits == NULL)
		return err_set(e, ERR_NOMEM, "no memory to encode");
	for (size_t r = 0; r < c->n_ranges; r++)
		c->bound[r] = (uint32_t)((uint64_t)n * r / c->n_ranges / 16 * 16);
	c->bound[c->n_ranges] = n;
	return 0;
}

static int
make_topk(struct encoder *c, struct err *e)
{
	size_t k = c->sae->info.k;

	c->best = mem_new(c->max_tokens, k * sizeof(*c->best));
	c->n_best = mem_new(c->max_tokens, sizeof(*c->n_best));
	c->merge = mem_new(c->n_threads, sizeof(*c->merge));
	if (c->best == NULL || c->n_best == NULL || c->merge == NULL)
		return err_set(e, ERR_NOMEM, "no memory to encode");
	for (size_t i = 0; i < c->n_threads; i++) {
		c->merge[i] = mem_new(c->n_ranges * k, sizeof(**c->merge));
		if (c->merge[i] == NULL)
			return err_set(e, ERR_NOMEM, "no memory to encode");
	}
	return 0;
}

static int
make_buffers(struct encoder *c, struct err *e)
{
	c->work = mem_new(c->n_threads, sizeof(*c->work));
	c->y = mem_new_aligned(c->max_tokens, c->sae->info.d_in * sizeof(*c->y));
	c->scale = mem_new(c->max_tokens, sizeof(*c->scale));
	c->shift = mem_new(c->max_tokens, sizeof(*c->shift));
	if (c->work == NULL || c->y == NULL || c->scale == NULL || c->shift == NULL)
		return err_set(e, ERR_NOMEM, "no memory to encode");
	for (size_t i = 0; i < c->n_threads; i++)
		if (sae_work_new(&c->work[i], c->sae, e) < 0)
			return e->code;
	return sae_chooses(c->sae) ? make_topk(c, e) : 0;
}

int
encoder_init(struct encoder *c, const struct sae *sae, size_t n_threads,
	size_t max_tokens, struct err *e)
{
	int rc;

	*c = (struct encoder){.sae = sae,
		.n_threads = n_threads,
		.max_tokens = max_tokens};
	rc = split_ranges(c, e);
	if (rc == 0)
		rc = make_buffers(c, e);
	if (rc < 0)
		encoder_clear(c);
	return rc;
}

void
encoder_clear(struct encoder *c)
{
	for (size_t i = 0; c->work != NULL && i < c->n_threads; i++)
		sae_work_free(c->work[i]);
	for (size_t i = 0; c->hits != NULL && i < c->n_ranges; i++)
		kernel_hits_clear(&c->hits[i]);
	for (size_t i = 0; c->merge != NULL && i < c->n_threads; i++)
		mem_free(c->merge[i]);
	mem_free(c->bound);
	mem_free(c->work);
	mem_free(c->hits);
	mem_free(c->y);
	mem_free(c->scale);
	mem_free(c->shift);
	mem_free(c->best);
	mem_free(c->n_best);
	mem_free(c->merge);
	sparse_clear(&c->acts);
	*c = (struct encoder){0};
}

size_t
encoder_bytes(const struct sae *sae, size_t max_tokens)
{
	size_t each = (sae->info.d_in + 2) * sizeof(float);

	if (sae_chooses(sae))
		each += (sae->info.k + 1) * sizeof(struct kernel_hit);
	return each * max_tokens;
}

/* ---- running ---------------------------------------------------------------- */

struct encoding {
	struct encoder *c;
	const float *x; /* (n_tokens, d_in) */
	uint32_t n_tokens;
	struct err *err; /* (n_threads) */
	atomic_size_t found; /* hits, in the ranges that are done */
};

static uint32_t
chunk_end(const struct encoding *g, size_t i)
{
	uint32_t to = (uint32_t)(i + 1) * CHUNK;

	return to < g->n_tokens ? to : g->n_tokens;
}

static void
prepare_chunk(void *ctx, size_t i, size_t thread)
{
	struct encoding *g = ctx;
	struct encoder *c = g->c;
	size_t from = i * CHUNK, d = c->sae->info.d_in;

	(void)thread;
	sae_prepare(c->sae, c->y + from * d, g->x + from * d, chunk_end(g, i) - from,
		c->scale + from, c->shift + from);
}

static void
encode_range(void *ctx, size_t r, size_t thread)
{
	struct encoding *g = ctx;
	struct encoder *c = g->c;

	c->hits[r].n = 0;
	if (c->most_hits > 0) {
		size_t found = atomic_load(&g->found);
		size_t left = c->most_hits > found ? c->most_hits - found : 0;

		c->hits[r].most = left / c->n_threads + 1;
	}
	if (g->err[thread].code == 0)
		sae_encode_range(c->sae, &c->hits[r], c->y, g->n_tokens, c->bound[r],
			c->bound[r + 1] - c->bound[r], c->work[thread],
			&g->err[thread]);
	atomic_fetch_add(&g->found, c->hits[r].n);
}

/* The first hit of a query not before token. */
static size_t
hits_from(const struct kernel_hits *h, uint32_t token)
{
	size_t lo = 0, hi = h->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (h->hit[mid].query < token)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
merge_token(struct encoder *c, uint32_t token, struct kernel_hit *merge)
{
	size_t k = c->sae->info.k, n = 0;

	for (size_t r = 0; r < c->n_ranges; r++) {
		const struct kernel_hits *h = &c->hits[r];

		for (size_t i = hits_from(h, token);
			i < h->n && h->hit[i].query == token && n < c->n_ranges * k;
			i++)
			merge[n++] = h->hit[i];
	}
	n = sae_topk_merge(c->sae, merge, n);
	for (size_t i = 0; i < n; i++)
		c->best[token * k + i] = merge[i];
	c->n_best[token] = (uint32_t)n;
}

static void
merge_chunk(void *ctx, size_t i, size_t thread)
{
	struct encoding *g = ctx;

	for (uint32_t t = (uint32_t)i * CHUNK; t < chunk_end(g, i); t++)
		merge_token(g->c, t, g->c->merge[thread]);
}

int
encoder_run(struct encoder *c, struct pool *pool, const float *x, uint32_t n_tokens,
	struct err *err, struct err *e)
{
	struct encoding g = {c, x, n_tokens, err, 0};
	size_t n_chunks = (n_tokens + CHUNK - 1) / CHUNK;

	pool_run(pool, n_chunks, prepare_chunk, &g);
	pool_run(pool, c->n_ranges, encode_range, &g);
	for (size_t i = 0; i < c->n_threads; i++)
		if (err[i].code == ERR_LIMIT)
			return err_set(e, ERR_NOMEM,
				"more features fire in %u tokens than the memory has "
				"room for; raise --memory or lower --batch-tokens",
				n_tokens);
		else if (err[i].code != 0) {
			*e = err[i];
			return e->code;
		}
	if (!sae_chooses(c->sae))
		return sparse_gather(&c->acts, c->hits, c->n_ranges, n_tokens, e);
	pool_run(pool, n_chunks, merge_chunk, &g);
	return sparse_gather_rows(&c->acts, c->best, c->sae->info.k, c->n_best,
		n_tokens, e);
}

void
encoder_limit(struct encoder *c, size_t hits_bytes)
{
	c->most_hits = hits_bytes / BYTES_FOUND + 1;
}

/* Candidates of all ranges count as what they take beside those that stay. */
double
encoder_density(const struct encoder *c)
{
	double each = 0;

	if (c->acts.n_tokens == 0)
		return 0;
	if (sae_chooses(c->sae))
		each = (double)c->n_ranges * c->sae->info.k * BYTES_FOUND /
			BYTES_PER_HIT;
	return each + (double)c->acts.row_start[c->acts.n_tokens] / c->acts.n_tokens;
}

size_t
encoder_batch(double density, size_t limit, size_t hits_bytes)
{
	double bytes = density * BYTES_PER_HIT;
	size_t fit;

	if (bytes * (double)limit < (double)hits_bytes)
		return limit;
	fit = (size_t)((double)hits_bytes / bytes);
	return fit < limit ? fit : limit;
}
