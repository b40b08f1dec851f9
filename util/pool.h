/* SPDX-License-Identifier: ISC */
/*
 * pool: a fixed set of threads. pool_run() splits n items over them and
 * waits; a job queue is what the daemon uses for slow methods. The only room
 * that includes pthread.h.
 */
#ifndef UTIL_POOL_H
#define UTIL_POOL_H

#include "util/err.h"
#include "util/stopwatch.h"

#include <stdbool.h>
#include <stddef.h>

struct pool; /* opaque */

/* n_threads >= 1, the caller of pool_run included. new: pool_free(). */
int pool_new(struct pool **out, size_t n_threads, struct err *e);
void pool_free(struct pool *p);
size_t pool_n_threads(const struct pool *p);

/* Calls fn(ctx, i, thread) for every i in [0, n), each once, in any order, on
 * any of the threads (thread < n_threads; the caller is 0). Returns when all
 * are done. p may be NULL: all on the caller. */
void pool_run(struct pool *p, size_t n, void (*fn)(void *ctx, size_t i, size_t thread),
	void *ctx);

/* Whose time the caller's is from now on, and that of all threads in the runs that it
 * starts; before the first call nothing is measured. By the one thread that starts
 * runs, outside of them. */
void pool_stage(struct pool *p, unsigned stage);
/* Inside an item: whose this thread's time is from now on; gives back whose it was, to
 * be said again before the item ends. */
unsigned pool_stage_item(struct pool *p, size_t thread, unsigned stage);
/* So far, where nothing runs: of all threads; and how long pool_stage() said so. */
struct pool_time {
	double wall_s, busy_s, cpu_s;
};
void pool_times(struct pool *p, struct pool_time out[STOPWATCH_STAGES]);

/* A queue of jobs run in order of arrival by n_threads workers.
 * new: queue_free() waits for what runs and drops what waits. */
struct queue;
int queue_new(struct queue **out, size_t n_threads, size_t max_jobs, struct err *e);
void queue_free(struct queue *q);
/* Takes job; ERR_BUSY when max_jobs wait. drop (may be NULL) is called instead
 * of run for a job that queue_free() discards. */
int queue_push(struct queue *q, void (*run)(void *job), void (*drop)(void *job),
	void *job, struct err *e);

/* A plain mutex and condition, so that other rooms need no pthread.h. */
struct mutex;
int mutex_new(struct mutex **out, struct err *e);
void mutex_free(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
struct cond;
int cond_new(struct cond **out, struct err *e);
void cond_free(struct cond *c);
/* m is locked, and is again on return: when woken, by chance, or after wait_ms. */
void cond_wait(struct cond *c, struct mutex *m, long wait_ms);
void cond_wake(struct cond *c); /* all that wait */

/* CPUs this process may run on (affinity and cgroup), at least 1. */
size_t pool_cpus(void);

#endif
