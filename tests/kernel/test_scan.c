/* SPDX-License-Identifier: ISC */
/*
 * The rows nearest to one query, held against the canonical score of every row: on
 * data that is hard for bytes, on every path, in parts, and with rows left out.
 */
#include "kernel/scan.h"

#include "tests/kernel/naive.h"
#include "util/pool.h"

#include <stdlib.h>

struct data {
	size_t n, d;
	float *rows, *query;
	uint8_t *codes;
	uint64_t *allowed;
};

static float
gauss(void)
{
	double a = ((double)(naive_u64() >> 11) + 0.5) * 0x1p-53;
	double b = ((double)(naive_u64() >> 11) + 0.5) * 0x1p-53;

	return (float)(sqrt(-2 * log(a)) * cos(6.283185307179586 * b));
}

static void
data_new(struct data *x, size_t n, size_t d)
{
	*x = (struct data){.n = n, .d = d};
	x->rows = mem_new_aligned(n * d + 1, sizeof(float));
	x->query = mem_new_aligned(d, sizeof(float));
	x->codes = mem_new_aligned((n + 31) / 32 + 1, kernel_codes_bytes(d));
	x->allowed = mem_new(n / 64 + 1, sizeof(uint64_t));
	assert_true(x->rows != NULL && x->query != NULL && x->codes != NULL &&
		x->allowed != NULL);
	for (size_t i = 0; i < n * d; i++)
		x->rows[i] = gauss();
	for (size_t i = 0; i < d; i++)
		x->query[i] = gauss();
}

static void
data_free(struct data *x)
{
	mem_free(x->rows);
	mem_free(x->query);
	mem_free(x->codes);
	mem_free(x->allowed);
}

static void
fill_codes(struct data *x)
{
	for (size_t i = 0; i < x->n; i += KERNEL_CODES_ROWS)
		assert_int_equal(kernel_codes_fill(x->codes +
						 i / KERNEL_CODES_ROWS *
							 kernel_codes_bytes(x->d),
					 x->rows + i * x->d,
					 x->n - i < KERNEL_CODES_ROWS
						 ? x->n - i
						 : KERNEL_CODES_ROWS,
					 x->d, NULL),
			0);
}

/* ---- by the definition ------------------------------------------------------- */

static void
naive_unit(float *out, const float *x, size_t d)
{
	float norm = sqrtf(naive_dot(x, x, d));

	for (size_t i = 0; i < d; i++)
		out[i] = norm == 0 ? 0 : x[i] / norm;
}

static float
score(const struct data *x, size_t row, bool cosine)
{
	float a[2048], b[2048];

	assert_true(x->d <= 2048);
	if (!cosine)
		return naive_dot(x->query, x->rows + row * x->d, x->d);
	naive_unit(a, x->query, x->d);
	naive_unit(b, x->rows + row * x->d, x->d);
	return naive_dot(a, b, x->d);
}

static int
by_order(const void *pa, const void *pb)
{
	const struct kernel_hit *a = pa, *b = pb;

	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static size_t
naive_nearest(struct kernel_hit *out, const struct data *x, const float *scores,
	bool filtered)
{
	size_t n = 0;

	for (size_t row = 0; row < x->n; row++)
		if (!isnan(scores[row]) &&
			(!filtered || (x->allowed[row / 64] >> row % 64 & 1) != 0))
			out[n++] = (struct kernel_hit){(uint32_t)row, 0, scores[row]};
	qsort(out, n, sizeof(*out), by_order);
	return n;
}

/* ---- checks ------------------------------------------------------------------ */

static size_t n_exact; /* in the searches so far */

static void
check_one(const struct data *x, const struct kernel_hit *want, size_t n_want,
	struct kernel_nearest q)
{
	struct kernel_hit *out = mem_new(q.k + 1, sizeof(*out));
	size_t n, exact;

	assert_non_null(out);
	assert_int_equal(kernel_nearest(out, &n, &exact, &q, NULL), 0);
	assert_int_equal(n, n_want < q.k ? n_want : q.k);
	assert_true(exact <= x->n);
	n_exact += exact;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(out[i].row, want[i].row);
		assert_same_floats(&out[i].value, &want[i].value, 1);
	}
	mem_free(out);
}

