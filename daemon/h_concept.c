/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "analysis/specific.h"
#include "daemon/concept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BY_LABELS, BY_EXAMPLES, BY_MODEL, N_WAYS };
typedef int way_fn(struct req *q, const struct concept *c, struct concept_way *out,
	struct err *e);
static const struct {
	const char *name;
	way_fn *find;
} ways[N_WAYS] = {
	{"labels", concept_by_labels},
	{"examples", concept_by_examples},
	{"model", concept_by_model},
};

struct found { /* a feature, and its place in each way */
	uint32_t target, feature;
	uint32_t rank[N_WAYS]; /* from 1; 0: not found that way */
	double score;
};

struct ask {
	struct concept c;
	bool asked[N_WAYS];
	struct concept_way way[N_WAYS];
	struct found *found; /* (n) best first */
	uint32_t n;
};

/* ---- what is asked ------------------------------------------------------------ */

static int
add_target(struct req *q, struct target *t, uint32_t *n, uint32_t sae, bool must,
	struct err *e)
{
	struct err own = ERR_INIT;
	struct target *x = &t[*n];
	int rc;

	for (uint32_t i = 0; i < *n; i++)
		if (t[i].sae == sae)
			return 0;
	*x = (struct target){.sae = sae, .s = &q->cat->sae[sae]};
	rc = find_run(q, x, &own);
	if (rc == 0)
		++*n;
	else if (must || rc != ERR_NOTFOUND) {
		*e = own;
		return rc;
	}
	return 0;
}

static int
add_named(struct req *q, struct target *t, uint32_t *n, const struct value *v,
	struct err *e)
{
	char name[LIMIT_NAME_BYTES];
	int64_t at;

	if (v->type != VALUE_STR) /* an empty list, too */
		return err_arg(e, ERR_ARG, "sae",
			"sae must be the name of an SAE, or a list of such names");
	snprintf(name, sizeof(name), "%.*s", (int)v->n, v->str);
	at = cat_find_sae(q->cat, name, strlen(name));
	if (at < 0)
		return err_arg(e, ERR_NOTFOUND, "sae",
			"there is no SAE \"%s\"; sae.list names them", name);
	return add_target(q, t, n, (uint32_t)at, true, e);
}

/* The SAEs of the argument `sae`, all where there is none, with their runs. */
static int
find_targets(struct req *q, struct target **out, uint32_t *n, struct err *e)
{
	const struct value *v = args_get(&q->args, "sae");
	struct target *t = req_alloc(q, (size_t)q->cat->n_saes + 1, sizeof(*t), e);
	int rc = 0;

	*out = t;
	*n = 0;
	if (t == NULL)
		return ERR_NOMEM;
	if (v == NULL || value_is_str(v, "all")) {
		for (uint32_t i = 0; i < q->cat->n_saes && rc == 0; i++)
			rc = add_target(q, t, n, i, false, e);
	} else if (v->type == VALUE_ARRAY && v->n > 0) {
		for (uint32_t i = 0; i < v->n && rc == 0; i++)
			rc = add_named(q, t, n, &v->v[i], e);
	} else {
		rc = add_named(q, t, n, v, e);
	}
	if (rc == 0 && *n == 0 && args_has(&q->args, "run"))
		rc = err_arg(e, ERR_NOTFOUND, "run",
			"there is no such run; run.list names them");
	else if (rc == 0 && *n == 0)
		rc = err_arg(e, ERR_NOTFOUND, "sae", "no SAE of the store has a run");
	return rc;
}

static int
read_via(struct req *q, struct ask *a, struct err *e)
{
	const char *via = args_str(&q->args, "via");
	bool any = false;

	for (int i = 0; i < N_WAYS; i++) {
		a->asked[i] =
			strcmp(via, "auto") == 0 || strcmp(via, ways[i].name) == 0;
		any = any || a->asked[i];
	}
	return any ? 0
		   : err_arg(e, ERR_ARG, "via",
			     "via must be auto, labels, examples or model, not \"%s\"",
			     via);
}

