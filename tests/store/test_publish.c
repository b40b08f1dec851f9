/* SPDX-License-Identifier: ISC */
/*
 * A publication that is killed, at each of its steps and at any moment, and one
 * that finds the disk full: the store is as it was, and the next one succeeds.
 */
#include "store/inner.h"
#include "tests/store/small.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

static int steps_left;

static void
die_at_step(const char *name)
{
	(void)name;
	if (steps_left-- == 0)
		_exit(9);
}

/* Publishes in a program of its own; its exit status, 0 for success, else minus
 * the error's code, or 9 where it was made to die. */
static int
publish_apart(const char *dir, unsigned seed)
{
	struct err e = ERR_INIT;
	struct store *s;
	uint32_t number;
	int rc = store_open(&s, dir, STORE_WRITE, &e);

	if (rc == 0)
		rc = small_publish(s, seed, &number, &e);
	if (rc != 0 && rc != ERR_FULL)
		fprintf(stderr, "%s\n", e.text);
	store_close(s);
	return -rc;
}

/* The runs the store has, all of them right. Seeds are numbers less one. */
static uint32_t
check_store(const char *dir)
{
	struct store *s;
	struct store_view *v;
	uint32_t n;

	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_view_open(&v, s, e));
	n = store_view_catalog(v)->n_runs;
	for (uint32_t i = 0; i < n; i++)
		OK(small_check(v, i, store_view_catalog(v)->run[i].id[15] - '1', e));
	store_view_close(v);
	store_close(s);
	return n;
}

static void
test_every_step(void **state)
{
	char *dir = mem_strdup(small_store("steps"));
	int n = 0, status = 0;

	(void)state;
	do {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			steps_left = n;
			publish_step = die_at_step;
			_exit(publish_apart(dir, 1));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 9 && check_store(dir) == 2)
			break; /* that was the last step: it was durable already */
		assert_int_equal(WEXITSTATUS(status), 9);
		assert_int_equal(check_store(dir), 1);
		n++;
	} while (n < 100);
	/* start; the cut's, the run's and the graph's steps; rows; committed */
	assert_true(n >= 5 && n < 20);
	assert_int_equal(publish_apart(dir, 2), 0);
	assert_int_equal(check_store(dir), 3);
	mem_free(dir);
}

/* Killed by chance while it writes and publishes, again and again. */
static void
test_any_moment(void **state)
{
	char *dir = mem_strdup(small_store("kill"));
	uint32_t n_runs = 1;
	unsigned killed = 0;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct timespec wait = {0, (long)(hash_mix(i, 77, 0, 0) % 60000000)};
		pid_t pid = fork();
		uint32_t n;
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(publish_apart(dir, n_runs));
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		killed += WIFSIGNALED(status);
		n = check_store(dir);
		assert_true(n == n_runs || n == n_runs + 1);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			assert_int_equal(n, n_runs + 1);
		}
		n_runs = n;
		if (n_runs == 8)
			break;
	}
	assert_true(killed > 0);
	assert_int_equal(publish_apart(dir, n_runs), 0);
	assert_int_equal(check_store(dir), n_runs + 1);
	mem_free(dir);
}

/* A store that was begun and not finished is finished by the next. */
static void
test_creation(void **state)
{
	char *dir = at("begun");

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct timespec wait = {0, (long)(i * 700000)};
		pid_t pid = fork();
		struct store *s;

		assert_true(pid >= 0);
		if (pid == 0) {
			store_open(&s, dir, STORE_CREATE, NULL);
			_exit(0);
		}
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		OK(store_open(&s, dir, STORE_CREATE, e));
		store_close(s);
		assert_int_equal(dir_remove(dir, NULL), 0);
	}
}

/* No file may grow past a limit, from none to enough. */
static void
test_file_limit(void **state)
{
	char *dir = mem_strdup(small_store("limit"));
	unsigned full = 0;

	(void)state;
	for (rlim_t limit = 0; limit < 400000; limit = limit * 3 / 2 + 500) {
		struct rlimit most = {limit, limit};
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			signal(SIGXFSZ, SIG_IGN);
			setrlimit(RLIMIT_FSIZE, &most);
			_exit(publish_apart(dir, 1));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 0)
			break;
		assert_int_equal(WEXITSTATUS(status), -ERR_FULL);
		full++;
		assert_int_equal(check_store(dir), 1);
	}
	assert_true(full > 3);
	assert_int_equal(check_store(dir), 2);
	mem_free(dir);
}

/* Leaves about n_bytes on the file system of dir. */
static void
leave(const char *path, uint64_t n_bytes)
{
	struct statvfs fs;
	int fd;

	remove(path);
	assert_int_equal(statvfs(at("full"), &fs), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	if ((uint64_t)fs.f_bavail * fs.f_bsize > n_bytes)
		assert_int_equal(posix_fallocate(fd, 0,
					 (off_t)((uint64_t)fs.f_bavail * fs.f_bsize -
						 n_bytes)),
			0);
	close(fd);
}

static void
test_full_disk(void **state)
{
	char *filler, *dir;
	unsigned full = 0;
	int rc = -1;

	(void)state;
	assert_int_equal(dir_make(at("full"), NULL), 0);
	if (mount("tmpfs", at("full"), "tmpfs", 0, "size=16m") != 0)
		skip(); /* only root may */
	dir = mem_strdup(small_store("full/store"));
	filler = mem_strdup(at("full/filler"));
	for (uint64_t left = 0; rc != 0 && left < (4u << 20); left += left / 4 + 8192) {
		leave(filler, left);
		rc = publish_apart(dir, 1);
		assert_true(rc == 0 || rc == -ERR_FULL);
		full += rc != 0;
		remove(filler);
		assert_int_equal(check_store(dir), rc == 0 ? 2 : 1);
	}
	assert_int_equal(rc, 0);
	assert_true(full > 3);
	umount(at("full"));
	mem_free(filler);
	mem_free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step),
		cmocka_unit_test(test_any_moment),
		cmocka_unit_test(test_creation),
		cmocka_unit_test(test_file_limit),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
