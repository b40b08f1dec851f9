/* SPDX-License-Identifier: ISC */
/*
 * saedb: the C client of saedbd, the daemon that answers questions about the
 * features of sparse autoencoders. doc/protocol.md tells what can be asked.
 *
 * Where to start
 *
 *	struct saedb *db = saedb_new();
 *	struct saedb_reply *r;
 *
 *	if (saedb_connect(db, "unix:my.store/saedbd.sock") < 0 ||
 *	    saedb_ask(db, &r, "feature.get", "feature=%s", "8k/697") < 0) {
 *		fprintf(stderr, "%s\n", saedb_error(db));
 *	} else {
 *		printf("%s\n", saedb_str(saedb_get(saedb_result(r), "label"), "?"));
 *		saedb_reply_free(r);
 *	}
 *	saedb_free(db);
 *
 * client/example.c is a whole program. Four opaque types:
 *
 *	struct saedb		a connection
 *	struct saedb_args	the arguments of a request, while they are built
 *	struct saedb_reply	an answer; owns all that is in it
 *	struct saedb_value	a value in an answer; borrowed from the reply
 *
 * Errors. Functions that can fail return 0 (or a count), or a negative enum
 * saedb_error; results come by pointer. The connection keeps the last failure:
 * saedb_error() is a sentence, saedb_error_argument() the argument at fault. A
 * server's error and one of ours look alike. Accessors never fail: they accept
 * NULL and values of another type, and give NULL, 0 or the fallback that you
 * pass, so that a chain of them needs one test.
 *
 * Ownership. "new" is freed with the call that is named, "borrowed" is valid
 * until the named event. Every free accepts NULL.
 *
 * Threads. A connection, and a struct saedb_args, belong to one thread at a
 * time; different ones are independent. Replies do not change and do not
 * need their connection: any thread may read them, also after saedb_free().
 *
 * Input and output. saedb_connect() gives a socket, and calls wait up to
 * saedb_set_timeout(). Or give two callbacks to saedb_set_io(), and the
 * library fits any event loop: where a callback would wait it returns
 * SAEDB_AGAIN, and so do the calls; saedb_wants() tells what to wait for.
 *
 * The library never prints, never exits, installs no signal handler and raises
 * no SIGPIPE.
 */
#ifndef SAEDB_H
#define SAEDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors -------------------------------------------------------------- */

/* -1 to -99 are the protocol's codes, from the server or from this library. */
enum saedb_error {
	SAEDB_OK = 0,
	SAEDB_NO_MEMORY = -1,
	SAEDB_BAD_ARGUMENT = -2, /* the wrong type, or out of range */
	SAEDB_MISSING_ARGUMENT = -3,
	SAEDB_NOT_FOUND = -4,
	SAEDB_BAD_FORMAT = -5, /* a frame or input is malformed */
	SAEDB_UNSUPPORTED = -6,
	SAEDB_MISMATCH = -7, /* two inputs contradict each other */
	SAEDB_IO = -8, /* also: the connection is closed */
	SAEDB_FULL = -9,
	SAEDB_CORRUPT = -10, /* stored data fails its check */
	SAEDB_BUSY = -11, /* another writer, or too many requests */
	SAEDB_VERSION = -12, /* a store of another version */
	SAEDB_LIMIT = -13,
	SAEDB_DENIED = -14, /* not allowed on this connection */
	SAEDB_NO_METHOD = -15,
	SAEDB_STALE = -16, /* a cursor of a generation that is gone */
	SAEDB_CANCELLED = -17,
	SAEDB_TIMEOUT = -18,
	SAEDB_INTERNAL = -19,
	SAEDB_AGAIN = -100, /* never on the wire: a callback would wait */
};

/* What a code means, in a few words. Never NULL; any number is fine. */
const char *saedb_strerror(int code);
const char *saedb_version(void); /* of the library: "0.1.0" */

/* ---- a connection -------------------------------------------------------- */

struct saedb;

/* new: saedb_free(). NULL when memory ran out; the others accept that NULL and
 * fail, so only the first real use needs a test. */
struct saedb *saedb_new(void);
void saedb_free(struct saedb *db);