static int
read_ask(struct req *q, struct ask *a, struct err *e)
{
	struct target *t;
	int rc = read_via(q, a, e);

	a->c.text = args_str(&q->args, "text");
	a->c.n_windows = (uint32_t)args_int(&q->args, "windows");
	if (rc == 0)
		rc = find_targets(q, &t, &a->c.n_targets, e);
	if (rc == 0) {
		a->c.target = t;
		rc = concept_words(&a->c.words, a->c.text, q->arena, e);
	}
	return rc;
}

/* ---- one ranking of all ways -------------------------------------------------- */

static int
by_feature(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	return x->feature < y->feature ? -1 : x->feature > y->feature;
}

static int
best_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return by_feature(a, b);
}

static int
merge(struct req *q, struct ask *a, struct err *e)
{
	struct found *f = req_alloc(q, (size_t)N_WAYS * CONCEPT_ROWS, sizeof(*f), e);
	uint32_t n = 0, kept = 0;

	if (f == NULL)
		return ERR_NOMEM;
	for (int w = 0; w < N_WAYS; w++)
		for (uint32_t i = 0; i < a->way[w].n; i++) {
			const struct concept_row *r = &a->way[w].row[i];

			f[n] = (struct found){r->target, r->feature, {0}, 0};
			f[n].score = specific_fused(i + 1);
			f[n++].rank[w] = i + 1;
		}
	qsort(f, n, sizeof(*f), by_feature);
	for (uint32_t i = 0; i < n; i++) {
		if (kept == 0 || by_feature(&f[kept - 1], &f[i]) != 0) {
			f[kept++] = f[i];
			continue;
		}
		f[kept - 1].score += f[i].score;
		for (int w = 0; w < N_WAYS; w++)
			f[kept - 1].rank[w] += f[i].rank[w];
	}
	qsort(f, kept, sizeof(*f), best_first);
	a->found = f;
	a->n = kept;
	return 0;
}

/* ---- what is answered --------------------------------------------------------- */

static void
put_ways(struct out *o, const struct ask *a)
{
	size_t n = 0;

	for (int w = 0; w < N_WAYS; w++)
		n += a->asked[w];
	out_key(o, "ways");
	out_array(o, n);
	for (int w = 0; w < N_WAYS; w++) {
		const struct concept_way *x = &a->way[w];

		if (!a->asked[w])
			continue;
		out_map(o, w == BY_EXAMPLES ? 6 : w == BY_MODEL ? 4 : 3);
		out_key_str(o, "via", ways[w].name);
		out_key_uint(o, "n", x->n);
		if (w == BY_EXAMPLES) {
			out_key_str(o, "match",
				x->n_windows > 0 ? concept_match_name[x->match] : NULL);
			out_key_uint(o, "n_windows", x->n_windows);
			out_key_uint(o, "n_matches", x->n_matches);
		} else if (w == BY_MODEL) {
			out_key_uint(o, "n_tokens", x->n_tokens);
		}
		out_key(o, "missing");
		if (x->missing != NULL)
			out_text(o, x->missing, strlen(x->missing));
		else
			out_nil(o);
		out_end(o);
	}
	out_end(o);
}

static void
put_found(struct out *o, const struct ask *a, const struct found *f)
{
	static const size_t n_pairs[N_WAYS] = {3, 5, 6};
	size_t n = 0;

	for (int w = 0; w < N_WAYS; w++)
		n += f->rank[w] > 0;
	out_key(o, "found");
	out_map(o, n);
	for (int w = 0; w < N_WAYS; w++) {
		const struct concept_row *r;

		if (f->rank[w] == 0)
			continue;
		r = &a->way[w].row[f->rank[w] - 1];
		out_key(o, ways[w].name);
		out_map(o, n_pairs[w]);
		out_key_uint(o, "rank", f->rank[w]);
		out_key_f64(o, "score", r->score);
		if (w == BY_LABELS) {
			out_key_str(o, "match", concept_match_name[r->match]);
		} else if (w == BY_EXAMPLES) {
			out_key_uint(o, "n_fired", r->n_fired);
			out_key_uint(o, "n_matches", r->n_matches);
			out_key_f32(o, "strength", r->strength);
		} else {
			out_key_f32(o, "peak", r->peak);
			out_key_f32(o, "last", r->last);
			out_key_uint(o, "token", r->token);
			out_key_f32(o, "strength", r->strength);
		}
		out_end(o);
	}
	out_end(o);
}

