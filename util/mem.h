/* SPDX-License-Identifier: ISC */
/*
 * mem: allocation that can be made to fail, checked sizes, and arenas.
 * Everything saedb allocates goes through here, so that the tests' sweep
 * (the N-th allocation fails, for N = 0, 1, 2, ...) reaches every path.
 */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* new: free with mem_free(). Zeroed. NULL when memory ran out or n * size
 * overflows. n or size of 0 gives a non-NULL pointer. */
void *mem_new(size_t n, size_t size);
/* Grows or shrinks; the old block stays valid on NULL. Not zeroed. */
void *mem_resize(void *p, size_t n, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
void mem_free(void *p);

/* Aligned to 64 bytes for kernels, zeroed; free with mem_free(). */
void *mem_new_aligned(size_t n, size_t size);

/* *out = a * b (a + b); false on overflow, *out untouched. */
bool mem_mul(size_t a, size_t b, size_t *out);
bool mem_add(size_t a, size_t b, size_t *out);

/* Tests only: the n-th allocation from now (0 = the next) and all later ones
 * return NULL; -1 restores. mem_fail_count() is how many were asked for. */
void mem_fail_at(long n);
long mem_fail_count(void);

/* An arena hands out memory that is freed as a whole. Thread: one at a time. */
struct arena {
	struct arena_block *head; /* newest block */
	size_t limit_bytes; /* 0 = none; past it arena_alloc gives NULL */
	size_t used_bytes;
};

void arena_init(struct arena *a, size_t limit_bytes);
/* borrowed until arena_reset/arena_clear; aligned to 16; not zeroed. */
void *arena_alloc(struct arena *a, size_t n, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
/* Forgets everything, keeps one block for reuse. */
void arena_reset(struct arena *a);
void arena_clear(struct arena *a);

#endif
