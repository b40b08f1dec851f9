/* SPDX-License-Identifier: ISC */
/*
 * conn: the inside of libsaedb: bytes to and from a daemon, and what they mean.
 * Private: programs, the saedb command included, see only client/saedb.h. Never
 * prints.
 */
#ifndef CLIENT_CONN_H
#define CLIENT_CONN_H

#include "client/saedb.h"
#include "schema/limits.h"
#include "schema/value.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define CONN_TIMEOUT_MS 60000
#define CONN_REPLY_NODES (16u << 20) /* values in one reply */

struct saedb_args {
	struct buf body; /* the pairs, MessagePack, without their head */
	uint32_t n_pairs;
	struct {
		uint64_t left; /* values still due inside a list or map */
		bool is_map;
	} level[LIMIT_DEPTH];
	int depth;
	char *cursor; /* set by saedb_next(); written last; or NULL */
	struct err err; /* sticky */
};

struct saedb_reply {
	struct saedb_reply *next; /* in conn's queue */
	struct arena arena; /* the tree */
	uint8_t *data; /* the frame, a NUL behind each string; owned */
	uint32_t id;
	const struct value *result; /* NULL with an error */
	struct err err;
};

struct conn_due { /* a request without its answer */
	uint32_t id;
	bool forgotten;
};

struct saedb {
	struct err err; /* of the last call that failed */
	saedb_send_fn send;
	saedb_receive_fn receive;
	void *user;
	int fd; /* -1 with callbacks, or not connected */
	bool connected;
	int timeout_ms; /* negative: for ever */
	uint32_t last_id;
	struct buf out; /* out.data[out_at..] waits to be written */
	size_t out_at;
	struct buf in; /* in.data[in_at..] is not parsed yet */
	size_t in_at;
	size_t in_need; /* bytes from in_at before a look is worthwhile */
	size_t in_looked; /* bytes from in_at that were not enough at the last look */
	struct saedb_reply *ready; /* arrived, oldest first */
	size_t n_arrived;
	struct conn_due *due;
	size_t n_due, cap_due;
};

/* The instant, in ms of a clock that never steps, at which a call gives up;
 * negative is never. */
int64_t conn_deadline(const struct saedb *db);
int64_t conn_clock_ms(void);

/* Frees what is queued both ways and closes the socket. */
void conn_close(struct saedb *db);
/* Appends a request (or, with id NULL, a notification) to what is to be written. */
int conn_put(struct saedb *db, const char *method, const struct saedb_args *args,
	uint32_t *id);
/* Writes what it can, reads what is there, and waits for more of either until the
 * deadline. 0 when anything moved; SAEDB_AGAIN, SAEDB_TIMEOUT, SAEDB_IO, ... */
int conn_step(struct saedb *db, int64_t deadline);
/* An arrived answer to id (0: to any), taken off the queue; or NULL. */
struct saedb_reply *conn_take(struct saedb *db, uint32_t id);
struct conn_due *conn_find_due(struct saedb *db, uint32_t id);
void conn_drop_due(struct saedb *db, uint32_t id);

/* sock.c: *fd of a connected, non-blocking socket. */
int sock_connect(int *fd, const char *address, int64_t deadline, struct err *e);
/* 1 when ready, 0 at the deadline, or a code. */
int sock_wait(int fd, short events, int64_t deadline, struct err *e);
ssize_t sock_send(void *user, const void *p, size_t n_bytes);
ssize_t sock_receive(void *user, void *p, size_t n_bytes);

/* args.c: the one parameter of a request, a map (an empty array for none). */
int conn_put_args(struct out *o, struct buf *b, const struct saedb_args *args,
	struct err *e);

#endif
