/* SPDX-License-Identifier: ISC */
/*
 * Building an approximate index: chosen by the size of the SAE and a bound on memory,
 * trained on a sample, filled block by block, tuned (ann_tune.c) and published.
 */
#include "store/ann_tune.h"

#include "config.h"
#include "util/hash.h"
#include "util/paged.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK_ROWS 16384u
#define LIST_SAMPLE 40u /* rows to train a list on: FAISS wants 39 */
#define SAMPLE_ROWS 65536u /* where there are no lists */
#define MOST_LISTS 8192u /* their training grows with the square */
#define FIXED_BYTES ((uint64_t)96 << 20) /* FAISS's own scratch, and the queries */

struct build {
	struct store *store;
	const struct store_ann_job *job;
	struct store_view *view;
	const struct cat_sae *sae;
	const float *rows; /* (n, d) mapped */
	uint32_t n, d;
	struct store_ann about;
	char id[OBJECT_ID_CHARS];
	struct ann *index;
	float *unit; /* (a sample, or a block; d) */
	struct ann_tune tune;
};

static int
tell(const struct build *b, const char *stage, uint64_t done, uint64_t total,
	struct err *e)
{
	if (b->job->tell == NULL)
		return 0;
	return b->job->tell(b->job->ctx, stage, done, total, e);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- which, and what it takes ------------------------------------------------------ */

/* About two lists for each row of a square, 40 rows in each. */
static uint32_t
lists_for(uint32_t n)
{
	uint32_t lists = 1;

	while (lists < MOST_LISTS && lists * 2 <= n / LIST_SAMPLE &&
		(double)lists * 2 <= 2.1 * sqrt(n))
		lists *= 2;
	return lists;
}

static uint32_t
sample_rows(const char *factory, uint32_t n)
{
	uint64_t lists = ann_n_lists(factory);
	uint64_t rows = lists > 0 ? lists * LIST_SAMPLE : SAMPLE_ROWS;

	return rows < n ? (uint32_t)rows : n;
}

/* Bytes of a row in an index, by what its factory string says at last. */
static uint64_t
row_bytes(const char *factory, uint32_t d)
{
	const char *at = strstr(factory, "PQ");
	uint64_t bytes = (uint64_t)d * sizeof(float);

	if (at != NULL && at > factory && at[-1] == 'O') /* a rotation before it */
		at = strstr(at + 2, "PQ");
	if (at != NULL) {
		char *end;

		bytes = strtoul(at + 2, &end, 10);
		if (strncmp(end, "x4", 2) == 0)
			bytes = (bytes + 1) / 2;
	} else if (strstr(factory, "SQ8") != NULL)
		bytes = d;
	else if (strstr(factory, "SQfp16") != NULL)
		bytes = (uint64_t)d * 2;
	if (strstr(factory, "RFlat") != NULL)
		bytes += (uint64_t)d * sizeof(float);
	return bytes;
}

/* Links of a graph, numbers of lists. */
static uint64_t
link_bytes(const char *factory)
{
	const char *at = strstr(factory, "HNSW");
	uint64_t m = at != NULL ? strtoul(at + 4, NULL, 10) : 0;

	if (at == NULL || ann_n_lists(factory) > 0)
		return 8;
	return (m > 0 && m < 1024 ? m : 32) * 2 * sizeof(int32_t) * 5 / 4;
}

/* Most that the build has in memory: arrays that grow are twice as large for a while. */
static uint64_t
build_bytes(const char *factory, uint32_t n, uint32_t d)
{
	uint64_t row = (uint64_t)d * sizeof(float);
	uint64_t index = n * (row_bytes(factory, d) + link_bytes(factory)) * 2 +
		ann_n_lists(factory) * row * 3;
	uint64_t sample = sample_rows(factory, n) * row * 2;
	uint64_t block = BLOCK_ROWS * row * 3;

	return FIXED_BYTES + index + (sample > block ? sample : block);
}

/* The finest of those that fit: half the dimensions a byte's half, and coarser. Where d
 * has no small divisor, a byte a number. */
static int
choose(struct build *b, struct err *e)
{
	uint32_t lists = lists_for(b->n);
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 2; i <= 17; i++) {
		if (i == 17)
			snprintf(b->about.factory, sizeof(b->about.factory),
				"IVF%u,SQ8", lists);
		else if (b->d % i == 0)
			snprintf(b->about.factory, sizeof(b->about.factory),
				"IVF%u,PQ%ux4fs", lists, b->d / i);
		else
			continue;
		if (i == 17 && least < UINT64_MAX)
			break;
		b->about.build_bytes = build_bytes(b->about.factory, b->n, b->d);
		if (b->about.build_bytes <= b->job->memory_bytes)
			return 0;
		if (b->about.build_bytes < least)
			least = b->about.build_bytes;
	}
	return err_arg(e, ERR_NOMEM, "memory",
		"an index of %s takes at least %llu MiB beside its rows to build, and "
		"--memory leaves %llu MiB",
		b->sae->name, (unsigned long long)(least >> 20) + 1,
		(unsigned long long)(b->job->memory_bytes >> 20));
}

