/* SPDX-License-Identifier: ISC */
/*
 * call: from a message to its answer: finds the row, checks the arguments, opens
 * what the row needs, calls the handler, writes reply or error. Knows no socket.
 */
#ifndef DAEMON_CALL_H
#define DAEMON_CALL_H

#include "daemon/daemon.h"
#include "schema/value.h"

/* Appends the reply to a request; nothing for a notification, which is carried
 * out too. arena is scratch: it may be reset when this returns. Thread: any, each
 * with its own arena and buffer. */
void call_answer(struct daemon *d, const struct rpc *r, bool read_only,
	struct arena *arena, struct buf *reply);
/* The same on the event loop: false, and nothing done, where the call must go to the
 * pool: slow methods, and those that find out. */
bool call_try(struct daemon *d, const struct rpc *r, bool read_only,
	struct arena *arena, struct buf *reply);
/* Appends an error reply, and counts it. */
void call_refuse(struct daemon *d, uint32_t id, const struct err *e, struct buf *reply);

#endif
