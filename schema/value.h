/* SPDX-License-Identifier: ISC */
/*
 * value: a parsed MessagePack or JSON value as a read-only tree in an arena, and
 * arguments checked against a method's row. A handler sees nothing else of a
 * request; a client sees nothing else of an answer.
 */
#ifndef SCHEMA_VALUE_H
#define SCHEMA_VALUE_H

#include "schema/method.h"
#include "util/err.h"
#include "util/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_UINT,
	VALUE_F32,
	VALUE_F64,
	VALUE_STR,
	VALUE_BIN,
	VALUE_ARRAY,
	VALUE_MAP
};

struct value {
	enum value_type type; /* VALUE_UINT only above INT64_MAX */
	uint32_t n; /* bytes, elements or pairs */
	union {
		bool boolean;
		int64_t i;
		uint64_t u;
		double f; /* F32 too */
		const char *str; /* not NUL-terminated; STR and BIN */
		const struct value
			*v; /* (n) elements; of maps (2 n): key, value, ... */
	};
};

/* Measures one MessagePack value at p against what is there, without recursion
 * or allocation. Returns 1 and *used when it is whole; 0 when more bytes are
 * needed (and *used is how many at least); ERR_FORMAT, ERR_LIMIT on what can
 * never become valid within the limits. */
int frame_scan(const void *p, size_t n_bytes, size_t max_bytes, size_t max_depth,
	size_t max_nodes, size_t *used, struct err *e);

/* Parses what frame_scan found whole. Strings are borrowed from p, the tree is
 * in arena. (msgpack-c stands in value_msgpack.c, jansson in value_json.c.) */
int value_parse_msgpack(const struct value **out, const void *p, size_t n_bytes,
	struct arena *arena, struct err *e);
int value_parse_json(const struct value **out, const char *p, size_t n_bytes,
	struct arena *arena, struct err *e);

/* Borrowed from the map; NULL when it has no such key (or v is no map). */
const struct value *value_get(const struct value *v, const char *key);
bool value_is_str(const struct value *v, const char *s);
bool value_as_int(const struct value *v, int64_t *out); /* also whole floats */
bool value_as_float(const struct value *v, double *out); /* also integers */
struct out;
void value_write(struct out *o, const struct value *v); /* into any sink */

/* Checked arguments of a method: arg[i] belongs to its param[i]; defaults are
 * filled in; NULL where absent without a default. */
struct args {
	const struct method *method;
	const struct value *arg[METHOD_MAX_PARAMS];
};
/* params: the array of a request (or a map). Wrong types, ranges, unknown names,
 * missing ones: err_arg with the name at fault. */
int args_check(struct args *a, const struct method *m, const struct value *params,
	struct arena *arena, struct err *e);
/* By name; the name must be in the row (assert). */
const struct value *args_get(const struct args *a, const char *name); /* or NULL */
bool args_has(const struct args *a, const char *name);
int64_t args_int(const struct args *a, const char *name);
double args_float(const struct args *a, const char *name);
bool args_bool(const struct args *a, const char *name);
/* NUL-terminated copy in arena by args_check; NULL when absent. A string with a
 * NUL byte inside is refused by args_check. */
const char *args_str(const struct args *a, const char *name);

/* A feature's address: SAE/INDEX, MODEL/SAE/INDEX, or with _ before INDEX. */
struct addr {
	char model[128]; /* "" when not given */
	char sae[128];
	uint32_t index;
};
int addr_parse(struct addr *a, const char *text, size_t n_bytes, struct err *e);

/* A request, response or notification (value_parse_msgpack done). */
enum rpc_type { RPC_REQUEST = 0, RPC_RESPONSE = 1, RPC_NOTIFY = 2 };
struct rpc {
	enum rpc_type type;
	uint32_t id;
	const struct value *method, *params, *error, *result;
};
/* On an error r->id is the message's where it could be read, else 0. */
int rpc_read(struct rpc *r, const struct value *v, struct err *e);
/* The head of a message, after which the sink writes params, or error and result. */
void rpc_put_request(struct out *o, uint32_t id, const char *method);
void rpc_put_result(struct out *o, uint32_t id);
void rpc_put_error(struct out *o, uint32_t id, const struct err *e);

#endif
