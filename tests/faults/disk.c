/* SPDX-License-Identifier: ISC */
/*
 * disk: preloaded (LD_PRELOAD) into a program, notes what it does to the files below
 * one directory, and makes one of these calls fail. Knows files by the names under
 * which they were opened.
 *
 *     DISK_DIR    the directory, absolute
 *     DISK_LOG    a file to which each call is appended, data included: power.py makes
 *                 of it what a disk may hold after the power has gone
 *     DISK_FAIL   N: the N-th call fails
 *     DISK_HOW    eio (default), enospc, short (a write of half), full (from the N-th
 *                 on, all that needs room fails) or sync (the N-th sync: EIO, and what
 *                 it was to write is lost); only calls of the kind are counted
 *     DISK_NOTE   a file to which the call that failed is appended, each sync of a file
 *                 whose sync had failed, and in the end how many calls were counted
 */
/* Each call is here under both of its names. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#pragma GCC visibility push(default)

#define FDS 1024
#define PATHS 4096

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum how { EIO_ONCE, ENOSPC_ONCE, SHORT_ONCE, FULL, SYNC_ONCE, HOWS };
static const char *const hows[HOWS] = {"eio", "enospc", "short", "full", "sync"};

static struct {
	const char *dir;
	size_t n_dir;
	int log, note;
	long fail_at, n;
	enum how how;
	bool failed;
} disk = {.log = -1, .note = -1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *opened[FDS]; /* absolute, of files below the directory */
static char *bad[64]; /* whose sync failed */

/* ---- names ----------------------------------------------------------------- */

/* Absolute, without empty components; false: not below the directory. */
static bool
name_of(char out[PATHS], const char *path)
{
	char whole[PATHS * 2];
	size_t n = 0;

	if (disk.dir == NULL || path == NULL || strlen(path) >= PATHS)
		return false;
	whole[0] = '\0';
	if (path[0] != '/' && getcwd(whole, PATHS) == NULL)
		return false;
	strcat(strcat(whole, "/"), path);
	for (const char *p = whole; *p != '\0' && n < PATHS - 1; p++) {
		if (*p == '/' && (n > 0 && out[n - 1] == '/'))
			continue;
		if (p[0] == '.' && (p[1] == '/' || p[1] == '\0') && n > 0 &&
			out[n - 1] == '/') {
			p += p[1] == '/';
			continue;
		}
		out[n++] = *p;
	}
	while (n > 1 && out[n - 1] == '/')
		n--;
	out[n] = '\0';
	return strncmp(out, disk.dir, disk.n_dir) == 0 &&
		(out[disk.n_dir] == '/' || out[disk.n_dir] == '\0');
}

static const char *
name_at(int fd)
{
	return fd >= 0 && fd < FDS ? opened[fd] : NULL;
}

/* ---- the log --------------------------------------------------------------- */

static void
put(int fd, const void *p, size_t n)
{
	if (fd >= 0 && REAL(write)(fd, p, n) != (ssize_t)n)
		_exit(99);
}

/* OP NUMBER NUMBER LENGTH, then so many bytes. The lock is held. */
static void
note_call(const char *op, long long a, long long b, const void *p, size_t n)
{
	char head[96];
	int m;

	if (disk.log < 0)
		return;
	m = snprintf(head, sizeof(head), "%s %lld %lld %zu\n", op, a, b, n);
	put(disk.log, head, (size_t)m);
	put(disk.log, p, n);
	put(disk.log, "\n", 1);
}

static void
note_two(const char *op, const char *from, const char *to)
{
	char both[PATHS * 2];
	size_t n = strlen(from) + 1;

	memcpy(both, from, n);
	strcpy(both + n, to);
	note_call(op, 0, 0, both, n + strlen(to));
}

static void
note_line(const char *what, const char *op, const char *path)
{
	char line[PATHS + 64];
	int n = snprintf(line, sizeof(line), "%s %s %s\n", what, op, path);

	put(disk.note, line, (size_t)n);
}

/* ---- failing --------------------------------------------------------------- */

enum needs { NO_ROOM, ROOM, SYNC };

/* Whether this call is to fail; errno is set then. The lock is held. */
static bool
fails(const char *op, const char *path, enum needs needs)
{
	bool now;

	if (disk.fail_at == 0 ||
		((disk.how == SHORT_ONCE || disk.how == FULL) && needs != ROOM) ||
		(disk.how == SHORT_ONCE && strcmp(op, "write") != 0) ||
		(disk.how == SYNC_ONCE && needs != SYNC))
		return false;
	disk.n++;
	now = disk.n == disk.fail_at ||
		(disk.how == FULL && disk.n > disk.fail_at && disk.failed);
	if (!now)
		return false;
	if (!disk.failed)
		note_line("failed", op, path);
	disk.failed = true;
	errno = disk.how == ENOSPC_ONCE || disk.how == FULL ? ENOSPC : EIO;
	return true;
}

/* A file whose sync failed may have lost what was written: another sync of it tells
 * nothing. */
