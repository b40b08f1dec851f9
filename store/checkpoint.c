/* SPDX-License-Identifier: ISC */
/*
 * Checkpoints of runs: a file beside the run's pending directory, of blocks that are
 * given and taken one by one, so that no more than one is in memory. Each block's
 * checksum goes on from the one before, so that none is missing and none is out of
 * place. Knows nothing of what they hold.
 */
#include "store/inner.h"
#include "util/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "saedbckp"
#define VERSION 2u
#define HEAD_BYTES ((size_t)56) /* with its checksum */
#define BLOCK_HEAD_BYTES ((size_t)12)

static void
put_head(struct buf *b, const struct checkpoint_head *h)
{
	buf_put(b, MAGIC, 8);
	buf_u32(b, VERSION);
	buf_u32(b, h->n_windows);
	buf_put(b, h->id, 16);
	buf_u64(b, h->order);
	buf_u64(b, h->file);
	buf_u64(b, b->failed ? 0 : hash64(b->data, b->n_bytes, 0));
}

/* ---- writing --------------------------------------------------------------- */

static int
write_buf(int fd, const struct buf *b, const char *path, struct err *e)
{
	size_t at = 0;

	if (b->failed)
		return err_set(e, ERR_NOMEM, "%s: no memory", path);
	while (at < b->n_bytes) {
		ssize_t n = write(fd, b->data + at, b->n_bytes - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s: cannot write", path);
		at += (size_t)n;
	}
	return 0;
}

/* Blocks until there is an empty one, which ends the file. */
static int
write_blocks(int fd, uint64_t sum, const char *path, checkpoint_give give, void *ctx,
	struct err *e)
{
	struct buf block, head;
	int more = 1, rc = 0;

	buf_init(&block);
	buf_init(&head);
	while (more == 1 && rc == 0) {
		buf_reset(&block);
		buf_reset(&head);
		more = give(ctx, &block, e);
		if (more < 0 || block.failed) {
			rc = more < 0 ? more
				      : err_set(e, ERR_NOMEM, "%s: no memory", path);
			break;
		}
		if (more == 0)
			buf_reset(&block);
		sum = hash64(block.n_bytes > 0 ? (const void *)block.data : "",
			block.n_bytes, sum);
		buf_u32(&head, (uint32_t)block.n_bytes);
		buf_u64(&head, sum);
		rc = write_buf(fd, &head, path, e);
		if (rc == 0)
			rc = write_buf(fd, &block, path, e);
	}
	buf_clear(&block);
	buf_clear(&head);
	return rc;
}

static int
write_all(int fd, const struct checkpoint_head *h, const char *path,
	checkpoint_give give, void *ctx, struct err *e)
{
	uint64_t sum = 0;
	struct buf b;
	int rc;

	buf_init(&b);
	put_head(&b, h);
	rc = write_buf(fd, &b, path, e);
	if (rc == 0)
		sum = hash64(b.data, b.n_bytes, 0);
	buf_clear(&b);
	return rc == 0 ? write_blocks(fd, sum, path, give, ctx, e) : rc;
}

int
checkpoint_write(const char *path, const struct checkpoint_head *h,
	checkpoint_give give, void *ctx, struct err *e)
{
	char beside[PATH_BYTES];
	int fd, rc = path_join(beside, e, "%s.new", path);

	if (rc != 0)
		return rc;
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_sys(e, "%s: cannot create", beside);
	rc = write_all(fd, h, beside, give, ctx, e);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(e, "%s: cannot write", beside);
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(e, "%s: cannot write", beside);
	if (rc == 0)
		rc = file_rename(beside, path, e);
	if (rc != 0)
		unlink(beside);
	return rc;
}

/* ---- reading --------------------------------------------------------------- */

static int
damaged(const char *path, const char *why, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s: the checkpoint is damaged: %s", path, why);
}

/* Walks the blocks; take NULL: only their checksums. */
static int
read_blocks(const char *path, const struct map *m, checkpoint_take take, void *ctx,
	struct err *e)
{
	struct cur c = cur_of(m->data, m->n_bytes);
	uint64_t sum = hash64(m->data, HEAD_BYTES, 0);

	cur_take(&c, HEAD_BYTES);
	for (;;) {
		uint32_t n = cur_u32(&c);
		uint64_t want = cur_u64(&c);
		const void *p = cur_take(&c, n);
		struct cur block = cur_of(p, n);
		int rc;

		if (c.failed)
			return damaged(path, "it is cut short", e);
		sum = hash64(n > 0 ? p : "", n, sum);
		if (sum != want)
			return damaged(path, "a checksum does not match", e);
		if (n == 0)
			break;
		rc = take != NULL ? take(ctx, &block, e) : 0;
		if (rc == ERR_CORRUPT)
			return err_wrap(e, "%s", path);
		if (rc != 0)
			return rc;
	}
	return cur_left(&c) == 0 ? 0 : damaged(path, "something stands behind it", e);
}

int
checkpoint_open(const char *path, struct map *m, struct checkpoint_head *h,
	struct err *e)
{
	struct cur c;
	int rc = map_open(m, path, e);

	if (rc != 0)
		return rc;
	c = cur_of(m->data, m->n_bytes);
	if (m->n_bytes < HEAD_BYTES)
		rc = damaged(path, "it is cut short", e);
	else if (memcmp(cur_take(&c, 8), MAGIC, 8) != 0 || cur_u32(&c) != VERSION)
		rc = damaged(path, "it is none, or of another version", e);
	if (rc == 0) {
		*h = (struct checkpoint_head){.n_windows = cur_u32(&c)};
		memcpy(h->id, cur_take(&c, 16), 16);
		h->order = cur_u64(&c);
		h->file = cur_u64(&c);
		if (cur_u64(&c) != hash64(m->data, HEAD_BYTES - 8, 0))
			rc = damaged(path, "a checksum does not match", e);
	}
	if (rc == 0)
		rc = read_blocks(path, m, NULL, NULL, e);
	if (rc != 0)
		map_close(m);
	return rc;
}

int
checkpoint_read(const char *path, const struct map *m, checkpoint_take take, void *ctx,
	struct err *e)
{
	return read_blocks(path, m, take, ctx, e);
}

uint64_t
checkpoint_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}
