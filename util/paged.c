/* SPDX-License-Identifier: ISC */
#include "util/paged.h"

#include "util/file.h"
#include "util/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES ((size_t)4096)
#define LARGE_BYTES ((size_t)256 << 10) /* smaller arrays are ordinary memory */
#define ROOM_SHARE 8 /* of the limit is for pages of files ... */
#define ROOM_LEAST ((uint64_t)48 << 20) /* ... or this */
/* Between two looks at what is resident: what memory's speed brings in. */
#define LOOK_LEAST_NS UINT64_C(500000)
#define LOOK_MOST_NS UINT64_C(20000000)
#define BYTES_EACH_NS 16
#define LOOK_BYTES ((uint64_t)4 << 20) /* touched, after which there is one more */
#define TOUCH_BYTES ((size_t)2 << 20) /* may come with one touch: a page of pages */
#define SHARES 64 /* of the credit: one is not worth a word */

enum form { IN_MEMORY, IN_FILE, MAPPED };

struct area {
	void *p;
	size_t n_bytes;
	enum form form;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t watch;
	bool stop;
	char dir[PATH_BYTES];
	unsigned n_files;
	int statm; /* /proc/self/statm; -1: it cannot be read, then pages always go */
	uint64_t limit_bytes, arrays_bytes, in_memory_bytes;
	struct area *area;
	size_t n, cap;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.statm = -1};

static atomic_bool active; /* between begin and end */
static atomic_size_t n_arrays; /* that paged_free may be asked about */
static atomic_llong credit; /* bytes to be touched before the next look */
static atomic_llong unsaid; /* so many a thread may keep to itself */

/* ---- what is resident ----------------------------------------------------------- */

static uint64_t
room_of(uint64_t limit)
{
	return limit / ROOM_SHARE > ROOM_LEAST ? limit / ROOM_SHARE : ROOM_LEAST;
}

/* How much more may come before pages must go. */
static uint64_t
slack(void)
{
	uint64_t margin = room_of(all.limit_bytes) / 2, n_bytes;
	uint64_t most = all.limit_bytes > margin ? all.limit_bytes - margin : 0;
	char text[128], *rest;
	ssize_t n = all.statm >= 0 ? pread(all.statm, text, sizeof(text) - 1, 0) : -1;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	strtoull(text, &rest, 10); /* the size; behind it, what is resident */
	n_bytes = strtoull(rest, NULL, 10) * PAGE_BYTES;
	return n_bytes < most ? most - n_bytes : 0;
}

/* Under the lock. Dirty pages of files are the kernel's to write: nothing is lost.
 * Returns how long the next look may wait. */
static uint64_t
look(void)
{
	uint64_t left = slack(), more;

	for (size_t i = 0; left == 0 && i < all.n; i++)
		if (all.area[i].form != IN_MEMORY)
			madvise(all.area[i].p, all.area[i].n_bytes, MADV_DONTNEED);
	more = left / 2 > LOOK_BYTES ? left / 2 : LOOK_BYTES;
	atomic_store(&credit, (long long)more);
	atomic_store(&unsaid, (long long)(more / SHARES));
	left /= BYTES_EACH_NS;
	return left < LOOK_LEAST_NS   ? LOOK_LEAST_NS
		: left > LOOK_MOST_NS ? LOOK_MOST_NS
				      : left;
}

static void *
watch_main(void *arg)
{
	struct timespec at;

	(void)arg;
	pthread_mutex_lock(&all.lock);
	while (!all.stop) {
		uint64_t wait_ns = look();

		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += (long)wait_ns;
		if (at.tv_nsec >= 1000000000) {
			at.tv_sec++;
			at.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&all.wake, &all.lock, &at);
	}
	pthread_mutex_unlock(&all.lock);
	return NULL;
}

void
paged_passed(size_t n_bytes)
{
	static _Thread_local long long passed; /* not yet taken from the credit */
	long long n;

	if (!atomic_load_explicit(&active, memory_order_relaxed))
		return;
	passed += (long long)n_bytes;
	if (passed <= atomic_load_explicit(&unsaid, memory_order_relaxed))
		return;
	n = passed;
	passed = 0;
	if (atomic_fetch_sub(&credit, n) > n)
		return;
	pthread_mutex_lock(&all.lock);
	if (atomic_load(&credit) <= 0)
		look();
	pthread_mutex_unlock(&all.lock);
}

void
paged_touched(size_t n)
{
	paged_passed(n * TOUCH_BYTES);
}

/* ---- life -------------------------------------------------------------------------- */

static void
before_fork(void)
{
	pthread_mutex_lock(&all.lock);
}

static void
after_fork(void)
{
	pthread_mutex_unlock(&all.lock);
}

/* The watch is not in the child, and pages there are the child's own affair. */
static void
in_child(void)
{
	atomic_store(&active, false);
	pthread_mutex_unlock(&all.lock);
}

static void
on_forks(void)
{
	pthread_atfork(before_fork, after_fork, in_child);
}

