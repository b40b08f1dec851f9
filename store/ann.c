/* SPDX-License-Identifier: ISC */
#include "store/ann.h"

#include "config.h"
#include "kernel/kernel.h"
#include "util/mem.h"

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS ((size_t)1024) /* normalised at a time */

/* OpenMP's, for the calling thread: saedb has threads of its own. */
void omp_set_num_threads(int n);

struct ann {
	FaissIndex *index;
	size_t n, d;
	bool cosine;
};

/* FAISS keeps its text per thread until the next call: it is copied here. */
static int
fail(const char *what, struct err *e)
{
	const char *text = faiss_get_last_error();

	return err_set(e, ERR_INTERNAL, "FAISS could not %s: %.300s", what,
		text != NULL ? text : "no reason given");
}

/* What C++ does before main in FAISS's files that were compiled for AVX2
 * (dev.d/faiss.sh); none where it is as packaged. */
typedef void ctor_fn(void);
extern ctor_fn *const __start_faiss_ctors[] __attribute__((weak, visibility("hidden")));
extern ctor_fn *const __stop_faiss_ctors[] __attribute__((weak, visibility("hidden")));

/* Once; whoever comes meanwhile waits. */
static void
construct(void)
{
	static atomic_int state; /* 1: somebody is at it, 2: done */
	int none = 0;

	if (atomic_compare_exchange_strong(&state, &none, 1)) {
		for (ctor_fn *const *f = __start_faiss_ctors; f != __stop_faiss_ctors;
			f++)
			(*f)();
		atomic_store(&state, 2);
	}
	while (atomic_load(&state) != 2)
		;
}

int
ann_usable(struct err *e)
{
	if (strcmp(FAISS_LEVEL, "avx2") != 0 || kernel_path() != KERNEL_PORTABLE) {
		construct();
		return 0;
	}
	return err_arg(e, ERR_UNSUPPORTED, "engine",
		"FAISS was compiled for AVX2 (SAEDB_FAISS=generic ./dev build has one "
		"for any CPU), which this CPU lacks; exact search needs none");
}

/* out = x / |x|; zeros stay. Of inner products x as it is. */
static void
normalise(const struct ann *a, float *out, const float *x)
{
	size_t d = a->d;
	double sum = 0, scale;

	if (!a->cosine) {
		memcpy(out, x, d * sizeof(*out));
		return;
	}

	for (size_t i = 0; i < d; i++)
		sum += (double)x[i] * (double)x[i];
	scale = sum > 0 ? 1 / sqrt(sum) : 0;
	for (size_t i = 0; i < d; i++)
		out[i] = (float)((double)x[i] * scale);
}

static int
add_rows(struct ann *a, const float *rows, struct err *e)
{
	float *unit = mem_new(BATCH_ROWS * a->d, sizeof(*unit));
	int rc = 0;

	if (unit == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an index of %zu rows",
			a->n);
	for (size_t i = 0; rc == 0 && i < a->n; i += BATCH_ROWS) {
		size_t n = a->n - i < BATCH_ROWS ? a->n - i : BATCH_ROWS;

		for (size_t j = 0; j < n; j++)
			normalise(a, unit + j * a->d, rows + (i + j) * a->d);
		if (faiss_Index_add(a->index, (idx_t)n, unit) != 0)
			rc = fail("add rows", e);
	}
	mem_free(unit);
	return rc;
}

int
ann_new(struct ann **out, const float *rows, size_t n, size_t d, bool cosine,
	struct err *e)
{
	struct ann *a;
	int rc = ann_usable(e);

