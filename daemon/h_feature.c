/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "util/hash.h"

#include <math.h>
#include <string.h>

/* ---- one feature ---------------------------------------------------------- */

static double
row_norm(const float *row, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)row[i] * row[i];
	return sqrt(sum);
}

static void
put_histogram(struct out *o, const struct rec_feature *f)
{
	out_key(o, "histogram");
	out_map(o, 2);
	out_key(o, "edges");
	out_array(o, f->n_bins);
	for (uint32_t i = 0; i < f->n_bins; i++)
		out_f32(o, rec_hist_edge(f->bin[i].bin));
	out_end(o);
	out_key(o, "counts");
	out_array(o, f->n_bins);
	for (uint32_t i = 0; i < f->n_bins; i++)
		out_uint(o, f->bin[i].count);
	out_end(o);
	out_end(o);
}

#define STATISTICS_PAIRS 15

static void
put_statistics(struct out *o, const struct target *t, const struct rec_feature *f)
{
	struct feature_row row;

	put_row_of(&row, t->index, f, t->rs->n_tokens);
	out_key_uint(o, "count", f->count);
	out_key_uint(o, "n_tokens", t->rs->n_tokens);
	out_key_f64(o, "density", row.density);
	out_key_uint(o, "n_windows", f->n_windows);
	out_key_uint(o, "n_documents", f->n_documents);
	out_key_f64(o, "sum", f->sum);
	out_key_f64(o, "mean", row.mean);
	out_key_f64(o, "sum_squares", f->sum_squares);
	out_key_f32(o, "max", f->max);
	out_key_uint(o, "max_window", f->max_window);
	out_key_uint(o, "max_offset", f->max_offset);
	out_key_bool(o, "dead", f->count == 0);
	put_histogram(o, f);
	out_key(o, "intervals");
	out_array(o, LIMIT_INTERVALS);
	for (size_t i = 0; i < LIMIT_INTERVALS; i++)
		out_uint(o, f->interval[i]);
	out_end(o);
	out_key(o, "decoder_norm");
}

/* Every part of the answer, read before any of it is written. */
struct card {
	struct rec_feature stat;
	const struct store_label *label;
	uint32_t n_labels;
	struct rec_logits logits;
	struct store_token *token; /* promoted, then suppressed */
	double norm;
};

static int
read_logits(struct req *q, const struct target *t, struct card *c, struct err *e)
{
	struct store_place place = {TABLE_LOGITS, t->sae, 0};
	struct store_value v;
	uint32_t ids[2 * LIMIT_LOGITS], n = 0;
	int rc = store_mget(q->view, place, &t->index, 1, &v, q->arena, e);

	if (rc < 0 || v.p == NULL)
		return rc;
	rc = rec_logits_unpack(&c->logits, v.p, v.n_bytes, q->arena, e);
	if (rc < 0)
		return rc;
	if (c->logits.n_promoted > LIMIT_LOGITS ||
		c->logits.n_suppressed > LIMIT_LOGITS)
		return err_set(e, ERR_CORRUPT,
			"feature %u of %s has too many logit effects", t->index,
			t->s->name);
	for (uint32_t i = 0; i < c->logits.n_promoted; i++)
		ids[n++] = c->logits.promoted[i].id;
	for (uint32_t i = 0; i < c->logits.n_suppressed; i++)
		ids[n++] = c->logits.suppressed[i].id;
	c->token = req_alloc(q, n, sizeof(*c->token), e);
	if (c->token == NULL)
		return ERR_NOMEM;
	return vocab_get(q->vocab, q->view, t->r->cut, ids, n, c->token, q->arena, e);
}

static int
read_card(struct req *q, const struct target *t, struct card *c, struct err *e)
{
	const float *rows;
	int rc;

	*c = (struct card){0};
	rc = read_feature(q, t, t->index, &c->stat, e);
	if (rc == 0)
		rc = read_labels(q, t, t->index, &c->label, &c->n_labels, e);
	if (rc == 0)
		rc = read_logits(q, t, c, e);
	if (rc == 0)
		rc = store_decoder(q->view, t->sae, &rows, e);
	if (rc == 0)
		c->norm = row_norm(rows + (size_t)t->index * t->s->d_out, t->s->d_out);
	return rc;
}