/* dir, or what is there above it. */
static int
find_dir(const char *dir, struct err *e)
{
	size_t n;

	if (path_join(all.dir, e, "%s", dir) < 0)
		return e->code;
	while (!file_is_dir(all.dir)) {
		n = strlen(all.dir);
		while (n > 0 && all.dir[n - 1] == '/')
			n--;
		while (n > 0 && all.dir[n - 1] != '/')
			n--;
		strcpy(n > 0 ? all.dir + n : all.dir, n > 0 ? "" : ".");
	}
	return 0;
}

int
paged_begin(const char *dir, uint64_t limit_bytes, uint64_t arrays_bytes, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t signals, old;
	int rc = find_dir(dir, e);

	assert(!atomic_load(&active));
	if (rc < 0)
		return rc;
	pthread_once(&once, on_forks);
	all.limit_bytes = limit_bytes;
	all.arrays_bytes = arrays_bytes;
	all.stop = false;
	all.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	sigfillset(&signals); /* they are the main thread's */
	pthread_sigmask(SIG_SETMASK, &signals, &old);
	rc = pthread_create(&all.watch, NULL, watch_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		if (all.statm >= 0)
			close(all.statm);
		all.statm = -1;
		return err_set(e, ERR_LIMIT, "cannot start a thread");
	}
	atomic_store(&active, true);
	return 0;
}

void
paged_end(void)
{
	if (!atomic_load(&active))
		return;
	atomic_store(&active, false);
	pthread_mutex_lock(&all.lock);
	all.stop = true;
	pthread_cond_signal(&all.wake);
	pthread_mutex_unlock(&all.lock);
	pthread_join(all.watch, NULL);
	if (all.statm >= 0)
		close(all.statm);
	all.statm = -1;
}

uint64_t
paged_room(void)
{
	return atomic_load(&active) ? room_of(all.limit_bytes) : 0;
}

uint64_t
paged_limit(uint64_t n_bytes)
{
	uint64_t most = n_bytes / (ROOM_SHARE - 1) * ROOM_SHARE + ROOM_SHARE;

	return most / ROOM_SHARE > ROOM_LEAST ? most : n_bytes + ROOM_LEAST;
}

uint64_t
paged_in_memory(void)
{
	uint64_t n;

	pthread_mutex_lock(&all.lock);
	n = all.in_memory_bytes;
	pthread_mutex_unlock(&all.lock);
	return n;
}

/* ---- areas -------------------------------------------------------------------------- */

/* Under the lock. */
static int
area_add(void *p, size_t n_bytes, enum form form, struct err *e)
{
	if (all.n == all.cap) {
		size_t cap = all.cap ? all.cap * 2 : 64;
		struct area *more = mem_resize(all.area, cap, sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_NOMEM, "no memory for %zu maps", cap);
		all.area = more;
		all.cap = cap;
	}
	all.area[all.n++] = (struct area){p, n_bytes, form};
	return 0;
}

/* Under the lock. The area of p goes from the list; false: there is none. */
static bool
area_take(const void *p, bool mapped, struct area *out)
{
	for (size_t i = all.n; i > 0; i--)
		if (all.area[i - 1].p == p &&
			(all.area[i - 1].form == MAPPED) == mapped) {
			*out = all.area[i - 1];
			all.area[i - 1] = all.area[--all.n];
			return true;
		}
	return false;
}

int
paged_map(const void *p, size_t n_bytes, struct err *e)
{
	int rc;

	if (!atomic_load(&active) || n_bytes == 0)
		return 0;
	pthread_mutex_lock(&all.lock);
	rc = area_add((void *)(uintptr_t)p, n_bytes, MAPPED, e);
	pthread_mutex_unlock(&all.lock);
	return rc;
}

/* Under the lock. */
static bool
is_told_of(const void *p)
{
	for (size_t i = 0; i < all.n; i++)
		if (all.area[i].p == p && all.area[i].form == MAPPED)
			return true;
	return false;
}

/* Under the lock. A line of /proc/self/maps: "from-to rwxs offset device inode name". The
 * pages of a shared map may go whatever file it is of. */
static bool
is_map_of(const char *line, uint64_t inode, char **p, size_t *n_bytes)
{
	uintptr_t from, to;
	char way[5];
	uint64_t found;

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %" SCNu64, &from, &to,
		    way, &found) != 4)
		return false;
	*p = (char *)from; /* as the kernel has it, so no provenance */
	*n_bytes = to - from;
	return way[3] == 's' && found == inode && !is_told_of(*p);
}

int
paged_map_file(int fd, const void **out, struct err *e)
{
	struct stat st;
	size_t n_bytes, cap = 0;
	char *line = NULL, *p;
	FILE *f;
	int rc = 0;

	*out = NULL;
	if (!atomic_load(&active))
		return 0;
	f = fopen("/proc/self/maps", "re");
	if (f == NULL || fstat(fd, &st) < 0) {
		if (f != NULL)
			fclose(f);
		return 0;
	}
	pthread_mutex_lock(&all.lock);
	while (*out == NULL && getline(&line, &cap, f) > 0)
		if (is_map_of(line, st.st_ino, &p, &n_bytes)) {
			rc = area_add(p, n_bytes, MAPPED, e);
			*out = p;
		}
	pthread_mutex_unlock(&all.lock);
	free(line);
	fclose(f);
	return rc;
}

