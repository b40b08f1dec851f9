/* SPDX-License-Identifier: ISC */
/* Calls without a socket: every method against the small store, in either order of
 * failing allocations; views of generations; cursors. */
#include "daemon/call.h"
#include "daemon/h.h"
#include "tests/store/small.h"

static struct daemon d;
static struct arena arena;
static struct buf reply;
static char *dir;

static int
open_all(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (scratch_make(state) < 0)
		return -1;
	dir = mem_strdup(at("store"));
	small_store("store");
	arena_init(&arena, 0);
	buf_init(&reply);
	if (store_open(&d.store, dir, STORE_READ, &e) < 0 ||
		views_new(&d.views, d.store, &e) < 0 || mutex_new(&d.writing, &e) < 0)
		return -1;
	d.labels = store_labels_lock(d.store, &e) == 0;
	d.label_epoch = 1;
	return 0;
}

static int
close_all(void **state)
{
	views_free(d.views);
	mutex_free(d.writing);
	store_close(d.store);
	buf_clear(&reply);
	arena_clear(&arena);
	mem_free(dir);
	return scratch_remove(state);
}

/* Asks with parameters as JSON; the parsed reply's error or result. */
static const struct value *
ask(const char *method, const char *params, bool read_only, bool *failed)
{
	struct err e = ERR_INIT;
	const struct value *v, *p;
	struct value name = {.type = VALUE_STR,
		.n = (uint32_t)strlen(method),
		.str = method};
	struct rpc r = {.type = RPC_REQUEST, .id = 7, .method = &name};
	size_t used;

	arena_clear(&arena);
	buf_reset(&reply);
	assert_int_equal(value_parse_json(&p, params, strlen(params), &arena, &e), 0);
	r.params = p;
	call_answer(&d, &r, read_only, &arena, &reply);
	assert_int_equal(frame_scan(reply.data, reply.n_bytes, 1 << 20, 16, 100000,
				 &used, &e),
		1);
	assert_int_equal(used, reply.n_bytes);
	assert_int_equal(value_parse_msgpack(&v, reply.data, reply.n_bytes, &arena, &e),
		0);
	assert_int_equal(rpc_read(&r, v, &e), 0);
	assert_true(r.type == RPC_RESPONSE && r.id == 7);
	*failed = r.error->type != VALUE_NIL;
	return *failed ? r.error : r.result;
}

static const struct value *
result(const char *method, const char *params)
{
	bool failed;
	const struct value *v = ask(method, params, false, &failed);

	if (failed)
		fail_msg("%s%s: %.*s", method, params, (int)value_get(v, "message")->n,
			value_get(v, "message")->str);
	assert_non_null(value_get(v, "generation"));
	return v;
}

static void
refused(const char *method, const char *params, bool read_only, const char *name)
{
	bool failed;
	const struct value *v = ask(method, params, read_only, &failed);

	if (!failed || !value_is_str(value_get(v, "name"), name))
		fail_msg("%s%s is not refused as %s", method, params, name);
}

static const struct {
	const char *method, *params;
} asked[] = {
	{"server.ping", "[]"},
	{"server.info", "[]"},
	{"server.methods", "[]"},
	{"model.list", "[]"},
	{"sae.list", "[\"tiny\"]"},
	{"run.list", "[]"},
	{"run.get", "[1]"},
	{"feature.get", "[\"alpha/3\"]"},
	{"feature.many", "[[\"alpha/3\", \"alpha/77\", \"Beta/1\"]]"},
	{"feature.list", "[{\"sae\": \"alpha\", \"sort\": \"max\", \"limit\": 7}]"},
	{"feature.examples", "[\"alpha/3\"]"},
	{"feature.neighbors",
		"[{\"feature\": \"alpha/3\", \"sae\": \"beta\", \"k\": 2}]"},
	{"feature.neighbors",
		"[{\"feature\": \"alpha/3\", \"sae\": [\"beta\", \"alpha\"], "
		"\"alive\": "
		"true, \"labelled\": false, \"metric\": \"ip\"}]"},
	{"feature.cooccurrence", "[{\"feature\": \"alpha/3\", \"sae\": \"all\"}]"},
	{"feature.splitting",
		"[{\"feature\": \"beta/3\", \"min_cosine\": -1, \"k\": 2}]"},
	{"map.feature", "[{\"feature\": \"alpha/3\", \"points\": 12}]"},
	{"feature.vector", "[\"alpha/3\"]"},
	{"feature.documents", "[\"alpha/3\"]"},
	{"vector.neighbors", "[[1, 0, 0, 0, 0, 0, 0, 0], \"alpha\", 3]"},
	{"vector.neighbours",
		"[{\"vector\": [1, 0, 0, 0, 0, 0, 0, 0], \"saes\": \"all\", "
		"\"n_neighbors\": 3, \"features\": [\"Beta/3\", \"alpha/7\"]}]"},
	{"concept.neighbors", "[{\"text\": \"gate bridge\", \"top\": 2}]"},
	{"document.list", "[{\"key\": \"lang\", \"value\": \"en\", \"limit\": 1}]"},
	{"document.get", "[\"doc-3\"]"},
	{"document.activations",
		"[{\"document\": \"doc-1\", \"sae\": \"alpha\", \"top\": 2, "
		"\"labels\": true}]"},
	{"window.activations", "[1, \"alpha\"]"},
	{"feature.activations", "[\"alpha/3\"]"},
	{"label.set", "[\"alpha/3\", \"a label\"]"},
	{"label.get", "[\"alpha/3\"]"},
	{"label.import", "[[{\"feature\": \"alpha/4\", \"text\": \"four\"}]]"},
	{"label.export", "[]"},
	{"label.search", "[\"bridge\"]"},
	{"text.search", "[\"bridge\"]"},
};
#define N_ASKED (sizeof(asked) / sizeof(asked[0]))

