/* SPDX-License-Identifier: ISC */
/*
 * What an interrupted writer leaves: whole objects are taken up, and only those that
 * are what their marks say; a run goes on at its checkpoint, and a damaged one, at
 * whatever byte, is refused by name.
 */
#include "store/inner.h"
#include "tests/store/small.h"

#include <sys/wait.h>

#define ORDER 7
#define BLOCKS 5

static struct store *
open_kept(const char *dir, const char *inputs)
{
	struct store *s;

	OK(store_open(&s, dir, STORE_CREATE, e));
	OK(store_keep(s, inputs, e));
	return s;
}

/* ---- whole objects ----------------------------------------------------------- */

/* Whether the cut is taken up; it is written otherwise. */
static bool
cut_is_there(const char *dir, const char *inputs)
{
	struct cat_cut info = small_cut_info(0), want = info;
	struct store *s = open_kept(dir, inputs);
	struct cut_writer *w = NULL;
	int64_t have;
	bool there;

	info.n_documents = info.n_windows = 0;
	info.n_tokens = info.n_bytes = 0;
	OK(cut_writer_new(&w, &have, s, &info, e));
	assert_int_equal(have, -1);
	there = w == NULL;
	if (there) {
		assert_int_equal(info.n_documents, want.n_documents);
		assert_int_equal(info.n_windows, want.n_windows);
		assert_int_equal(info.n_tokens, want.n_tokens);
		assert_int_equal(info.n_bytes, want.n_bytes);
	} else {
		cut_writer_free(w);
		small_cut(s, 0, &info, &have);
	}
	store_close(s);
	return there;
}

/* The path under tmp/ of the first name with this end. */
static char *
find(const char *dir, const char *end)
{
	char path[PATH_BYTES], **names, *found = NULL;
	size_t n;

	snprintf(path, sizeof(path), "%.3000s/tmp", dir);
	assert_int_equal(dir_list(path, &names, &n, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		size_t m = strlen(names[i]), k = strlen(end);

		if (found == NULL && m >= k && strcmp(names[i] + m - k, end) == 0) {
			char all[PATH_BYTES];

			snprintf(all, sizeof(all), "%.3000s/tmp/%.200s", dir, names[i]);
			found = mem_strdup(all);
		}
		mem_free(names[i]);
	}
	mem_free(names);
	return found;
}

static void
flip(const char *path, long at_byte)
{
	FILE *f = fopen(path, "r+");
	int c;

	assert_non_null(f);
	assert_int_equal(fseek(f, at_byte, at_byte < 0 ? SEEK_END : SEEK_SET), 0);
	c = fgetc(f);
	assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
	fputc(c ^ 0x10, f);
	assert_int_equal(fclose(f), 0);
}

static void
test_whole(void **state)
{
	char *dir = mem_strdup(at("whole")), *mark, path[PATH_BYTES];
	struct buf all;

	(void)state;
	assert_false(cut_is_there(dir, "one"));
	assert_true(cut_is_there(dir, "one"));
	assert_false(cut_is_there(dir, "two")); /* and the first stays */
	assert_true(cut_is_there(dir, "one"));
	assert_true(cut_is_there(dir, "two"));
	mark = find(dir, ".done");
	assert_non_null(mark);
	buf_init(&all);
	OK(file_read(mark, 4096, &all, e));
	for (size_t i = 0; i < all.n_bytes; i++) { /* a damaged mark */
		bool first, second;

		flip(mark, (long)i);
		first = cut_is_there(dir, "one");
		second = cut_is_there(dir, "two");
		assert_true(first != second);
		assert_true(cut_is_there(dir, "one") && cut_is_there(dir, "two"));
	}
	for (size_t n = 0; n < all.n_bytes; n++) { /* one cut short */
		put_file(mark, all.data, n);
		assert_true(cut_is_there(dir, "one") != cut_is_there(dir, "two"));
	}
	mark[strlen(mark) - strlen(".done")] = '\0'; /* a damaged file */
	snprintf(path, sizeof(path), "%.4000s/window.mdb", mark);
	flip(path, -100);
	assert_true(cut_is_there(dir, "one") != cut_is_there(dir, "two"));
	assert_true(cut_is_there(dir, "one") && cut_is_there(dir, "two"));
	snprintf(path, sizeof(path), "%.4000s/cut.db", mark); /* a missing one */
	assert_int_equal(unlink(path), 0);
	assert_true(cut_is_there(dir, "one") != cut_is_there(dir, "two"));
	snprintf(path, sizeof(path), "%.4000s.done", mark); /* no mark at all */
	assert_int_equal(unlink(path), 0);
	assert_true(cut_is_there(dir, "one") != cut_is_there(dir, "two"));
	buf_clear(&all);
	mem_free(mark);
	mem_free(dir);
}

static void
die_when_moved(const char *step)
{
	if (strcmp(step, "moved") == 0)
		_exit(9);
}

/* Killed when the first object stands in its place and nobody names it: it is moved
 * back, and all is published. */
static void
test_moved(void **state)
{
	char *dir = mem_strdup(at("moved"));
	struct store_usage *u;
	struct store *s;
	uint32_t number;
	size_t n, n_left = 0;
	uint64_t freed;
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		s = open_kept(dir, "one");
		publish_step = die_when_moved;
		_exit(-small_publish(s, 0, &number, &(struct err){0}));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 9);
	OK(store_open(&s, dir, STORE_READ, e));
	OK(store_du(s, &u, &n, e));
	for (size_t i = 0; i < n; i++)
		n_left += strcmp(u[i].what, "resumable") == 0;
	assert_true(n_left >= 3); /* the cut, moved already, and the SAEs */
	mem_free(u);
	store_close(s);
	assert_true(cut_is_there(dir, "one"));
	s = open_kept(dir, "one");
	OK(small_publish(s, 0, &number, e));
	store_close(s);
	OK(store_open(&s, dir, STORE_WRITE, e));
	OK(store_du(s, &u, &n, e));
	for (size_t i = 0; i < n; i++)
		assert_string_not_equal(u[i].what, "resumable");
	mem_free(u);
	OK(store_gc(s, &freed, e));
	store_close(s);
	assert_null(find(dir, ""));
	mem_free(dir);
}

