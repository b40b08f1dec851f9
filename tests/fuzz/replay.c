/* SPDX-License-Identifier: ISC */
/*
 * The main of a fuzz target that is not linked with libFuzzer: it feeds the
 * target each file named on the command line, or else each file in
 * $srcdir/tests/fuzz/seeds/NAME for a program called fuzz_NAME; whole, cut short
 * everywhere, and with every byte changed in turn.
 */
#include "tests/fuzz/fuzz.h"

#include "util/file.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEED_BYTES (1u << 20)
#define MAX_PLACES 2000 /* in longer seeds not every byte is changed */

static size_t n_runs;

static void
run(const uint8_t *p, size_t n)
{
	uint8_t *exact = mem_new(n, 1); /* a sanitizer sees a byte too far */

	if (exact == NULL)
		abort();
	if (n > 0)
		memcpy(exact, p, n);
	LLVMFuzzerTestOneInput(exact, n);
	mem_free(exact);
	n_runs++;
}

static void
vary(uint8_t *p, size_t n)
{
	static const uint8_t with[] = {0x00, 0x7f, 0x80, 0xc1, 0xdb, 0xdd, 0xdf, 0xff};

	run(p, n);
	for (size_t i = 0; i < n; i += n / MAX_PLACES + 1) {
		uint8_t was = p[i];

		run(p, i);
		for (size_t j = 0; j < sizeof(with); j++) {
			p[i] = with[j];
			run(p, n);
		}
		p[i] = was ^ 1;
		run(p, n);
		p[i] = was;
	}
}

static int
replay(const char *path)
{
	struct err e = ERR_INIT;
	struct buf b;
	int rc;

	buf_init(&b);
	n_runs = 0;
	rc = file_read(path, MAX_SEED_BYTES, &b, &e);
	if (rc < 0)
		printf("not ok - %s\n", e.text);
	else {
		vary(b.data, b.n_bytes);
		printf("ok - %s: %zu runs\n", path, n_runs);
	}
	buf_clear(&b);
	return rc < 0;
}

/* fuzz_NAME, perhaps behind a directory and libtool's prefix: NAME. */
static const char *
target_name(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash != NULL ? slash + 1 : program;

	if (strncmp(name, "lt-", 3) == 0)
		name += 3;
	return strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
}

static int
replay_directory(const char *name)
{
	const char *top = getenv("srcdir");
	char dir[PATH_BYTES], path[PATH_BYTES], **file;
	struct err e = ERR_INIT;
	size_t n;
	int rc = 0;

	if (path_join(dir, &e, "%s/tests/fuzz/seeds/%s", top != NULL ? top : ".",
		    name) < 0 ||
		dir_list(dir, &file, &n, &e) < 0) {
		printf("1..0 # skip: no seeds: %s\n", e.text);
		return 77;
	}
	for (size_t i = 0; i < n; i++) {
		rc |= path_join(path, &e, "%s/%s", dir, file[i]) < 0 || replay(path);
		mem_free(file[i]);
	}
	mem_free(file);
	printf("1..%zu\n", n);
	return rc;
}

int
main(int argc, char **argv)
{
	int rc = 0;

	if (argc < 2)
		return replay_directory(target_name(argv[0]));
	for (int i = 1; i < argc; i++)
		rc |= replay(argv[i]);
	return rc;
}
