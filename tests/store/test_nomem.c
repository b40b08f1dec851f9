/* SPDX-License-Identifier: ISC */
/*
 * The N-th allocation fails, for N = 0, 1, 2, ...: publishing, reading, labels and
 * searches say so, leave nothing behind (the sanitizer looks) and work afterwards.
 */
#include "tests/store/small.h"

static char *dir;

static int
make(void **state)
{
	if (scratch_make(state) != 0)
		return -1;
	dir = mem_strdup(small_store("m"));
	return dir != NULL ? 0 : -1;
}

static int
unmake(void **state)
{
	mem_free(dir);
	return scratch_remove(state);
}

/* Until fn comes through; the number of times it did not. */
static long
sweep(int (*fn)(struct err *e), long step)
{
	struct err e;
	long n = 0, failed = 0;
	int rc;

	do {
		e = ERR_INIT;
		mem_fail_at(n);
		rc = fn(&e);
		mem_fail_at(-1);
		if (rc != 0 && rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d: %s", n, rc, e.text);
		assert_int_equal(rc, e.code);
		failed += rc != 0;
		n += step;
	} while (rc != 0);
	return failed;
}

static int
reading(struct err *e)
{
	struct store_view *v = NULL;
	struct store *s;
	int rc = store_open(&s, dir, STORE_READ, e);

	if (rc == 0)
		rc = store_view_open(&v, s, e);
	if (rc == 0)
		rc = small_check(v, 0, 0, e);
	store_view_close(v);
	store_close(s);
	return rc;
}

static int
asking(struct err *e)
{
	struct store_label l = {.feature = 3, .text = "bridge", .source = LABEL_PERSON};
	const struct store_label *list;
	struct store_scope scope = {0, 0};
	struct store_view *v = NULL;
	struct store_found found[8];
	struct store_document d[8];
	struct rec_scored near[4];
	struct store *s;
	struct arena a;
	int64_t id;
	uint32_t n;
	int rc = store_open(&s, dir, STORE_READ, e);

	arena_init(&a, 0);
	memset(l.sae_hash, 0x10, sizeof(l.sae_hash));
	if (rc == 0)
		rc = store_view_open(&v, s, e);
	if (rc == 0)
		rc = store_labels_lock(s, e);
	if (rc == 0)
		rc = store_label_put(s, &l, 1, &id, e);
	if (rc == 0)
		rc = store_labels(v, 0, 0, 3, &list, &n, &a, e);
	if (rc == 0)
		rc = store_search_labels(v, &scope, 1, "bridge", 0, 8, found, &n, &a,
			e);
	if (rc == 0)
		rc = store_search_text(v, 0, "bridge (", 0, 8, found, &n, &a, e);
	if (rc == 0)
		rc = store_documents(v, 0, 0, "lang", "en", 8, d, &n, &a, e);
	if (rc == 0)
		rc = nearest(v, 0, (float[D_IN]){1}, 4, near, &n, e);
	if (rc == 0)
		rc = store_label_delete(s, id, e);
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
	return rc;
}

static int
publish(unsigned seed, struct err *e)
{
	struct store *s;
	uint32_t number;
	int rc = store_open(&s, dir, STORE_WRITE, e);

	if (rc == 0)
		rc = small_publish(s, seed, &number, e);
	store_close(s);
	return rc;
}

static int
publishing(struct err *e)
{
	return publish(1, e);
}

static int
publishing_images(struct err *e)
{
	return publish(SMALL_IMAGES, e);
}

static int
seeing(struct err *e)
{
	struct store_view *v = NULL;
	const struct rec_patch *p;
	struct store_image x;
	char hex[65];
	struct store *s;
	struct arena a;
	uint32_t cut;
	size_t n;
	int rc = store_open(&s, dir, STORE_READ, e);

	arena_init(&a, 0);
	if (rc == 0)
		rc = store_view_open(&v, s, e);
	for (uint32_t i = 0; rc == 0 && i < N_IMAGES; i++) {
		cut = store_view_catalog(v)->n_cuts - 1; /* the newest */
		rc = store_patches(v, cut, i, &p, &n, &a, e);
		if (rc == 0)
			rc = store_image_of(v, cut, i, &x, e);
		if (rc == 0)
			hash_hex(x.sha256, sizeof(x.sha256), hex);
		if (rc == 0)
			rc = store_image(v, cut, hex, &x, &a, e);
	}
	store_view_close(v);
	store_close(s);
	arena_clear(&a);
	return rc;
}

static void
test_reading(void **state)
{
	(void)state;
	assert_true(sweep(reading, 1) > 50);
}

static void
test_asking(void **state)
{
	(void)state;
	assert_true(sweep(asking, 1) > 50);
}

static void
test_publishing(void **state)
{
	(void)state;
	assert_true(sweep(publishing, 3) > 30);
}

static void
test_images(void **state)
{
	(void)state;
	assert_true(sweep(publishing_images, 3) > 30);
	assert_true(sweep(seeing, 1) > 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_asking),
		cmocka_unit_test(test_publishing),
		cmocka_unit_test(test_images),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
