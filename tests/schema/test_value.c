/* SPDX-License-Identifier: ISC */
/* Values from MessagePack and JSON, arguments, addresses and messages. */
#include "schema/limits.h"
#include "schema/out.h"
#include "schema/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static struct err e;

static int
fresh(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	e = ERR_INIT;
	return 0;
}

static int
drop(void **state)
{
	(void)state;
	arena_clear(&arena);
	return 0;
}

static const struct value *
json(const char *text)
{
	const struct value *v = NULL;

	if (value_parse_json(&v, text, strlen(text), &arena, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	return v;
}

static int
json_code(const char *text)
{
	const struct value *v;

	return value_parse_json(&v, text, strlen(text), &arena, &e);
}

static void
test_json(void **state)
{
	char deep[2 * LIMIT_DEPTH + 3] = "";
	const struct value *v =
		json("{\"i\": 3, \"f\": 2.0, \"h\": 2.5, \"s\": \"a\\u0000b\", "
		     "\"l\": [true, null], \"big\": 9223372036854775807}");
	int64_t i;
	double f;

	(void)state;
	assert_true(value_as_int(value_get(v, "i"), &i) && i == 3);
	assert_true(value_as_int(value_get(v, "f"), &i) && i == 2);
	assert_false(value_as_int(value_get(v, "h"), &i));
	assert_true(value_as_float(value_get(v, "i"), &f) && f == 3);
	assert_true(value_as_int(value_get(v, "big"), &i) && i == INT64_MAX);
	assert_int_equal(value_get(v, "s")->n, 3);
	assert_true(value_get(v, "l")->n == 2 && value_get(v, "l")->v[0].boolean);
	assert_null(value_get(v, "none"));
	assert_null(value_get(value_get(v, "l"), "i"));
	assert_int_equal(json_code("{\"a\": 1, \"a\": 2}"), ERR_FORMAT);
	assert_non_null(strstr(e.text, "a"));
	assert_int_equal(json_code(""), ERR_FORMAT);
	assert_int_equal(json_code("[1,]"), ERR_FORMAT);
	assert_int_equal(json_code("[1] 2"), ERR_FORMAT);
	assert_int_equal(json_code("\"\xff\""), ERR_FORMAT);
	assert_int_equal(json_code("1e999"), ERR_FORMAT);
	assert_int_equal(json_code("99999999999999999999"), ERR_FORMAT);
	memset(deep, '[', LIMIT_DEPTH), memset(deep + LIMIT_DEPTH, ']', LIMIT_DEPTH);
	assert_int_equal(json_code(deep), 0);
	memset(deep, '[', LIMIT_DEPTH + 1),
		memset(deep + LIMIT_DEPTH + 1, ']', LIMIT_DEPTH + 1);
	assert_int_equal(json_code(deep), ERR_LIMIT);
}

static void
test_msgpack(void **state)
{
	const struct value *v;
	int64_t i;

	(void)state;
	assert_int_equal(value_parse_msgpack(&v, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
				 9, &arena, &e),
		0);
	assert_int_equal(v->type, VALUE_UINT);
	assert_false(value_as_int(v, &i));
	assert_int_equal(value_parse_msgpack(&v, "\xd4\x01\x00", 3, &arena, &e),
		ERR_FORMAT);
	assert_non_null(strstr(e.text, "extension"));
	assert_int_equal(value_parse_msgpack(&v, "\x01\x02", 2, &arena, &e),
		ERR_FORMAT);
	assert_int_equal(value_parse_msgpack(&v, "\x92\x02", 2, &arena, &e),
		ERR_FORMAT);
	assert_int_equal(value_parse_msgpack(&v, "\xc1", 1, &arena, &e), ERR_FORMAT);
}

/* ---- arguments ----------------------------------------------------------- */

static int
check(struct args *a, const char *method, const char *params)
{
	int at = method_find(method, strlen(method));

	assert_true(at >= 0);
	e = ERR_INIT;
	return args_check(a, &method_table[at], json(params), &arena, &e);
}

static void
refused(const char *method, const char *params, int code, const char *arg)
{
	struct args a;
	int rc = check(&a, method, params);

	if (rc != code || strcmp(e.arg, arg) != 0)
		fail_msg("%s%s: %d (%s) %s", method, params, rc, e.arg, e.text);
}

static void
test_args(void **state)
{
	struct args a;

	(void)state;
	assert_int_equal(check(&a, "feature.list",
				 "[{\"sae\": \"8k\", \"limit\": 7.0, "
				 "\"min_density\": 0, \"cursor\": null}]"),
		0);
	assert_string_equal(args_str(&a, "sae"), "8k");
	assert_int_equal(args_int(&a, "limit"), 7);
	assert_string_equal(args_str(&a, "sort"), "index");
	assert_false(args_bool(&a, "descending"));
	assert_true(args_float(&a, "max_density") == 1);
	assert_false(args_has(&a, "cursor") || args_has(&a, "dead") ||
		args_has(&a, "max_max"));
	assert_null(args_str(&a, "cursor"));
	assert_int_equal(check(&a, "feature.list", "[\"8k\", null, \"max\", true]"), 0);
	assert_true(args_bool(&a, "descending") && !args_has(&a, "run"));
	assert_int_equal(check(&a, "feature.list", "{\"sae\": \"8k\", \"run\": 3}"), 0);
	assert_int_equal(args_get(&a, "run")->i, 3);
	assert_int_equal(check(&a, "server.ping", "[]"), 0);
	assert_int_equal(check(&a, "label.set", "[\"8k/1\", \"t\"]"), 0);
	assert_string_equal(args_str(&a, "author"), "");
	assert_string_equal(args_str(&a, "source"), "person");
}

static void
test_args_refused(void **state)
{
	(void)state;
	refused("feature.get", "[]", ERR_MISSING, "feature");
	refused("feature.get", "[null]", ERR_MISSING, "feature");
	refused("feature.get", "[7]", ERR_ARG, "feature");
	refused("feature.get", "[\"\"]", ERR_ARG, "feature");
	refused("feature.get", "[\"a\\u0000/1\"]", ERR_ARG, "feature");
	refused("feature.get", "[\"8k/1\", 1, 2]", ERR_ARG, "");
	refused("feature.get", "[{\"feature\": \"8k/1\", \"rnu\": 1}]", ERR_ARG, "rnu");
	refused("feature.get", "7", ERR_ARG, "");
	refused("server.ping", "[1]", ERR_ARG, "");
	refused("feature.list", "[\"8k\", null, 1]", ERR_ARG, "sort");
	refused("feature.list", "[{\"sae\": \"8k\", \"limit\": 0}]", ERR_ARG, "limit");
	refused("feature.list", "[{\"sae\": \"8k\", \"limit\": 1001}]", ERR_ARG,
		"limit");
	refused("feature.list", "[{\"sae\": \"8k\", \"limit\": 1.5}]", ERR_ARG,
		"limit");
	refused("feature.list", "[{\"sae\": \"8k\", \"limit\": \"9\"}]", ERR_ARG,
		"limit");
	refused("feature.list", "[{\"sae\": \"8k\", \"dead\": 1}]", ERR_ARG, "dead");
	refused("feature.list", "[{\"sae\": \"8k\", \"min_density\": -0.1}]", ERR_ARG,
		"min_density");
	refused("feature.many", "[\"8k/1\"]", ERR_ARG, "features");
}

/* A map from the wire may name a parameter twice, or by something else. */
static void
test_args_hostile_map(void **state)
{
	const struct value key = {.type = VALUE_STR, .n = 5, .str = "model"},
			   num = {.type = VALUE_INT, .i = 5};
	struct value pair[4] = {key, key, key, key},
		     map = {.type = VALUE_MAP, .n = 2, .v = pair};
	const struct method *m = &method_table[method_find("sae.list", 8)];
	struct value nan = {.type = VALUE_F64, .f = __builtin_nan("")};
	struct args a;

	(void)state;
	assert_int_equal(args_check(&a, m, &map, &arena, &e), ERR_ARG);
	assert_string_equal(e.arg, "model");
	pair[2] = num;
	assert_int_equal(args_check(&a, m, &map, &arena, &e), ERR_ARG);
	pair[0] = (struct value){.type = VALUE_STR, .n = 3, .str = "sae"};
	pair[2] = (struct value){.type = VALUE_STR, .n = 9, .str = "min_share"};
	pair[3] = nan;
	m = &method_table[method_find("token.features", 14)];
	map.n = 2;
	assert_int_equal(args_check(&a, m, &map, &arena, &e), ERR_MISSING);
	pair[0] = (struct value){.type = VALUE_STR, .n = 5, .str = "token"};
	assert_int_equal(args_check(&a, m, &map, &arena, &e), ERR_MISSING);
	assert_string_equal(e.arg, "sae");
}

/* ---- addresses ----------------------------------------------------------- */

static void
addr_is(const char *text, const char *model, const char *sae, uint32_t index)
{
	struct addr a;

	if (addr_parse(&a, text, strlen(text), &e) < 0)
		fail_msg("%s: %s", text, e.text);
	assert_string_equal(a.model, model);
	assert_string_equal(a.sae, sae);
	assert_int_equal(a.index, index);
}

static void
test_addr(void **state)
{
	static const char *const bad[] = {"", "/", "8k", "8k/", "/1", "_1", "8k/1x",
		"8k/-1", "8k/4294967296", "8k/99999999999", "//1", "a//1", "/a/1",
		"8k/1/", "1", "a\nb/1", "8k 1"};
	char text[300];
	struct addr a;

	(void)state;
	addr_is("8k/697", "", "8k", 697);
	addr_is("34M_31164353", "", "34M", 31164353);
	addr_is("34m/0", "", "34m", 0);
	addr_is("gpt2_small/12", "", "gpt2_small", 12);
	addr_is("demo/8k_12", "demo", "8k", 12);
	addr_is("demo/8k/4294967295", "demo", "8k", UINT32_MAX);
	addr_is("org/model/8k/3", "org/model", "8k", 3);
	addr_is("a_b_3", "", "a_b", 3);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (addr_parse(&a, bad[i], strlen(bad[i]), &e) != ERR_ARG)
			fail_msg("\"%s\" was read", bad[i]);
		assert_string_equal(e.arg, "feature");
	}
	memset(text, 'a', sizeof(text));
	memcpy(text + 127, "/1", 3);
	assert_int_equal(addr_parse(&a, text, 129, &e), 0);
	memset(text, 'a', sizeof(text));
	memcpy(text + 128, "/1", 3);
	assert_int_equal(addr_parse(&a, text, 130, &e), ERR_ARG);
}

/* ---- messages ------------------------------------------------------------ */

static void
test_rpc(void **state)
{
	struct rpc r;

	(void)state;
	assert_int_equal(rpc_read(&r, json("[0, 4294967295, \"m\", []]"), &e), 0);
	assert_true(r.type == RPC_REQUEST && r.id == UINT32_MAX &&
		value_is_str(r.method, "m"));
	assert_int_equal(rpc_read(&r, json("[2, \"m\", [1]]"), &e), 0);
	assert_true(r.type == RPC_NOTIFY && r.params->n == 1);
	assert_int_equal(rpc_read(&r, json("[1, 5, null, 7]"), &e), 0);
	assert_true(r.type == RPC_RESPONSE && r.id == 5 && r.result->i == 7);
	assert_int_equal(rpc_read(&r, json("[]"), &e), ERR_FORMAT);
	assert_int_equal(rpc_read(&r, json("7"), &e), ERR_FORMAT);
	assert_int_equal(rpc_read(&r, json("[3, 1, \"m\", []]"), &e), ERR_FORMAT);
	assert_int_equal(rpc_read(&r, json("[\"0\", 1, \"m\", []]"), &e), ERR_FORMAT);
	assert_int_equal(rpc_read(&r, json("[0, -1, \"m\", []]"), &e), ERR_FORMAT);
	assert_int_equal(rpc_read(&r, json("[0, 4294967296, \"m\", []]"), &e),
		ERR_FORMAT);
	assert_int_equal(rpc_read(&r, json("[0, 9, \"m\"]"), &e), ERR_FORMAT);
	assert_int_equal(r.id, 9);
	assert_int_equal(rpc_read(&r, json("[0, 9, 5, []]"), &e), ERR_FORMAT);
	assert_int_equal(r.id, 9);
	assert_int_equal(rpc_read(&r, json("[0, 9, \"m\", 5]"), &e), ERR_FORMAT);
	assert_int_equal(rpc_read(&r, json("[2, \"m\"]"), &e), ERR_FORMAT);
}

static void
test_rpc_put(void **state)
{
	struct buf b;
	struct out o;

	(void)state;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	err_arg(&e, ERR_ARG, "limit", "limit must be at most 3");
	rpc_put_error(&o, 7, &e);
	assert_string_equal(buf_str(&b),
		"[1,7,{\"code\":-2,\"name\":\"bad_argument\","
		"\"message\":\"limit must be at most "
		"3\",\"argument\":\"limit\"},null]");
	buf_reset(&b);
	rpc_put_request(&o, 8, "server.ping");
	out_array(&o, 0), out_end(&o), out_end(&o);
	assert_string_equal(buf_str(&b), "[0,8,\"server.ping\",[]]");
	buf_reset(&b);
	rpc_put_result(&o, 9);
	out_bool(&o, true), out_end(&o);
	assert_string_equal(buf_str(&b), "[1,9,null,true]");
	buf_clear(&b);
}

/* The N-th allocation fails: an error, never a crash. */
static void
test_out_of_memory(void **state)
{
	static const char text[] = "[0, 1, \"m\", [{\"sae\": \"8k\", \"limit\": 3}]]";
	const struct value *v;
	struct args a;
	struct rpc r;
	int rc = ERR_NOMEM;

	(void)state;
	for (long n = 0; n < 200 && rc != 0; n++) {
		arena_clear(&arena);
		mem_fail_at(n);
		rc = value_parse_json(&v, text, strlen(text), &arena, &e);
		if (rc == 0)
			rc = rpc_read(&r, v, &e);
		if (rc == 0)
			rc = args_check(&a,
				&method_table[method_find("feature.list", 12)],
				r.params, &arena, &e);
		mem_fail_at(-1);
		assert_true(rc == 0 || rc == ERR_NOMEM);
	}
	assert_int_equal(rc, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, drop)
	const struct CMUnitTest tests[] = {
		TEST(test_json),
		TEST(test_msgpack),
		TEST(test_args),
		TEST(test_args_refused),
		TEST(test_args_hostile_map),
		TEST(test_addr),
		TEST(test_rpc),
		TEST(test_rpc_put),
		TEST(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
