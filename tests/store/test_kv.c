/* SPDX-License-Identifier: ISC */
#include "schema/limits.h"
#include "store/kv.h"
#include "tests/store/small.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

static const char *const names[] = {"first", "second"};

static void
fill(uint8_t *p, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(id * 7 + i * 13 + i / 256);
}

static uint32_t
length_of(uint32_t id)
{
	static const uint32_t odd[] = {0, 1, 1984, 2020, 4096, LIMIT_CHUNK_BYTES - 1,
		LIMIT_CHUNK_BYTES, LIMIT_CHUNK_BYTES + 1, 3 * LIMIT_CHUNK_BYTES,
		200000};

	return odd[id % 10];
}

static char *
make(const char *name, uint32_t n)
{
	uint8_t *p = mem_new(200000, 1);
	char *path = at(name);
	struct kv *kv;

	OK(kv_create(&kv, path, names, 2, e));
	for (uint32_t i = 0; i < n; i++) {
		fill(p, length_of(i), i);
		OK(kv_put(kv, 0, i * 3, p, length_of(i), e));
		OK(kv_put(kv, 1, i, &i, sizeof(i), e));
	}
	OK(kv_finish(kv, e));
	kv_close(kv);
	mem_free(p);
	return path;
}

static void
test_round(void **state)
{
	uint8_t *want = mem_new(200000, 1);
	char *path = make("round.mdb", 40);
	struct kv *kv;
	struct kv_view *v;
	struct kv_value x;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	OK(kv_open(&kv, path, names, 2, e));
	OK(kv_view_open(&v, kv, e));
	assert_int_equal(kv_entries(v, 1), 40);
	for (uint32_t i = 40; i-- > 0;) {
		struct err said = ERR_INIT;

		assert_int_equal(kv_get(v, 0, i * 3, &x, &a, &said), 1);
		assert_int_equal(x.n_bytes, length_of(i));
		fill(want, x.n_bytes, i);
		assert_memory_equal(x.p, want, x.n_bytes);
		assert_int_equal(kv_get(v, 1, i, &x, &a, &said), 1);
		assert_memory_equal(x.p, &i, sizeof(i));
		assert_int_equal(kv_get(v, 0, i * 3 + 1, &x, &a, &said), 0);
		assert_null(x.p);
	}
	kv_view_close(v);
	kv_close(kv);
	assert_false(file_exists(at("round.mdb-lock")));
	arena_clear(&a);
	mem_free(want);
}

struct seen {
	uint16_t part[8];
	size_t n, stop;
};

static int
see(void *ctx, uint16_t part, struct kv_value x, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	assert_int_equal(x.n_bytes, 70000); /* longer than a chunk, and whole */
	s->part[s->n++] = part;
	return s->n == s->stop;
}

static void
test_series(void **state)
{
	static const struct {
		uint32_t id;
		uint16_t from;
		size_t n;
		uint16_t first;
	} want[] = {{5, 0, 3, 0}, {5, 3, 3, 0}, {5, 4, 2, 4}, {5, 9, 1, 9},
		{5, 99, 1, 9}, {7, 0, 2, 2}, {7, 3, 1, 3}, {4, 9, 0, 0}, {6, 9, 0, 0},
		{8, 0, 0, 0}, {0, 0, 0, 0}, {9, 9, 0, 0}};
	static const struct {
		uint32_t id;
		uint16_t part;
	} put[] = {{5, 0}, {5, 4}, {5, 9}, {7, 2}, {7, 3}};
	uint8_t *p = mem_new(70000, 1);
	char *path = at("series.mdb");
	struct kv *kv;
	struct kv_view *v;

	(void)state;
	OK(kv_create(&kv, path, names, 1, e));
	for (size_t i = 0; i < 5; i++)
		OK(kv_put_part(kv, 0, put[i].id, put[i].part, p, 70000, e));
	OK(kv_finish(kv, e));
	kv_close(kv);
	OK(kv_open(&kv, path, names, 1, e));
	OK(kv_view_open(&v, kv, e));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct seen s = {.stop = 9};

		OK(kv_each(v, 0, want[i].id, want[i].from, see, &s, e));
		assert_int_equal(s.n, want[i].n);
		if (s.n > 0)
			assert_int_equal(s.part[0], want[i].first);
	}
	OK(kv_each(v, 0, 5, 0, see, &(struct seen){.stop = 1}, e));
	/* a part of a series is no value, nor the other way round */
	FAILS(ERR_CORRUPT, kv_get(v, 0, 5, &(struct kv_value){0}, NULL, e));
	kv_view_close(v);
	kv_close(kv);
	mem_free(p);
}

static void
test_order(void **state)
{
	struct kv *kv;

	(void)state;
	OK(kv_create(&kv, at("order.mdb"), names, 2, e));
	OK(kv_put(kv, 0, 5, "x", 1, e));
	OK(kv_put(kv, 1, 3, "x", 1, e));
	FAILS(ERR_INTERNAL, kv_put(kv, 0, 5, "x", 1, e));
	kv_close(kv);
	OK(kv_create(&kv, at("order2.mdb"), names, 2, e));
	OK(kv_put(kv, 0, 0x100, "x", 1, e));
	FAILS(ERR_INTERNAL, kv_put(kv, 0, 0xff, "x", 1, e));
	kv_close(kv);
}

