/* SPDX-License-Identifier: ISC */
/* Cuts with images: written, found by hash, told by patch, damaged, collected. */
#include "tests/store/small.h"

/* The store's only cut, with images, in run 1. */
static char *
image_store(const char *name)
{
	char *dir = at(name);
	struct store *s;
	uint32_t number;

	OK(store_open(&s, dir, STORE_CREATE, e));
	OK(small_publish(s, SMALL_IMAGES, &number, e));
	store_close(s);
	return dir;
}

static void
digits_of(uint32_t i, char hex[65])
{
	struct store_image x = small_image(i);

	hash_hex(x.sha256, sizeof(x.sha256), hex);
}

/* Everything about images, against the formulas; a code where it cannot. */
static int
ask(struct store_view *v, uint32_t cut, struct err *e)
{
	struct arena a;
	int rc = 0;

	arena_init(&a, 0);
	for (uint32_t i = 0; rc == 0 && i < N_IMAGES; i++) {
		struct store_image got = {0}, want;
		char hex[65];

		digits_of(i, hex);
		rc = store_image(v, cut, hex, &got, &a, e);
		want = small_image(i);
		if (rc == 0) {
			assert_int_equal(got.number, i % (N_IMAGES - 1));
			assert_string_equal(got.type, want.type);
			assert_int_equal(got.n_bytes, want.n_bytes);
			assert_memory_equal(got.bytes, want.bytes, want.n_bytes);
			rc = store_image_of(v, cut, i, &got, e);
		}
		if (rc == 0) {
			assert_int_equal(got.number, i);
			assert_memory_equal(got.sha256, want.sha256, 32);
			assert_int_equal(got.n_bytes, want.n_bytes);
			assert_null(got.bytes);
		}
	}
	for (uint32_t w = 0; rc == 0 && w <= WINDOWS; w++) {
		struct rec_patch want = small_patch(w);
		const struct rec_patch *x;
		size_t n;

		rc = store_patches(v, cut, w, &x, &n, &a, e);
		if (rc != 0)
			break;
		assert_int_equal(n, w < WINDOWS && w % 2 == 0);
		if (n == 1)
			assert_memory_equal(x, &want, sizeof(want));
	}
	arena_clear(&a);
	return rc;
}

static void
test_round_trip(void **state)
{
	struct store *s;
	struct store_view *v;
	struct store_image x;
	struct arena a;
	char hex[65];

	(void)state;
	arena_init(&a, 0);
	OK(store_open(&s, image_store("round"), STORE_READ, e));
	OK(store_view_open(&v, s, e));
	OK(ask(v, 0, e));
	digits_of(1, hex);
	for (size_t n = 64; n >= 8; n -= 7) { /* any beginning, in any case */
		hex[n] = '\0';
		for (size_t i = 0; i < n; i++)
			hex[i] = (char)(hex[i] >= 'a' ? hex[i] - 32 : hex[i]);
		OK(store_image(v, 0, hex, &x, &a, e));
		assert_int_equal(x.number, 1);
	}
	hex[7] = '\0';
	FAILS(ERR_ARG, store_image(v, 0, hex, &x, &a, e));
	FAILS(ERR_ARG, store_image(v, 0, "", &x, &a, e));
	FAILS(ERR_ARG, store_image(v, 0, "0123456789abcdeg", &x, &a, e));
	FAILS(ERR_ARG, store_image(v, 0, "../../../etc/passwd", &x, &a, e));
	FAILS(ERR_NOTFOUND, store_image(v, 0, "00000000", &x, &a, e));
	FAILS(ERR_NOTFOUND, store_image(v, 0, "ffffffffffffffff", &x, &a, e));
	digits_of(1, hex);
	hex[63] = hex[63] == '0' ? '1' : '0';
	FAILS(ERR_NOTFOUND, store_image(v, 0, hex, &x, &a, e));
	hex[63] = '\0';
	OK(store_image(v, 0, hex, &x, &a, e));
	FAILS(ERR_ARG,
		store_image(v, 0,
			"00000000000000000000000000000000000000000000000000000000000000"
			"000",
			&x, &a, e));
	FAILS(ERR_NOTFOUND, store_image(v, 1, hex, &x, &a, e));
	FAILS(ERR_CORRUPT, store_image_of(v, 0, N_IMAGES, &x, e));
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
}

