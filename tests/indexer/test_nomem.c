/* SPDX-License-Identifier: ISC */
/* A whole index in which the N-th allocation fails, for N = 0, 1, 2, ...: an error
 * each time, never a crash, and a store that stays as it was. */
#include "indexer/estimate.h"
#include "indexer/index.h"
#include "indexer/merge.h"
#include "indexer/verify.h"
#include "store/store.h"
#include "tests/util/scratch.h"

#include <stdlib.h>
#include <string.h>

/* Arguments are constants here; main()'s type says otherwise. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

#define DENSE 700 /* after so many, only some are tried */

static bool have_python;

static int
make(void **state)
{
	const char *src = getenv("srcdir"), *python = getenv("PYTHON");
	char command[PATH_BYTES];
	FILE *f;

	scratch_make(state);
	snprintf(command, sizeof(command), "%s %s/tests/indexer/make_tiny.py %s",
		python != NULL ? python : "python3", src != NULL ? src : ".", scratch);
	have_python = system(command) == 0;
	f = fopen(at("few.jsonl"), "w");
	fprintf(f,
		"{\"id\": \"a\", \"text\": \"golden gate bridge in the fog\"}\n"
		"{\"text\": \"a small tower over the water, red and green\"}\n");
	if (fclose(f) != 0)
		return -1;
	f = fopen(at("more.jsonl"), "w");
	fprintf(f,
		"{\"text\": \"boats crossing the bay in the morning, one by one\"}\n");
	return fclose(f);
}

static int
try(int (*run)(const struct options *o, struct err *e), char **argv, int argc,
	long fail)
{
	struct err e = ERR_INIT;
	struct options o;
	int rc = options_parse(&o, argc, argv, &e);

	assert_int_equal(rc, 0);
	mem_fail_at(fail);
	rc = run(&o, &e);
	mem_fail_at(-1);
	options_clear(&o);
	if (rc < 0)
		assert_true(e.text[0] != '\0' && strchr(e.text, '\n') == NULL);
	return rc;
}

/* left: what a failure leaves for the next, removed in between; or NULL. All up to
 * dense are tried, then fewer and fewer. */
static void
sweep_some(int (*run)(const struct options *o, struct err *e), char **argv, int argc,
	const char *left, long dense)
{
	long n = 0, tried = 0;
	int rc;

	do {
		rc = try(run, argv, argc, n);
		assert_in_range(rc + 100, 0, 100);
		if (left != NULL)
			assert_int_equal(dir_remove(left, NULL), 0);
		n = n < dense ? n + 1 : n + 1 + n * 11 / dense;
		tried++;
	} while (rc < 0 && tried < 2000);
	assert_int_equal(rc, 0);
	assert_true(tried > 20);
}

static void
sweep(int (*run)(const struct options *o, struct err *e), char **argv, int argc,
	const char *left)
{
	sweep_some(run, argv, argc, left, DENSE);
}

static void
test_index(void **unused)
{
	char *argv[] = {"saedb-index", "--quiet", "--store", at("store"), "--model",
		at("model"), "--sae", at("sae/plain"), "--sae", at("sae/topk"),
		"--corpus", at("few.jsonl"), "--threads", "2", "--report",
		at("report.json"), NULL};
	struct store *s;
	struct store_view *v;
	struct err e = ERR_INIT;

	(void)unused;
	if (!have_python)
		skip();
	sweep(index_run, argv, 16, at("store/tmp"));
	assert_true(file_exists(at("report.json")));
	assert_int_equal(store_open(&s, at("store"), STORE_READ, &e), 0);
	assert_int_equal(store_view_open(&v, s, &e), 0);
	assert_int_equal(store_view_catalog(v)->n_runs, 1);
	store_view_close(v);
	store_close(s);
}

/* Each try goes on where the one before failed, at a checkpoint after every batch. */
static void
test_resume(void **unused)
{
	char *argv[] = {"saedb-index", "--quiet", "--store", at("again"), "--model",
		at("model"), "--sae", at("sae/plain"), "--sae", at("sae/topk"),
		"--corpus", at("few.jsonl"), "--threads", "2", "--batch-tokens", "1",
		NULL};
	char **names;
	size_t n;

	(void)unused;
	if (!have_python)
		skip();
	assert_int_equal(setenv("SAEDB_CHECKPOINT_MS", "1e-6", 1), 0);
	sweep(index_run, argv, 16, NULL);
	assert_int_equal(unsetenv("SAEDB_CHECKPOINT_MS"), 0);
	assert_int_equal(dir_list(at("again/tmp"), &names, &n, NULL), 0);
	assert_int_equal(n, 0);
	mem_free(names);
}

/* Nothing is left of a plan, however it ends. */
static void
test_plan(void **unused)
{
	char *argv[] = {"saedb-index", "plan", "--store", at("none"), "--model",
		at("model"), "--sae", at("sae/plain"), "--sae", at("sae/topk"),
		"--corpus", at("few.jsonl"), "--threads", "2", "--report",
		at("plan.json"), NULL};
	char **names;
	size_t n;

	(void)unused;
	if (!have_python)
		skip();
	assert_int_equal(dir_make(at("parts"), NULL), 0);
	assert_int_equal(setenv("TMPDIR", at("parts"), 1), 0);
	sweep_some(estimate_run, argv, 16, NULL, 25); /* one takes its time */
	assert_int_equal(unsetenv("TMPDIR"), 0);
	assert_int_equal(dir_list(at("parts"), &names, &n, NULL), 0);
	assert_int_equal(n, 0);
	mem_free(names);
	assert_false(file_exists(at("none")));
	assert_true(file_exists(at("plan.json")));
}

static void
test_verify(void **unused)
{
	char *argv[] = {"saedb-index", "verify", at("store"), "--threads", "2", NULL};

	(void)unused;
	if (!have_python)
		skip();
	sweep(verify_run, argv, 5, NULL);
}

/* Two parts into one run; nothing is left of a failure. */
static void
test_merge(void **unused)
{
	char *part[] = {"saedb-index", "--quiet", "--store", at("part"), "--model",
		at("model"), "--sae", at("sae/topk"), "--sae", at("sae/plain"),
		"--corpus", at("more.jsonl"), NULL};
	char *argv[] = {"saedb-index", "merge", "--quiet", at("store"), at("part"),
		"-o", at("whole"), "--threads", "2", NULL};

	(void)unused;
	if (!have_python)
		skip();
	assert_int_equal(try(index_run, part, 12, -1), 0);
	sweep(merge_run, argv, 9, at("whole/tmp"));
}

/* More corpus: some windows from the run that is there, some by the model. */
static void
test_reuse(void **unused)
{
	char *argv[] = {"saedb-index", "--quiet", "--store", at("store"), "--model",
		at("model"), "--sae", at("sae/plain"), "--sae", at("sae/topk"),
		"--corpus", at("few.jsonl"), "--corpus", at("more.jsonl"), "--threads",
		"2", NULL};

	(void)unused;
	if (!have_python)
		skip();
	sweep(index_run, argv, 16, at("store/tmp"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_reuse),
	};

	return cmocka_run_group_tests(tests, make, scratch_remove);
}