/* ---- runs ----------------------------------------------------------------------- */

static int
give(void *ctx, struct buf *b, struct err *e)
{
	uint32_t *i = ctx;

	(void)e;
	if (*i == BLOCKS)
		return 0;
	for (uint32_t j = 0; j <= *i; j++)
		buf_u32(b, *i * 100 + j);
	++*i;
	return 1;
}

static int
take(void *ctx, struct cur *c, struct err *e)
{
	uint32_t *i = ctx;

	for (uint32_t j = 0; j <= *i; j++)
		if (cur_u32(c) != *i * 100 + j)
			return err_set(e, ERR_CORRUPT, "not what was given");
	++*i;
	return c->failed || cur_left(c) > 0 ? err_set(e, ERR_CORRUPT, "more") : 0;
}

/* Windows [from, to) of a run of one slot; seed: another's values. */
static void
put_acts(struct run_writer *w, uint32_t from, uint32_t to, float seed)
{
	for (uint32_t i = from; i < to; i++) {
		uint32_t row[3] = {0, 1, 2}, feature[2] = {i % 4, 3};
		float value[2] = {(float)i + seed, 2};
		struct rec_acts x = {0, 2, row, feature, value};

		OK(run_writer_acts(w, 0, i, &x, e));
	}
}

static const char run_id[] = "00000000000000ab";
static const uint32_t d_sae = 4;

