/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include <math.h>
#include <string.h>

/* What is known of the features of one SAE's newest run. */
struct known {
	struct feature_row *row; /* (n) */
	struct store_label *label; /* (n) */
	bool has_run;
};

static int
read_known(struct req *q, struct target *to, const struct rec_scored *x, uint32_t n,
	struct known *k, struct err *e)
{
	uint32_t *ids = req_alloc(q, n, sizeof(*ids), e);
	struct rec_feature f;
	int rc = 0;

	k->row = req_alloc(q, n, sizeof(*k->row), e);
	k->label = req_alloc(q, n, sizeof(*k->label), e);
	if (ids == NULL || k->row == NULL || k->label == NULL)
		return ERR_NOMEM;
	memset(k->label, 0, n * sizeof(*k->label));
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		ids[i] = x[i].id;
		rc = read_feature(q, to, ids[i], &f, e);
		put_row_of(&k->row[i], ids[i], &f, to->rs->n_tokens);
	}
	if (rc == 0)
		rc = read_best_labels(q, to, ids, n, k->label, e);
	return rc;
}

static void
put_neighbors(struct out *o, const struct target *to, const struct rec_scored *x,
	uint32_t n, const struct known *k)
{
	out_key(o, "neighbors");
	out_array(o, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct store_label *l = &k->label[i];

		out_map(o, 7);
		out_key(o, "feature");
		put_address(o, to->s, x[i].id);
		out_key_uint(o, "index", x[i].id);
		out_key_str(o, "sae", to->s->name);
		out_key_f32(o, "cosine", x[i].score);
		if (cat_sought(to->rs, x[i].id))
			out_key_f64(o, "density", k->row[i].density);
		else
			out_key_str(o, "density", NULL);
		out_key(o, "label");
		if (l->text != NULL)
			out_text(o, l->text, strlen(l->text));
		else
			out_nil(o);
		out_key_str(o, "source", l->text != NULL ? l->source : NULL);
		out_end(o);
	}
	out_end(o);
	out_key_str(o, "measure", "cosine");
	out_key_str(o, "of", "decoder");
	out_key_str(o, "to", to->s->name);
}

static int
find_graph(struct req *q, const struct target *from, const struct target *to,
	uint32_t *graph, struct err *e)
{
	for (uint32_t i = 0; i < q->cat->n_graphs; i++)
		if (q->cat->graph[i].from == from->sae &&
			q->cat->graph[i].to == to->sae) {
			*graph = i;
			return 0;
		}
	if (strcmp(from->s->model_id, to->s->model_id) == 0 &&
		strcmp(from->s->hook, to->s->hook) == 0)
		return err_arg(e, ERR_NOTFOUND, "sae",
			"no neighbors of %s in %s are stored: saedb-index --neighbors "
			"left them out; feature.vector and vector.neighbors find them",
			from->s->name, to->s->name);
	return err_arg(e, ERR_NOTFOUND, "sae",
		"no neighbors of %s in %s are stored; they "
		"are for SAEs that read at the same place of one model",
		from->s->name, to->s->name);
}

static int
read_neighbors(struct req *q, const struct target *t, const struct target *to,
	const struct rec_scored **x, uint32_t *n, struct err *e)
{
	struct store_place place = {.table = TABLE_NEIGHBORS};
	uint32_t k = (uint32_t)args_int(&q->args, "k");
	struct store_value v;
	size_t n_all = 0;
	int rc = find_graph(q, t, to, &place.a, e);

	*n = 0;
	if (rc == 0)
		rc = store_mget(q->view, place, &t->index, 1, &v, q->arena, e);
	if (rc < 0 || v.p == NULL)
		return rc;
	rc = rec_neighbors_unpack(x, &n_all, v.p, v.n_bytes, q->arena, e);
	for (size_t i = 0; i < n_all && rc == 0; i++)
		if ((*x)[i].id >= to->s->d_sae)
			return err_set(e, ERR_CORRUPT,
				"a neighbor of %s/%u is no feature of %s", t->s->name,
				t->index, to->s->name);
	*n = n_all < k ? (uint32_t)n_all : k;
	return rc;
}