/* address: "unix:PATH", "tcp:HOST:PORT" ("tcp:[::1]:7460"), or the path of a
 * socket. Waits no longer than the timeout. A connection that was there is
 * closed first. */
int saedb_connect(struct saedb *db, const char *address);

/* How long one call may wait; negative is for ever. Default 60,000. After
 * SAEDB_TIMEOUT the connection is still good: the late answer is dropped. */
void saedb_set_timeout(struct saedb *db, int timeout_ms);

/* In place of saedb_connect(). send takes up to n_bytes and returns how many it
 * took, receive fills up to n_bytes and returns how many came; both return
 * SAEDB_AGAIN when they would wait, and another negative code on an error;
 * receive gives 0 at the end. */
typedef ssize_t (*saedb_send_fn)(void *user, const void *p, size_t n_bytes);
typedef ssize_t (*saedb_receive_fn)(void *user, void *p, size_t n_bytes);
int saedb_set_io(struct saedb *db, saedb_send_fn send, saedb_receive_fn receive,
	void *user);

#define SAEDB_WANT_READ 1 /* answers are due */
#define SAEDB_WANT_WRITE 2 /* requests wait to be written */
int saedb_wants(const struct saedb *db); /* a sum of SAEDB_WANT_* */
int saedb_fd(const struct saedb *db); /* the socket, -1 with callbacks */

/* Of the last call that failed. Borrowed until the next call. Never NULL. */
const char *saedb_error(const struct saedb *db);
int saedb_error_code(const struct saedb *db);
const char *saedb_error_argument(const struct saedb *db); /* or "" */

/* ---- arguments ----------------------------------------------------------- */

struct saedb_args;

/* new: saedb_args_free(). Sticky: fill on, the call that takes them tells. A
 * name is given once; NULL strings are left out. */
struct saedb_args *saedb_args_new(void);
void saedb_args_free(struct saedb_args *a);
void saedb_args_str(struct saedb_args *a, const char *name, const char *v);
void saedb_args_strn(struct saedb_args *a, const char *name, const char *v,
	size_t n_bytes);
void saedb_args_int(struct saedb_args *a, const char *name, int64_t v);
void saedb_args_float(struct saedb_args *a, const char *name, double v);
void saedb_args_bool(struct saedb_args *a, const char *name, bool v);
void saedb_args_nil(struct saedb_args *a, const char *name);
void saedb_args_bin(struct saedb_args *a, const char *name, const void *p,
	size_t n_bytes);
/* (n) floats, sent as little-endian bytes: a vector. */
void saedb_args_floats(struct saedb_args *a, const char *name, const float *v,
	size_t n);
/* The next n values (pairs) belong inside; in a list their name is NULL. */
void saedb_args_list(struct saedb_args *a, const char *name, size_t n);
void saedb_args_map(struct saedb_args *a, const char *name, size_t n);
/* A value as JSON text; with name NULL at the top, each pair of an object. */
int saedb_args_json(struct saedb_args *a, const char *name, const char *json);

/* ---- asking -------------------------------------------------------------- */

struct saedb_reply;
struct saedb_value;

/* Asks and waits. args may be NULL and stays the caller's. *reply is new:
 * saedb_reply_free(); NULL on an error. With callbacks that do not wait, send and
 * receive instead: here SAEDB_AGAIN gives the request up. */
int saedb_call(struct saedb *db, struct saedb_reply **reply, const char *method,
	const struct saedb_args *args);

/* The same in a line. format: words NAME=CONVERSION with %s, %d, %u, %ld, %lld,
 * %zu or %f, or NAME=true, false or a number; NULL for %s leaves the argument
 * out.
 *	saedb_ask(db, &r, "feature.neighbors", "feature=%s k=%d", "8k/697", 5) */
int saedb_ask(struct saedb *db, struct saedb_reply **reply, const char *method,
	const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 4, 5)))
#endif
	;

/* Pipelining: send several, receive in any order. SAEDB_AGAIN from saedb_send()
 * with callbacks means that the request is kept and saedb_flush() is to be
 * called when the way is free. */
int saedb_send(struct saedb *db, const char *method, const struct saedb_args *args,
	uint32_t *id);