static struct pool *pool;

/* Both metrics, with and without bytes, a filter and threads. */
static void
check(struct data *x)
{
	struct kernel_hit *want = mem_new(x->n + 1, sizeof(*want));
	float *scores = mem_new(2 * x->n, sizeof(*scores)); /* products, then cosines */
	const size_t ks[4] = {1, 10, x->n / 2 + 1, x->n + 7};

	assert_true(want != NULL && scores != NULL);
	fill_codes(x);
	for (int form = 0; form < 4; form++) {
		bool cosine = form & 1, filtered = form & 2;
		size_t n;

		for (size_t row = 0; !filtered && row < x->n; row++)
			scores[form * x->n + row] = score(x, row, cosine);
		n = naive_nearest(want, x, scores + cosine * x->n, filtered);

		for (size_t i = 0; i < (x->n > 1000 ? 2 : 4); i++) {
			struct kernel_nearest q = {x->rows, x->codes, x->n, x->d,
				x->query, cosine, filtered ? x->allowed : NULL, ks[i],
				NULL};

			check_one(x, want, n, q);
			q.pool = pool;
			check_one(x, want, n, q);
			q.codes = NULL;
			check_one(x, want, n, q);
		}
	}
	mem_free(want);
	mem_free(scores);
}

static void
each_path(void (*fn)(void))
{
	for (int path = 0; path < KERNEL_N_PATHS; path++)
		for (int vnni = 0; vnni < 2; vnni++) {
			if (!kernel_use_path((enum kernel_path)path))
				continue;
			kernel_use_vnni(vnni);
			fn();
		}
	kernel_use_vnni(true);
}

/* Stretches of words are empty, full, or hold what they hold. */
static void
allow_some(struct data *x)
{
	for (size_t i = 0; i < x->n / 64 + 1; i++) {
		size_t kind = naive_below(5);

		x->allowed[i] = kind == 0 ? 0
			: kind == 1       ? UINT64_MAX
			: kind == 2       ? (uint64_t)1 << naive_below(64)
			: kind == 3       ? naive_u64() & UINT32_MAX
					  : naive_u64();
	}
}

static void
shapes(void)
{
	for (size_t d = 1; d <= 200; d += d < 70 ? 1 : 13) {
		size_t n = naive_below(300);
		struct data x;

		data_new(&x, n, d);
		allow_some(&x);
		check(&x);
		data_free(&x);
	}
}

static void
copy_row(struct data *x, size_t to, size_t from)
{
	memcpy(x->rows + to * x->d, x->rows + from * x->d, x->d * sizeof(float));
}

/* Rows that are equal, or a multiple of others, so that the k-th place is a tie. */
static void
ties(void)
{
	struct data x;

	data_new(&x, 400, 48);
	for (size_t i = 0; i < x.n; i++) {
		copy_row(&x, i, i % 7);
		for (size_t j = 0; i % 3 == 0 && j < x.d; j++)
			x.rows[i * x.d + j] *= 4;
	}
	allow_some(&x);
	check(&x);
	memcpy(x.query, x.rows, x.d * sizeof(float));
	check(&x);
	memset(x.rows, 0, x.n * x.d * sizeof(float));
	check(&x);
	data_free(&x);
}

