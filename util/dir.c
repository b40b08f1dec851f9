/* SPDX-License-Identifier: ISC */
#include "util/file.h"

#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One component; an existing directory is fine. One that cannot be synced goes again,
 * so that the next to make it does not take it for one that will stay. */
static int
make_one(const char *path, struct err *e)
{
	int rc;

	if (mkdir(path, 0777) < 0) {
		if (errno == EEXIST && file_is_dir(path))
			return 0;
		return err_sys(e, "%s: cannot make the directory", path);
	}
	rc = file_sync_parent(path, e);
	if (rc != 0)
		rmdir(path);
	return rc;
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
typedef int walk_fn(void *ctx, const char *path, const struct stat *st, struct err *e);

static int walk_at(char path[PATH_BYTES], bool top, walk_fn *fn, void *ctx,
	struct err *e);

static int
walk_below(char path[PATH_BYTES], walk_fn *fn, void *ctx, struct err *e)
{
	struct err mine = ERR_INIT;
	size_t n = 0, n_path = strlen(path);
	char **names = NULL;
	int rc = dir_list(path, &names, &n, &mine);

	if (rc == ERR_NOTFOUND)
		return 0; /* gone meanwhile */
	if (rc != 0)
		return err_set(e, rc, "%s", mine.text);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && n_path + strlen(names[i]) + 2 > PATH_BYTES)
			rc = err_set(e, ERR_LIMIT, "%.64s...: too deep", path);
		if (rc == 0) {
			path[n_path] = '/';
			strcpy(path + n_path + 1, names[i]);
			rc = walk_at(path, false, fn, ctx, e);
			path[n_path] = '\0';
		}
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}

static int
walk_at(char path[PATH_BYTES], bool top, walk_fn *fn, void *ctx, struct err *e)
{
	struct stat st;
	int rc;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT && !top)
			return 0; /* gone meanwhile */
		return err_sys(e, "%s: cannot read", path);
	}
	rc = S_ISDIR(st.st_mode) ? walk_below(path, fn, ctx, e) : 0;
	return rc == 0 ? fn(ctx, path, &st, e) : rc;
}

/* Not by fts: glibc's falls when there is no memory. */
static int
walk(const char *path, walk_fn *fn, void *ctx, struct err *e)
{
	char root[PATH_BYTES];
	int rc = path_join(root, e, "%s", path);

	return rc == 0 ? walk_at(root, true, fn, ctx, e) : rc;
}

/* ---- removing: when memory ran out, too, so nothing is listed -------------- */

static int remove_at(char path[PATH_BYTES], struct err *e);

static int
remove_below(char path[PATH_BYTES], struct err *e)
{
	size_t n_path = strlen(path);
	DIR *dir = opendir(path);
	struct dirent *ent;
	int rc = 0;

	if (dir == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "%s: cannot list", path);
	while (rc == 0 && (ent = readdir(dir)) != NULL) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		if (n_path + strlen(ent->d_name) + 2 > PATH_BYTES) {
			rc = err_set(e, ERR_LIMIT, "%.64s...: too deep", path);
			continue;
		}
		path[n_path] = '/';
		strcpy(path + n_path + 1, ent->d_name);
		rc = remove_at(path, e);
		path[n_path] = '\0';
	}
	closedir(dir);
	return rc;
}

static int
remove_at(char path[PATH_BYTES], struct err *e)
{
	struct stat st;
	int rc = lstat(path, &st);

	if (rc == 0 && S_ISDIR(st.st_mode)) {
		rc = remove_below(path, e);
		if (rc < 0)
			return rc;
		rc = rmdir(path);
	} else if (rc == 0) {
		rc = unlink(path);
	}
	return rc == 0 || errno == ENOENT ? 0 : err_sys(e, "%s: cannot remove", path);
}

int
dir_remove(const char *path, struct err *e)
{
	char root[PATH_BYTES];
	int rc = path_join(root, e, "%s", path);

	return rc == 0 ? remove_at(root, e) : rc;
}

static int
add_size(void *ctx, const char *path, const struct stat *st, struct err *e)
{
	uint64_t *total = ctx;

	(void)path;
	(void)e;
	*total += (uint64_t)st->st_blocks * 512;
	return 0;
}

int
dir_size(const char *path, uint64_t *n_bytes, struct err *e)
{
	*n_bytes = 0;
	return walk(path, add_size, n_bytes, e);
}

static int
sync_entry(void *ctx, const char *path, const struct stat *st, struct err *e)
{
	(void)ctx;
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return 0; /* links and devices have nothing of ours */
	return file_sync(path, e);
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
