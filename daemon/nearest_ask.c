/* SPDX-License-Identifier: ISC */
/* What is asked about neighbors: how they are measured, in which SAEs, and which of their
 * features may be found. */
#include "daemon/nearest.h"

#include "model/lm.h"

#include <string.h>
#include <strings.h>

/* ---- words --------------------------------------------------------------------- */

struct word {
	const char *name;
	int value;
};
/* The first of each value is its name in answers; the others are FAISS's. */
static const struct word metrics[] = {{"cosine", STORE_COSINE}, {"ip", STORE_IP},
	{"inner_product", STORE_IP}, {"dot", STORE_IP}};
static const struct word directions[] = {{"decoder", STORE_DECODER},
	{"encoder", STORE_ENCODER}};
static const struct word engines[] = {{"auto", STORE_AUTO}, {"exact", STORE_EXACT},
	{"faiss", STORE_FAISS}, {"approximate", STORE_APPROXIMATE},
	{"graph", NEAREST_BY_GRAPH}};
#define N(list) (sizeof(list) / sizeof((list)[0]))

static const char *
name_of(const struct word *list, size_t n, int value)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].value == value)
			return list[i].name;
	return NULL;
}

const char *
nearest_metric_name(const struct nearest *x)
{
	return name_of(metrics, N(metrics), (int)x->metric);
}

const char *
nearest_of_name(const struct nearest *x)
{
	return name_of(directions, N(directions), (int)x->of);
}

const char *
nearest_engine_name(int engine)
{
	return name_of(engines, N(engines), engine);
}

static int
read_word(struct req *q, const char *arg, const struct word *list, size_t n, int *out,
	struct err *e)
{
	const char *given = args_str(&q->args, arg);

	for (size_t i = 0; i < n; i++)
		if (strcasecmp(list[i].name, given) == 0) {
			*out = list[i].value;
			return 0;
		}
	if (strcmp(arg, "metric") == 0)
		return err_arg(e, ERR_ARG, arg,
			"metric must be cosine or ip (inner_product, dot), not "
			"\"%.24s\"",
			given);
	return err_arg(e, ERR_ARG, arg, "%s must be %s, not \"%.24s\"", arg,
		strcmp(arg, "of") == 0 ? "decoder or encoder"
				       : "auto, exact, faiss or approximate",
		given);
}

int
nearest_ask(struct req *q, struct nearest *x, struct err *e)
{
	int of = 0, metric = 0, engine = 0;
	int rc = read_word(q, "of", directions, N(directions), &of, e);

	if (rc == 0)
		rc = read_word(q, "metric", metrics, N(metrics), &metric, e);
	if (rc == 0) /* the graph is looked up, not asked for */
		rc = read_word(q, "engine", engines, N(engines) - 1, &engine, e);
	x->of = (enum store_direction)of;
	x->metric = (enum store_metric)metric;
	x->engine = (enum store_engine)engine;
	x->k = (uint32_t)args_int(&q->args, "k");
	return rc;
}

/* ---- SAEs ---------------------------------------------------------------------- */

/* Where the rows of a direction stand: a hook, or "" for the residual stream, which many
 * hooks read and write. A transcoder's are two, with > between. */
static void
space_of(const struct cat_sae *s, enum store_direction of, char out[sizeof(s->hook)])
{
	const char *at = s->hook, *behind = strchr(s->hook, '>');
	size_t n = behind != NULL ? (size_t)(behind - at) : strlen(at);
	struct err none = ERR_INIT;
	struct hook h;

	if (of == STORE_DECODER && behind != NULL) {
		at = behind + 1;
		n = strlen(at);
	}
	memcpy(out, at, n);
	out[n] = '\0';
	if (hook_parse(&h, out, &none) == 0 && hook_in_stream(&h))
		out[0] = '\0';
}