/* A run left with a checkpoint at window 6, and acts to window `to`. */
static void
leave_run(const char *dir, uint32_t to)
{
	struct store *s = open_kept(dir, "one");
	struct run_writer *w;
	uint32_t have, i = 0;

	OK(run_writer_new(&w, &have, s, run_id, 1, &d_sae, e));
	put_acts(w, 0, 6, 1);
	OK(run_writer_checkpoint(w, 6, ORDER, give, &i, e));
	put_acts(w, 6, to, 1);
	if (to > 6) { /* committed, but no checkpoint any more */
		uint32_t one = BLOCKS;

		OK(run_writer_checkpoint(w, to, ORDER, give, &one, e));
		i = 0;
		OK(run_writer_checkpoint(w, 6, ORDER, give, &i, e));
	}
	run_writer_free(w);
	store_close(s);
}

static int
resume(const char *dir, uint64_t order, uint32_t *n_windows, struct err *e)
{
	struct store *s = open_kept(dir, "one");
	struct run_writer *w = NULL;
	int rc = run_writer_resume(&w, n_windows, s, run_id, 1, &d_sae, order, e);

	assert_true(rc == 0 || w == NULL);
	if (rc == 0 && w == NULL)
		*n_windows = 0;
	run_writer_free(w);
	store_close(s);
	return rc;
}

static void
test_run(void **state)
{
	char *dir = mem_strdup(at("run"));
	struct store *s;
	struct run_writer *w;
	uint32_t n = 0, i = 0, have;
	struct rec_acts got;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	leave_run(dir, 9);
	FAILS(ERR_CORRUPT, resume(dir, ORDER + 1, &n, e));
	s = open_kept(dir, "one");
	OK(run_writer_resume(&w, &n, s, run_id, 1, &d_sae, ORDER, e));
	assert_int_equal(n, 6);
	OK(run_writer_restore(w, take, &i, e));
	assert_int_equal(i, BLOCKS);
	put_acts(w, 6, 12, 1);
	OK(run_writer_acts_done(w, e));
	for (i = 0; i < 12; i++) {
		OK(run_writer_read_acts(w, 0, i, &got, &a, e));
		assert_true(got.value[0] == (float)i + 1);
	}
	run_writer_free(w);
	store_close(s);
	/* what comes again is something else: it is noticed */
	s = open_kept(dir, "one");
	OK(run_writer_resume(&w, &n, s, run_id, 1, &d_sae, ORDER, e));
	{
		uint32_t row[3] = {0, 1, 2}, feature[2] = {2, 3};
		float value[2] = {77, 2};
		struct rec_acts x = {0, 2, row, feature, value};

		FAILS(ERR_CORRUPT, run_writer_acts(w, 0, 6, &x, e));
	}
	run_writer_free(w);
	/* anew: the checkpoint goes */
	OK(run_writer_new(&w, &have, s, run_id, 1, &d_sae, e));
	run_writer_free(w);
	store_close(s);
	OK(resume(dir, ORDER, &n, e));
	assert_int_equal(n, 0);
	assert_null(find(dir, ""));
	arena_clear(&a);
	mem_free(dir);
}

static void
test_damaged(void **state)
{
	char *dir = mem_strdup(at("damaged")), *path, acts[PATH_BYTES];
	struct err e = ERR_INIT;
	struct buf all;
	uint32_t n;

	(void)state;
	leave_run(dir, 6);
	path = find(dir, ".checkpoint");
	assert_non_null(path);
	buf_init(&all);
	assert_int_equal(file_read(path, 65536, &all, &e), 0);
	for (size_t i = 0; i < all.n_bytes; i++) {
		flip(path, (long)i);
		assert_int_equal(resume(dir, ORDER, &n, &e), ERR_CORRUPT);
		assert_non_null(strstr(e.text, ".checkpoint"));
		flip(path, (long)i);
	}
	for (size_t i = 0; i < all.n_bytes; i++) {
		put_file(path, all.data, i);
		assert_int_equal(resume(dir, ORDER, &n, &e), ERR_CORRUPT);
	}
	buf_u8(&all, 0);
	put_file(path, all.data, all.n_bytes);
	assert_int_equal(resume(dir, ORDER, &n, &e), ERR_CORRUPT);
	put_file(path, all.data, all.n_bytes - 1);
	assert_int_equal(resume(dir, ORDER, &n, &e), 0);
	assert_int_equal(n, 6);
	/* the activations, of which a window's is damaged, or missing */
	snprintf(acts, sizeof(acts), "%.*s/00/acts.mdb",
		(int)(strlen(path) - strlen(".checkpoint")), path);
	for (long i = -1; i > -200; i -= 40) {
		flip(acts, i);
		assert_true(resume(dir, ORDER, &n, &e) == ERR_CORRUPT || n == 6);
		flip(acts, i);
	}
	assert_int_equal(truncate(acts, 4096), 0);
	assert_int_equal(resume(dir, ORDER, &n, &e), ERR_CORRUPT);
	assert_int_equal(unlink(acts), 0);
	assert_true(resume(dir, ORDER, &n, &e) < 0);
	buf_clear(&all);
	mem_free(path);
	mem_free(dir);
}

