/* SPDX-License-Identifier: ISC */
#include "analysis/cluster_parts.h"
#include "util/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LEAF 12 /* points */
#define MIXED UINT32_MAX

/*
 * A k-d tree, then Boruvka's rounds: each component takes the shortest way out of it,
 * until one is left. Where a point's nearest of another component is not nearer than
 * what its component has, or was not in an earlier round, nothing is searched.
 */
struct node {
	float low[2], high[2];
	uint32_t first, end;
	uint32_t right; /* the left child comes next; 0: a leaf */
	uint32_t group; /* of all its points, or MIXED */
};

struct spot {
	float at[2];
	uint32_t point;
};

struct spanner {
	struct spot *spots; /* (n), in the tree's order */
	struct node *nodes;
	uint32_t n_nodes, n;
	double *core; /* (n): to the min_size-th nearest */
	double *heap; /* (min_size), the farthest on top */
	uint32_t n_heap;
	uint32_t *group; /* (n) */
	double *least; /* (n): no nearer one is of another group */
	struct span *best; /* (n): of each group; ends are spots */
	uint32_t *parent; /* (n): of groups */
};

/* ---- the tree -------------------- */

static bool
is_before(const struct spot *a, const struct spot *b, int axis)
{
	if (a->at[axis] != b->at[axis])
		return a->at[axis] < b->at[axis];
	return a->point < b->point;
}

/* Hoare's selection: what is before the middle one comes before it. */
static void
split(struct spot *s, uint32_t first, uint32_t end, uint32_t middle, int axis)
{
	while (end - first > 1) {
		struct spot pivot = s[first + (end - first - 1) / 2], t;
		uint32_t i = first, j = end - 1;

		for (;; i++, j--) {
			while (is_before(&s[i], &pivot, axis))
				i++;
			while (is_before(&pivot, &s[j], axis))
				j--;
			if (i >= j)
				break;
			t = s[i];
			s[i] = s[j];
			s[j] = t;
		}
		if (middle <= j)
			end = j + 1;
		else
			first = j + 1;
	}
}

static void
node_make(struct spanner *s, uint32_t first, uint32_t end)
{
	uint32_t me = s->n_nodes++, middle = first + (end - first) / 2;
	struct node *node = &s->nodes[me];

	*node = (struct node){{INFINITY, INFINITY}, {-INFINITY, -INFINITY}, first, end,
		0, MIXED};
	for (uint32_t i = first; i < end; i++)
		for (int b = 0; b < 2; b++) {
			node->low[b] = fminf(node->low[b], s->spots[i].at[b]);
			node->high[b] = fmaxf(node->high[b], s->spots[i].at[b]);
		}
	if (end - first <= LEAF)
		return;
	split(s->spots, first, end, middle,
		node->high[1] - node->low[1] > node->high[0] - node->low[0]);
	node_make(s, first, middle);
	node->right = s->n_nodes;
	node_make(s, middle, end);
}

static double
to_node(const struct node *node, const float at[2])
{
	double d[2];

	for (int b = 0; b < 2; b++) {
		d[b] = fmax((double)node->low[b] - (double)at[b],
			(double)at[b] - (double)node->high[b]);
		d[b] = d[b] > 0 ? d[b] : 0;
	}
	return sqrt(d[0] * d[0] + d[1] * d[1]);
}

static double
between(const float a[2], const float b[2])
{
	double x = (double)a[0] - (double)b[0], y = (double)a[1] - (double)b[1];

	return sqrt(x * x + y * y);
}

/* ---- core distances -------------------- */

/* The farthest gives way. */
static void
heap_replace(double *heap, uint32_t n, double d)
{
	uint32_t at = 0;

	for (uint32_t child = 1; child < n; child = 2 * at + 1) {
		child += child + 1 < n && heap[child + 1] > heap[child];
		if (heap[child] <= d)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = d;
}

static void
core_search(struct spanner *s, uint32_t at, const float from[2])
{
	const struct node *node = &s->nodes[at];

	if (to_node(node, from) >= s->heap[0])
		return;
	if (node->right != 0) {
		bool left = to_node(node + 1, from) <=
			to_node(&s->nodes[node->right], from);

		core_search(s, left ? at + 1 : node->right, from);
		core_search(s, left ? node->right : at + 1, from);
		return;
	}
	for (uint32_t i = node->first; i < node->end; i++) {
		double d = between(from, s->spots[i].at);

		if (d < s->heap[0])
			heap_replace(s->heap, s->n_heap, d);
	}
}

static void
core_all(struct spanner *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		for (uint32_t j = 0; j < s->n_heap; j++)
			s->heap[j] = INFINITY;
		core_search(s, 0, s->spots[i].at);
		s->core[i] = s->heap[0];
	}
}

/* ---- rounds -------------------- */

