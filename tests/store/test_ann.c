/* SPDX-License-Identifier: ISC */
/*
 * Approximate indexes: of rows with twins, zeros and what is no number; their answers
 * against the exact search; the record beside an index, cut short and changed at every
 * byte; memory that runs out while one is built, loaded or asked.
 */
#include "store/ann_inner.h"
#include "tests/store/small.h"

enum { N = 1500, D = 16, K = 10 };
static float rows[N * D];
static char *dir;

static void
rows_fill(void)
{
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t j = 0; j < D; j++)
			rows[i * D + j] = i % 100 == 50
				? 0
				: (float)(int64_t)hash_mix(7, i % 9 == 4 ? 3 : i, j,
					  0) *
					0x1p-63f;
	rows[77 * D] = NAN;
	rows[78 * D + 3] = INFINITY;
}

static int
make(void **state)
{
	struct cat_model model = {.n_layers = 2, .d_model = D, .n_vocab = 9};
	struct cat_sae sae[2] = {small_sae_info(0), small_sae_info(1)};
	struct store_publish p = {.model = &model, .sae = sae, .n_saes = 2};
	struct sae_writer *w;
	struct store *s;
	uint32_t number;
	int64_t have;

	if (scratch_make(state) != 0)
		return -1;
	rows_fill();
	dir = mem_strdup(at("indexed"));
	strcpy(model.id, "00000000000000aa");
	strcpy(model.name, "tiny");
	OK(store_open(&s, dir, STORE_CREATE, e));
	for (int i = 0; i < 2; i++) {
		sae[i].d_in = sae[i].d_out = D;
		sae[i].d_sae = i == 0 ? N : 100;
		OK(sae_writer_new(&w, &have, s, &sae[i], rows, NULL, e));
		OK(sae_writer_finish(w, e));
		sae_writer_free(w);
	}
	OK(store_publish(s, &p, &number, e));
	store_close(s);
	return 0;
}

static int
unmake(void **state)
{
	mem_free(dir);
	return scratch_remove(state);
}

static int
build(const char *factory, uint64_t memory_bytes, struct store_ann *x, bool *have,
	struct err *err)
{
	struct store_ann_job job = {.factory = factory,
		.memory_bytes = memory_bytes,
		.n_threads = 1};
	struct store *s;
	int rc = store_open(&s, dir, STORE_WRITE, err);

	if (rc != 0)
		return rc;
	rc = store_ann_build(s, &job, have, x, err);
	store_close(s);
	return rc;
}

static void
test_build(void **state)
{
	struct store_ann_job few = {.sae = 1,
		.memory_bytes = UINT64_MAX,
		.n_threads = 1};
	struct store_ann x;
	struct err error = ERR_INIT;
	struct store *s;
	bool have;

	(void)state;
	assert_int_equal(build(NULL, 1000, &x, &have, &error), ERR_NOMEM);
	assert_non_null(strstr(error.text, "at least"));
	assert_int_equal(build("No", UINT64_MAX, &x, &have, &error), ERR_ARG);
	OK(store_open(&s, dir, STORE_WRITE, e));
	assert_int_equal(store_ann_build(s, &few, &have, &x, &error), ERR_ARG);
	store_close(s);
	OK(build(NULL, UINT64_MAX, &x, &have, e));
	assert_false(have);
	assert_string_equal(x.factory, "IVF32,PQ8x4fs");
	assert_true(x.recall >= 0.98 && x.n_queries > 150);
	OK(build(NULL, UINT64_MAX, &x, &have, e));
	assert_true(have);
}

