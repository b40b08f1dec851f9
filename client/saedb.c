/* SPDX-License-Identifier: ISC */
#include "client/saedb.h"

#include "client/conn.h"
#include "config.h"
#include "schema/out.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* No default: the compiler names a code that is missing here. */
const char *
saedb_strerror(int code)
{
	switch ((enum saedb_error)code) {
	case SAEDB_OK:
		return "no error";
	case SAEDB_NO_MEMORY:
		return "memory ran out";
	case SAEDB_BAD_ARGUMENT:
		return "an argument has the wrong type or is out of range";
	case SAEDB_MISSING_ARGUMENT:
		return "a required argument is missing";
	case SAEDB_NOT_FOUND:
		return "what was asked for is not there";
	case SAEDB_BAD_FORMAT:
		return "an input is malformed";
	case SAEDB_UNSUPPORTED:
		return "not something saedb can do";
	case SAEDB_MISMATCH:
		return "two inputs contradict each other";
	case SAEDB_IO:
		return "a read or write failed, or the connection is closed";
	case SAEDB_FULL:
		return "the disk is full";
	case SAEDB_CORRUPT:
		return "stored data fails its check";
	case SAEDB_BUSY:
		return "in use by another writer, or too many requests wait";
	case SAEDB_VERSION:
		return "a store of another version";
	case SAEDB_LIMIT:
		return "larger than a stated limit";
	case SAEDB_DENIED:
		return "not allowed on this connection";
	case SAEDB_NO_METHOD:
		return "no such method";
	case SAEDB_STALE:
		return "a cursor of a generation that is gone";
	case SAEDB_CANCELLED:
		return "stopped";
	case SAEDB_TIMEOUT:
		return "a deadline passed";
	case SAEDB_INTERNAL:
		return "a mistake of saedb's own";
	case SAEDB_AGAIN:
		return "a read or write would wait";
	}
	return "an unknown error";
}

const char *
saedb_version(void)
{
	return PACKAGE_VERSION;
}

struct saedb *
saedb_new(void)
{
	struct saedb *db = mem_new(1, sizeof(*db));

	if (db == NULL)
		return NULL;
	db->fd = -1;
	db->timeout_ms = CONN_TIMEOUT_MS;
	buf_init(&db->out);
	buf_init(&db->in);
	return db;
}

void
saedb_free(struct saedb *db)
{
	if (db == NULL)
		return;
	conn_close(db);
	mem_free(db->due);
	mem_free(db);
}

int
saedb_connect(struct saedb *db, const char *address)
{
	int rc;

	if (db == NULL)
		return SAEDB_NO_MEMORY;
	conn_close(db);
	if (address == NULL)
		return err_arg(&db->err, ERR_MISSING, "address",
			"no address was given");
	rc = sock_connect(&db->fd, address, conn_deadline(db), &db->err);
	if (rc != 0)
		return rc;
	db->send = sock_send;
	db->receive = sock_receive;
	db->user = db;
	db->connected = true;
	return 0;
}

int
saedb_set_io(struct saedb *db, saedb_send_fn send, saedb_receive_fn receive, void *user)
{
	if (db == NULL)
		return SAEDB_NO_MEMORY;
	if (send == NULL || receive == NULL)
		return err_set(&db->err, ERR_MISSING, "two callbacks are needed");
	conn_close(db);
	db->send = send;
	db->receive = receive;
	db->user = user;
	db->connected = true;
	return 0;
}

void
saedb_set_timeout(struct saedb *db, int timeout_ms)
{
	if (db != NULL)
		db->timeout_ms = timeout_ms;
}

int
saedb_wants(const struct saedb *db)
{
	int wants = 0;

	if (db == NULL || !db->connected)
		return 0;
	if (db->n_due > 0)
		wants |= SAEDB_WANT_READ;
	if (db->out.n_bytes > db->out_at)
		wants |= SAEDB_WANT_WRITE;
	return wants;
}

