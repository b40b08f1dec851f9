/* SPDX-License-Identifier: ISC */
/*
 * The nearest features of a store, by decoder and encoder rows, cosine and inner
 * product, exactly and by FAISS, against every score; and files of rows that are not
 * what they should be.
 */
#include "kernel/scan.h"
#include "store/inner.h"
#include "tests/store/small.h"

enum { N = 700, D = 24, K = 40 };
static float rows_of[STORE_DIRECTIONS][N * D];
static char *dir;

static float
noise(uint64_t a, uint64_t b)
{
	return (float)(int64_t)hash_mix(77, a, b, 0) * 0x1p-63f;
}

/* Rows with twins, a row of zeros, and of different lengths. */
static void
rows_fill(void)
{
	for (uint32_t k = 0; k < STORE_DIRECTIONS; k++)
		for (uint32_t i = 0; i < N; i++)
			for (uint32_t j = 0; j < D; j++)
				rows_of[k][i * D + j] = i % 100 == 50
					? 0
					: noise(k * N + (i % 9 == 4 ? 3 : i), j) *
						(1 + (float)(i % 9 == 4 ? 3 : i % 13));
}

static struct cat_sae
info_of(const char *name, uint8_t hash)
{
	struct cat_sae x = small_sae_info(0);

	memset(x.hash, hash, sizeof(x.hash));
	hash_hex(x.hash, 8, x.id);
	strcpy(x.name, name);
	x.d_in = x.d_out = D;
	x.d_sae = N;
	return x;
}

static void
write_one(struct store *s, struct cat_sae *x, const float *encoder)
{
	struct sae_writer *w;
	int64_t have;

	OK(sae_writer_new(&w, &have, s, x, rows_of[STORE_DECODER], encoder, e));
	assert_non_null(w);
	OK(sae_writer_finish(w, e));
	sae_writer_free(w);
}

static struct store_view *
open_view(struct store **s)
{
	struct store_view *v;

	OK(store_open(s, dir, STORE_READ, e));
	OK(store_view_open(&v, *s, e));
	return v;
}

static void
close_view(struct store *s, struct store_view *v)
{
	store_view_close(v);
	store_close(s);
}

/* Two SAEs; the second came without an encoder. */
static int
make(void **state)
{
	struct cat_model model = {.n_layers = 2, .d_model = D, .n_vocab = 9};
	struct cat_sae sae[2] = {info_of("wide", 0x21), info_of("other", 0x22)};
	struct store_publish p = {.model = &model, .sae = sae, .n_saes = 2};
	struct store *s;
	uint32_t number;

	if (scratch_make(state) != 0)
		return -1;
	rows_fill();
	dir = mem_strdup(at("searched"));
	strcpy(model.id, "00000000000000aa");
	strcpy(model.name, "tiny");
	OK(store_open(&s, dir, STORE_CREATE, e));
	write_one(s, &sae[0], rows_of[STORE_ENCODER]);
	write_one(s, &sae[1], NULL);
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

/* ---- by the definition ------------------------------------------------------- */

static float
score(const struct store_search *s, uint32_t row)
{
	const float *w = rows_of[s->direction] + row * D;
	float a[D], b[D], norm_a = kernel_norm(s->vector, D),
			  norm_b = kernel_norm(w, D);

	if (s->metric == STORE_IP)
		return kernel_dot(s->vector, w, D);
	for (uint32_t j = 0; j < D; j++) {
		a[j] = norm_a > 0 ? s->vector[j] / norm_a : 0;
		b[j] = norm_b > 0 ? w[j] / norm_b : 0;
	}
	return kernel_dot(a, b, D);
}

static int
by_score(const void *pa, const void *pb)
{
	const struct rec_scored *a = pa, *b = pb;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static uint32_t
all_of(const struct store_search *s, struct rec_scored out[N])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N; i++)
		if (s->allowed == NULL || (s->allowed[i / 64] >> i % 64 & 1) != 0)
			out[n++] = (struct rec_scored){i, score(s, i)};
	qsort(out, n, sizeof(*out), by_score);
	return n;
}

static void
check(struct store_view *v, const struct store_search *s)
{
	struct rec_scored want[N], out[N];
	struct store_nearest found;
	uint32_t n = all_of(s, want);

	OK(store_search(v, s, out, &found, e));
	assert_int_equal(found.engine, STORE_EXACT);
	assert_int_equal(found.n, n < s->k ? n : s->k);
	assert_in_range(found.n_decided, found.n, N);
	for (uint32_t i = 0; i < found.n; i++) {
		assert_int_equal(out[i].id, want[i].id);
		assert_memory_equal(&out[i].score, &want[i].score, sizeof(float));
	}
}

