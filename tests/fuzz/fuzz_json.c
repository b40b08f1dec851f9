/* SPDX-License-Identifier: ISC */
/* JSON, in and out of both sinks, and back. */
#include "tests/fuzz/fuzz.h"

#include "schema/out.h"
#include "schema/value.h"

#include <stdlib.h>

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	const struct value *v, *again;
	struct arena arena;
	struct buf b;
	struct out o;

	arena_init(&arena, 64u << 20);
	buf_init(&b);
	if (value_parse_json(&v, (const char *)p, n_bytes, &arena, &e) == 0) {
		out_init_json(&o, &b, 0);
		value_write(&o, v);
		if (value_parse_json(&again, (const char *)b.data, b.n_bytes, &arena,
			    &e) < 0)
			abort();
	}
	buf_clear(&b);
	arena_clear(&arena);
	return 0;
}
