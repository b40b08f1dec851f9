/* SPDX-License-Identifier: ISC */
/* The features that fire on the same tokens as one. */
#include "analysis/overlap.h"
#include "daemon/h.h"
#include "daemon/together.h"

#include <string.h>

static int
read_sort(struct req *q, enum cooccur_sort *out, struct err *e)
{
	static const char *const name[] = {[COOCCUR_BY_JACCARD] = "jaccard",
		[COOCCUR_BY_PMI] = "pmi",
		[COOCCUR_BY_COUNT] = "count"};
	const char *given = args_str(&q->args, "sort");

	for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (strcmp(given, name[i]) == 0) {
			*out = (enum cooccur_sort)i;
			return 0;
		}
	return err_arg(e, ERR_ARG, "sort", "sort must be jaccard, pmi or count");
}

static int
put_pair(struct req *q, struct out *o, const struct together *x,
	const struct cooccur_pair *p, struct err *e)
{
	const struct target *to = &x->saes->to[p->sae];
	uint64_t n = x->t->rs->n_tokens;
	struct store_label label = {0};
	int rc = read_best_labels(q, to, &p->feature, 1, &label, e);

	if (rc < 0)
		return rc;
	out_map(o, 11);
	out_key(o, "feature");
	put_address(o, to->s, p->feature);
	out_key_uint(o, "index", p->feature);
	out_key_str(o, "sae", to->s->name);
	out_key_uint(o, "run", to->r->number);
	out_key_uint(o, "n_both", p->n_both);
	out_key_f64(o, "jaccard", overlap_jaccard(p->n_both, x->count, p->count));
	out_key_f64(o, "pmi", overlap_pmi(p->n_both, x->count, p->count, n));
	out_key_uint(o, "count", p->count);
	out_key_f64(o, "density", n > 0 ? (double)p->count / (double)n : 0);
	put_best_label(o, &label);
	out_end(o);
	return 0;
}

static int
put_pairs(struct req *q, struct out *o, const struct together *x, struct err *e)
{
	int rc = 0;

	put_head_run(o, q, x->t, 6);
	out_key(o, "feature");
	put_address(o, x->t->s, x->t->index);
	out_key_uint(o, "count", x->count);
	out_key_uint(o, "n_tokens", x->t->rs->n_tokens);
	out_key_str(o, "sort", args_str(&q->args, "sort"));
	out_key_str(o, "engine", x->stored ? "stored" : "counted");
	out_key(o, "neighbors");
	out_array(o, x->best.n);
	for (size_t i = 0; i < x->best.n && rc == 0; i++)
		rc = put_pair(q, o, x, &x->best.pair[i], e);
	if (rc < 0)
		return rc;
	out_end(o);
	out_end(o);
	return 0;
}

int
h_feature_cooccurrence(struct req *q, struct out *o, struct err *e)
{
	struct together_saes saes;
	struct together x = {.saes = &saes,
		.min_count = (uint64_t)args_int(&q->args, "min_count"),
		.best.k = (size_t)args_int(&q->args, "k")};
	struct rec_feature f;
	struct target t;
	int rc = find_feature_run(q, &t, e);

	if (rc == 0)
		rc = read_sort(q, &x.best.sort, e);
	if (rc == 0)
		rc = together_saes(q, &t, &saes, e);
	if (rc == 0)
		rc = read_feature(q, &t, t.index, &f, e);
	if (rc < 0)
		return rc;
	x.t = &t;
	x.count = x.best.count = f.count;
	x.best.n_tokens = t.rs->n_tokens;
	x.best.pair = req_alloc(q, x.best.k, sizeof(*x.best.pair), e);
	if (x.best.pair == NULL)
		return ERR_NOMEM;
	rc = together_find(q, &x, e);
	return rc == 0 ? put_pairs(q, o, &x, e) : rc;
}
