/* SPDX-License-Identifier: ISC */
/* A connection: bytes in, framed; answers out; no more of either than it takes. */
#include "daemon/call.h"
#include "daemon/loop.h"
#include "schema/limits.h"
#include "util/log.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (64u << 10)
#define TURN_FRAMES 128 /* before other connections get theirs */
#define POLL_MS 20 /* a busy connection looks for a new generation so often */
#define KEEP_BYTES (1u << 20)

struct conn {
	struct loop *loop;
	struct conn *next, **back; /* in loop->conns */
	int fd; /* -1 = closed */
	struct event *rd, *wr;
	struct buf in, out;
	size_t need; /* bytes of in that make a whole frame, at least */
	size_t sent; /* bytes of out that are gone */
	size_t counted; /* of loop->unsent_bytes */
	unsigned n_jobs; /* under way */
	unsigned n_strikes;
	unsigned refs; /* of the list, of each job, of each function at work */
	bool read_only;
	bool eof; /* the peer sends no more */
	bool closing; /* nor do we read more; what waits is sent */
	bool more; /* a turn ended before the frames did */
	int64_t frame_ms; /* when the frame that is not whole yet began; 0 = none */
	int64_t sent_ms; /* when the peer last took something, or got new */
	int64_t active_ms;
};

static void
conn_unref(struct conn *c)
{
	if (--c->refs > 0)
		return;
	buf_clear(&c->in);
	buf_clear(&c->out);
	mem_free(c);
}

static size_t
unsent(const struct conn *c)
{
	return c->out.n_bytes - c->sent;
}

/* Keeps the loop's sum of unsent bytes. */
static void
count_unsent(struct conn *c)
{
	size_t now = c->fd >= 0 ? unsent(c) : 0;

	if (c->counted == 0)
		c->sent_ms = c->loop->now_ms;
	c->loop->unsent_bytes += now - c->counted;
	c->counted = now;
}

void
conn_close(struct conn *c)
{
	struct loop *l = c->loop;

	if (c->fd < 0)
		return;
	event_free(c->rd);
	event_free(c->wr);
	close(c->fd);
	c->fd = -1;
	count_unsent(c);
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	if (--l->n_conns == 0)
		l->alone_ms = daemon_now_ms();
	conn_unref(c);
}

/* Whether another request may be read. */
static bool
may_take(const struct conn *c)
{
	return c->fd >= 0 && !c->closing && !c->loop->stopping &&
		c->n_jobs < DAEMON_CONN_JOBS && unsent(c) <= DAEMON_CONN_UNSENT_BYTES;
}

/* ---- out ------------------------------------------------------------------ */

static void
flush(struct conn *c)
{
	while (c->fd >= 0 && unsent(c) > 0) {
		ssize_t n = send(c->fd, c->out.data + c->sent, unsent(c),
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			conn_close(c);
			return;
		}
		c->sent += (size_t)n;
		c->sent_ms = c->loop->now_ms;
		atomic_fetch_add(&c->loop->daemon->counters.bytes_out, (uint64_t)n);
	}
	if (unsent(c) > 0 && c->sent < c->out.n_bytes / 2)
		return;
	/* The rest moves to the front, at most as often as half was sent. */
	if (unsent(c) > 0)
		memmove(c->out.data, c->out.data + c->sent, unsent(c));
	c->out.n_bytes -= c->sent;
	c->sent = 0;
	if (c->out.n_bytes == 0 && c->out.cap_bytes > KEEP_BYTES)
		buf_clear(&c->out);
}

/* Whether nothing more can happen. */
static bool
is_over(const struct conn *c)
{
	bool still = c->n_jobs > 0 || unsent(c) > 0;

	return !still && (c->closing || c->loop->stopping || (c->eof && !c->more));
}