static void
sync_failed(const char *path)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (bad[i] == NULL) {
			bad[i] = strdup(path);
			return;
		}
}

static void
sync_again(const char *path)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) && bad[i] != NULL; i++)
		if (strcmp(bad[i], path) == 0)
			note_line("again", "sync", path);
}

/* It is another file now. */
static void
sync_forget(const char *path)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) && bad[i] != NULL; i++)
		if (strcmp(bad[i], path) == 0)
			bad[i][0] = '\0';
}

__attribute__((constructor)) static void
start(void)
{
	const char *log = getenv("DISK_LOG"), *note = getenv("DISK_NOTE"),
		   *fail = getenv("DISK_FAIL"), *how = getenv("DISK_HOW");
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;

	disk.dir = getenv("DISK_DIR");
	if (disk.dir == NULL)
		return;
	disk.n_dir = strlen(disk.dir);
	if (log != NULL)
		disk.log = REAL(open64)(log, flags, 0666);
	if (note != NULL)
		disk.note = REAL(open64)(note, flags, 0666);
	disk.fail_at = fail != NULL ? atol(fail) : 0;
	for (int i = 0; how != NULL && i < HOWS; i++)
		if (strcmp(how, hows[i]) == 0)
			disk.how = (enum how)i;
}

__attribute__((destructor)) static void
end(void)
{
	char n[24];

	snprintf(n, sizeof(n), "%ld", disk.n);
	note_line("counted", "calls", n);
}

/* A disk without room says so. */
int
statvfs64(const char *path, struct statvfs64 *fs)
{
	int rc = REAL(statvfs64)(path, fs);

	if (rc == 0 && disk.failed && disk.how == FULL)
		fs->f_bavail = fs->f_bfree = 0;
	return rc;
}

/* ---- opening --------------------------------------------------------------- */

/* The lock is held. */
static void
keep(int fd, const char *path, int flags, bool was)
{
	if (fd >= FDS)
		_exit(98);
	free(opened[fd]);
	opened[fd] = strdup(path);
	if (!was || (flags & O_TRUNC) != 0)
		sync_forget(path);
	/* 1: new; 2: emptied; 4: each write is synced */
	note_call("open", fd,
		(!was ? 1 : 0) | ((flags & O_TRUNC) != 0 ? 2 : 0) |
			((flags & (O_DSYNC | O_SYNC)) != 0 ? 4 : 0),
		path, strlen(path));
}

static int
open_it(const char *path, int flags, mode_t mode)
{
	static __typeof__(&open64) real;
	char name[PATHS];
	struct stat st;
	bool was;
	int fd;

	if (real == NULL)
		real = REAL(open64);
	if (!name_of(name, path))
		return real(path, flags, mode);
	pthread_mutex_lock(&lock);
	was = stat(name, &st) == 0;
	if (!was && (flags & O_CREAT) != 0 && fails("create", name, ROOM)) {
		pthread_mutex_unlock(&lock);
		return -1;
	}
	fd = real(path, flags, mode);
	if (fd >= 0)
		keep(fd, name, flags, was);
	pthread_mutex_unlock(&lock);
	return fd;
}

