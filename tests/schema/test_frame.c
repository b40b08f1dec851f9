/* SPDX-License-Identifier: ISC */
/* Frames are measured before they are parsed. */
#include "schema/limits.h"
#include "schema/out.h"
#include "schema/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int
scan(const char *p, size_t n, size_t *used, struct err *e)
{
	return frame_scan(p, n, LIMIT_FRAME_BYTES, LIMIT_DEPTH, LIMIT_NODES, used, e);
}
#define SCAN(s, used, e) scan(s, sizeof(s) - 1, used, e)

static void
test_whole(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} ok[] = {
#define OK(s) {s, sizeof(s) - 1}
		OK("\x00"),
		OK("\xff"),
		OK("\xc0"),
		OK("\xc2"),
		OK("\x90"),
		OK("\x80"),
		OK("\xa3"
		   "abc"),
		OK("\xd9\x03"
		   "abc"),
		OK("\xda\x00\x01"
		   "a"),
		OK("\xdb\x00\x00\x00\x00"),
		OK("\xc4\x01"
		   "a"),
		OK("\xc5\x00\x01"
		   "a"),
		OK("\xc6\x00\x00\x00\x01"
		   "a"),
		OK("\xc7\x01\x05"
		   "a"),
		OK("\xc8\x00\x01\x05"
		   "a"),
		OK("\xc9\x00\x00\x00\x01\x05"
		   "a"),
		OK("\xca"
		   "abcd"),
		OK("\xcb"
		   "abcdefgh"),
		OK("\xcc\x01"),
		OK("\xcd\x01\x02"),
		OK("\xce"
		   "abcd"),
		OK("\xcf"
		   "abcdefgh"),
		OK("\xd0\x01"),
		OK("\xd1\x01\x02"),
		OK("\xd2"
		   "abcd"),
		OK("\xd3"
		   "abcdefgh"),
		OK("\xd4\x01"
		   "a"),
		OK("\xd5\x01"
		   "ab"),
		OK("\xd6\x01"
		   "abcd"),
		OK("\xd7\x01"
		   "abcdefgh"),
		OK("\xd8\x01"
		   "abcdefghijklmnop"),
		OK("\xdc\x00\x01\xc0"),
		OK("\xdd\x00\x00\x00\x01\xc0"),
		OK("\xde\x00\x01\xc0\xc0"),
		OK("\xdf\x00\x00\x00\x01\xc0\xc0"),
		OK("\x92\x81\xa1k\x90\x93\x01\x02\x03"),
	};
	struct err e = ERR_INIT;
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof(ok) / sizeof(ok[0]); i++) {
		char more[64];

		if (scan(ok[i].p, ok[i].n, &used, &e) != 1 || used != ok[i].n)
			fail_msg("row %zu", i);
		memcpy(more, ok[i].p, ok[i].n);
		memset(more + ok[i].n, 0xc1, sizeof(more) - ok[i].n);
		if (scan(more, sizeof(more), &used, &e) != 1 || used != ok[i].n)
			fail_msg("row %zu with more behind it", i);
		/* Cut short anywhere, it says that it needs more, never too much. */
		for (size_t n = 0; n < ok[i].n; n++) {
			if (scan(ok[i].p, n, &used, &e) != 0)
				fail_msg("row %zu cut to %zu", i, n);
			if (used <= n || used > ok[i].n)
				fail_msg("row %zu cut to %zu asks for %zu", i, n, used);
		}
	}
}

static void
test_never(void **state)
{
	struct err e = ERR_INIT;
	size_t used;

	(void)state;
	assert_int_equal(SCAN("\xc1", &used, &e), ERR_FORMAT);
	assert_int_equal(SCAN("\x92\x01\xc1", &used, &e), ERR_FORMAT);
	/* Five bytes that claim much. */
	assert_int_equal(SCAN("\xdd\xff\xff\xff\xff", &used, &e), ERR_LIMIT);
	assert_int_equal(SCAN("\xdf\xff\xff\xff\xff", &used, &e), ERR_LIMIT);
	assert_int_equal(SCAN("\xdb\xff\xff\xff\xff", &used, &e), ERR_LIMIT);
	assert_int_equal(SCAN("\xc6\xff\xff\xff\xff", &used, &e), ERR_LIMIT);
	assert_int_equal(SCAN("\xc9\xff\xff\xff\xff\x01", &used, &e), ERR_LIMIT);
	assert_int_equal(SCAN("\x94\x00\x01\xdb\x40\x00\x00\x00", &used, &e),
		ERR_LIMIT);
	/* Values, not bytes, are too many. */
	assert_int_equal(SCAN("\xdd\x00\x01\x86\xa0", &used, &e), ERR_LIMIT);
	assert_int_equal(SCAN("\xdd\x00\x01\x86\x9f", &used, &e), 0);
	/* A frame of exactly the limit, and one byte more. */
	assert_int_equal(frame_scan("\xa4", 1, 5, 1, 1, &used, &e), 0);
	assert_int_equal(used, 5);
	assert_int_equal(frame_scan("\xa5", 1, 5, 1, 1, &used, &e), ERR_LIMIT);
	assert_int_equal(frame_scan("\x91\xda", 2, 4, 2, 9, &used, &e), 0);
	assert_int_equal(frame_scan("\x92\xda", 2, 4, 2, 9, &used, &e), ERR_LIMIT);
}

static void
test_depth(void **state)
{
	struct err e = ERR_INIT;
	char deep[64];
	size_t used;

	(void)state;
	memset(deep, 0x91, sizeof(deep));
	deep[LIMIT_DEPTH] = (char)0xc0;
	assert_int_equal(scan(deep, sizeof(deep), &used, &e), 1);
	assert_int_equal(used, LIMIT_DEPTH + 1);
	deep[LIMIT_DEPTH] = (char)0x90;
	assert_int_equal(scan(deep, sizeof(deep), &used, &e), ERR_LIMIT);
	/* Side by side is not deep. */
	memset(deep, 0x90, sizeof(deep));
	memcpy(deep, "\xdc\x00\x3d", 3);
	assert_int_equal(scan(deep, sizeof(deep), &used, &e), 1);
}

/* Whatever a sink writes is measured to its last byte and parsed back. */
static void
test_round_trip(void **state)
{
	const struct value *v;
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b, again;
	struct out o;
	size_t used;

	(void)state;
	buf_init(&b), buf_init(&again), arena_init(&a, 0);
	out_init_msgpack(&o, &b, 0);
	out_map(&o, 3);
	out_key_f32(&o, "f", 0.1f);
	out_key(&o, "list"), out_array(&o, 7);
	out_int(&o, INT64_MIN), out_uint(&o, UINT64_MAX), out_bool(&o, true);
	out_bin(&o, "\0\1", 2), out_nil(&o), out_f64(&o, 1e-300), out_int(&o, 300);
	out_end(&o);
	out_key_str(&o, "s", "text");
	out_end(&o);
	assert_int_equal(scan((char *)b.data, b.n_bytes, &used, &e), 1);
	assert_int_equal(used, b.n_bytes);
	assert_int_equal(value_parse_msgpack(&v, b.data, b.n_bytes, &a, &e), 0);
	out_init_msgpack(&o, &again, 0);
	value_write(&o, v);
	assert_int_equal(again.n_bytes, b.n_bytes);
	assert_memory_equal(again.data, b.data, b.n_bytes);
	buf_clear(&b), buf_clear(&again), arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