void
paged_unmap(const void *p)
{
	struct area gone;

	if (p == NULL)
		return;
	pthread_mutex_lock(&all.lock);
	area_take(p, true, &gone);
	pthread_mutex_unlock(&all.lock);
}

/* ---- arrays ----------------------------------------------------------------------- */

static int
no_disk(size_t n_bytes, struct err *e)
{
	return err_sys(e,
		"%s: no room for %.0f MiB that do not fit the memory; raise "
		"--memory, or free so much there",
		all.dir, (double)n_bytes / 0x1p20);
}

/* A file without a name, and its blocks: writing to its map cannot fail. */
static int
file_make(int *fd, size_t n_bytes, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/.saedb-pages-%ld-%u", all.dir, (long)getpid(),
		all.n_files++);

	if (rc < 0)
		return rc;
	*fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return err_sys(e, "%s: cannot create", path);
	unlink(path);
	do
		rc = posix_fallocate(*fd, 0, (off_t)n_bytes);
	while (rc == EINTR);
	if (rc == 0)
		return 0;
	close(*fd);
	errno = rc;
	return no_disk(n_bytes, e);
}

static void *
map_file(size_t n_bytes, struct err *e)
{
	void *p;
	int fd;

	if (file_make(&fd, n_bytes, e) < 0)
		return NULL;
	p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		no_disk(n_bytes, e);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static void *
map_memory(size_t n_bytes, struct err *e)
{
	void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		return p;
	err_set(e, ERR_NOMEM, "no memory for %.0f MiB", (double)n_bytes / 0x1p20);
	return NULL;
}

static void *
large_new(size_t n_bytes, struct err *e)
{
	enum form form;
	void *p;

	pthread_mutex_lock(&all.lock);
	form = all.in_memory_bytes + n_bytes <= all.arrays_bytes ? IN_MEMORY : IN_FILE;
	p = form == IN_MEMORY ? map_memory(n_bytes, e) : map_file(n_bytes, e);
	if (p != NULL && area_add(p, n_bytes, form, e) < 0) {
		munmap(p, n_bytes);
		p = NULL;
	}
	if (p != NULL) {
		all.in_memory_bytes += form == IN_MEMORY ? n_bytes : 0;
		atomic_fetch_add(&n_arrays, 1);
	}
	pthread_mutex_unlock(&all.lock);
	return p;
}

static int
write_all(int fd, const char *p, size_t n_bytes)
{
	ssize_t n;

	for (size_t at = 0; at<n_bytes; at += n> 0 ? (size_t)n : 0) {
		n = write(fd, p + at, n_bytes - at);
		if (n < 0 && errno != EINTR)
			return -1;
	}
	return 0;
}

/* The same bytes in a file, where they were. */
static int
move_out(struct area *a, struct err *e)
{
	int fd, rc = file_make(&fd, a->n_bytes, e);

	if (rc < 0)
		return rc;
	if (write_all(fd, a->p, a->n_bytes) < 0 ||
		mmap(a->p, a->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			fd, 0) == MAP_FAILED)
		rc = no_disk(a->n_bytes, e);
	close(fd);
	if (rc < 0)
		return rc;
	a->form = IN_FILE;
	all.in_memory_bytes -= a->n_bytes;
	return 0;
}

int
paged_keep(uint64_t n_bytes, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&all.lock);
	all.arrays_bytes = n_bytes;
	while (rc == 0 && all.in_memory_bytes > n_bytes) {
		struct area *most = NULL;

		for (size_t i = 0; i < all.n; i++)
			if (all.area[i].form == IN_MEMORY &&
				(most == NULL || all.area[i].n_bytes > most->n_bytes))
				most = &all.area[i];
		rc = move_out(most, e);
	}
	pthread_mutex_unlock(&all.lock);
	return rc;
}

void *
paged_new(size_t n, size_t size, struct err *e)
{
	size_t n_bytes = 0;
	void *p = NULL;

	if (mem_mul(n, size, &n_bytes) && n_bytes <= PTRDIFF_MAX - PAGE_BYTES) {
		if (n_bytes >= LARGE_BYTES && atomic_load(&active))
			return large_new((n_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1),
				e);
		p = mem_new_aligned(n, size);
	}
	if (p == NULL)
		err_set(e, ERR_NOMEM, "no memory for %zu values", n);
	return p;
}

bool
paged_free(void *p)
{
	struct area gone;
	bool ours;

	if ((uintptr_t)p % PAGE_BYTES != 0 || p == NULL || atomic_load(&n_arrays) == 0)
		return false;
	pthread_mutex_lock(&all.lock);
	ours = area_take(p, false, &gone);
	if (ours) {
		munmap(p, gone.n_bytes);
		atomic_fetch_sub(&n_arrays, 1);
		all.in_memory_bytes -= gone.form == IN_MEMORY ? gone.n_bytes : 0;
	}
	pthread_mutex_unlock(&all.lock);
	return ours;
}
