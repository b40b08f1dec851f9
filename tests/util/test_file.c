/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void
test_map(void **state)
{
	struct err e = ERR_INIT;
	struct map m;

	(void)state;
	put_file(at("m"), "hello", 5);
	assert_int_equal(map_open(&m, at("m"), &e), 0);
	assert_int_equal(m.n_bytes, 5);
	assert_memory_equal(m.data, "hello", 5);
	map_close(&m);
	map_close(&m);
	put_file(at("m"), "", 0);
	assert_int_equal(map_open(&m, at("m"), &e), 0);
	assert_true(m.n_bytes == 0 && m.data == NULL);
	map_close(&m);
	assert_int_equal(map_open(&m, at("none"), &e), ERR_NOTFOUND);
	assert_non_null(strstr(e.text, "/none"));
	assert_int_equal(map_open(&m, scratch, &e), ERR_FORMAT);
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_int_equal(map_open(&m, at("fifo"), &e), ERR_FORMAT); /* and no hanging */
}

static void
test_read(void **state)
{
	struct err e = ERR_INIT;
	char big[100000];
	struct buf b;

	(void)state;
	memset(big, 'q', sizeof(big));
	put_file(at("big"), big, sizeof(big));
	assert_int_equal(file_read(at("big"), sizeof(big), &b, &e), 0);
	assert_int_equal(b.n_bytes, sizeof(big));
	buf_clear(&b);
	assert_int_equal(file_read(at("big"), sizeof(big) - 1, &b, &e), ERR_LIMIT);
	assert_non_null(strstr(e.text, "99999"));
	assert_null(b.data);
	assert_int_equal(file_read(at("none"), 10, &b, &e), ERR_NOTFOUND);
	assert_int_equal(file_read(scratch, 10, &b, &e), ERR_IO);
	mem_fail_at(0);
	assert_int_equal(file_read(at("big"), sizeof(big), &b, &e), ERR_NOMEM);
	mem_fail_at(-1);
}

