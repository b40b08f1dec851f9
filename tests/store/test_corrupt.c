/* SPDX-License-Identifier: ISC */
/*
 * What a disk can do to a store: whatever is flipped, cut off or missing, the
 * answer is right, or it is ERR_CORRUPT and names the file. Never wrong.
 */
#include "tests/store/small.h"

#include <fcntl.h>
#include <sys/stat.h>

static const char *const files[] = {
	"catalog.db",
	"cut/CUT/window.mdb",
	"cut/CUT/cut.db",
	"sae/1010101010101010/decoder.f32",
	"sae/1010101010101010/decoder.i8",
	"sae/1010101010101010/encoder.f32",
	"sae/1010101010101010/encoder.i8",
	"sae/1010101010101010/logits.mdb",
	"run/0000000000000001/00/acts.mdb",
	"run/0000000000000001/00/feature.mdb",
	"run/0000000000000001/00/feature.db",
	"run/0000000000000001/00/sums",
	"run/0000000000000001/01/feature.mdb",
	"graph/1010101010101010-1111111111111111-4/neighbors.mdb",
};
enum { FILES = sizeof(files) / sizeof(files[0]) };
static char *dir;

/* The path of a file; CUT stands for the cut's name. */
static char *
path_of(size_t i)
{
	char **names, name[PATH_BYTES];
	size_t n;

	if (strncmp(files[i], "cut/CUT/", 8) != 0) {
		snprintf(name, sizeof(name), "c/%s", files[i]);
		return at(name);
	}
	assert_int_equal(dir_list(at("c/cut"), &names, &n, NULL), 0);
	assert_int_equal(n, 1);
	snprintf(name, sizeof(name), "c/cut/%s/%s", names[0], files[i] + 8);
	mem_free(names[0]);
	mem_free(names);
	return at(name);
}

static int
make(void **state)
{
	if (scratch_make(state) != 0)
		return -1;
	dir = mem_strdup(small_store("c"));
	return dir != NULL ? 0 : -1;
}

static int
unmake(void **state)
{
	mem_free(dir);
	return scratch_remove(state);
}

/* Opens the store and asks everything; a code, and the error in e. */
static int
ask(struct err *e)
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

static void
expect_corrupt(const char *path)
{
	struct err e = ERR_INIT;
	int rc = ask(&e);

	if (rc != ERR_CORRUPT)
		fail_msg("%s: %d: %s", path, rc, e.text);
	if (strstr(e.text, strrchr(path, '/') + 1) == NULL)
		fail_msg("%s is not named: %s", path, e.text);
}

static void
test_missing(void **state)
{
	char aside[PATH_BYTES];

	(void)state;
	strcpy(aside, at("aside"));
	for (size_t i = 0; i < FILES; i++) {
		char path[PATH_BYTES];

		strcpy(path, path_of(i));
		assert_int_equal(rename(path, aside), 0);
		expect_corrupt(path);
		assert_int_equal(rename(aside, path), 0);
		OK(ask(e));
	}
}

/* Every way of cutting a file short, and one byte too many. */
static void
test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++) {
		char path[PATH_BYTES];
		struct buf whole;

		strcpy(path, path_of(i));
		buf_init(&whole);
		assert_int_equal(file_read(path, 1 << 26, &whole, NULL), 0);
		for (size_t n = 0; n <= whole.n_bytes; n += 1 + whole.n_bytes / 13) {
			put_file(path, whole.data, n);
			if (n < whole.n_bytes)
				expect_corrupt(path);
		}
		buf_u8(&whole, 0);
		if (strcmp(files[i], "catalog.db") != 0) {
			put_file(path, whole.data, whole.n_bytes);
			expect_corrupt(path);
		}
		put_file(path, whole.data, whole.n_bytes - 1);
		buf_clear(&whole);
		OK(ask(e));
	}
}

/* Flips bits all over each file. In the catalogue a flip may fall into what no
 * row uses: then all answers are right, which ask() has compared. */
static void
test_flipped(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++) {
		char path[PATH_BYTES];
		struct err e = ERR_INIT;
		struct buf whole;
		unsigned seen = 0;
		int fd;

		strcpy(path, path_of(i));
		buf_init(&whole);
		assert_int_equal(file_read(path, 1 << 26, &whole, NULL), 0);
		fd = open(path, O_WRONLY);
		assert_true(fd >= 0);
		for (uint64_t j = 0; j < 60; j++) {
			off_t where = (off_t)(hash_mix(j, i, 0, 0) % whole.n_bytes);
			uint8_t bad = whole.data[where] ^
				(uint8_t)(1u << hash_mix(j, i, 1, 0) % 8);
			int rc;

			assert_int_equal(pwrite(fd, &bad, 1, where), 1);
			rc = ask(&e);
			seen += rc == ERR_CORRUPT;
			if (strcmp(files[i], "catalog.db") != 0)
				assert_int_equal(rc, ERR_CORRUPT);
			else
				assert_true(rc == 0 || rc == ERR_CORRUPT);
			assert_int_equal(pwrite(fd, whole.data + where, 1, where), 1);
		}
		assert_true(seen > 0);
		close(fd);
		buf_clear(&whole);
		assert_int_equal(ask(&e), 0);
	}
}

/* A label changed on the disk. */
static void
test_label(void **state)
{
	struct store_label l = {.feature = 3,
		.text = "halibut",
		.source = LABEL_PERSON};
	const struct store_label *list;
	struct store_view *v;
	struct store *s;
	struct arena a;
	struct buf whole;
	int64_t id;
	uint32_t n;
	char *path = at("c/labels.db"), *hit;

	(void)state;
	arena_init(&a, 0);
	buf_init(&whole);
	memset(l.sae_hash, 0x10, sizeof(l.sae_hash));
	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_labels_lock(s, e));
	OK(store_label_put(s, &l, 1, &id, e));
	store_close(s);
	assert_int_equal(file_read(path, 1 << 26, &whole, NULL), 0);
	hit = memmem(whole.data, whole.n_bytes, "halibut", 7);
	assert_non_null(hit);
	while (hit != NULL) { /* in the row, not in the index */
		*hit = 'H';
		hit = memmem(whole.data, whole.n_bytes, "halibut", 7);
	}
	put_file(path, whole.data, whole.n_bytes);
	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_view_open(&v, s, e));
	FAILS(ERR_CORRUPT, store_labels(v, 0, 0, 3, &list, &n, &a, e));
	FAILS(ERR_CORRUPT, store_label_list(v, NULL, 0, 1, &l, &n, &a, e));
	store_view_close(v);
	store_close(s);
	put_file(path, whole.data, 8192 + 77);
	OK(store_open(&s, dir, STORE_READ, e));
	FAILS(ERR_CORRUPT, store_labels_lock(s, e));
	store_close(s);
	assert_int_equal(remove(path), 0);
	FAILS(ERR_CORRUPT, store_open(&s, dir, STORE_READ, e));
	FAILS(ERR_CORRUPT, store_open(&s, dir, STORE_WRITE, e));
	buf_clear(&whole);
	arena_clear(&a);
}

/* A lost catalogue is never replaced by an empty one. */
static void
test_no_catalog(void **state)
{
	struct store *s;

	(void)state;
	small_store("d");
	assert_int_equal(remove(at("d/catalog.db")), 0);
	FAILS(ERR_CORRUPT, store_open(&s, at("d"), STORE_CREATE, e));
	FAILS(ERR_CORRUPT, store_open(&s, at("d"), STORE_WRITE, e));
	assert_false(file_exists(at("d/catalog.db")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_label),
		cmocka_unit_test(test_no_catalog),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
