/* SPDX-License-Identifier: ISC */
#include "daemon/loop.h"

#include "daemon/call.h"
#include "util/log.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_ACCEPTS 16

/* ---- accepting ------------------------------------------------------------ */

/* Says why, as the answer to a request that was never made. */
static void
turn_away(struct loop *l, int fd)
{
	struct err e = ERR_INIT;
	struct buf b;

	err_set(&e, ERR_BUSY, "%d clients are connected already; try again later",
		DAEMON_MAX_CONNS);
	buf_init(&b);
	call_refuse(l->daemon, 0, &e, &b);
	if (send(fd, b.data, b.n_bytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_put(LOG_DBG, "a refused client was gone already");
	buf_clear(&b);
	close(fd);
	atomic_fetch_add(&l->daemon->counters.refused, 1);
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct loop *l = arg;
	bool tcp = l->listener[1] != NULL && listener == l->listener[1]->fd;

	(void)what;
	l->now_ms = daemon_now_ms();
	for (int i = 0; i < TURN_ACCEPTS; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			/* Out of descriptors: wait for the next tick instead of spinning. */
			log_put(LOG_WARNING, "cannot accept: %s", strerror(errno));
			event_del(l->accept[tcp]);
		}
		if (fd < 0)
			return;
		if (l->n_conns >= DAEMON_MAX_CONNS && !conn_make_room(l))
			turn_away(l, fd);
		else
			conn_new(l, fd, tcp);
	}
}

/* ---- stopping ------------------------------------------------------------- */

static void
close_listeners(struct loop *l)
{
	for (size_t i = 0; i < 2; i++) {
		if (l->accept[i] != NULL)
			event_free(l->accept[i]);
		l->accept[i] = NULL;
		if (l->listener[i] != NULL)
			listen_close(l->listener[i]);
	}
}

/* Ends the loop once nothing is under way, or time is up. */
static void
check_stopped(struct loop *l)
{
	if (!l->stopping)
		return;
	if (l->now_ms - l->stop_ms > DAEMON_STOP_S * 1000)
		atomic_store(&l->daemon->giving_up, true);
	if ((l->n_conns == 0 && l->n_jobs == 0) ||
		l->now_ms - l->stop_ms > DAEMON_STOP_S * 1000)
		event_base_loopbreak(l->base);
}

static void
stop(struct loop *l, const char *why)
{
	if (l->stopping)
		return;
	log_put(LOG_NOTICE, "stopping: %s", why);
	l->stopping = true;
	l->stop_ms = l->now_ms = daemon_now_ms();
	close_listeners(l);
	live_stop(l->daemon->live);
	conn_tick_all(l);
	check_stopped(l);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	stop(arg, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- ticking -------------------------------------------------------------- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct err e = ERR_INIT;

	(void)fd, (void)what;
	l->now_ms = daemon_now_ms();
	if (views_poll(l->daemon->views, l->now_ms, DAEMON_POLL_MS / 2, &e) < 0)
		log_put(LOG_WARNING, "the new generation: %s", e.text);
	indexes_look(l->daemon->indexes);
	for (size_t i = 0; i < 2; i++)
		if (l->accept[i] != NULL)
			event_add(l->accept[i], NULL);
	conn_tick_all(l);
	if (l->n_conns > 0)
		l->alone_ms = l->now_ms;
	if (l->idle_exit_s > 0 && l->now_ms - l->alone_ms >= l->idle_exit_s * 1000)
		stop(l, "nobody is connected (--idle-exit)");
	check_stopped(l);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_put(LOG_WARNING, "the pool's wake-up: %s", strerror(errno));
	l->now_ms = daemon_now_ms();
	job_collect(l);
	check_stopped(l);
}

/* ---- life ----------------------------------------------------------------- */

static struct event *
watch(struct loop *l, evutil_socket_t fd, short what, event_callback_fn fn)
{
	struct event *ev = event_new(l->base, fd, (short)(what | EV_PERSIST), fn, l);
	struct timeval tick = {.tv_usec = DAEMON_POLL_MS * 1000};

	if (ev != NULL && event_add(ev, what == EV_TIMEOUT ? &tick : NULL) < 0) {
		event_free(ev);
		ev = NULL;
	}
	return ev;
}

static int
start(struct loop *l, const struct loop_options *o, struct err *e)
{
	bool ok;
	int rc = mutex_new(&l->lock, e);

	if (rc == 0)
		rc = queue_new(&l->queue, o->n_workers, DAEMON_QUEUE_JOBS, e);
	if (rc < 0)
		return rc;
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0)
		return err_sys(e, "an event descriptor");
	l->base = event_base_new();
	if (l->base == NULL)
		return err_set(e, ERR_NOMEM, "no event loop can be made");
	l->wake = watch(l, l->wake_fd, EV_READ, on_wake);
	l->tick = watch(l, -1, EV_TIMEOUT, on_tick);
	l->term = watch(l, SIGTERM, EV_SIGNAL, on_signal);
	l->interrupt = watch(l, SIGINT, EV_SIGNAL, on_signal);
	ok = l->wake != NULL && l->tick != NULL && l->term != NULL &&
		l->interrupt != NULL;
	for (size_t i = 0; i < 2 && ok; i++) {
		if (l->listener[i] == NULL)
			continue;
		l->accept[i] = watch(l, l->listener[i]->fd, EV_READ, on_accept);
		ok = l->accept[i] != NULL;
	}
	return ok ? 0 : err_set(e, ERR_NOMEM, "no memory for the event loop");
}

/* The queue first: its threads use all the rest. */
static void
finish(struct loop *l)
{
	struct event *ev[] = {l->wake, l->tick, l->term, l->interrupt};

	l->stopping = true;
	close_listeners(l);
	queue_free(l->queue);
	if (l->lock != NULL)
		job_clear(l);
	while (l->conns != NULL)
		conn_close(l->conns);
	for (size_t i = 0; i < sizeof(ev) / sizeof(ev[0]); i++)
		if (ev[i] != NULL)
			event_free(ev[i]);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	mutex_free(l->lock);
	arena_clear(&l->arena);
	libevent_global_shutdown();
}

int
loop_run(struct daemon *d, const struct loop_options *o, struct err *e)
{
	struct loop l = {.daemon = d,
		.wake_fd = -1,
		.idle_exit_s = o->idle_exit_s,
		.listener = {o->listener[0], o->listener[1]}};
	int rc;

	l.now_ms = l.alone_ms = daemon_now_ms();
	arena_init(&l.arena, DAEMON_ARENA_BYTES);
	rc = start(&l, o, e);
	if (rc == 0 && event_base_dispatch(l.base) < 0)
		rc = err_set(e, ERR_IO, "the event loop failed");
	finish(&l);
	return rc;
}