static void
test_write(void **state)
{
	struct err e = ERR_INIT;
	char **names;
	uint64_t size;
	struct buf b;
	size_t n;

	(void)state;
	assert_int_equal(dir_make(at("w"), &e), 0);
	assert_int_equal(file_write_atomic(at("w/f"), "one", 3, &e), 0);
	assert_int_equal(file_write_atomic(at("w/f"), "second", 6, &e), 0);
	assert_int_equal(file_read(at("w/f"), 100, &b, &e), 0);
	assert_int_equal(b.n_bytes, 6);
	buf_clear(&b);
	assert_int_equal(file_size(at("w/f"), &size, &e), 0);
	assert_int_equal(size, 6);
	assert_int_equal(file_size(at("w/g"), &size, &e), ERR_NOTFOUND);
	/* a rename that cannot be done leaves nothing behind */
	assert_int_equal(dir_make(at("w/d"), &e), 0);
	assert_true(file_write_atomic(at("w/d"), "x", 1, &e) < 0);
	assert_int_equal(file_write_atomic(at("w/none/f"), "x", 1, &e), ERR_NOTFOUND);
	assert_int_equal(dir_list(at("w"), &names, &n, &e), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	mem_free(names);
}

/* A write that stops midway: the old file stays, nothing is left beside it. */
static void
test_full(void **state)
{
	struct rlimit old, small;
	struct err e = ERR_INIT;
	char big[10000] = "new";
	char **names;
	struct buf b;
	size_t n;
	int rc;

	(void)state;
	assert_int_equal(dir_make(at("full"), &e), 0);
	assert_int_equal(file_write_atomic(at("full/f"), "old", 3, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 5000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = file_write_atomic(at("full/f"), big, sizeof(big), &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(rc, ERR_FULL);
	assert_non_null(strstr(e.text, "full/f"));
	assert_int_equal(file_read(at("full/f"), 100, &b, &e), 0);
	assert_int_equal(b.n_bytes, 3);
	buf_clear(&b);
	assert_int_equal(dir_list(at("full"), &names, &n, &e), 0);
	assert_int_equal(n, 1);
	mem_free(names[0]);
	mem_free(names);
}

/* Blocks "0", "1", ..., until n; then it ends, fails, or runs out of memory. */
struct giving {
	int at, n, rc;
	bool no_memory;
};

static int
give(void *ctx, struct buf *b, struct err *e)
{
	struct giving *g = ctx;

	assert_int_equal(b->n_bytes, 0);
	if (g->at == g->n && g->rc < 0)
		return err_set(e, g->rc, "no more");
	if (g->at == g->n)
		return 0;
	buf_printf(b, "%d", g->at++);
	b->failed = g->no_memory;
	return 1;
}

static void
test_blocks(void **state)
{
	struct giving all = {0, 12, 0, false}, none = {0},
		      fails = {0, 3, ERR_FORMAT, false}, poor = {0, 3, 0, true};
	struct err e = ERR_INIT;
	char **names;
	struct buf b;
	size_t n;

	(void)state;
	assert_int_equal(dir_make(at("blocks"), &e), 0);
	assert_int_equal(file_write_blocks(at("blocks/f"), give, &all, &e), 0);
	assert_int_equal(file_write_blocks(at("blocks/f"), give, &fails, &e),
		ERR_FORMAT);
	assert_string_equal(e.text, "no more");
	assert_int_equal(file_write_blocks(at("blocks/f"), give, &poor, &e), ERR_NOMEM);
	assert_int_equal(file_read(at("blocks/f"), 100, &b, &e), 0);
	assert_string_equal(buf_str(&b), "01234567891011");
	buf_clear(&b);
	assert_int_equal(file_write_blocks(at("blocks/f"), give, &none, &e), 0);
	assert_int_equal(file_read(at("blocks/f"), 100, &b, &e), 0);
	assert_int_equal(b.n_bytes, 0);
	buf_clear(&b);
	assert_int_equal(dir_list(at("blocks"), &names, &n, &e), 0);
	assert_int_equal(n, 1);
	mem_free(names[0]);
	mem_free(names);
}

static void
test_kinds(void **state)
{
	(void)state;
	put_file(at("k"), "x", 1);
	assert_true(file_exists(at("k")));
	assert_false(file_is_dir(at("k")));
	assert_true(file_is_dir(scratch));
	assert_false(file_exists(at("none")));
	assert_false(file_is_dir(at("none")));
}

static void
test_rename(void **state)
{
	struct err e = ERR_INIT;
	char here[PATH_BYTES];

	(void)state;
	put_file(at("a"), "x", 1);
	assert_int_equal(file_rename(at("a"), at("b"), &e), 0);
	assert_false(file_exists(at("a")));
	assert_true(file_exists(at("b")));
	assert_int_equal(file_rename(at("a"), at("c"), &e), ERR_NOTFOUND);
	assert_non_null(strstr(e.text, "/a"));
	/* a name without a directory, and one with slashes behind */
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(scratch), 0);
	assert_int_equal(file_rename("b", "c", &e), 0);
	assert_int_equal(dir_make("d1", &e), 0);
	assert_int_equal(file_rename("d1/", "d2/", &e), 0);
	assert_int_equal(file_sync("d2", &e), 0);
	assert_int_equal(chdir(here), 0);
}

/* Another process holds it: ERR_BUSY with its pid; when it ends, free. */
static void
test_lock(void **state)
{
	struct err e = ERR_INIT;
	struct lock l, second;
	int to_child[2], from_child[2], status;
	char byte = 0, text[64];
	pid_t pid;

	(void)state;
	assert_true(pipe(to_child) == 0 && pipe(from_child) == 0);
	pid = fork();
	if (pid == 0) {
		int rc = lock_take(&l, at("lock"), NULL);

		byte = rc == 0 ? 'y' : 'n';
		rc = write(from_child[1], &byte, 1) == 1 &&
			read(to_child[0], &byte, 1) == 1;
		_exit(rc ? 0 : 1);
	}
	assert_int_equal(read(from_child[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(lock_take(&l, at("lock"), &e), ERR_BUSY);
	assert_int_equal(l.fd, -1);
	snprintf(text, sizeof(text), "process %ld", (long)pid);
	assert_non_null(strstr(e.text, text));
	assert_int_equal(write(to_child[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(lock_take(&l, at("lock"), &e), 0);
	assert_int_equal(lock_take(&second, at("lock"), &e), ERR_BUSY);
	lock_release(&l);
	lock_release(&l);
	assert_int_equal(lock_take(&second, at("lock"), &e), 0);
	lock_release(&second);
	assert_int_equal(lock_take(&l, at("none/lock"), &e), ERR_NOTFOUND);
}

static void
test_join(void **state)
{
	char path[PATH_BYTES], big[PATH_BYTES + 10];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(path_join(path, &e, "%s/%s", "a", "b"), 0);
	assert_string_equal(path, "a/b");
	memset(big, 'x', sizeof(big));
	big[PATH_BYTES - 1] = '\0';
	assert_int_equal(path_join(path, &e, "%s", big), 0);
	assert_int_equal(path_join(path, &e, "%s/", big), ERR_LIMIT);
}

static void
test_ends(void **state)
{
	(void)state;
	assert_true(path_ends("a/b.npy", ".npy"));
	assert_false(path_ends("a/b.npy2", ".npy"));
	assert_false(path_ends(".npy", ".npy"));
	assert_false(path_ends("py", ".npy"));
	assert_false(path_ends("", ".npy"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