/* After anything happened: sends what can be sent, and waits for what may come. */
static void
settle(struct conn *c)
{
	struct loop *l = c->loop;

	if (c->fd < 0)
		return;
	if (c->out.failed) { /* an answer is lost: the client must not wait for it */
		log_put(LOG_WARNING, "out of memory; a connection is closed");
		conn_close(c);
		return;
	}
	flush(c);
	count_unsent(c);
	if (c->fd < 0)
		return;
	if (l->unsent_bytes > DAEMON_ALL_UNSENT_BYTES && unsent(c) > 0) {
		log_put(LOG_WARNING,
			"too much waits to be sent; a connection is closed");
		conn_close(c);
		return;
	}
	if (is_over(c)) {
		conn_close(c);
		return;
	}
	if (unsent(c) > 0)
		event_add(c->wr, NULL);
	else
		event_del(c->wr);
	if (may_take(c) && !c->eof)
		event_add(c->rd, NULL);
	else if (!may_take(c) || !c->more) /* a turn that is due stays due */
		event_del(c->rd);
	if (!may_take(c) && c->frame_ms != 0)
		c->frame_ms = l->now_ms;
}

/* ---- in ------------------------------------------------------------------- */

static void
refuse(struct conn *c, uint32_t id, const struct err *e)
{
	call_refuse(c->loop->daemon, id, e, &c->out);
}

/* A whole value. */
static void
take_frame(struct conn *c, const uint8_t *p, size_t n_bytes)
{
	struct loop *l = c->loop;
	const struct value *v;
	struct err e = ERR_INIT;
	struct rpc r = {0};
	int rc;

	rc = value_parse_msgpack(&v, p, n_bytes, &l->arena, &e);
	if (rc == 0)
		rc = rpc_read(&r, v, &e);
	if (rc == 0 && r.type == RPC_RESPONSE)
		rc = err_set(&e, ERR_FORMAT,
			"nothing was asked that could be answered");
	if (rc < 0) {
		refuse(c, r.id, &e);
		c->closing |= ++c->n_strikes >= DAEMON_STRIKES;
		return;
	}
	c->n_strikes = 0;
	if (call_try(l->daemon, &r, c->read_only, &l->arena, &c->out))
		return;
	rc = job_push(l, c, p, n_bytes, c->read_only, &e);
	if (rc == 0) {
		c->n_jobs++;
		c->refs++;
		return;
	}
	atomic_fetch_add(&l->daemon->counters.refused, 1);
	if (r.type == RPC_REQUEST)
		refuse(c, r.id, &e);
}

/* The next frame of in, from *at: false when there is none. */
static bool
next_frame(struct conn *c, size_t *at)
{
	size_t left = c->in.n_bytes - *at, used = 0;
	struct err e = ERR_INIT;
	int rc;

	if (left == 0 || left < c->need || !may_take(c))
		return false;
	rc = frame_scan(c->in.data + *at, left, LIMIT_FRAME_BYTES, LIMIT_DEPTH,
		LIMIT_NODES, &used, &e);
	if (rc < 0) {
		refuse(c, 0, &e);
		c->closing = true;
		return false;
	}
	c->need = rc == 0 ? used : 0;
	if (rc == 0)
		return false;
	take_frame(c, c->in.data + *at, used);
	arena_reset(&c->loop->arena);
	*at += used;
	c->frame_ms = 0;
	return true;
}

/* Takes what frames there are and may be taken, for one turn. */
static void
process(struct conn *c)
{
	size_t at = 0;
	int n = 0;

	while (n < TURN_FRAMES && next_frame(c, &at))
		n++;
	if (at > 0 && c->in.n_bytes > at)
		memmove(c->in.data, c->in.data + at, c->in.n_bytes - at);
	c->in.n_bytes -= at;
	if (c->in.n_bytes == 0 && c->in.cap_bytes > 2 * READ_BYTES)
		buf_clear(&c->in);
	if (c->in.n_bytes == 0)
		c->frame_ms = 0;
	else if (c->frame_ms == 0)
		c->frame_ms = c->loop->now_ms;
	c->more = n == TURN_FRAMES && c->fd >= 0;
	if (c->more)
		event_active(c->rd, EV_READ, 0);
}

/* Reads once; the kernel keeps the rest. */
static void
fill(struct conn *c)
{
	size_t want = c->need > c->in.n_bytes + READ_BYTES ? c->need - c->in.n_bytes
							   : READ_BYTES;
	uint8_t *p = buf_extend(&c->in, want);
	ssize_t n;

	if (p == NULL) {
		log_put(LOG_WARNING, "out of memory; a connection is closed");
		conn_close(c);
		return;
	}
	do
		n = read(c->fd, p, want);
	while (n < 0 && errno == EINTR);
	c->in.n_bytes -= want - (n > 0 ? (size_t)n : 0);
	if (n > 0)
		atomic_fetch_add(&c->loop->daemon->counters.bytes_in, (uint64_t)n);
	else if (n == 0)
		c->eof = true;
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		conn_close(c);
}