static void
groups_renew(struct spanner *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		s->group[i] = cluster_root(s->parent, i);
		s->best[i].length = INFINITY;
	}
	for (uint32_t at = s->n_nodes; at-- > 0;) {
		struct node *node = &s->nodes[at];

		if (node->right != 0) {
			const struct node *right = &s->nodes[node->right];

			node->group =
				node[1].group == right->group ? right->group : MIXED;
			continue;
		}
		node->group = s->group[node->first];
		for (uint32_t i = node->first; i < node->end; i++)
			if (s->group[i] != node->group)
				node->group = MIXED;
	}
}

static void
way_search(struct spanner *s, uint32_t at, uint32_t from, struct span *best)
{
	const struct node *node = &s->nodes[at];
	const float *here = s->spots[from].at;

	if (node->group == s->group[from] || to_node(node, here) >= best->length)
		return;
	if (node->right != 0) {
		bool left = to_node(node + 1, here) <=
			to_node(&s->nodes[node->right], here);

		way_search(s, left ? at + 1 : node->right, from, best);
		way_search(s, left ? node->right : at + 1, from, best);
		return;
	}
	for (uint32_t i = node->first; i < node->end; i++) {
		double d;

		if (s->group[i] == s->group[from] || s->core[i] >= best->length)
			continue;
		d = fmax(between(here, s->spots[i].at),
			fmax(s->core[i], s->core[from]));
		if (d < best->length)
			*best = (struct span){from, i, d};
	}
}

static int
compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return x->b < y->b ? -1 : x->b > y->b;
}

/* The shortest first, so that of ways which close a circle a longest is left out. */
static uint32_t
join_groups(struct spanner *s, struct span *spans)
{
	uint32_t n = 0, n_joined = 0;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->best[i].length < INFINITY)
			s->best[n++] = s->best[i];
	qsort(s->best, n, sizeof(*s->best), compare_spans);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t a = cluster_root(s->parent, s->best[i].a);
		uint32_t b = cluster_root(s->parent, s->best[i].b);

		if (a == b)
			continue;
		s->parent[a > b ? a : b] = a > b ? b : a;
		spans[n_joined++] = s->best[i];
	}
	return n_joined;
}

static void
span_all(struct spanner *s, struct span *spans)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		s->parent[i] = i;
		s->least[i] = s->core[i];
	}
	while (n < s->n - 1) {
		groups_renew(s);
		for (uint32_t i = 0; i < s->n; i++) {
			struct span *best = &s->best[s->group[i]];

			if (s->least[i] >= best->length)
				continue;
			way_search(s, 0, i, best);
			s->least[i] = best->length;
		}
		n += join_groups(s, spans + n);
	}
}

static int
spanner_new(struct spanner *s, const float *xy, uint32_t n, uint32_t min_size,
	struct err *e)
{
	*s = (struct spanner){.n = n, .n_heap = min_size};
	s->spots = mem_new(n, sizeof(*s->spots));
	s->nodes = mem_new(n / (LEAF / 2) * 2 + 1, sizeof(*s->nodes));
	s->core = mem_new(n, sizeof(*s->core));
	s->heap = mem_new(min_size, sizeof(*s->heap));
	s->group = mem_new(n, sizeof(*s->group));
	s->least = mem_new(n, sizeof(*s->least));
	s->best = mem_new(n, sizeof(*s->best));
	s->parent = mem_new(n, sizeof(*s->parent));
	if (s->spots == NULL || s->nodes == NULL || s->core == NULL ||
		s->heap == NULL || s->group == NULL || s->least == NULL ||
		s->best == NULL || s->parent == NULL)
		return err_set(e, ERR_NOMEM, "no memory for clusters of %u points", n);
	for (uint32_t i = 0; i < n; i++)
		s->spots[i] =
			(struct spot){{xy[2 * (size_t)i], xy[2 * (size_t)i + 1]}, i};
	return 0;
}

static void
spanner_free(struct spanner *s)
{
	mem_free(s->spots);
	mem_free(s->nodes);
	mem_free(s->core);
	mem_free(s->heap);
	mem_free(s->group);
	mem_free(s->least);
	mem_free(s->best);
	mem_free(s->parent);
}

int
cluster_span(struct span *spans, const float *xy, uint32_t n, uint32_t min_size,
	struct err *e)
{
	struct spanner s;
	int rc = spanner_new(&s, xy, n, min_size, e);

	if (rc == 0) {
		node_make(&s, 0, n);
		core_all(&s);
		span_all(&s, spans);
		for (uint32_t i = 0; i < n - 1; i++) {
			spans[i].a = s.spots[spans[i].a].point;
			spans[i].b = s.spots[spans[i].b].point;
		}
		qsort(spans, n - 1, sizeof(*spans), compare_spans);
	}
	spanner_free(&s);
	return rc;
}