/* Equal but for what rounds otherwise, and places that this leaves open. */
static void
check_faiss(struct store_view *v, struct store_search s)
{
	struct rec_scored want[N], out[N];
	struct store_nearest found;
	double room = 1e-6 *
		(s.metric == STORE_COSINE ? 1 : (double)kernel_norm(s.vector, D) * 40);

	all_of(&s, want);
	s.engine = STORE_FAISS;
	OK(store_search(v, &s, out, &found, e));
	assert_int_equal(found.engine, STORE_FAISS);
	assert_int_equal(found.n, s.k < N ? s.k : N);
	for (uint32_t i = 0; i < found.n; i++) {
		assert_true(fabs((double)out[i].score - (double)want[i].score) <= room);
		assert_true(fabs((double)score(&s, out[i].id) -
				    (double)want[i].score) <= 2 * room);
	}
}

static void
test_searches(void **state)
{
	uint64_t allowed[N / 64 + 1] = {0};
	struct store *s;
	struct store_view *v = open_view(&s);
	static const uint32_t ks[] = {0, 1, K, N, 1000};

	(void)state;
	for (uint32_t i = 0; i < N; i += 1 + i % 3)
		if (i < 200 || i > 400)
			allowed[i / 64] |= (uint64_t)1 << i % 64;
	for (uint32_t i = 0; i < 5 * 4 * 12; i++) {
		float query[D];
		struct store_search x = {.direction = i / 5 % 2,
			.metric = i / 10 % 2,
			.vector = query,
			.k = ks[i % 5]};

		for (uint32_t j = 0; j < D; j++)
			query[j] = i % 7 == 0 ? rows_of[0][i * D + j]
					      : noise(i + 5000, j) * (float)(i + 1);
		check(v, &x);
		check_faiss(v, x);
		x.allowed = allowed;
		check(v, &x);
		x.engine = STORE_FAISS;
		FAILS(ERR_ARG,
			store_search(v, &x, NULL, &(struct store_nearest){0}, e));
	}
	close_view(s, v);
}

static void
test_what_is_not_there(void **state)
{
	struct store_nearest found;
	struct rec_scored out[1];
	struct store *s;
	struct store_view *v = open_view(&s);
	struct store_search x = {.sae = 1, .vector = rows_of[0], .k = 1};
	const float *rows;
	uint32_t d;

	(void)state;
	OK(store_search(v, &x, out, &found, e));
	OK(store_rows(v, 0, STORE_ENCODER, &rows, &d, e));
	assert_int_equal(d, D);
	assert_memory_equal(rows, rows_of[STORE_ENCODER], sizeof(rows_of[0]));
	x.direction = STORE_ENCODER;
	FAILS(ERR_NOTFOUND, store_search(v, &x, out, &found, e));
	FAILS(ERR_NOTFOUND, store_rows(v, 1, STORE_ENCODER, &rows, &d, e));
	FAILS(ERR_NOTFOUND, store_rows(v, 2, STORE_DECODER, &rows, &d, e));
	x = (struct store_search){.sae = 2, .vector = rows_of[0], .k = 1};
	FAILS(ERR_NOTFOUND, store_search(v, &x, out, &found, e));
	x = (struct store_search){.engine = STORE_APPROXIMATE,
		.vector = rows_of[0],
		.k = 1};
	FAILS(ERR_NOTFOUND, store_search(v, &x, out, &found, e));
	close_view(s, v);
}

/* ---- files ------------------------------------------------------------------- */

static char *
file_at(const char *sae, const char *name)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "searched/sae/%.2s%.2s%.2s%.2s%.2s%.2s%.2s%.2s/%s",
		sae, sae, sae, sae, sae, sae, sae, sae, name);
	return at(path);
}

/* A search by decoder rows in bytes that are these. */
static void
search_with(const uint8_t *bytes, size_t n_bytes, bool opens)
{
	struct err error = ERR_INIT;
	struct store_nearest found;
	struct rec_scored out[1];
	struct store_view *v = NULL;
	struct store *s = NULL;
	struct store_search x = {.vector = rows_of[0], .k = 1};
	int rc;

	OK(file_write_atomic(file_at("21", "decoder.i8"), bytes, n_bytes, e));
	rc = store_open(&s, dir, STORE_READ, &error);
	if (rc == 0)
		rc = store_view_open(&v, s, &error);
	assert_int_equal(rc == 0, opens);
	if (rc == 0)
		rc = store_search(v, &x, out, &found, &error);
	assert_int_equal(rc, ERR_CORRUPT);
	assert_non_null(strstr(error.text, "21/decoder.i8"));
	close_view(s, v);
}

