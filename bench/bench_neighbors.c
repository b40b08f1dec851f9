/* SPDX-License-Identifier: ISC */
/*
 * bench_neighbors STORE SAE: exact searches in this process, for neighbors_exact.py:
 * it alternates with what it is compared with. Each line of the input is a task, and is
 * answered by a line:
 *   exact THREADS K FEATURE...   microseconds and decided rows of a query with each row
 *   read                         GB/s at which one thread reads the rows in bytes
 */
#include "store/store.h"
#include "util/file.h"
#include "util/pool.h"
#include "util/stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 65536
#define K_MOST 1000

struct bench {
	struct store *store;
	struct store_view *view;
	struct pool *two;
	uint32_t sae;
	const struct cat_sae *info;
	const float *rows;
	uint32_t d;
	struct map codes;
};

static int
bench_open(struct bench *b, const char *dir, const char *name, struct err *e)
{
	char path[PATH_BYTES];
	int64_t sae;
	int rc = store_open(&b->store, dir, STORE_READ, e);

	if (rc == 0)
		rc = store_view_open(&b->view, b->store, e);
	if (rc == 0)
		rc = pool_new(&b->two, 2, e);
	if (rc != 0)
		return rc;
	sae = cat_find_sae(store_view_catalog(b->view), name, strlen(name));
	if (sae < 0)
		return err_set(e, ERR_NOTFOUND, "%s: no such SAE", name);
	b->sae = (uint32_t)sae;
	b->info = &store_view_catalog(b->view)->sae[sae];
	rc = store_rows(b->view, b->sae, STORE_DECODER, &b->rows, &b->d, e);
	if (rc == 0)
		rc = path_join(path, e, "%s/sae/%s/decoder.i8", dir, b->info->id);
	return rc == 0 ? map_open(&b->codes, path, e) : rc;
}

static int
exact(struct bench *b, char *args, struct err *e)
{
	static struct rec_scored out[K_MOST];
	struct store_search s = {.sae = b->sae, .engine = STORE_EXACT};
	struct store_nearest found;

	s.pool = strtoul(args, &args, 10) > 1 ? b->two : NULL;
	s.k = (uint32_t)strtoul(args, &args, 10);
	if (s.k > K_MOST)
		return err_set(e, ERR_ARG, "more than %d", K_MOST);
	for (char *end;; args = end) {
		unsigned long f = strtoul(args, &end, 10);
		double start = stopwatch_now_s();

		if (end == args)
			break;
		s.vector = b->rows + f % b->info->d_sae * b->d;
		if (store_search(b->view, &s, out, &found, e) < 0)
			return e->code;
		printf("%.1f %u ", 1e6 * (stopwatch_now_s() - start), found.n_decided);
	}
	printf("\n");
	return 0;
}

/* Nothing but reading, a line of the cache at a time. */
static double
read_once(const struct bench *b)
{
	typedef uint64_t part __attribute__((vector_size(16)));
	const part *p = (const part *)(const void *)b->codes.data;
	size_t n = b->codes.n_bytes / 64 * 4;
	part w = {0}, x = {0}, y = {0}, z = {0};
	double start = stopwatch_now_s();
	volatile uint64_t keep;

	for (size_t i = 0; i < n; i += 4) {
		__builtin_prefetch((const char *)(p + i) + 4096);
		w += p[i];
		x += p[i + 1];
		y += p[i + 2];
		z += p[i + 3];
	}
	w += x + y + z;
	keep = w[0] + w[1];
	(void)keep;
	return (double)n * 16e-9 / (stopwatch_now_s() - start);
}

/* The quickest of several. */
static void
read_rate(const struct bench *b)
{
	double best = 0;

	for (int i = 0; i < 5; i++) {
		double rate = read_once(b);

		best = rate > best ? rate : best;
	}
	printf("%.3f\n", best);
}

int
main(int argc, char **argv)
{
	static char line[LINE_BYTES];
	struct err e = ERR_INIT;
	struct bench b = {0};
	int rc;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_neighbors STORE SAE\n");
		return 2;
	}
	rc = bench_open(&b, argv[1], argv[2], &e);
	while (rc == 0 && fgets(line, sizeof(line), stdin) != NULL) {
		if (strncmp(line, "exact ", 6) == 0)
			rc = exact(&b, line + 6, &e);
		else
			read_rate(&b);
		fflush(stdout);
	}
	if (rc < 0)
		fprintf(stderr, "bench_neighbors: %s\n", e.text);
	map_close(&b.codes);
	pool_free(b.two);
	store_view_close(b.view);
	store_close(b.store);
	return rc < 0;
}
