/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"
#include "daemon/nearest.h"

#include <math.h>
#include <string.h>

/* ---- the answer ------------------------------------------------------------- */

struct known { /* of a row's feature */
	struct feature_row row;
	struct store_label label;
};

static int
read_known(struct req *q, const struct nearest *x, struct known **out, struct err *e)
{
	struct known *k = req_alloc(q, x->n, sizeof(*k), e);
	struct rec_feature f;
	int rc = k == NULL ? ERR_NOMEM : 0;

	for (uint32_t i = 0; i < x->n && rc == 0; i++) {
		const struct target *t = &x->in[x->row[i].in].t;

		k[i] = (struct known){0};
		rc = read_feature(q, t, x->row[i].id, &f, e);
		if (rc < 0)
			break;
		put_row_of(&k[i].row, x->row[i].id, &f, t->rs->n_tokens);
		rc = read_best_labels(q, t, &x->row[i].id, 1, &k[i].label, e);
	}
	*out = k;
	return rc;
}

static void
put_neighbor(struct out *o, const struct nearest *x, const struct nearest_row *row,
	const struct known *k)
{
	const struct target *t = &x->in[row->in].t;
	const struct store_label *l = &k->label;

	out_map(o, 7);
	out_key(o, "feature");
	put_address(o, t->s, row->id);
	out_key_uint(o, "index", row->id);
	out_key_str(o, "sae", t->s->name);
	out_key_f32(o, nearest_metric_name(x), row->score);
	if (cat_sought(t->rs, row->id))
		out_key_f64(o, "density", k->row.density);
	else
		out_key_str(o, "density", NULL);
	put_best_label(o, l);
	out_end(o);
}

/* Each SAE that was searched; and over all, the engine "mixed" where they differ. */
static void
put_searched(struct out *o, const struct nearest *x)
{
	uint64_t n_rows = 0, n_allowed = 0;
	bool mixed = false;

	out_key(o, "searched");
	out_array(o, x->n_in);
	for (uint32_t i = 0; i < x->n_in; i++) {
		const struct nearest_in *in = &x->in[i];

		out_map(o, 7);
		out_key_str(o, "sae", in->t.s->name);
		out_key_uint(o, "run", in->t.r->number);
		out_key_uint(o, "n_rows", in->t.s->d_sae);
		out_key_uint(o, "n_allowed", in->n_allowed);
		out_key_str(o, "engine", nearest_engine_name(in->engine));
		out_key_str(o, "index", in->index);
		if (in->index != NULL)
			out_key_f64(o, "recall", in->recall);
		else
			out_key_str(o, "recall", NULL);
		out_end(o);
		n_rows += in->t.s->d_sae;
		n_allowed += in->n_allowed;
		mixed |= in->engine != x->in[0].engine;
	}
	out_end(o);
	out_key_uint(o, "n_rows", n_rows);
	out_key_uint(o, "n_allowed", n_allowed);
	out_key_str(o, "engine",
		mixed ? "mixed" : nearest_engine_name(x->in[0].engine));
}

#define NEAREST_PAIRS 9

static void
put_nearest(struct out *o, const struct nearest *x, const struct known *k)
{
	out_key(o, "neighbors");
	out_array(o, x->n);
	for (uint32_t i = 0; i < x->n; i++)
		put_neighbor(o, x, &x->row[i], &k[i]);
	out_end(o);
	out_key_str(o, "measure", nearest_metric_name(x));
	out_key_str(o, "metric", nearest_metric_name(x));
	out_key_str(o, "of", nearest_of_name(x));
	out_key_str(o, "to", x->n_in == 1 ? x->in[0].t.s->name : NULL);
	put_searched(o, x);
}

/* ---- a direction ---------------------------------------------------------------- */

static bool
has_direction(const float *x, uint32_t d)
{
	for (uint32_t i = 0; i < d; i++)
		if (x[i] != 0)
			return true;
	return false;
}

/* The feature's own row. */
static int
feature_vector(struct req *q, struct nearest *x, struct err *e)
{
	const struct target *t = x->from;
	const float *rows;
	uint32_t d;
	int rc = store_rows(q->view, t->sae, x->of, &rows, &d, e);

	if (rc < 0)
		return rc;
	if (d != x->d)
		return err_set(e, ERR_INTERNAL, "rows of %u numbers where %u are", d,
			x->d);
	x->vector = rows + (size_t)t->index * d;
	for (uint32_t i = 0; i < d; i++)
		if (!isfinite(x->vector[i]))
			return err_arg(e, ERR_NOTFOUND, "feature",
				"%s/%u has no neighbors: its %s row has a number that "
				"is "
				"not finite",
				t->s->name, t->index, nearest_of_name(x));
	if (!has_direction(x->vector, d))
		return err_arg(e, ERR_NOTFOUND, "feature",
			"%s/%u has no neighbors: its %s row is zero and has no "
			"direction",
			t->s->name, t->index, nearest_of_name(x));
	return 0;
}

