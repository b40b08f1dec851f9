/* SPDX-License-Identifier: ISC */
/*
 * What indexing takes of the memory, counted before it begins: what cannot leave
 * memory must fit beside the room for pages of files. Weights can leave it
 * (util/paged.h), so they take what the rest leaves over.
 */
#include "indexer/plan.h"

#include "indexer/pass.h"
#include "kernel/kernel.h"
#include "util/paged.h"
#include "util/pool.h"

#define MIB 0x1p20
#define LEAST_HITS ((size_t)16 << 20) /* bytes for a batch's activations */
#define OTHERS ((size_t)60 << 20) /* programs and libraries, words, what is small */
#define WRITER_BYTES ((size_t)18 << 20) /* what an SAE's values take on their way */
#define WEIGHTS_SHARE 2 /* of what there is, the part for them */
#define FAIR_BATCH ((size_t)1024) /* tokens, below which weights rather go */

int
plan_memory_begin(const char *dir, uint64_t memory_bytes, struct err *e)
{
	if (memory_bytes < OTHERS)
		return err_arg(e, ERR_NOMEM, "memory",
			"%.0f MiB are not enough: the program itself takes %.0f MiB; "
			"raise --memory",
			(double)memory_bytes / MIB, (double)OTHERS / MIB);
	return paged_begin(dir, memory_bytes, (memory_bytes - OTHERS) / WEIGHTS_SHARE,
		e);
}

/* Of one SAE in a pass: states, and for each thread what it learns of the rows, what
 * they are compared with, and the features of a window. */
static size_t
sae_bytes(const struct plan *p, const struct sae *s)
{
	size_t n = s->info.d_sae;
	uint32_t n_sought = p->end != 0 ? p->end - p->first : s->info.d_sae;

	return WRITER_BYTES + state_bytes(n_sought, (uint32_t)p->options->examples) +
		p->n_threads *
		(kernel_work_bytes(n, s->info.d_in) + n * sizeof(float)) +
		n * 3 * sizeof(uint32_t) + p->n_vocab * sizeof(uint64_t);
}

/* What cannot leave memory in a group's pass, but for batches. */
static size_t
fixed_bytes(const struct plan *p, const struct plan_group *g)
{
	size_t bytes = OTHERS + paged_room() + p->corpus_bytes;

	for (uint32_t i = 0; i < g->n_saes; i++)
		bytes += sae_bytes(p, p->sae[g->sae[i]].sae);
	return bytes;
}

static int
too_little(const struct plan *p, size_t fixed, size_t batch_tokens, size_t batch_bytes,
	struct err *e)
{
	return err_arg(e, ERR_NOMEM, "memory",
		"%.0f MiB are not enough: statistics and buffers take %.0f "
		"MiB, and a batch of %zu tokens on %zu threads %.0f MiB; raise "
		"--memory above %.0f MiB%s",
		(double)p->memory_bytes / MIB, (double)fixed / MIB, batch_tokens,
		p->n_threads, (double)batch_bytes / MIB,
		(double)paged_limit(fixed + batch_bytes - paged_room()) / MIB,
		p->n_threads > 1 ? ", or lower --threads" : "");
}

/* ---- a pass of the model -------------------------------------------------------- */

/* The most tokens, down from `from` by halves but for `least`, that fit beside fixed. */
static size_t
fit_batch(const struct pass_job *job, size_t from, size_t least, size_t fixed,
	size_t most)
{
	while (from > least && fixed + pass_bytes(job, from) > most)
		from /= 2;
	return from;
}

/* Beside what weights in memory take. */
static size_t
pass_fixed(const struct plan *p, const struct plan_group *g, const struct pass_job *job)
{
	size_t windows = job->windows->n_windows * 2 * sizeof(uint64_t);

	return fixed_bytes(p, g) + windows + LEAST_HITS;
}

uint64_t
plan_memory_least(const struct plan *p, const struct plan_group *g,
	const struct pass_job *job)
{
	size_t batch = fit_batch(job, p->options->batch_tokens,
		job->windows->max_tokens, 0, 0);

	return paged_limit(
		pass_fixed(p, g, job) + pass_bytes(job, batch) - paged_room());
}

