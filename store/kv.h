/* SPDX-License-Identifier: ISC */
/*
 * kv: numbered values in one file, several tables in it. Keys are (id u32,
 * part u16), big-endian. Every value carries a header with a checksum over
 * table, key, header and payload, checked on every read; values longer than
 * LIMIT_CHUNK_BYTES lie in parts. A file is written once, by ascending key in
 * each table, and only read from then on: no lock file. The only file that
 * knows LMDB.
 */
#ifndef STORE_KV_H
#define STORE_KV_H

#include "util/err.h"
#include "util/mem.h"

#include <stddef.h>
#include <stdint.h>

#define KV_TABLES 8 /* in one file at most */

struct kv; /* opaque */

/* Makes path with these tables (names borrowed for ever). Not durable before
 * kv_finish(). Thread: one at a time. new: kv_close(). */
int kv_create(struct kv **out, const char *path, const char *const *names,
	size_t n_tables, struct err *e);
/* Adds a value; ids ascend in each table (ERR_INTERNAL otherwise). ERR_FULL when
 * the disk is. After an error nothing can be done but close it; what was synced
 * before can be resumed. */
int kv_put(struct kv *kv, size_t table, uint32_t id, const void *p, size_t n_bytes,
	struct err *e);
/* Adds one of a series of values of id, part ascending; kept whole. */
int kv_put_part(struct kv *kv, size_t table, uint32_t id, uint16_t part, const void *p,
	size_t n_bytes, struct err *e);
/* What was put is on the disk for good, and from here on every commit is: a crash
 * leaves a file that kv_resume() takes. */
int kv_sync(struct kv *kv, struct err *e);
/* Goes on with a file of series that was not finished, once every value in it is
 * checked: ids from 0 without a gap, least_ids of them, or ERR_CORRUPT. What it has may
 * be put again, and must be the same (ERR_CORRUPT otherwise). new: kv_close(). */
int kv_resume(struct kv **out, const char *path, const char *const *names,
	size_t n_tables, uint32_t least_ids, struct err *e);
/* Writes all of it out. Nothing may be put afterwards. */
int kv_finish(struct kv *kv, struct err *e);

/* Opens a finished file for reading. What it lacks is ERR_CORRUPT. Thread: kv
 * may be shared, each reader has its own kv_view. new: kv_close(). */
int kv_open(struct kv **out, const char *path, const char *const *names,
	size_t n_tables, struct err *e);
void kv_close(struct kv *kv); /* after its views */

struct kv_view; /* opaque; thread: one at a time */
int kv_view_open(struct kv_view **out, struct kv *kv, struct err *e);
void kv_view_close(struct kv_view *v);

struct kv_value {
	const void *p; /* borrowed until the view closes, or in arena if in parts */
	size_t n_bytes;
};
/* 1 and *out, 0 when there is no such key, or a code. */
int kv_get(struct kv_view *v, size_t table, uint32_t id, struct kv_value *out,
	struct arena *arena, struct err *e);
/* Calls fn for the parts of a series of id, ascending, from the last one that
 * starts at or before part. fn returns 0 to go on, 1 to stop, or a code. */
int kv_each(struct kv_view *v, size_t table, uint32_t id, uint16_t part,
	int (*fn)(void *ctx, uint16_t part, struct kv_value x, struct err *e),
	void *ctx, struct err *e);
uint64_t kv_entries(const struct kv_view *v, size_t table);

#endif
