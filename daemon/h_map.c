/* SPDX-License-Identifier: ISC */
/* Maps: what lies around a feature, laid out in the plane. */
#include "daemon/h.h"

#include "analysis/group.h"
#include "analysis/nearby.h"
#include "analysis/umap.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEAR 15 /* neighbors that the layout goes by */
#define EDGES 3 /* of these that are told, at most */
#define GROUP_LEAST 4 /* points that make a cluster */

struct point {
	const struct target *to; /* its SAE, in a run */
	uint32_t index;
	float cosine; /* to the middle */
	struct feature_row row;
	struct store_label label;
};
struct map {
	struct target *to; /* (n_to) the SAEs, the feature's own first */
	uint32_t n_to;
	struct point *point; /* (n) the feature, then by cosine */
	uint32_t n, cap;
	uint32_t d, k;
	float *unit; /* (n, d) */
	uint32_t *neighbor, *group; /* (n, k), (n) */
	float *cosine, *xy; /* (n, k), (n, 2) */
	char (*name)[GROUP_NAME_BYTES]; /* (n_groups) */
	uint32_t n_groups;
};

/* ---- which SAEs ---------------------------------------------------------------- */

static int64_t
graph_of(const struct req *q, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < q->cat->n_graphs; i++)
		if (q->cat->graph[i].from == from && q->cat->graph[i].to == to)
			return i;
	return -1;
}

/* Those whose neighbors of the feature's SAE are stored; or the one that was asked for,
 * beside the feature's own. */
static int
find_saes(struct req *q, const struct target *t, struct map *m, struct err *e)
{
	struct target only = {.sae = UINT32_MAX};
	int rc = args_has(&q->args, "sae") ? find_sae(q, "sae", &only, e) : 0;

	if (rc < 0)
		return rc;
	m->to = req_alloc(q, q->cat->n_saes, sizeof(*m->to), e);
	if (m->to == NULL)
		return ERR_NOMEM;
	m->to[m->n_to++] = *t;
	for (uint32_t i = 0; i < q->cat->n_saes; i++) {
		struct target *to = &m->to[m->n_to];

		if (i == t->sae || graph_of(q, t->sae, i) < 0 ||
			(only.s != NULL && only.sae != i))
			continue;
		*to = (struct target){.sae = i, .s = &q->cat->sae[i]};
		if (find_newest(q, to, NULL) == 0) /* of no run nothing is known */
			m->n_to++;
	}
	if (only.s != NULL && only.sae != t->sae && m->n_to == 1)
		return err_arg(e, ERR_NOTFOUND, "sae",
			"no neighbors of %s in %s are stored, by which a map of both "
			"would go; saedb-index --neighbors exact computes them for "
			"SAEs "
			"that read at the same place of one model",
			t->s->name, only.s->name);
	if (m->n_to == 1 && graph_of(q, t->sae, t->sae) < 0)
		return err_arg(e, ERR_NOTFOUND, "feature",
			"no neighbors of %s are stored, by which a map goes: "
			"saedb-index --neighbors left them out",
			t->s->name);
	return 0;
}

/* ---- which features --------------------------------------------------------------- */

static int
add_point(struct req *q, struct map *m, const struct target *to, uint32_t index,
	struct err *e)
{
	if (m->n == m->cap) {
		uint32_t cap = m->cap > 0 ? 2 * m->cap : 256;
		struct point *more = req_alloc(q, cap, sizeof(*more), e);

		if (more == NULL)
			return ERR_NOMEM;
		if (m->n > 0)
			memcpy(more, m->point, m->n * sizeof(*more));
		m->point = more;
		m->cap = cap;
	}
	m->point[m->n++] = (struct point){.to = to, .index = index};
	return 0;
}

