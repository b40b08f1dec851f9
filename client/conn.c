/* SPDX-License-Identifier: ISC */
#include "client/conn.h"

#include "schema/limits.h"
#include "schema/out.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 << 10)

/* ---- requests that wait for their answers ---- */

struct conn_due *
conn_find_due(struct saedb *db, uint32_t id)
{
	for (size_t i = 0; i < db->n_due; i++)
		if (db->due[i].id == id)
			return &db->due[i];
	return NULL;
}

void
conn_drop_due(struct saedb *db, uint32_t id)
{
	struct conn_due *d = conn_find_due(db, id);

	if (d != NULL)
		*d = db->due[--db->n_due];
}

static int
add_due(struct saedb *db, uint32_t id)
{
	if (db->n_due == db->cap_due) {
		size_t cap = db->cap_due > 0 ? db->cap_due * 2 : 8;
		struct conn_due *grown = mem_resize(db->due, cap, sizeof(*grown));

		if (grown == NULL)
			return err_set(&db->err, ERR_NOMEM, "no memory for a request");
		db->due = grown;
		db->cap_due = cap;
	}
	db->due[db->n_due++] = (struct conn_due){.id = id};
	return 0;
}

/* 0 is what the daemon answers to what it cannot read; ids in use are passed. */
static uint32_t
new_id(struct saedb *db)
{
	do
		db->last_id++;
	while (db->last_id == 0 || conn_find_due(db, db->last_id) != NULL);
	return db->last_id;
}

void
conn_close(struct saedb *db)
{
	struct saedb_reply *r;

	while ((r = db->ready) != NULL) {
		db->ready = r->next;
		saedb_reply_free(r);
	}
	if (db->fd >= 0)
		close(db->fd);
	db->fd = -1;
	db->connected = false;
	db->n_due = 0;
	buf_clear(&db->out);
	buf_clear(&db->in);
	db->out_at = db->in_at = db->in_need = db->in_looked = 0;
}

/* ---- out ---- */

int
conn_put(struct saedb *db, const char *method, const struct saedb_args *args,
	uint32_t *id)
{
	size_t start = db->out.n_bytes;
	uint32_t number = id != NULL ? new_id(db) : 0;
	struct out o;
	int rc;

	out_init_msgpack(&o, &db->out, 0);
	if (id != NULL) {
		rpc_put_request(&o, number, method);
	} else {
		out_array(&o, 3);
		out_int(&o, RPC_NOTIFY);
		out_str(&o, method);
	}
	rc = conn_put_args(&o, &db->out, args, &db->err);
	if (rc == 0 && (out_failed(&o) || db->out.failed))
		rc = err_set(&db->err, ERR_NOMEM, "no memory for a request");
	else if (rc == 0 && db->out.n_bytes - start > LIMIT_FRAME_BYTES)
		rc = err_set(&db->err, ERR_LIMIT,
			"the request has %zu bytes; the daemon takes at most %u",
			db->out.n_bytes - start, LIMIT_FRAME_BYTES);
	if (rc == 0 && id != NULL)
		rc = add_due(db, number);
	if (rc != 0) {
		db->out.n_bytes = start;
		db->out.failed = false;
		return rc;
	}
	if (id != NULL)
		*id = number;
	return 0;
}

/* Bytes written, 0 when nothing could be, or a code. */
static ssize_t
write_some(struct saedb *db, struct err *e)
{
	size_t left = db->out.n_bytes - db->out_at;
	ssize_t n;

	if (left == 0)
		return 0;
	n = db->send(db->user, db->out.data + db->out_at, left);
	if (n == SAEDB_AGAIN)
		return 0;
	if (n < 0 || (size_t)n > left)
		return err_set(e, n < 0 ? (int)n : ERR_INTERNAL,
			"the connection broke while a request was sent");
	db->out_at += (size_t)n;
	if (db->out_at == db->out.n_bytes) {
		buf_reset(&db->out);
		db->out_at = 0;
	}
	return n;
}

