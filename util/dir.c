/* SPDX-License-Identifier: ISC */
#include "util/file.h"

#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One component; an existing directory is fine. */
static int
make_one(const char *path, struct err *e)
{
	char parent[PATH_BYTES];
	char *slash;
	int rc;

	if (mkdir(path, 0777) < 0) {
		if (errno == EEXIST && file_is_dir(path))
			return 0;
		return err_sys(e, "%s: cannot make the directory", path);
	}
	rc = path_join(parent, e, "%s", path);
	if (rc < 0)
		return rc;
	slash = strrchr(parent, '/');
	if (slash == NULL)
		return file_sync(".", e);
	slash[slash == parent] = '\0';
	return file_sync(parent, e);
}

int
dir_make(const char *path, struct err *e)
{
	char part[PATH_BYTES];
	size_t n = strlen(path);
	int rc;

	if (n == 0)
		return err_set(e, ERR_ARG, "the name of a directory is empty");
	rc = path_join(part, e, "%s", path);
	if (rc < 0 || file_is_dir(path))
		return rc;
	while (n > 1 && part[n - 1] == '/')
		part[--n] = '\0';
	for (size_t i = 1; i <= n; i++) {
		char c = part[i];

		if ((c != '/' && c != '\0') || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		rc = make_one(part, e);
		if (rc < 0)
			return rc;
		part[i] = c;
	}
	return 0;
}

/* ---- walks: symbolic links are seen as such and never followed ----------- */

/* Called for files and links, and for a directory after what it holds. */
typedef int walk_fn(void *ctx, const FTSENT *ent, struct err *e);

static int
walk_entry(const FTSENT *ent, walk_fn *fn, void *ctx, struct err *e)
{
	switch (ent->fts_info) {
	case FTS_D:
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		if (ent->fts_errno == ENOENT && ent->fts_level > 0)
			return 0; /* gone meanwhile */
		errno = ent->fts_errno;
		return err_sys(e, "%s: cannot read", ent->fts_path);
	default:
		return fn(ctx, ent, e);
	}
}

static int
walk(const char *path, walk_fn *fn, void *ctx, struct err *e)
{
	char root[PATH_BYTES];
	char *const roots[] = {root, NULL};
	FTSENT *ent;
	FTS *fts;
	int rc = path_join(root, e, "%s", path);

	if (rc < 0)
		return rc;
	/* FTS_NOCHDIR: the working directory belongs to all threads */
	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (fts == NULL)
		return err_sys(e, "%s: cannot walk", path);
	for (errno = 0; rc == 0 && (ent = fts_read(fts)) != NULL; errno = 0)
		rc = walk_entry(ent, fn, ctx, e);
	if (rc == 0 && errno != 0)
		rc = err_sys(e, "%s: cannot walk", path);
	fts_close(fts);
	return rc;
}

static int
remove_entry(void *ctx, const FTSENT *ent, struct err *e)
{
	int rc = ent->fts_info == FTS_DP ? rmdir(ent->fts_accpath)
					 : unlink(ent->fts_accpath);

	(void)ctx;
	if (rc < 0 && errno != ENOENT)
		return err_sys(e, "%s: cannot remove", ent->fts_path);
	return 0;
}

int
dir_remove(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0 && errno == ENOENT)
		return 0;
	return walk(path, remove_entry, NULL, e);
}

static int
add_size(void *ctx, const FTSENT *ent, struct err *e)
{
	uint64_t *total = ctx;

	(void)e;
	*total += (uint64_t)ent->fts_statp->st_blocks * 512;
	return 0;
}

int
dir_size(const char *path, uint64_t *n_bytes, struct err *e)
{
	*n_bytes = 0;
	return walk(path, add_size, n_bytes, e);
}

static int
sync_entry(void *ctx, const FTSENT *ent, struct err *e)
{
	(void)ctx;
	if (ent->fts_info != FTS_DP && ent->fts_info != FTS_F)
		return 0; /* links and devices have nothing of ours */
	return file_sync(ent->fts_accpath, e);
}

int
dir_sync_tree(const char *path, struct err *e)
{
	return walk(path, sync_entry, NULL, e);
}

/* ---- lists ------------------------------------------------------------- */

struct list {
	char **name;
	size_t n;
	size_t cap;
};

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		mem_free(l->name[i]);
	mem_free(l->name);
}

static int
list_add(struct list *l, const char *name)
{
	char **bigger;

	if (l->n == l->cap) {
		bigger = mem_resize(l->name, l->cap * 2, sizeof(*bigger));
		if (bigger == NULL)
			return -1;
		l->name = bigger;
		l->cap *= 2;
	}
	l->name[l->n] = mem_strdup(name);
	if (l->name[l->n] == NULL)
		return -1;
	l->n++;
	return 0;
}

static int
list_read(struct list *l, DIR *dir, const char *path, struct err *e)
{
	struct dirent *ent;

	for (errno = 0; (ent = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		if (list_add(l, ent->d_name) < 0)
			return err_set(e, ERR_NOMEM, "%s: no memory to list it", path);
	}
	return errno != 0 ? err_sys(e, "%s: cannot list", path) : 0;
}

int
dir_list(const char *path, char ***names, size_t *n_names, struct err *e)
{
	struct list l = {.cap = 16};
	DIR *dir = opendir(path);
	int rc;

	*names = NULL;
	*n_names = 0;
	if (dir == NULL)
		return err_sys(e, "%s: cannot list", path);
	l.name = mem_new(l.cap, sizeof(*l.name));
	rc = l.name == NULL ? err_set(e, ERR_NOMEM, "%s: no memory to list it", path)
			    : list_read(&l, dir, path, e);
	closedir(dir);
	if (rc < 0) {
		list_free(&l);
		return rc;
	}
	qsort(l.name, l.n, sizeof(*l.name), by_bytes);
	*names = l.name;
	*n_names = l.n;
	return 0;
}
