/* SPDX-License-Identifier: ISC */
/*
 * A repository ORG/REPO is models--ORG--REPO in the cache, with refs/BRANCH
 * (a file that holds a commit) and snapshots/COMMIT (a directory of links).
 */
#include "model/hub.h"

#include "util/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 256
#define REF_MAX_BYTES 256

struct hub_name {
	char repo[NAME_MAX_BYTES]; /* with -- for / */
	char revision[NAME_MAX_BYTES];
	const char *folder; /* "" for the whole */
};

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

/* Copies n bytes of a part of a name, "/" becoming "--". A part that could lead
 * out of the cache is no name. */
static bool
copy_part(char out[NAME_MAX_BYTES], const char *part, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (part[i] == '/' && at + 2 < NAME_MAX_BYTES) {
			out[at++] = '-';
			out[at++] = '-';
		} else if (part[i] != '/' && at + 1 < NAME_MAX_BYTES) {
			out[at++] = part[i];
		} else {
			return false;
		}
	}
	out[at] = '\0';
	return at > 0 && out[0] != '.' && strstr(out, "..") == NULL;
}

static bool
split_name(struct hub_name *h, const char *name)
{
	size_t n_repo = strcspn(name, "@:");
	const char *rest = name + n_repo;
	size_t n_slashes = 0;

	for (size_t i = 0; i < n_repo; i++)
		n_slashes += name[i] == '/';
	strcpy(h->revision, "main");
	if (n_slashes > 1 || !copy_part(h->repo, name, n_repo))
		return false;
	if (*rest == '@') {
		size_t n = strcspn(++rest, ":");

		if (!copy_part(h->revision, rest, n))
			return false;
		rest += n;
	}
	h->folder = *rest == ':' ? rest + 1 : "";
	return strstr(h->folder, "..") == NULL && h->folder[0] != '/';
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

static int
not_found(const char *name, const char *cache, const struct hub_name *h, struct err *e)
{
	return err_set(e, ERR_NOTFOUND,
		"%s is no directory or file, and %s has no models--%s at revision "
		"%s%s%s; `hf "
		"download` puts it there",
		name, cache, h->repo, h->revision, h->folder[0] ? " with " : "",
		h->folder);
}

int
hub_find(char out[PATH_BYTES], const char *name, struct err *e)
{
	char cache[PATH_BYTES], repo[PATH_BYTES], commit[REF_MAX_BYTES];
	struct hub_name h;
	int rc;

	if (file_exists(name) || name[0] == '/' || name[0] == '.' ||
		!split_name(&h, name))
		return path_join(out, e, "%s", name);
	rc = cache_dir(cache, e);
	if (rc == 0)
		rc = path_join(repo, e, "%s/models--%s", cache, h.repo);
	if (rc == 0)
		rc = read_ref(commit, repo, h.revision, e);
	if (rc == 0)
		rc = path_join(out, e, "%s/snapshots/%s%s%s", repo, commit,
			h.folder[0] ? "/" : "", h.folder);
	if (rc == 0 && !file_exists(out))
		rc = not_found(name, cache, &h, e);
	return rc;
}
