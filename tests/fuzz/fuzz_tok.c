/* SPDX-License-Identifier: ISC */
/*
 * Text of any bytes, through some tokenizers: the tokens lie in order within
 * the text. Before a NUL, a tokenizer.json of its own instead.
 */
#include "tests/fuzz/fuzz.h"

#include "model/tok.h"
#include "util/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static void
forget(void)
{
	dir_remove(dir, NULL);
}

static void
encode(const struct tok *t, const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	struct tok_ids ids = {0};
	struct tok_work *w;

	if (tok_work_new(&w, t, &e) < 0)
		abort();
	if (tok_encode(t, w, (const char *)p, n_bytes, n_bytes % 2 == 0, &ids, &e) ==
		0) {
		for (size_t i = 0; i < ids.n; i++) {
			if (ids.start[i] > ids.end[i] || ids.end[i] > n_bytes ||
				ids.id[i] >= tok_n_vocab(t))
				abort();
		}
	}
	tok_ids_clear(&ids);
	tok_work_free(w);
}

static void
own_tokenizer(const uint8_t *p, size_t n_json, size_t n_bytes)
{
	struct err e = ERR_INIT;
	char path[96];
	struct tok *t;
	FILE *f;

	if (dir[0] == '\0') {
		snprintf(dir, sizeof(dir), "/tmp/saedb-fuzz-%ld", (long)getpid());
		if (dir_make(dir, &e) < 0)
			abort();
		atexit(forget);
	}
	snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
	f = fopen(path, "w");
	if (f == NULL || fwrite(p, 1, n_json, f) != n_json || fclose(f) != 0)
		abort();
	if (tok_open(&t, dir, &e) < 0)
		return;
	encode(t, p + n_json, n_bytes - n_json);
	tok_close(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	static const char *const names[] = {"tok-gpt2", "tok-nfc-prefix", "tok-llama3",
		"tok-split-removed", "tokk-llama", "tokk-gemma", "tokk-nfkd-lower",
		"tokk-lacking"};
	enum { N = sizeof(names) / sizeof(names[0]) };
	static struct tok *fixed[N];
	const uint8_t *nul = n_bytes > 0 ? memchr(p, '\0', n_bytes) : NULL;
	const char *src = getenv("srcdir");
	struct err e = ERR_INIT;
	char path[PATH_BYTES];

	if (nul && p[0] == '{') {
		own_tokenizer(p, (size_t)(nul - p), n_bytes);
		return 0;
	}
	for (size_t i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "%s/tests/model/data/%s", src ? src : ".",
			names[i]);
		if (!fixed[i] && tok_open(&fixed[i], path, &e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			abort();
		}
		encode(fixed[i], p, n_bytes);
	}
	return 0;
}
