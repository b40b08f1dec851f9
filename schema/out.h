/* SPDX-License-Identifier: ISC */
/*
 * out: where an answer is written, once, for both MessagePack and JSON. Sticky:
 * write on, ask out_failed() once. Counts of maps and arrays are given first,
 * and are checked (assert) when they end.
 *
 * What JSON lacks: bytes become base64; NaN and infinities null; integers past
 * 2^53 strings; float32 the shortest text that reads back.
 */
#ifndef SCHEMA_OUT_H
#define SCHEMA_OUT_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct out;
struct out_ops {
	void (*map)(struct out *o, size_t n_pairs);
	void (*array)(struct out *o, size_t n);
	void (*end)(struct out *o); /* of the innermost map or array */
	void (*nil)(struct out *o);
	void (*boolean)(struct out *o, bool v);
	void (*integer)(struct out *o, int64_t v);
	void (*unsigned_)(struct out *o, uint64_t v);
	void (*f32)(struct out *o, float v);
	void (*f64)(struct out *o, double v);
	void (*str)(struct out *o, const char *p, size_t n_bytes);
	void (*bin)(struct out *o, const void *p, size_t n_bytes);
};
struct out {
	const struct out_ops *ops;
	struct buf *buf; /* borrowed: where the bytes go */
	size_t limit_bytes; /* 0 = none; past it the sink fails */
	bool over_limit;
	int depth;
	struct {
		size_t left; /* values still due */
		bool is_map;
		bool first;
	} level[24];
};

void out_init_msgpack(struct out *o, struct buf *buf, size_t limit_bytes);
void out_init_json(struct out *o, struct buf *buf, size_t limit_bytes);
bool out_failed(const struct out *o); /* memory ran out or over_limit */

void out_map(struct out *o, size_t n_pairs);
void out_array(struct out *o, size_t n);
void out_end(struct out *o);
void out_nil(struct out *o);
void out_bool(struct out *o, bool v);
void out_int(struct out *o, int64_t v);
void out_uint(struct out *o, uint64_t v);
void out_f32(struct out *o, float v);
void out_f64(struct out *o, double v);
void out_str(struct out *o, const char *s); /* NULL gives nil */
void out_strn(struct out *o, const char *p, size_t n_bytes);
/* Bytes that may not be UTF-8: each malformed byte as \xHH. */
void out_text(struct out *o, const char *p, size_t n_bytes);
void out_bin(struct out *o, const void *p, size_t n_bytes);
/* Key and value in one. */
void out_key(struct out *o, const char *key);
void out_key_str(struct out *o, const char *key, const char *v);
void out_key_int(struct out *o, const char *key, int64_t v);
void out_key_uint(struct out *o, const char *key, uint64_t v);
void out_key_f32(struct out *o, const char *key, float v);
void out_key_f64(struct out *o, const char *key, double v);
void out_key_bool(struct out *o, const char *key, bool v);
/* Writes the values of a JSON text (such as stored provenance or metadata). */
int out_json_text(struct out *o, const char *json, struct err *e);

#endif
