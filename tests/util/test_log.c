/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/log.h"

#include <fcntl.h>

/* What log_put wrote to standard error during say(). */
static void
captured(struct buf *out, void (*say)(void))
{
	int saved = dup(STDERR_FILENO);
	int fd = open(at("log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(saved >= 0 && fd >= 0);
	dup2(fd, STDERR_FILENO);
	say();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	assert_int_equal(file_read(at("log"), 100000, out, NULL), 0);
}

static void
say_lines(void)
{
	char big[5000];

	memset(big, 'x', sizeof(big));
	big[4999] = '\0';
	log_set_name("prog");
	log_put(LOG_INFO, "not shown");
	log_put(LOG_NOTICE, "two\nlines %d", 7);
	log_set_level(LOG_ERR);
	log_put(LOG_NOTICE, "not shown");
	log_set_level(LOG_DBG);
	log_put(LOG_DBG, "%s", big);
}

static void
test_lines(void **state)
{
	struct buf b;
	char *text, *second;

	(void)state;
	captured(&b, say_lines);
	text = buf_str(&b);
	assert_non_null(strstr(text, "Z prog: notice: two lines 7\n"));
	assert_null(strstr(text, "not shown"));
	second = strchr(text, '\n') + 1;
	assert_non_null(strstr(second, " prog: debug: xxxx"));
	assert_ptr_equal(strchr(second, '\n'), (char *)b.data + b.n_bytes - 1);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