/* ---- in ---- */

/* Strings borrow from the frame, whose bytes are parsed by now: the byte behind a
 * string may become its NUL. The tree is in our arena, so it may be written. */
static void
terminate(struct value *v, uint8_t *data)
{
	size_t n = v->type == VALUE_MAP ? (size_t)v->n * 2 : v->n;

	if (v->type == VALUE_STR && v->n == 0)
		v->str = "";
	else if (v->type == VALUE_STR)
		data[(size_t)((const uint8_t *)v->str - data) + v->n] = '\0';
	else if (v->type == VALUE_ARRAY || v->type == VALUE_MAP)
		for (size_t i = 0; i < n; i++)
			terminate((struct value *)&v->v[i], data);
}

static void
read_error(struct err *out, const struct value *error)
{
	int64_t code = ERR_INTERNAL;
	const char *text = saedb_str((const void *)value_get(error, "message"), NULL);

	if (text == NULL)
		text = saedb_str((const void *)error, "the daemon gave no reason");
	if (!value_as_int(value_get(error, "code"), &code) || code >= 0 ||
		code < INT16_MIN)
		code = ERR_INTERNAL;
	err_arg(out, (int)code,
		saedb_str((const void *)value_get(error, "argument"), ""), "%s", text);
}

/* A reply of the n_bytes at p, copied. */
static int
make_reply(struct saedb_reply **out, const void *p, size_t n_bytes, struct err *e)
{
	struct saedb_reply *r = mem_new(1, sizeof(*r));
	const struct value *v;
	struct rpc rpc;
	int rc;

	if (r == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an answer");
	arena_init(&r->arena, 0);
	r->data = mem_new(n_bytes + 1, 1);
	if (r->data == NULL) {
		rc = err_set(e, ERR_NOMEM, "no memory for an answer");
		goto out;
	}
	memcpy(r->data, p, n_bytes);
	rc = value_parse_msgpack(&v, r->data, n_bytes, &r->arena, e);
	if (rc == 0)
		rc = rpc_read(&rpc, v, e);
	if (rc == 0 && rpc.type != RPC_RESPONSE)
		rc = err_set(e, ERR_FORMAT, "not an answer");
	if (rc != 0)
		goto out;
	terminate((struct value *)v, r->data);
	r->id = rpc.id;
	if (rpc.error != NULL && rpc.error->type != VALUE_NIL)
		read_error(&r->err, rpc.error);
	else
		r->result = rpc.result;
	*out = r;
	return 0;
out:
	saedb_reply_free(r);
	return rc;
}

/* Puts a reply where its request will look for it. Replies that nobody waits for
 * are dropped; an error without a request ends the connection. */
static int
queue_reply(struct saedb *db, struct saedb_reply *r)
{
	struct conn_due *d = conn_find_due(db, r->id);
	struct saedb_reply **at = &db->ready;

	if (d == NULL && r->id == 0 && r->err.code != 0) {
		db->err = r->err;
		saedb_reply_free(r);
		return db->err.code;
	}
	if (d == NULL || d->forgotten) {
		conn_drop_due(db, r->id);
		saedb_reply_free(r);
		return 0;
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
	db->n_arrived++;
	return 0;
}

/* Takes whole frames off what was read. */
static int
parse(struct saedb *db)
{
	size_t left = db->in.n_bytes - db->in_at, used = 0;

	while (left > 0 && left >= db->in_need) {
		const uint8_t *p = db->in.data + db->in_at;
		struct saedb_reply *r = NULL;
		int rc = frame_scan(p, left, LIMIT_REPLY_BYTES, LIMIT_DEPTH,
			CONN_REPLY_NODES, &used, &db->err);

		db->in_looked = left;
		if (rc == 0) {
			/* Not at every byte: that would be quadratic. */
			db->in_need = left + left / 8 + 1;
			if (used > db->in_need)
				db->in_need = used;
			return 0;
		}
		if (rc > 0)
			rc = make_reply(&r, p, used, &db->err);
		if (rc < 0)
			return err_wrap(&db->err, "an answer that cannot be read");
		db->in_at += used;
		db->in_need = db->in_looked = 0;
		left -= used;
		rc = queue_reply(db, r);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Bytes read, 0 when there are none now, or a code. */
static ssize_t
read_some(struct saedb *db, struct err *e)
{
	size_t left = db->in.n_bytes - db->in_at;
	size_t want = db->in_need > left + READ_BYTES ? db->in_need - left : READ_BYTES;
	void *p;
	ssize_t n;

	if (db->in_at > 0)
		memmove(db->in.data, db->in.data + db->in_at, left);
	db->in.n_bytes = left;
	db->in_at = 0;
	p = buf_extend(&db->in, want);
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an answer");
	n = db->receive(db->user, p, want);
	db->in.n_bytes = left + (n > 0 && (size_t)n <= want ? (size_t)n : 0);
	if (n == SAEDB_AGAIN)
		return 0;
	if (n == 0)
		return err_set(e, ERR_IO, "the daemon closed the connection");
	if (n < 0 || (size_t)n > want)
		return err_set(e, n < 0 ? (int)n : ERR_INTERNAL,
			"the connection broke while an answer was read");
	return n;
}

/* Nothing moved. Bytes that parse() put off are looked at once no more come at
 * once. */
static int
wait_for_more(struct saedb *db, int64_t deadline)
{
	bool unseen = db->in.n_bytes - db->in_at > db->in_looked;
	size_t arrived = db->n_arrived;
	short events = POLLIN;
	int rc = 0;

	if (db->out.n_bytes > db->out_at)
		events |= POLLOUT;
	if (db->fd >= 0)
		rc = sock_wait(db->fd, events, unseen ? conn_clock_ms() + 1 : deadline,
			&db->err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (unseen) {
		db->in_need = 0;
		rc = parse(db);
		if (rc != 0 || db->fd >= 0 || db->n_arrived > arrived)
			return rc;
	}
	if (db->fd < 0)
		return err_set(&db->err, SAEDB_AGAIN, "nothing to read or write now");
	return err_set(&db->err, ERR_TIMEOUT, "no answer within %d ms", db->timeout_ms);
}

/* Reads also when writing fails: a daemon that hangs up may have said why. */
static int
move(struct saedb *db, bool *moved)
{
	struct err e_out = ERR_INIT, e_in = ERR_INIT;
	size_t arrived = db->n_arrived;
	ssize_t wrote = write_some(db, &e_out), got = 0;
	int rc;

	if (db->n_due > 0 || wrote < 0)
		got = read_some(db, &e_in);
	if (got < 0)
		db->in_need = 0;
	rc = parse(db);
	*moved = wrote > 0 || got > 0;
	if (rc != 0 || db->n_arrived > arrived || (wrote >= 0 && got >= 0) || got > 0)
		return rc;
	db->err = wrote < 0 ? e_out : e_in;
	return db->err.code;
}

int
conn_step(struct saedb *db, int64_t deadline)
{
	bool moved;
	int rc;

	if (!db->connected)
		return err_set(&db->err, ERR_IO, "not connected");
	rc = move(db, &moved);
	if (rc != 0)
		db->connected = false;
	else if (!moved)
		rc = wait_for_more(db, deadline);
	return rc;
}

struct saedb_reply *
conn_take(struct saedb *db, uint32_t id)
{
	for (struct saedb_reply **at = &db->ready; *at != NULL; at = &(*at)->next) {
		struct saedb_reply *r = *at;

		if (id != 0 && r->id != id)
			continue;
		*at = r->next;
		r->next = NULL;
		conn_drop_due(db, r->id);
		return r;
	}
	return NULL;
}