static uint32_t
width_of(const struct cat_sae *s, enum store_direction of)
{
	return of == STORE_DECODER ? s->d_out : s->d_in;
}

static bool
same_space(const struct cat_sae *a, const struct cat_sae *b, enum store_direction of)
{
	char in_a[sizeof(a->hook)], in_b[sizeof(b->hook)];

	space_of(a, of, in_a);
	space_of(b, of, in_b);
	return strcmp(a->model_id, b->model_id) == 0 &&
		width_of(a, of) == width_of(b, of) && strcmp(in_a, in_b) == 0;
}

/* The run that was asked for where it has the SAE, else the SAE's newest. */
static int
choose_run(struct req *q, struct target *t, struct err *e)
{
	uint32_t run = 0;
	int rc = args_has(&q->args, "run") ? find_any_run(q, &run, e) : 0;

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; args_has(&q->args, "run") && i < q->cat->run[run].n_saes;
		i++) {
		if (q->cat->run[run].sae[i].sae != t->sae)
			continue;
		t->run = run;
		t->slot = i;
		t->r = &q->cat->run[run];
		t->rs = &t->r->sae[i];
		return 0;
	}
	return find_newest(q, t, e);
}

static int
add_sae(struct req *q, struct nearest *x, uint32_t sae, struct err *e)
{
	struct nearest_in *in = &x->in[x->n_in];

	for (uint32_t i = 0; i < x->n_in; i++)
		if (x->in[i].t.sae == sae)
			return err_arg(e, ERR_ARG, "sae", "%s is named twice",
				q->cat->sae[sae].name);
	x->n_in++;
	*in = (struct nearest_in){.t = {.sae = sae, .s = &q->cat->sae[sae]},
		.skip = UINT32_MAX,
		.graph = -1};
	if (x->from != NULL && x->from->sae == sae) {
		in->t = *x->from;
		in->skip = x->self ? UINT32_MAX : x->from->index;
		return 0;
	}
	return choose_run(q, &in->t, e);
}

static bool
has_run(const struct req *q, uint32_t sae)
{
	for (uint32_t i = 0; i < q->cat->n_runs; i++)
		for (uint32_t j = 0; j < q->cat->run[i].n_saes; j++)
			if (q->cat->run[i].sae[j].sae == sae)
				return true;
	return false;
}

/* All whose rows stand where the feature's do, or, of a vector, that are as wide: those
 * must be of one space then. */
static int
add_all(struct req *q, struct nearest *x, struct err *e)
{
	const struct cat_sae *like = x->from != NULL ? x->from->s : NULL, *s;
	int rc = 0;

	for (uint32_t i = 0; i < q->cat->n_saes && rc == 0; i++) {
		s = &q->cat->sae[i];
		if (!has_run(q, i) ||
			(x->from != NULL ? !same_space(s, like, x->of)
					 : width_of(s, x->of) != x->d))
			continue;
		if (like == NULL)
			like = s;
		if (!same_space(s, like, x->of))
			return err_arg(e, ERR_MISMATCH, "sae",
				"%s and %s are as wide as the vector, but of different "
				"models or hooks: name those that are meant",
				like->name, s->name);
		rc = add_sae(q, x, i, e);
	}
	if (rc == 0 && x->n_in == 0)
		return err_arg(e, ERR_NOTFOUND, "sae",
			"no SAE has %s rows of %u numbers", nearest_of_name(x), x->d);
	return rc;
}

static int
add_named(struct req *q, struct nearest *x, const struct value *v, struct err *e)
{
	int shown = v->n < 64 ? (int)v->n : 64;
	int64_t at;

	if (v->type != VALUE_STR || v->n == 0)
		return err_arg(e, ERR_ARG, "sae",
			"sae must be a name, a list of names, or \"all\"");
	at = cat_find_sae(q->cat, v->str, v->n);
	if (at < 0)
		return err_arg(e, ERR_NOTFOUND, "sae",
			"there is no SAE \"%.*s\"; sae.list names them", shown, v->str);
	return add_sae(q, x, (uint32_t)at, e);
}

