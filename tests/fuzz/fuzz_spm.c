/* SPDX-License-Identifier: ISC */
/* A SentencePiece model: refused, or a text goes through it. */
#include "tests/fuzz/fuzz.h"

#include "model/tok.h"
#include "util/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64], path[96];

static void
forget(void)
{
	dir_remove(dir, NULL);
}

static void
put(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	FILE *f;

	if (dir[0] == '\0') {
		snprintf(dir, sizeof(dir), "/tmp/saedb-fuzz-%ld", (long)getpid());
		if (dir_make(dir, &e) < 0)
			abort();
		snprintf(path, sizeof(path), "%s/tokenizer.model", dir);
		atexit(forget);
	}
	f = fopen(path, "w");
	if (f == NULL || fwrite(p, 1, n_bytes, f) != n_bytes || fclose(f) != 0)
		abort();
}

static void
encode(const struct tok *t)
{
	static const char text[] = " the the\n\xe6\xbc\xa2\xff<s>aaa \xe2\x96\x81 a";
	struct err e = ERR_INIT;
	struct tok_ids ids = {0};
	struct tok_work *w;

	if (tok_work_new(&w, t, &e) < 0)
		abort();
	if (tok_encode(t, w, text, sizeof(text) - 1, true, &ids, &e) == 0) {
		for (size_t i = 0; i < ids.n; i++) {
			if (ids.start[i] > ids.end[i] ||
				ids.end[i] > sizeof(text) - 1 ||
				ids.id[i] >= tok_n_vocab(t))
				abort();
		}
	}
	tok_ids_clear(&ids);
	tok_work_free(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	struct tok *t;

	put(p, n_bytes);
	if (tok_open(&t, dir, &e) < 0)
		return 0;
	encode(t);
	tok_close(t);
	return 0;
}
