/* SPDX-License-Identifier: ISC */
/*
 * search: the features of a SAE that are nearest to a vector.
 */
#include "kernel/scan.h"
#include "store/ann_inner.h"

static int
search_exact(struct store_view *v, const struct store_search *s, const float *rows,
	uint32_t n, uint32_t d, struct rec_scored *out, struct store_nearest *found,
	struct err *e)
{
	struct kernel_nearest q = {.rows = rows,
		.n = n,
		.d = d,
		.query = s->vector,
		.cosine = s->metric == STORE_COSINE,
		.allowed = s->allowed,
		.k = s->k < n ? s->k : n,
		.pool = s->pool};
	struct kernel_hit *hit = mem_new(q.k, sizeof(*hit));
	size_t n_hits = 0, n_decided = 0;
	int rc = codes_map(v, s->sae, s->direction, &q.codes, e);

	if (rc == 0 && hit == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for a search");
	if (rc == 0)
		rc = kernel_nearest(hit, &n_hits, &n_decided, &q, e);
	for (size_t i = 0; i < n_hits; i++)
		out[i] = (struct rec_scored){hit[i].row, hit[i].value};
	*found = (struct store_nearest){.n = (uint32_t)n_hits,
		.engine = STORE_EXACT,
		.n_decided = (uint32_t)n_decided};
	mem_free(hit);
	return rc;
}

/* ---- by FAISS -------------------------------------------------------------- */

static int
search_faiss(struct store_view *v, const struct store_search *s, const float *rows,
	uint32_t d, struct rec_scored *out, struct store_nearest *found, struct err *e)
{
	struct object *o = v->gen->object[KIND_SAE][s->sae];
	struct ann **flat = &o->flat[s->direction][s->metric];
	int rc = 0;

	if (s->allowed != NULL)
		return err_arg(e, ERR_ARG, "engine",
			"FAISS searches all features: with a filter engine is exact");
	mutex_lock(o->lock);
	if (*flat == NULL)
		rc = ann_new(flat, rows, v->gen->catalog.sae[s->sae].d_sae, d,
			s->metric == STORE_COSINE, e);
	mutex_unlock(o->lock);
	found->engine = STORE_FAISS;
	return rc == 0 ? ann_search(*flat, s->vector, s->k, out, &found->n, e) : rc;
}

int
store_search(struct store_view *v, const struct store_search *s, struct rec_scored *out,
	struct store_nearest *found, struct err *e)
{
	const float *rows;
	uint32_t d;
	int rc = store_rows(v, s->sae, s->direction, &rows, &d, e);

	*found = (struct store_nearest){0};
	if (rc != 0)
		return rc;
	if (s->engine == STORE_FAISS)
		return search_faiss(v, s, rows, d, out, found, e);
	rc = ann_answer(v, s, rows, d, out, found, e);
	if (rc != 0) /* it has answered, or could not */
		return rc < 0 ? rc : 0;
	return search_exact(v, s, rows, v->gen->catalog.sae[s->sae].d_sae, d, out,
		found, e);
}