/* ---- and on to the neighbors -------------------------------------------------- */

/* By a scan, where no graph is stored; the feature itself is no neighbor. */
static int
search_near(struct req *q, const struct target *from, uint32_t feature,
	const struct target *to, uint32_t k, const struct rec_scored **x, uint32_t *n,
	struct err *e)
{
	struct rec_scored *best = req_alloc(q, (size_t)k + 1, sizeof(*best), e);
	struct store_search s = {.sae = to->sae, .k = k + 1};
	struct store_nearest found;
	const float *rows;
	bool zero = true;
	int rc = best != NULL ? store_decoder(q->view, from->sae, &rows, e) : ERR_NOMEM;

	*n = 0;
	if (rc < 0)
		return rc;
	s.vector = rows + (size_t)feature * from->s->d_out;
	for (uint32_t i = 0; i < from->s->d_out && zero; i++)
		zero = s.vector[i] == 0;
	if (zero)
		return 0;
	rc = store_search(q->view, &s, best, &found, e);
	for (uint32_t i = 0; rc == 0 && i < found.n && *n < k; i++)
		if (from->sae != to->sae || best[i].id != feature)
			best[(*n)++] = best[i];
	*x = best;
	return rc;
}

/* From the stored graph, else by a search where both stand at one place; none where
 * they do not. */
static int
read_near(struct req *q, const struct target *from, uint32_t feature,
	const struct target *to, uint32_t k, const struct rec_scored **x, uint32_t *n,
	struct err *e)
{
	struct store_place place = {.table = TABLE_NEIGHBORS};
	struct store_value v = {0};
	size_t n_all = 0;
	int rc;

	*n = 0;
	if (k == 0)
		return 0;
	while (place.a < q->cat->n_graphs &&
		(q->cat->graph[place.a].from != from->sae ||
			q->cat->graph[place.a].to != to->sae))
		place.a++;
	if (place.a == q->cat->n_graphs)
		return strcmp(from->s->model_id, to->s->model_id) == 0 &&
				strcmp(from->s->hook, to->s->hook) == 0 &&
				from->s->d_out == to->s->d_out
			? search_near(q, from, feature, to, k, x, n, e)
			: 0;
	rc = store_mget(q->view, place, &feature, 1, &v, q->arena, e);
	if (rc < 0 || v.p == NULL)
		return rc;
	rc = rec_neighbors_unpack(x, &n_all, v.p, v.n_bytes, q->arena, e);
	for (size_t i = 0; i < n_all && rc == 0; i++)
		if ((*x)[i].id >= to->s->d_sae)
			return err_set(e, ERR_CORRUPT,
				"a neighbor of %s/%u is no feature of %s",
				from->s->name, feature, to->s->name);
	*n = n_all < k ? (uint32_t)n_all : k;
	return rc;
}

static int
put_near(struct req *q, struct out *o, const struct target *to,
	const struct rec_scored *x, uint32_t n, struct err *e)
{
	uint32_t *ids = req_alloc(q, n, sizeof(*ids), e);
	struct store_label *label = req_alloc(q, n, sizeof(*label), e);
	int rc = ids != NULL && label != NULL ? 0 : ERR_NOMEM;

	for (uint32_t i = 0; i < n && rc == 0; i++)
		ids[i] = x[i].id;
	if (rc == 0)
		rc = read_best_labels(q, to, ids, n, label, e);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct rec_feature f;
		struct feature_row row;

		rc = read_feature(q, to, ids[i], &f, e);
		if (rc < 0)
			break;
		put_row_of(&row, ids[i], &f, to->rs->n_tokens);
		out_map(o, PUT_ROW_PAIRS + 2);
		put_row(o, to, &row, &label[i]);
		out_key_str(o, "sae", to->s->name);
		out_key_f32(o, "cosine", x[i].score);
		out_end(o);
	}
	return rc;
}