static int
vector_element(float *out, const struct value *v, struct err *e)
{
	double x;

	if (!value_as_float(v, &x))
		return err_arg(e, ERR_ARG, "vector", "vector must hold numbers");
	*out = (float)x;
	return 0;
}

/* The largest to about 1, where squares would be too large or too small for floats: a
 * cosine does not change. */
static void
rescale(float *x, uint32_t d)
{
	float most = 0;
	int exponent;

	for (uint32_t i = 0; i < d; i++)
		most = fmaxf(most, fabsf(x[i]));
	if (most > 0x1p-20f && most < 0x1p40f)
		return;
	frexpf(most, &exponent);
	for (uint32_t i = 0; i < d; i++)
		x[i] = ldexpf(x[i], -exponent);
}

/* As many numbers as were given. */
static int
read_vector(struct req *q, struct nearest *to, struct err *e)
{
	const struct value *v = args_get(&q->args, "vector");
	size_t n = v->type == VALUE_BIN ? v->n / sizeof(float) : v->n;
	float *x = req_alloc(q, n, sizeof(*x), e);
	int rc = 0;

	if (x == NULL)
		return ERR_NOMEM;
	if ((v->type != VALUE_BIN && v->type != VALUE_ARRAY) ||
		(v->type == VALUE_BIN && v->n % sizeof(float) != 0))
		return err_arg(e, ERR_ARG, "vector",
			"vector must be bytes of little-endian "
			"float32, or a list of numbers");
	if (v->type == VALUE_BIN)
		memcpy(x, v->str, v->n);
	for (size_t i = 0; i < n && v->type == VALUE_ARRAY && rc == 0; i++)
		rc = vector_element(&x[i], &v->v[i], e);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (!isfinite(x[i]))
			rc = err_arg(e, ERR_ARG, "vector",
				"vector has a number that is not finite");
	to->vector = x;
	to->d = (uint32_t)n;
	if (rc == 0 && !has_direction(x, to->d))
		rc = err_arg(e, ERR_ARG, "vector",
			n == 0 ? "vector is empty"
			       : "vector is zero and has no direction");
	if (rc == 0 && to->metric == STORE_COSINE)
		rescale(x, to->d);
	return rc;
}

/* ---- handlers ---------------------------------------------------------------------- */

int
h_feature_neighbors(struct req *q, struct out *o, struct err *e)
{
	struct nearest x = {.self = !args_bool(&q->args, "exclude_self")};
	struct known *known;
	struct target t;
	int rc = find_feature_run(q, &t, e);

	x.from = &t;
	if (rc == 0)
		rc = nearest_ask(q, &x, e);
	if (rc == 0)
		rc = nearest_saes(q, &x, e);
	if (rc == 0)
		rc = feature_vector(q, &x, e);
	if (rc == 0)
		rc = nearest_filter(q, &x, e);
	if (rc == 0 && !q->may_wait && !nearest_is_quick(&x))
		return REQ_SLOW;
	if (rc == 0)
		rc = nearest_find(q, &x, e);
	if (rc == 0)
		rc = read_known(q, &x, &known, e);
	if (rc != 0)
		return rc;
	put_head_run(o, q, &t, NEAREST_PAIRS);
	put_nearest(o, &x, known);
	out_end(o);
	return 0;
}

/* The vector against the width of what it is compared with. */
static int
check_vector(const struct nearest *x, uint32_t n, struct err *e)
{
	if (n == x->d)
		return 0;
	return err_arg(e, ERR_ARG, "vector",
		"vector must have %u numbers for %s%s, not %u", x->d,
		x->of == STORE_ENCODER ? "the encoder rows of " : "",
		x->in[0].t.s->name, n);
}

int
h_vector_neighbors(struct req *q, struct out *o, struct err *e)
{
	struct nearest x = {0};
	struct known *known;
	uint32_t n;
	int rc = nearest_ask(q, &x, e);

	if (rc == 0)
		rc = read_vector(q, &x, e);
	n = x.d;
	if (rc == 0)
		rc = nearest_saes(q, &x, e);
	if (rc == 0)
		rc = check_vector(&x, n, e);
	if (rc == 0)
		rc = nearest_filter(q, &x, e);
	if (rc == 0)
		rc = nearest_find(q, &x, e);
	if (rc == 0)
		rc = read_known(q, &x, &known, e);
	if (rc < 0)
		return rc;
	if (x.n_in == 1) {
		put_head_run(o, q, &x.in[0].t, NEAREST_PAIRS);
	} else {
		put_head(o, q, 2 + NEAREST_PAIRS);
		out_key_str(o, "run", NULL);
		out_key_str(o, "sae", NULL);
	}
	put_nearest(o, &x, known);
	out_end(o);
	return 0;
}
