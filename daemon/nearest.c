/* SPDX-License-Identifier: ISC */
/* Rows of neighbors: looked up, or searched, in each SAE, and merged. */
#include "daemon/nearest.h"

#include <string.h>

#define QUICK_SAES 8

bool
nearest_is_quick(const struct nearest *x)
{
	if (x->n_in > QUICK_SAES || x->k > LIMIT_NEIGHBORS)
		return false;
	for (uint32_t i = 0; i < x->n_in; i++)
		if (x->in[i].graph < 0)
			return false;
	return true;
}

/* Borrowed from the store, or in the arena. */
static int
look_up(struct req *q, const struct nearest *x, struct nearest_in *in,
	const struct rec_scored **list, uint32_t *n, struct err *e)
{
	struct store_place place = {.table = TABLE_NEIGHBORS, .a = (uint32_t)in->graph};
	struct store_value v;
	size_t n_all = 0;
	int rc = store_mget(q->view, place, &x->from->index, 1, &v, q->arena, e);

	*n = 0;
	in->engine = NEAREST_BY_GRAPH;
	if (rc < 0 || v.p == NULL)
		return rc;
	rc = rec_neighbors_unpack(list, &n_all, v.p, v.n_bytes, q->arena, e);
	for (size_t i = 0; i < n_all && rc == 0; i++)
		if ((*list)[i].id >= in->t.s->d_sae)
			return err_set(e, ERR_CORRUPT,
				"a neighbor of %s/%u is no feature of %s",
				x->from->s->name, x->from->index, in->t.s->name);
	*n = n_all < x->k ? (uint32_t)n_all : x->k;
	return rc;
}

/* Without the feature itself: one more is asked for, and one left out. */
static void
leave_out(struct rec_scored *list, uint32_t *n, uint32_t k, uint32_t skip)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < *n; i++)
		if (list[i].id != skip)
			list[to++] = list[i];
	*n = to < k ? to : k;
}

static int
search(struct req *q, const struct nearest *x, struct nearest_in *in,
	const struct rec_scored **list, uint32_t *n, struct err *e)
{
	bool more = in->allowed == NULL && in->skip != UINT32_MAX;
	struct store_search s = {.sae = in->t.sae,
		.direction = x->of,
		.metric = x->metric,
		.engine = x->engine,
		.vector = x->vector,
		.k = x->k + more,
		.allowed = in->allowed};
	struct rec_scored *out = req_alloc(q, s.k, sizeof(*out), e);
	struct store_nearest found;
	int rc;

	*list = out;
	*n = 0;
	in->engine = STORE_EXACT;
	if (out == NULL)
		return ERR_NOMEM;
	if (in->n_allowed == 0)
		return 0;
	rc = store_search(q->view, &s, out, &found, e);
	if (rc < 0)
		return rc;
	*n = found.n;
	in->engine = (int)found.engine;
	in->index = found.index;
	in->recall = found.recall;
	if (more)
		leave_out(out, n, x->k, in->skip);
	return 0;
}

/* The best k of both, into a buffer of that many; of equals those of before first. */
static void
merge(struct nearest *x, uint32_t in, const struct rec_scored *list, uint32_t n,
	struct nearest_row *buffer)
{
	struct nearest_row *before = x->row;
	uint32_t a = 0, b = 0, to = 0;

	while (to < x->k && (a < x->n || b < n)) {
		if (b == n || (a < x->n && before[a].score >= list[b].score)) {
			buffer[to++] = before[a++];
		} else {
			buffer[to++] =
				(struct nearest_row){in, list[b].id, list[b].score};
			b++;
		}
	}
	x->row = buffer;
	x->n = to;
}

int
nearest_find(struct req *q, struct nearest *x, struct err *e)
{
	struct nearest_row *buffer[2];
	int rc = 0;

	for (int i = 0; i < 2; i++) {
		buffer[i] = req_alloc(q, x->k, sizeof(*buffer[i]), e);
		if (buffer[i] == NULL)
			return ERR_NOMEM;
	}
	x->row = buffer[0];
	x->n = 0;
	for (uint32_t i = 0; i < x->n_in && rc == 0; i++) {
		const struct rec_scored *list = NULL;
		uint32_t n = 0;

		rc = x->in[i].graph >= 0 ? look_up(q, x, &x->in[i], &list, &n, e)
					 : search(q, x, &x->in[i], &list, &n, e);
		if (rc == 0)
			merge(x, i, list, n, buffer[(i + 1) % 2]);
	}
	return rc;
}
