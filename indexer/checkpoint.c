/* SPDX-License-Identifier: ISC */
#include "indexer/checkpoint.h"

#include "indexer/stop.h"
#include "util/stopwatch.h"

#include <string.h>

#define MOST_SHARE 50 /* a checkpoint takes at most one part in so many of the time */
#define TOKENS_EACH 65536u /* ids in a block */
#define FEATURES_EACH 256u
#define DIMENSIONS_EACH 1024u

/* ---- blocks, in their order ---------------------------------------------------- */

enum section { JOB, STREAM, FIT, TOKENS, FEATURES, SECTIONS };

/* Where in a pass the next block is. */
struct place {
	struct pass *p;
	uint32_t n_windows; /* done */
	uint32_t section, of, first,
		n; /* items [first, first + n) of SAE or hook `of` */
};

static uint32_t
n_of(const struct place *x)
{
	return x->section == JOB                             ? 1
		: x->section == STREAM                       ? x->p->job->n_hooks
		: x->section == FIT && !pass_fits(x->p->job) ? 0
		: x->section < SECTIONS                      ? x->p->n_saes
							     : 0;
}

static uint32_t
n_items(const struct place *x)
{
	switch (x->section) {
	case STREAM:
		return (uint32_t)x->p->stats[x->of * x->p->n_threads].d;
	case TOKENS:
		return x->p->job->windows->n_vocab;
	case FEATURES:
		return x->p->result[x->of].state.n_features;
	default:
		return 1;
	}
}

static uint32_t
n_each(const struct place *x)
{
	return x->section == TOKENS      ? TOKENS_EACH
		: x->section == FEATURES ? FEATURES_EACH
					 : DIMENSIONS_EACH;
}

/* The block at x->first; false when there is none any more. */
static bool
find_block(struct place *x)
{
	uint32_t left;

	while (x->section < SECTIONS && (x->of >= n_of(x) || x->first >= n_items(x))) {
		x->first = 0;
		if (x->of < n_of(x))
			x->of++;
		if (x->of >= n_of(x)) {
			x->of = 0;
			x->section++;
		}
	}
	if (x->section == SECTIONS)
		return false;
	left = n_items(x) - x->first;
	x->n = left < n_each(x) ? left : n_each(x);
	return true;
}

/* What must be the same when it comes back. */
static void
put_job(const struct pass *p, struct buf *b)
{
	const struct pass_job *job = p->job;

	buf_u32(b, p->n_saes);
	buf_u32(b, job->n_hooks);
	buf_u32(b, job->windows->n_windows);
	buf_u32(b, job->windows->n_vocab);
	buf_u32(b, job->examples);
	buf_u32(b, job->dedup_radius);
	for (uint32_t h = 0; h < job->n_hooks; h++)
		buf_u32(b, (uint32_t)p->stats[h * p->n_threads].d);
	for (uint32_t i = 0; i < p->n_saes; i++) {
		buf_u32(b, job->sae[i]->info.d_sae);
		buf_put(b, job->sae[i]->hash, sizeof(job->sae[i]->hash));
	}
}

/* ---- giving ---------------------------------------------------------------------- */

static void
put_stream(const struct place *x, struct buf *b)
{
	const struct stream_stats *s = &x->p->stats[x->of * x->p->n_threads];

	if (x->first == 0) {
		buf_varint(b, s->n);
		exact64_save(&s->sum_squares, b);
	}
	for (uint32_t i = 0; i < x->n; i++)
		exact64_save(&s->sum[x->first + i], b);
}

static void
put_content(const struct place *x, struct buf *b)
{
	const struct pass *p = x->p;

	switch (x->section) {
	case JOB:
		buf_u64(b, p->n_counted);
		put_job(p, b);
		break;
	case STREAM:
		put_stream(x, b);
		break;
	case FIT:
		exact64_save(&p->sae[x->of].fit.error[0], b);
		break;
	case TOKENS:
		for (uint32_t i = 0; i < x->n; i++)
			buf_varint(b, p->result[x->of].acts_of_token[x->first + i]);
		break;
	default:
		state_save(&p->result[x->of].state, x->first, x->n, b);
	}
}

static int
give(void *ctx, struct buf *b, struct err *e)
{
	struct place *x = ctx;

	(void)e;
	if (!find_block(x))
		return 0;
	buf_u32(b, x->section);
	buf_u32(b, x->of);
	buf_u32(b, x->first);
	buf_u32(b, x->n);
	put_content(x, b);
	x->first += x->n;
	return 1;
}

