/* SPDX-License-Identifier: ISC */
#include "indexer/nearest.h"

#include "indexer/stop.h"
#include "util/mem.h"
#include "util/paged.h"

#include <math.h>
#include <string.h>

#define CHUNK 240 /* rows searched at a time, apart from the pass */
#define BLOCK_MOST 2048 /* rows of a block */
#define BLOCKS_EACH 4 /* blocks for each thread, at least */
#define SAMPLE_STEP 32 /* of the rows, one is in the sample ... */
#define SAMPLE_MOST 8192 /* ... but not more than so many */

/*
 * A bar first: the k best of n rows have k / step in a sample of n / step rows, give or
 * take the root of that; the worst of a few more is below all k best, but once in
 * 10,000 rows. Then each pair of blocks is passed once, which fills the lists of both;
 * in each round no block is in two pairs. Rows that did not find k above their bar are
 * searched again, one way.
 */
struct nearest {
	struct nearest_side *a, *b; /* the same where it is one matrix */
	struct pool *pool;
	size_t n_threads;
	struct kernel_work **work; /* (n_threads) */
	struct err *err; /* (n_threads) */
	size_t n_a, n_b; /* blocks */
	/* The sample of one side, for which the other's rows are judged */
	struct nearest_side *side, *other;
	float *sample; /* (n_sample, d) */
	struct kernel_rows *sampled;
	uint32_t n_sample, step, room;
	size_t round;
};

static int
init(struct nearest *x, struct err *e)
{
	int rc = 0;

	x->n_threads = pool_n_threads(x->pool);
	x->work = mem_new(x->n_threads, sizeof(struct kernel_work *));
	x->err = mem_new(x->n_threads, sizeof(*x->err));
	if (x->work == NULL || x->err == NULL)
		return err_set(e, ERR_NOMEM, "no memory to search directions");
	for (size_t i = 0; i < x->n_threads && rc == 0; i++)
		rc = kernel_work_new(&x->work[i], e);
	return rc;
}

static void
clear(struct nearest *x)
{
	for (size_t i = 0; x->work != NULL && i < x->n_threads; i++)
		kernel_work_free(x->work[i]);
	mem_free(x->work);
	mem_free(x->err);
	kernel_rows_free(x->sampled);
	mem_free(x->sample);
}

static int
run(struct nearest *x, size_t n, void (*fn)(void *, size_t, size_t), struct err *e)
{
	pool_run(x->pool, n, fn, x);
	for (size_t i = 0; i < x->n_threads; i++)
		if (x->err[i].code != 0) {
			*e = x->err[i];
			return e->code;
		}
	return stop_check(e);
}

static size_t
n_chunks(uint32_t n)
{
	return ((size_t)n + CHUNK - 1) / CHUNK;
}

/* ---- bars ------------------------------------------------------------------------ */

static void
bar_chunk(void *ctx, size_t i, size_t thread)
{
	struct nearest *x = ctx;
	struct kernel_hit best[CHUNK * 16];
	uint32_t first = (uint32_t)i * CHUNK, skip[CHUNK];
	uint32_t m = x->side->n - first < CHUNK ? x->side->n - first : CHUNK;
	struct err *e = &x->err[thread];

	for (uint32_t j = 0; j < m; j++) /* itself */
		skip[j] = x->side == x->other && (first + j) % x->step == 0
			? (first + j) / x->step
			: UINT32_MAX;
	if (e->code != 0 ||
		kernel_best(best, x->room, x->sampled, 0, x->n_sample,
			x->side->x + (size_t)first * x->side->d, x->side->d, m, NULL,
			NULL, false, skip, x->work[thread], e) < 0)
		return;
	for (uint32_t j = 0; j < m; j++) {
		const struct kernel_hit *last = &best[(j + 1) * x->room - 1];

		if (last->row != UINT32_MAX)
			kernel_lists_bar(x->side->lists, first + j, last->value);
	}
}

/* For the rows of a side: how many of the sample may be among their k best. False where
 * that saves nothing. */
static bool
plan_sample(struct nearest *x)
{
	uint32_t n = x->other->n;
	double few;

	x->step = n / SAMPLE_MOST < SAMPLE_STEP ? SAMPLE_STEP : n / SAMPLE_MOST;
	x->n_sample = (n + x->step - 1) / x->step;
	few = (double)x->side->k / x->step;
	x->room = (uint32_t)(few + 4 * sqrt(few) + 2);
	return x->room <= 16 && x->room < x->side->k && x->n_sample > 4 * x->room;
}

static int
bars(struct nearest *x, struct nearest_side *side, struct nearest_side *other,
	struct err *e)
{
	size_t d = other->d;
	int rc;

	x->side = side;
	x->other = other;
	if (!plan_sample(x))
		return 0;
	x->sample = paged_new(x->n_sample, d * sizeof(float), e);
	if (x->sample == NULL)
		return e->code;
	for (size_t i = 0; i < x->n_sample; i++)
		memcpy(x->sample + i * d, other->x + i * x->step * d,
			d * sizeof(float));
	rc = kernel_rows_new(&x->sampled, x->sample, x->n_sample, d, e);
	if (rc == 0)
		rc = run(x, n_chunks(side->n), bar_chunk, e);
	kernel_rows_free(x->sampled);
	mem_free(x->sample);
	x->sampled = NULL;
	x->sample = NULL;
	return rc;
}

/* ---- the pass -------------------------------------------------------------------- */

/* Rows of a block: whole steps, and enough blocks for all threads. */
static uint32_t
block_rows(const struct nearest *x, uint32_t n)
{
	size_t least = BLOCKS_EACH * x->n_threads, size = (n + least - 1) / least;

	size = size < BLOCK_MOST ? size : BLOCK_MOST;
	return (uint32_t)((size + KERNEL_PAIRS_ALIGN - 1) / KERNEL_PAIRS_ALIGN *
		KERNEL_PAIRS_ALIGN);
}

