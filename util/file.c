/* SPDX-License-Identifier: ISC */
#include "util/file.h"

#include "util/mem.h"
#include "util/paged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)1 << 20) /* written at a time, as it may be mapped */

/* Opens a regular file for reading and tells its size. */
static int
open_regular(int *fd, uint64_t *n_bytes, const char *path, struct err *e)
{
	struct stat st;
	int rc;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return err_sys(e, "%s: cannot open", path);
	if (fstat(*fd, &st) < 0)
		rc = err_sys(e, "%s: cannot ask its size", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_FORMAT, "%s: not a regular file", path);
	else {
		*n_bytes = (uint64_t)st.st_size;
		return 0;
	}
	close(*fd);
	return rc;
}

int
map_open(struct map *m, const char *path, struct err *e)
{
	uint64_t size = 0;
	void *p;
	int fd, rc;

	*m = (struct map){0};
	rc = open_regular(&fd, &size, path, e);
	if (rc < 0)
		return rc;
	if (size > 0) {
		p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			rc = err_sys(e, "%s: cannot map %llu bytes", path,
				(unsigned long long)size);
		else
			*m = (struct map){.data = p, .n_bytes = size};
		if (rc == 0)
			rc = paged_map(p, size, e);
		if (rc < 0)
			map_close(m);
	}
	close(fd);
	return rc;
}

void
map_close(struct map *m)
{
	if (m->data != NULL) {
		paged_unmap(m->data);
		munmap((void *)(uintptr_t)m->data, m->n_bytes);
	}
	*m = (struct map){0};
}

/* To the end of fd, whatever its size was said to be. */
static int
read_all(int fd, const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	uint8_t *p;
	ssize_t n;

	for (;;) {
		p = buf_extend(out, 65536);
		if (p == NULL)
			return err_set(e, ERR_NOMEM, "%s: no memory to read it", path);
		do
			n = read(fd, p, 65536);
		while (n < 0 && errno == EINTR);
		out->n_bytes -= 65536 - (n > 0 ? (size_t)n : 0);
		if (n < 0)
			return err_sys(e, "%s: cannot read", path);
		if (n == 0)
			return 0;
		if (out->n_bytes > max_bytes)
			return err_set(e, ERR_LIMIT,
				"%s: larger than the limit of %zu bytes", path,
				max_bytes);
	}
}

int
file_read(const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	buf_init(out);
	if (fd < 0)
		return err_sys(e, "%s: cannot open", path);
	rc = read_all(fd, path, max_bytes, out, e);
	close(fd);
	if (rc < 0)
		buf_clear(out);
	return rc;
}

static int
write_all(int fd, const void *p, size_t n_bytes)
{
	const char *at = p;
	ssize_t n;

	while (n_bytes > 0) {
		paged_passed(PIECE_BYTES);
		n = write(fd, at, n_bytes < PIECE_BYTES ? n_bytes : PIECE_BYTES);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			at += n;
			n_bytes -= (size_t)n;
		}
	}
	return 0;
}

static int
give_all(int fd, const char *path, file_give give, void *ctx, struct err *e)
{
	struct buf b;
	int rc = 1;

	buf_init(&b);
	while (rc == 1) {
		buf_reset(&b);
		rc = give(ctx, &b, e);
		if (b.failed && rc >= 0)
			rc = err_set(e, ERR_NOMEM, "%s: no memory", path);
		if (rc == 1 && write_all(fd, b.data, b.n_bytes) < 0)
			rc = err_sys(e, "%s: cannot write", path);
	}
	buf_clear(&b);
	return rc;
}

/* The new file, beside path. */
static int
beside_open(char beside[PATH_BYTES], int *fd, const char *path, struct err *e)
{
	static atomic_uint serial;
	int rc = path_join(beside, e, "%s.%ld.%u.tmp", path, (long)getpid(),
		atomic_fetch_add(&serial, 1));

	if (rc < 0)
		return rc;
	*fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return *fd < 0 ? err_sys(e, "%s: cannot create", beside) : 0;
}

/* rc: whether it was written. */
static int
beside_finish(const char *beside, int fd, const char *path, int rc, struct err *e)
{
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(e, "%s: cannot write", path);
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(e, "%s: cannot write", path);
	if (rc == 0)
		rc = file_rename(beside, path, e);
	if (rc < 0)
		unlink(beside);
	return rc;
}

int
file_write_atomic(const char *path, const void *p, size_t n_bytes, struct err *e)
{
	char beside[PATH_BYTES];
	int fd, rc = beside_open(beside, &fd, path, e);

	if (rc < 0)
		return rc;
	if (write_all(fd, p, n_bytes) < 0)
		rc = err_sys(e, "%s: cannot write", path);
	return beside_finish(beside, fd, path, rc, e);
}

int
file_write_blocks(const char *path, file_give give, void *ctx, struct err *e)
{
	char beside[PATH_BYTES];
	int fd, rc = beside_open(beside, &fd, path, e);

	if (rc < 0)
		return rc;
	rc = give_all(fd, path, give, ctx, e);
	return beside_finish(beside, fd, path, rc, e);
}

bool
file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

bool
file_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int
file_size(const char *path, uint64_t *n_bytes, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, "%s: cannot ask its size", path);
	*n_bytes = (uint64_t)st.st_size;
	return 0;
}

int
file_sync(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;

	if (fd < 0)
		return err_sys(e, "%s: cannot open to sync", path);
	if (fsync(fd) < 0)
		rc = err_sys(e, "%s: cannot sync", path);
	close(fd);
	return rc;
}

/* The directory that path's last component stands in. */
static int
parent_of(char out[PATH_BYTES], const char *path, struct err *e)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0)
		return path_join(out, e, ".");
	return path_join(out, e, "%.*s", (int)n, path);
}

int
file_sync_parent(const char *path, struct err *e)
{
	char parent[PATH_BYTES];
	int rc = parent_of(parent, path, e);

	return rc == 0 ? file_sync(parent, e) : rc;
}

int
file_rename(const char *from, const char *to, struct err *e)
{
	if (rename(from, to) < 0)
		return err_sys(e, "%s: cannot rename to %s", from, to);
	return file_sync_parent(to, e);
}

/* What another holder wrote into its lock file, for the error's text. */
static int
busy(int fd, const char *path, struct err *e)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
	long holder = n > 0 ? strtol(pid, NULL, 10) : 0;

	if (holder > 0)
		return err_set(e, ERR_BUSY, "%s: locked by process %ld", path, holder);
	return err_set(e, ERR_BUSY, "%s: locked by another process", path);
}

int
lock_take(struct lock *l, const char *path, struct err *e)
{
	char pid[24];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666), rc;

	l->fd = -1;
	if (fd < 0)
		return err_sys(e, "%s: cannot open the lock", path);
	do
		rc = flock(fd, LOCK_EX | LOCK_NB);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		rc = errno == EWOULDBLOCK ? busy(fd, path, e)
					  : err_sys(e, "%s: cannot lock", path);
		close(fd);
		return rc;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* only the sentence of another's error needs it: a full disk is fine */
	if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, strlen(pid), 0) < 0)
		errno = 0;
	l->fd = fd;
	return 0;
}

void
lock_release(struct lock *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

bool
path_ends(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n > m && strcmp(path + n - m, suffix) == 0;
}

int
path_join(char out[PATH_BYTES], struct err *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, PATH_BYTES, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= PATH_BYTES)
		return err_set(e, ERR_LIMIT, "%.64s...: a path longer than %d bytes",
			n < 0 ? "" : out, PATH_BYTES - 1);
	return 0;
}
