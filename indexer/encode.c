/* SPDX-License-Identifier: ISC */
#include "indexer/encode.h"

#include "util/mem.h"

#include <stdatomic.h>

#define RANGES_PER_THREAD 4
#define RANGE_FEWEST 64 /* features */
#define BYTES_PER_HIT 96 /* in all the forms that an activation takes on its way */
#define BYTES_FOUND 32 /* of these, while others are being looked for */
#define CHUNK 64 /* tokens prepared by one item */
#define PIECES_PER_THREAD 4
#define PIECE_FEWEST 256 /* tokens, for which the features are worth to be read */

static size_t
pieces_most(const struct encoder *c)
{
	return c->n_threads == 1 ? 1 : c->n_threads * PIECES_PER_THREAD;
}

static int
split_ranges(struct encoder *c, uint32_t first, uint32_t n, struct err *e)
{
	c->n_ranges = c->n_threads == 1 ? 1 : c->n_threads * RANGES_PER_THREAD;
	if (c->n_ranges > n / RANGE_FEWEST)
		c->n_ranges = n / RANGE_FEWEST > 0 ? n / RANGE_FEWEST : 1;
	c->bound = mem_new(c->n_ranges + 1, sizeof(*c->bound));
	c->hits = mem_new(pieces_most(c), sizeof(*c->hits));
	if (c->bound == NULL || c->hits == NULL)
		return err_set(e, ERR_NOMEM, "no memory to encode");
	c->bound[0] = first;
	for (size_t r = 1; r < c->n_ranges; r++)
		c->bound[r] =
			(first + (uint32_t)((uint64_t)n * r / c->n_ranges)) / 16 * 16;
	c->bound[c->n_ranges] = first + n;
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
	return 0;
}

int
encoder_init(struct encoder *c, const struct sae *sae, size_t n_threads,
	size_t max_tokens, struct err *e)
{
	return encoder_init_part(c, sae, 0, sae->info.d_sae, n_threads, max_tokens, e);
}

int
encoder_init_part(struct encoder *c, const struct sae *sae, uint32_t first,
	uint32_t count, size_t n_threads, size_t max_tokens, struct err *e)
{
	int rc;

	*c = (struct encoder){.sae = sae,
		.n_threads = n_threads,
		.max_tokens = max_tokens};
	rc = split_ranges(c, first, count, e);
	if (rc == 0)
		rc = make_buffers(c, e);
	if (rc < 0)
		encoder_clear(c);
	return rc;
}

int
encoder_ranges(struct encoder *c, uint32_t n_features, size_t n_threads, struct err *e)
{
	int rc;

	*c = (struct encoder){.n_threads = n_threads};
	rc = split_ranges(c, 0, n_features, e);
	if (rc < 0)
		encoder_clear(c);
	return rc;
}

void
encoder_clear(struct encoder *c)
{
	for (size_t i = 0; c->work != NULL && i < c->n_threads; i++)
		sae_work_free(c->work[i]);
	for (size_t i = 0; c->hits != NULL && i < pieces_most(c); i++)
		kernel_hits_clear(&c->hits[i]);
	mem_free(c->bound);
	mem_free(c->work);
	mem_free(c->hits);
	mem_free(c->y);
	mem_free(c->scale);
	mem_free(c->shift);
	sparse_clear(&c->acts);
	*c = (struct encoder){0};
}

size_t
encoder_bytes(const struct sae *sae, size_t max_tokens)
{
	size_t each = (sae->info.d_in + 2) * sizeof(float);

	return each * max_tokens;
}

/* ---- running ---------------------------------------------------------------- */

struct encoding {
	struct encoder *c;
	const float *x; /* (n_tokens, d_in) */
	uint32_t n_tokens;
	size_t n_pieces;
	struct err *err; /* (n_threads) */
	atomic_size_t found; /* hits, in the pieces that are done */
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

/* All features of one piece of the tokens: these are quantised once then, and those
 * that choose among all features see them all. */
static void
encode_piece(void *ctx, size_t i, size_t thread)
{
	struct encoding *g = ctx;
	struct encoder *c = g->c;
	struct kernel_hits *hits = &c->hits[i];
	uint32_t from = (uint32_t)((uint64_t)g->n_tokens * i / g->n_pieces);
	uint32_t to = (uint32_t)((uint64_t)g->n_tokens * (i + 1) / g->n_pieces);

	hits->n = 0;
	if (c->most_hits > 0) {
		size_t found = atomic_load(&g->found);
		size_t left = c->most_hits > found ? c->most_hits - found : 0;

		hits->most = left / c->n_threads + 1;
	}
	if (g->err[thread].code == 0)
		sae_encode_range(c->sae, hits, c->y + from * (size_t)c->sae->info.d_in,
			to - from, c->bound[0], c->bound[c->n_ranges] - c->bound[0],
			c->work[thread], &g->err[thread]);
	for (size_t h = 0; h < hits->n; h++)
		hits->hit[h].query += from;
	atomic_fetch_add(&g->found, hits->n);
}

int
encoder_run(struct encoder *c, struct pool *pool, const float *x, uint32_t n_tokens,
	struct err *err, struct err *e)
{
	struct encoding g = {.c = c, .x = x, .n_tokens = n_tokens, .err = err};

	g.n_pieces = n_tokens / PIECE_FEWEST;
	if (g.n_pieces < c->n_threads)
		g.n_pieces = c->n_threads;
	if (g.n_pieces > pieces_most(c))
		g.n_pieces = pieces_most(c);
	pool_run(pool, (n_tokens + CHUNK - 1) / CHUNK, prepare_chunk, &g);
	pool_run(pool, g.n_pieces, encode_piece, &g);
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
	return sparse_gather(&c->acts, c->hits, g.n_pieces, n_tokens, e);
}

void
encoder_prepare(struct encoder *c, struct pool *pool, const float *x, uint32_t n_tokens)
{
	struct encoding g = {.c = c, .x = x, .n_tokens = n_tokens};

	pool_run(pool, (n_tokens + CHUNK - 1) / CHUNK, prepare_chunk, &g);
}

void
encoder_limit(struct encoder *c, size_t hits_bytes)
{
	c->most_hits = hits_bytes / BYTES_FOUND + 1;
}

double
encoder_density(const struct encoder *c)
{
	return sparse_density(&c->acts);
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