static void
test_not_one(void **state)
{
	char *path = make("not.mdb", 3), big[16384] = {0};
	struct kv *kv;

	(void)state;
	FAILS(ERR_NOTFOUND, kv_open(&kv, at("none"), names, 2, e));
	FAILS(ERR_CORRUPT, kv_open(&kv, path, (const char *const[]){"third"}, 1, e));
	put_file(at("zeros"), big, sizeof(big));
	FAILS(ERR_CORRUPT, kv_open(&kv, at("zeros"), names, 1, e));
	put_file(at("short"), big, 100);
	FAILS(ERR_CORRUPT, kv_open(&kv, at("short"), names, 1, e));
}

/* A bit of a value is flipped under a reader: it is noticed at once. */
static void
test_flips(void **state)
{
	char *path = make("flip.mdb", 30);
	struct buf whole;
	struct arena a;
	int fd = open(path, O_WRONLY);
	uint8_t want[1984];

	(void)state;
	arena_init(&a, 0);
	buf_init(&whole);
	assert_int_equal(file_read(path, 1 << 26, &whole, NULL), 0);
	fill(want, sizeof(want), 2);
	for (uint32_t i = 0; i < 500; i++) {
		/* the value of id 6 (the third), with its header before it */
		uint8_t *hit = memmem(whole.data, whole.n_bytes, want, sizeof(want));
		off_t where;
		struct err said = ERR_INIT;
		struct kv *kv;
		struct kv_view *v;
		struct kv_value x;
		uint8_t bad;

		assert_non_null(hit);
		where = hit - whole.data - 20 + (off_t)(hash_mix(i, 0, 0, 0) % 2004);
		bad = whole.data[where] ^ (uint8_t)(1u << i % 8);
		assert_int_equal(pwrite(fd, &bad, 1, where), 1);
		OK(kv_open(&kv, path, names, 2, e));
		OK(kv_view_open(&v, kv, e));
		assert_int_equal(kv_get(v, 0, 6, &x, &a, &said), ERR_CORRUPT);
		assert_non_null(strstr(said.text, "flip.mdb"));
		assert_int_equal(kv_get(v, 0, 9, &x, &a, &said), 1);
		kv_view_close(v);
		kv_close(kv);
		assert_int_equal(pwrite(fd, whole.data + where, 1, where), 1);
		arena_reset(&a);
	}
	close(fd);
	buf_clear(&whole);
	arena_clear(&a);
}

/* More than the map is long at first. */
static void
test_growth(void **state)
{
	enum { BIG = 60000, MANY = 2600 };
	uint8_t *p = mem_new(BIG, 1);
	char *path = at("big.mdb");
	struct kv *kv;
	struct kv_view *v;
	struct kv_value x;

	(void)state;
	OK(kv_create(&kv, path, names, 1, e));
	for (uint32_t i = 0; i < MANY; i++) {
		memcpy(p, &i, sizeof(i));
		OK(kv_put(kv, 0, i, p, BIG, e));
	}
	OK(kv_finish(kv, e));
	kv_close(kv);
	OK(kv_open(&kv, path, names, 1, e));
	OK(kv_view_open(&v, kv, e));
	for (uint32_t i = 0; i < MANY; i += 97) {
		struct err said = ERR_INIT;

		assert_int_equal(kv_get(v, 0, i, &x, NULL, &said), 1);
		assert_memory_equal(x.p, &i, sizeof(i));
	}
	kv_view_close(v);
	kv_close(kv);
	mem_free(p);
	assert_int_equal(remove(path), 0);
}

/* Values of 60,000 bytes from one id on, until an error; the id that had it. */
static uint32_t
put_until(struct kv *kv, uint32_t from, uint32_t to, int *rc, struct err *e)
{
	static uint8_t p[60000];

	for (*rc = 0; *rc == 0 && from < to; from++) {
		fill(p, sizeof(p), from);
		*rc = kv_put_part(kv, 0, from, 0, p, sizeof(p), e);
		if (*rc != 0)
			return from;
	}
	return from;
}

/* No room, then room: nothing more is taken by what had the error, though LMDB would
 * take it; opened again, it goes on from what was synced. */
static void
test_failed(void **state)
{
	struct err mine = ERR_INIT;
	struct rlimit old, most;
	char *path = at("failed.mdb");
	struct kv *kv;
	uint32_t n;
	int rc;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	most = (struct rlimit){8 << 20, old.rlim_max};
	OK(kv_create(&kv, path, names, 1, e));
	n = put_until(kv, 0, 100, &rc, &mine);
	assert_int_equal(n, 100);
	OK(kv_sync(kv, e));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
	n = put_until(kv, 100, 2000, &rc, &mine);
	assert_int_equal(rc, ERR_FULL);
	assert_true(n < 1000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	put_until(kv, n, n + 1, &rc, &mine);
	assert_true(rc < 0);
	assert_non_null(strstr(mine.text, "failed.mdb"));
	assert_true(kv_sync(kv, &mine) < 0);
	assert_true(kv_finish(kv, &mine) < 0);
	kv_close(kv);
	OK(kv_resume(&kv, path, names, 1, 100, e));
	n = put_until(kv, 0, 300, &rc, &mine);
	assert_int_equal(n, 300);
	OK(kv_finish(kv, e));
	kv_close(kv);
	OK(kv_open(&kv, path, names, 1, e));
	kv_close(kv);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_series),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_not_one),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_failed),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
