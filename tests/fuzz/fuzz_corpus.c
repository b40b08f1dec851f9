/* SPDX-License-Identifier: ISC */
/*
 * A corpus of one file, by a name and options that the first byte tells: every
 * document is as the options promise, a second reading gives the same, and an error
 * names the file.
 */
#include "tests/fuzz/fuzz.h"

#include "indexer/corpus.h"
#include "schema/limits.h"
#include "schema/value.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The first byte: two bits of a name, then flags. */
enum { NAME = 3, STRICT = 4, LINES = 8, OTHER_FIELD = 16, ONE_FIELD = 32, TWICE = 64 };

static const char *const names[] = {"c.jsonl", "c.txt.gz", "c", "c.md"};
static char dir[64], path[4][96];
static int fd = -1;

static void
forget(void)
{
	dir_remove(dir, NULL);
}

/* Links with the names to one file in memory. */
static void
make(void)
{
	char memory[64];

	fd = memfd_create("fuzz", MFD_CLOEXEC);
	snprintf(memory, sizeof(memory), "/proc/self/fd/%d", fd);
	snprintf(dir, sizeof(dir), "/tmp/saedb-fuzz-%ld", (long)getpid());
	if (fd < 0 || dir_make(dir, NULL) < 0)
		abort();
	atexit(forget);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%s", dir, names[i]);
		if (symlink(memory, path[i]) != 0)
			abort();
	}
}

static void
check_meta(const struct document *d)
{
	const struct value *v;
	struct arena a;

	arena_init(&a, 0);
	if (d->n_meta > LIMIT_META_BYTES ||
		value_parse_json(&v, d->meta, d->n_meta, &a, NULL) < 0 ||
		v->type != VALUE_MAP)
		abort();
	arena_clear(&a);
}

static void
check(const struct document *d, uint8_t flags)
{
	bool json = (flags & NAME) == 0;
	bool text = (flags & NAME) == 1 || (flags & NAME) == 3;

	if (d->id && (d->n_id > LIMIT_META_BYTES || memchr(d->id, '\0', d->n_id)))
		abort();
	if ((json || (flags & STRICT)) && utf8_valid(d->text, d->n_text) != d->n_text)
		abort();
	if (text && (d->n_text == 0 || d->n_meta != 2))
		abort();
	if (text && (flags & LINES) && (memchr(d->text, '\n', d->n_text) || d->id))
		abort();
	check_meta(d);
}

/* What plain text must be, as far as it was read. */
struct expected {
	const uint8_t *p;
	size_t n;
};

/* Plain text that is not compressed is the file's bytes; so is what has a name that
 * tells nothing, and no { in front. */
static bool
is_plain(uint8_t flags, const struct expected *x)
{
	static const uint8_t magics[][2] = {{0x1f, 0x8b}, {0x28, 0xb5}};
	size_t at = 0;

	if (x->n > 3 && (x->p[0] & 0xf0) == 0x50 && x->p[1] == 0x2a)
		return false;
	for (size_t i = 0; x->n > 1 && i < 2; i++)
		if (memcmp(x->p, magics[i], 2) == 0)
			return false;
	while (at < x->n && (x->p[at] == ' ' || x->p[at] == '\t'))
		at++;
	return (flags & NAME) == 1 || (flags & NAME) == 3 ||
		((flags & NAME) == 2 && at < x->n && x->p[at] != '{');
}

static void
check_plain(const struct document *d, uint8_t flags, struct expected *x)
{
	size_t n = x->n, rest = 0;

	while ((flags & LINES) && x->n > 0) {
		const uint8_t *end = memchr(x->p, '\n', x->n);

		n = end ? (size_t)(end - x->p) : x->n;
		rest = n + (end != NULL);
		n -= n > 0 && x->p[n - 1] == '\r';
		if (n > 0)
			break;
		x->p += rest;
		x->n -= rest;
	}
	if (d->n_text != n || memcmp(d->text, x->p, n) != 0)
		abort();
	x->p += rest;
	x->n -= rest;
}

static void
check_error(const struct err *e, int rc)
{
	if (rc != e->code || rc == ERR_INTERNAL || strchr(e->text, '\n') ||
		!strstr(e->text, dir))
		abort();
}

/* Adds all that was read to *seen. */
static void
read_all(uint8_t flags, struct expected x, uint64_t *seen)
{
	const char *const paths[] = {path[flags & NAME], path[flags & NAME]};
	const struct corpus_rules rules = {
		.text_field = flags & ONE_FIELD ? "id"
			: flags & OTHER_FIELD   ? ""
						: "text",
		.id_field = "id",
		.strict = flags & STRICT,
		.lines = flags & LINES,
	};
	struct err e = ERR_INIT;
	struct document d;
	struct corpus *c;
	bool plain = is_plain(flags, &x) && !((flags & TWICE) && (flags & LINES));
	uint64_t done, total, last = 0;
	int rc = corpus_open(&c, paths, flags & TWICE ? 2 : 1, &rules, &e);

	if (rc < 0)
		abort();
	while ((rc = corpus_next(c, &d, &e)) == 1) {
		check(&d, flags);
		if (plain)
			check_plain(&d, flags, &x);
		*seen = hash64(d.text, d.n_text, *seen + 1);
		*seen = hash64(d.id ? d.id : "", d.n_id, *seen);
		*seen = hash64(d.meta, d.n_meta, *seen);
		corpus_progress(c, &done, &total);
		if (done < last || done > total)
			abort();
		last = done;
	}
	if (rc < 0)
		check_error(&e, rc);
	*seen += (uint64_t)(-rc);
	corpus_close(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	uint64_t once = 0, again = 0;

	if (n_bytes == 0)
		return 0;
	if (fd < 0)
		make();
	if (ftruncate(fd, (off_t)n_bytes - 1) != 0 ||
		pwrite(fd, p + 1, n_bytes - 1, 0) != (ssize_t)n_bytes - 1)
		abort();
	read_all(p[0], (struct expected){p + 1, n_bytes - 1}, &once);
	read_all(p[0], (struct expected){p + 1, n_bytes - 1}, &again);
	if (once != again)
		abort();
	return 0;
}
