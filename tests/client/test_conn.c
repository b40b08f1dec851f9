/* SPDX-License-Identifier: ISC */
/* libsaedb against a peer in memory, and against sockets. */
#include "client/conn.h"
#include "tests/client/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void
test_call(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_args *a = saedb_args_new();
	struct saedb_reply *r;

	(void)state;
	peer_answer(&peer, 1, "null",
		"{\"label\":\"gate\",\"empty\":\"\",\"n\":[1,2.5,true]}");
	saedb_args_str(a, "feature", "8k/697");
	saedb_args_str(a, "run", NULL);
	assert_int_equal(saedb_call(db, &r, "feature.get", a), 0);
	assert_string_equal(peer_got(&peer, 0),
		"[0,1,\"feature.get\",[{\"feature\":\"8k/697\"}]]");
	saedb_free(db); /* the reply needs no connection */
	assert_string_equal(saedb_str(saedb_get(saedb_result(r), "label"), "?"),
		"gate");
	assert_string_equal(saedb_str(saedb_get(saedb_result(r), "empty"), "?"), "");
	assert_string_equal(saedb_str(saedb_get(saedb_result(r), "none"), "?"), "?");
	assert_int_equal(saedb_length(saedb_get(saedb_result(r), "n")), 3);
	assert_int_equal(saedb_int(saedb_at(saedb_get(saedb_result(r), "n"), 0), -1),
		1);
	saedb_reply_free(r);
	saedb_args_free(a);
	peer_close(&peer);
}

static void
test_server_error(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_reply *r;

	(void)state;
	peer_answer(&peer, 1,
		"{\"code\":-4,\"name\":\"not_found\",\"message\":\"no such feature\","
		"\"argument\":\"feature\"}",
		"null");
	assert_int_equal(saedb_ask(db, &r, "feature.get", "feature=%s", "8k/9"),
		SAEDB_NOT_FOUND);
	assert_null(r);
	assert_string_equal(saedb_error(db), "no such feature");
	assert_string_equal(saedb_error_argument(db), "feature");
	assert_int_equal(saedb_error_code(db), SAEDB_NOT_FOUND);
	/* The connection is still good; and errors that are no maps are errors. */
	peer_answer(&peer, 2, "\"bad luck\"", "null");
	assert_int_equal(saedb_call(db, &r, "x", NULL), SAEDB_INTERNAL);
	assert_string_equal(saedb_error(db), "bad luck");
	peer_answer(&peer, 3, "{\"code\":7}", "null");
	assert_int_equal(saedb_call(db, &r, "x", NULL), SAEDB_INTERNAL);
	peer_answer(&peer, 4, "null", "7");
	assert_int_equal(saedb_call(db, &r, "x", NULL), 0);
	assert_int_equal(saedb_int(saedb_result(r), 0), 7);
	saedb_reply_free(r);
	saedb_free(db);
	peer_close(&peer);
}

static void
test_pipelining(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_reply *r;
	uint32_t id[4], got;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(saedb_send(db, "server.ping", NULL, &id[i]), 0);
	assert_int_equal(saedb_n_due(db), 4);
	assert_int_equal(saedb_wants(db), SAEDB_WANT_READ);
	assert_int_equal(saedb_receive(db, id[0], &r), SAEDB_AGAIN);
	peer_answer(&peer, id[3], "null", "3");
	peer_answer(&peer, id[1], "null", "1");
	peer_answer(&peer, 99, "null", "0"); /* nobody asked */
	peer_answer(&peer, id[2], "null", "2");
	peer_answer(&peer, id[0], "null", "0");
	saedb_forget(db, id[2]);
	assert_int_equal(saedb_receive(db, id[1], &r), 0);
	assert_int_equal(saedb_int(saedb_result(r), -1), 1);
	saedb_reply_free(r);
	assert_int_equal(saedb_receive_any(db, &got, &r), 0);
	assert_int_equal(got, id[3]);
	saedb_reply_free(r);
	assert_int_equal(saedb_receive(db, id[2], &r), SAEDB_NOT_FOUND);
	assert_int_equal(saedb_receive(db, id[0], &r), 0);
	assert_int_equal(saedb_int(saedb_result(r), -1), 0);
	saedb_reply_free(r);
	assert_int_equal(saedb_n_due(db), 0);
	assert_int_equal(saedb_receive_any(db, &got, &r), SAEDB_NOT_FOUND);
	saedb_free(db);
	peer_close(&peer);
}

