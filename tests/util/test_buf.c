/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/buf.h"

static void
test_round(void **state)
{
	struct buf b;
	struct cur c;

	(void)state;
	buf_init(&b);
	buf_u8(&b, 0xfe);
	buf_u16(&b, 0x1234);
	buf_u32(&b, 0x12345678);
	buf_u64(&b, UINT64_C(0x123456789abcdef0));
	buf_u16be(&b, 0x1234);
	buf_u32be(&b, 0x12345678);
	buf_u64be(&b, UINT64_C(0x123456789abcdef0));
	buf_f32(&b, -1.5f);
	buf_f64(&b, 1e300);
	assert_false(b.failed);
	assert_int_equal(b.n_bytes, 1 + 2 + 4 + 8 + 2 + 4 + 8 + 4 + 8);
	assert_memory_equal(b.data + 1, "\x34\x12\x78\x56\x34\x12\xf0", 7);
	c = cur_of(b.data, b.n_bytes);
	assert_int_equal(cur_u8(&c), 0xfe);
	assert_int_equal(cur_u16(&c), 0x1234);
	assert_int_equal(cur_u32(&c), 0x12345678);
	assert_true(cur_u64(&c) == UINT64_C(0x123456789abcdef0));
	assert_memory_equal(cur_take(&c, 2), "\x12\x34", 2);
	assert_int_equal(cur_u32be(&c), 0x12345678);
	assert_true(cur_u64be(&c) == UINT64_C(0x123456789abcdef0));
	assert_true(cur_f32(&c) == -1.5f);
	assert_true(cur_f64(&c) == 1e300);
	assert_int_equal(cur_left(&c), 0);
	assert_false(c.failed);
	assert_int_equal(cur_u8(&c), 0);
	assert_true(c.failed);
	buf_clear(&b);
}

static void
test_varint(void **state)
{
	struct buf b;
	struct cur c;
	uint8_t bad[11];

	(void)state;
	buf_init(&b);
	for (unsigned i = 0; i < 64; i++) {
		buf_varint(&b, UINT64_C(1) << i);
		buf_varint(&b, (UINT64_C(1) << i) - 1);
	}
	buf_varint(&b, UINT64_MAX);
	c = cur_of(b.data, b.n_bytes);
	for (unsigned i = 0; i < 64; i++) {
		assert_true(cur_varint(&c) == UINT64_C(1) << i);
		assert_true(cur_varint(&c) == (UINT64_C(1) << i) - 1);
	}
	assert_true(cur_varint(&c) == UINT64_MAX);
	assert_false(c.failed);
	buf_clear(&b);
	memset(bad, 0xff, sizeof(bad));
	c = cur_of(bad, 3);
	assert_int_equal(cur_varint(&c), 0);
	assert_true(c.failed);
	c = cur_of(bad, 11); /* eleven bytes */
	cur_varint(&c);
	assert_true(c.failed);
	bad[9] = 2; /* the 65th bit */
	c = cur_of(bad, 10);
	cur_varint(&c);
	assert_true(c.failed);
}

static void
test_sticky(void **state)
{
	struct buf b;
	struct cur c = cur_of("abc", 3);

	(void)state;
	assert_null(cur_take(&c, 4));
	assert_null(cur_take(&c, 1)); /* sticky: nothing more is given */
	assert_int_equal(cur_left(&c), 0);
	buf_init(&b);
	buf_puts(&b, "abc");
	mem_fail_at(0);
	assert_null(buf_extend(&b, 1000));
	mem_fail_at(-1);
	assert_true(b.failed);
	buf_puts(&b, "d");
	buf_printf(&b, "%d", 3);
	assert_null(buf_str(&b));
	assert_int_equal(b.n_bytes, 3);
	buf_reset(&b);
	assert_false(b.failed);
	assert_null(buf_extend(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_clear(&b);
}

static void
test_text(void **state)
{
	struct buf b;
	char big[5000];

	(void)state;
	buf_init(&b);
	assert_string_equal(buf_str(&b), "");
	buf_printf(&b, "%s-%d", "x", 12);
	buf_put(&b, NULL, 0);
	assert_string_equal(buf_str(&b), "x-12");
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	buf_printf(&b, "%s", big);
	assert_int_equal(b.n_bytes, 4 + 4999);
	assert_int_equal(strlen(buf_str(&b)), b.n_bytes);
	buf_clear(&b);
	assert_null(b.data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
