/* SPDX-License-Identifier: ISC */
/*
 * Pending objects that outlive the program. One is kept if a file beside its
 * directory says that it is whole (.done, with a digest of its files) or how far it
 * has come (.checkpoint); by these it is found again, also where a publication had
 * moved it already. Never takes up what does not match.
 */
#include "store/inner.h"

#include "config.h"
#include "kernel/kernel.h"
#include "util/hash.h"

#include <stdio.h>
#include <string.h>

#define MAGIC "saedbpnd"
#define MARK_VERSION 1u /* changes when pending objects of before are of no use */
#define MARK_BYTES ((size_t)4096)

static const char *const suffix[] = {PENDING_DONE, PENDING_CHECKPOINT};

int
store_keep(struct store *s, const char *inputs, struct err *e)
{
	char *copy = mem_strdup(inputs);

	if (copy == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory", s->dir);
	mem_free(s->inputs);
	s->inputs = copy;
	return 0;
}

/* ---- names ------------------------------------------------------------------- */

/* Work that other inputs, another program or another CPU's kernels would have to do
 * over has another name: KIND-ID-KEY. */
int
pending_dir(char out[PATH_BYTES], const struct store *s, enum kind kind, const char *id,
	const char *extra, struct err *e)
{
	uint64_t key = hash64(PACKAGE_VERSION, strlen(PACKAGE_VERSION), MARK_VERSION);
	const char *path = kernel_path_name(kernel_path());
	const char *inputs = s->inputs != NULL ? s->inputs : "";

	key = hash64(path, strlen(path), key);
	key = hash64(inputs, strlen(inputs), key);
	key = hash64(extra, strlen(extra), key);
	return path_join(out, e, "%s/tmp/%s-%s-%016llx", s->dir, kind_name[kind], id,
		(unsigned long long)key);
}

/* Of a name under tmp/. */
struct name {
	enum kind kind;
	char id[OBJECT_ID_CHARS];
	char base[96]; /* without the suffix */
	const char *suffix; /* "" of a directory */
};

static bool
parse(const char *text, struct name *n)
{
	size_t n_base = strcspn(text, "."), n_kind = strcspn(text, "-"), at = n_base;
	int kind = 0;

	if (n_base >= sizeof(n->base) || n_kind >= n_base)
		return false;
	while (at > n_kind && text[at] != '-')
		at--;
	while (kind < KINDS &&
		(strlen(kind_name[kind]) != n_kind ||
			memcmp(kind_name[kind], text, n_kind) != 0))
		kind++;
	if (kind == KINDS || at <= n_kind + 1 || at - n_kind - 1 >= sizeof(n->id))
		return false;
	*n = (struct name){.kind = (enum kind)kind, .suffix = text + n_base};
	memcpy(n->id, text + n_kind + 1, at - n_kind - 1);
	memcpy(n->base, text, n_base);
	return true;
}

static bool
is_suffix(const char *text)
{
	return strcmp(text, suffix[0]) == 0 || strcmp(text, suffix[1]) == 0;
}

/* ---- marking and taking up ---------------------------------------------------- */

int
pending_clean(const char *dir, struct err *e)
{
	char path[PATH_BYTES];
	int rc = 0;

	for (size_t i = 0; i < 2; i++) { /* first what says that it is good */
		int code = path_join(path, e, "%s%s", dir, suffix[i]);

		if (code == 0)
			code = dir_remove(path, e);
		rc = rc == 0 ? code : rc;
	}
	return rc == 0 ? dir_remove(dir, e) : rc;
}

static int
digest_of(const char *dir, uint64_t *digest, struct err *e)
{
	struct part *part = NULL;
	size_t n = 0;
	int rc = parts_scan(dir, &part, &n, e);

	if (rc == 0)
		*digest = part_digest(part, n);
	mem_free(part);
	return rc;
}

int
pending_mark(struct pending *p, const struct buf *info, struct err *e)
{
	char path[PATH_BYTES];
	uint64_t digest = 0;
	struct buf b;
	int rc;

	if (!p->may_stay)
		return 0;
	rc = digest_of(p->dir, &digest, e);
	if (rc == 0)
		rc = path_join(path, e, "%s" PENDING_DONE, p->dir);
	if (rc != 0)
		return rc;
	buf_init(&b);
	buf_put(&b, MAGIC, 8);
	buf_u32(&b, MARK_VERSION);
	buf_u64(&b, digest);
	buf_put(&b, info->data, info->n_bytes);
	buf_u64(&b, hash64(b.failed ? (const void *)"" : b.data, b.n_bytes, 0));
	rc = b.failed || info->failed ? err_set(e, ERR_NOMEM, "%s: no memory", path)
				      : file_write_atomic(path, b.data, b.n_bytes, e);
	buf_clear(&b);
	p->stays = rc == 0;
	return rc;
}

/* What the mark says: 1, 0 where it is none or damaged, or a code. */
static int
read_mark(const char *dir, uint64_t *digest, struct buf *info, struct err *e)
{
	char path[PATH_BYTES];
	struct err mine = ERR_INIT;
	struct buf b;
	struct cur c;
	bool good;
	int rc = path_join(path, e, "%s" PENDING_DONE, dir);

	if (rc != 0 || !file_exists(path))
		return rc;
	buf_init(&b);
	if (file_read(path, MARK_BYTES, &b, &mine) != 0) {
		buf_clear(&b);
		return mine.code == ERR_NOMEM ? err_set(e, ERR_NOMEM, "%s", mine.text)
					      : 0;
	}
	c = cur_of(b.data, b.n_bytes);
	good = b.n_bytes >= 28 && memcmp(cur_take(&c, 8), MAGIC, 8) == 0 &&
		cur_u32(&c) == MARK_VERSION;
	*digest = good ? cur_u64(&c) : 0;
	if (good) {
		buf_put(info, c.p, cur_left(&c) - 8);
		cur_take(&c, cur_left(&c) - 8);
		good = cur_u64(&c) == hash64(b.data, b.n_bytes - 8, 0);
	}
	buf_clear(&b);
	if (info->failed)
		return err_set(e, ERR_NOMEM, "%s: no memory", path);
	return good;
}

int
pending_locate(char at[PATH_BYTES], const struct store *s, enum kind kind,
	const char *id, const char *dir, struct err *e)
{
	int rc = path_join(at, e, "%s", dir);

	if (rc != 0 || file_is_dir(dir))
		return rc != 0 ? rc : 1;
	rc = object_path(at, s, kind, id, e);
	return rc == 0 ? file_is_dir(at) : rc;
}

int
pending_take(struct pending **out, struct store *s, enum kind kind, const char *id,
	const char *extra, struct buf *info, struct err *e)
{
	char dir[PATH_BYTES], from[PATH_BYTES];
	uint64_t want = 0, is = 0;
	int rc;

	*out = NULL;
	if (s->inputs == NULL || pending_find(s, kind, id) != NULL)
		return 0;
	rc = pending_dir(dir, s, kind, id, extra, e);
	if (rc == 0)
		rc = read_mark(dir, &want, info, e);
	if (rc == 1)
		rc = pending_locate(from, s, kind, id, dir, e);
	if (rc != 1)
		return rc;
	rc = digest_of(from, &is, e);
	if (rc != 0)
		return rc == ERR_NOMEM ? rc : 0;
	if (is != want)
		return 0;
	rc = strcmp(from, dir) != 0 ? file_rename(from, dir, e) : 0;
	if (rc == 0)
		rc = pending_add(out, s, kind, id, dir, e);
	if (rc != 0)
		return rc;
	(*out)->state = PENDING_FINISHED;
	(*out)->stays = true;
	return 1;
}

/* ---- what is left of before ------------------------------------------------------ */

static int
stays(struct store *s, const char *text, bool *keep, struct err *e)
{
	char dir[PATH_BYTES], path[PATH_BYTES];
	struct name n;
	bool named;
	int rc;

	*keep = false;
	if (!parse(text, &n) || (n.suffix[0] != '\0' && !is_suffix(n.suffix)))
		return 0;
	rc = catalog_names(s->catalog, n.kind, n.id, &named, e);
	if (rc == 0)
		rc = path_join(dir, e, "%s/tmp/%s", s->dir, n.base);
	if (rc != 0 || named)
		return rc;
	if (n.suffix[0] != '\0') {
		rc = pending_locate(path, s, n.kind, n.id, dir, e);
		*keep = rc == 1;
		return rc < 0 ? rc : 0;
	}
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		rc = path_join(path, e, "%s%s", dir, suffix[i]);
		*keep |= rc == 0 && file_exists(path);
	}
	return rc;
}