/* One width for all that are compared. */
static int
check_widths(struct nearest *x, struct err *e)
{
	const struct cat_sae *first = x->from != NULL ? x->from->s : x->in[0].t.s;
	uint32_t d = width_of(first, x->of);

	for (uint32_t i = 0; i < x->n_in; i++) {
		const struct cat_sae *s = x->in[i].t.s;

		if (width_of(s, x->of) != d)
			return err_arg(e, ERR_MISMATCH, "sae",
				"the %s rows of %s have %u numbers and those of %s %u: "
				"they cannot be compared",
				nearest_of_name(x), first->name, d, s->name,
				width_of(s, x->of));
	}
	x->d = d;
	return 0;
}

int
nearest_saes(struct req *q, struct nearest *x, struct err *e)
{
	const struct value *v = args_get(&q->args, "sae");
	bool list = v != NULL && v->type == VALUE_ARRAY;
	int rc = 0;

	x->in = req_alloc(q, q->cat->n_saes + (size_t)1, sizeof(*x->in), e);
	if (x->in == NULL)
		return ERR_NOMEM;
	if (list && v->n == 0)
		return err_arg(e, ERR_ARG, "sae", "sae names no SAE");
	if (v == NULL)
		rc = add_sae(q, x, x->from->sae, e);
	else if (value_is_str(v, "all"))
		rc = add_all(q, x, e);
	else if (!list)
		rc = add_named(q, x, v, e);
	for (uint32_t i = 0; list && i < v->n && rc == 0; i++)
		rc = add_named(q, x, &v->v[i], e);
	return rc == 0 ? check_widths(x, e) : rc;
}

/* ---- filters --------------------------------------------------------------------- */

static enum tristate
three(const struct req *q, const char *name)
{
	return !args_has(&q->args, name) ? ANY : args_bool(&q->args, name) ? YES : NO;
}

static int
read_filter(struct req *q, struct store_filter *f, struct err *e)
{
	*f = (struct store_filter){.alive = three(q, "alive"),
		.labelled = three(q, "labelled"),
		.min_density = args_float(&q->args, "min_density"),
		.max_density = args_float(&q->args, "max_density")};
	if (f->min_density > f->max_density)
		return err_arg(e, ERR_ARG, "min_density",
			"min_density %.6g is above max_density %.6g, which nothing "
			"passes",
			f->min_density, f->max_density);
	return 0;
}

static bool
filters(const struct req *q, const struct store_filter *f)
{
	return f->alive != ANY || f->labelled != ANY || f->min_density > 0 ||
		f->max_density < 1 || args_has(&q->args, "features");
}

static void
set_bit(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= (uint64_t)1 << i % 64;
}

/* An element of `features`: an index where one SAE is searched, else an address. */
static int
set_feature(struct req *q, struct nearest *x, uint64_t *const *bits,
	const struct value *v, struct err *e)
{
	struct target t;
	int64_t index;
	int rc;

	if (value_as_int(v, &index)) {
		if (x->n_in > 1)
			return err_arg(e, ERR_ARG, "features",
				"features must be addresses where several SAEs are "
				"searched: %lld may be of any",
				(long long)index);
		if (index < 0 || index >= x->in[0].t.s->d_sae)
			return err_arg(e, ERR_NOTFOUND, "features",
				"%s has features 0 to %u, not %lld", x->in[0].t.s->name,
				x->in[0].t.s->d_sae - 1, (long long)index);
		set_bit(bits[0], (uint32_t)index);
		return 0;
	}
	if (v->type != VALUE_STR)
		return err_arg(e, ERR_ARG, "features",
			"features must be indexes or addresses");
	rc = find_address(q, v->str, v->n, "features", &t, e);
	for (uint32_t i = 0; i < x->n_in && rc == 0; i++)
		if (x->in[i].t.sae == t.sae) {
			set_bit(bits[i], t.index);
			return 0;
		}
	return rc < 0 ? rc
		      : err_arg(e, ERR_ARG, "features",
				"%s/%u is of none of the SAEs that are searched",
				t.s->name, t.index);
}

