/* SPDX-License-Identifier: ISC */
/*
 * record_in: what the files of record share. Reading is by a cursor that
 * fails once and stays so; a count is believed only when that many entries
 * of the least size could still follow.
 */
#ifndef SCHEMA_RECORD_IN_H
#define SCHEMA_RECORD_IN_H

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#include <stddef.h>
#include <stdint.h>

/* A varint that fits in 32 bits, else c fails. */
uint32_t rec_u32(struct cur *c);
/* A count of entries that take least_bytes or more each; 0 and failed where
 * fewer bytes are left. */
uint32_t rec_count(struct cur *c, size_t least_bytes);
/* from + a varint, failing past 32 bits. */
uint32_t rec_step(struct cur *c, uint32_t from);
/* Nothing failed and nothing is left, else ERR_CORRUPT. */
int rec_end(const struct cur *c, const char *what, struct err *e);
/* n * size bytes of the arena, or NULL with ERR_NOMEM in e. */
void *rec_alloc(struct arena *a, size_t n, size_t size, struct err *e);

#endif