static int
add_neighbors(struct req *q, struct map *m, const struct target *from, uint32_t index,
	const struct target *to, struct err *e)
{
	int64_t graph = graph_of(q, from->sae, to->sae);
	struct store_place place = {TABLE_NEIGHBORS, (uint32_t)graph, 0};
	const struct rec_scored *x;
	struct store_value v;
	size_t n;
	int rc;

	if (graph < 0)
		return 0;
	rc = store_mget(q->view, place, &index, 1, &v, q->arena, e);
	if (rc == 0 && v.p != NULL)
		rc = rec_neighbors_unpack(&x, &n, v.p, v.n_bytes, q->arena, e);
	if (rc < 0 || v.p == NULL)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (x[i].id >= to->s->d_sae)
			return err_set(e, ERR_CORRUPT,
				"a neighbor of %s/%u is no feature of %s",
				from->s->name, index, to->s->name);
		rc = add_point(q, m, to, x[i].id, e);
	}
	return rc;
}

static int
by_address(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->to->sae != y->to->sae)
		return x->to->sae < y->to->sae ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int
by_cosine(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->cosine != y->cosine)
		return x->cosine > y->cosine ? -1 : 1;
	return by_address(a, b);
}

/* Each once, from first on, and without the middle. */
static void
unique(struct map *m, uint32_t first, const struct target *t)
{
	uint32_t n = first;

	if (m->n > first)
		qsort(m->point + first, m->n - first, sizeof(*m->point), by_address);
	for (uint32_t i = first; i < m->n; i++) {
		const struct point *p = &m->point[i];

		if ((p->to->sae == t->sae && p->index == t->index) ||
			(n > first && by_address(p, &m->point[n - 1]) == 0))
			continue;
		m->point[n++] = *p;
	}
	m->n = n;
}

/* The feature, those near it, and those near these. */
static int
gather(struct req *q, struct map *m, struct err *e)
{
	const struct target *t = &m->to[0];
	uint32_t n_first;
	int rc = add_point(q, m, t, t->index, e);

	for (uint32_t i = 0; i < m->n_to && rc == 0; i++)
		rc = add_neighbors(q, m, t, t->index, &m->to[i], e);
	n_first = m->n;
	for (uint32_t p = 1; p < n_first && rc == 0; p++)
		for (uint32_t i = 0; i < m->n_to && rc == 0; i++)
			rc = add_neighbors(q, m, m->point[p].to, m->point[p].index,
				&m->to[i], e);
	if (rc == 0)
		unique(m, 1, t);
	return rc;
}

static int
unit_of(struct req *q, const struct map *m, const struct point *p, float *unit,
	struct err *e)
{
	const float *rows;
	int rc = store_decoder(q->view, p->to->sae, &rows, e);

	if (rc == 0)
		nearby_unit(unit, rows + (size_t)p->index * m->d, m->d);
	return rc;
}

/* Cosines to the middle, whose unit row is m->unit's first; and what the run says. */
static int
measure(struct req *q, struct map *m, struct err *e)
{
	float *unit = req_alloc(q, m->d, sizeof(*unit), e);
	struct rec_feature f;
	int rc = unit != NULL ? 0 : ERR_NOMEM;

	for (uint32_t i = 0; i < m->n && rc == 0; i++) {
		struct point *p = &m->point[i];

		if (p->to->s->d_out != m->d)
			return err_set(e, ERR_CORRUPT,
				"%s has a graph to %s, whose rows are of another width",
				m->to[0].s->name, p->to->s->name);
		rc = unit_of(q, m, p, unit, e);
		p->cosine = kernel_dot(m->unit, unit, m->d);
		if (rc == 0)
			rc = read_feature(q, p->to, p->index, &f, e);
		if (rc == 0)
			put_row_of(&p->row, p->index, &f, p->to->rs->n_tokens);
	}
	return rc;
}

/* The nearest of those that fire, and the middle in any case. */
static void
keep_nearest(struct map *m, uint32_t most)
{
	uint32_t n = 1;

	for (uint32_t i = 1; i < m->n; i++) {
		const struct point *p = &m->point[i];

		if (p->row.count > 0 || !cat_sought(p->to->rs, p->index))
			m->point[n++] = *p;
	}
	if (n > 2)
		qsort(m->point + 1, n - 1, sizeof(*m->point), by_cosine);
	m->n = n < most ? n : most;
}