	*out = NULL;
	if (rc != 0)
		return rc;
	a = mem_new(1, sizeof(*a));
	if (a == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an index");
	omp_set_num_threads(1);
	a->n = n;
	a->d = d;
	a->cosine = cosine;
	if (faiss_IndexFlat_new_with(&a->index, (idx_t)d, METRIC_INNER_PRODUCT) != 0)
		rc = fail("make an index", e);
	if (rc == 0)
		rc = add_rows(a, rows, e);
	if (rc != 0) {
		ann_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void
ann_free(struct ann *a)
{
	if (a == NULL)
		return;
	if (a->index != NULL)
		faiss_Index_free(a->index);
	mem_free(a);
}

static int
nearer_first(const void *a, const void *b)
{
	const struct rec_scored *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int
ann_search(const struct ann *a, const float *vector, uint32_t k, struct rec_scored *out,
	uint32_t *n_out, struct err *e)
{
	size_t most = k < a->n ? k : a->n;
	float *unit = mem_new(a->d, sizeof(*unit)),
	      *score = mem_new(most, sizeof(*score));
	idx_t *id = mem_new(most, sizeof(*id));
	uint32_t n = 0;
	int rc = 0;

	*n_out = 0;
	if (unit == NULL || score == NULL || id == NULL) {
		rc = err_set(e, ERR_NOMEM, "no memory for a search");
		goto out;
	}
	if (most == 0)
		goto out;
	omp_set_num_threads(1);
	normalise(a, unit, vector);
	if (faiss_Index_search(a->index, 1, unit, (idx_t)most, score, id) != 0) {
		rc = fail("search", e);
		goto out;
	}
	for (size_t i = 0; i < most; i++)
		if (id[i] >= 0)
			out[n++] = (struct rec_scored){(uint32_t)id[i], score[i]};
	qsort(out, n, sizeof(*out), nearer_first);
	*n_out = n;
out:
	mem_free(unit);
	mem_free(score);
	mem_free(id);
	return rc;
}

/* ---- by a factory string --------------------------------------------------- */

void
ann_threads(int n)
{
	omp_set_num_threads(n);
}

int
ann_make(struct ann **out, const char *factory, size_t d, struct err *e)
{
	struct ann *a;
	int rc = ann_usable(e);

	*out = NULL;
	if (rc != 0)
		return rc;
	a = mem_new(1, sizeof(*a));
	if (a == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an index");
	a->d = d;
	if (faiss_index_factory(&a->index, (int)d, factory, METRIC_INNER_PRODUCT) !=
		0) {
		const char *why = faiss_get_last_error();

		a->index = NULL;
		ann_free(a);
		return err_arg(e, ERR_ARG, "factory",
			"FAISS makes no index '%.100s' of vectors of %zu: %.300s",
			factory, d, why != NULL ? why : "no reason given");
	}
	*out = a;
	return 0;
}

int
ann_train(struct ann *a, const float *unit, size_t n, struct err *e)
{
	if (faiss_Index_is_trained(a->index) ||
		faiss_Index_train(a->index, (idx_t)n, unit) == 0)
		return 0;
	return fail("train an index", e);
}

int
ann_add(struct ann *a, const float *unit, size_t n, struct err *e)
{
	if (faiss_Index_add(a->index, (idx_t)n, unit) != 0)
		return fail("add rows", e);
	a->n += n;
	return 0;
}

int
ann_set(struct ann *a, const char *name, uint32_t value, struct err *e)
{
	FaissParameterSpace *space;
	int rc = 0;

	if (faiss_ParameterSpace_new(&space) != 0)
		return fail("set a parameter", e);
	if (faiss_ParameterSpace_set_index_parameter(space, a->index, name, value) != 0)
		rc = fail("set a parameter", e);
	faiss_ParameterSpace_free(space);
	return rc;
}

int
ann_candidates(const struct ann *a, const float *unit, size_t n, size_t k, int64_t *id,
	struct err *e)
{
	size_t most;
	float *score;
	int rc = 0;

	_Static_assert(sizeof(idx_t) == sizeof(*id), "FAISS counts in 64 bits");
	score = mem_mul(n, k, &most) ? mem_new(most, sizeof(*score)) : NULL;
	if (score == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a search");
	if (faiss_Index_search(a->index, (idx_t)n, unit, (idx_t)k, score,
		    (idx_t *)id) != 0)
		rc = fail("search", e);
	mem_free(score);
	return rc;
}

int
ann_write(const struct ann *a, const char *path, struct err *e)
{
	if (faiss_write_index_fname(a->index, path) == 0)
		return 0;
	fail("write an index", e);
	return err_wrap(e, "%s", path);
}

int
ann_read(struct ann **out, const void *bytes, size_t n_bytes, size_t n, size_t d,
	struct err *e)
{
	struct ann *a;
	FILE *f = NULL;
	int rc = ann_usable(e);

	*out = NULL;
	if (rc != 0)
		return rc;
	a = mem_new(1, sizeof(*a));
	if (a != NULL) /* it is only read */
		f = fmemopen((void *)(uintptr_t)bytes, n_bytes, "r");
	if (f == NULL) {
		mem_free(a);
		return err_set(e, ERR_NOMEM, "no memory for an index");
	}
	a->n = n;
	a->d = d;
	if (faiss_read_index(f, 0, &a->index) != 0) {
		a->index = NULL;
		rc = fail("read an index", e);
	} else if (faiss_Index_ntotal(a->index) != (idx_t)n ||
		faiss_Index_d(a->index) != (int)d ||
		faiss_Index_metric_type(a->index) != METRIC_INNER_PRODUCT)
		rc = err_set(e, ERR_CORRUPT,
			"an index of %lld rows of %d, where %zu of %zu are searched",
			(long long)faiss_Index_ntotal(a->index),
			faiss_Index_d(a->index), n, d);
	fclose(f);
	if (rc != 0) {
		ann_free(a);
		return rc;
	}
	*out = a;
	return 0;
}
