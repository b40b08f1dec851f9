/* SPDX-License-Identifier: ISC */
#include "indexer/verify_int.h"

#include "kernel/kernel.h"
#include "util/exact.h"
#include "util/hash.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One feature under test: what was found, and what is stored. */
struct check {
	struct verify *v;
	uint32_t slot, feature;
	const char *sae;
	const struct found_list *list;
	float max;
	struct arena arena;
};

static void
differ(struct check *c, const char *what, double stored, double recomputed)
{
	verify_wrong(c->v, "%s/%u: %s: stored %.17g, recomputed %.17g", c->sae,
		c->feature, what, stored, recomputed);
}

static void
same(struct check *c, const char *what, double stored, double recomputed)
{
	if (stored != recomputed)
		differ(c, what, stored, recomputed);
}

/* The record of a feature in a table of the run; NULL when there is none. */
static int
get(struct check *c, enum store_table table, uint32_t id, struct store_value *out,
	struct err *e)
{
	struct store_place place = {table, c->v->run, c->slot};

	return store_mget(c->v->view, place, &id, 1, out, &c->arena, e);
}

/* ---- statistics --------------------------------------------------------------------- */

static uint64_t
documents(const struct check *c)
{
	uint32_t last = UINT32_MAX;
	uint64_t n = 0;

	for (size_t i = 0; i < c->list->n; i++) {
		const struct found *f = &c->list->found[i];
		uint32_t document = UINT32_MAX;
		struct rec_window w;

		windows_get(&c->v->windows, f->window, &w);
		for (uint32_t s = 0; s < w.n_segments; s++)
			if (s == 0 || w.segment[s].token <= f->offset)
				document = w.segment[s].document;
		n += document != last;
		last = document;
	}
	return n;
}

static void
check_bins(struct check *c, const struct rec_feature *r)
{
	uint64_t bin[REC_HIST_BINS] = {0}, interval[LIMIT_INTERVALS] = {0};

	for (size_t i = 0; i < c->list->n; i++) {
		bin[rec_hist_bin(c->list->found[i].value)]++;
		interval[rec_interval(c->list->found[i].value, c->max)]++;
	}
	for (uint32_t i = 0; i < r->n_bins; i++) {
		same(c, "histogram", (double)r->bin[i].count,
			(double)bin[r->bin[i].bin]);
		bin[r->bin[i].bin] = 0;
	}
	for (uint32_t i = 0; i < REC_HIST_BINS; i++)
		same(c, "histogram", 0, (double)bin[i]);
	for (uint32_t i = 0; i < LIMIT_INTERVALS; i++)
		same(c, "interval", (double)r->interval[i], (double)interval[i]);
}

static int
check_statistics(struct check *c, struct err *e)
{
	struct exact32 sum = {0};
	struct exact64 squares = {0};
	struct rec_feature r;
	struct store_value value;
	uint32_t n_windows = 0, max_window = 0, max_offset = 0;

	if (get(c, TABLE_FEATURE, c->feature, &value, e) < 0)
		return e->code;
	if (value.p == NULL)
		return err_set(e, ERR_CORRUPT, "%s/%u has no record", c->sae,
			c->feature);
	if (rec_feature_unpack(&r, value.p, value.n_bytes, &c->arena, e) < 0)
		return e->code;
	for (size_t i = 0; i < c->list->n; i++) {
		const struct found *f = &c->list->found[i];

		exact32_add(&sum, f->value);
		exact64_add_square(&squares, f->value);
		n_windows += i == 0 || f->window != f[-1].window;
		if (f->value > c->max) {
			c->max = f->value;
			max_window = f->window;
			max_offset = f->offset;
		}
	}
	same(c, "count", (double)r.count, (double)c->list->n);
	same(c, "windows", (double)r.n_windows, n_windows);
	same(c, "documents", (double)r.n_documents, (double)documents(c));
	same(c, "sum", r.sum, exact32_get(&sum));
	same(c, "sum of squares", r.sum_squares, exact64_get(&squares));
	same(c, "maximum", (double)r.max, (double)c->max);
	same(c, "window of the maximum", r.max_window, max_window);
	same(c, "offset of the maximum", r.max_offset, max_offset);
	check_bins(c, &r);
	return 0;
}

/* ---- examples -------------------------------------------------------------------------- */