/* A cut without images has no file for them; and both live side by side. */
static void
test_without(void **state)
{
	struct store *s;
	struct store_view *v;
	struct store_image x;
	const struct rec_patch *p;
	char hex[65], path[PATH_BYTES];
	struct arena a;
	uint32_t number;
	size_t n = 9;

	(void)state;
	arena_init(&a, 0);
	OK(store_open(&s, small_store("without"), STORE_WRITE, e));
	OK(small_publish(s, SMALL_IMAGES, &number, e));
	OK(store_view_open(&v, s, e));
	for (uint32_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "without/cut/%s/image.mdb",
			store_view_catalog(v)->cut[i].id);
		assert_int_equal(file_exists(at(path)), i == 1);
	}
	digits_of(0, hex);
	FAILS(ERR_NOTFOUND, store_image(v, 0, hex, &x, &a, e));
	FAILS(ERR_ARG, store_image(v, 0, "zz", &x, &a, e));
	OK(store_patches(v, 0, 0, &p, &n, &a, e));
	assert_int_equal(n, 0);
	FAILS(ERR_NOTFOUND, store_patches(v, 2, 0, &p, &n, &a, e));
	OK(ask(v, 1, e));
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
}

/* A hundred hashes, each twice, in pairs that differ in the last digit alone. */
static struct store_image
pair_image(uint32_t i)
{
	uint32_t k = i * 37 % 100; /* not in the order of the hashes */
	struct store_image x = {.number = i, .type = "image/gif", .bytes = "GIF89a"};

	x.n_bytes = 1 + k % 6;
	memset(x.sha256, (int)(k / 2), sizeof(x.sha256));
	x.sha256[31] = (uint8_t)(k % 2);
	return x;
}

static void
publish_pairs(struct store *s)
{
	struct cat_cut info = small_cut_info(0);
	struct store_publish p = {.cut = &info};
	struct cut_writer *w;
	uint32_t number;
	int64_t have;

	info.n_documents = info.n_windows = 0;
	OK(cut_writer_new(&w, &have, s, &info, e));
	for (uint32_t i = 0; i < 200; i++) {
		struct store_image x = pair_image(i);

		OK(cut_writer_image(w, &x, e));
	}
	OK(cut_writer_finish(w, &info, e));
	cut_writer_free(w);
	OK(store_publish(s, &p, &number, e));
}

static void
test_prefix(void **state)
{
	struct store_image x;
	struct store_view *v;
	struct store *s;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	OK(store_open(&s, at("prefix"), STORE_CREATE, e));
	publish_pairs(s);
	OK(store_view_open(&v, s, e));
	for (uint32_t i = 0; i < 200; i++) {
		struct store_image want = pair_image(i);
		char hex[65];

		hash_hex(want.sha256, sizeof(want.sha256), hex);
		OK(store_image(v, 0, hex, &x, &a, e));
		assert_int_equal(x.number, i % 100);
		assert_int_equal(x.n_bytes, want.n_bytes);
		hex[63] = '\0';
		FAILS(ERR_ARG, store_image(v, 0, hex, &x, &a, e));
		hex[8] = '\0';
		FAILS(ERR_ARG, store_image(v, 0, hex, &x, &a, e));
		hex[6] = 'f';
		FAILS(ERR_NOTFOUND, store_image(v, 0, hex, &x, &a, e));
	}
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
}

static struct cut_writer *
new_writer(struct store **s, const char *name, struct cat_cut *info)
{
	struct cut_writer *w;
	int64_t have;

	*info = small_cut_info(0);
	info->n_documents = info->n_windows = 0;
	OK(store_open(s, at(name), STORE_CREATE, e));
	OK(cut_writer_new(&w, &have, *s, info, e));
	return w;
}

