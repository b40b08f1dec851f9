/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/paged.h"
#include "util/pool.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
enum { N = 40, EACH = 4 }; /* arrays; MiB of each */

/* A number of /proc/self/status, in bytes. */
static uint64_t
status_of(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	uint64_t kib = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoull(line + strlen(name) + 1, NULL, 10);
	fclose(f);
	return kib * 1024;
}

/* From here on VmHWM is of what follows; false where that cannot be had. */
static bool
forget_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");
	bool good = f != NULL && fputs("5", f) >= 0;

	return f != NULL && fclose(f) == 0 && good;
}

/* Shadow memory, too, is resident. */
static void
check_peak(uint64_t limit)
{
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	assert_in_range(status_of("VmHWM:"), 1, limit);
#else
	(void)limit;
#endif
}

static uint8_t
byte_of(size_t array, size_t i)
{
	return (uint8_t)(array * 31 + i / 4096 * 7 + i % 4096);
}

static void
fill(uint8_t *p, size_t array)
{
	for (size_t i = 0; i < EACH * MIB; i++) {
		if (i % 65536 == 0)
			paged_passed(65536);
		p[i] = byte_of(array, i);
	}
}

static bool
is_filled(const uint8_t *p, size_t array)
{
	bool good = true;

	for (size_t i = 0; i < EACH * MIB; i++) {
		if (i % 65536 == 0)
			paged_passed(65536);
		good &= p[i] == byte_of(array, i);
	}
	return good;
}

/* Without a limit they are ordinary memory. */
static void
test_ordinary(void **state)
{
	struct err e = ERR_INIT;
	float *p = paged_new(MIB, sizeof(*p), &e);

	(void)state;
	assert_non_null(p);
	assert_true((uintptr_t)p % 64 == 0 && p[0] == 0 && p[MIB - 1] == 0);
	assert_int_equal(paged_in_memory(), 0);
	assert_int_equal(paged_room(), 0);
	assert_false(paged_free(p));
	mem_free(p);
	assert_null(paged_new(SIZE_MAX / 2, 4, &e));
	assert_int_equal(e.code, ERR_NOMEM);
	mem_fail_at(0);
	assert_null(paged_new(1, 4, &e));
	mem_fail_at(-1);
	paged_end();
}

struct many {
	uint8_t *p[N];
	bool good[N];
};

static void
fill_one(void *ctx, size_t i, size_t thread)
{
	struct many *m = ctx;

	(void)thread;
	fill(m->p[i], i);
}

static void
read_one(void *ctx, size_t i, size_t thread)
{
	struct many *m = ctx;

	(void)thread;
	m->good[i] = is_filled(m->p[i], i);
}

/* 160 MiB of arrays by three threads in 64 MiB more than there were: nothing of them
 * is lost, and the peak stays below. */
static void
test_bound(void **state)
{
	uint64_t limit = status_of("VmRSS:") + 64 * MIB;
	struct err e = ERR_INIT;
	struct many m = {0};
	struct pool *pool;

	(void)state;
	assert_int_equal(paged_begin(at("not/yet/there"), limit, 8 * MIB, &e), 0);
	assert_true(paged_room() >= 32 * MIB);
	assert_int_equal(paged_limit(limit - paged_room()) / MIB, limit / MIB);
	assert_int_equal(pool_new(&pool, 3, &e), 0);
	for (size_t i = 0; i < N; i++) {
		m.p[i] = paged_new(EACH, MIB, &e);
		assert_non_null(m.p[i]);
	}
	assert_int_equal(paged_in_memory(), 8 * MIB);
	if (!forget_peak())
		skip();
	pool_run(pool, N, fill_one, &m);
	pool_run(pool, N, read_one, &m);
	for (size_t i = 0; i < N; i++)
		assert_true(m.good[i]);
	check_peak(limit);
	for (size_t i = 0; i < N; i++)
		mem_free(m.p[i]);
	assert_int_equal(paged_in_memory(), 0);
	assert_int_equal(file_exists(at("not")), false);
	pool_free(pool);
	paged_end();
}

/* The largest leave memory, and hold what they held. */
static void
test_keep(void **state)
{
	struct err e = ERR_INIT;
	uint8_t *a, *b;

	(void)state;
	assert_int_equal(paged_begin(scratch, 1024 * MIB, 512 * MIB, &e), 0);
	a = paged_new(EACH, MIB, &e);
	b = paged_new(2 * EACH, MIB, &e);
	assert_true(a != NULL && b != NULL);
	assert_int_equal(paged_in_memory(), 3 * EACH * MIB);
	fill(a, 1);
	fill(b, 2);
	fill(b + EACH * MIB, 3);
	assert_int_equal(paged_keep(EACH * MIB, &e), 0);
	assert_int_equal(paged_in_memory(), EACH * MIB);
	assert_int_equal(paged_keep(EACH * MIB - 1, &e), 0);
	assert_int_equal(paged_in_memory(), 0);
	assert_true(is_filled(a, 1) && is_filled(b, 2) && is_filled(b + EACH * MIB, 3));
	b[5] = 17;
	assert_int_equal(paged_keep(0, &e), 0);
	assert_int_equal(b[5], 17);
	mem_free(a);
	paged_end();
	mem_free(b); /* later is fine */
}

/* Pages of a mapped file go, too. */
static void
test_map(void **state)
{
	uint64_t limit = status_of("VmRSS:") + 64 * MIB;
	struct err e = ERR_INIT;
	uint8_t *p = mem_new(EACH, MIB);
	FILE *f = fopen(at("file"), "w");
	struct map m;

	(void)state;
	fill(p, 9);
	for (int i = 0; i < N; i++)
		assert_int_equal(fwrite(p, MIB, EACH, f), EACH);
	fclose(f);
	mem_free(p);
	assert_int_equal(paged_begin(scratch, limit, 0, &e), 0);
	assert_int_equal(map_open(&m, at("file"), &e), 0);
	if (!forget_peak())
		skip();
	for (size_t i = 0; i < N; i++)
		assert_true(is_filled(m.data + i * EACH * MIB, 9));
	check_peak(limit);
	map_close(&m);
	paged_end();
}

/* A disk that has no room says so, before anything is written there. */
static void
test_full(void **state)
{
	struct rlimit old, small = {MIB, RLIM_INFINITY};
	struct err e = ERR_INIT;
	void *p;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(paged_begin(scratch, 1024 * MIB, 0, &e), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	p = paged_new(EACH, MIB, &e);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_null(p);
	assert_int_equal(e.code, ERR_FULL);
	assert_non_null(strstr(e.text, scratch));
	assert_non_null(strstr(e.text, "raise --memory"));
	p = paged_new(EACH, MIB, &e);
	assert_non_null(p);
	mem_free(p);
	paged_end();
}

/* A child has the lock free and nothing to watch, whatever went on beside the fork. */
static void
test_fork(void **unused)
{
	struct err e = ERR_INIT;

	(void)unused;
	assert_int_equal(paged_begin(at("."), 64 * MIB, 8 * MIB, &e), 0);
	for (int i = 0; i < 200; i++) {
		int status = 0;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			alarm(20);
			_exit(paged_room() != 0 || paged_in_memory() != 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_true(paged_room() > 0);
	paged_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
