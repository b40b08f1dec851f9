/* SPDX-License-Identifier: ISC */
/*
 * A stream of shards: refused, or all its windows, documents and images go into a feed
 * and can be got out again.
 */
#include "tests/fuzz/fuzz.h"

#include "indexer/intake.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_BYTES (1u << 20)
#define VOCABULARY 257
#define WIDTH 4

static struct tok *tok;
static char stream[64], scratch[64];
static int fd = -1;

static void
forget(void)
{
	dir_remove(scratch, NULL);
	tok_close(tok);
}

static void
begin(void)
{
	const char *src = getenv("srcdir");
	char path[PATH_BYTES];

	fd = memfd_create("fuzz", MFD_CLOEXEC);
	snprintf(stream, sizeof(stream), "/proc/self/fd/%d", fd);
	snprintf(scratch, sizeof(scratch), "/tmp/saedb-fuzz-%ld", (long)getpid());
	if (fd < 0 ||
		path_join(path, NULL, "%s/tests/model/data/tok-gpt2",
			src != NULL ? src : ".") < 0 ||
		tok_open(&tok, path, NULL) < 0 || dir_make(scratch, NULL) < 0)
		abort();
	atexit(forget);
}

static int
take_shard(struct intake *in, const struct shard_windows *s, struct sparse *acts,
	struct err *e)
{
	const struct tensor *hook;
	int rc = intake_shard(in, s, e);

	if (rc == 0)
		shard_hook(s, "blocks.0.hook_resid_post", WIDTH, &hook, NULL);
	if (rc == 0)
		rc = shard_latents(s, "a", true, 8, acts, e);
	for (uint32_t w = 0; rc == 0 && w < s->n_windows; w++) {
		rc = intake_window(in, w, e);
		if (rc == 0)
			rc = feed_acts(in->feed, 0, acts, s->start[w], e);
	}
	return rc;
}

static int
take(struct feed *f, struct err *e)
{
	struct intake in = {.feed = f};
	struct source_shard shard;
	struct sparse acts = {0};
	struct source *source;
	int rc = source_open(&source, stream, MOST_BYTES, e);

	if (rc < 0)
		return rc;
	intake_stream(&in);
	while ((rc = source_next(source, &shard, e)) == 1) {
		struct shard_windows s;

		rc = shard_open(&s, &shard, in.n_documents, VOCABULARY, e);
		if (rc == 0)
			rc = take_shard(&in, &s, &acts, e);
		shard_clear(&s);
		if (rc < 0)
			break;
	}
	intake_clear(&in);
	sparse_clear(&acts);
	source_close(source);
	return rc < 0 ? rc : feed_done(f, e);
}

/* Every span lies in its document's text. */
static void
look(const struct feed *f, const struct feed_window *w)
{
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		uint32_t number = w->document;
		struct document d;

		if (w->documents != NULL && w->documents[i] == FEED_NO_DOCUMENT)
			continue;
		if (w->documents != NULL)
			number = f->number[w->documents[i]];
		spool_get(&f->spool, number, &d);
		if (w->start[i] > w->end[i] || w->end[i] > d.n_text)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	struct sparse acts = {0};
	struct feed f;
	int rc;

	if (fd < 0)
		begin();
	if (ftruncate(fd, (off_t)n_bytes) != 0 ||
		pwrite(fd, p, n_bytes, 0) != (ssize_t)n_bytes)
		abort();
	rc = feed_init(&f, scratch, tok, VOCABULARY, 1, &e);
	if (rc == 0)
		rc = take(&f, &e);
	if (rc < 0 && (e.text[0] == '\0' || e.code >= 0))
		abort();
	for (uint32_t i = 0; rc == 0 && i < f.n_windows; i++) {
		struct feed_window w;

		feed_get(&f, i, &w);
		look(&f, &w);
		if (feed_get_acts(&f, 0, i, 1, &acts, &e) < 0)
			abort();
	}
	sparse_clear(&acts);
	feed_clear(&f);
	return 0;
}