static void
put_effects(struct out *o, const char *key, const struct rec_scored *x,
	const struct store_token *token, uint32_t n)
{
	out_key(o, key);
	out_array(o, n);
	for (uint32_t i = 0; i < n; i++) {
		out_map(o, 3);
		out_key(o, "token");
		if (token[i].bytes != NULL)
			out_text(o, token[i].bytes, token[i].n_bytes);
		else
			out_nil(o);
		out_key_uint(o, "id", x[i].id);
		out_key_f32(o, "value", x[i].score);
		out_end(o);
	}
	out_end(o);
}

#define CARD_PAIRS (2 + STATISTICS_PAIRS + 5)

static void
put_card(struct out *o, const struct target *t, const struct card *c)
{
	const struct store_label *best = c->n_labels > 0 ? &c->label[0] : NULL;

	out_key(o, "feature");
	put_address(o, t->s, t->index);
	out_key_uint(o, "index", t->index);
	put_statistics(o, t, &c->stat);
	out_f64(o, c->norm);
	out_key(o, "labels");
	out_array(o, c->n_labels);
	for (uint32_t i = 0; i < c->n_labels; i++)
		put_label(o, &c->label[i], t->s, false);
	out_end(o);
	put_best_label(o, best);
	put_effects(o, "promoted", c->logits.promoted, c->token, c->logits.n_promoted);
	put_effects(o, "suppressed", c->logits.suppressed,
		c->token != NULL ? c->token + c->logits.n_promoted : NULL,
		c->logits.n_suppressed);
}

int
h_feature_get(struct req *q, struct out *o, struct err *e)
{
	struct target t;
	struct card c;
	int rc = find_feature_run(q, &t, e);

	if (rc == 0)
		rc = read_card(q, &t, &c, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &t, CARD_PAIRS);
	put_card(o, &t, &c);
	out_end(o);
	return 0;
}

/* nil for what is not there; other errors are the request's. */
static int
put_one_of_many(struct req *q, struct out *o, const struct value *v, struct err *e)
{
	struct target t;
	struct card c;
	int rc;

	if (v->type != VALUE_STR)
		return err_arg(e, ERR_ARG, "features", "features must be strings");
	rc = find_address(q, v->str, v->n, "features", &t, e);
	if (rc == 0)
		rc = find_run_of_feature(q, &t, e);
	if (rc == 0)
		rc = read_card(q, &t, &c, e);
	if (rc == ERR_NOTFOUND) {
		out_nil(o);
		return 0;
	}
	if (rc < 0)
		return rc;
	out_map(o, 2 + CARD_PAIRS);
	out_key_uint(o, "run", t.r->number);
	out_key_str(o, "sae", t.s->name);
	put_card(o, &t, &c);
	out_end(o);
	return 0;
}

int
h_feature_many(struct req *q, struct out *o, struct err *e)
{
	const struct value *list = args_get(&q->args, "features");
	int rc = 0;

	put_head(o, q, 1);
	out_key(o, "features");
	out_array(o, list->n);
	for (uint32_t i = 0; i < list->n && rc == 0; i++)
		rc = put_one_of_many(q, o, &list->v[i], e);
	if (rc < 0)
		return rc;
	out_end(o);
	out_end(o);
	return 0;
}

int
h_feature_vector(struct req *q, struct out *o, struct err *e)
{
	const float *rows, *row;
	struct target t;
	int rc = find_feature(q, &t, e);

	if (rc == 0)
		rc = store_decoder(q->view, t.sae, &rows, e);
	if (rc < 0)
		return rc;
	row = rows + (size_t)t.index * t.s->d_out;
	put_head(o, q, 5);
	out_key(o, "vector");
	out_bin(o, row, t.s->d_out * sizeof(*row));
	out_key_uint(o, "d_in", t.s->d_in);
	out_key_uint(o, "d_out", t.s->d_out);
	out_key_f64(o, "norm", row_norm(row, t.s->d_out));
	out_key_str(o, "sae", t.s->name);
	out_end(o);
	return 0;
}

/* ---- many features -------------------------------------------------------- */

static int
read_sort(struct req *q, struct feature_query *fq, struct err *e)
{
	static const struct {
		const char *name;
		enum feature_sort sort;
	} known[] = {{"index", FEATURE_BY_INDEX}, {"count", FEATURE_BY_COUNT},
		{"density", FEATURE_BY_COUNT}, /* one run: the same order */
		{"max", FEATURE_BY_MAX}, {"mean", FEATURE_BY_MEAN}};
	const char *name = args_str(&q->args, "sort");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0) {
			fq->sort = known[i].sort;
			return 0;
		}
	return err_arg(e, ERR_ARG, "sort",
		"sort must be index, count, density, max or mean");
}

