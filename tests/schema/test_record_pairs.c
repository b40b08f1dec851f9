/* SPDX-License-Identifier: ISC */
/* What fires together: there and back, cut short, and too much claimed. */
#include "schema/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_pairs(void **state)
{
	static const struct rec_pair want[] = {{0, 7, 3}, {63, UINT32_MAX, UINT64_MAX},
		{1, 0, 1}};
	static const uint8_t many[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff,
		0xff, 0x0f, 0xff};
	struct rec_pairs x;
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 4096);
	buf_init(&b);
	rec_pairs_pack(&b, &(struct rec_pairs){want, 3, 70000});
	assert_int_equal(rec_pairs_unpack(&x, b.data, b.n_bytes, &a, &e), 0);
	assert_int_equal(x.n_pairs_all, 70000);
	assert_int_equal(x.n_pairs, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(x.pair[i].slot == want[i].slot &&
			x.pair[i].feature == want[i].feature &&
			x.pair[i].n_both == want[i].n_both);
	for (size_t n = 0; n < b.n_bytes; n++)
		assert_int_equal(rec_pairs_unpack(&x, b.data, n, &a, &e), ERR_CORRUPT);
	buf_u8(&b, 0); /* a byte too many */
	assert_int_equal(rec_pairs_unpack(&x, b.data, b.n_bytes, &a, &e), ERR_CORRUPT);
	assert_int_equal(rec_pairs_unpack(&x, many, sizeof(many), &a, &e), ERR_CORRUPT);
	buf_reset(&b);
	rec_pairs_pack(&b, &(struct rec_pairs){want, 3, 2}); /* of fewer in all */
	assert_int_equal(rec_pairs_unpack(&x, b.data, b.n_bytes, &a, &e), ERR_CORRUPT);
	buf_clear(&b);
	arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