int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if ((flags & (O_CREAT | O_TMPFILE)) != 0)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return open_it(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int __open_2(const char *path, int flags); /* what is built with checks calls these */
int
__open_2(const char *path, int flags)
{
	return open_it(path, flags, 0);
}

int __open64_2(const char *path, int flags);
int
__open64_2(const char *path, int flags)
{
	return open_it(path, flags, 0);
}

int
close(int fd)
{
	static __typeof__(&close) real;
	int rc;

	if (real == NULL)
		real = REAL(close);
	if (name_at(fd) == NULL)
		return real(fd);
	pthread_mutex_lock(&lock);
	note_call("close", fd, 0, "", 0);
	free(opened[fd]);
	opened[fd] = NULL;
	rc = real(fd);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* ---- writing --------------------------------------------------------------- */

static ssize_t
write_at(int fd, const void *p, size_t n, off_t at)
{
	ssize_t rc;

	pthread_mutex_lock(&lock);
	if (fails("write", opened[fd], ROOM)) {
		if (disk.how != SHORT_ONCE || n < 2) {
			pthread_mutex_unlock(&lock);
			return -1;
		}
		n /= 2;
	}
	if (at < 0) {
		at = lseek(fd, 0, SEEK_CUR);
		rc = REAL(write)(fd, p, n);
	} else
		rc = REAL(pwrite64)(fd, p, n, at);
	if (rc > 0)
		note_call("write", fd, at, p, (size_t)rc);
	pthread_mutex_unlock(&lock);
	return rc;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	static __typeof__(&write) real;

	if (real == NULL)
		real = REAL(write);
	return name_at(fd) == NULL ? real(fd, p, n) : write_at(fd, p, n, -1);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	static __typeof__(&pwrite64) real;

	if (real == NULL)
		real = REAL(pwrite64);
	return name_at(fd) == NULL ? real(fd, p, n, at) : write_at(fd, p, n, at);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite64(fd, p, n, at);
}

/* As one write of all its parts. */
static ssize_t
write_parts(int fd, const struct iovec *v, int n, off_t at)
{
	size_t n_bytes = 0, done = 0;
	char *all;
	ssize_t rc;

	for (int i = 0; i < n; i++)
		n_bytes += v[i].iov_len;
	all = malloc(n_bytes + 1);
	if (all == NULL)
		_exit(97);
	for (int i = 0; i < n; i++) {
		memcpy(all + done, v[i].iov_base, v[i].iov_len);
		done += v[i].iov_len;
	}
	rc = write_at(fd, all, n_bytes, at);
	free(all);
	return rc;
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	return name_at(fd) == NULL ? REAL(writev)(fd, v, n) : write_parts(fd, v, n, -1);
}

ssize_t
pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
	return name_at(fd) == NULL ? REAL(pwritev64)(fd, v, n, at)
				   : write_parts(fd, v, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) __asm__("pwritev");
ssize_t
pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return pwritev64(fd, v, n, at);
}

static int
cut(int fd, off_t n)
{
	int rc;

	if (name_at(fd) == NULL)
		return REAL(ftruncate64)(fd, n);
	pthread_mutex_lock(&lock);
	rc = fails("truncate", opened[fd], NO_ROOM) ? -1 : REAL(ftruncate64)(fd, n);
	if (rc == 0)
		note_call("cut", fd, n, "", 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
ftruncate64(int fd, off64_t n)
{
	return cut(fd, n);
}

int
ftruncate(int fd, off_t n)
{
	return cut(fd, n);
}

/* Would not be seen. */
void *
mmap64(void *p, size_t n, int prot, int flags, int fd, off64_t at)
{
	if (name_at(fd) != NULL && (prot & PROT_WRITE) != 0 &&
		(flags & MAP_SHARED) != 0)
		_exit(96);
	return REAL(mmap64)(p, n, prot, flags, fd, at);
}

void *
mmap(void *p, size_t n, int prot, int flags, int fd, off_t at)
{
	return mmap64(p, n, prot, flags, fd, at);
}

/* ---- syncing --------------------------------------------------------------- */

/* SQLite syncs the directory of a new journal and does not look at what comes of it. */
static bool
is_sqlites(const void *caller, const char *path)
{
	struct stat st;
	Dl_info in;

	return dladdr(caller, &in) != 0 && strstr(in.dli_fname, "sqlite") != NULL &&
		stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
sync_it(int fd, int (*real)(int fd), const void *caller)
{
	bool sqlites;
	int rc = 0;

	if (name_at(fd) == NULL)
		return real(fd);
	pthread_mutex_lock(&lock);
	sqlites = is_sqlites(caller, opened[fd]);
	sync_again(opened[fd]);
	if (fails(sqlites ? "sqlite-dir" : "sync", opened[fd], SYNC)) {
		if (!sqlites)
			sync_failed(opened[fd]);
		note_call("lost", fd, 0, "", 0);
		rc = -1;
	} else /* noted, not done: the power stays on here, and it is faster so */
		note_call("sync", fd, 0, "", 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
fsync(int fd)
{
	return sync_it(fd, REAL(fsync), __builtin_return_address(0));
}

int
fdatasync(int fd)
{
	return sync_it(fd, REAL(fdatasync), __builtin_return_address(0));
}

/* ---- directories ----------------------------------------------------------- */

int
rename(const char *from, const char *to)
{
	char a[PATHS], b[PATHS];
	int rc;

	if (!name_of(a, from) || !name_of(b, to))
		return REAL(rename)(from, to);
	pthread_mutex_lock(&lock);
	rc = fails("rename", b, NO_ROOM) ? -1 : REAL(rename)(from, to);
	if (rc == 0)
		note_two("rename", a, b);
	pthread_mutex_unlock(&lock);
	return rc;
}

static int
on_name(const char *op, const char *path, enum needs needs,
	int (*real)(const char *path))
{
	char name[PATHS];
	int rc;

	if (!name_of(name, path))
		return real(path);
	pthread_mutex_lock(&lock);
	rc = fails(op, name, needs) ? -1 : real(path);
	if (rc == 0)
		note_call(op, 0, 0, name, strlen(name));
	pthread_mutex_unlock(&lock);
	return rc;
}

int
unlink(const char *path)
{
	return on_name("unlink", path, NO_ROOM, REAL(unlink));
}

int
rmdir(const char *path)
{
	return on_name("rmdir", path, NO_ROOM, REAL(rmdir));
}

static int
make_dir(const char *path)
{
	return REAL(mkdir)(path, 0777);
}

int
mkdir(const char *path, mode_t mode)
{
	char name[PATHS];
	struct stat st;

	if (!name_of(name, path) || stat(name, &st) == 0)
		return REAL(mkdir)(path, mode);
	return on_name("mkdir", path, ROOM, make_dir);
}