static enum tristate
three(const struct req *q, const char *name)
{
	return !args_has(&q->args, name) ? ANY : args_bool(&q->args, name) ? YES : NO;
}

static int
read_query(struct req *q, struct feature_query *fq, struct err *e)
{
	*fq = (struct feature_query){
		.descending = args_bool(&q->args, "descending"),
		.min_density = args_float(&q->args, "min_density"),
		.max_density = args_float(&q->args, "max_density"),
		.min_max = args_float(&q->args, "min_max"),
		.max_max = args_has(&q->args, "max_max")
			? args_float(&q->args, "max_max")
			: INFINITY,
		.min_count = (uint64_t)args_int(&q->args, "min_count"),
		.max_count = args_has(&q->args, "max_count")
			? (uint64_t)args_int(&q->args, "max_count")
			: UINT64_MAX,
		.dead = three(q, "dead"),
		.labelled = three(q, "labelled"),
		.limit = (uint32_t)args_int(&q->args, "limit") + 1,
	};
	return read_sort(q, fq, e);
}

/* What must be the same for a cursor to go on. */
static uint64_t
question(const struct target *t, const struct feature_query *fq)
{
	double parts[] = {fq->sort, fq->descending, fq->min_density, fq->max_density,
		fq->min_max, fq->max_max, (double)fq->min_count, (double)fq->max_count,
		fq->dead, fq->labelled};

	return hash64(parts, sizeof(parts), hash64(t->s->hash, sizeof(t->s->hash), 1));
}

static int
find_page(struct req *q, struct target *t, struct feature_query *fq, uint64_t *check,
	struct err *e)
{
	struct cursor c;
	int rc = find_sae(q, "sae", t, e);

	if (rc == 0)
		rc = read_query(q, fq, e);
	if (rc < 0)
		return rc;
	*check = question(t, fq);
	rc = cursor_read(q, *check, &c, e);
	if (rc <= 0)
		return rc < 0 ? rc : find_run(q, t, e);
	rc = cursor_run(q, &c, &t->run, e);
	if (rc == 0)
		rc = cat_find_run(q->cat, t->sae, c.run_id, &t->run, &t->slot, e);
	if (rc < 0)
		return rc;
	t->r = &q->cat->run[t->run];
	t->rs = &t->r->sae[t->slot];
	fq->has_after = true;
	fq->after_key = c.key;
	fq->after_index = (uint32_t)c.index;
	return 0;
}

static int
best_labels(struct req *q, const struct target *t, const struct feature_row *row,
	uint32_t n, struct store_label **out, struct err *e)
{
	uint32_t *ids = req_alloc(q, n, sizeof(*ids), e);

	*out = req_alloc(q, n, sizeof(**out), e);
	if (ids == NULL || *out == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++)
		ids[i] = row[i].index;
	return read_best_labels(q, t, ids, n, *out, e);
}

int
h_feature_list(struct req *q, struct out *o, struct err *e)
{
	struct store_label *label = NULL;
	struct feature_query fq;
	struct feature_row *row;
	struct target t;
	uint64_t check = 0;
	uint32_t n = 0;
	bool more;
	int rc = find_page(q, &t, &fq, &check, e);

	if (rc < 0)
		return rc;
	row = req_alloc(q, fq.limit, sizeof(*row), e);
	if (row == NULL)
		return ERR_NOMEM;
	rc = store_features(q->view, t.run, t.slot, &fq, row, &n, e);
	more = n == fq.limit;
	n -= more;
	if (rc == 0)
		rc = best_labels(q, &t, row, n, &label, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &t, more ? 2 : 1);
	out_key(o, "features");
	out_array(o, n);
	for (uint32_t i = 0; i < n; i++) {
		out_map(o, PUT_ROW_PAIRS);
		put_row(o, &t, &row[i], &label[i]);
		out_end(o);
	}
	out_end(o);
	if (more) {
		struct cursor c = {.check = check,
			.key = row[n - 1].key,
			.index = row[n - 1].index};
		char text[CURSOR_CHARS];

		memcpy(c.run_id, t.r->id, sizeof(c.run_id));
		cursor_write(&c, text);
		out_key_str(o, "next", text);
	}
	out_end(o);
	return 0;
}
