/* SPDX-License-Identifier: ISC */
/* Sums of shards merge to those of all; bytes come back; what is none is refused. */
#include "indexer/sums.h"
#include "tests/util/scratch.h"

#include <math.h>
#include <stdlib.h>

#define D 7
#define ROWS 5
#define WINDOWS 40

static struct stream_stats stream;
static struct exact64 error;

/* Windows [from, to), of values that do not depend on where they are dealt out. */
static void
make(struct sums *s, uint32_t from, uint32_t to)
{
	const uint8_t counts[ROWS] = {0, 1, 1, 1, 1};
	struct err e = ERR_INIT;
	float x[ROWS][D];

	assert_int_equal(stream_stats_init(&stream, D, &e), 0);
	error = (struct exact64){0};
	for (uint32_t w = from; w < to; w++) {
		srand(w);
		for (int i = 0; i < ROWS; i++)
			for (int j = 0; j < D; j++)
				x[i][j] = (float)(rand() % 2000 - 1500) / 999;
		stream_stats_add(&stream, &x[0][0], D, counts, ROWS);
		stats_add(&error, rand() % 1000 / 1e3);
	}
	assert_int_equal(sums_copy(s, &stream, &error, &e), 0);
	stream_stats_clear(&stream);
}

static void
test_monoid(void **unused)
{
	static const uint32_t cut[][4] = {{0, 40}, {0, 13, 40}, {0, 0, 39, 40}};
	double want_explained, want_mse, explained, mse;
	struct sums all, part, more;
	struct err e = ERR_INIT;
	struct buf want, got;

	(void)unused;
	buf_init(&want);
	buf_init(&got);
	make(&all, 0, WINDOWS);
	sums_save(&all, &want);
	sums_conclude(&all, &want_explained, &want_mse);
	assert_true(want_mse > 0 && want_explained < 1 && want_explained > 0);
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		const uint32_t *at = cut[i];

		make(&part, at[0], at[1]);
		for (at++; *at < WINDOWS; at++) { /* through bytes, as from a store */
			make(&more, at[0], at[1]);
			buf_reset(&got);
			sums_save(&more, &got);
			sums_clear(&more);
			assert_int_equal(sums_load(&more, got.data, got.n_bytes, D, &e),
				0);
			sums_merge(&part, &more);
			sums_clear(&more);
		}
		buf_reset(&got);
		sums_save(&part, &got);
		assert_int_equal(got.n_bytes, want.n_bytes);
		assert_memory_equal(got.data, want.data, want.n_bytes);
		sums_conclude(&part, &explained, &mse);
		assert_true(explained == want_explained && mse == want_mse);
		sums_clear(&part);
	}
	sums_clear(&all);
	buf_clear(&want);
	buf_clear(&got);
}

static void
test_bytes(void **unused)
{
	struct err e = ERR_INIT;
	struct sums s;
	struct buf b;

	(void)unused;
	buf_init(&b);
	make(&s, 0, WINDOWS);
	sums_save(&s, &b);
	sums_clear(&s);
	buf_u8(&b, 0);
	for (size_t n = 0; n <= b.n_bytes; n++) { /* cut short, or one byte too many */
		e = ERR_INIT;
		if (sums_load(&s, b.data, n, D, &e) == 0)
			assert_int_equal(n, b.n_bytes - 1);
		else
			assert_int_equal(e.code, ERR_CORRUPT);
		sums_clear(&s);
	}
	e = ERR_INIT;
	assert_int_equal(sums_load(&s, b.data, b.n_bytes - 1, D + 1, &e), ERR_CORRUPT);
	sums_clear(&s);
	buf_clear(&b);
}

static void
test_unknown(void **unused)
{
	double explained = 0, mse = 0;
	struct sums s = {0};

	(void)unused;
	sums_conclude(&s, &explained, &mse);
	assert_true(isnan(explained) && isnan(mse));
	sums_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_monoid),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
