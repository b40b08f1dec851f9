/* SPDX-License-Identifier: ISC */
/* Bytes of a connection, up to the call of a handler. */
#include "tests/fuzz/fuzz.h"

#include "schema/limits.h"
#include "schema/out.h"
#include "schema/value.h"

#include <stdlib.h>

/* A message that reads as a call goes on to its arguments. */
static void
call(const struct value *v, struct arena *arena, struct err *e)
{
	struct args args;
	struct rpc rpc;
	int at;

	if (rpc_read(&rpc, v, e) < 0 || rpc.type == RPC_RESPONSE)
		return;
	at = method_find(rpc.method->str, rpc.method->n);
	if (at >= 0)
		args_check(&args, &method_table[at], rpc.params, arena, e);
}

/* What was parsed can be written by every sink. */
static void
write_back(const struct value *v)
{
	struct buf b;
	struct out o;

	buf_init(&b);
	out_init_msgpack(&o, &b, LIMIT_REPLY_BYTES);
	value_write(&o, v);
	buf_reset(&b);
	out_init_json(&o, &b, LIMIT_REPLY_BYTES);
	value_write(&o, v);
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	const struct value *v;
	struct arena arena;
	size_t used = 0;
	int rc = frame_scan(p, n_bytes, LIMIT_FRAME_BYTES, LIMIT_DEPTH, LIMIT_NODES,
		&used, &e);

	if (rc == 0 && (used <= n_bytes || used > LIMIT_FRAME_BYTES))
		abort();
	if (rc == 1 && (used == 0 || used > n_bytes))
		abort();
	if (rc < 1)
		return 0;
	arena_init(&arena, 64u << 20);
	rc = value_parse_msgpack(&v, p, used, &arena, &e);
	if (rc == 0) {
		call(v, &arena, &e);
		write_back(v);
	} else if (rc != ERR_FORMAT || e.text[0] != 'M')
		abort(); /* measured whole, yet not parsed: only extensions may be */
	arena_clear(&arena);
	return 0;
}
