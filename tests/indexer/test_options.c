/* SPDX-License-Identifier: ISC */
/* The command line, right and wrong. */
#include "indexer/options.h"
#include "schema/limits.h"
#include "tests/util/scratch.h"

#include <string.h>

/* Parses words parted by spaces. Returns the code; the error is in wrong. */
static struct err wrong;
static struct options o;

static int
parse(const char *line)
{
	static char copy[512];
	char *argv[64] = {(char *)"saedb-index"}, *save;
	int argc = 1;

	options_clear(&o);
	wrong = ERR_INIT;
	strcpy(copy, line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return options_parse(&o, argc, argv, &wrong);
}

static void
test_good(void **unused)
{
	(void)unused;
	assert_int_equal(parse("--store s --model=m --sae 1k=a --sae b --corpus c "
			       "--corpus - --examples 7 --memory 2G --bos no --strict"),
		0);
	assert_string_equal(o.command, "index");
	assert_string_equal(o.store, "s");
	assert_string_equal(o.model, "m");
	assert_int_equal(o.sae.n, 2);
	assert_string_equal(o.sae.item[0], "1k=a");
	assert_int_equal(o.corpus.n, 2);
	assert_int_equal(o.examples, 7);
	assert_int_equal(o.memory_bytes, 2ull << 30);
	assert_int_equal(o.bos, BOS_NO);
	assert_true(o.strict);
	assert_string_equal(o.text_field, "text");
	assert_int_equal(o.dedup_radius, 5);
	assert_int_equal(o.batch_tokens, 4096);
	assert_int_equal(
		parse("--store s --model m --sae a --corpus c --features 7:96"), 0);
	assert_int_equal(o.range[0], 7);
	assert_int_equal(o.range[1], 96);
	assert_int_equal(o.features, 64);
	assert_int_equal(parse("--store s --model m --sae a --corpus c"), 0);
	assert_int_equal(o.range[1], 0);
	assert_int_equal(parse("verify s --features 3"), 0);
	assert_string_equal(o.store, "s");
	assert_int_equal(o.features, 3);
	assert_int_equal(parse("rm 4 s"), 0);
	assert_string_equal(o.arg[0], "4");
	assert_string_equal(o.store, "s");
	assert_int_equal(parse("rm --store s 4"), 0);
	assert_string_equal(o.arg[0], "4");
	assert_int_equal(parse("rename a b --store s"), 0);
	assert_int_equal(parse("list --store s"), 0);
	assert_int_equal(parse("inspect a b c"), 0);
	assert_string_equal(o.command, "inspect");
	assert_int_equal(o.dir.n, 3);
	assert_string_equal(o.dir.item[2], "c");
	assert_int_equal(parse("diagnose --model m --sae a --corpus c"), 0);
	assert_null(o.store);
	assert_int_equal(o.sample, 2048);
	assert_int_equal(parse("formats"), 0);
	assert_string_equal(o.command, "formats");
	assert_null(o.store);
	assert_int_equal(parse("--help"), 0);
	assert_true(o.help);
	assert_int_equal(parse("-h"), 0);
	assert_true(o.help);
}

static void
test_bad(void **unused)
{
	static const char *const bad[][2] = {
		{"--store", "--store needs its DIR"},
		{"--store s", "--model is missing"},
		{"--stor s", "no option --stor"},
		{"frob", "no command 'frob'"},
		{"list s --examples 3", "no option of list"},
		{"list s t", "takes no argument"},
		{"list", "--store is missing"},
		{"rm --store s", "usage"},
		{"inspect", "usage"},
		{"diagnose --model m --corpus c", "--sae is missing"},
		{"diagnose --store s", "no option of diagnose"},
		{"diagnose --sample 0", "out of range"},
		{"inspect a --store s", "no option of inspect"},
		{"formats --store s", "no option of formats"},
		{"formats s", "takes no argument"},
		{"rename a --store s", "usage"},
		{"--strict=1", "takes no value"},
		{"--examples 0", "out of range"},
		{"--examples 101", "out of range"},
		{"--examples 1x", "no whole number"},
		{"--seed 18446744073709551616", "no whole number"},
		{"--memory 5Q", "no size"},
		{"--memory 99999999999T", "no size"},
		{"--bos maybe", "none of auto|yes|no"},
		{"--model= x", "--model is empty"},
		{"--features 5:5", "5:5 is empty"},
		{"--features 9:3", "9:3 is empty"},
		{"--features 3", "no FIRST:END"},
		{"--features 3:", "no FIRST:END"},
		{"--features :3", "no FIRST:END"},
		{"--features 0:1:2", "no FIRST:END"},
		{"--features -1:3", "no FIRST:END"},
		{"--features 0:4294967296", "out of range"},
		{"--features 0:18446744073709551616", "no FIRST:END"},
		{"verify s --features 0:8", "no whole number"},
		{"list s --features 0:8", "no option of list"},
		{"--store s --sae a --latents l --features 0:8", "of no use"},
		{"merge a", "usage"},
		{"-x", "takes no argument"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i][0]) >= 0)
			fail_msg("%s is taken", bad[i][0]);
		if (strstr(wrong.text, bad[i][1]) == NULL)
			fail_msg("%s gives %s", bad[i][0], wrong.text);
	}
}

static void
test_sizes(void **unused)
{
	uint64_t n;

	(void)unused;
	assert_true(options_size("12", &n) && n == 12);
	assert_true(options_size("12B", &n) && n == 12);
	assert_true(options_size("3k", &n) && n == 3 << 10);
	assert_true(options_size("3KiB", &n) && n == 3 << 10);
	assert_true(options_size("1M", &n) && n == 1 << 20);
	assert_true(options_size("2T", &n) && n == 2ull << 40);
	assert_false(options_size("", &n));
	assert_false(options_size("-1", &n));
	assert_false(options_size("1MM", &n));
	assert_false(options_size("K", &n));
	assert_false(options_size("1 M", &n));
}

static void
test_help(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b);
	options_help(&b);
	assert_non_null(strstr(buf_str(&b), "--interval-samples N"));
	assert_non_null(strstr(buf_str(&b), "verify STORE"));
	buf_clear(&b);
}

static int
forget(void **unused)
{
	(void)unused;
	options_clear(&o);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
