/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/pool.h"
#include "util/stopwatch.h"

#include <stdatomic.h>
#include <time.h>

enum { OTHER, SLEEP, WORK };

static void
doze(double s)
{
	struct timespec t = {.tv_nsec = (long)(s * 1e9)};

	nanosleep(&t, NULL);
}

/* Until the thread has computed for so long. */
static void
compute(double s)
{
	struct timespec t;
	double now, until = -1;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
		if (until < 0)
			until = now + s;
	} while (now < until);
}

/* Waiting is on the wall, computing on both; a rest is nobody's. */
static void
test_stages(void **state)
{
	struct stopwatch w = {0};

	(void)state;
	stopwatch_go(&w, SLEEP);
	doze(0.05);
	stopwatch_go(&w, WORK);
	compute(0.05);
	stopwatch_rest(&w);
	doze(0.05);
	stopwatch_go(&w, WORK);
	stopwatch_rest(&w);
	assert_true(w.of[SLEEP].busy_s >= 0.05 && w.of[SLEEP].cpu_s < 0.025);
	assert_true(w.of[WORK].cpu_s >= 0.05 && w.of[WORK].cpu_s < 0.075);
	assert_true(w.of[WORK].busy_s >= w.of[WORK].cpu_s - 0.001);
	assert_true(w.of[OTHER].busy_s == 0 && w.of[OTHER].cpu_s == 0);
}

struct job {
	struct pool *pool;
	atomic_int inside;
};

/* Both threads are in it at once, whatever the machine is busy with. */
static void
item(void *ctx, size_t i, size_t thread)
{
	struct job *j = ctx;
	unsigned before;

	(void)i;
	atomic_fetch_add(&j->inside, 1);
	while (atomic_load(&j->inside) < 2)
		doze(0.001);
	before = pool_stage_item(j->pool, thread, WORK);
	assert_int_equal(before, SLEEP);
	compute(0.05);
	doze(0.2);
	assert_int_equal(pool_stage_item(j->pool, thread, before), WORK);
	doze(0.02);
}

/* The time of every thread is somebody's; the caller's stage has the wall's. */
static void
test_pool(void **state)
{
	struct pool_time t[STOPWATCH_STAGES];
	struct job j = {0};
	double start;

	(void)state;
	assert_int_equal(pool_new(&j.pool, 2, NULL), 0);
	pool_times(j.pool, t); /* nothing was measured */
	assert_true(t[OTHER].wall_s == 0 && t[OTHER].busy_s == 0);
	start = stopwatch_now_s();
	pool_stage(j.pool, SLEEP);
	pool_run(j.pool, 2, item, &j);
	pool_stage(j.pool, OTHER);
	pool_times(j.pool, t);
	assert_true(t[WORK].cpu_s >= 0.1 && t[WORK].cpu_s < 0.15);
	assert_true(t[WORK].busy_s >= 0.5); /* of both */
	assert_true(t[WORK].wall_s == 0);
	assert_true(t[SLEEP].busy_s >= 0.04 && t[SLEEP].cpu_s < 0.02);
	assert_true(t[SLEEP].wall_s >= 0.07);
	assert_true(t[SLEEP].wall_s <= stopwatch_now_s() - start);
	doze(0.02);
	pool_times(j.pool, t); /* up to now */
	assert_true(t[OTHER].wall_s >= 0.02 && t[OTHER].busy_s >= 0.02);
	pool_free(j.pool);
	pool_stage(NULL, WORK);
	assert_int_equal(pool_stage_item(NULL, 0, WORK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