int saedb_notify(struct saedb *db, const char *method, const struct saedb_args *args);
int saedb_flush(struct saedb *db);
/* The answer to that request; others that come meanwhile are kept. */
int saedb_receive(struct saedb *db, uint32_t id, struct saedb_reply **reply);
/* Whichever comes first, its number in *id (also with a server's error).
 * SAEDB_NOT_FOUND when none is due. */
int saedb_receive_any(struct saedb *db, uint32_t *id, struct saedb_reply **reply);
void saedb_forget(struct saedb *db, uint32_t id); /* its answer will be dropped */
size_t saedb_n_due(const struct saedb *db); /* requests sent and not received */

/* Pages: sets args' cursor to the reply's `next`; false after the last page.
 *	do { saedb_call(db, &r, "feature.list", a); ...; more = saedb_next(r, a);
 *	     saedb_reply_free(r); } while (more); */
bool saedb_next(const struct saedb_reply *reply, struct saedb_args *args);

/* ---- an answer ------------------------------------------------------------ */

enum saedb_type {
	SAEDB_NIL,
	SAEDB_BOOL,
	SAEDB_INT,
	SAEDB_FLOAT,
	SAEDB_STR, /* UTF-8, and NUL-terminated behind its length */
	SAEDB_BIN,
	SAEDB_LIST,
	SAEDB_MAP,
};

void saedb_reply_free(struct saedb_reply *r);
/* Values are borrowed from the reply, until it is freed. */
const struct saedb_value *saedb_result(const struct saedb_reply *r);
enum saedb_type saedb_type(const struct saedb_value *v);
size_t saedb_length(const struct saedb_value *v); /* bytes, elements, pairs; else 0 */
const struct saedb_value *saedb_get(const struct saedb_value *map, const char *key);
const struct saedb_value *saedb_at(const struct saedb_value *list, size_t i);
const struct saedb_value *saedb_key(const struct saedb_value *map, size_t i);
const struct saedb_value *saedb_pair(const struct saedb_value *map, size_t i);

int64_t saedb_int(const struct saedb_value *v,
	int64_t otherwise); /* also whole floats */
double saedb_float(const struct saedb_value *v, double otherwise); /* also integers */
bool saedb_bool(const struct saedb_value *v, bool otherwise);
const char *saedb_str(const struct saedb_value *v, const char *otherwise);
const void *saedb_bin(const struct saedb_value *v, size_t *n_bytes); /* or NULL */
/* Copies up to n floats from little-endian bytes or from a list of numbers.
 * Returns how many there are. */
size_t saedb_floats(const struct saedb_value *v, float *out, size_t n);
/* As JSON (bytes as base64, NaN as null, ...). *text is new: saedb_text_free(). */
int saedb_json(const struct saedb_value *v, char **text);
void saedb_text_free(char *text);

/* ---- rows ----------------------------------------------------------------- */

/* What feature.get, feature.list, feature.neighbors, label.search and
 * token.features say of a feature, 0 or NULL where they do not. Borrowed. */
struct saedb_feature {
	const char *address; /* "8k/697" */
	uint64_t index;
	uint64_t count; /* positions where it fires */
	double density; /* count / tokens */
	double max, mean; /* mean where it fires */
	const char *label; /* or NULL */
	const char *source; /* of the label, or NULL */
	double cosine; /* of neighbors, by that metric */
};
struct saedb_example {
	const char *document; /* its id, or NULL */
	uint64_t window, offset; /* of the peak */
	uint64_t first; /* the window's offset of token 0 */
	double value; /* at the peak */
	int interval; /* 0 to 9, -1 for the best */
	size_t n_tokens;
	const struct saedb_value *tokens; /* (n_tokens) strings */
	const struct saedb_value *values; /* (n_tokens) activations */
};
/* 0, or SAEDB_BAD_FORMAT when row is no map; missing parts are 0 or NULL. */
int saedb_read_feature(const struct saedb_value *row, struct saedb_feature *out);
int saedb_read_example(const struct saedb_value *row, struct saedb_example *out);

#ifdef __cplusplus
}
#endif
#endif
