/* SPDX-License-Identifier: ISC */
/*
 * Readers in several threads, labels among them, while runs are published and
 * removed: every answer is right for the generation that was asked.
 */
#include "tests/store/small.h"
#include "util/pool.h"

#include <stdatomic.h>

enum { THREADS = 4, READERS = 3 };

static struct store *reader;
static atomic_bool done;
static atomic_uint n_asked, n_stale;

static void
publish(void)
{
	struct store *s;
	uint32_t number;

	OK(store_open(&s, store_dir(reader), STORE_WRITE, e));
	for (unsigned i = 1; i < 6; i++) {
		OK(small_publish(s, i, &number, e));
		if (i > 2)
			OK(store_remove_run(s, number - 2, e));
	}
	store_close(s);
}

/* One look at whatever is newest; ERR_STALE where it was removed meanwhile. */
static void
look(struct arena *a)
{
	const struct store_catalog *c;
	const struct store_label *list;
	struct store_view *v;
	struct err e = ERR_INIT;
	struct rec_scored near[3];
	float vector[D_IN] = {1};
	uint32_t n;
	int rc = store_has_newer(reader) ? store_refresh(reader, &e) : 0;

	if (rc == 0)
		rc = store_view_open(&v, reader, &e);
	if (rc != 0)
		fail_msg("%d: %s", rc, e.text);
	c = store_view_catalog(v);
	for (uint32_t i = 0; rc == 0 && i < c->n_runs; i++)
		rc = small_check(v, i, c->run[i].id[15] - '1', &e);
	if (rc == 0)
		rc = store_labels(v, 0, 0, 1, &list, &n, a, &e);
	if (rc == 0)
		rc = nearest(v, 0, vector, 3, near, &n, &e);
	if (rc != 0 && rc != ERR_STALE)
		fail_msg("%d: %s", rc, e.text);
	atomic_fetch_add(rc == 0 ? &n_asked : &n_stale, 1);
	store_view_close(v);
}

static void
work(void *ctx, size_t i, size_t thread)
{
	struct arena a;

	(void)ctx;
	(void)thread;
	if (i == READERS) {
		publish();
		atomic_store(&done, true);
		return;
	}
	arena_init(&a, 0);
	while (!atomic_load(&done)) {
		struct store_label l = {.feature = 1,
			.text = "seen",
			.author = "x",
			.source = LABEL_PERSON};
		int64_t id;

		look(&a);
		if (i == 0)
			OK(store_label_put(reader, &l, 1, &id, e));
		arena_reset(&a);
	}
	arena_clear(&a);
}

static void
test_all_at_once(void **state)
{
	struct pool *p;

	(void)state;
	OK(store_open(&reader, small_store("threads"), STORE_READ, e));
	OK(store_labels_lock(reader, e));
	OK(pool_new(&p, THREADS, e));
	pool_run(p, READERS + 1, work, NULL);
	pool_free(p);
	assert_true(atomic_load(&n_asked) > 0);
	OK(store_refresh(reader, e));
	store_close(reader);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
