/* SPDX-License-Identifier: ISC */
#include "model/lm_name.h"

#include "model/hub.h"

#include <string.h>
#include <strings.h>

/* Where repositories stood before, which a cache may still call them by. */
static const char *const moved[][2] = {
	{"gpt2", "openai-community/gpt2"},
	{"gpt2-medium", "openai-community/gpt2-medium"},
	{"gpt2-large", "openai-community/gpt2-large"},
	{"gpt2-xl", "openai-community/gpt2-xl"},
	{"distilgpt2", "distilbert/distilgpt2"},
	{"meta-llama/Meta-Llama-3.1-8B", "meta-llama/Llama-3.1-8B"},
	{"meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"},
	{"meta-llama/Meta-Llama-3.1-70B", "meta-llama/Llama-3.1-70B"},
	{"meta-llama/Meta-Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"},
};

/* A repository's other place, or NULL. */
static const char *
other_place(const char *repo)
{
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++)
		for (size_t k = 0; k < 2; k++)
			if (strcasecmp(moved[i][k], repo) == 0)
				return moved[i][1 - k];
	return NULL;
}

static const char *
last_part(const char *repo)
{
	const char *slash = strrchr(repo, '/');

	return slash ? slash + 1 : repo;
}

/* Whether a name is one of those in a list with spaces between. */
static bool
is_listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (*list) {
		size_t m = strcspn(list, " ");

		if (m == n && strncasecmp(list, name, n) == 0)
			return true;
		list += m + (list[m] == ' ');
	}
	return false;
}

static const char *
find_repo(const char *name)
{
	for (size_t i = 0; i < lm_names_n; i++)
		if (strcasecmp(lm_names[i].repo, name) == 0 ||
			strcasecmp(last_part(lm_names[i].repo), name) == 0 ||
			is_listed(lm_names[i].others, name))
			return lm_names[i].repo;
	return NULL;
}

const char *
lm_name_repo(const char *name)
{
	const char *repo = find_repo(name), *other = other_place(name);

	return repo || !other ? repo : find_repo(other);
}

bool
lm_name_same(const char *a, const char *b)
{
	const char *of_a = lm_name_repo(a), *of_b = lm_name_repo(b);

	if (of_a && of_b)
		return of_a == of_b;
	return strcasecmp(last_part(a), last_part(b)) == 0 ||
		strcasecmp(last_part(of_a ? of_a : a), last_part(of_b ? of_b : b)) == 0;
}

/* Only what failed at last is told: e is as it was where something was found. */
static int
give(struct err *e, const struct err *x)
{
	if (e)
		*e = *x;
	return x->code;
}

/* A repository, or the other place of it. */
static int
locate(char out[PATH_BYTES], const char *repo, const char *revision, struct err *e)
{
	struct hub_place p = {.repo = repo,
		.revision = revision,
		.part = "",
		.want = ""};
	const char *other = repo ? other_place(repo) : NULL;
	struct err first = ERR_INIT, ignored = ERR_INIT;
	int rc;

	if (!repo)
		return ERR_NOTFOUND;
	rc = hub_locate(out, &p, &first);
	p.repo = other;
	if (rc == ERR_NOTFOUND && other && hub_locate(out, &p, &ignored) == 0)
		return 0;
	return rc < 0 ? give(e, &first) : rc;
}

int
lm_name_find(char out[PATH_BYTES], const char *name, struct err *e)
{
	char copy[PATH_BYTES];
	const char *revision = NULL, *repo;
	struct err first = ERR_INIT, ignored = ERR_INIT;
	int rc = hub_find(out, name, &first);
	char *at;

	if (rc != ERR_NOTFOUND || path_join(copy, NULL, "%s", name) < 0)
		return rc < 0 ? give(e, &first) : rc;
	at = strchr(copy, '@');
	if (at) {
		*at = '\0';
		revision = at + 1;
	}
	if (locate(out, other_place(copy), revision, &ignored) == 0)
		return 0;
	repo = lm_name_repo(copy);
	if (!repo || strcasecmp(repo, copy) == 0)
		return give(e, &first);
	rc = locate(out, repo, revision, e);
	return rc < 0 ? err_wrap(e, "%s is no directory, but a name of %s", name, repo)
		      : 0;
}