int
h_feature_neighbors(struct req *q, struct out *o, struct err *e)
{
	const struct rec_scored *x = NULL;
	struct target t, to;
	struct known known;
	uint32_t n = 0;
	int rc = find_feature_run(q, &t, e);

	if (rc < 0)
		return rc;
	to = t;
	if (args_has(&q->args, "sae")) {
		rc = find_sae(q, "sae", &to, e);
		if (rc == 0)
			rc = find_newest(q, &to, e);
		if (rc == 0 && to.sae == t.sae)
			to = t; /* its own: the run that was asked for */
	}
	if (rc == 0)
		rc = read_neighbors(q, &t, &to, &x, &n, e);
	if (rc == 0)
		rc = read_known(q, &to, x, n, &known, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &t, 4);
	put_neighbors(o, &to, x, n, &known);
	out_end(o);
	return 0;
}

/* ---- an arbitrary vector -------------------------------------------------- */

static int
vector_element(float *out, const struct value *v, struct err *e)
{
	double x;

	if (!value_as_float(v, &x))
		return err_arg(e, ERR_ARG, "vector", "vector must hold numbers");
	*out = (float)x;
	return 0;
}

static int
read_vector(struct req *q, const struct target *t, const float **out, struct err *e)
{
	const struct value *v = args_get(&q->args, "vector");
	uint32_t d = t->s->d_out;
	size_t n = v->type == VALUE_BIN ? v->n / sizeof(float) : v->n;
	float *x = req_alloc(q, d, sizeof(*x), e);
	bool zero = true;
	int rc = 0;

	if (x == NULL)
		return ERR_NOMEM;
	if (v->type != VALUE_BIN && v->type != VALUE_ARRAY)
		return err_arg(e, ERR_ARG, "vector",
			"vector must be bytes of little-endian "
			"float32, or a list of numbers");
	if (n != d || (v->type == VALUE_BIN && v->n % sizeof(float) != 0))
		return err_arg(e, ERR_ARG, "vector",
			"vector must have %u numbers for %s, not "
			"%zu",
			d, t->s->name, n);
	if (v->type == VALUE_BIN)
		memcpy(x, v->str, v->n);
	for (uint32_t i = 0; i < d && v->type == VALUE_ARRAY && rc == 0; i++)
		rc = vector_element(&x[i], &v->v[i], e);
	for (uint32_t i = 0; i < d && rc == 0; i++) {
		if (!isfinite(x[i]))
			rc = err_arg(e, ERR_ARG, "vector",
				"vector has a number that is not "
				"finite");
		zero = zero && x[i] == 0;
	}
	if (rc == 0 && zero)
		rc = err_arg(e, ERR_ARG, "vector",
			"vector is zero and has no direction");
	*out = x;
	return rc;
}

int
h_vector_neighbors(struct req *q, struct out *o, struct err *e)
{
	uint32_t k = (uint32_t)args_int(&q->args, "k");
	struct store_nearest found;
	struct rec_scored *x;
	const float *vector = NULL;
	struct known known;
	struct target to;
	int rc = find_sae(q, "sae", &to, e);

	if (rc == 0)
		rc = find_newest(q, &to, e);
	if (rc == 0)
		rc = read_vector(q, &to, &vector, e);
	if (rc < 0)
		return rc;
	x = req_alloc(q, k, sizeof(*x), e);
	if (x == NULL)
		return ERR_NOMEM;
	rc = store_search(q->view,
		&(struct store_search){.sae = to.sae, .vector = vector, .k = k}, x,
		&found, e);
	if (rc == 0)
		rc = read_known(q, &to, x, found.n, &known, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &to, 5);
	put_neighbors(o, &to, x, found.n, &known);
	out_key_str(o, "engine", "exact");
	out_end(o);
	return 0;
}
