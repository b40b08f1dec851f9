/* SPDX-License-Identifier: ISC */
#include "daemon/call.h"

#include "daemon/req.h"
#include "schema/limits.h"

#include <stdio.h>
#include <string.h>

static int
find_method(const struct rpc *r)
{
	return method_find(r->method->str, r->method->n);
}

/* False where there is no such method. */
static bool
is_slow(const struct rpc *r)
{
	int at = find_method(r);

	return at >= 0 && (method_table[at].needs & NEED_SLOW) != 0;
}

void
call_refuse(struct daemon *d, uint32_t id, const struct err *e, struct buf *reply)
{
	struct out o;

	atomic_fetch_add(&d->counters.errors, 1);
	out_init_msgpack(&o, reply, 0);
	rpc_put_error(&o, id, e);
}

static int
may_write(const struct daemon *d, const struct method *m, bool read_only, struct err *e)
{
	if ((m->needs & NEED_WRITE) == 0)
		return 0;
	if (!d->labels)
		return err_set(e, ERR_DENIED,
			"another process writes the labels of this "
			"store, so that this daemon only reads them");
	if (read_only)
		return err_set(e, ERR_DENIED,
			"labels are not written over TCP; use the Unix "
			"socket");
	return 0;
}

/* Calls the handler into a sink that begins at the end of reply. */
static int
handle(struct req *q, handler_fn *fn, uint32_t id, struct buf *reply, struct err *e)
{
	struct out o;
	int rc;

	out_init_msgpack(&o, reply, reply->n_bytes + LIMIT_REPLY_BYTES);
	rpc_put_result(&o, id);
	rc = fn(q, &o, e);
	if (rc != 0)
		return rc;
	out_end(&o);
	if (!out_failed(&o))
		return 0;
	if (reply->failed)
		return err_set(e, ERR_NOMEM, "no memory for the answer; ask for less");
	return err_set(e, ERR_LIMIT, "the answer is larger than %u MiB; ask for less",
		LIMIT_REPLY_BYTES >> 20);
}

/* With a view of the newest generation known; once more where a generation went
 * away underneath (its run was removed). */
static int
serve(struct req *q, handler_fn *fn, uint32_t id, struct buf *reply, struct err *e)
{
	size_t start = reply->n_bytes;
	struct view *view;
	int rc = 0;

	for (int tries = 0; tries < 2; tries++) {
		rc = views_take(q->daemon->views, &view, e);
		if (rc < 0)
			return rc;
		q->view = view->store;
		q->vocab = &view->vocab;
		q->labels = &view->labels;
		q->label_epoch = q->daemon->label_epoch;
		q->cat = store_view_catalog(q->view);
		rc = handle(q, fn, id, reply, e);
		views_give(q->daemon->views, view);
		if (rc != ERR_STALE || strcmp(e->arg, "cursor") == 0)
			return rc;
		reply->n_bytes = start;
		rc = views_poll(q->daemon->views, daemon_now_ms(), 0, e);
		if (rc < 0)
			return rc;
		rc = ERR_STALE;
	}
	return rc;
}

static int
answer(struct req *q, const struct rpc *r, struct buf *reply, struct err *e)
{
	int at = find_method(r), rc;
	const struct method *m = &method_table[at];
	int shown = r->method->n < 64 ? (int)r->method->n : 64;

	if (at < 0)
		return err_set(e, ERR_METHOD,
			"there is no method \"%.*s\"; server.methods "
			"names them",
			shown, r->method->str);
	rc = may_write(q->daemon, m, q->read_only, e);
	if (rc == 0)
		rc = args_check(&q->args, m, r->params, q->arena, e);
	return rc < 0 ? rc : serve(q, handler_of((size_t)at), r->id, reply, e);
}

/* Whether it is done: false where it needs the pool and may not wait here. */
static bool
run(struct daemon *d, const struct rpc *r, bool read_only, bool may_wait,
	struct arena *arena, struct buf *reply)
{
	struct req q = {.daemon = d,
		.arena = arena,
		.may_wait = may_wait,
		.read_only = read_only || !d->labels};
	struct err e = ERR_INIT;
	size_t start = reply->n_bytes;
	int rc = answer(&q, r, reply, &e);

	if (rc == REQ_SLOW) {
		reply->n_bytes = start;
		reply->failed = false;
		return false;
	}
	atomic_fetch_add(&d->counters.requests, 1);
	if (rc == 0 && r->type == RPC_REQUEST)
		return true;
	reply->n_bytes = start;
	reply->failed = false;
	if (rc < 0 && r->type == RPC_REQUEST)
		call_refuse(d, r->id, &e, reply);
	else if (rc < 0)
		atomic_fetch_add(&d->counters.errors, 1);
	return true;
}

void
call_answer(struct daemon *d, const struct rpc *r, bool read_only, struct arena *arena,
	struct buf *reply)
{
	run(d, r, read_only, true, arena, reply);
}

bool
call_try(struct daemon *d, const struct rpc *r, bool read_only, struct arena *arena,
	struct buf *reply)
{
	return !is_slow(r) && run(d, r, read_only, false, arena, reply);
}