static void
test_results(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ASKED; i++)
		result(asked[i].method, asked[i].params);
}

static void
test_counters(void **state)
{
	uint64_t requests = d.counters.requests, errors = d.counters.errors;

	(void)state;
	result("server.ping", "[]");
	refused("server.pong", "[]", false, "no_method");
	refused("server.ping", "[1]", false, "bad_argument");
	assert_int_equal(d.counters.requests, requests + 3);
	assert_int_equal(d.counters.errors, errors + 2);
}

static void
test_read_only(void **state)
{
	(void)state;
	refused("label.set", "[\"alpha/3\", \"x\"]", true, "denied");
	refused("label.delete", "[1]", true, "denied");
	refused("label.import", "[[]]", true, "denied");
	d.labels = false;
	refused("label.set", "[\"alpha/3\", \"x\"]", false, "denied");
	assert_true(value_get(result("server.info", "[]"), "read_only")->boolean);
	d.labels = true;
	assert_false(value_get(result("server.info", "[]"), "read_only")->boolean);
}

/* Whichever allocation fails: a reply that can be read, or none, and the next
 * request is served as before. */
static void
test_out_of_memory(void **state)
{
	struct value name = {.type = VALUE_STR};
	struct rpc r = {.type = RPC_REQUEST, .id = 7, .method = &name};

	(void)state;
	for (size_t i = 0; i < N_ASKED; i++) {
		bool served = false;

		name.str = asked[i].method;
		name.n = (uint32_t)strlen(name.str);
		for (long n = 0; !served && n < 3000; n++) {
			struct err e = ERR_INIT;

			arena_clear(&arena);
			buf_clear(&reply);
			assert_int_equal(value_parse_json(&r.params, asked[i].params,
						 strlen(asked[i].params), &arena, &e),
				0);
			mem_fail_at(n);
			call_answer(&d, &r, false, &arena, &reply);
			served = mem_fail_count() <= n;
			mem_fail_at(-1);
		}
		if (!served)
			fail_msg("%s needs over 3000 allocations", asked[i].method);
		result(asked[i].method, asked[i].params);
	}
}

static void
label_is(const char *text)
{
	const struct value *v =
		value_get(result("feature.get", "[\"beta/2\"]"), "label");
	const struct value *rows, *row;

	assert_true(value_is_str(v, text));
	rows = value_get(result("feature.list", "[\"beta\"]"), "features");
	row = &rows->v[2];
	assert_true(value_is_str(value_get(row, "label"), text));
}

/* What is kept of labels follows what is written. */
static void
test_labels_are_fresh(void **state)
{
	char params[64];
	int64_t id;

	(void)state;
	label_is("even gate, number2");
	label_is("even gate, number2");
	id = value_get(result("label.set", "[\"beta/2\", \"one\"]"), "id")->i;
	label_is("one");
	id = value_get(result("label.set", "[\"beta/2\", \"two\"]"), "id")->i;
	label_is("two");
	snprintf(params, sizeof(params), "[%d]", (int)id);
	result("label.delete", params);
	label_is("even gate, number2");
	result("label.import", "[[{\"feature\": \"beta/2\", \"text\": \"three\"}]]");
	label_is("three");
}

