/* SPDX-License-Identifier: ISC */
/*
 * The main of a fuzz target that is not linked with libFuzzer: it feeds the
 * target each file named on the command line, or else each file in
 * $srcdir/tests/fuzz/seeds/NAME for a program called fuzz_NAME.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, room = 0;

	if (f == NULL) {
		printf("not ok - %s: cannot open\n", path);
		return 1;
	}
	for (;;) {
		if (size == room) {
			room = room ? room * 2 : 4096;
			data = realloc(data, room);
			if (data == NULL)
				abort();
		}
		size_t n = fread(data + size, 1, room - size, f);

		if (n == 0)
			break;
		size += n;
	}
	fclose(f);
	/* An exact copy, so that a sanitizer sees a byte too far. */
	uint8_t *exact = malloc(size ? size : 1);

	if (exact == NULL)
		abort();
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	printf("ok - %s\n", path);
	return 0;
}

static int
replay_directory(const char *program)
{
	const char *name = strrchr(program, '/');
	const char *srcdir = getenv("srcdir");
	char path[4096];
	int failed = 0, n = 0;
	struct dirent *entry;
	DIR *d;

	name = name ? name + 1 : program;
	if (strncmp(name, "lt-", 3) == 0)
		name += 3;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	snprintf(path, sizeof path, "%s/tests/fuzz/seeds/%s", srcdir ? srcdir : ".",
		name);
	d = opendir(path);
	if (d == NULL) {
		printf("# skip: no seeds in %s\n", path);
		return 77;
	}
	while ((entry = readdir(d)) != NULL) {
		char file[8192];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		failed |= replay(file);
		n++;
	}
	closedir(d);
	printf("1..%d\n", n);
	return failed;
}

int
main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 2)
		return replay_directory(argv[0]);
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	return failed;
}
