/* SPDX-License-Identifier: ISC */
/*
 * search: the features of a SAE that are nearest to a vector.
 */
#include "kernel/kernel.h"
#include "store/ann_inner.h"

#include <math.h>
#include <string.h>

int
store_rows(struct store_view *v, uint32_t sae, enum store_direction direction,
	const float **rows, uint32_t *d, struct err *e)
{
	int rc = view_has_sae(v, sae, e);

	if (rc != 0)
		return rc;
	if (direction == STORE_ENCODER)
		return err_arg(e, ERR_NOTFOUND, "of",
			"this store has no encoder rows of %s; index it again to have "
			"them",
			v->gen->catalog.sae[sae].name);
	*d = v->gen->catalog.sae[sae].d_out;
	return store_decoder(v, sae, rows, e);
}

/* ---- by going through all rows --------------------------------------------- */

struct scan {
	const struct store_search *s;
	const float *rows; /* (n, d) */
	uint32_t n, d;
	float *query, *unit; /* (d) each */
	struct rec_scored *best; /* (k) sorted */
	uint32_t n_best;
};

static void
to_unit(float *out, const float *x, uint32_t d)
{
	float norm = kernel_norm(x, d);

	for (uint32_t i = 0; i < d; i++)
		out[i] = norm > 0 ? x[i] / norm : 0;
}

static bool
is_better(const struct rec_scored *a, const struct rec_scored *b)
{
	return a->score != b->score ? a->score > b->score : a->id < b->id;
}

static void
offer(struct scan *c, const struct rec_scored *x)
{
	uint32_t at = c->n_best;

	if (isnan(x->score) ||
		(at == c->s->k && (at == 0 || !is_better(x, &c->best[at - 1]))))
		return;
	if (at == c->s->k)
		at--;
	else
		c->n_best++;
	for (; at > 0 && is_better(x, &c->best[at - 1]); at--)
		c->best[at] = c->best[at - 1];
	c->best[at] = *x;
}

static void
scan_rows(struct scan *c)
{
	const struct store_search *s = c->s;

	for (uint32_t i = 0; i < c->n; i++) {
		const float *row = c->rows + (size_t)i * c->d;

		if (s->allowed != NULL && (s->allowed[i / 64] >> i % 64 & 1) == 0)
			continue;
		if (s->metric == STORE_COSINE) {
			to_unit(c->unit, row, c->d);
			row = c->unit;
		}
		offer(c, &(struct rec_scored){i, kernel_dot(c->query, row, c->d)});
	}
}

static int
search_exact(const struct store_search *s, const float *rows, uint32_t n, uint32_t d,
	struct rec_scored *out, struct store_nearest *found, struct err *e)
{
	struct scan c = {.s = s, .rows = rows, .n = n, .d = d, .best = out};

	c.query = mem_new(2 * (size_t)d, sizeof(*c.query));
	if (c.query == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a search");
	c.unit = c.query + d;
	if (s->metric == STORE_COSINE)
		to_unit(c.query, s->vector, d);
	else
		memcpy(c.query, s->vector, d * sizeof(*c.query));
	scan_rows(&c);
	found->n = c.n_best;
	found->engine = STORE_EXACT;
	mem_free(c.query);
	return 0;
}

/* ---- by FAISS -------------------------------------------------------------- */

static int
search_faiss(struct store_view *v, const struct store_search *s, const float *rows,
	uint32_t d, struct rec_scored *out, struct store_nearest *found, struct err *e)
{
	struct object *o = v->gen->object[KIND_SAE][s->sae];
	int rc = 0;

	if (s->allowed != NULL || s->metric != STORE_COSINE ||
		s->direction != STORE_DECODER)
		return err_arg(e, ERR_ARG, "engine",
			"faiss finds the nearest decoder rows by cosine, among all");
	mutex_lock(o->lock);
	if (o->ann == NULL)
		rc = ann_new(&o->ann, rows, v->gen->catalog.sae[s->sae].d_sae, d, e);
	mutex_unlock(o->lock);
	found->engine = STORE_FAISS;
	return rc == 0 ? ann_search(o->ann, s->vector, s->k, out, &found->n, e) : rc;
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
	return search_exact(s, rows, v->gen->catalog.sae[s->sae].d_sae, d, out, found,
		e);
}
