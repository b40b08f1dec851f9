/* SPDX-License-Identifier: ISC */
#include "util/mem.h"

#include "util/paged.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN_BYTES 64
#define ARENA_FIRST_BYTES ((size_t)4096)
#define ARENA_MOST_BYTES ((size_t)1 << 20) /* blocks double up to here */

/* The tests' hook: off is one relaxed load of a value that never changes. */
static atomic_bool fail_armed;
static atomic_long fail_left;
static atomic_long n_asked;

static bool
must_fail(void)
{
	if (!atomic_load_explicit(&fail_armed, memory_order_relaxed))
		return false;
	atomic_fetch_add(&n_asked, 1);
	return atomic_fetch_sub(&fail_left, 1) <= 0;
}

void
mem_fail_at(long n)
{
	atomic_store(&fail_armed, false);
	atomic_store(&fail_left, n);
	atomic_store(&n_asked, 0);
	atomic_store(&fail_armed, n >= 0);
}

long
mem_fail_count(void)
{
	return atomic_load(&n_asked);
}

bool
mem_mul(size_t a, size_t b, size_t *out)
{
	size_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*out = product;
	return true;
}

bool
mem_add(size_t a, size_t b, size_t *out)
{
	size_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*out = sum;
	return true;
}

void *
mem_new(size_t n, size_t size)
{
	size_t bytes;

	if (!mem_mul(n, size, &bytes) || bytes > PTRDIFF_MAX || must_fail())
		return NULL;
	return calloc(1, bytes > 0 ? bytes : 1);
}

void *
mem_new_aligned(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (!mem_mul(n, size, &bytes) || bytes > PTRDIFF_MAX - ALIGN_BYTES ||
		must_fail())
		return NULL;
	bytes = (bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
	if (bytes == 0)
		bytes = ALIGN_BYTES;
	p = aligned_alloc(ALIGN_BYTES, bytes);
	if (p != NULL)
		memset(p, 0, bytes);
	return p;
}

void *
mem_resize(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (!mem_mul(n, size, &bytes) || bytes > PTRDIFF_MAX || must_fail())
		return NULL;
	return realloc(p, bytes > 0 ? bytes : 1);
}

char *
mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n), bytes;
	char *copy;

	if (!mem_add(len, 1, &bytes) || must_fail())
		return NULL;
	copy = malloc(bytes);
	if (copy == NULL)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *
mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

void
mem_free(void *p)
{
	if (!paged_free(p))
		free(p);
}

/* ---- arenas ------------------------------------------------------------ */

struct arena_block {
	struct arena_block *next; /* older */
	size_t cap_bytes;
	size_t used_bytes;
	size_t pad; /* data stays aligned to 16 */
	_Alignas(16) uint8_t data[];
};

void
arena_init(struct arena *a, size_t limit_bytes)
{
	*a = (struct arena){.limit_bytes = limit_bytes};
}

static struct arena_block *
block_new(const struct arena *a, size_t need_bytes)
{
	size_t cap = ARENA_FIRST_BYTES, bytes;
	struct arena_block *b;

	if (a->head != NULL && a->head->cap_bytes >= ARENA_FIRST_BYTES)
		cap = a->head->cap_bytes < ARENA_MOST_BYTES / 2 ? a->head->cap_bytes * 2
								: ARENA_MOST_BYTES;
	if (cap < need_bytes)
		cap = need_bytes;
	if (!mem_add(sizeof(*b), cap, &bytes) || bytes > PTRDIFF_MAX || must_fail())
		return NULL;
	b = malloc(bytes);
	if (b == NULL)
		return NULL;
	b->cap_bytes = cap;
	b->used_bytes = 0;
	return b;
}

void *
arena_alloc(struct arena *a, size_t n, size_t size)
{
	size_t bytes, total;
	struct arena_block *b = a->head;
	void *p;

	if (!mem_mul(n, size, &bytes) || !mem_add(bytes, 15, &bytes))
		return NULL;
	bytes &= ~(size_t)15;
	if (bytes == 0)
		bytes = 16;
	if (!mem_add(a->used_bytes, bytes, &total))
		return NULL;
	if (a->limit_bytes != 0 && total > a->limit_bytes)
		return NULL;
	if (b == NULL || b->cap_bytes - b->used_bytes < bytes) {
		b = block_new(a, bytes);
		if (b == NULL)
			return NULL;
		b->next = a->head;
		a->head = b;
	}
	p = b->data + b->used_bytes;
	b->used_bytes += bytes;
	a->used_bytes = total;
	return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n), bytes;
	char *copy;

	if (!mem_add(len, 1, &bytes))
		return NULL;
	copy = arena_alloc(a, bytes, 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

static void
blocks_free(struct arena_block *b)
{
	struct arena_block *next;

	for (; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
}

/* Of the blocks, an ordinary one is kept; one made for a giant is not. */
void
arena_reset(struct arena *a)
{
	struct arena_block *keep = a->head;

	a->used_bytes = 0;
	if (keep == NULL)
		return;
	blocks_free(keep->next);
	keep->next = NULL;
	keep->used_bytes = 0;
	if (keep->cap_bytes > ARENA_MOST_BYTES) {
		blocks_free(keep);
		a->head = NULL;
	}
}

void
arena_clear(struct arena *a)
{
	blocks_free(a->head);
	a->head = NULL;
	a->used_bytes = 0;
}