/* What bytes cannot hold: nothing, no number, the very large and very small. */
static void
odd_rows(void)
{
	static const float odd[] = {0, -0.0f, NAN, INFINITY, -INFINITY, 1e38f, 3e38f,
		1e-38f, 1e-45f, 1e-44f, 1e20f, -1e20f, 1e-20f, 1e15f, 1.0f};
	const size_t n_odd = sizeof(odd) / sizeof(*odd);
	struct data x;

	data_new(&x, 250, 70);
	for (size_t i = 0; i < x.n; i += 2) {
		float v = odd[i / 2 % n_odd];

		for (size_t j = 0; i % 4 == 0 && j < x.d; j++)
			x.rows[i * x.d + j] = i % 8 == 0
				? v
				: x.rows[i * x.d + j] * (isfinite(v) ? v : 1);
		x.rows[i * x.d + naive_below(x.d)] = v;
	}
	allow_some(&x);
	check(&x);
	for (size_t j = 0; j < x.d; j++)
		x.query[j] *= 1e-30f;
	check(&x);
	for (size_t j = 0; j < x.d; j++)
		x.query[j] *= 1e37f;
	check(&x);
	for (size_t j = 0; j < x.d; j++)
		x.query[j] = 3e38f;
	check(&x);
	for (size_t j = 0; j < x.d; j++)
		x.query[j] = j == 3 ? 1e-45f : 0;
	check(&x);
	memset(x.query, 0, x.d * sizeof(float));
	check(&x);
	data_free(&x);
}

/* Some dimensions are far larger in all rows, in some, or in the query. */
static void
outliers(void)
{
	for (int form = 0; form < 6; form++) {
		struct data x;

		data_new(&x, 250, 130);
		for (size_t i = 0; i < x.n; i++)
			for (size_t j = 0; j < 3; j++)
				if (form < 2 || i % 5 == (size_t)form)
					x.rows[i * x.d + 40 * j] *=
						form % 2 ? 100 : 1000;
		for (size_t j = 0; j < 3; j++)
			if (form > 2)
				x.query[40 * j + (form == 4)] *= form == 5 ? 1e4f : 300;
		allow_some(&x);
		check(&x);
		data_free(&x);
	}
}

/* Close together, so that bounds decide little: rows an ulp or a byte's step apart. */
static void
close_rows(void)
{
	struct data x;

	data_new(&x, 500, 96);
	for (size_t i = 1; i < x.n; i++) {
		copy_row(&x, i, 0);
		for (size_t j = 0; j < x.d; j++) {
			float *v = &x.rows[i * x.d + j];

			*v = i % 2 ? nextafterf(*v, gauss()) : *v + gauss() * 0.004f;
		}
	}
	allow_some(&x);
	check(&x);
	memcpy(x.query, x.rows + 77 * x.d, x.d * sizeof(float));
	check(&x);
	data_free(&x);
}

/* Ascending scores: every row is the best so far. */
static void
ascending(void)
{
	struct data x;

	data_new(&x, 5000, 8);
	for (size_t i = 0; i < x.n; i++)
		for (size_t j = 0; j < x.d; j++)
			x.rows[i * x.d + j] = x.query[j] * (1 + (float)i);
	allow_some(&x);
	check(&x);
	for (size_t i = 0; i < x.n; i++)
		for (size_t j = 0; j < x.d; j++)
			x.rows[i * x.d + j] =
				x.query[j] + gauss() * 50 / (1 + (float)i);
	check(&x);
	data_free(&x);
}

/*
 * What both parts of the query leave decides. Its dimensions come in pairs g + e, g - e
 * with g a multiple of the second part's scale and e below half of it; rows are signs,
 * which bytes hold, and of e see the whole.
 */
static void
rest_decides(void)
{
	const float step = 0x1p-16f;

	for (size_t d = 32; d <= 128; d *= 2) {
		struct data x;

		data_new(&x, 2000, d);
		for (size_t j = 0; j < d; j += 2) {
			float g = step * (float)((int)naive_below(7) - 3);
			float e = step * ((float)naive_below(1000) / 2100.0f - 0.238f);

			if (j < 4) { /* these are what the scales are made for */
				g = step * (j == 0 ? 127 * 254 : 127);
				e = 0;
			}
			x.query[j] = g + e;
			x.query[j + 1] = g - e;
		}
		for (size_t i = 0; i < x.n * d; i += 2) {
			x.rows[i] = naive_below(2) == 0 ? 1 : -1;
			x.rows[i + 1] = i % d >= 4 && naive_below(5) == 0 ? x.rows[i]
									  : -x.rows[i];
		}
		allow_some(&x);
		check(&x);
		data_free(&x);
	}
}