static int
make(struct pass *p, uint32_t n_windows, struct err *e)
{
	struct checkpoints *c = p->job->checkpoints;
	struct place x = {.p = p, .n_windows = n_windows};
	double start = stopwatch_now_s(), took, wait = c->interval_s;

	pass_gather(p);
	if (run_writer_checkpoint(p->job->writer, n_windows, c->order, give, &x, e) < 0)
		return err_wrap(e, "checkpoint");
	took = stopwatch_now_s() - start;
	if (!c->as_told && wait < took * MOST_SHARE)
		wait = took * MOST_SHARE;
	c->n++;
	c->seconds += took;
	c->next_s = start + took + wait;
	return 0;
}

/* The last one, since finishing takes its time too; not where all took less than an
 * interval. */
static bool
wanted(const struct checkpoints *c, bool all_done)
{
	return stopwatch_now_s() >= c->next_s || stop_signal() != 0 ||
		(all_done && (c->n > 0 || c->from > 0));
}

int
checkpoint_perhaps(struct pass *p, uint32_t n_windows, struct err *e)
{
	struct checkpoints *c = p->job->checkpoints;

	if (c == NULL || c->interval_s <= 0)
		return 0;
	if (c->next_s <= 0)
		c->next_s = stopwatch_now_s() + c->interval_s;
	if (!wanted(c, n_windows == p->job->windows->n_windows))
		return 0;
	return make(p, n_windows, e);
}

/* ---- taking ------------------------------------------------------------------------ */

static int
malformed(struct err *e)
{
	return err_set(e, ERR_CORRUPT,
		"the checkpoint is malformed; saedb-index gc removes it");
}

static int
take_job(struct pass *p, struct cur *c, struct err *e)
{
	const void *got;
	struct buf b;
	int rc = 0;

	p->n_counted = cur_u64(c);
	buf_init(&b);
	put_job(p, &b);
	got = cur_take(c, b.n_bytes);
	if (b.failed)
		rc = err_set(e, ERR_NOMEM, "no memory to read a checkpoint");
	else if (got == NULL || memcmp(got, b.data, b.n_bytes) != 0)
		rc = err_set(e, ERR_CORRUPT,
			"the checkpoint is of another run; saedb-index gc removes it");
	buf_clear(&b);
	return rc;
}

static void
take_stream(const struct place *x, struct cur *c)
{
	struct stream_stats *s = &x->p->stats[x->of * x->p->n_threads];

	if (x->first == 0) {
		s->n = cur_varint(c);
		exact64_load(&s->sum_squares, c);
	}
	for (uint32_t i = 0; i < x->n; i++)
		exact64_load(&s->sum[x->first + i], c);
}

static int
take_content(const struct place *x, struct cur *c, struct err *e)
{
	struct pass *p = x->p;

	switch (x->section) {
	case JOB:
		return take_job(p, c, e);
	case STREAM:
		take_stream(x, c);
		return 0;
	case FIT:
		exact64_load(&p->sae[x->of].fit.error[0], c);
		return 0;
	case TOKENS:
		for (uint32_t i = 0; i < x->n; i++)
			p->result[x->of].acts_of_token[x->first + i] = cur_varint(c);
		return 0;
	default:
		return state_load(&p->result[x->of].state, x->first, x->n, x->n_windows,
			c, e);
	}
}

static int
take(void *ctx, struct cur *c, struct err *e)
{
	struct place *x = ctx;

	if (!find_block(x) || cur_u32(c) != x->section || cur_u32(c) != x->of ||
		cur_u32(c) != x->first || cur_u32(c) != x->n)
		return malformed(e);
	if (take_content(x, c, e) < 0)
		return e->code;
	x->first += x->n;
	return c->failed || cur_left(c) != 0 ? malformed(e) : 0;
}

int
checkpoint_load(struct pass *p, struct err *e)
{
	struct place x = {.p = p, .n_windows = p->job->checkpoints->from};

	if (x.n_windows > p->job->windows->n_windows)
		return malformed(e);
	if (run_writer_restore(p->job->writer, take, &x, e) < 0)
		return e->code;
	return find_block(&x) ? malformed(e) : 0;
}