/* What was asked for by name: it fits, or it does not. */
static int
take_factory(struct build *b, struct err *e)
{
	const char *factory = b->job->factory;
	struct ann *probe;
	int rc;

	if (strlen(factory) >= sizeof(b->about.factory))
		return err_arg(e, ERR_ARG, "factory", "the factory string is too long");
	strcpy(b->about.factory, factory);
	rc = ann_make(&probe, factory, b->d, e);
	if (rc != 0)
		return rc;
	ann_free(probe);
	b->about.build_bytes = build_bytes(factory, b->n, b->d);
	if (b->about.build_bytes <= b->job->memory_bytes)
		return 0;
	return err_arg(e, ERR_NOMEM, "memory",
		"%s of %s takes about %llu MiB beside its rows to build, and --memory "
		"leaves %llu MiB",
		factory, b->sae->name,
		(unsigned long long)(b->about.build_bytes >> 20) + 1,
		(unsigned long long)(b->job->memory_bytes >> 20));
}

/* ---- the work --------------------------------------------------------------------- */

static int
prepare(struct build *b, bool *have, struct err *e)
{
	const struct store_catalog *c;
	int rc = store_need_write(b->store, e);

	if (rc == 0)
		rc = ann_usable(e);
	if (rc == 0)
		rc = store_view_open(&b->view, b->store, e);
	if (rc == 0)
		rc = store_rows(b->view, b->job->sae, b->job->direction, &b->rows,
			&b->d, e);
	if (rc != 0)
		return rc;
	c = store_view_catalog(b->view);
	b->sae = &c->sae[b->job->sae];
	b->n = b->sae->d_sae;
	if (b->n < STORE_ANN_ROWS)
		return err_arg(e, ERR_ARG, "sae",
			"%s has %u features; an index is for %d or more", b->sae->name,
			b->n, STORE_ANN_ROWS);
	rc = b->job->factory != NULL ? take_factory(b, e) : choose(b, e);
	ann_id(b->id, b->sae->id, b->job->direction, b->about.factory);
	for (uint32_t i = 0; rc == 0 && i < c->n_anns; i++)
		if (strcmp(c->ann[i].id, b->id) == 0) {
			*have = true;
			rc = store_ann_about(b->view, i, &b->about, e);
		}
	return rc;
}

static int
train(struct build *b, struct err *e)
{
	uint32_t n = sample_rows(b->about.factory, b->n);
	int rc = ann_make(&b->index, b->about.factory, b->d, e);

	if (rc == 0)
		rc = tell(b, "training", 0, 1, e);
	if (rc != 0)
		return rc;
	paged_touched(n);
	for (uint32_t i = 0; i < n;
		i++) { /* one of each stretch, whatever their order */
		uint64_t row = ((uint64_t)b->n * i + hash_mix(6, i, 0, 0) % b->n) / n;

		ann_unit(b->unit + (size_t)i * b->d, b->rows + row * b->d, b->d);
	}
	return ann_train(b->index, b->unit, n, e);
}

