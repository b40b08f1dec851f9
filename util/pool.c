/* SPDX-License-Identifier: ISC */
#include "util/pool.h"

#include "util/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* ---- threads ----------------------------------------------------------- */

/* Starts n threads that take no signals: those are the main thread's. Returns
 * how many started. */
static size_t
threads_start(pthread_t *threads, size_t n, void *(*main_fn)(void *), void *const *args)
{
	sigset_t all, old;
	size_t i;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, main_fn, args[i]) != 0)
			break;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return i;
}

/* ---- pool: one run at a time ---------------------------------------------- */

/*
 * A run is open while its caller works on it. A worker that wakes in time
 * joins (n_inside), one that wakes late finds it closed and sleeps on, so the
 * caller never waits for a thread that has nothing to do.
 */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work; /* a run was opened, or stop */
	pthread_cond_t empty; /* n_inside fell to 0 */
	uint64_t serial; /* of the run */
	bool open;
	bool stop;
	size_t n_inside;
	size_t n_threads; /* the caller included */
	size_t n_started; /* workers */
	void (*fn)(void *ctx, size_t i, size_t thread);
	void *ctx;
	size_t n;
	_Alignas(64) atomic_size_t next; /* item to hand out */
	_Alignas(64) atomic_flag taken; /* a run is under way */
	pthread_t *threads;
	struct pool_worker *workers;
	struct pool_watch *watch; /* (n_threads) */
	bool watched; /* pool_stage() was called */
	unsigned stage; /* of the caller, and so of its runs */
	double stage_at;
	double wall_s[STOPWATCH_STAGES];
};

struct pool_worker {
	struct pool *pool;
	size_t thread;
};

/* A thread's own lines of the cache. */
struct pool_watch {
	_Alignas(64) struct stopwatch of;
};

static void
take_items(struct pool *p, size_t thread)
{
	size_t i;

	if (p->watched)
		stopwatch_go(&p->watch[thread].of, p->stage);
	while ((i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) <
		p->n)
		p->fn(p->ctx, i, thread);
	if (p->watched)
		stopwatch_rest(&p->watch[thread].of);
}

static void *
pool_worker_main(void *arg)
{
	struct pool_worker *w = arg;
	struct pool *p = w->pool;
	uint64_t seen = 0;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->stop && (!p->open || p->serial == seen))
			pthread_cond_wait(&p->work, &p->lock);
		if (p->stop)
			break;
		seen = p->serial;
		p->n_inside++;
		pthread_mutex_unlock(&p->lock);
		take_items(p, w->thread);
		pthread_mutex_lock(&p->lock);
		if (--p->n_inside == 0)
			pthread_cond_signal(&p->empty);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int
pool_start(struct pool *p, size_t n_workers, struct err *e)
{
	void **args = mem_new(n_workers, sizeof(*args));

	p->threads = mem_new(n_workers, sizeof(*p->threads));
	p->workers = mem_new(n_workers, sizeof(*p->workers));
	if (args == NULL || p->threads == NULL || p->workers == NULL) {
		mem_free(args);
		return err_set(e, ERR_NOMEM, "no memory for %zu threads", n_workers);
	}
	for (size_t i = 0; i < n_workers; i++) {
		p->workers[i] = (struct pool_worker){p, i + 1};
		args[i] = &p->workers[i];
	}
	p->n_started = threads_start(p->threads, n_workers, pool_worker_main, args);
	mem_free(args);
	if (p->n_started < n_workers)
		return err_set(e, ERR_LIMIT, "cannot start %zu threads; ask for fewer",
			n_workers);
	return 0;
}

