/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/pool.h"

#include <stdatomic.h>
#include <time.h>

struct run {
	struct pool *pool;
	atomic_int seen[1000];
	atomic_int threads[8];
	size_t n_threads;
};

static void
see(void *ctx, size_t i, size_t thread)
{
	struct run *r = ctx;

	atomic_fetch_add(&r->seen[i], 1);
	assert_true(thread < r->n_threads);
	atomic_fetch_add(&r->threads[thread], 1);
}

/* Each item once, whatever the numbers; many runs on one pool. */
static void
test_run(void **state)
{
	static struct run r;

	(void)state;
	for (size_t n_threads = 1; n_threads <= 8; n_threads++) {
		assert_int_equal(pool_new(&r.pool, n_threads, NULL), 0);
		assert_int_equal(pool_n_threads(r.pool), n_threads);
		r.n_threads = n_threads;
		for (size_t n = 0; n <= 1000; n = n * 3 + 1) {
			memset(&r.seen, 0, sizeof(r.seen));
			for (int again = 0; again < 50; again++)
				pool_run(r.pool, n, see, &r);
			for (size_t i = 0; i < 1000; i++)
				assert_int_equal(r.seen[i], i < n ? 50 : 0);
		}
		pool_free(r.pool);
	}
	memset(&r.seen, 0, sizeof(r.seen));
	r.n_threads = 1;
	pool_run(NULL, 10, see, &r);
	assert_int_equal(r.seen[9], 1);
	assert_int_equal(pool_n_threads(NULL), 1);
	pool_free(NULL);
}

static void
nested(void *ctx, size_t i, size_t thread)
{
	struct run *r = ctx;

	(void)i;
	(void)thread;
	pool_run(r->pool, 1000, see, r);
}

/* A run inside a run ends, and does each item. */
static void
test_nested(void **state)
{
	static struct run r;

	(void)state;
	assert_int_equal(pool_new(&r.pool, 4, NULL), 0);
	r.n_threads = 4;
	pool_run(r.pool, 20, nested, &r);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(r.seen[i], 20);
	pool_free(r.pool);
}

