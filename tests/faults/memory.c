/* SPDX-License-Identifier: ISC */
/*
 * memory: preloaded (LD_PRELOAD) into a program, lets an allocation fail, whoever asks
 * for it: the program, or a library for it.
 *
 *     MEMORY_FAIL    N: the N-th fails
 *     MEMORY_ALL     set: all after it, too
 *     MEMORY_NOTE    a file to which it is written who asked, and in the end how many
 *                    were counted
 *     MEMORY_EXEMPT  libraries, by parts of their names, with colons between them, whose
 *                    own calls are not counted
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC visibility push(default)

#define RANGES 32

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static struct {
	uintptr_t from, to;
} range[RANGES]; /* of those that are exempt */
static int n_ranges;
static long fail_at;
static bool all, started;
static atomic_long n_calls;
static const char *note, *exempt;

static void
say(const char *what, const char *text, unsigned long number)
{
	char line[512];
	int fd, n;

	if (note == NULL)
		return;
	n = snprintf(line, sizeof(line), "%s %s %lx\n", what, text, number);
	fd = open(note, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		_exit(99);
	close(fd);
}

static void
note_failed(const void *caller)
{
	Dl_info in = {0};

	if (dladdr(caller, &in) == 0)
		return;
	say("failed", in.dli_fname,
		(unsigned long)((uintptr_t)caller - (uintptr_t)in.dli_fbase));
}

static bool
is_exempt(const void *caller)
{
	for (int i = 0; i < n_ranges; i++)
		if ((uintptr_t)caller >= range[i].from &&
			(uintptr_t)caller < range[i].to)
			return true;
	return false;
}

static bool
fails(const void *caller)
{
	long n;

	if (!started || fail_at == 0 || is_exempt(caller))
		return false;
	n = atomic_fetch_add(&n_calls, 1) + 1;
	if (n != fail_at && (!all || n < fail_at))
		return false;
	if (n == fail_at)
		note_failed(caller);
	errno = ENOMEM;
	return true;
}

static int
add_range(struct dl_phdr_info *info, size_t size, void *ctx)
{
	const char *name = exempt;

	(void)size;
	(void)ctx;
	while (*name != '\0') {
		size_t n = strcspn(name, ":");
		char part[64];

		snprintf(part, sizeof(part), "%.*s", (int)n, name);
		for (int i = 0; strstr(info->dlpi_name, part) != NULL &&
			i < info->dlpi_phnum && n_ranges < RANGES;
			i++) {
			const ElfW(Phdr) *h = &info->dlpi_phdr[i];

			if (h->p_type != PT_LOAD || (h->p_flags & PF_X) == 0)
				continue;
			range[n_ranges].from = info->dlpi_addr + h->p_vaddr;
			range[n_ranges].to = range[n_ranges].from + h->p_memsz;
			n_ranges++;
		}
		name += n + (name[n] == ':');
	}
	return 0;
}

__attribute__((constructor)) static void
start(void)
{
	const char *fail = getenv("MEMORY_FAIL");

	exempt = getenv("MEMORY_EXEMPT");
	note = getenv("MEMORY_NOTE");
	all = getenv("MEMORY_ALL") != NULL;
	fail_at = fail != NULL ? atol(fail) : 0;
	if (exempt != NULL)
		dl_iterate_phdr(add_range, NULL);
	started = true;
}

__attribute__((destructor)) static void
end(void)
{
	say("counted", "calls", (unsigned long)atomic_load(&n_calls));
}

void *
malloc(size_t n)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t each)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, each);
}

void *
realloc(void *p, size_t n)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}

void *
memalign(size_t align, size_t n)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}

int
posix_memalign(void **p, size_t align, size_t n)
{
	if (fails(__builtin_return_address(0)))
		return ENOMEM;
	*p = __libc_memalign(align, n);
	return *p != NULL ? 0 : ENOMEM;
}
