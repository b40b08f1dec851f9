/* SPDX-License-Identifier: ISC */
/*
 * umap_layout THREADS SEED INIT <IN >OUT: for comparison with umap-learn. IN is n and
 * k, then neighbors (n, k) as uint32, distances (n, k) as float; with INIT xy also
 * (n, 2) floats to start from. OUT is (n, 2) floats. INIT: spectral, random or xy. Says
 * on stderr how many seconds of wall and CPU time the layout took.
 */
#include "analysis/umap.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int
take(void *to, size_t size, size_t n, struct err *e)
{
	if (fread(to, size, n, stdin) == n)
		return 0;
	return err_set(e, ERR_FORMAT, "too little on standard input");
}

struct input {
	uint32_t size[2]; /* n, k */
	uint32_t *neighbor;
	float *distance, *xy;
};

static int
input_read(struct input *in, bool with_xy, struct err *e)
{
	size_t n, all;
	int rc = take(in->size, sizeof(*in->size), 2, e);

	n = in->size[0];
	all = n * in->size[1];
	if (rc < 0)
		return rc;
	in->neighbor = mem_new(all, sizeof(*in->neighbor));
	in->distance = mem_new(all, sizeof(*in->distance));
	in->xy = mem_new(n, 2 * sizeof(*in->xy));
	if (in->neighbor == NULL || in->distance == NULL || in->xy == NULL)
		return err_set(e, ERR_NOMEM, "no memory");
	rc = take(in->neighbor, sizeof(*in->neighbor), all, e);
	if (rc == 0)
		rc = take(in->distance, sizeof(*in->distance), all, e);
	if (rc == 0 && with_xy)
		rc = take(in->xy, sizeof(*in->xy), 2 * n, e);
	return rc;
}

static int
run(struct input *in, char **argv, struct pool *pool, struct err *e)
{
	struct umap_params p;
	double wall, cpu;
	int rc = input_read(in, strcmp(argv[3], "xy") == 0, e);

	umap_params_init(&p);
	p.seed = strtoull(argv[2], NULL, 10);
	p.init = strcmp(argv[3], "xy") == 0      ? UMAP_PCA_XY
		: strcmp(argv[3], "random") == 0 ? UMAP_RANDOM
						 : UMAP_SPECTRAL;
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	if (rc == 0)
		rc = umap_layout(in->xy, in->size[0], in->size[1], in->neighbor,
			in->distance, &p, pool, NULL, NULL, e);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (rc == 0)
		fprintf(stderr, "%.4f %.4f\n", wall, cpu);
	if (rc == 0 && fwrite(in->xy, 8, in->size[0], stdout) != in->size[0])
		rc = err_set(e, ERR_IO, "cannot write");
	return rc;
}

int
main(int argc, char **argv)
{
	struct input in = {0};
	struct pool *pool = NULL;
	struct err e = ERR_INIT;
	int rc;

	if (argc != 4) {
		fprintf(stderr, "usage: umap_layout THREADS SEED spectral|random|xy\n");
		return 2;
	}
	rc = pool_new(&pool, strtoul(argv[1], NULL, 10), &e);
	if (rc == 0)
		rc = run(&in, argv, pool, &e);
	if (rc < 0)
		fprintf(stderr, "%s\n", e.text);
	pool_free(pool);
	mem_free(in.neighbor);
	mem_free(in.distance);
	mem_free(in.xy);
	return rc < 0;
}