int
pending_sweep(struct store *s, struct err *e)
{
	char path[PATH_BYTES], **names = NULL;
	bool keep = false;
	size_t n = 0;
	int rc = store_path(path, s, "tmp", e);

	if (rc == 0)
		rc = dir_list(path, &names, &n, e);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = stays(s, names[i], &keep, e);
		if (rc == 0 && !keep)
			rc = path_join(path, e, "%s/tmp/%s", s->dir, names[i]);
		if (rc == 0 && !keep)
			rc = dir_remove(path, e);
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}

/* One that a mark speaks of. */
static int
visit_mark(struct store *s, const char *text,
	int (*fn)(void *ctx, enum kind kind, const char *id, const char *dir,
		const char *mark, struct err *e),
	void *ctx, struct err *e)
{
	char dir[PATH_BYTES], at[PATH_BYTES], mark[PATH_BYTES];
	struct name n;
	bool named = false;
	int rc;

	if (!parse(text, &n) || !is_suffix(n.suffix))
		return 0;
	mutex_lock(s->lock);
	rc = catalog_names(s->catalog, n.kind, n.id, &named, e);
	mutex_unlock(s->lock);
	if (rc != 0 || named)
		return rc;
	rc = path_join(dir, e, "%s/tmp/%s", s->dir, n.base);
	if (rc == 0)
		rc = path_join(mark, e, "%s/tmp/%s", s->dir, text);
	if (rc == 0)
		rc = pending_locate(at, s, n.kind, n.id, dir, e);
	return rc == 1 ? fn(ctx, n.kind, n.id, at, mark, e) : rc;
}

int
pending_each(struct store *s,
	int (*fn)(void *ctx, enum kind kind, const char *id, const char *dir,
		const char *mark, struct err *e),
	void *ctx, struct err *e)
{
	char path[PATH_BYTES], **names = NULL;
	size_t n = 0;
	int rc = store_path(path, s, "tmp", e);

	if (rc == 0 && file_is_dir(path))
		rc = dir_list(path, &names, &n, e);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = visit_mark(s, names[i], fn, ctx, e);
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}
