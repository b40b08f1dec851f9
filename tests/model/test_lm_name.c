/* SPDX-License-Identifier: ISC */
/*
 * Names of models, by facts copied from TransformerLens' table; every name is
 * compared with it by tests/reference/models.py.
 */
#include "model/lm_name.h"
#include "tests/util/scratch.h"

#define COMMIT "607a30d783dfa663caf39e06633721c8d4cfcd7e"

static void
test_repo(void **unused)
{
	static const char *const names[][2] = {
		{"gpt2-small", "gpt2"},
		{"GPT2-small", "gpt2"},
		{"gpt2", "gpt2"},
		{"openai-community/gpt2", "gpt2"},
		{"pythia-70m-deduped", "EleutherAI/pythia-70m-deduped"},
		{"pythia", "EleutherAI/pythia-70m"},
		{"EleutherAI/pythia-19m", "EleutherAI/pythia-70m"},
		{"gemma-2-2b", "google/gemma-2-2b"},
		{"google/gemma-2-2b", "google/gemma-2-2b"},
		{"Llama-3.1-8B", "meta-llama/Llama-3.1-8B"},
		{"meta-llama/Meta-Llama-3.1-8B", "meta-llama/Llama-3.1-8B"},
		{"mistral-7b", "mistralai/Mistral-7B-v0.1"},
		{"tiny-stories-33M", "roneneldan/TinyStories-33M"},
	};
	static const char *const unknown[] = {"", " ", "small", "gpt2-", "/gpt2",
		"other/gpt2", "google/", "pythia pythia-19m"};

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *repo = lm_name_repo(names[i][0]);

		if (repo == NULL || strcmp(repo, names[i][1]) != 0)
			fail_msg("%s is %s", names[i][0], repo ? repo : "unknown");
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		if (lm_name_repo(unknown[i]) != NULL)
			fail_msg("%s is known", unknown[i]);
}

static void
test_same(void **unused)
{
	(void)unused;
	assert_true(lm_name_same("gpt2-small", "openai-community/gpt2"));
	assert_true(lm_name_same("pythia-1.3b", "EleutherAI/pythia-1.4b"));
	assert_true(lm_name_same("google/gemma-2b", "gemma-2b"));
	assert_true(lm_name_same("mine/tiny", "tiny"));
	assert_true(lm_name_same("mine/gpt2", "gpt2-small"));
	assert_true(lm_name_same("mine/gpt2-small", "gpt2-small"));
	assert_false(lm_name_same("gemma-2-2b", "gemma-2-2b-it"));
	assert_false(lm_name_same("gpt2-small", "tiny"));
	assert_false(lm_name_same("gpt2", "gpt2-medium"));
}

static void
lay(const char *repo)
{
	char path[256];

	snprintf(path, sizeof(path), "hub/models--%s/snapshots/" COMMIT, repo);
	dir_make(at(path), NULL);
	snprintf(path, sizeof(path), "hub/models--%s/refs", repo);
	dir_make(at(path), NULL);
	snprintf(path, sizeof(path), "hub/models--%s/refs/main", repo);
	put_file(at(path), COMMIT, strlen(COMMIT));
}

static int
lay_out(void **state)
{
	if (scratch_make(state) < 0)
		return -1;
	lay("gpt2");
	lay("openai-community--gpt2-medium");
	lay("EleutherAI--pythia-70m-deduped");
	lay("meta-llama--Meta-Llama-3.1-8B");
	lay("org--tiny");
	return setenv("HF_HUB_CACHE", at("hub"), 1);
}

static void
good(const char *name, const char *repo)
{
	char found[PATH_BYTES], want[256];
	struct err e = ERR_INIT;

	snprintf(want, sizeof(want), "hub/models--%s/snapshots/" COMMIT, repo);
	if (lm_name_find(found, name, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	assert_string_equal(found, at(want));
}

static void
missing(const char *name, const char *says)
{
	char found[PATH_BYTES];
	struct err e = ERR_INIT;

	assert_int_equal(lm_name_find(found, name, &e), ERR_NOTFOUND);
	if (strstr(e.text, says) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", name, e.text, says);
}

/* By either spelling of what has moved, whichever the cache has. */
static void
test_find(void **unused)
{
	char found[PATH_BYTES];

	(void)unused;
	good("gpt2", "gpt2");
	good("gpt2@" COMMIT, "gpt2");
	good("gpt2-small", "gpt2");
	good("openai-community/gpt2", "gpt2");
	good("gpt2-medium", "openai-community--gpt2-medium");
	good("openai-community/gpt2-medium@main", "openai-community--gpt2-medium");
	good("pythia-70m-deduped", "EleutherAI--pythia-70m-deduped");
	good("pythia-19m-deduped@main", "EleutherAI--pythia-70m-deduped");
	good("Llama-3.1-8B", "meta-llama--Meta-Llama-3.1-8B");
	good("org/tiny", "org--tiny");
	assert_int_equal(lm_name_find(found, "/no/gpt2-small", NULL), 0);
	assert_string_equal(found, "/no/gpt2-small");
	assert_int_equal(chdir(at("")), 0);
	dir_make(at("gemma-2-2b"), NULL);
	assert_int_equal(lm_name_find(found, "gemma-2-2b", NULL), 0);
	assert_string_equal(found, "gemma-2-2b");
	dir_remove(at("gemma-2-2b"), NULL);
}

static void
test_missing(void **unused)
{
	(void)unused;
	missing("gemma-2-2b",
		"gemma-2-2b is no directory, but a name of "
		"google/gemma-2-2b: ");
	missing("gemma-2-2b", "`hf download google/gemma-2-2b` puts it there");
	missing("google/gemma-2-2b", "`hf download google/gemma-2-2b`");
	missing("pythia-70m@step3000",
		"`hf download EleutherAI/pythia-70m --revision step3000`");
	missing("gpt2-small@v2", "no gpt2 at revision v2");
	missing("gpt2-large", "gpt2-large is no directory: ");
	missing("nothing", "no nothing at revision main");
	missing("gpt2-small:x", "no gpt2-small at revision main with x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repo),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, lay_out, scratch_remove);
}
