/* SPDX-License-Identifier: ISC */
/*
 * place: a config made of fuzzed bytes in a directory beside weights as they should
 * be. A target includes it once.
 */
#ifndef TESTS_FUZZ_PLACE_H
#define TESTS_FUZZ_PLACE_H

#include "util/file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The config's name, and where the weights stand in tests/model/data/. */
struct place {
	const char *config, *weights, *from;
};

static char place_dir[64];
static int place_fd = -1;

static inline void
place_forget(void)
{
	dir_remove(place_dir, NULL);
}

static inline void
place_link(const char *to, const char *in, const char *name)
{
	char path[PATH_BYTES];

	if (path_join(path, NULL, "%s/%s", in, name) < 0 || symlink(to, path) != 0)
		abort();
}

/* dir/0, dir/1, ...: links to the weights, and to one config in memory; a file on
 * a disk, written anew for each input, is slow. */
static inline void
place_make(const struct place *p, size_t n)
{
	const char *src = getenv("srcdir");
	char top[PATH_BYTES], to[PATH_BYTES], memory[64], *root;

	place_fd = memfd_create("fuzz", MFD_CLOEXEC);
	root = realpath(src ? src : ".", NULL);
	snprintf(memory, sizeof(memory), "/proc/self/fd/%d", place_fd);
	snprintf(place_dir, sizeof(place_dir), "/tmp/saedb-fuzz-%ld", (long)getpid());
	if (place_fd < 0 || !root)
		abort();
	for (size_t i = 0; i < n; i++) {
		/* below it some families have their weights */
		if (path_join(top, NULL, "%s/%zu/checkpoints", place_dir, i) < 0 ||
			dir_make(top, NULL) < 0 ||
			path_join(top, NULL, "%s/%zu", place_dir, i) < 0 ||
			path_join(to, NULL, "%s/tests/model/data/%s/%s", root,
				p[i].from, p[i].weights) < 0)
			abort();
		place_link(to, top, p[i].weights);
		place_link(memory, top, p[i].config);
	}
	free(root);
	atexit(place_forget);
}

/* The first byte tells which of the places (path is then its directory), the others
 * are the config. False where there is no first byte. */
static inline bool
place_config(const struct place *all, size_t n, const uint8_t *p, size_t n_bytes,
	char path[PATH_BYTES])
{
	if (n_bytes == 0)
		return false;
	if (place_fd < 0)
		place_make(all, n);
	if (ftruncate(place_fd, (off_t)n_bytes - 1) != 0 ||
		pwrite(place_fd, p + 1, n_bytes - 1, 0) != (ssize_t)n_bytes - 1 ||
		path_join(path, NULL, "%s/%zu", place_dir, p[0] % n) < 0)
		abort();
	return true;
}

#endif