static void
test_refused(void **state)
{
	struct cat_cut info;
	struct store *s;
	struct cut_writer *w = new_writer(&s, "refused", &info);
	struct rec_patch p = small_patch(0);
	struct store_image x = small_image(0);
	struct err said = ERR_INIT;

	(void)state;
	FAILS(ERR_INTERNAL, cut_writer_patches(w, 0, &p, 1, e)); /* of no image */
	OK(cut_writer_patches(w, 0, NULL, 0, e));
	x.number = 1;
	FAILS(ERR_INTERNAL, cut_writer_image(w, &x, e));
	x.number = 0;
	x.n_bytes = 0;
	FAILS(ERR_FORMAT, cut_writer_image(w, &x, e));
	x.n_bytes = LIMIT_IMAGE_BYTES + 1;
	assert_int_equal(cut_writer_image(w, &x, &said), ERR_LIMIT);
	assert_non_null(strstr(said.text, "make it smaller"));
	x.n_bytes = 300;
	x.type[0] = '\0';
	FAILS(ERR_INTERNAL, cut_writer_image(w, &x, e));
	x = small_image(0);
	OK(cut_writer_image(w, &x, e));
	p.image = 1;
	FAILS(ERR_INTERNAL, cut_writer_patches(w, 0, &p, 1, e));
	p.image = 0;
	p.n_rows = 1;
	FAILS(ERR_FORMAT, cut_writer_patches(w, 0, &p, 1, e));
	p.n_rows = 2;
	OK(cut_writer_patches(w, 3, &p, 1, e));
	FAILS(ERR_INTERNAL, cut_writer_patches(w, 3, &p, 1, e));
	FAILS(ERR_INTERNAL, cut_writer_finish(w, &info, e)); /* no such window */
	cut_writer_free(w);
	store_close(s);
}

/* ---- what a disk can do ------------------------------------------------------ */

static int
ask_dir(const char *dir, struct err *e)
{
	struct store_view *v = NULL;
	struct store *s;
	int rc = store_open(&s, dir, STORE_READ, e);

	if (rc == 0)
		rc = store_view_open(&v, s, e);
	if (rc == 0)
		rc = ask(v, 0, e);
	store_view_close(v);
	store_close(s);
	return rc;
}

static void
expect_corrupt(const char *dir)
{
	struct err e = ERR_INIT;

	assert_int_equal(ask_dir(dir, &e), ERR_CORRUPT);
	assert_non_null(strstr(e.text, "image.mdb"));
}

static void
test_damaged(void **state)
{
	char path[PATH_BYTES], dir[PATH_BYTES], **names;
	struct buf whole;
	size_t n;

	(void)state;
	snprintf(dir, sizeof(dir), "%s", image_store("damaged"));
	OK(dir_list(at("damaged/cut"), &names, &n, e));
	assert_int_equal(n, 1);
	OK(path_join(path, e, "%s/cut/%s/image.mdb", dir, names[0]));
	mem_free(names[0]);
	mem_free(names);
	buf_init(&whole);
	OK(file_read(path, 1 << 26, &whole, e));
	OK(ask_dir(dir, e));
	for (uint64_t i = 0; i < 60; i++) {
		size_t where = (size_t)(hash_mix(i, 0, 0, 0) % whole.n_bytes);
		uint8_t bit = (uint8_t)(1u << i % 8);

		whole.data[where] ^= bit;
		put_file(path, whole.data, whole.n_bytes);
		expect_corrupt(dir);
		whole.data[where] ^= bit;
	}
	for (size_t i = 0; i < whole.n_bytes; i += whole.n_bytes / 7) {
		put_file(path, whole.data, i);
		expect_corrupt(dir);
	}
	assert_int_equal(remove(path), 0);
	expect_corrupt(dir);
	put_file(path, whole.data, whole.n_bytes);
	OK(ask_dir(dir, e));
	buf_clear(&whole);
}

/* du counts the file; gc takes it with its cut. */
static void
test_du_gc(void **state)
{
	struct store_usage *u;
	uint64_t freed, cut_bytes = 0;
	char path[PATH_BYTES];
	struct store_view *v;
	struct store *s;
	size_t n;

	(void)state;
	OK(store_open(&s, image_store("gc"), STORE_WRITE, e));
	OK(store_view_open(&v, s, e));
	snprintf(path, sizeof(path), "gc/cut/%s/image.mdb",
		store_view_catalog(v)->cut[0].id);
	store_view_close(v);
	assert_true(file_exists(at(path)));
	OK(store_du(s, &u, &n, e));
	for (size_t i = 0; i < n; i++)
		if (strcmp(u[i].what, "cut") == 0)
			cut_bytes = u[i].n_bytes;
	mem_free(u);
	assert_true(cut_bytes > 150000 + 300); /* and the first only once: */
	assert_true(cut_bytes < 2 * 150000 + 100000);
	OK(store_remove_run(s, 1, e));
	OK(store_gc(s, &freed, e));
	assert_true(freed > cut_bytes);
	assert_false(file_exists(at(path)));
	store_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_du_gc),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
