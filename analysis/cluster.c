/* SPDX-License-Identifier: ISC */
#include "analysis/cluster.h"

#include "analysis/cluster_parts.h"
#include "util/mem.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define NONE UINT32_MAX
#define NEAREST 1e-100 /* less counts as this: 1 / it is finite */

/*
 * The spanning tree's spans, shortest first, make a tree of merges: nodes below n are
 * points, node n + i is what span i joins. Gone through from the last merge down, a
 * split into two of at least min_size begins two clusters, a smaller side falls out of
 * the cluster it was in; lambda is 1 / length of the span.
 */
struct tree {
	uint32_t n, min_size;
	struct span *spans; /* (n - 1); then a and b are the nodes joined */
	uint32_t *size; /* (2 n): points of a node */
	uint32_t *in; /* (2 n): the cluster it is in */
	bool *fell; /* (2 n) */
	uint32_t n_clusters;
	struct cluster {
		uint32_t parent;
		double birth; /* lambda */
		double stability;
		double below; /* of the clusters chosen under it */
		bool chosen;
		uint32_t number;
	} * all; /* (n) */
	uint32_t *parent; /* (2 n): of cluster_root() */
};

/* ---- the tree of merges -------------------- */

static void
merge(struct tree *t)
{
	for (uint32_t i = 0; i < 2 * t->n - 1; i++) {
		t->parent[i] = i;
		t->size[i] = 1;
	}
	for (uint32_t i = 0; i < t->n - 1; i++) {
		struct span *s = &t->spans[i];

		s->a = cluster_root(t->parent, s->a);
		s->b = cluster_root(t->parent, s->b);
		t->parent[s->a] = t->parent[s->b] = t->n + i;
		t->size[t->n + i] = t->size[s->a] + t->size[s->b];
	}
}

/* ---- clusters -------------------- */

static uint32_t
begin(struct tree *t, uint32_t parent, double lambda)
{
	t->all[t->n_clusters] = (struct cluster){.parent = parent, .birth = lambda};
	return t->n_clusters++;
}

static void
leave(struct tree *t, uint32_t cluster, uint32_t n, double lambda)
{
	struct cluster *c = &t->all[cluster];

	c->stability += (lambda - c->birth) * n;
}

static void
part(struct tree *t, uint32_t node)
{
	const struct span *s = &t->spans[node - t->n];
	double lambda = 1 / fmax(s->length, NEAREST);
	bool two = t->size[s->a] >= t->min_size && t->size[s->b] >= t->min_size;
	const uint32_t child[] = {s->a, s->b};

	for (int i = 0; i < 2; i++) {
		uint32_t c = child[i];

		t->in[c] = t->in[node];
		t->fell[c] = t->fell[node] || t->size[c] < t->min_size;
		if (t->fell[node])
			continue;
		if (two || t->fell[c])
			leave(t, t->in[node], t->size[c], lambda);
		if (two)
			t->in[c] = begin(t, t->in[node], lambda);
	}
}

/* By excess of mass; never the whole. Children have greater numbers. */
static void
choose(struct tree *t)
{
	for (uint32_t i = t->n_clusters; i-- > 1;) {
		struct cluster *c = &t->all[i];

		c->chosen = !(c->below > c->stability);
		t->all[c->parent].below += c->chosen ? c->stability : c->below;
	}
	for (uint32_t i = 1; i < t->n_clusters; i++) {
		struct cluster *c = &t->all[i];

		c->number = NONE;
		/* what lies in a chosen one is part of it */
		if (t->all[c->parent].chosen) {
			c->chosen = true;
			c->number = t->all[c->parent].number != NONE
				? t->all[c->parent].number
				: c->parent;
		}
	}
}

/* number of a chosen cluster: NONE if it is the topmost of its branch, else that. */
static uint32_t
label(struct tree *t, uint32_t *cluster)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		struct cluster *c = &t->all[t->in[i]];
		uint32_t top = c->number != NONE ? c->number : t->in[i];

		cluster[i] = c->chosen ? top : NONE;
	}
	for (uint32_t i = 0; i < t->n_clusters; i++)
		t->all[i].number = NONE;
	for (uint32_t i = 0; i < t->n; i++) {
		if (cluster[i] == NONE)
			continue;
		if (t->all[cluster[i]].number == NONE)
			t->all[cluster[i]].number = n++;
		cluster[i] = t->all[cluster[i]].number;
	}
	return n;
}

static int
tree_new(struct tree *t, uint32_t n, uint32_t min_size, struct err *e)
{
	*t = (struct tree){.n = n, .min_size = min_size};
	t->spans = mem_new(n, sizeof(*t->spans));
	t->size = mem_new(n, 2 * sizeof(*t->size));
	t->in = mem_new(n, 2 * sizeof(*t->in));
	t->fell = mem_new(n, 2 * sizeof(*t->fell));
	t->all = mem_new(n, sizeof(*t->all));
	t->parent = mem_new(n, 2 * sizeof(*t->parent));
	if (t->spans != NULL && t->size != NULL && t->in != NULL && t->fell != NULL &&
		t->all != NULL && t->parent != NULL)
		return 0;
	return err_set(e, ERR_NOMEM, "no memory for clusters of %u points", n);
}

static void
tree_free(struct tree *t)
{
	mem_free(t->spans);
	mem_free(t->size);
	mem_free(t->in);
	mem_free(t->fell);
	mem_free(t->all);
	mem_free(t->parent);
}

static int
clusters_of(uint32_t *cluster, uint32_t *n_clusters, const float *xy, uint32_t n,
	uint32_t min_size, struct err *e)
{
	struct tree t;
	int rc = tree_new(&t, n, min_size, e);

	if (rc == 0)
		rc = cluster_span(t.spans, xy, n, min_size, e);
	if (rc == 0) {
		merge(&t);
		t.in[2 * n - 2] = begin(&t, 0, 0);
		for (uint32_t node = 2 * n - 2; node >= n; node--)
			part(&t, node);
		choose(&t);
		*n_clusters = label(&t, cluster);
	}
	tree_free(&t);
	return rc;
}

/* ---- points without a place -------------------- */

int
cluster_points(uint32_t *cluster, uint32_t *n_clusters, const float *xy, uint32_t n,
	uint32_t min_size, struct err *e)
{
	float *placed = mem_new(n, 2 * sizeof(*placed));
	uint32_t *point = mem_new(n, sizeof(*point)), n_placed = 0;
	int rc = 0;

	*n_clusters = 0;
	if (placed == NULL || point == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for %u points", n);
	else if (min_size < 2)
		rc = err_arg(e, ERR_ARG, "min_size", "min_size must be at least 2");
	for (size_t i = 0; rc == 0 && i < n; i++) {
		cluster[i] = NONE;
		if (!isfinite(xy[2 * i]) || !isfinite(xy[2 * i + 1]))
			continue;
		memcpy(placed + 2 * (size_t)n_placed, xy + 2 * i, 2 * sizeof(*xy));
		point[n_placed++] = (uint32_t)i;
	}
	if (rc == 0 && n_placed > min_size) {
		uint32_t *of = mem_new(n_placed, sizeof(*of));

		rc = of != NULL
			? clusters_of(of, n_clusters, placed, n_placed, min_size, e)
			: err_set(e, ERR_NOMEM, "no memory for %u points", n);
		for (uint32_t i = 0; rc == 0 && i < n_placed; i++)
			cluster[point[i]] = of[i];
		mem_free(of);
	}
	mem_free(placed);
	mem_free(point);
	return rc;
}