static int
read_label_of(struct req *q, struct point *p, struct err *e)
{
	return read_best_labels(q, p->to, &p->index, 1, &p->label, e);
}

static int
choose(struct req *q, struct map *m, struct err *e)
{
	int rc = gather(q, m, e);

	m->d = m->to[0].s->d_out;
	m->unit = req_alloc(q, m->d, sizeof(*m->unit), e);
	if (rc == 0 && m->unit == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = unit_of(q, m, &m->point[0], m->unit, e);
	if (rc == 0)
		rc = measure(q, m, e);
	if (rc < 0)
		return rc;
	keep_nearest(m, (uint32_t)args_int(&q->args, "points"));
	for (uint32_t i = 0; i < m->n && rc == 0; i++)
		rc = read_label_of(q, &m->point[i], e);
	return rc;
}

/* ---- where they lie ------------------------------------------------------------------- */

static int
make_room(struct req *q, struct map *m, struct err *e)
{
	m->k = m->n - 1 < NEAR ? m->n - 1 : NEAR;
	m->unit = req_alloc(q, (size_t)m->n * m->d, sizeof(*m->unit), e);
	m->neighbor = req_alloc(q, (size_t)m->n * m->k, sizeof(*m->neighbor), e);
	m->cosine = req_alloc(q, (size_t)m->n * m->k, sizeof(*m->cosine), e);
	m->group = req_alloc(q, m->n, sizeof(*m->group), e);
	m->xy = req_alloc(q, 2 * (size_t)m->n, sizeof(*m->xy), e);
	if (m->unit == NULL || m->neighbor == NULL || m->cosine == NULL ||
		m->group == NULL || m->xy == NULL)
		return ERR_NOMEM;
	memset(m->xy, 0, 2 * m->n * sizeof(*m->xy));
	for (uint32_t i = 0; i < m->n; i++)
		m->group[i] = GROUP_NONE;
	return 0;
}

static int
lay_out(struct req *q, struct map *m, struct err *e)
{
	float *distance = req_alloc(q, (size_t)m->n * m->k, sizeof(*distance), e);
	struct umap_params p;

	if (distance == NULL)
		return ERR_NOMEM;
	umap_params_init(&p);
	p.seed = (uint64_t)args_int(&q->args, "seed");
	for (size_t i = 0; i < (size_t)m->n * m->k; i++)
		distance[i] = m->cosine[i] < 1 ? 1 - m->cosine[i] : 0;
	return umap_layout(m->xy, m->n, m->k, m->neighbor, distance, &p, NULL, NULL,
		NULL, e);
}

static int
name_groups(struct req *q, struct map *m, struct err *e)
{
	const char **text = req_alloc(q, m->n, sizeof(*text), e);
	int rc = text != NULL ? 0 : ERR_NOMEM;

	for (uint32_t i = 0; i < m->n && rc == 0; i++)
		text[i] = m->point[i].label.text;
	if (rc == 0)
		rc = group_points(m->group, &m->n_groups, m->neighbor, m->cosine, m->n,
			m->k, GROUP_LEAST, e);
	if (rc < 0)
		return rc;
	m->name = req_alloc(q, m->n_groups, sizeof(*m->name), e);
	if (m->name == NULL)
		return ERR_NOMEM;
	return group_names(m->name, m->n_groups, m->group, text, m->n, e);
}

static int
arrange(struct req *q, struct map *m, struct err *e)
{
	int rc = make_room(q, m, e);

	for (uint32_t i = 0; i < m->n && rc == 0; i++)
		rc = unit_of(q, m, &m->point[i], m->unit + (size_t)i * m->d, e);
	if (rc < 0 || m->n == 1)
		return rc;
	nearby_rows(m->neighbor, m->cosine, m->unit, m->n, m->d, m->k);
	rc = lay_out(q, m, e);
	return rc == 0 ? name_groups(q, m, e) : rc;
}

/* ---- the answer --------------------------------------------------------------------------- */

static void
put_point(struct out *o, const struct map *m, uint32_t i)
{
	const struct point *p = &m->point[i];
	const struct store_label *l = &p->label;

	out_map(o, 10);
	out_key(o, "feature");
	put_address(o, p->to->s, p->index);
	out_key_uint(o, "index", p->index);
	out_key_str(o, "sae", p->to->s->name);
	out_key_f32(o, "x", m->xy[2 * (size_t)i]);
	out_key_f32(o, "y", m->xy[2 * (size_t)i + 1]);
	out_key_f32(o, "cosine", p->cosine);
	if (cat_sought(p->to->rs, p->index))
		out_key_f64(o, "density", p->row.density);
	else
		out_key_str(o, "density", NULL);
	put_best_label(o, l);
	out_key(o, "cluster");
	if (m->group[i] != GROUP_NONE)
		out_uint(o, m->group[i]);
	else
		out_nil(o);
	out_end(o);
}

/* Whether the pair (i, the neighbor at) is told with i: once, where both have it. */
static bool
is_told(const struct map *m, uint32_t i, uint32_t at)
{
	uint32_t j = m->neighbor[(size_t)i * m->k + at];

	for (uint32_t b = 0; j < i && b < m->k && b < EDGES; b++)
		if (m->neighbor[(size_t)j * m->k + b] == i)
			return false;
	return m->cosine[(size_t)i * m->k + at] > 0;
}

static void
put_edges(struct out *o, const struct map *m)
{
	uint32_t most = m->k < EDGES ? m->k : EDGES;
	size_t n = 0;

	for (uint32_t i = 0; i < m->n; i++)
		for (uint32_t at = 0; at < most; at++)
			n += is_told(m, i, at);
	out_key(o, "edges");
	out_array(o, n);
	for (uint32_t i = 0; i < m->n; i++)
		for (uint32_t at = 0; at < most; at++) {
			if (!is_told(m, i, at))
				continue;
			out_map(o, 3);
			out_key_uint(o, "a", i);
			out_key_uint(o, "b", m->neighbor[(size_t)i * m->k + at]);
			out_key_f32(o, "cosine", m->cosine[(size_t)i * m->k + at]);
			out_end(o);
		}
	out_end(o);
}

static void
put_clusters(struct out *o, const struct map *m)
{
	out_key(o, "clusters");
	out_array(o, m->n_groups);
	for (uint32_t g = 0; g < m->n_groups; g++) {
		double x = 0, y = 0;
		uint32_t n = 0;

		for (uint32_t i = 0; i < m->n; i++) {
			if (m->group[i] != g)
				continue;
			x += (double)m->xy[2 * (size_t)i];
			y += (double)m->xy[2 * (size_t)i + 1];
			n++;
		}
		out_map(o, 4);
		out_key(o, "name");
		if (m->name[g][0] != '\0')
			out_text(o, m->name[g], strlen(m->name[g]));
		else
			out_nil(o);
		out_key_uint(o, "n", n);
		out_key_f64(o, "x", x / n);
		out_key_f64(o, "y", y / n);
		out_end(o);
	}
	out_end(o);
}

int
h_map_feature(struct req *q, struct out *o, struct err *e)
{
	struct map m = {0};
	struct target t;
	int rc = find_feature_run(q, &t, e);

	if (rc == 0)
		rc = find_saes(q, &t, &m, e);
	if (rc == 0)
		rc = choose(q, &m, e);
	if (rc == 0)
		rc = arrange(q, &m, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &t, 8);
	out_key(o, "feature");
	put_address(o, t.s, t.index);
	out_key(o, "points");
	out_array(o, m.n);
	for (uint32_t i = 0; i < m.n; i++)
		put_point(o, &m, i);
	out_end(o);
	put_edges(o, &m);
	put_clusters(o, &m);
	out_key_str(o, "measure", "cosine");
	out_key_str(o, "of", "decoder");
	out_key_str(o, "layout", "umap");
	out_key_int(o, "seed", args_int(&q->args, "seed"));
	out_end(o);
	return 0;
}
