/* SPDX-License-Identifier: ISC */
/*
 * file: whole files, maps, directories, durable renames and locks. Every
 * error names the path.
 */
#ifndef UTIL_FILE_H
#define UTIL_FILE_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file mapped read-only. */
struct map {
	const uint8_t *data; /* NULL when n_bytes is 0 */
	size_t n_bytes;
};

int map_open(struct map *m, const char *path, struct err *e);
void map_close(struct map *m);

/* Reads a whole file of at most max_bytes. new: buf_clear(out). */
int file_read(const char *path, size_t max_bytes, struct buf *out, struct err *e);
/* Writes beside, syncs, renames over path, syncs the directory. */
int file_write_atomic(const char *path, const void *p, size_t n_bytes, struct err *e);
/* The same of a file that comes in blocks: give puts the next into b, which is empty,
 * and returns 1, or 0 at the end. */
typedef int (*file_give)(void *ctx, struct buf *b, struct err *e);
int file_write_blocks(const char *path, file_give give, void *ctx, struct err *e);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
int file_size(const char *path, uint64_t *n_bytes, struct err *e);
int file_sync(const char *path, struct err *e); /* file or directory */
int file_sync_parent(const char *path, struct err *e); /* the directory it stands in */
int file_rename(const char *from, const char *to,
	struct err *e); /* and syncs to's directory */

/* Whether a name ends so, and has something in front. */
bool path_ends(const char *path, const char *suffix);

int dir_make(const char *path, struct err *e); /* with parents; there is fine */
int dir_remove(const char *path, struct err *e); /* with contents; absent is fine */
int dir_size(const char *path, uint64_t *n_bytes, struct err *e); /* allocated blocks */
int dir_sync_tree(const char *path, struct err *e); /* every file and directory below */
/* Names (not . and ..) in byte order. new: free each and the array with
 * mem_free(). */
int dir_list(const char *path, char ***names, size_t *n_names, struct err *e);

/* An advisory lock (flock) held until lock_release; ERR_BUSY when another
 * process has it, and its pid in the text. The file is made if absent. */
struct lock {
	int fd; /* -1 = not held */
};
int lock_take(struct lock *l, const char *path, struct err *e);
void lock_release(struct lock *l);

/* "dir/name" in a static-sized buffer; ERR_LIMIT if it does not fit. */
#define PATH_BYTES 4096
int path_join(char out[PATH_BYTES], struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
