/* SPDX-License-Identifier: ISC */
/*
 * loop: saedbd's one event loop: listeners, signals, ticks, and what comes back
 * from the pool. What a connection does is in conn.c; these two files alone know
 * libevent.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "util/buf.h"
#include "util/mem.h"

struct conn;
struct event;
struct event_base;

struct loop_options {
	struct listener
		*listener[2]; /* Unix, TCP; borrowed; NULL where there is none */
	long idle_exit_s; /* 0 = never */
	size_t n_workers;
};
/* Serves until SIGTERM, SIGINT or the idle time. Closes the listeners. */
int loop_run(struct daemon *d, const struct loop_options *o, struct err *e);

/* ---- between loop.c, conn.c and job.c -------------------------------------- */

struct job { /* one slow request */
	struct loop *loop;
	struct conn *conn; /* stays while its jobs do */
	bool read_only;
	struct buf frame, reply; /* owned, kept for the next */
	struct arena arena; /* owned */
	struct job *next;
};

struct loop {
	struct daemon *daemon;
	struct event_base *base;
	struct queue *queue; /* workers */
	struct mutex *lock; /* of done */
	struct job *done; /* finished by workers, newest first */
	int wake_fd; /* eventfd: done is no longer empty */
	struct job *spare; /* for the next requests */
	size_t n_spare;
	struct conn *conns;
	size_t n_conns, n_jobs;
	size_t unsent_bytes; /* of all connections */
	struct arena arena; /* of quick requests */
	int64_t now_ms, alone_ms, stop_ms; /* alone: since when nobody is connected */
	long idle_exit_s;
	bool stopping;
	struct event *accept[2], *wake, *tick, *term, *interrupt;
	struct listener *listener[2];
};

/* A connection that was accepted; fd is taken. */
void conn_new(struct loop *l, int fd, bool read_only);
void conn_close(struct conn *c);
/* The job's reply goes out; the job is the caller's again. */
void conn_job_done(struct conn *c, struct job *j);
/* Closes what was too slow; when stopping, what has nothing more to do. */
void conn_tick_all(struct loop *l);
/* Closes the connection that was idle longest, if any was for DAEMON_IDLE_S. */
bool conn_make_room(struct loop *l);

/* Takes a copy of the frame. ERR_BUSY when too many wait. */
int job_push(struct loop *l, struct conn *c, const void *frame, size_t n_bytes,
	bool read_only, struct err *e);
/* On the loop: hands the finished ones to their connections. */
void job_collect(struct loop *l);
void job_clear(struct loop *l); /* once the queue is gone */

#endif
