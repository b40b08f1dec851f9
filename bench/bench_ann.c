/* SPDX-License-Identifier: ISC */
/*
 * bench_ann STORE SAE: searches by an approximate index in this process, for ann.py,
 * which alternates with what it is compared with. First a line: what the index is, its
 * recall, bytes, seconds that it took to build, seconds that it took to load, parted
 * by |. Then each line of the input is a task, and is answered by a line:
 *   ENGINE K FILE    exact or approximate; float32 vectors: for each, microseconds and
 *                    the K indexes
 */
#include "store/approximate.h"
#include "util/file.h"
#include "util/stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define K_MOST 1000

struct bench {
	struct store *store;
	struct store_view *view;
	uint32_t sae, d;
};

static int
bench_open(struct bench *b, const char *dir, const char *name, struct err *e)
{
	double start = stopwatch_now_s();
	const float *rows;
	struct store_ann x;
	int64_t sae;
	int rc = store_open(&b->store, dir, STORE_READ, e);

	if (rc == 0)
		rc = store_ann_load(b->store, NULL, NULL, &x, e);
	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "%s: no index", dir);
	if (rc == 1 && x.state != STORE_ANN_LOADED)
		return err_set(e, ERR_CORRUPT, "%s", x.why);
	if (rc == 1)
		rc = store_view_open(&b->view, b->store, e);
	if (rc != 0)
		return rc;
	printf("%s|%.4f|%llu|%.1f|%.3f\n", x.text, x.recall,
		(unsigned long long)x.n_bytes, x.build_s, stopwatch_now_s() - start);
	sae = cat_find_sae(store_view_catalog(b->view), name, strlen(name));
	if (sae < 0)
		return err_set(e, ERR_NOTFOUND, "%s: no such SAE", name);
	b->sae = (uint32_t)sae;
	return store_rows(b->view, b->sae, STORE_DECODER, &rows, &b->d, e);
}

static int
search(struct bench *b, struct store_search *s, const char *path, struct err *e)
{
	static struct rec_scored out[K_MOST];
	struct store_nearest found;
	struct map m;
	size_t row = b->d * sizeof(float);
	int rc = map_open(&m, path, e);

	for (size_t at = 0; rc == 0 && at + row <= m.n_bytes; at += row) {
		double start = stopwatch_now_s();

		s->vector = (const float *)(const void *)(m.data + at);
		rc = store_search(b->view, s, out, &found, e);
		if (rc != 0)
			break;
		printf("%.1f ", 1e6 * (stopwatch_now_s() - start));
		for (uint32_t i = 0; i < s->k; i++)
			printf("%u ", i < found.n ? out[i].id : UINT32_MAX);
	}
	if (rc == 0)
		map_close(&m);
	printf("\n");
	return rc;
}

static int
task(struct bench *b, char *line, struct err *e)
{
	struct store_search s = {.sae = b->sae, .engine = STORE_EXACT};
	char *at = strchr(line, ' '), *path;

	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "approximate ", 12) == 0)
		s.engine = STORE_APPROXIMATE;
	s.k = at != NULL ? (uint32_t)strtoul(at, &path, 10) : 0;
	if (s.k == 0 || s.k > K_MOST || *path != ' ')
		return err_set(e, ERR_ARG, "no task: %s", line);
	return search(b, &s, path + 1, e);
}

int
main(int argc, char **argv)
{
	static char line[4096];
	struct err e = ERR_INIT;
	struct bench b = {0};
	int rc;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_ann STORE SAE\n");
		return 2;
	}
	rc = bench_open(&b, argv[1], argv[2], &e);
	fflush(stdout);
	while (rc == 0 && fgets(line, sizeof(line), stdin) != NULL) {
		rc = task(&b, line, &e);
		fflush(stdout);
	}
	if (rc < 0)
		fprintf(stderr, "bench_ann: %s\n", e.text);
	store_view_close(b.view);
	store_close(b.store);
	return rc < 0;
}