/* In its own SAE first, then in the others asked. */
static int
put_neighbors(struct req *q, struct out *o, const struct ask *a, const struct found *f,
	uint32_t k, struct err *e)
{
	uint32_t n_targets = a->c.n_targets;
	const struct rec_scored **x = req_alloc(q, n_targets, sizeof(*x), e);
	uint32_t *n = req_alloc(q, n_targets, sizeof(*n), e);
	size_t n_all = 0;
	int rc = x != NULL && n != NULL ? 0 : ERR_NOMEM;

	for (uint32_t i = 0; i < n_targets && rc == 0; i++) {
		uint32_t t = (f->target + i) % n_targets;

		rc = read_near(q, &a->c.target[f->target], f->feature, &a->c.target[t],
			k, &x[i], &n[i], e);
		n_all += rc == 0 ? n[i] : 0;
	}
	if (rc < 0)
		return rc;
	out_key(o, "neighbors");
	out_array(o, n_all);
	for (uint32_t i = 0; i < n_targets && rc == 0; i++)
		rc = put_near(q, o, &a->c.target[(f->target + i) % n_targets], x[i],
			n[i], e);
	if (rc == 0)
		out_end(o);
	return rc;
}

static int
put_feature(struct req *q, struct out *o, const struct ask *a, uint32_t at,
	struct err *e)
{
	const struct found *f = &a->found[at];
	const struct target *t = &a->c.target[f->target];
	uint32_t k = (uint32_t)args_int(&q->args, "neighbors");
	struct rec_feature record;
	struct feature_row row;
	struct store_label label;
	int rc = read_feature(q, t, f->feature, &record, e);

	if (rc == 0)
		rc = read_best_labels(q, t, &f->feature, 1, &label, e);
	if (rc < 0)
		return rc;
	if (at >= (uint64_t)args_int(&q->args, "top"))
		k = 0;
	put_row_of(&row, f->feature, &record, t->rs->n_tokens);
	out_map(o, PUT_ROW_PAIRS + 5);
	put_row(o, t, &row, &label);
	out_key_str(o, "sae", t->s->name);
	out_key_uint(o, "run", t->r->number);
	out_key_f64(o, "score", f->score);
	put_found(o, a, f);
	rc = put_neighbors(q, o, a, f, k, e);
	if (rc == 0)
		out_end(o);
	return rc;
}

/* The one way that was asked for is not to be had: an error, not an empty answer. */
static int
check_way(const struct ask *a, struct err *e)
{
	if (a->asked[BY_LABELS] || a->asked[BY_EXAMPLES] || !a->asked[BY_MODEL] ||
		a->way[BY_MODEL].n > 0 || a->way[BY_MODEL].n_tokens > 0 ||
		a->way[BY_MODEL].missing == NULL)
		return 0;
	return err_arg(e, a->way[BY_MODEL].code, "via", "%s", a->way[BY_MODEL].missing);
}

int
h_concept_neighbors(struct req *q, struct out *o, struct err *e)
{
	struct ask a = {0};
	uint32_t k = (uint32_t)args_int(&q->args, "k");
	int rc = read_ask(q, &a, e);

	for (int w = 0; w < N_WAYS && rc == 0; w++)
		if (a.asked[w])
			rc = ways[w].find(q, &a.c, &a.way[w], e);
	if (rc == 0)
		rc = check_way(&a, e);
	if (rc == 0)
		rc = merge(q, &a, e);
	if (rc < 0)
		return rc;
	k = a.n < k ? a.n : k;
	put_head(o, q, 4);
	out_key(o, "text");
	out_text(o, a.c.text, strlen(a.c.text));
	out_key_str(o, "via", args_str(&q->args, "via"));
	put_ways(o, &a);
	out_key(o, "features");
	out_array(o, k);
	for (uint32_t i = 0; i < k && rc == 0; i++)
		rc = put_feature(q, o, &a, i, e);
	if (rc < 0)
		return rc;
	out_end(o);
	out_end(o);
	return 0;
}
