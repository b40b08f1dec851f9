/* SPDX-License-Identifier: ISC */
/* The command line, where listeners may listen, and the table of handlers. */
#include "daemon/h.h"
#include "daemon/listen.h"
#include "daemon/options.h"
#include "tests/util/scratch.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int
read_line(struct options *o, struct err *e, const char *a, const char *b, const char *c)
{
	char *argv[] = {(char *)"saedbd", (char *)a, (char *)b, (char *)c, NULL};
	int n = 1;

	while (argv[n] != NULL)
		n++;
	*e = ERR_INIT;
	return options_read(o, n, argv, e);
}

static void
test_options(void **state)
{
	struct options o;
	struct err e;

	(void)state;
	assert_int_equal(read_line(&o, &e, "--store", "dir", "--verbose"), 0);
	assert_string_equal(o.store, "dir");
	assert_true(o.verbose && o.socket == NULL && o.idle_exit_s == 0);
	assert_int_equal(read_line(&o, &e, "--store=a=b", "--idle-exit=7", NULL), 0);
	assert_string_equal(o.store, "a=b");
	assert_int_equal(o.idle_exit_s, 7);
	assert_int_equal(read_line(&o, &e, "--help", NULL, NULL), 0);
	assert_int_equal(read_line(&o, &e, NULL, NULL, NULL), ERR_MISSING);
	assert_int_equal(read_line(&o, &e, "--store", NULL, NULL), ERR_MISSING);
	assert_int_equal(read_line(&o, &e, "--store=", NULL, NULL), ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--stor=x", NULL, NULL), ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--storex=x", NULL, NULL), ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--store=x", "--verbose=1", NULL), ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--store=x", "--workers=257", NULL),
		ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--store=x", "--workers=4x", NULL), ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--store=x", "more", NULL), ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--store=x", "--model=m", NULL), 0);
	assert_string_equal(o.model, "m");
	assert_int_equal(read_line(&o, &e, "--store=x", "--model=m", "--no-model"),
		ERR_ARG);
	assert_int_equal(read_line(&o, &e, "--store=x", "--model-memory=0", NULL),
		ERR_ARG);
}

static void
test_every_row_has_a_handler(void **state)
{
	(void)state;
	for (size_t i = 0; i < method_n; i++)
		if (handler_of(i) == NULL)
			fail_msg("%s has no handler", method_table[i].name);
	for (size_t i = 0; i < method_n; i++)
		for (size_t j = 0; j < i; j++)
			assert_true(handler_of(i) != handler_of(j));
	assert_null(handler_of(method_n));
	assert_null(handler_of(SIZE_MAX));
}

static void
test_tcp(void **state)
{
	static const char *const outside[] = {"0.0.0.0:0", "8.8.8.8:53", "[::]:0",
		"[fe80::1]:0", "128.0.0.1:0", "[::ffff:127.0.0.1]:0"};
	static const char *const bad[] = {"", ":", "127.0.0.1", "127.0.0.1:", ":80",
		"127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1:80",
		"example.org:80", "127.1:80", "127.0.0.1:80 "};
	struct listener l;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		if (listen_tcp(&l, outside[i], &e) != ERR_DENIED)
			fail_msg("%s", outside[i]);
		assert_int_equal(l.fd, -1);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (listen_tcp(&l, bad[i], &e) != ERR_ARG)
			fail_msg("%s", bad[i]);
	assert_int_equal(listen_tcp(&l, "localhost:0", &e), 0);
	assert_memory_equal(l.name, "127.0.0.1:", 10);
	assert_string_not_equal(l.name, "127.0.0.1:0");
	listen_close(&l);
}

static void
test_unix(void **state)
{
	struct listener one, two;
	struct err e = ERR_INIT;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char *path = at("sock");
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(listen_unix(&one, path, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(listen_unix(&two, path, &e), ERR_BUSY);
	assert_int_equal(stat(path, &st), 0); /* the first one's socket stays */
	listen_close(&two);
	assert_int_equal(stat(path, &st), 0);
	listen_close(&one);
	assert_int_equal(stat(path, &st), -1);
	/* A live socket that is not a daemon's is not taken away. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(listen_unix(&two, path, &e), ERR_BUSY);
	close(fd);
	assert_int_equal(listen_unix(&two, path, &e), 0); /* a dead one is */
	listen_close(&two);
	put_file(path, "x", 1);
	assert_int_equal(listen_unix(&two, path, &e), ERR_ARG);
	assert_int_equal(listen_unix(&two, at("no/where"), &e), ERR_NOTFOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_every_row_has_a_handler),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_unix),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
