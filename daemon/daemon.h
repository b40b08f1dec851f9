/* SPDX-License-Identifier: ISC */
/*
 * daemon: saedbd, which answers questions about a store and changes nothing in
 * it but labels. This header is what its files share; it knows neither libevent
 * nor sockets.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/indexes.h"
#include "daemon/live.h"
#include "daemon/views.h"
#include "util/err.h"
#include "util/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DAEMON_MAX_CONNS 256
#define DAEMON_CONN_JOBS 16 /* slow requests of one connection under way */
#define DAEMON_CONN_UNSENT_BYTES (1u << 20) /* past it, no more is read from it */
#define DAEMON_ALL_UNSENT_BYTES (512u << 20) /* past it, who causes it is dropped */
#define DAEMON_QUEUE_JOBS 1024
#define DAEMON_FRAME_S 30 /* a frame that began must be whole in that time, and */
#define DAEMON_SEND_S 30 /* a client that is sent to must take something */
#define DAEMON_IDLE_S 60 /* idle this long, a connection may make room for another */
#define DAEMON_STRIKES 16 /* messages in a row that are no calls */
#define DAEMON_POLL_MS 250 /* between looks for a newer generation */
#define DAEMON_STOP_S 10 /* to finish and send, once told to stop */
#define DAEMON_ARENA_BYTES ((size_t)512 << 20) /* of one request */

struct counters { /* since the start */
	atomic_uint_fast64_t requests, errors, connections, bytes_in, bytes_out,
		refused;
};

struct daemon {
	struct store *store; /* owned */
	struct views *views; /* owned */
	struct indexes *indexes; /* owned */
	struct live *live; /* owned: the model, for texts */
	struct mutex *writing; /* owned: one label write at a time */
	bool labels; /* this process may write labels */
	atomic_uint_fast64_t label_epoch; /* how often it did, from 1 */
	atomic_bool giving_up; /* what still runs ends with ERR_CANCELLED */
	int64_t start_ms; /* monotonic */
	struct counters counters;
};

int64_t daemon_now_ms(void); /* monotonic */
int daemon_main(int argc, char **argv);

#endif
