/* SPDX-License-Identifier: ISC */
/* Whole requests against the small store, up to the bytes of the reply. Labels are
 * not written: that is the disk's work, not the parser's. */
#include "daemon/call.h"
#include "daemon/h.h"
#include "schema/limits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/store/small.h"

static struct daemon d;

static void
end(void)
{
	views_free(d.views);
	store_close(d.store);
	mutex_free(d.writing);
	scratch_remove(NULL);
}

static void
begin(void)
{
	struct err e = ERR_INIT;

	if (scratch_make(NULL) < 0)
		abort();
	small_store("store");
	if (store_open(&d.store, at("store"), STORE_READ, &e) < 0 ||
		views_new(&d.views, d.store, &e) < 0 || mutex_new(&d.writing, &e) < 0)
		abort();
	atexit(end);
}

/* A reply is one whole response. */
static void
check_reply(const struct buf *reply, struct arena *arena)
{
	struct err e = ERR_INIT;
	const struct value *v;
	struct rpc r;
	size_t used;

	if (frame_scan(reply->data, reply->n_bytes, LIMIT_REPLY_BYTES, 24,
		    SIZE_MAX >> 1, &used, &e) != 1 ||
		used != reply->n_bytes ||
		value_parse_msgpack(&v, reply->data, used, arena, &e) < 0 ||
		rpc_read(&r, v, &e) < 0 || r.type != RPC_RESPONSE)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	static struct arena arena;
	static struct buf reply;
	struct err e = ERR_INIT;
	const struct value *v;
	struct rpc r;
	size_t used;

	if (d.store == NULL)
		begin();
	if (frame_scan(p, n_bytes, LIMIT_FRAME_BYTES, LIMIT_DEPTH, LIMIT_NODES, &used,
		    &e) != 1)
		return 0;
	arena_reset(&arena);
	buf_reset(&reply);
	if (value_parse_msgpack(&v, p, used, &arena, &e) < 0 ||
		rpc_read(&r, v, &e) < 0 || r.type == RPC_RESPONSE)
		return 0;
	call_answer(&d, &r, true, &arena, &reply);
	if (r.type == RPC_REQUEST)
		check_reply(&reply, &arena);
	else if (reply.n_bytes != 0)
		abort();
	return 0;
}