static void
test_shapes(void **state)
{
	(void)state;
	each_path(shapes);
}

static void
test_ties(void **state)
{
	(void)state;
	each_path(ties);
}

static void
test_odd_rows(void **state)
{
	(void)state;
	each_path(odd_rows);
}

static void
test_outliers(void **state)
{
	(void)state;
	each_path(outliers);
}

static void
test_close(void **state)
{
	(void)state;
	each_path(close_rows);
}

static void
test_rest_decides(void **state)
{
	(void)state;
	each_path(rest_decides);
}

static void
test_ascending(void **state)
{
	(void)state;
	each_path(ascending);
}

/* The bytes are the same on every path; they are stored. */
static void
test_same_codes(void **state)
{
	size_t n_bytes = 7 * kernel_codes_bytes(133);
	uint8_t *first = mem_new(n_bytes, 1);
	struct data x;

	(void)state;
	data_new(&x, 200, 133);
	x.rows[133] = NAN;
	memset(x.rows + 2 * 133, 0, 133 * sizeof(float));
	for (int path = 0; path < KERNEL_N_PATHS; path++)
		for (int vnni = 0; vnni < 2; vnni++) {
			if (!kernel_use_path((enum kernel_path)path))
				continue;
			kernel_use_vnni(vnni);
			fill_codes(&x);
			if (path == 0 && vnni == 0)
				memcpy(first, x.codes, n_bytes);
			assert_memory_equal(first, x.codes, n_bytes);
		}
	kernel_use_vnni(true);
	mem_free(first);
	data_free(&x);
}

/* It is worth it: of rows without close relatives few are left to the floats, whatever
 * the query's dimensions weigh, and though many rows are zeros. */
static void
test_few_are_left(void **state)
{
	struct kernel_hit out[10];
	size_t n, exact;
	struct data x;

	(void)state;
	data_new(&x, 20000, 256);
	memset(x.rows + 5000 * x.d, 0, 5000 * x.d * sizeof(float));
	fill_codes(&x);
	for (int form = 0; form < 2; form++) {
		struct kernel_nearest q = {x.rows, x.codes, x.n, x.d, x.query, true,
			NULL, 10, NULL};

		assert_int_equal(kernel_nearest(out, &n, &exact, &q, NULL), 0);
		assert_int_equal(n, 10);
		assert_in_range(exact, 10, 100);
		x.query[9] *= 30;
	}
	data_free(&x);
}

static void
test_no_memory(void **state)
{
	struct kernel_hit out[10];
	struct data x;
	size_t n;

	(void)state;
	data_new(&x, 300, 40);
	fill_codes(&x);
	for (long at = 0; at < 20; at++) {
		struct err e = ERR_INIT;
		struct kernel_nearest q = {x.rows, x.codes, x.n, x.d, x.query, true,
			NULL, 10, pool};
		int rc;

		mem_fail_at(at);
		rc = kernel_nearest(out, &n, NULL, &q, &e);
		mem_fail_at(-1);
		assert_true(rc == 0 || (rc == ERR_NOMEM && e.code == ERR_NOMEM));
		assert_int_equal(n, rc == 0 ? 10 : 0);
		if (at == 0)
			assert_int_equal(rc, ERR_NOMEM);
		if (at == 19)
			assert_int_equal(rc, 0);
	}
	data_free(&x);
}

static int
make_pool(void **state)
{
	(void)state;
	return pool_new(&pool, 3, NULL);
}

static int
free_pool(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_odd_rows),
		cmocka_unit_test(test_outliers),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_rest_decides),
		cmocka_unit_test(test_ascending),
		cmocka_unit_test(test_same_codes),
		cmocka_unit_test(test_few_are_left),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, make_pool, free_pool);
}