/* Cut short, damaged anywhere, of another SAE or direction: never a wrong answer. */
static void
test_files(void **state)
{
	struct buf own, other;

	(void)state;
	OK(file_read(file_at("21", "decoder.i8"), 1 << 20, &own, e));
	assert_int_equal(own.n_bytes, store_codes_bytes(N, D));
	search_with(own.data, own.n_bytes - 1, false);
	search_with(own.data, 0, false);
	for (size_t i = 0; i < own.n_bytes; i += i < 64 ? 5 : 997) {
		own.data[i] ^= 16;
		search_with(own.data, own.n_bytes, true);
		own.data[i] ^= 16;
	}
	OK(file_read(file_at("22", "decoder.i8"), 1 << 20, &other, e));
	assert_int_equal(own.n_bytes, other.n_bytes);
	search_with(other.data, other.n_bytes, true);
	buf_clear(&other);
	OK(file_read(file_at("21", "encoder.i8"), 1 << 20, &other, e));
	search_with(other.data, other.n_bytes, true);
	buf_clear(&other);
	OK(file_write_atomic(file_at("21", "decoder.i8"), own.data, own.n_bytes, e));
	buf_clear(&own);
}

/* Of a file that is too large to be hashed at first use rows in bytes are, nonetheless. */
static void
test_large(void **state)
{
	struct part *part = mem_new(1, sizeof(*part));
	const struct map *map;
	struct object *o;

	(void)state;
	assert_non_null(part);
	OK(file_write_atomic(at("large"), "rows", 4, e));
	strcpy(part->name, "large");
	part->n_bytes = 4;
	part->hash = hash64("rows", 4, 0) ^ 1;
	part->checked = true; /* as it is when the length was all that was looked at */
	OK(object_new(&o, KIND_SAE, "id", scratch, part, 1, e));
	OK(object_map(o, 0, &map, e));
	FAILS(ERR_CORRUPT, object_map_whole(o, 0, &map, e));
	FAILS(ERR_CORRUPT, object_map_whole(o, 0, &map, e));
	part->hash ^= 1;
	OK(object_map_whole(o, 0, &map, e));
	part->hash ^= 1; /* it was looked at once */
	OK(object_map_whole(o, 0, &map, e));
	object_free(o);
}

/* Files that the catalogue takes for right: what they say of themselves is read too. */
static void
test_heads(void **state)
{
	static const struct {
		size_t at;
		int code;
		const char *says;
	} head[] = {
		{0, ERR_CORRUPT, "no rows in bytes"},
		{8, ERR_VERSION, "version"},
		{12, ERR_CORRUPT, "not the 700 x 24 of again"},
		{16, ERR_CORRUPT, "not the 700 x 24 of again"},
		{20, ERR_CORRUPT, "not the 700 x 24 of again"},
		{24, ERR_CORRUPT, "not the 700 x 24 of again"},
		{45, ERR_CORRUPT, "the head is damaged"},
	};
	struct cat_sae again = info_of("again", 0x40);
	struct store_publish p = {.sae = &again, .n_saes = 1};

	(void)state;
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++) {
		struct err error = ERR_INIT;
		struct store_search x = {.sae = 2 + (uint32_t)i,
			.vector = rows_of[0],
			.k = 1};
		struct rec_scored out[1];
		struct store_nearest found;
		char path[PATH_BYTES];
		struct store_view *v;
		struct store *s;
		uint32_t number;
		struct buf b;
		uint64_t sum;

		again = info_of("again", (uint8_t)(0x40 + i));
		snprintf(again.name, sizeof(again.name), "again%zu", i);
		OK(store_open(&s, dir, STORE_WRITE, e));
		write_one(s, &again, NULL);
		/* pending still: the catalogue hashes what it finds */
		snprintf(path, sizeof(path), "searched/tmp");
		{
			char **names;
			size_t n;

			OK(dir_list(at(path), &names, &n, e));
			assert_int_equal(n, 1);
			snprintf(path, sizeof(path), "searched/tmp/%s/decoder.i8",
				names[0]);
			mem_free(names[0]);
			mem_free(names);
		}
		OK(file_read(at(path), 1 << 20, &b, e));
		b.data[head[i].at] ^= 1;
		if (i + 1 < sizeof(head) / sizeof(*head)) {
			sum = hash64(b.data, 56, 0);
			for (int j = 0; j < 8; j++)
				b.data[56 + j] = (uint8_t)(sum >> 8 * j);
		}
		OK(file_write_atomic(at(path), b.data, b.n_bytes, e));
		buf_clear(&b);
		OK(store_publish(s, &p, &number, e));
		OK(store_view_open(&v, s, e));
		assert_int_equal(store_search(v, &x, out, &found, &error),
			head[i].code);
		if (strstr(error.text, head[i].says) == NULL)
			fail_msg("%s", error.text);
		close_view(s, v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_searches),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_heads),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