/* Every row that is one, by the index and by the scan. */
static void
test_answers(void **state)
{
	struct rec_scored a[N], b[N];
	struct store_nearest fa, fb;
	struct store_view *v;
	struct store *s;
	struct store_ann x;
	struct store_search q = {.k = K};
	struct err error = ERR_INIT;
	uint32_t n_found = 0, n = 0;

	(void)state;
	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_view_open(&v, s, e));
	q.vector = rows;
	q.engine = STORE_APPROXIMATE;
	assert_int_equal(store_search(v, &q, a, &fa, &error), ERR_BUSY);
	assert_true(store_ann_waits(s));
	assert_int_equal(store_ann_load(s, NULL, NULL, &x, &error), 1);
	assert_int_equal(x.state, STORE_ANN_LOADED);
	assert_false(store_ann_waits(s));
	assert_int_equal(store_ann_load(s, NULL, NULL, &x, &error), 0);
	for (uint32_t i = 0; i < N; i += 3) {
		q.vector = rows + i * D;
		if (i == 78 || i % 100 == 50)
			continue;
		q.engine = STORE_APPROXIMATE;
		OK(store_search(v, &q, a, &fa, e));
		assert_non_null(fa.index);
		assert_true(fa.recall > 0.9 && fa.engine == STORE_APPROXIMATE);
		q.engine = STORE_EXACT;
		OK(store_search(v, &q, b, &fb, e));
		assert_null(fb.index);
		for (uint32_t j = 0; j < fb.n; j++)
			for (uint32_t k = 0; k < fa.n; k++)
				if (a[k].id == b[j].id) {
					assert_true(a[k].score == b[j].score);
					n_found++;
				}
		n += fb.n;
	}
	assert_true(n_found >= 0.97 * n);
	q.k = N; /* more than there are that have a direction */
	q.engine = STORE_APPROXIMATE;
	OK(store_search(v, &q, a, &fa, e));
	for (uint32_t j = 0; j < fa.n; j++)
		assert_true(a[j].id < N && a[j].id != 77 &&
			(j == 0 || a[j - 1].score > a[j].score ||
				(a[j - 1].score == a[j].score &&
					a[j - 1].id < a[j].id)));
	assert_true(fa.n <= N);
	store_view_close(v);
	store_close(s);
}

static void
test_record(void **state)
{
	struct store_ann x = {.sae_id = "0123456789abcdef",
		.factory = "IVF4,SQ8",
		.parameter = "nprobe",
		.value = 2,
		.n_candidates = 300,
		.n_rows = 5,
		.d = 6,
		.recall = 0.5,
		.version = "1",
		.level = "2"};
	struct store_ann y;
	struct err error;
	struct buf b;

	(void)state;
	OK(ann_about_write(at("about"), &x, e));
	OK(file_read(at("about"), 4096, &b, e));
	OK(ann_about_read(&y, b.data, b.n_bytes, e));
	assert_string_equal(y.text, "IVF4,SQ8, nprobe 2, 300 candidates");
	for (size_t i = 0; i < b.n_bytes; i++) {
		error = ERR_INIT;
		assert_int_not_equal(ann_about_read(&y, b.data, i, &error), 0);
		b.data[i] ^= 0x40;
		assert_int_not_equal(ann_about_read(&y, b.data, b.n_bytes, &error), 0);
		assert_true(error.text[0] != '\0');
		b.data[i] ^= 0x40;
	}
	buf_clear(&b);
}

/* ---- memory that runs out -------------------------------------------------------- */

static int
loading(struct err *err)
{
	struct rec_scored out[K];
	struct store_nearest found;
	struct store_search q = {.k = K, .vector = rows, .engine = STORE_APPROXIMATE};
	struct store_view *v = NULL;
	struct store_ann x;
	struct store *s;
	int rc = store_open(&s, dir, STORE_READ, err);

	if (rc != 0)
		return rc;
	rc = store_ann_load(s, NULL, NULL, &x, err);
	if (rc == 1)
		rc = x.state == STORE_ANN_LOADED ? 0
						 : err_set(err, ERR_NOMEM, "%s", x.why);
	if (rc == 0)
		rc = store_view_open(&v, s, err);
	if (rc == 0)
		rc = store_search(v, &q, out, &found, err);
	store_view_close(v);
	store_close(s);
	return rc;
}

static int
building(struct err *err)
{
	static int n;
	struct store_ann x;
	char factory[32];
	bool have;

	snprintf(factory, sizeof(factory), "HNSW%d,Flat", 4 + n++ % 60);
	return build(factory, UINT64_MAX, &x, &have, err);
}

static void
sweep(int (*fn)(struct err *err), long first, long step)
{
	struct err error;
	int rc;

	for (long n = first;; n += step) {
		error = ERR_INIT;
		mem_fail_at(n);
		rc = fn(&error);
		mem_fail_at(-1);
		if (rc == 0)
			break;
		if (rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d: %s", n, rc, error.text);
	}
}

static void
test_nomem(void **state)
{
	(void)state;
	sweep(loading, 0, 1);
	sweep(building, 0, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_nomem),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
