/* SPDX-License-Identifier: ISC */
/* The table of commands against the table of methods, the man page and the
 * completion; and options as they are typed. */
#include "client/cli.h"
#include "schema/method.h"
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct method *
method_of(const char *name)
{
	int at = method_find(name, strlen(name));

	if (at < 0)
		fail_msg("no method %s", name);
	return &method_table[at];
}

static const struct param *
param_of(const struct method *m, const char *name)
{
	for (size_t i = 0; i < m->n_params; i++)
		if (strcmp(m->param[i].name, name) == 0)
			return &m->param[i];
	fail_msg("%s has no parameter %s", m->name, name);
	return NULL;
}

/* A number can be given where the method wants one, and so on. */
static bool
fits(enum option_type o, enum param_type p)
{
	if (p == PARAM_ANY)
		return true;
	return (o == OPTION_FLAG && p == PARAM_BOOL) ||
		(o == OPTION_TEXT && p == PARAM_STR) ||
		(o == OPTION_INT && p == PARAM_INT) ||
		(o == OPTION_FLOAT && p == PARAM_FLOAT);
}

static void
test_methods(void **state)
{
	(void)state;
	for (size_t i = 0; i < command_n; i++) {
		const struct command *c = &command_table[i];
		size_t n = 0;

		assert_non_null(c->run);
		if (c->method == NULL)
			continue;
		for (int k = 0; k < 2 && c->word[k] != NULL; k++)
			param_of(method_of(c->method), c->word[k]);
		for (const struct option *o = c->option; o != NULL && o->name != NULL;
			o++) {
			assert_true(++n < OPTION_MAX);
			if (o->param == NULL)
				continue;
			if (!fits(o->type,
				    param_of(method_of(c->method), o->param)->type))
				fail_msg("%s --%s", c->name, o->name);
			if (o->type == OPTION_FLAG)
				assert_non_null(o->value);
		}
	}
}

static void
test_letters(void **state)
{
	(void)state;
	for (size_t i = 0; i < command_n; i++) {
		char seen[64] = "";

		for (int table = 0; table < 2; table++) {
			const struct option *o =
				table == 0 ? command_table[i].option : global_option;

			for (; o != NULL && o->name != NULL; o++) {
				if (o->letter == 0)
					continue;
				if (strchr(seen, o->letter) != NULL)
					fail_msg("%s -%c is two options",
						command_table[i].name, o->letter);
				seen[strlen(seen)] = o->letter;
			}
		}
	}
}

static char *
slurp(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[PATH_BYTES];
	struct err e = ERR_INIT;
	struct buf b;

	buf_init(&b);
	path_join(path, &e, "%s/%s", srcdir != NULL ? srcdir : ".", name);
	if (file_read(path, 1 << 20, &b, &e) != 0)
		fail_msg("%s", e.text);
	return buf_str(&b);
}

/* Each command and option stands in the man page. */
static void
test_man(void **state)
{
	char *man = slurp("doc/saedb.1"), want[128];

	(void)state;
	for (size_t i = 0; i < command_n; i++) {
		snprintf(want, sizeof(want), "\n.It Cm %s", command_table[i].name);
		if (strstr(man, want) == NULL)
			fail_msg("doc/saedb.1 lacks%s", want + 1);
		for (const struct option *o = command_table[i].option;
			o != NULL && o->name != NULL; o++) {
			snprintf(want, sizeof(want), "Fl -%s", o->name);
			if (strstr(man, want) == NULL)
				fail_msg("doc/saedb.1 lacks %s of %s", want,
					command_table[i].name);
		}
	}
	for (const struct option *o = global_option; o->name != NULL; o++) {
		snprintf(want, sizeof(want), "Fl -%s", o->name);
		if (strstr(man, want) == NULL)
			fail_msg("doc/saedb.1 lacks %s", want);
	}
	free(man);
}

/* The installed completion is what the table gives. */
static void
test_completion(void **state)
{
	char *there = slurp("client/completion/saedb.bash"), *now;
	struct cli c = {.term = {.out = tmpfile()}};
	long n;

	(void)state;
	assert_non_null(c.term.out);
	assert_int_equal(run_completion(&c), 0);
	n = ftell(c.term.out);
	rewind(c.term.out);
	now = calloc(1, (size_t)n + 1);
	assert_int_equal(fread(now, 1, (size_t)n, c.term.out), n);
	fclose(c.term.out);
	if (strcmp(there, now) != 0)
		fail_msg("client/completion/saedb.bash is old: saedb completion >it");
	free(now);
	free(there);
}

static const struct option table[] = {
	{"limit", 'n', OPTION_INT, "N", NULL, NULL, ""},
	{"share", 0, OPTION_FLOAT, "X", NULL, NULL, ""},
	{"sort", 's', OPTION_TEXT, "KEY", NULL, "max|mean", ""},
	{"raw", 'r', OPTION_FLAG, NULL, NULL, NULL, ""},
	{.name = NULL},
};

static int
try(const char *a, const char *b, const char **value, int *used)
{
	char *arg[] = {(char *)a, (char *)b, NULL};
	struct err e;

	for (int i = 0; i < OPTION_MAX; i++)
		value[i] = NULL;
	return option_read(table, arg, value, used, &e);
}

static void
test_options(void **state)
{
	const char *value[OPTION_MAX];
	double x;
	int used;

	(void)state;
	assert_int_equal(try("--limit", "5", value, &used), 0);
	assert_int_equal(used, 2);
	assert_string_equal(value[0], "5");
	assert_int_equal(try("--limit=1,000", NULL, value, &used), 0);
	assert_int_equal(used, 1);
	assert_true(option_number(value[0], &x) && x == 1000);
	assert_int_equal(try("-n7", NULL, value, &used), 0);
	assert_string_equal(value[0], "7");
	assert_int_equal(try("-n", "7", value, &used), 0);
	assert_int_equal(used, 2);
	assert_int_equal(try("--raw", "x", value, &used), 0);
	assert_int_equal(used, 1);
	assert_non_null(value[3]);
	assert_int_equal(try("--share", "0.1%", value, &used), 0);
	assert_true(option_number(value[1], &x) && x > 0.000999 && x < 0.001001);
	assert_int_equal(try("--sort", "mean", value, &used), 0);
	assert_int_equal(try("--none", NULL, value, &used), 0);
	assert_int_equal(used, 0);
	assert_int_equal(try("--limit", NULL, value, &used), ERR_ARG);
	assert_int_equal(try("--limit", "x", value, &used), ERR_ARG);
	assert_int_equal(try("--limit", "1.5", value, &used), ERR_ARG);
	assert_int_equal(try("--limit", "", value, &used), ERR_ARG);
	assert_int_equal(try("--limit", "1e400", value, &used), ERR_ARG);
	assert_int_equal(try("--share=nan", NULL, value, &used), ERR_ARG);
	assert_int_equal(try("--sort=m", NULL, value, &used), ERR_ARG);
	assert_int_equal(try("--sort=max|mean", NULL, value, &used), ERR_ARG);
	assert_int_equal(try("--raw=1", NULL, value, &used), ERR_ARG);
	assert_int_equal(try("-rx", NULL, value, &used), ERR_ARG);
	assert_int_equal(try("-n", NULL, value, &used), ERR_ARG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_man),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