int
plan_memory(const struct plan *p, const struct plan_group *g,
	const struct pass_job *job, struct plan_memory *out, struct err *e)
{
	size_t fixed = pass_fixed(p, g, job), need = 0, batch;
	size_t most = p->memory_bytes, least = job->windows->max_tokens;

	batch = fit_batch(job, p->options->batch_tokens, FAIR_BATCH,
		fixed + paged_in_memory(), most);
	need = fixed + pass_bytes(job, batch);
	if (need + paged_in_memory() > most) {
		/* larger batches go before weights in memory */
		batch = fit_batch(job, p->options->batch_tokens, least, fixed, most);
		need = fixed + pass_bytes(job, batch);
		if (need > most)
			return too_little(p, fixed, batch, need - fixed, e);
		if (paged_keep((most - need) / WEIGHTS_SHARE, e) < 0)
			return e->code;
	}
	out->batch_tokens = batch > 0 ? batch : 1;
	out->finish_bytes = most - fixed - paged_in_memory();
	out->hits_bytes = most - need - paged_in_memory() + LEAST_HITS;
	return 0;
}

/* One group, as if its longest window were what it may be. */
static int
check_group(const struct plan *p, const struct plan_group *g, struct pool *pool,
	struct plan_memory *m, struct err *e)
{
	const struct sae *sae[LIMIT_SAES];
	struct windows windows = {.max_tokens = g->context, .n_vocab = p->n_vocab};
	struct pass_job job = {.lm = p->lm,
		.pool = pool,
		.windows = &windows,
		.hook = g->hook,
		.n_hooks = g->n_hooks,
		.sae = sae,
		.n_saes = g->n_saes};

	for (uint32_t i = 0; i < g->n_saes; i++)
		sae[i] = p->sae[g->sae[i]].sae;
	return plan_memory(p, g, &job, m, e);
}

int
plan_memory_check(const struct plan *p, struct pool *pool, struct err *e)
{
	struct plan_memory m;

	for (uint32_t i = 0; i < p->n_groups && p->n_sources == 0; i++)
		if (check_group(p, &p->group[i], pool, &m, e) < 0)
			return e->code;
	return 0;
}

/* ---- activations from elsewhere --------------------------------------------------- */

/* One batch: activations, what encoding takes of them. */
static size_t
ingest_bytes(const struct plan *p, const struct plan_group *g, size_t n)
{
	size_t bytes = n;

	for (uint32_t i = 0; i < g->n_saes; i++) {
		const struct sae *s = p->sae[g->sae[i]].sae;

		bytes += encoder_bytes(s, n) +
			n * ((size_t)s->info.d_in + s->info.d_out) * sizeof(float);
	}
	return bytes;
}

int
plan_ingest_memory(const struct plan *p, const struct plan_group *g,
	struct plan_memory *out, struct err *e)
{
	size_t share = p->memory_bytes / PLAN_SHARD_SHARE;
	size_t fixed = fixed_bytes(p, g) + share;
	size_t batch = p->options->batch_tokens, need;

	for (;; batch /= 2) {
		need = fixed + ingest_bytes(p, g, batch) + LEAST_HITS;
		if (need + paged_in_memory() <= p->memory_bytes || batch <= 1)
			break;
	}
	if (need > p->memory_bytes)
		return err_arg(e, ERR_NOMEM, "memory",
			"%.0f MiB are not enough: statistics and a shard "
			"take "
			"%.0f MiB; raise --memory above %.0f MiB",
			(double)p->memory_bytes / MIB, (double)need / MIB,
			(double)paged_limit((need - share - paged_room()) * 3 / 2) /
				MIB);
	if (paged_keep(p->memory_bytes - need, e) < 0)
		return e->code;
	*out = (struct plan_memory){.batch_tokens = batch,
		.hits_bytes = p->memory_bytes - need - paged_in_memory() + LEAST_HITS};
	return 0;
}
