/* SPDX-License-Identifier: ISC */
/*
 * Tokens of texts on standard input, which the byte 1E divides, by the tokenizer
 * in a directory: a line of ID:START:END for each. For compare_tok.py.
 */
#include "model/tok.h"
#include "util/file.h"

#include <stdio.h>
#include <string.h>

static int
dump(const struct tok *t, struct tok_work *w, const char *p, size_t n, struct err *e)
{
	struct tok_ids ids = {0};
	int rc = tok_encode(t, w, p, n, true, &ids, e);

	for (size_t i = 0; rc == 0 && i < ids.n; i++)
		printf("%s%u:%u:%u", i ? " " : "", ids.id[i], ids.start[i], ids.end[i]);
	printf("\n");
	tok_ids_clear(&ids);
	return rc;
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct tok *t = NULL;
	struct tok_work *w = NULL;
	struct buf in = {0};
	int rc = argc == 2 ? 0 : err_set(&e, ERR_ARG, "usage: tok_dump DIR < TEXTS");

	if (rc == 0)
		rc = tok_open(&t, argv[1], &e);
	if (rc == 0)
		rc = tok_work_new(&w, t, &e);
	if (rc == 0)
		rc = file_read("/dev/stdin", (size_t)1 << 30, &in, &e);
	for (size_t at = 0; rc == 0 && at <= in.n_bytes;) {
		const char *p = buf_str(&in) + at;
		const char *end = memchr(p, 0x1e, in.n_bytes - at);
		size_t n = end ? (size_t)(end - p) : in.n_bytes - at;

		rc = dump(t, w, p, n, &e);
		at += n + 1;
	}
	if (rc < 0)
		fprintf(stderr, "%s\n", e.text);
	tok_work_free(w);
	tok_close(t);
	buf_clear(&in);
	return rc < 0;
}
