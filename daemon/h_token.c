/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

#define MAX_IDS 16 /* token ids of one text; one in almost every vocabulary */

struct on_token {
	struct rec_token_feature f; /* over all ids of the text */
	double total; /* of its values there */
	double share;
};
struct found {
	uint32_t id[MAX_IDS], n_ids;
	uint64_t n_occurrences;
	bool truncated;
	struct on_token *x; /* (n), by feature */
	size_t n;
};

static int
by_feature(const void *a, const void *b)
{
	const struct on_token *x = a, *y = b;

	return x->f.feature < y->f.feature ? -1 : x->f.feature > y->f.feature;
}

static int
by_share(const void *a, const void *b)
{
	const struct on_token *x = a, *y = b;

	if (x->f.n_fired != y->f.n_fired)
		return x->f.n_fired > y->f.n_fired ? -1 : 1;
	return by_feature(a, b);
}

static int
by_mean(const void *a, const void *b)
{
	const struct on_token *x = a, *y = b;

	if (x->f.mean != y->f.mean)
		return x->f.mean > y->f.mean ? -1 : 1;
	return by_feature(a, b);
}

/* Adds what fires on one token id. */
static int
read_id(struct req *q, const struct target *t, uint32_t id, struct found *f,
	struct err *e)
{
	struct store_place place = {TABLE_TOKEN, t->run, t->slot};
	struct rec_token token;
	struct store_value v;
	int rc = store_mget(q->view, place, &id, 1, &v, q->arena, e);

	if (rc < 0 || v.p == NULL)
		return rc;
	rc = rec_token_unpack(&token, v.p, v.n_bytes, q->arena, e);
	if (rc < 0)
		return rc;
	if (token.n_features > LIMIT_TOKEN_FEATURES)
		return err_set(e, ERR_CORRUPT, "token %u has too many features", id);
	f->n_occurrences += token.n_occurrences;
	f->truncated |= token.n_features_all > token.n_features;
	for (uint32_t i = 0; i < token.n_features; i++) {
		const struct rec_token_feature *x = &token.feature[i];

		f->x[f->n++] = (struct on_token){.f = *x,
			.total = (double)x->mean * x->n_fired};
	}
	return 0;
}

/* Those of several ids that are one feature become one. */
static void
merge(struct found *f)
{
	size_t n = 0;

	qsort(f->x, f->n, sizeof(*f->x), by_feature);
	for (size_t i = 0; i < f->n; i++) {
		if (n > 0 && f->x[n - 1].f.feature == f->x[i].f.feature) {
			f->x[n - 1].f.n_fired += f->x[i].f.n_fired;
			f->x[n - 1].total += f->x[i].total;
		} else
			f->x[n++] = f->x[i];
	}
	f->n = n;
	for (size_t i = 0; i < n; i++) {
		struct on_token *x = &f->x[i];

		x->f.mean = x->f.n_fired > 0 ? (float)(x->total / x->f.n_fired) : 0;
		x->share = f->n_occurrences > 0
			? (double)x->f.n_fired / (double)f->n_occurrences
			: 0;
	}
}

static void
filter(struct found *f, double min_share, size_t limit, bool mean)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->x[i].share >= min_share)
			f->x[n++] = f->x[i];
	qsort(f->x, n, sizeof(*f->x), mean ? by_mean : by_share);
	f->n = n < limit ? n : limit;
}

static int
read_found(struct req *q, const struct target *t, struct found *f, struct err *e)
{
	const struct value *token = args_get(&q->args, "token");
	const char *sort = args_str(&q->args, "sort");
	bool mean = strcmp(sort, "mean") == 0;
	int rc;

	*f = (struct found){0};
	if (!mean && strcmp(sort, "share") != 0)
		return err_arg(e, ERR_ARG, "sort", "sort must be share or mean");
	rc = store_token_find(q->view, t->r->cut, token->str, token->n, MAX_IDS, f->id,
		&f->n_ids, e);
	if (rc == 0 && f->n_ids == 0)
		rc = err_arg(e, ERR_NOTFOUND, "token",
			"no token is \"%s\"; a leading space is "
			"part of a token, and longer words are several",
			token->str);
	if (rc < 0)
		return rc;
	f->x = req_alloc(q, (size_t)f->n_ids * LIMIT_TOKEN_FEATURES, sizeof(*f->x), e);
	if (f->x == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < f->n_ids && rc == 0; i++)
		rc = read_id(q, t, f->id[i], f, e);
	if (rc == 0) {
		merge(f);
		filter(f, args_float(&q->args, "min_share"),
			(size_t)args_int(&q->args, "limit"), mean);
	}
	return rc;
}

static int
put_found(struct req *q, struct out *o, const struct target *t, const struct found *f,
	const struct store_label *label, struct err *e)
{
	int rc = 0;

	out_key(o, "features");
	out_array(o, f->n);
	for (size_t i = 0; i < f->n && rc == 0; i++) {
		struct feature_row row;
		struct rec_feature record;

		rc = read_feature(q, t, f->x[i].f.feature, &record, e);
		if (rc < 0)
			break;
		put_row_of(&row, f->x[i].f.feature, &record, t->rs->n_tokens);
		out_map(o, PUT_ROW_PAIRS + 3);
		put_row(o, t, &row, &label[i]);
		out_key_uint(o, "n_fired", f->x[i].f.n_fired);
		out_key_f64(o, "share", f->x[i].share);
		out_key_f32(o, "mean_on_token", f->x[i].f.mean);
		out_end(o);
	}
	if (rc == 0)
		out_end(o);
	return rc;
}

int
h_token_features(struct req *q, struct out *o, struct err *e)
{
	struct store_label *label;
	struct found f;
	struct target t;
	uint32_t *ids;
	int rc = find_sae(q, "sae", &t, e);

	if (rc == 0)
		rc = find_run(q, &t, e);
	if (rc == 0)
		rc = read_found(q, &t, &f, e);
	if (rc < 0)
		return rc;
	ids = req_alloc(q, f.n, sizeof(*ids), e);
	label = req_alloc(q, f.n, sizeof(*label), e);
	if (ids == NULL || label == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < f.n; i++)
		ids[i] = f.x[i].f.feature;
	rc = read_best_labels(q, &t, ids, f.n, label, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &t, 4);
	out_key(o, "ids");
	out_array(o, f.n_ids);
	for (uint32_t i = 0; i < f.n_ids; i++)
		out_uint(o, f.id[i]);
	out_end(o);
	out_key_uint(o, "n_occurrences", f.n_occurrences);
	out_key_bool(o, "truncated", f.truncated);
	rc = put_found(q, o, &t, &f, label, e);
	if (rc == 0)
		out_end(o);
	return rc;
}
