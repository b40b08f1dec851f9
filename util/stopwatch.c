/* SPDX-License-Identifier: ISC */
#include "util/stopwatch.h"

#include <assert.h>
#include <time.h>

static double
read_s(clockid_t id)
{
	struct timespec t = {0};

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double
stopwatch_now_s(void)
{
	return read_s(CLOCK_MONOTONIC);
}

double
stopwatch_cpu_s(void)
{
	return read_s(CLOCK_THREAD_CPUTIME_ID);
}

void
stopwatch_lap(struct stopwatch *w)
{
	double wall = stopwatch_now_s(), cpu = stopwatch_cpu_s();

	if (w->runs) {
		w->of[w->stage].busy_s += wall - w->wall_at;
		w->of[w->stage].cpu_s += cpu - w->cpu_at;
	}
	w->wall_at = wall;
	w->cpu_at = cpu;
}

void
stopwatch_go(struct stopwatch *w, unsigned stage)
{
	assert(stage < STOPWATCH_STAGES);
	stopwatch_lap(w);
	w->stage = stage;
	w->runs = true;
}

void
stopwatch_rest(struct stopwatch *w)
{
	stopwatch_lap(w);
	w->runs = false;
}