/* A byte at a time, both ways, with pauses. */
static void
test_bytes(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_reply *r = NULL;
	uint32_t id;
	int rc;

	(void)state;
	peer.most = 1;
	peer.full = true;
	assert_int_equal(saedb_send(db, "server.ping", NULL, &id), SAEDB_AGAIN);
	assert_int_equal(saedb_wants(db), SAEDB_WANT_READ | SAEDB_WANT_WRITE);
	peer.full = false;
	assert_int_equal(saedb_flush(db), 0);
	assert_string_equal(peer_got(&peer, 0), "[0,1,\"server.ping\",[]]");
	peer_answer(&peer, id, "null", "{\"k\":[\"a string of some length\",{},[]]}");
	while ((rc = saedb_receive(db, id, &r)) == SAEDB_AGAIN)
		;
	assert_int_equal(rc, 0);
	assert_string_equal(saedb_str(saedb_at(saedb_get(saedb_result(r), "k"), 0), ""),
		"a string of some length");
	saedb_reply_free(r);
	saedb_free(db);
	peer_close(&peer);
}

static void
test_broken(void **state)
{
	static const struct {
		const char *p;
		size_t n;
		int code;
	} row[] = {
		{"", 0, SAEDB_IO}, /* hangs up */
		{"\x94\x01", 2, SAEDB_IO}, /* in the middle */
		{"\xc1", 1, SAEDB_BAD_FORMAT}, /* not MessagePack */
		{"\x07", 1, SAEDB_BAD_FORMAT}, /* no message */
		{"\x94\x00\x01\xa1x\x90", 6, SAEDB_BAD_FORMAT}, /* a request */
		{"\xdd\xff\xff\xff\xff", 5, SAEDB_LIMIT},
		{"\xc6\x7f\xff\xff\xff", 5, SAEDB_LIMIT},
		{"\x94\x01\x00\x81\xa4"
		 "code\xfb\xc0",
			12, SAEDB_BAD_FORMAT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct peer peer;
		struct saedb *db = peer_open(&peer);
		struct saedb_reply *r;
		int rc;

		buf_put(&peer.give, row[i].p, row[i].n);
		peer.closed = true;
		rc = saedb_call(db, &r, "server.ping", NULL);
		if (rc != row[i].code)
			fail_msg("row %zu: %d: %s", i, rc, saedb_error(db));
		assert_null(r);
		assert_true(strlen(saedb_error(db)) > 5);
		assert_int_equal(saedb_call(db, &r, "server.ping", NULL), SAEDB_IO);
		saedb_free(db);
		peer_close(&peer);
	}
}

static void
test_ask(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_reply *r;
	const char *none = getenv("SAEDB_NOT_SET");

	(void)state;
	peer_answer(&peer, 1, "null", "null");
	assert_int_equal(saedb_ask(db, &r, "m",
				 "a=%s b=%s c=%d d=%lld e=%zu f=%f  g=true h=-3 i=2.5 "
				 "j=x",
				 "s", none, -1, 1LL << 40, (size_t)5, 0.25),
		0);
	saedb_reply_free(r);
	assert_string_equal(peer_got(&peer, 0),
		"[0,1,\"m\",[{\"a\":\"s\",\"c\":-1,\"d\":1099511627776,\"e\":5,"
		"\"f\":0.25,\"g\":true,\"h\":-3,\"i\":2.5,\"j\":\"x\"}]]");
	peer_answer(&peer, 2, "null", "null");
	assert_int_equal(saedb_ask(db, &r, "m", "a=%ld b=%u", 4L, 5u), 0);
	saedb_reply_free(r);
	assert_int_equal(saedb_ask(db, &r, "m", "%s", "x"), SAEDB_BAD_ARGUMENT);
	assert_int_equal(saedb_ask(db, &r, "m", "a=%dx", 1), SAEDB_BAD_ARGUMENT);
	assert_int_equal(saedb_ask(db, &r, "m", "a"), SAEDB_BAD_ARGUMENT);
	saedb_free(db);
	peer_close(&peer);
}

static void
test_args(void **state)
{
	static const float v[2] = {1, -2};
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_args *a = saedb_args_new();
	struct saedb_reply *r;

	(void)state;
	saedb_args_list(a, "labels", 2);
	saedb_args_map(a, NULL, 2);
	saedb_args_str(a, "text", "t");
	saedb_args_list(a, "deep", 1);
	saedb_args_nil(a, NULL);
	saedb_args_map(a, NULL, 0);
	saedb_args_floats(a, "v", v, 2);
	saedb_args_bool(a, "b", true);
	saedb_args_json(a, "j", "[1,{\"k\":null}]");
	saedb_args_json(a, NULL, "{\"x\":1,\"y\":\"z\"}");
	peer_answer(&peer, 1, "null", "{\"next\":\"more\"}");
	assert_int_equal(saedb_call(db, &r, "m", a), 0);
	assert_string_equal(peer_got(&peer, 0),
		"[0,1,\"m\",[{\"labels\":[{\"text\":\"t\",\"deep\":[null]},{}],"
		"\"v\":\"AACAPwAAAMA=\",\"b\":true,\"j\":[1,{\"k\":null}],\"x\":1,"
		"\"y\":\"z\"}]]");
	assert_true(saedb_next(r, a));
	saedb_reply_free(r);
	saedb_args_free(a);

	/* Mistakes are kept, and told by the call. */
	a = saedb_args_new();
	saedb_args_list(a, "l", 2);
	saedb_args_int(a, NULL, 1);
	assert_int_equal(saedb_call(db, &r, "m", a), SAEDB_BAD_ARGUMENT);
	saedb_args_int(a, "name", 1);
	assert_int_equal(saedb_call(db, &r, "m", a), SAEDB_BAD_ARGUMENT);
	saedb_args_free(a);
	a = saedb_args_new();
	assert_int_not_equal(saedb_args_json(a, "x", "{"), 0);
	assert_int_equal(saedb_call(db, &r, "m", a), SAEDB_BAD_FORMAT);
	saedb_args_free(a);
	saedb_free(db);
	peer_close(&peer);
}

static void
test_pages(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_args *a = saedb_args_new();
	struct saedb_reply *r;
	static const char *const next[] = {"{\"next\":\"one\"}", "{\"next\":\"two\"}",
		"{\"next\":null}"};
	int n = 0;
	bool more = true;

	(void)state;
	saedb_args_str(a, "sae", "8k");
	for (; more; n++) {
		peer_answer(&peer, (uint32_t)n + 1, "null", next[n]);
		assert_int_equal(saedb_call(db, &r, "feature.list", a), 0);
		more = saedb_next(r, a);
		saedb_reply_free(r);
	}
	assert_int_equal(n, 3);
	assert_string_equal(peer_got(&peer, 2),
		"[0,3,\"feature.list\",[{\"sae\":\"8k\",\"cursor\":\"two\"}]]");
	saedb_args_free(a);
	saedb_free(db);
	peer_close(&peer);
}

static void
test_limit(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_args *a = saedb_args_new();
	struct saedb_reply *r;
	char *big = calloc(1, (1 << 20) + 1);

	(void)state;
	memset(big, 'x', 1 << 20);
	saedb_args_str(a, "query", big);
	assert_int_equal(saedb_call(db, &r, "m", a), SAEDB_LIMIT);
	assert_int_equal(peer.got.n_bytes, 0);
	peer_answer(&peer, 2, "null", "1");
	assert_int_equal(saedb_call(db, &r, "m", NULL), 0); /* nothing is left over */
	saedb_reply_free(r);
	saedb_args_free(a);
	saedb_free(db);
	peer_close(&peer);
	free(big);
}

/* The N-th allocation fails: an error or a result, and nothing leaks. */
static void
test_memory(void **state)
{
	struct peer peer;
	int rc = -1;

	(void)state;
	for (long n = 0; rc != 0; n++) {
		struct saedb *db = peer_open(&peer);
		struct saedb_args *a;
		struct saedb_reply *r = NULL;
		char *json = NULL;

		assert_true(n < 200);
		assert_non_null(db);
		peer_answer(&peer, 1, "null", "{\"a\":[1,2,\"three\"],\"next\":\"n\"}");
		buf_extend(&peer.got, 1024);
		peer.got.n_bytes = 0;
		mem_fail_at(n);
		a = saedb_args_new();
		saedb_args_str(a, "k", "v");
		saedb_args_json(a, NULL, "{\"x\":[1]}");
		rc = saedb_call(db, &r, "m", a);
		if (rc == 0) {
			rc = saedb_json(saedb_result(r), &json);
			saedb_next(r, a);
		}
		if (rc == 0 && a == NULL)
			rc = SAEDB_NO_MEMORY; /* nothing to be told by */
		mem_fail_at(-1);
		if (rc != 0)
			assert_int_equal(rc, SAEDB_NO_MEMORY);
		saedb_text_free(json);
		saedb_reply_free(r);
		saedb_args_free(a);
		saedb_free(db);
		peer_close(&peer);
	}
}

static void
test_rows(void **state)
{
	struct peer peer;
	struct saedb *db = peer_open(&peer);
	struct saedb_reply *r;
	struct saedb_feature f;
	struct saedb_example x;

	(void)state;
	peer_answer(&peer, 1, "null",
		"[{\"feature\":\"8k/"
		"1\",\"count\":7,\"density\":0.5,\"max\":3,\"label\":null},"
		"{\"value\":2.5,\"tokens\":[\"a\",\"b\"],\"values\":[0,2.5],\"first\":"
		"4,"
		"\"offset\":5,\"interval\":-1},7]");
	assert_int_equal(saedb_call(db, &r, "m", NULL), 0);
	assert_int_equal(saedb_read_feature(saedb_at(saedb_result(r), 0), &f), 0);
	assert_string_equal(f.address, "8k/1");
	assert_int_equal(f.count, 7);
	assert_true(f.density == 0.5 && f.max == 3);
	assert_null(f.label);
	assert_int_equal(saedb_read_example(saedb_at(saedb_result(r), 1), &x), 0);
	assert_int_equal(x.n_tokens, 2);
	assert_int_equal(x.offset - x.first, 1);
	assert_string_equal(saedb_str(saedb_at(x.tokens, 1), ""), "b");
	assert_int_equal(saedb_read_feature(saedb_at(saedb_result(r), 2), &f),
		SAEDB_BAD_FORMAT);
	assert_int_equal(saedb_read_example(NULL, &x), SAEDB_BAD_FORMAT);
	saedb_reply_free(r);
	saedb_free(db);
	peer_close(&peer);
}

/* ---- sockets ---- */

static void
test_socket(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char path[64], address[80];
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct saedb *db = saedb_new();
	struct saedb_reply *r;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/saedb-test-%d", (int)getpid());
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	snprintf(address, sizeof(address), "unix:%s", path);
	assert_int_equal(saedb_connect(db, address), SAEDB_NOT_FOUND);
	assert_non_null(strstr(saedb_error(db), path));
	assert_int_equal(bind(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s, 4), 0);
	assert_int_equal(saedb_connect(db, address), 0);
	saedb_set_timeout(db, 30);
	assert_int_equal(saedb_call(db, &r, "server.ping", NULL), SAEDB_TIMEOUT);
	assert_int_equal(saedb_n_due(db), 0);
	/* It is still connected; then the other end goes. */
	assert_int_equal(saedb_call(db, &r, "server.ping", NULL), SAEDB_TIMEOUT);
	close(accept(s, NULL, NULL));
	assert_int_equal(saedb_call(db, &r, "server.ping", NULL), SAEDB_IO);
	assert_int_equal(saedb_call(db, &r, "server.ping", NULL), SAEDB_IO);
	saedb_free(db);
	close(s);
	unlink(path);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *address;
		int code;
	} row[] = {
		{"", SAEDB_BAD_ARGUMENT},
		{"unix:", SAEDB_BAD_ARGUMENT},
		{"tcp:", SAEDB_BAD_ARGUMENT},
		{"tcp:localhost", SAEDB_BAD_ARGUMENT},
		{"tcp:localhost:", SAEDB_BAD_ARGUMENT},
		{"tcp:[::1:80", SAEDB_BAD_ARGUMENT},
		{"tcp:127.0.0.1:notaport", SAEDB_NOT_FOUND},
		{"tcp:127.0.0.1:1", SAEDB_IO},
		{"/nowhere/at/all", SAEDB_NOT_FOUND},
		{NULL, SAEDB_MISSING_ARGUMENT},
	};
	struct saedb *db = saedb_new();
	struct saedb_reply *r;
	char longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++)
		if (saedb_connect(db, row[i].address) != row[i].code)
			fail_msg("%s: %s", row[i].address, saedb_error(db));
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(saedb_connect(db, longest), SAEDB_LIMIT);
	assert_int_equal(saedb_call(db, &r, "server.ping", NULL), SAEDB_IO);
	assert_int_equal(saedb_connect(NULL, "x"), SAEDB_NO_MEMORY);
	assert_int_equal(saedb_call(NULL, &r, "x", NULL), SAEDB_NO_MEMORY);
	saedb_free(db);
}

static void
test_names(void **state)
{
	(void)state;
	for (int code = -19; code <= 0; code++)
		assert_string_not_equal(saedb_strerror(code), "an unknown error");
	assert_string_equal(saedb_strerror(-77), "an unknown error");
	/* The wire's codes and ours are the same numbers. */
	assert_int_equal(SAEDB_NO_MEMORY, ERR_NOMEM);
	assert_int_equal(SAEDB_NOT_FOUND, ERR_NOTFOUND);
	assert_int_equal(SAEDB_BAD_FORMAT, ERR_FORMAT);
	assert_int_equal(SAEDB_IO, ERR_IO);
	assert_int_equal(SAEDB_LIMIT, ERR_LIMIT);
	assert_int_equal(SAEDB_NO_METHOD, ERR_METHOD);
	assert_int_equal(SAEDB_TIMEOUT, ERR_TIMEOUT);
	assert_int_equal(SAEDB_INTERNAL, ERR_INTERNAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_server_error),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
