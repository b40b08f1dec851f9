/* SPDX-License-Identifier: ISC */
#include "indexer/stages.h"

#define LEAST_SHOWN_S 0.005

static const char *const names[STAGES] = {
	[STAGE_OTHER] = "other",
	[STAGE_OPEN] = "open",
	[STAGE_READ] = "read",
	[STAGE_TOKENIZE] = "tokenize",
	[STAGE_CUT] = "cut",
	[STAGE_LOGITS] = "logits",
	[STAGE_NEIGHBORS] = "neighbors",
	[STAGE_FORWARD] = "forward",
	[STAGE_ENCODE] = "encode",
	[STAGE_COUNT] = "count",
	[STAGE_WRITE] = "write",
	[STAGE_CHECKPOINT] = "checkpoint",
	[STAGE_FEATURES] = "features",
	[STAGE_COOCCUR] = "cooccur",
	[STAGE_PUBLISH] = "publish",
};
_Static_assert(STAGES <= STOPWATCH_STAGES, "more stages than stopwatches have");

const char *
stage_name(enum stage s)
{
	return names[s];
}

void
stages_span(struct stages_span *out, const struct pool_time *before,
	const struct pool_time *after)
{
	*out = (struct stages_span){.wall_s = 0};
	for (size_t s = 0; s < STAGES; s++) {
		out->of[s].wall_s = after[s].wall_s - before[s].wall_s;
		out->of[s].busy_s = after[s].busy_s - before[s].busy_s;
		out->of[s].cpu_s = after[s].cpu_s - before[s].cpu_s;
		out->wall_s += out->of[s].wall_s;
	}
}

static struct pool_time
sum(const struct pool_time *t)
{
	struct pool_time all = {0};

	for (size_t s = 0; s < STAGES; s++) {
		all.wall_s += t[s].wall_s;
		all.busy_s += t[s].busy_s;
		all.cpu_s += t[s].cpu_s;
	}
	return all;
}

static double
part(double of, double all)
{
	return all > 0 ? of / all : 0;
}

double
stages_busy(const struct stages_span *s, size_t n_threads)
{
	return part(sum(s->of).busy_s, s->wall_s * (double)n_threads);
}

double
stages_cpu(const struct stages_span *s, size_t n_threads)
{
	return part(sum(s->of).cpu_s, s->wall_s * (double)n_threads);
}

struct stages_bound
stages_bound(const struct stages_span *s, size_t n_threads)
{
	struct stages_bound b = {STAGE_OTHER, BOUND_CPU};
	double busy = stages_busy(s, n_threads);

	for (unsigned i = 0; i < STAGES; i++)
		if (s->of[i].busy_s > s->of[b.stage].busy_s)
			b.stage = (enum stage)i;
	if (stages_cpu(s, n_threads) < busy / 2)
		b.by = BOUND_WAITING;
	else if (n_threads > 1 && busy < 1.25 / (double)n_threads)
		b.by = BOUND_ONE_THREAD;
	return b;
}

const char *
stages_bound_name(enum bound by)
{
	return by == BOUND_CPU ? "CPU" : by == BOUND_WAITING ? "waiting" : "one thread";
}

/* Beside computing. Two clocks: of little, one may tell less than the other. */
static double
waiting_s(const struct pool_time *t)
{
	return t->busy_s > t->cpu_s ? t->busy_s - t->cpu_s : 0;
}

void
stages_table(struct buf *b, const struct pool_time *t, size_t n_threads)
{
	struct pool_time all = sum(t);
	double threads_s = all.wall_s * (double)n_threads;

	buf_printf(b, "  stage       wall s   share    CPU s  waiting s\n");
	for (unsigned s = 0; s < STAGES; s++)
		if (t[s].busy_s >= LEAST_SHOWN_S || t[s].wall_s >= LEAST_SHOWN_S)
			buf_printf(b, "  %-10s %7.2f  %5.1f%%  %7.2f  %9.2f\n",
				names[s], t[s].wall_s,
				100 * part(t[s].busy_s, threads_s), t[s].cpu_s,
				waiting_s(&t[s]));
	buf_printf(b, "  %-10s %7s  %5.1f%%\n", "idle", "",
		100 * part(threads_s - all.busy_s, threads_s));
	buf_printf(b, "  %-10s %7.2f  %5.1f%%  %7.2f  %9.2f\n", "all", all.wall_s,
		100.0, all.cpu_s, waiting_s(&all));
}