int
pool_new(struct pool **out, size_t n_threads, struct err *e)
{
	struct pool *p;
	int rc = 0;

	*out = NULL;
	if (n_threads < 1 || n_threads > 4096)
		return err_set(e, ERR_ARG, "%zu threads: from 1 to 4096 can be had",
			n_threads);
	p = mem_new_aligned(1, sizeof(*p));
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "no memory for threads");
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->empty, NULL);
	atomic_flag_clear(&p->taken);
	p->n_threads = n_threads;
	p->watch = mem_new_aligned(n_threads, sizeof(*p->watch));
	if (p->watch == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for threads");
	else
		memset(p->watch, 0, n_threads * sizeof(*p->watch));
	if (rc == 0 && n_threads > 1)
		rc = pool_start(p, n_threads - 1, e);
	if (rc < 0) {
		pool_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->n_started; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->empty);
	pthread_mutex_destroy(&p->lock);
	mem_free(p->threads);
	mem_free(p->workers);
	mem_free(p->watch);
	mem_free(p);
}

size_t
pool_n_threads(const struct pool *p)
{
	return p == NULL ? 1 : p->n_threads;
}

static void
run_shared(struct pool *p, size_t n, void (*fn)(void *ctx, size_t i, size_t thread),
	void *ctx)
{
	size_t n_wake = n - 1;

	pthread_mutex_lock(&p->lock);
	p->fn = fn;
	p->ctx = ctx;
	p->n = n;
	atomic_store_explicit(&p->next, 0, memory_order_relaxed);
	p->serial++;
	p->open = true;
	if (n_wake >= p->n_started)
		pthread_cond_broadcast(&p->work);
	else
		for (; n_wake > 0; n_wake--)
			pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	take_items(p, 0);
	pthread_mutex_lock(&p->lock);
	p->open = false;
	while (p->n_inside > 0)
		pthread_cond_wait(&p->empty, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (p->watched)
		stopwatch_go(&p->watch[0].of, p->stage);
}

/* A run inside a run, or from a second thread, is done by its caller alone. */
void
pool_run(struct pool *p, size_t n, void (*fn)(void *ctx, size_t i, size_t thread),
	void *ctx)
{
	if (n > 1 && p != NULL && p->n_started > 0 &&
		!atomic_flag_test_and_set_explicit(&p->taken, memory_order_acquire)) {
		run_shared(p, n, fn, ctx);
		atomic_flag_clear_explicit(&p->taken, memory_order_release);
		return;
	}
	for (size_t i = 0; i < n; i++)
		fn(ctx, i, 0);
}

/* ---- whose time it is ----------------------------------------------------- */

void
pool_stage(struct pool *p, unsigned stage)
{
	double now = stopwatch_now_s();

	if (p == NULL)
		return;
	if (p->watched)
		p->wall_s[p->stage] += now - p->stage_at;
	p->watched = true;
	p->stage = stage;
	p->stage_at = now;
	stopwatch_go(&p->watch[0].of, stage);
}

unsigned
pool_stage_item(struct pool *p, size_t thread, unsigned stage)
{
	unsigned before = 0;

	if (p != NULL && p->watched) {
		before = p->watch[thread].of.stage;
		stopwatch_go(&p->watch[thread].of, stage);
	}
	return before;
}

void
pool_times(struct pool *p, struct pool_time out[STOPWATCH_STAGES])
{
	if (p->watched) /* both clocks are brought up to now */
		pool_stage(p, p->stage);
	for (size_t s = 0; s < STOPWATCH_STAGES; s++) {
		out[s] = (struct pool_time){.wall_s = p->wall_s[s]};
		for (size_t i = 0; i < p->n_threads; i++) {
			out[s].busy_s += p->watch[i].of.of[s].busy_s;
			out[s].cpu_s += p->watch[i].of.of[s].cpu_s;
		}
	}
}

/* ---- queue ------------------------------------------------------------- */

struct queue_job {
	void (*run)(void *job);
	void (*drop)(void *job);
	void *job;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool stop;
	struct queue_job *ring; /* (max_jobs) */
	size_t max_jobs;
	size_t first;
	size_t n_waiting;
	size_t n_started;
	pthread_t *threads;
};

static struct queue_job
queue_shift(struct queue *q)
{
	struct queue_job j = q->ring[q->first];

	q->first = (q->first + 1) % q->max_jobs;
	q->n_waiting--;
	return j;
}

static void *
queue_worker_main(void *arg)
{
	struct queue *q = arg;
	struct queue_job j;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		while (!q->stop && q->n_waiting == 0)
			pthread_cond_wait(&q->work, &q->lock);
		if (q->stop)
			break;
		j = queue_shift(q);
		pthread_mutex_unlock(&q->lock);
		j.run(j.job);
		pthread_mutex_lock(&q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static int
queue_start(struct queue *q, size_t n_threads, struct err *e)
{
	void **args = mem_new(n_threads, sizeof(*args));

	q->ring = mem_new(q->max_jobs, sizeof(*q->ring));
	q->threads = mem_new(n_threads, sizeof(*q->threads));
	if (args == NULL || q->ring == NULL || q->threads == NULL) {
		mem_free(args);
		return err_set(e, ERR_NOMEM, "no memory for a queue of %zu jobs",
			q->max_jobs);
	}
	for (size_t i = 0; i < n_threads; i++)
		args[i] = q;
	q->n_started = threads_start(q->threads, n_threads, queue_worker_main, args);
	mem_free(args);
	if (q->n_started < n_threads)
		return err_set(e, ERR_LIMIT, "cannot start %zu threads; ask for fewer",
			n_threads);
	return 0;
}

int
queue_new(struct queue **out, size_t n_threads, size_t max_jobs, struct err *e)
{
	struct queue *q;
	int rc;

	*out = NULL;
	if (n_threads < 1 || n_threads > 4096 || max_jobs < 1)
		return err_set(e, ERR_ARG, "a queue of %zu threads and %zu jobs",
			n_threads, max_jobs);
	q = mem_new(1, sizeof(*q));
	if (q == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a queue");
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	q->max_jobs = max_jobs;
	rc = queue_start(q, n_threads, e);
	if (rc < 0) {
		queue_free(q);
		return rc;
	}
	*out = q;
	return 0;
}

void
queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (size_t i = 0; i < q->n_started; i++)
		pthread_join(q->threads[i], NULL);
	while (q->n_waiting > 0) {
		struct queue_job j = queue_shift(q);

		if (j.drop != NULL)
			j.drop(j.job);
	}
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
	mem_free(q->threads);
	mem_free(q->ring);
	mem_free(q);
}

int
queue_push(struct queue *q, void (*run)(void *job), void (*drop)(void *job), void *job,
	struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	if (q->n_waiting == q->max_jobs) {
		rc = err_set(e, ERR_BUSY,
			"%zu jobs are waiting already; try again later", q->max_jobs);
	} else {
		q->ring[(q->first + q->n_waiting) % q->max_jobs] =
			(struct queue_job){run, drop, job};
		q->n_waiting++;
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
	return rc;
}

/* ---- mutex ------------------------------------------------------------- */

struct mutex {
	pthread_mutex_t m;
};

int
mutex_new(struct mutex **out, struct err *e)
{
	struct mutex *m = mem_new(1, sizeof(*m));

	*out = m;
	if (m == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a lock");
	pthread_mutex_init(&m->m, NULL);
	return 0;
}

void
mutex_free(struct mutex *m)
{
	if (m == NULL)
		return;
	pthread_mutex_destroy(&m->m);
	mem_free(m);
}

void
mutex_lock(struct mutex *m)
{
	pthread_mutex_lock(&m->m);
}

void
mutex_unlock(struct mutex *m)
{
	pthread_mutex_unlock(&m->m);
}

struct cond {
	pthread_cond_t c;
};

int
cond_new(struct cond **out, struct err *e)
{
	struct cond *c = mem_new(1, sizeof(*c));
	pthread_condattr_t a;

	*out = c;
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a condition");
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&c->c, &a);
	pthread_condattr_destroy(&a);
	return 0;
}

void
cond_free(struct cond *c)
{
	if (c == NULL)
		return;
	pthread_cond_destroy(&c->c);
	mem_free(c);
}

void
cond_wait(struct cond *c, struct mutex *m, long wait_ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += wait_ms / 1000;
	t.tv_nsec += wait_ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&c->c, &m->m, &t);
}

void
cond_wake(struct cond *c)
{
	pthread_cond_broadcast(&c->c);
}
