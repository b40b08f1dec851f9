/* SPDX-License-Identifier: ISC */
#include "store/ann.h"

#include "util/mem.h"

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS ((size_t)1024) /* normalised at a time */

/* OpenMP's, for the calling thread: saedb has threads of its own. */
void omp_set_num_threads(int n);

struct ann {
	FaissIndexFlat *index;
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
	struct ann *a = mem_new(1, sizeof(*a));
	int rc = 0;

	*out = NULL;
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
