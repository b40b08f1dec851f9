/* SPDX-License-Identifier: ISC */
/* How a feature of one SAE appears in wider ones, and in narrower ones. */
#include "analysis/overlap.h"
#include "daemon/h.h"
#include "daemon/together.h"

#include <stdlib.h>
#include <string.h>

#define MOST_NODES 1000

enum split_by { SPLIT_BY_COSINE, SPLIT_BY_COOCCURRENCE, SPLIT_BY_BOTH };

struct node {
	struct target t; /* .r NULL: of no run over the same cut */
	uint32_t parent, depth;
	float cosine; /* to the node above */
	uint64_t count, n_both; /* n_both: with the node above */
	double share; /* P(the narrower one's feature fires | the wider one's does) */
};
struct split {
	enum split_by by;
	bool up; /* to narrower SAEs */
	double min_cosine, min_share;
	uint64_t min_count;
	uint32_t k;
	struct target *level; /* (n_levels) */
	uint32_t n_levels;
	struct node *node; /* (n) root first, in order of depth */
	uint32_t n;
};
struct candidate { /* what one node has in the next SAE */
	uint32_t feature;
	uint64_t n_both, count;
	double share;
};
struct candidates {
	const struct node *node;
	struct target to;
	uint32_t *n_both; /* (d_sae); NULL: not the same cut */
	uint64_t *allowed; /* a bit a feature; NULL: all */
};

/* ---- which SAEs ------------------------------------------------------------------ */

static int
by_width(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	if (x->s->d_sae != y->s->d_sae)
		return x->s->d_sae < y->s->d_sae ? -1 : 1;
	return strcmp(x->s->name, y->s->name);
}

/* SAEs on the feature's hook that are wider (narrower), one of each width, the next
 * first. */
static int
find_levels(struct req *q, const struct target *t, struct split *x, struct err *e)
{
	uint32_t n = 0;

	x->level = req_alloc(q, (size_t)q->cat->n_saes + 1, sizeof(*x->level), e);
	if (x->level == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < q->cat->n_saes; i++) {
		const struct cat_sae *s = &q->cat->sae[i];

		if (strcmp(s->model_id, t->s->model_id) == 0 &&
			strcmp(s->hook, t->s->hook) == 0 && s->d_out == t->s->d_out &&
			(x->up ? s->d_sae < t->s->d_sae : s->d_sae > t->s->d_sae))
			x->level[n++] = (struct target){.sae = i, .s = s};
	}
	qsort(x->level, n, sizeof(*x->level), by_width);
	for (uint32_t i = 0; i < n; i++)
		if (x->n_levels == 0 ||
			x->level[x->n_levels - 1].s->d_sae != x->level[i].s->d_sae)
			x->level[x->n_levels++] = x->level[i];
	for (uint32_t i = 0; x->up && i < x->n_levels / 2; i++) {
		struct target other = x->level[i];

		x->level[i] = x->level[x->n_levels - 1 - i];
		x->level[x->n_levels - 1 - i] = other;
	}
	return 0;
}

/* ---- one node's children --------------------------------------------------------- */

static int
count_both(struct req *q, const struct split *x, struct candidates *c, struct err *e)
{
	struct together_saes one = {&c->to, 1};
	struct err none = ERR_INIT;
	uint32_t **n_both;
	struct target to;
	int rc = ERR_NOTFOUND;

	if (c->node->t.r != NULL)
		rc = together_sae(q, &c->node->t, c->to.s->name, strlen(c->to.s->name),
			"by", &to, x->by == SPLIT_BY_COSINE ? &none : e);
	if (rc < 0) /* cosines need no common cut */
		return x->by == SPLIT_BY_COSINE ? 0 : rc;
	c->to = to;
	rc = together_count(q, &c->node->t, &one, c->node->count, &n_both, e);
	if (rc < 0)
		return rc;
	c->n_both = n_both[0];
	mem_free(n_both);
	return 0;
}

static int
describe(struct req *q, const struct split *x, const struct candidates *c,
	uint32_t feature, struct arena *scratch, struct candidate *out, struct err *e)
{
	struct arena *mine = q->arena;
	struct rec_feature f = {0};
	uint64_t of;
	int rc;

	arena_reset(scratch);
	q->arena = scratch;
	rc = c->to.r != NULL ? read_feature(q, &c->to, feature, &f, e) : 0;
	q->arena = mine;
	*out = (struct candidate){.feature = feature, .count = f.count};
	if (c->n_both != NULL)
		out->n_both = c->n_both[feature];
	of = x->up ? c->node->count : f.count;
	out->share = of > 0 ? (double)out->n_both / (double)of : 0;
	return rc;
}

