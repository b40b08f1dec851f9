/* SPDX-License-Identifier: ISC */
/*
 * A repository ORG/REPO is models--ORG--REPO in the cache, with refs/BRANCH
 * (a file that holds a commit) and snapshots/COMMIT (a directory of links).
 */
#include "model/hub.h"

#include "util/buf.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 256
#define REF_MAX_BYTES 256

static const char *
env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* As huggingface_hub decides. */
static int
cache_dir(char out[PATH_BYTES], struct err *e)
{
	static const struct {
		const char *variable, *below;
	} places[] = {
		{"HF_HUB_CACHE", ""},
		{"HUGGINGFACE_HUB_CACHE", ""},
		{"HF_HOME", "/hub"},
		{"XDG_CACHE_HOME", "/huggingface/hub"},
		{"HOME", "/.cache/huggingface/hub"},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *value = env(places[i].variable);

		if (value != NULL)
			return path_join(out, e, "%s%s", value, places[i].below);
	}
	return path_join(out, e, "/nonexistent");
}

/* What cannot lead out of the cache. */
static bool
is_safe(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && name[0] != '/' &&
		strstr(name, "..") == NULL;
}

static size_t
count(const char *s, char c)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == c;
	return n;
}

/* ORG/REPO as the cache spells it: ORG--REPO. */
static int
cached_name(char out[NAME_MAX_BYTES], const char *repo)
{
	size_t at = 0;

	for (; *repo && at + 3 < NAME_MAX_BYTES; repo++) {
		if (*repo == '/')
			out[at++] = '-';
		out[at++] = *repo == '/' ? '-' : *repo;
	}
	out[at] = '\0';
	return *repo ? ERR_LIMIT : 0;
}

static bool
is_place(const struct hub_place *p)
{
	return is_safe(p->repo) && count(p->repo, '/') <= 1 &&
		(!p->revision || (is_safe(p->revision) && !strchr(p->revision, '/'))) &&
		(!p->part[0] || is_safe(p->part));
}

/* The commit that refs/REVISION names; a revision without a ref is one itself. */
static int
read_ref(char commit[REF_MAX_BYTES], const char *repo, const char *revision,
	struct err *e)
{
	char path[PATH_BYTES];
	struct buf b;
	int rc;

	snprintf(commit, REF_MAX_BYTES, "%s", revision);
	rc = path_join(path, e, "%s/refs/%s", repo, revision);
	if (rc < 0 || !file_exists(path))
		return rc;
	buf_init(&b);
	rc = file_read(path, REF_MAX_BYTES - 1, &b, e);
	if (rc == 0)
		snprintf(commit, REF_MAX_BYTES, "%.*s", (int)b.n_bytes,
			(const char *)b.data);
	buf_clear(&b);
	commit[strcspn(commit, "\r\n")] = '\0';
	if (rc == 0 && (commit[0] == '\0' || strpbrk(commit, "/.") != NULL))
		rc = err_set(e, ERR_FORMAT, "%s: holds no commit", path);
	return rc;
}

/* A snapshot of another revision that has it: what is got file by file over time
 * lies in several. */
static void
find_other(char out[NAME_MAX_BYTES], const char *repo, const struct hub_place *p)
{
	char path[PATH_BYTES], **names = NULL;
	size_t n = 0;

	out[0] = '\0';
	if (path_join(path, NULL, "%s/snapshots", repo) < 0 || !file_is_dir(path) ||
		dir_list(path, &names, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!out[0] && strlen(names[i]) < NAME_MAX_BYTES && p->part[0] &&
			path_join(path, NULL, "%s/snapshots/%s/%s", repo, names[i],
				p->part) == 0 &&
			file_exists(path))
			strcpy(out, names[i]);
		mem_free(names[i]);
	}
	mem_free(names);
}

static int
not_found(const char *cache, const char *repo, const struct hub_place *p, struct err *e)
{
	char other[NAME_MAX_BYTES];

	find_other(other, repo, p);
	if (other[0])
		return err_set(e, ERR_NOTFOUND,
			"%s has %s of %s at revision %s, not at %s: name it with @%s, "
			"or `hf download %s%s%s` puts it there",
			cache, p->part, p->repo, other,
			p->revision ? p->revision : "main", other, p->repo,
			p->want[0] ? " " : "", p->want);
	return err_set(e, ERR_NOTFOUND,
		"%s has no %s at revision %s%s%s; `hf download %s%s%s%s%s` puts it "
		"there",
		cache, p->repo, p->revision ? p->revision : "main",
		p->part[0] ? " with " : "", p->part, p->repo,
		p->revision ? " --revision " : "", p->revision ? p->revision : "",
		p->want[0] ? " " : "", p->want);
}

int
hub_locate(char out[PATH_BYTES], const struct hub_place *p, struct err *e)
{
	char cache[PATH_BYTES], repo[PATH_BYTES], commit[REF_MAX_BYTES];
	char name[NAME_MAX_BYTES];
	int rc;

	if (!is_place(p) || cached_name(name, p->repo) < 0)
		return err_set(e, ERR_ARG,
			"%s at revision %s with %s cannot be on a hub", p->repo,
			p->revision ? p->revision : "main", p->part);
	rc = cache_dir(cache, e);
	if (rc == 0)
		rc = path_join(repo, e, "%s/models--%s", cache, name);
	if (rc == 0)
		rc = read_ref(commit, repo, p->revision ? p->revision : "main", e);
	if (rc == 0)
		rc = path_join(out, e, "%s/snapshots/%s%s%s", repo, commit,
			p->part[0] ? "/" : "", p->part);
	if (rc == 0 && !(p->part[0] ? file_exists(out) : file_is_dir(out)))
		rc = not_found(cache, repo, p, e);
	return rc;
}

/* Splits a copy of the name; false for what can only be a path. */
static bool
split_name(char copy[PATH_BYTES], const char *name, struct hub_place *p)
{
	char *at, *colon;

	if (path_join(copy, NULL, "%s", name) < 0)
		return false;
	colon = strchr(copy, ':');
	if (colon)
		*colon = '\0';
	at = strchr(copy, '@');
	if (at)
		*at = '\0';
	*p = (struct hub_place){.repo = copy,
		.revision = at ? at + 1 : NULL,
		.part = colon ? colon + 1 : "",
		.want = ""};
	return is_place(p);
}

int
hub_find(char out[PATH_BYTES], const char *name, struct err *e)
{
	char copy[PATH_BYTES], want[PATH_BYTES] = "";
	struct hub_place p;
	int rc = 0;

	if (file_exists(name) || !split_name(copy, name, &p))
		return path_join(out, e, "%s", name);
	if (p.part[0])
		rc = path_join(want, e, "--include \"%s/*\"", p.part);
	p.want = want;
	if (rc == 0)
		rc = hub_locate(out, &p, e);
	return rc == ERR_NOTFOUND ? err_wrap(e, "%s is no directory", name) : rc;
}
