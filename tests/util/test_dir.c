/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"

#include <sys/stat.h>

static void
test_make(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dir_make(at("a/b//c/"), &e), 0);
	assert_true(file_is_dir(at("a/b/c")));
	assert_int_equal(dir_make(at("a/b/c"), &e), 0);
	put_file(at("a/file"), "x", 1);
	assert_true(dir_make(at("a/file"), &e) < 0);
	assert_non_null(strstr(e.text, "a/file"));
	assert_true(dir_make(at("a/file/below"), &e) < 0);
	assert_int_equal(dir_make("", &e), ERR_ARG);
	assert_int_equal(dir_make("/", &e), 0);
	assert_int_equal(dir_make(".", &e), 0);
}

/* What links point to is neither removed nor counted. */
static void
test_remove(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dir_make(at("r/x/y"), &e), 0);
	assert_int_equal(dir_make(at("keep"), &e), 0);
	put_file(at("keep/me"), "x", 1);
	put_file(at("r/x/y/f"), "x", 1);
	assert_int_equal(symlink(at("keep"), at("r/x/link")), 0);
	assert_int_equal(symlink("nowhere", at("r/x/dangling")), 0);
	assert_int_equal(dir_remove(at("r"), &e), 0);
	assert_false(file_exists(at("r")));
	assert_true(file_exists(at("keep/me")));
	assert_int_equal(dir_remove(at("r"), &e), 0);
	assert_int_equal(symlink(at("keep"), at("link")), 0);
	assert_int_equal(dir_remove(at("link"), &e), 0);
	assert_true(file_exists(at("keep/me")));
	assert_int_equal(dir_remove(at("keep/me"), &e), 0); /* a file is fine */
	assert_false(file_exists(at("keep/me")));
}

static void
test_size(void **state)
{
	struct err e = ERR_INIT;
	uint64_t before, after;
	char *big = mem_new(1 << 20, 1);

	(void)state;
	memset(big, 'x', 1 << 20);
	assert_int_equal(dir_make(at("s/t"), &e), 0);
	assert_int_equal(dir_size(at("s"), &before, &e), 0);
	put_file(at("s/t/f"), big, 1 << 20);
	assert_int_equal(dir_sync_tree(at("s"), &e), 0);
	assert_int_equal(dir_size(at("s"), &after, &e), 0);
	assert_true(after >= before + (1 << 20) && after < before + (1 << 20) + 100000);
	assert_int_equal(dir_size(at("none"), &after, &e), ERR_NOTFOUND);
	assert_int_equal(dir_sync_tree(at("none"), &e), ERR_NOTFOUND);
	mem_free(big);
}

static void
test_list(void **state)
{
	struct err e = ERR_INIT;
	char **names, name[32];
	size_t n;

	(void)state;
	assert_int_equal(dir_make(at("l"), &e), 0);
	for (int i = 39; i >= 0; i--) {
		snprintf(name, sizeof(name), "l/%02d", i * 7 % 40);
		put_file(at(name), "", 0);
	}
	assert_int_equal(dir_list(at("l"), &names, &n, &e), 0);
	assert_int_equal(n, 40);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%02zu", i);
		assert_string_equal(names[i], name);
		mem_free(names[i]);
	}
	mem_free(names);
	assert_int_equal(dir_list(at("none"), &names, &n, &e), ERR_NOTFOUND);
	assert_null(names);
}

/* The n-th allocation fails, for every n: an error, and no leak. */
static void
test_memory(void **state)
{
	int rc = ERR_NOMEM;
	long at_n;

	(void)state;
	for (at_n = 0; rc == ERR_NOMEM; at_n++) {
		char **names;
		size_t n;

		mem_fail_at(at_n);
		rc = dir_list(at("l"), &names, &n, NULL);
		mem_fail_at(-1);
		for (size_t i = 0; rc == 0 && i < n; i++)
			mem_free(names[i]);
		mem_free(names);
	}
	assert_int_equal(rc, 0);
	assert_true(at_n > 40);
	assert_int_equal(dir_make(at("l/deep/er"), NULL), 0);
	for (rc = ERR_NOMEM, at_n = 0; rc == ERR_NOMEM; at_n++) {
		mem_fail_at(at_n);
		rc = dir_sync_tree(at("l"), NULL);
		mem_fail_at(-1);
	}
	assert_int_equal(rc, 0);
	for (rc = ERR_NOMEM, at_n = 0; rc == ERR_NOMEM; at_n++) {
		mem_fail_at(at_n);
		rc = dir_remove(at("l"), NULL);
		mem_fail_at(-1);
	}
	assert_int_equal(rc, 0);
	assert_false(file_exists(at("l")));
}

/* What cannot be walked names itself, and a path that is too long. */
static void
test_deep(void **state)
{
	struct err e = ERR_INIT;
	char here[PATH_BYTES];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(dir_make(at("d"), &e), 0);
	assert_int_equal(chdir(at("d")), 0);
	for (int i = 0; i < 400; i++) {
		assert_int_equal(mkdir("eleven-char", 0777), 0);
		assert_int_equal(chdir("eleven-char"), 0);
	}
	assert_int_equal(chdir(here), 0);
	assert_int_equal(dir_sync_tree(at("d"), &e), ERR_LIMIT);
	assert_non_null(strstr(e.text, "too deep"));
	assert_int_equal(dir_remove(at("d"), &e), ERR_LIMIT);
	for (int i = 0; i < 400; i++) { /* one by one, from above */
		if (file_exists(at("d/eleven-char/eleven-char")))
			assert_int_equal(rename(at("d/eleven-char/eleven-char"),
						 at("d/next")),
				0);
		assert_int_equal(rmdir(at("d/eleven-char")), 0);
		if (file_exists(at("d/next")))
			assert_int_equal(rename(at("d/next"), at("d/eleven-char")), 0);
	}
	assert_int_equal(dir_remove(at("d"), &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