/* Marks those that fire with the node as they must. By co-occurrence alone only the k
 * with the largest share, ties by tokens, then index. */
static int
allow(struct req *q, const struct split *x, struct candidates *c, struct arena *scratch,
	struct err *e)
{
	struct cooccur_pair *pair = req_alloc(q, x->k, sizeof(*pair), e);
	struct cooccur_best best = {.pair = pair, .k = x->k};
	struct candidate y;
	size_t n_words = ((size_t)c->to.s->d_sae + 63) / 64;
	int rc = 0;

	c->allowed = req_alloc(q, n_words, sizeof(*c->allowed), e);
	if (pair == NULL || c->allowed == NULL)
		return ERR_NOMEM;
	memset(c->allowed, 0, n_words * sizeof(*c->allowed));
	for (uint32_t f = 0; f < c->to.s->d_sae && rc == 0; f++) {
		if (c->n_both[f] < x->min_count)
			continue;
		rc = describe(q, x, c, f, scratch, &y, e);
		if (rc < 0 || y.share < x->min_share)
			continue;
		if (x->by == SPLIT_BY_BOTH)
			c->allowed[f / 64] |= UINT64_C(1) << f % 64;
		else
			cooccur_place(&best,
				(struct cooccur_pair){.feature = f,
					.n_both = y.n_both,
					.score = y.share});
	}
	for (size_t i = 0; i < best.n; i++)
		c->allowed[pair[i].feature / 64] |= UINT64_C(1) << pair[i].feature % 64;
	return rc;
}

static int
add_node(struct split *x, uint32_t parent, const struct candidates *c,
	const struct candidate *y, float cosine, struct err *e)
{
	struct node *n = &x->node[x->n];

	if (x->n == MOST_NODES)
		return err_arg(e, ERR_LIMIT, "k",
			"the tree has more than %d features: ask for fewer at a time, "
			"or for a larger cosine or share",
			MOST_NODES);
	*n = (struct node){.t = c->to,
		.parent = parent,
		.depth = x->node[parent].depth + 1,
		.cosine = cosine,
		.count = y->count,
		.n_both = y->n_both,
		.share = y->share};
	n->t.index = y->feature;
	if (c->n_both == NULL)
		n->t.r = NULL;
	x->n++;
	return 0;
}

static int
by_share(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	if (x->share != y->share)
		return x->share > y->share ? -1 : 1;
	if (x->n_both != y->n_both)
		return x->n_both > y->n_both ? -1 : 1;
	return x->t.index < y->t.index ? -1 : 1;
}

/* The nearest of those that may be. */
static int
add_nearest(struct req *q, struct split *x, uint32_t at, const struct candidates *c,
	struct arena *scratch, struct err *e)
{
	struct rec_scored *near = req_alloc(q, x->k, sizeof(*near), e);
	struct store_search s = {.sae = c->to.sae, .k = x->k, .allowed = c->allowed};
	struct store_nearest found;
	struct candidate y;
	const float *rows;
	uint32_t d, first = x->n;
	int rc = near == NULL ? ERR_NOMEM : 0;

	if (rc == 0)
		rc = store_rows(q->view, c->node->t.sae, STORE_DECODER, &rows, &d, e);
	if (rc < 0)
		return rc;
	s.vector = rows + (size_t)c->node->t.index * d;
	rc = store_search(q->view, &s, near, &found, e);
	for (uint32_t i = 0; rc == 0 && i < found.n; i++) {
		if (x->by != SPLIT_BY_COOCCURRENCE &&
			(double)near[i].score < x->min_cosine)
			break;
		rc = describe(q, x, c, near[i].id, scratch, &y, e);
		if (rc == 0)
			rc = add_node(x, at, c, &y, near[i].score, e);
	}
	if (rc == 0 && x->by == SPLIT_BY_COOCCURRENCE)
		qsort(x->node + first, x->n - first, sizeof(*x->node), by_share);
	return rc;
}

static int
expand(struct req *q, struct split *x, uint32_t at, struct arena *scratch,
	struct err *e)
{
	struct node node = x->node[at];
	struct candidates c = {.node = &node, .to = x->level[node.depth]};
	int rc = count_both(q, x, &c, e);

	if (rc == 0 && x->by != SPLIT_BY_COSINE)
		rc = allow(q, x, &c, scratch, e);
	if (rc == 0)
		rc = add_nearest(q, x, at, &c, scratch, e);
	mem_free(c.n_both);
	return rc;
}

/* ---- the answer ------------------------------------------------------------------ */