static size_t
n_blocks(const struct nearest *x, const struct nearest_side *s)
{
	uint32_t size = block_rows(x, s->n);

	return ((size_t)s->n + size - 1) / size;
}

static uint32_t
n_of_block(const struct nearest_side *s, size_t first, uint32_t size)
{
	return s->n - first < size ? (uint32_t)(s->n - first) : size;
}

/* Block i of a with block j of b. */
static void
tile(struct nearest *x, size_t i, size_t j, size_t thread)
{
	uint32_t a_size = block_rows(x, x->a->n), b_size = block_rows(x, x->b->n);
	size_t a = i * a_size, b = j * b_size;

	if (x->err[thread].code == 0)
		kernel_pairs(x->a->lists, x->a->rows, a, n_of_block(x->a, a, a_size),
			x->b->lists, x->b->rows, b, n_of_block(x->b, b, b_size),
			x->work[thread], &x->err[thread]);
}

static void
diagonal_item(void *ctx, size_t i, size_t thread)
{
	tile(ctx, i, i, thread);
}

/* Everyone meets everyone in a round robin: the last stands still, the others go
 * round; of an odd number, one rests. */
static void
own_item(void *ctx, size_t i, size_t thread)
{
	struct nearest *x = ctx;
	size_t n = x->n_a + x->n_a % 2, ring = n - 1;
	size_t a = (x->round + i) % ring, b = (x->round + ring - i) % ring;

	if (i == 0)
		b = n - 1;
	if (b < x->n_a && a < x->n_a)
		tile(x, a < b ? a : b, a < b ? b : a, thread);
}

static void
cross_item(void *ctx, size_t i, size_t thread)
{
	struct nearest *x = ctx;

	if (x->n_a < x->n_b)
		tile(x, i, (i + x->round) % x->n_b, thread);
	else
		tile(x, (i + x->round) % x->n_a, i, thread);
}

static int
pass(struct nearest *x, struct err *e)
{
	bool own = x->a == x->b;
	size_t n_rounds = x->n_a > x->n_b ? x->n_a : x->n_b;
	size_t n_items = x->n_a < x->n_b ? x->n_a : x->n_b;
	int rc = 0;

	if (own) {
		rc = run(x, x->n_a, diagonal_item, e);
		n_items = (x->n_a + 1) / 2;
		n_rounds = 2 * n_items - 1;
		if (x->n_a == 1)
			return rc;
	}
	for (x->round = 0; rc == 0 && x->round < n_rounds; x->round++)
		rc = run(x, n_items, own ? own_item : cross_item, e);
	return rc;
}

/* ---- the lists ------------------------------------------------------------------- */

/* Rows [first, first + m), at most a chunk, one way. */
static int
search(struct nearest *x, uint32_t first, uint32_t m, size_t thread, struct err *e)
{
	struct nearest_side *s = x->side;
	struct kernel_hit *best = mem_new(m, s->k * sizeof(*best));
	uint32_t skip[CHUNK];
	int rc;

	if (best == NULL)
		return err_set(e, ERR_NOMEM, "no memory to search directions");
	for (uint32_t i = 0; i < m; i++)
		skip[i] = first + i;
	rc = kernel_best(best, s->k, x->other->rows, 0, x->other->n,
		s->x + (size_t)first * s->d, s->d, m, NULL, NULL, false,
		x->a == x->b ? skip : NULL, x->work[thread], e);
	for (uint32_t i = 0; rc == 0 && i < m; i++) {
		struct kernel_near *near = kernel_lists_row(s->lists, first + i);

		for (uint32_t j = 0; j < s->k; j++)
			near[j] = (struct kernel_near){best[i * s->k + j].row,
				best[i * s->k + j].value};
	}
	mem_free(best);
	return rc;
}

static void
sort_chunk(void *ctx, size_t i, size_t thread)
{
	struct nearest *x = ctx;
	struct err *e = &x->err[thread];
	uint32_t at = (uint32_t)i * CHUNK, end = at + CHUNK, from;

	end = end < x->side->n ? end : x->side->n;
	while (at < end && e->code == 0) {
		for (from = at; at < end && !kernel_lists_sort(x->side->lists, at);)
			at++;
		if (at > from && search(x, from, at - from, thread, e) < 0)
			return;
		at++; /* sorted, or the end */
	}
}

static int
finish(struct nearest *x, struct nearest_side *side, struct nearest_side *other,
	struct err *e)
{
	x->side = side;
	x->other = other;
	return run(x, n_chunks(side->n), sort_chunk, e);
}

int
nearest_find(struct nearest_side *a, struct nearest_side *b, struct pool *pool,
	struct err *e)
{
	struct nearest x = {.a = a, .b = b != NULL ? b : a, .pool = pool};
	int rc = init(&x, e);

	if (rc == 0)
		rc = kernel_lists_new(&a->lists, a->n, a->k, e);
	if (rc == 0 && b != NULL)
		rc = kernel_lists_new(&b->lists, b->n, b->k, e);
	x.n_a = n_blocks(&x, x.a);
	x.n_b = n_blocks(&x, x.b);
	if (rc == 0)
		rc = bars(&x, a, x.b, e);
	if (rc == 0 && b != NULL)
		rc = bars(&x, b, a, e);
	if (rc == 0)
		rc = pass(&x, e);
	if (rc == 0)
		rc = finish(&x, a, x.b, e);
	if (rc == 0 && b != NULL)
		rc = finish(&x, b, a, e);
	clear(&x);
	return rc;
}