static void
poll_generation(struct loop *l)
{
	struct err e = ERR_INIT;

	if (views_poll(l->daemon->views, l->now_ms, POLL_MS, &e) < 0)
		log_put(LOG_WARNING, "the new generation: %s", e.text);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	c->refs++;
	c->loop->now_ms = c->active_ms = daemon_now_ms();
	poll_generation(c->loop);
	if (may_take(c) && !c->eof && !c->more)
		fill(c);
	if (c->fd >= 0)
		process(c);
	settle(c);
	conn_unref(c);
}

/* Something was sent or answered, so that more may be taken. */
static void
resume(struct conn *c)
{
	flush(c);
	if (may_take(c) && c->in.n_bytes > 0)
		process(c);
	settle(c);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	c->refs++;
	c->loop->now_ms = daemon_now_ms();
	resume(c);
	conn_unref(c);
}

void
conn_job_done(struct conn *c, struct job *j)
{
	c->n_jobs--;
	if (c->fd >= 0) {
		c->active_ms = c->loop->now_ms;
		if (unsent(c) == 0) {
			struct buf empty = c->out;

			c->out = j->reply;
			c->sent = 0;
			j->reply = empty;
			c->sent_ms = c->loop->now_ms;
		} else
			buf_put(&c->out, j->reply.data, j->reply.n_bytes);
		resume(c);
	}
	conn_unref(c);
}

/* ---- life ----------------------------------------------------------------- */

static void
link_conn(struct loop *l, struct conn *c)
{
	c->next = l->conns;
	c->back = &l->conns;
	if (c->next != NULL)
		c->next->back = &c->next;
	l->conns = c;
	l->n_conns++;
}

void
conn_new(struct loop *l, int fd, bool read_only)
{
	struct conn *c = mem_new(1, sizeof(*c));

	if (c != NULL) {
		*c = (struct conn){.loop = l,
			.fd = fd,
			.refs = 1,
			.read_only = read_only,
			.active_ms = l->now_ms,
			.sent_ms = l->now_ms};
		buf_init(&c->in);
		buf_init(&c->out);
		c->rd = event_new(l->base, fd, EV_READ | EV_PERSIST, on_read, c);
		c->wr = event_new(l->base, fd, EV_WRITE | EV_PERSIST, on_write, c);
	}
	if (c == NULL || c->rd == NULL || c->wr == NULL || event_add(c->rd, NULL) < 0) {
		log_put(LOG_WARNING, "out of memory; a connection is refused");
		if (c != NULL && c->rd != NULL)
			event_free(c->rd);
		if (c != NULL && c->wr != NULL)
			event_free(c->wr);
		mem_free(c);
		close(fd);
		return;
	}
	link_conn(l, c);
	atomic_fetch_add(&l->daemon->counters.connections, 1);
}

/* Why a connection must go, or NULL. */
static const char *
overdue(const struct conn *c)
{
	int64_t now = c->loop->now_ms;

	if (unsent(c) > 0 && now - c->sent_ms > DAEMON_SEND_S * 1000)
		return "its answers were not taken";
	if (c->frame_ms != 0 && may_take(c) &&
		now - c->frame_ms > DAEMON_FRAME_S * 1000)
		return "a request did not come to its end";
	return NULL;
}

void
conn_tick_all(struct loop *l)
{
	struct conn *c, *next;

	for (c = l->conns; c != NULL; c = next) {
		const char *why = overdue(c);

		next = c->next;
		if (why != NULL) {
			log_put(LOG_INFO, "a connection is closed: %s", why);
			conn_close(c);
		} else if (l->stopping) {
			c->refs++;
			settle(c);
			conn_unref(c);
		}
	}
}

bool
conn_make_room(struct loop *l)
{
	struct conn *oldest = NULL;

	for (struct conn *c = l->conns; c != NULL; c = c->next)
		if (c->n_jobs == 0 && unsent(c) == 0 &&
			(oldest == NULL || c->active_ms < oldest->active_ms))
			oldest = c;
	if (oldest == NULL || l->now_ms - oldest->active_ms < DAEMON_IDLE_S * 1000)
		return false;
	conn_close(oldest);
	return true;
}