static int
fill(struct build *b, struct err *e)
{
	int rc = 0;

	for (uint32_t at = 0; at < b->n && rc == 0; at += BLOCK_ROWS) {
		uint32_t n = b->n - at < BLOCK_ROWS ? b->n - at : BLOCK_ROWS;

		rc = tell(b, "adding", at, b->n, e);
		paged_passed((size_t)n * b->d * sizeof(*b->rows));
		for (uint32_t i = 0; i < n; i++)
			ann_unit(b->unit + (size_t)i * b->d,
				b->rows + (size_t)(at + i) * b->d, b->d);
		if (rc == 0)
			rc = ann_add(b->index, b->unit, n, e);
		if (rc == 0)
			rc = ann_tune_block(&b->tune, b->unit, at, n, e);
	}
	return rc;
}

static int
compute(struct build *b, struct err *e)
{
	uint32_t most = sample_rows(b->about.factory, b->n);
	double start = seconds();
	size_t n;
	int rc;

	if (most < BLOCK_ROWS)
		most = BLOCK_ROWS < b->n ? BLOCK_ROWS : b->n;
	if (mem_mul(most, b->d, &n))
		b->unit = mem_new_aligned(n, sizeof(*b->unit));
	if (b->unit == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an index of %s",
			b->sae->name);
	ann_threads((int)b->job->n_threads);
	rc = paged_map(b->rows, (size_t)b->n * b->d * sizeof(*b->rows), e);
	if (rc != 0)
		return rc;
	rc = ann_tune_init(&b->tune, b->rows, b->n, b->d, e);
	if (rc == 0)
		rc = train(b, e);
	if (rc == 0)
		rc = fill(b, e);
	if (rc == 0)
		rc = ann_tune_run(&b->tune, b->index, &b->about,
			(size_t)row_bytes(b->about.factory, b->d), b->job->tell,
			b->job->ctx, e);
	paged_unmap(b->rows);
	ann_threads(1);
	b->about.build_s = seconds() - start;
	return rc;
}

static int
write_object(struct build *b, struct err *e)
{
	char path[PATH_BYTES];
	struct pending *p;
	struct store_publish publish = {.ann_id = b->id};
	uint32_t none;
	int rc = tell(b, "writing", 0, 1, e);

	memcpy(b->about.sae_id, b->sae->id, sizeof(b->about.sae_id));
	b->about.direction = b->job->direction;
	b->about.n_rows = b->n;
	b->about.d = b->d;
	snprintf(b->about.version, sizeof(b->about.version), "%s", FAISS_VERSION);
	snprintf(b->about.level, sizeof(b->about.level), "%s", FAISS_LEVEL);
	if (rc == 0)
		rc = pending_new(&p, b->store, KIND_ANN, b->id, b->about.factory, e);
	if (rc != 0)
		return rc;
	rc = path_join(path, e, "%s/" FILE_ANN_INDEX, p->dir);
	if (rc == 0)
		rc = ann_write(b->index, path, e);
	if (rc == 0)
		rc = file_size(path, &b->about.n_bytes, e);
	if (rc == 0)
		rc = path_join(path, e, "%s/" FILE_ANN_ABOUT, p->dir);
	if (rc == 0)
		rc = ann_about_write(path, &b->about, e);
	if (rc == 0)
		rc = pending_finish(p, NULL, e);
	if (rc == 0)
		rc = store_publish(b->store, &publish, &none, e);
	p = pending_find(b->store, KIND_ANN, b->id);
	if (rc != 0 && p != NULL) /* moved, and not named: the next writer removes it */
		pending_drop(b->store, p);
	return rc;
}

int
store_ann_build(struct store *s, const struct store_ann_job *job, bool *have,
	struct store_ann *out, struct err *e)
{
	struct build b = {.store = s, .job = job};
	int rc;

	*have = false;
	rc = prepare(&b, have, e);
	if (rc == 0 && !*have) {
		b.about.n_rows = b.n;
		rc = compute(&b, e);
		if (rc == 0)
			rc = write_object(&b, e);
	}
	if (rc == 0) {
		ann_describe(&b.about);
		*out = b.about;
	}
	ann_free(b.index);
	ann_tune_clear(&b.tune);
	mem_free(b.unit);
	store_view_close(b.view);
	return rc;
}