static int
by_value(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Whether two peaks stand in the same tokens, one by one. */
static bool
alike(const struct check *c, const struct found *a, const struct found *b)
{
	int64_t radius = (int64_t)c->v->dedup_radius;
	struct rec_window x, y;

	windows_get(&c->v->windows, a->window, &x);
	windows_get(&c->v->windows, b->window, &y);
	for (int64_t i = -radius; i <= radius; i++) {
		int64_t p = a->offset + i, q = b->offset + i;
		bool in_x = p >= 0 && p < x.n_tokens, in_y = q >= 0 && q < y.n_tokens;

		if (in_x != in_y || (in_x && x.token[p] != y.token[q]))
			return false;
	}
	return true;
}

/* Each window's first maximum, sorted, alike ones but the first left out. */
static uint32_t
best_of(const struct check *c, struct found *best)
{
	uint32_t n = 0, kept = 0;

	for (size_t i = 0; i < c->list->n; i++) {
		const struct found *f = &c->list->found[i];

		if (n == 0 || best[n - 1].window != f->window)
			best[n++] = *f;
		else if (f->value > best[n - 1].value)
			best[n - 1] = *f;
	}
	qsort(best, n, sizeof(*best), by_value);
	for (uint32_t i = 0; i < n && kept < c->v->examples; i++) {
		bool seen = false;

		for (uint32_t j = 0; j < kept && !seen; j++)
			seen = alike(c, &best[i], &best[j]);
		if (!seen)
			best[kept++] = best[i];
	}
	return kept;
}

struct hashed {
	uint64_t hash;
	struct found found;
};

static int
by_hash(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The activations of one interval with the smallest hashes. */
static uint32_t
sample_of(const struct check *c, uint32_t interval, struct hashed *sample)
{
	uint32_t n = 0;

	for (size_t i = 0; i < c->list->n; i++) {
		const struct found *f = &c->list->found[i];

		if (rec_interval(f->value, c->max) == interval)
			sample[n++] = (struct hashed){hash_mix(c->v->seed, c->feature,
							      f->window, f->offset),
				*f};
	}
	qsort(sample, n, sizeof(*sample), by_hash);
	return n < c->v->interval_samples ? n : (uint32_t)c->v->interval_samples;
}

static void
check_around(struct check *c, const struct rec_example *x)
{
	uint32_t n = 0;

	for (size_t i = 0; i < c->list->n; i++) {
		const struct found *f = &c->list->found[i];

		if (f->window != x->window)
			continue;
		if (n < x->n_at) {
			same(c, "offset around an example", x->at[n].offset, f->offset);
			same(c, "value around an example", (double)x->at[n].value,
				(double)f->value);
		}
		n++;
	}
	same(c, "activations around an example", x->n_at, n);
}

static void
check_example(struct check *c, const struct rec_examples *r, uint32_t *at,
	uint32_t interval, const struct found *f)
{
	const struct rec_example *x = &r->example[*at];

	if (*at >= r->n_examples) {
		differ(c, "number of examples", r->n_examples, *at + 1);
		return;
	}
	(*at)++;
	same(c, "an example's interval", x->interval, interval);
	same(c, "an example's window", x->window, f->window);
	same(c, "an example's offset", x->offset, f->offset);
	same(c, "an example's value", (double)x->value, (double)f->value);
	check_around(c, x);
}

static int
check_examples(struct check *c, struct err *e)
{
	struct rec_examples r = {0};
	struct store_value value;
	struct found *best = mem_new(c->list->n, sizeof(*best));
	struct hashed *sample = mem_new(c->list->n, sizeof(*sample));
	uint32_t at = 0, n;
	int rc = get(c, TABLE_EXAMPLES, c->feature, &value, e);

	if (best == NULL || sample == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to verify");
	if (rc == 0 && value.p != NULL)
		rc = rec_examples_unpack(&r, value.p, value.n_bytes, &c->arena, e);
	if (rc == 0) {
		n = best_of(c, best);
		for (uint32_t i = 0; i < n; i++)
			check_example(c, &r, &at, REC_BEST, &best[i]);
		for (uint32_t v = 0; v < LIMIT_INTERVALS; v++) {
			n = sample_of(c, v, sample);
			for (uint32_t i = 0; i < n; i++)
				check_example(c, &r, &at, v, &sample[i].found);
		}
		same(c, "number of examples", r.n_examples, at);
	}
	mem_free(best);
	mem_free(sample);
	return rc;
}

static int
check_postings(struct check *c, struct err *e)
{
	const struct rec_posting *p = NULL;
	struct store_value value;
	size_t n = 0, at = 0;

	if (get(c, TABLE_POSTINGS, c->feature, &value, e) < 0 ||
		(value.p != NULL &&
			rec_postings_unpack(&p, &n, value.p, value.n_bytes, &c->arena,
				e) < 0))
		return e->code;
	for (size_t i = 0; i < c->list->n; at++) {
		const struct found *f = &c->list->found[i];
		uint32_t fired = 0;
		float max = 0;

		for (; i < c->list->n && c->list->found[i].window == f->window; i++) {
			fired++;
			max = fmaxf(max, c->list->found[i].value);
		}
		if (at >= n)
			continue;
		same(c, "a posting's window", p[at].window, f->window);
		same(c, "a posting's positions", p[at].n_fired, fired);
		same(c, "a posting's maximum", (double)p[at].max, (double)max);
	}
	same(c, "postings", (double)n, (double)at);
	return 0;
}

/* ---- by token --------------------------------------------------------------------------- */

static int
check_token(struct check *c, uint32_t token, struct err *e)
{
	const struct rec_token_feature *found = NULL;
	struct rec_token r = {0};
	struct store_value value;
	uint32_t n = 0;
	double sum = 0;

	for (size_t i = 0; i < c->list->n; i++) {
		const struct found *f = &c->list->found[i];
		struct rec_window w;

		windows_get(&c->v->windows, f->window, &w);
		if (w.token[f->offset] != token)
			continue;
		n++;
		sum += (double)f->value;
	}
	if (get(c, TABLE_TOKEN, token, &value, e) < 0 ||
		(value.p != NULL &&
			rec_token_unpack(&r, value.p, value.n_bytes, &c->arena, e) < 0))
		return e->code;
	for (uint32_t i = 0; i < r.n_features; i++)
		if (r.feature[i].feature == c->feature)
			found = &r.feature[i];
	if (found == NULL) {
		if (r.n_features_all <= LIMIT_TOKEN_FEATURES)
			differ(c, "occurrences of a token", 0, n);
		return 0;
	}
	same(c, "occurrences of a token", found->n_fired, n);
	same(c, "mean on a token", (double)found->mean, (double)(float)(sum / n));
	return 0;
}

/* The tokens of its first and last activation, which is enough of a sample. */
static int
check_tokens(struct check *c, struct err *e)
{
	struct rec_window w;

	for (size_t i = 0; i < c->list->n; i += c->list->n - (c->list->n > 1)) {
		windows_get(&c->v->windows, c->list->found[i].window, &w);
		if (check_token(c, w.token[c->list->found[i].offset], e) < 0)
			return e->code;
		if (i > 0)
			break;
	}
	return 0;
}

/* ---- what belongs to the SAE --------------------------------------------------------- */

static int
by_score(const void *a, const void *b)
{
	const struct rec_scored *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static void
compare_scored(struct check *c, const char *what, const struct rec_scored *stored,
	uint32_t n, const struct rec_scored *best)
{
	for (uint32_t i = 0; i < n; i++) {
		same(c, what, stored[i].id, best[i].id);
		same(c, what, (double)stored[i].score, (double)best[i].score);
	}
}

static int
check_logits(struct check *c, struct err *e)
{
	const struct sae *s = c->v->sae[c->slot].sae;
	struct store_place place = {TABLE_LOGITS, c->v->sae[c->slot].index, 0};
	size_t d = lm_info(c->v->lm)->d_model, n = lm_info(c->v->lm)->n_vocab;
	struct store_value value;
	float *stream;
	struct rec_scored *all;
	struct rec_logits r;

	if (tok_n_vocab(c->v->tok) < n)
		n = tok_n_vocab(c->v->tok);
	if (store_mget(c->v->view, place, &c->feature, 1, &value, &c->arena, e) < 0)
		return e->code;
	if (value.p == NULL) /* nor has any other: none were known when it came */
		return 0;
	if (rec_logits_unpack(&r, value.p, value.n_bytes, &c->arena, e) < 0)
		return e->code;
	all = arena_alloc(&c->arena, n, sizeof(*all));
	stream = arena_alloc(&c->arena, d, sizeof(*stream));
	if (all == NULL || stream == NULL)
		return err_set(e, ERR_NOMEM, "no memory to verify");
	if (sae_directions(s, c->v->lm, c->feature, 1, stream, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n; i++)
		all[i] = (struct rec_scored){i,
			kernel_dot(stream, lm_unembed(c->v->lm) + i * d, d)};
	qsort(all, n, sizeof(*all), by_score);
	compare_scored(c, "a promoted token", r.promoted, r.n_promoted, all);
	for (uint32_t i = 0; i < n; i++)
		all[i].score = -all[i].score;
	qsort(all, n, sizeof(*all), by_score);
	for (uint32_t i = 0; i < n; i++)
		all[i].score = -all[i].score;
	compare_scored(c, "a suppressed token", r.suppressed, r.n_suppressed, all);
	return 0;
}

static void
unit_row(const struct sae *s, uint32_t i, float *out)
{
	size_t d = s->info.d_out;
	const float *row = s->w_dec + i * d;
	float norm = kernel_norm(row, d);

	for (size_t j = 0; j < d; j++)
		out[j] = norm > 0 ? row[j] / norm : 0;
}

static int
check_graph(struct check *c, uint32_t graph, const struct sae *to, bool to_self,
	struct err *e)
{
	const struct sae *from = c->v->sae[c->slot].sae;
	struct store_place place = {TABLE_NEIGHBORS, graph, 0};
	const struct rec_scored *stored;
	size_t d = from->info.d_out, n_stored;
	float *x = arena_alloc(&c->arena, 2 * d, sizeof(*x));
	struct rec_scored *all = arena_alloc(&c->arena, to->info.d_sae, sizeof(*all));
	struct store_value value;

	if (x == NULL || all == NULL)
		return err_set(e, ERR_NOMEM, "no memory to verify");
	if (store_mget(c->v->view, place, &c->feature, 1, &value, &c->arena, e) < 0)
		return e->code;
	if (value.p == NULL)
		return err_set(e, ERR_CORRUPT, "%s/%u has no neighbors", c->sae,
			c->feature);
	if (rec_neighbors_unpack(&stored, &n_stored, value.p, value.n_bytes, &c->arena,
		    e) < 0)
		return e->code;
	unit_row(from, c->feature, x);
	for (uint32_t i = 0; i < to->info.d_sae; i++) {
		unit_row(to, i, x + d);
		all[i] = (struct rec_scored){i, kernel_dot(x, x + d, d)};
		if (to_self && i == c->feature)
			all[i].score = -INFINITY;
	}
	qsort(all, to->info.d_sae, sizeof(*all), by_score);
	compare_scored(c, "a neighbor", stored, (uint32_t)n_stored, all);
	return 0;
}

/* Graphs to SAEs of this run, whose decoders are at hand. */
static int
check_graphs(struct check *c, struct err *e)
{
	const struct store_catalog *cat = c->v->catalog;

	for (uint32_t g = 0; g < cat->n_graphs; g++)
		for (uint32_t s = 0; s < c->v->cat->n_saes; s++) {
			if (cat->graph[g].from != c->v->sae[c->slot].index ||
				cat->graph[g].to != c->v->sae[s].index)
				continue;
			if (check_graph(c, g, c->v->sae[s].sae, s == c->slot, e) < 0)
				return e->code;
		}
	return 0;
}

int
verify_features(struct verify *v, uint32_t slot, struct err *e)
{
	const struct verify_sae *s = &v->sae[slot];
	int rc = 0;

	for (uint32_t i = 0; i < s->n_features && rc == 0; i++) {
		struct check c = {.v = v,
			.slot = slot,
			.feature = s->feature[i],
			.sae = v->catalog->sae[s->index].name,
			.list = &s->list[i]};

		arena_init(&c.arena, 0);
		rc = check_statistics(&c, e);
		if (rc == 0)
			rc = check_examples(&c, e);
		if (rc == 0)
			rc = check_postings(&c, e);
		if (rc == 0)
			rc = check_tokens(&c, e);
		if (rc == 0)
			rc = check_logits(&c, e);
		if (rc == 0)
			rc = check_graphs(&c, e);
		arena_clear(&c.arena);
	}
	return rc;
}