/* All features, or those of the list. */
static int
first_bits(struct req *q, struct nearest *x, uint64_t **bits, struct err *e)
{
	const struct value *list = args_get(&q->args, "features");
	int rc = 0;

	for (uint32_t i = 0; i < x->n_in; i++) {
		uint32_t n = x->in[i].t.s->d_sae;
		size_t n_words = ((size_t)n + 63) / 64;

		bits[i] = req_alloc(q, n_words, sizeof(**bits), e);
		if (bits[i] == NULL)
			return ERR_NOMEM;
		memset(bits[i], list == NULL ? 0xff : 0, n_words * sizeof(**bits));
		if (list == NULL && n % 64 != 0)
			bits[i][n / 64] = ((uint64_t)1 << n % 64) - 1;
	}
	for (uint32_t i = 0; list != NULL && i < list->n && rc == 0; i++)
		rc = set_feature(q, x, bits, &list->v[i], e);
	return rc;
}

static int
filter_one(struct req *q, struct nearest_in *in, const struct store_filter *f,
	uint64_t *bits, struct err *e)
{
	size_t n_words = ((size_t)in->t.s->d_sae + 63) / 64;
	int rc = store_filter(q->view, in->t.run, in->t.slot, f, bits, e);

	if (in->skip != UINT32_MAX)
		bits[in->skip / 64] &= ~((uint64_t)1 << in->skip % 64);
	in->n_allowed = 0;
	for (size_t i = 0; i < n_words; i++)
		in->n_allowed += (uint32_t)__builtin_popcountll(bits[i]);
	in->allowed = bits;
	return rc;
}

/* The stored graph where it answers the same: the nearest decoder rows by cosine among
 * all, and enough of them. */
static void
find_graph(const struct req *q, const struct nearest *x, struct nearest_in *in)
{
	bool itself = in->t.sae == x->from->sae;

	if (x->engine != STORE_AUTO || x->of != STORE_DECODER ||
		x->metric != STORE_COSINE || (itself && x->self))
		return;
	for (uint32_t i = 0; i < q->cat->n_graphs; i++) {
		const struct cat_graph *g = &q->cat->graph[i];

		if (g->from == x->from->sae && g->to == in->t.sae &&
			(x->k <= g->k || g->k >= in->n_allowed))
			in->graph = i;
	}
}

int
nearest_filter(struct req *q, struct nearest *x, struct err *e)
{
	struct store_filter f;
	uint64_t **bits;
	int rc = read_filter(q, &f, e);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < x->n_in; i++) {
		struct nearest_in *in = &x->in[i];

		in->n_allowed = in->t.s->d_sae - (in->skip != UINT32_MAX);
		if (x->from != NULL && !filters(q, &f))
			find_graph(q, x, in);
	}
	if (!filters(q, &f))
		return 0;
	if (!q->may_wait)
		return REQ_SLOW;
	if (x->engine == STORE_FAISS || x->engine == STORE_APPROXIMATE)
		return err_arg(e, ERR_ARG, "engine",
			"the engine %s cannot hold a filter during its search (FAISS's "
			"C "
			"interface has none that does): leave engine out for the exact "
			"scan, or the filters",
			nearest_engine_name((int)x->engine));
	bits = req_alloc(q, x->n_in, sizeof(*bits), e);
	if (bits == NULL)
		return ERR_NOMEM;
	rc = first_bits(q, x, bits, e);
	for (uint32_t i = 0; i < x->n_in && rc == 0; i++)
		rc = filter_one(q, &x->in[i], &f, bits[i], e);
	return rc;
}