static void
wait_a_little(void)
{
	nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void
slow(void *ctx, size_t i, size_t thread)
{
	wait_a_little();
	see(ctx, i, thread);
}

/* Others than the caller take part. */
static void
test_share(void **state)
{
	static struct run r;

	(void)state;
	assert_int_equal(pool_new(&r.pool, 4, NULL), 0);
	r.n_threads = 4;
	pool_run(r.pool, 100, slow, &r);
	for (size_t i = 0; i < 4; i++)
		assert_true(r.threads[i] > 0);
	pool_free(r.pool);
}

static atomic_int n_ran, n_dropped, order_broken, last_job, gate;

static void
job_run(void *job)
{
	while (!atomic_load(&gate))
		wait_a_little();
	if (atomic_exchange(&last_job, *(int *)job) > *(int *)job)
		atomic_store(&order_broken, 1);
	atomic_fetch_add(&n_ran, 1);
}

static void
job_drop(void *job)
{
	(void)job;
	atomic_fetch_add(&n_dropped, 1);
}

static void
test_queue(void **state)
{
	struct err e = ERR_INIT;
	struct queue *q;
	int jobs[100], taken = 0;

	(void)state;
	assert_int_equal(queue_new(&q, 1, 10, &e), 0);
	for (int i = 0; i < 100; i++) {
		jobs[i] = i;
		if (queue_push(q, job_run, job_drop, &jobs[i], &e) == 0)
			taken++;
		else
			assert_int_equal(e.code, ERR_BUSY);
	}
	assert_true(taken == 10 || taken == 11);
	atomic_store(&gate, 1);
	while (atomic_load(&n_ran) < taken)
		wait_a_little();
	assert_int_equal(order_broken, 0);
	assert_int_equal(queue_push(q, job_run, job_drop, &jobs[99], &e), 0);
	queue_free(q);
	assert_int_equal(n_ran + n_dropped, taken + 1);
	queue_free(NULL);
}

/* What waits when the queue is freed is dropped, what runs is waited for. */
static void
test_drop(void **state)
{
	struct queue *q;
	int job = 0;

	(void)state;
	n_ran = n_dropped = gate = 0;
	assert_int_equal(queue_new(&q, 1, 10, NULL), 0);
	assert_int_equal(queue_push(q, job_run, NULL, &job, NULL), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(queue_push(q, job_run, job_drop, &job, NULL), 0);
	gate = 1;
	queue_free(q);
	assert_int_equal(n_ran + n_dropped + (n_ran == 0), 6);
}

static struct mutex *lock;
static int counter;

static void
count(void *ctx, size_t i, size_t thread)
{
	(void)ctx;
	(void)i;
	(void)thread;
	mutex_lock(lock);
	counter++;
	mutex_unlock(lock);
}

static void
test_mutex(void **state)
{
	struct pool *p;

	(void)state;
	assert_int_equal(mutex_new(&lock, NULL), 0);
	assert_int_equal(pool_new(&p, 4, NULL), 0);
	pool_run(p, 10000, count, NULL);
	assert_int_equal(counter, 10000);
	pool_free(p);
	mutex_free(lock);
	mutex_free(NULL);
}

struct bell {
	struct mutex *lock;
	struct cond *rung;
	bool ring;
};

static void
ring_bell(void *p)
{
	struct bell *b = p;

	mutex_lock(b->lock);
	b->ring = true;
	cond_wake(b->rung);
	mutex_unlock(b->lock);
}

/* A wait ends by its time, or earlier when it is woken. */
static void
test_cond(void **state)
{
	struct err e = ERR_INIT;
	struct bell b = {0};
	struct queue *q;
	double start = stopwatch_now_s();

	(void)state;
	assert_int_equal(mutex_new(&b.lock, &e), 0);
	assert_int_equal(cond_new(&b.rung, &e), 0);
	mutex_lock(b.lock);
	while (stopwatch_now_s() - start < 0.02)
		cond_wait(b.rung, b.lock, 30);
	assert_false(b.ring);
	assert_int_equal(queue_new(&q, 1, 1, &e), 0);
	assert_int_equal(queue_push(q, ring_bell, NULL, &b, &e), 0);
	start = stopwatch_now_s();
	while (!b.ring)
		cond_wait(b.rung, b.lock, 1000000);
	assert_true(stopwatch_now_s() - start < 100);
	mutex_unlock(b.lock);
	queue_free(q);
	cond_free(b.rung);
	cond_free(NULL);
	mutex_free(b.lock);
}

static void
test_refused(void **state)
{
	struct err e = ERR_INIT;
	struct pool *p;
	struct queue *q;

	(void)state;
	assert_int_equal(pool_new(&p, 0, &e), ERR_ARG);
	assert_int_equal(pool_new(&p, 100000, &e), ERR_ARG);
	assert_int_equal(queue_new(&q, 0, 5, &e), ERR_ARG);
	assert_int_equal(queue_new(&q, 5, 0, &e), ERR_ARG);
	assert_true(pool_cpus() >= 1);
}

static void
test_memory(void **state)
{
	int rc = ERR_NOMEM;
	struct pool *p;
	struct queue *q;
	struct mutex *m;
	struct cond *c;

	(void)state;
	for (long n = 0; rc == ERR_NOMEM; n++) {
		mem_fail_at(n);
		rc = pool_new(&p, 3, NULL);
		mem_fail_at(-1);
		pool_free(p);
	}
	assert_int_equal(rc, 0);
	rc = ERR_NOMEM;
	for (long n = 0; rc == ERR_NOMEM; n++) {
		mem_fail_at(n);
		rc = queue_new(&q, 3, 3, NULL);
		mem_fail_at(-1);
		queue_free(q);
	}
	assert_int_equal(rc, 0);
	mem_fail_at(0);
	assert_int_equal(mutex_new(&m, NULL), ERR_NOMEM);
	assert_int_equal(cond_new(&c, NULL), ERR_NOMEM);
	mem_fail_at(-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_mutex),
		cmocka_unit_test(test_cond),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