static int
put_node(struct req *q, struct out *o, const struct split *x, uint32_t i, struct err *e)
{
	const struct node *n = &x->node[i], *up = &x->node[n->parent];
	struct store_label label = {0};
	bool known = n->t.r != NULL, paired = i > 0 && known;
	int rc = known ? read_best_labels(q, &n->t, &n->t.index, 1, &label, e) : 0;

	if (rc < 0)
		return rc;
	out_map(o, 13);
	out_key(o, "feature");
	put_address(o, n->t.s, n->t.index);
	out_key_uint(o, "index", n->t.index);
	out_key_str(o, "sae", n->t.s->name);
	out_key_uint(o, "depth", n->depth);
	out_key(o, "parent");
	if (i > 0)
		out_uint(o, n->parent);
	else
		out_nil(o);
	out_key(o, "cosine");
	if (i > 0)
		out_f32(o, n->cosine);
	else
		out_nil(o);
	out_key(o, "n_both");
	if (paired)
		out_uint(o, n->n_both);
	else
		out_nil(o);
	out_key(o, "share");
	if (paired)
		out_f64(o, n->share);
	else
		out_nil(o);
	out_key(o, "jaccard");
	if (paired)
		out_f64(o, overlap_jaccard(n->n_both, up->count, n->count));
	else
		out_nil(o);
	out_key(o, "count");
	if (known)
		out_uint(o, n->count);
	else
		out_nil(o);
	out_key(o, "density");
	if (known && n->t.rs->n_tokens > 0)
		out_f64(o, (double)n->count / (double)n->t.rs->n_tokens);
	else
		out_nil(o);
	put_best_label(o, &label);
	out_end(o);
	return 0;
}

static int
put_tree(struct req *q, struct out *o, const struct split *x, struct err *e)
{
	int rc = 0;

	put_head_run(o, q, &x->node[0].t, 7);
	out_key_str(o, "direction", args_str(&q->args, "direction"));
	out_key_str(o, "by", args_str(&q->args, "by"));
	out_key_f64(o, "min_cosine", x->min_cosine);
	out_key_f64(o, "min_share", x->min_share);
	out_key_uint(o, "min_count", x->min_count);
	out_key(o, "saes");
	out_array(o, x->n_levels);
	for (uint32_t i = 0; i < x->n_levels; i++)
		out_str(o, x->level[i].s->name);
	out_end(o);
	out_key(o, "nodes");
	out_array(o, x->n);
	for (uint32_t i = 0; i < x->n && rc == 0; i++)
		rc = put_node(q, o, x, i, e);
	if (rc < 0)
		return rc;
	out_end(o);
	out_end(o);
	return 0;
}

static int
read_words(struct req *q, struct split *x, struct err *e)
{
	static const char *const by[] = {"cosine", "cooccurrence", "both"};
	const char *given = args_str(&q->args, "by");
	const char *direction = args_str(&q->args, "direction");
	unsigned i = 0;

	while (i < 3 && strcmp(given, by[i]) != 0)
		i++;
	if (i == 3)
		return err_arg(e, ERR_ARG, "by",
			"by must be cosine, cooccurrence or both");
	x->by = (enum split_by)i;
	x->up = strcmp(direction, "parents") == 0;
	if (!x->up && strcmp(direction, "children") != 0)
		return err_arg(e, ERR_ARG, "direction",
			"direction must be children or parents");
	return 0;
}

int
h_feature_splitting(struct req *q, struct out *o, struct err *e)
{
	struct split x = {.min_cosine = args_float(&q->args, "min_cosine"),
		.min_share = args_float(&q->args, "min_share"),
		.min_count = (uint64_t)args_int(&q->args, "min_count"),
		.k = (uint32_t)args_int(&q->args, "k")};
	struct rec_feature f;
	struct arena scratch;
	struct target t;
	int rc = find_feature_run(q, &t, e);

	if (rc == 0)
		rc = read_words(q, &x, e);
	if (rc == 0)
		rc = find_levels(q, &t, &x, e);
	if (rc == 0)
		rc = read_feature(q, &t, t.index, &f, e);
	if (rc < 0)
		return rc;
	x.node = req_alloc(q, MOST_NODES, sizeof(*x.node), e);
	if (x.node == NULL)
		return ERR_NOMEM;
	x.node[x.n++] = (struct node){.t = t, .count = f.count};
	arena_init(&scratch, DAEMON_ARENA_BYTES);
	for (uint32_t i = 0; i < x.n && rc == 0; i++)
		if (x.node[i].depth < x.n_levels)
			rc = expand(q, &x, i, &scratch, e);
	arena_clear(&scratch);
	return rc == 0 ? put_tree(q, o, &x, e) : rc;
}