static void
test_notification(void **state)
{
	struct value name = {.type = VALUE_STR, .n = 9, .str = "label.set"};
	struct rpc r = {.type = RPC_NOTIFY, .method = &name};
	const struct value *label;
	struct err e = ERR_INIT;

	(void)state;
	arena_clear(&arena);
	buf_reset(&reply);
	assert_int_equal(value_parse_json(&r.params, "[\"beta/7\", \"told\"]", 18,
				 &arena, &e),
		0);
	call_answer(&d, &r, false, &arena, &reply);
	assert_int_equal(reply.n_bytes, 0);
	label = value_get(result("feature.get", "[\"beta/7\"]"), "label");
	assert_true(value_is_str(label, "told"));
	name = (struct value){.type = VALUE_STR, .n = 4, .str = "nope"};
	buf_reset(&reply);
	call_answer(&d, &r, false, &arena, &reply);
	assert_int_equal(reply.n_bytes, 0);
}

/* Whether it is answered where it may not wait; else nothing was done. */
static bool
tried(const char *method, const char *params)
{
	struct value name = {.type = VALUE_STR,
		.n = (uint32_t)strlen(method),
		.str = method};
	struct rpc r = {.type = RPC_REQUEST, .id = 7, .method = &name};
	uint64_t requests = d.counters.requests;
	struct err e = ERR_INIT;
	bool done;

	arena_clear(&arena);
	buf_reset(&reply);
	buf_puts(&reply, "before");
	assert_int_equal(value_parse_json(&r.params, params, strlen(params), &arena,
				 &e),
		0);
	done = call_try(&d, &r, false, &arena, &reply);
	assert_int_equal(reply.n_bytes > 6, done);
	assert_int_equal(d.counters.requests, requests + done);
	return done;
}

/* Neighbors are looked up on the event loop, and searched on the pool. */
static void
test_try(void **state)
{
	(void)state;
	assert_true(tried("feature.get", "[\"alpha/3\"]"));
	assert_true(tried("no.such", "[]"));
	assert_false(
		tried("vector.neighbors", "[[1, 0, 0, 0, 0, 0, 0, 0], \"alpha\"]"));
	assert_true(tried("feature.neighbors",
		"[{\"feature\": \"alpha/3\", \"sae\": \"beta\", \"k\": 2}]"));
	assert_false(tried("feature.neighbors", "[\"alpha/3\"]")); /* no such graph */
	assert_false(tried("feature.neighbors",
		"[{\"feature\": \"alpha/3\", \"sae\": \"beta\", \"k\": 2, \"alive\": "
		"true}]"));
	assert_false(tried("feature.neighbors",
		"[{\"feature\": \"alpha/3\", \"sae\": \"beta\", \"k\": 2, \"engine\": "
		"\"exact\"}]"));
	assert_true(tried("feature.neighbors",
		"[{\"feature\": \"alpha/3\", \"sae\": \"none\"}]")); /* an error */
}

static uint64_t
generation(void)
{
	return (uint64_t)value_get(result("server.ping", "[]"), "generation")->i;
}

/* A view that is lent stays as it is; the next one is of the new generation. A
 * list that was begun goes on with its run. */
static void
test_publish(void **state)
{
	struct err err = ERR_INIT;
	struct view *old, *new;
	uint64_t before = generation();
	char params[256];
	const struct value *next;
	struct store *s;
	uint32_t number;

	(void)state;
	next = value_get(result("feature.list",
				 "[{\"sae\": \"alpha\", \"limit\": 30}]"),
		"next");
	assert_non_null(next);
	snprintf(params, sizeof(params),
		"[{\"sae\": \"alpha\", \"limit\": 30, \"cursor\": \"%.*s\"}]",
		(int)next->n, next->str);
	assert_int_equal(views_take(d.views, &old, &err), 0);
	OK(store_open(&s, dir, STORE_WRITE, e));
	OK(small_publish(s, 1, &number, e));
	assert_int_equal(generation(), before); /* nobody looked yet */
	assert_int_equal(views_poll(d.views, daemon_now_ms(), 0, &err), 0);
	assert_true(generation() > before);
	assert_int_equal(store_view_catalog(old->store)->generation, before);
	assert_int_equal(views_take(d.views, &new, &err), 0);
	assert_int_equal(store_view_catalog(new->store)->n_runs, 2);
	views_give(d.views, old);
	views_give(d.views, new);
	assert_int_equal(value_get(result("feature.get", "[\"alpha/3\"]"), "run")->i,
		2);
	assert_int_equal(value_get(result("feature.get", "[\"alpha/3\", 1]"), "run")->i,
		1);
	assert_int_equal(value_get(result("feature.list", params), "run")->i, 1);
	assert_int_equal(value_get(result("feature.list", params), "features")->n, 10);
	/* The run goes, and with it the list. */
	OK(store_remove_run(s, 1, e));
	assert_int_equal(views_poll(d.views, daemon_now_ms(), 0, &err), 0);
	refused("feature.list", params, false, "stale");
	refused("feature.get", "[\"alpha/3\", 1]", false, "not_found");
	store_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_labels_are_fresh),
		cmocka_unit_test(test_notification),
		cmocka_unit_test(test_try),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_publish),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
