/* SPDX-License-Identifier: ISC */
/*
 * paged: a bound on the process' resident memory. Between paged_begin and paged_end,
 * large arrays that do not fit lie in unlinked files, and the pages of these and of
 * every mapped file that is told of leave memory before the bound is reached. They
 * come back by themselves when they are touched: only time is lost. Outside of that,
 * arrays are ordinary memory and nothing is watched.
 */
#ifndef UTIL_PAGED_H
#define UTIL_PAGED_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Watches from now on that resident memory, mapped files included, stays below
 * limit_bytes. arrays_bytes: what large arrays may take before further ones go to
 * files in the directory dir, or the nearest one above it that is there. Starts a
 * thread. */
int paged_begin(const char *dir, uint64_t limit_bytes, uint64_t arrays_bytes,
	struct err *e);
void paged_end(void); /* what was made stays; without paged_begin is fine */

/* Aligned to 64 bytes, zeroed. NULL and the error when there is no room, in memory
 * or (ERR_FULL) on the disk. new: mem_free(). */
void *paged_new(size_t n, size_t size, struct err *e);
/* Of the arrays that are in memory, the largest go to files until the others take at
 * most n_bytes, which bounds further ones from now on. Nobody may use one meanwhile. */
int paged_keep(uint64_t n_bytes, struct err *e);
/* What such arrays take of the memory, those in files not counted. */
uint64_t paged_in_memory(void);
/* The part of limit_bytes that is for pages of files: nobody else may count on it.
 * 0 when nothing is watched. */
uint64_t paged_room(void);
/* The least limit that leaves so much beside that part. */
uint64_t paged_limit(uint64_t n_bytes);

/* A file's map that is read alone (or shared), from here on until paged_unmap, which
 * goes before munmap. */
int paged_map(const void *p, size_t n_bytes, struct err *e);
void paged_unmap(const void *p);
/* The same of a file that a library has open and mapped, shared: *p is where, NULL where
 * nothing is watched or found. */
int paged_map_file(int fd, const void **p, struct err *e);

/* Who reads or writes large arrays or maps says so before, as that may be faster than
 * the watch looks: one after the other n_bytes, or n places here and there. Cheap.
 * Thread: any. */
void paged_passed(size_t n_bytes);
void paged_touched(size_t n);

/* For mem_free alone: whether p was an array of paged_new; then it is gone. */
bool paged_free(void *p);

#endif
