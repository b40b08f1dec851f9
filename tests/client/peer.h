/* SPDX-License-Identifier: ISC */
/*
 * peer: the other end of a connection, in memory: keeps what was sent, gives out
 * what a test has put there, a few bytes at a time when it likes.
 */
#ifndef TESTS_CLIENT_PEER_H
#define TESTS_CLIENT_PEER_H

#include "client/saedb.h"
#include "schema/limits.h"
#include "schema/out.h"
#include "schema/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct peer {
	struct buf got; /* from the client */
	struct buf give; /* to the client */
	size_t at;
	size_t most; /* bytes at once; 0 = all */
	bool full; /* takes nothing now */
	bool closed; /* after what it gives comes the end */
	size_t n_asked; /* of got, answered by peer_answer() */
};

static inline ssize_t
peer_send(void *user, const void *p, size_t n)
{
	struct peer *peer = user;

	if (peer->full)
		return SAEDB_AGAIN;
	if (peer->most > 0 && n > peer->most)
		n = peer->most;
	buf_put(&peer->got, p, n);
	return peer->got.failed ? SAEDB_NO_MEMORY : (ssize_t)n;
}

static inline ssize_t
peer_receive(void *user, void *p, size_t n)
{
	struct peer *peer = user;
	size_t left = peer->give.n_bytes - peer->at;

	if (left == 0)
		return peer->closed ? 0 : SAEDB_AGAIN;
	if (n > left)
		n = left;
	if (peer->most > 0 && n > peer->most)
		n = peer->most;
	memcpy(p, peer->give.data + peer->at, n);
	peer->at += n;
	return (ssize_t)n;
}

static inline struct saedb *
peer_open(struct peer *peer)
{
	struct saedb *db = saedb_new();

	*peer = (struct peer){.most = 0};
	buf_init(&peer->got);
	buf_init(&peer->give);
	if (db != NULL)
		assert_int_equal(saedb_set_io(db, peer_send, peer_receive, peer), 0);
	return db;
}

static inline void
peer_close(struct peer *peer)
{
	buf_clear(&peer->got);
	buf_clear(&peer->give);
}

/* Answers id with the JSON text as the result, or as the error. */
static inline void
peer_answer(struct peer *peer, uint32_t id, const char *error, const char *result)
{
	struct err e = ERR_INIT;
	struct out o;

	out_init_msgpack(&o, &peer->give, 0);
	out_array(&o, 4);
	out_int(&o, 1);
	out_uint(&o, id);
	assert_int_equal(out_json_text(&o, error, &e), 0);
	assert_int_equal(out_json_text(&o, result, &e), 0);
	out_end(&o);
}

/* The i-th message that was sent, as JSON in a static buffer. */
static inline const char *
peer_got(struct peer *peer, size_t i)
{
	static char text[4096];
	const struct value *v = NULL;
	struct err e = ERR_INIT;
	struct arena arena;
	struct buf b;
	struct out o;
	size_t at = 0, used = 0;

	arena_init(&arena, 0);
	for (size_t k = 0; k <= i; k++, at += used)
		if (frame_scan(peer->got.data + at, peer->got.n_bytes - at, 1 << 20,
			    LIMIT_DEPTH, LIMIT_NODES, &used, &e) != 1)
			fail_msg("message %zu was not sent: %s", i, e.text);
	assert_int_equal(value_parse_msgpack(&v, peer->got.data + at - used, used,
				 &arena, &e),
		0);
	buf_init(&b);
	out_init_json(&o, &b, 0);
	value_write(&o, v);
	snprintf(text, sizeof(text), "%s", buf_str(&b));
	buf_clear(&b);
	arena_clear(&arena);
	return text;
}

#endif