int
saedb_fd(const struct saedb *db)
{
	return db == NULL ? -1 : db->fd;
}

const char *
saedb_error(const struct saedb *db)
{
	if (db == NULL)
		return saedb_strerror(SAEDB_NO_MEMORY);
	return db->err.text[0] != '\0' ? db->err.text : saedb_strerror(db->err.code);
}

int
saedb_error_code(const struct saedb *db)
{
	return db == NULL ? SAEDB_NO_MEMORY : db->err.code;
}

const char *
saedb_error_argument(const struct saedb *db)
{
	return db == NULL ? "" : db->err.arg;
}

/* ---- asking ---- */

int
saedb_flush(struct saedb *db)
{
	int64_t deadline;
	int rc = 0;

	if (db == NULL)
		return SAEDB_NO_MEMORY;
	deadline = conn_deadline(db);
	while (rc == 0 && db->out.n_bytes > db->out_at)
		rc = conn_step(db, deadline);
	return rc;
}

int
saedb_send(struct saedb *db, const char *method, const struct saedb_args *args,
	uint32_t *id)
{
	int rc;

	if (db == NULL)
		return SAEDB_NO_MEMORY;
	if (!db->connected)
		return err_set(&db->err, ERR_IO, "not connected");
	rc = conn_put(db, method, args, id);
	return rc != 0 ? rc : saedb_flush(db);
}

int
saedb_notify(struct saedb *db, const char *method, const struct saedb_args *args)
{
	return saedb_send(db, method, args, NULL);
}

void
saedb_forget(struct saedb *db, uint32_t id)
{
	struct conn_due *d;

	if (db == NULL || id == 0)
		return;
	saedb_reply_free(conn_take(db, id));
	d = conn_find_due(db, id);
	if (d != NULL)
		d->forgotten = true;
}

size_t
saedb_n_due(const struct saedb *db)
{
	size_t n = 0;

	for (size_t i = 0; db != NULL && i < db->n_due; i++)
		n += !db->due[i].forgotten;
	return n;
}

/* Waits for an answer to id (0: any) and gives it, or its error. */
static int
receive(struct saedb *db, uint32_t id, uint32_t *got, struct saedb_reply **reply)
{
	int64_t deadline;
	struct saedb_reply *r;
	int rc;

	*reply = NULL;
	if (db == NULL)
		return SAEDB_NO_MEMORY;
	deadline = conn_deadline(db);
	if (id != 0 ? conn_find_due(db, id) == NULL : saedb_n_due(db) == 0)
		return err_set(&db->err, ERR_NOTFOUND, "no such answer is due");
	while ((r = conn_take(db, id)) == NULL) {
		rc = conn_step(db, deadline);
		if (rc != 0)
			return rc;
	}
	*got = r->id;
	if (r->err.code != 0) {
		db->err = r->err;
		saedb_reply_free(r);
		return db->err.code;
	}
	*reply = r;
	return 0;
}

int
saedb_receive(struct saedb *db, uint32_t id, struct saedb_reply **reply)
{
	uint32_t got;

	if (id == 0 && db != NULL) {
		*reply = NULL;
		return err_set(&db->err, ERR_NOTFOUND, "no such answer is due");
	}
	return receive(db, id, &got, reply);
}

int
saedb_receive_any(struct saedb *db, uint32_t *id, struct saedb_reply **reply)
{
	*id = 0;
	return receive(db, 0, id, reply);
}

int
saedb_call(struct saedb *db, struct saedb_reply **reply, const char *method,
	const struct saedb_args *args)
{
	uint32_t id = 0;
	int rc;

	*reply = NULL;
	rc = saedb_send(db, method, args, &id);
	if (rc == 0)
		rc = saedb_receive(db, id, reply);
	if (rc == SAEDB_TIMEOUT || rc == SAEDB_AGAIN)
		saedb_forget(db, id);
	return rc;
}
