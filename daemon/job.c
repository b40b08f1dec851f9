/* SPDX-License-Identifier: ISC */
/* Slow requests: to the pool and back. */
#include "daemon/call.h"
#include "daemon/loop.h"
#include "schema/limits.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define MAX_SPARE 32
#define KEEP_BYTES (1u << 20) /* larger buffers are not kept */

static void
job_free(struct job *j)
{
	buf_clear(&j->frame);
	buf_clear(&j->reply);
	arena_clear(&j->arena);
	mem_free(j);
}

static struct job *
job_take(struct loop *l)
{
	struct job *j = l->spare;

	if (j != NULL) {
		l->spare = j->next;
		l->n_spare--;
		return j;
	}
	j = mem_new(1, sizeof(*j));
	if (j != NULL) {
		buf_init(&j->frame);
		buf_init(&j->reply);
		arena_init(&j->arena, DAEMON_ARENA_BYTES);
		j->loop = l;
	}
	return j;
}

static void
keep(struct buf *b)
{
	if (b->cap_bytes > KEEP_BYTES)
		buf_clear(b);
	else
		buf_reset(b);
}

static void
job_give(struct loop *l, struct job *j)
{
	if (l->n_spare >= MAX_SPARE) {
		job_free(j);
		return;
	}
	keep(&j->frame);
	keep(&j->reply);
	arena_reset(&j->arena);
	j->next = l->spare;
	l->spare = j;
	l->n_spare++;
}

/* On a worker: the frame was measured and read once already. */
static void
job_run(void *p)
{
	struct job *j = p;
	struct loop *l = j->loop;
	const struct value *v;
	struct err e = ERR_INIT;
	struct rpc r = {0};
	uint64_t one = 1;
	bool first;
	int rc =
		value_parse_msgpack(&v, j->frame.data, j->frame.n_bytes, &j->arena, &e);

	if (rc == 0)
		rc = rpc_read(&r, v, &e);
	if (rc == 0)
		call_answer(l->daemon, &r, j->read_only, &j->arena, &j->reply);
	else
		call_refuse(l->daemon, r.id, &e, &j->reply);
	mutex_lock(l->lock);
	first = l->done == NULL;
	j->next = l->done;
	l->done = j;
	mutex_unlock(l->lock);
	while (first && write(l->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* The queue ended before its turn came: nobody waits for it any more. */
static void
job_drop(void *p)
{
	struct job *j = p;

	conn_job_done(j->conn, j);
	job_free(j);
}

int
job_push(struct loop *l, struct conn *c, const void *frame, size_t n_bytes,
	bool read_only, struct err *e)
{
	struct job *j = job_take(l);
	int rc;

	if (j == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the request");
	j->conn = c;
	j->read_only = read_only;
	buf_put(&j->frame, frame, n_bytes);
	rc = j->frame.failed ? err_set(e, ERR_NOMEM, "no memory for the request")
			     : queue_push(l->queue, job_run, job_drop, j, e);
	if (rc < 0)
		job_give(l, j);
	else
		l->n_jobs++;
	return rc;
}

void
job_collect(struct loop *l)
{
	struct job *j, *next, *oldest = NULL;

	mutex_lock(l->lock);
	j = l->done;
	l->done = NULL;
	mutex_unlock(l->lock);
	for (; j != NULL; j = next) { /* in the order in which they ended */
		next = j->next;
		j->next = oldest;
		oldest = j;
	}
	for (j = oldest; j != NULL; j = next) {
		next = j->next;
		l->n_jobs--;
		conn_job_done(j->conn, j);
		job_give(l, j);
	}
}

void
job_clear(struct loop *l)
{
	struct job *j;

	job_collect(l);
	while ((j = l->spare) != NULL) {
		l->spare = j->next;
		job_free(j);
	}
	l->n_spare = 0;
}
