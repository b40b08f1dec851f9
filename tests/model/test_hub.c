/* SPDX-License-Identifier: ISC */
/* Names looked up in a cache laid out as huggingface_hub lays it out. */
#include "model/hub.h"
#include "tests/util/scratch.h"

#define COMMIT "607a30d783dfa663caf39e06633721c8d4cfcd7e"

static char found[PATH_BYTES];

static int
find(const char *name, struct err *e)
{
	*e = ERR_INIT;
	return hub_find(found, name, e);
}

static void
good(const char *name, const char *below)
{
	struct err e;

	if (find(name, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	assert_string_equal(found, at(below));
}

static void
missing(const char *name, const char *says)
{
	struct err e;

	assert_int_equal(find(name, &e), ERR_NOTFOUND);
	if (strstr(e.text, says) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", name, e.text, says);
}

static int
lay_out(void **state)
{
	static const char model[] = "hub/models--gpt2";
	static const char sae[] = "hub/models--google--gemma-scope";
	char path[256];

	if (scratch_make(state) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/snapshots/" COMMIT, model);
	dir_make(at(path), NULL);
	snprintf(path, sizeof(path), "%s/refs", model);
	dir_make(at(path), NULL);
	snprintf(path, sizeof(path), "%s/refs/main", model);
	put_file(at(path), COMMIT, strlen(COMMIT));
	snprintf(path, sizeof(path), "%s/refs/evil", model);
	put_file(at(path), "../../../etc", 12);
	snprintf(path, sizeof(path), "%s/snapshots/" COMMIT "/layer_20/width_16k", sae);
	dir_make(at(path), NULL);
	snprintf(path, sizeof(path), "%s/snapshots/" COMMIT "/layer_20/width_16k/x.npz",
		sae);
	put_file(at(path), "x", 1);
	return setenv("HF_HUB_CACHE", at("hub"), 1);
}

static void
test_found(void **unused)
{
	(void)unused;
	good("gpt2", "hub/models--gpt2/snapshots/" COMMIT);
	good("gpt2@main", "hub/models--gpt2/snapshots/" COMMIT);
	good("gpt2@" COMMIT, "hub/models--gpt2/snapshots/" COMMIT);
	good("google/gemma-scope@" COMMIT ":layer_20/width_16k",
		"hub/models--google--gemma-scope/snapshots/" COMMIT
		"/layer_20/width_16k");
	put_file(at("hub/models--gpt2/snapshots/" COMMIT "/a.pt"), "x", 1);
	good("gpt2:a.pt", "hub/models--gpt2/snapshots/" COMMIT "/a.pt");
	good("google/gemma-scope@" COMMIT ":layer_20/width_16k/x.npz",
		"hub/models--google--gemma-scope/snapshots/" COMMIT
		"/layer_20/width_16k/x.npz");
}

/* A file here comes before a repository's name. */
static void
test_file(void **unused)
{
	struct err e;

	(void)unused;
	assert_int_equal(chdir(scratch), 0);
	dir_make("set", NULL);
	put_file("set/layer_1.npz", "x", 1);
	assert_int_equal(find("set/layer_1.npz", &e), 0);
	assert_string_equal(found, "set/layer_1.npz");
	missing("set/layer_2.npz", "has no set/layer_2.npz");
	assert_int_equal(chdir("/"), 0);
}

static void
test_missing(void **unused)
{
	(void)unused;
	missing("gpt3", "no gpt3 at revision main");
	missing("gpt3", "`hf download gpt3`");
	missing("gpt2@v2", "at revision v2");
	missing("gpt2@v2", "`hf download gpt2 --revision v2`");
	missing("google/gemma-scope", "no google/gemma-scope at revision main");
	missing("google/gemma-scope@" COMMIT ":layer_21", "with layer_21");
	missing("google/gemma-scope@" COMMIT ":layer_21", "--include \"layer_21/*\"`");
	missing("google/gemma-scope:layer_20", "at revision " COMMIT ", not at main");
}

static void
test_evil(void **unused)
{
	struct err e;

	(void)unused;
	assert_int_equal(find("gpt2@evil", &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "holds no commit"));
}

/* What cannot be a repository's name is a path, for its reader to judge. */
static void
test_paths(void **unused)
{
	static const char *const paths[] = {"/no/where", "./gpt2", "../gpt2", "a/b/c",
		"gpt2:../../x", "gpt2@..", "a/../b", "", "gpt2:/etc"};
	struct err e;

	(void)unused;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(find(paths[i], &e), 0);
		assert_string_equal(found, paths[i]);
	}
	good(at("hub"), "hub");
	assert_int_equal(chdir(at("")), 0);
	put_file("gpt2", "x", 1);
	assert_int_equal(find("gpt2", &e), 0);
	assert_string_equal(found, "gpt2");
	remove("gpt2");
}

/* The order in which huggingface_hub asks the environment. */
static void
test_environment(void **unused)
{
	(void)unused;
	dir_make(at("home/.cache/huggingface/hub/models--m/snapshots/main"), NULL);
	dir_make(at("xdg/huggingface/hub/models--m/snapshots/main"), NULL);
	dir_make(at("hf/hub/models--m/snapshots/main"), NULL);
	unsetenv("HF_HUB_CACHE");
	unsetenv("HUGGINGFACE_HUB_CACHE");
	unsetenv("HF_HOME");
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", at("home"), 1);
	good("m", "home/.cache/huggingface/hub/models--m/snapshots/main");
	setenv("XDG_CACHE_HOME", at("xdg"), 1);
	good("m", "xdg/huggingface/hub/models--m/snapshots/main");
	setenv("HF_HOME", at("hf"), 1);
	good("m", "hf/hub/models--m/snapshots/main");
	setenv("HF_HOME", "", 1);
	good("m", "xdg/huggingface/hub/models--m/snapshots/main");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_evil),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests(tests, lay_out, scratch_remove);
}