/* Moved to its place by a publication that came to nothing: it is taken from there,
 * but only if it is the one that the checkpoint is of. A copied store goes on, too. */
static void
test_run_moved(void **state)
{
	char *dir = mem_strdup(at("back")), *mark, from[PATH_BYTES], to[PATH_BYTES];
	char other[PATH_BYTES];
	struct err e = ERR_INIT;
	struct buf all;
	uint32_t n;

	(void)state;
	leave_run(dir, 6);
	mark = find(dir, ".checkpoint");
	snprintf(from, sizeof(from), "%.*s", (int)(strlen(mark) - 11), mark);
	snprintf(to, sizeof(to), "%.3000s/run/%s", dir, run_id);
	snprintf(other, sizeof(other), "%.4000s/00/acts.mdb", to);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(resume(dir, ORDER, &n, &e), 0);
	assert_int_equal(n, 6);
	assert_true(file_is_dir(from) && !file_exists(to));
	assert_int_equal(rename(from, to), 0);
	buf_init(&all);
	assert_int_equal(file_read(other, 1 << 20, &all, &e), 0);
	assert_int_equal(rename(other, at("old")), 0); /* keeps its inode */
	put_file(other, all.data, all.n_bytes);
	assert_int_equal(resume(dir, ORDER, &n, &e), ERR_CORRUPT);
	assert_int_equal(rename(to, from), 0);
	assert_int_equal(resume(dir, ORDER, &n, &e), 0);
	assert_int_equal(n, 6);
	buf_clear(&all);
	mem_free(mark);
	mem_free(dir);
}

/* ---- memory ------------------------------------------------------------------- */

static char *memory_dir;

static int
all_of_it(struct err *e)
{
	struct cat_cut info = small_cut_info(0);
	struct cut_writer *cut = NULL;
	struct run_writer *w = NULL;
	struct store *s = NULL;
	uint32_t n, i = 0;
	int64_t have;
	int rc = store_open(&s, memory_dir, STORE_CREATE, e);

	if (rc == 0)
		rc = store_keep(s, "one", e);
	if (rc == 0)
		rc = cut_writer_new(&cut, &have, s, &info, e);
	assert_true(rc != 0 || cut == NULL);
	if (rc == 0)
		rc = run_writer_resume(&w, &n, s, run_id, 1, &d_sae, ORDER, e);
	assert_true(rc != 0 || w != NULL);
	if (rc == 0)
		rc = run_writer_restore(w, take, &i, e);
	i = 0;
	if (rc == 0)
		rc = run_writer_checkpoint(w, 6, ORDER, give, &i, e);
	run_writer_free(w);
	store_close(s);
	return rc;
}

static void
test_memory(void **state)
{
	(void)state;
	memory_dir = mem_strdup(at("memory"));
	assert_false(cut_is_there(memory_dir, "one"));
	leave_run(memory_dir, 6);
	for (long n = 0;; n++) {
		struct err e = ERR_INIT;
		int rc;

		mem_fail_at(n);
		rc = all_of_it(&e);
		mem_fail_at(-1);
		if (rc == 0)
			break;
		if (rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d: %s", n, rc, e.text);
	}
	mem_free(memory_dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_run_moved),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
