/* SPDX-License-Identifier: ISC */
/* By labels and by examples: what the store knows of words. */
#include "daemon/concept.h"

#include "analysis/specific.h"

#include <stdlib.h>
#include <string.h>

/* ---- rankings ---------------------------------------------------------------- */

int
concept_put(struct concept_list *l, const struct concept_row *r, struct err *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 256;
		struct concept_row *grown = mem_resize(l->row, cap, sizeof(*grown));

		if (grown == NULL)
			return err_set(e, ERR_NOMEM, "no memory for a ranking");
		l->row = grown;
		l->cap = cap;
	}
	l->row[l->n++] = *r;
	return 0;
}

static int
best_first(const void *a, const void *b)
{
	const struct concept_row *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	return x->feature < y->feature ? -1 : x->feature > y->feature;
}

int
concept_take(struct req *q, struct concept_list *l, struct concept_way *out,
	struct err *e)
{
	int rc = 0;

	if (out != NULL) {
		if (l->n > 0)
			qsort(l->row, l->n, sizeof(*l->row), best_first);
		out->n = l->n < CONCEPT_ROWS ? (uint32_t)l->n : CONCEPT_ROWS;
		out->row = req_alloc(q, out->n, sizeof(*out->row), e);
		if (out->row == NULL)
			rc = ERR_NOMEM;
		else if (out->n > 0)
			memcpy(out->row, l->row, out->n * sizeof(*out->row));
	}
	mem_free(l->row);
	*l = (struct concept_list){0};
	return rc;
}

/* ---- by labels --------------------------------------------------------------- */

static bool
has_row(const struct concept_way *w, uint32_t target, uint32_t feature)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->row[i].target == target && w->row[i].feature == feature)
			return true;
	return false;
}

static uint32_t
target_of(const struct concept *c, const struct store_found *f)
{
	uint32_t i = 0;

	while (c->target[i].run != f->run || c->target[i].slot != f->slot)
		i++;
	return i;
}

/* Behind what is there already. */
static int
add_labels(struct req *q, const struct concept *c, const struct store_scope *scope,
	enum concept_match how, struct concept_way *out, struct err *e)
{
	struct store_found *f = req_alloc(q, CONCEPT_ROWS, sizeof(*f), e);
	const char *query = concept_query(&c->words, how, q->arena);
	uint32_t n = 0;
	int rc;

	if (f == NULL || query == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a search");
	rc = store_search_labels(q->view, scope, c->n_targets, query, 0, CONCEPT_ROWS,
		f, &n, q->arena, e);
	for (uint32_t i = 0; i < n && rc == 0 && out->n < CONCEPT_ROWS; i++) {
		struct concept_row r = {.target = target_of(c, &f[i]),
			.feature = f[i].feature,
			.score = f[i].rank,
			.match = how,
			.label = f[i].text,
			.source = f[i].source};

		if (!has_row(out, r.target, r.feature))
			out->row[out->n++] = r;
	}
	return rc;
}

int
concept_by_labels(struct req *q, const struct concept *c, struct concept_way *out,
	struct err *e)
{
	struct store_scope *scope = req_alloc(q, c->n_targets, sizeof(*scope), e);
	int rc = 0;

	*out = (struct concept_way){.match = MATCH_ANY};
	out->row = req_alloc(q, CONCEPT_ROWS, sizeof(*out->row), e);
	if (scope == NULL || out->row == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < c->n_targets; i++)
		scope[i] = (struct store_scope){c->target[i].run, c->target[i].slot};
	for (int how = 0; how < N_MATCHES && rc == 0 && c->words.n > 0; how++)
		if (how == MATCH_PHRASE || c->words.n > 1)
			rc = add_labels(q, c, scope, (enum concept_match)how, out, e);
	if (rc == 0 && out->n == 0) {
		out->code = ERR_NOTFOUND;
		out->missing = c->words.n > 0 ? "no label has a word of the text"
					      : "the text has no words";
	}
	return rc;
}

/* ---- by examples ------------------------------------------------------------- */

struct places { /* of the words in one cut */
	uint32_t cut;
	enum concept_match how;
	uint32_t *window; /* (n) */
	uint32_t n;
};

static int
find_places(struct req *q, const struct concept *c, struct places *p, struct err *e)
{
	struct store_found *f = req_alloc(q, c->n_windows, sizeof(*f), e);
	int rc = f != NULL ? 0 : ERR_NOMEM;

	p->n = 0;
	p->window = req_alloc(q, c->n_windows, sizeof(*p->window), e);
	if (p->window == NULL)
		return ERR_NOMEM;
	for (int how = 0; how < N_MATCHES && rc == 0 && p->n == 0; how++) {
		const char *query =
			concept_query(&c->words, (enum concept_match)how, q->arena);

		if (query == NULL)
			return err_set(e, ERR_NOMEM, "no memory for a search");
		p->how = (enum concept_match)how;
		rc = store_search_text(q->view, p->cut, query, 0, c->n_windows, f,
			&p->n, q->arena, e);
		if (c->words.n == 1)
			break;
	}
	for (uint32_t i = 0; i < p->n; i++)
		p->window[i] = f[i].window;
	return rc;
}

struct seen { /* what the places tell of one feature */
	double strength; /* sum over the places of its largest value */
	uint32_t n_fired;
	uint32_t place; /* the last one where it fired, from 1 */
	float peak; /* there */
};

struct tally {
	const struct target *t;
	struct seen *seen; /* (d_sae) */
	uint32_t n_places;
	uint64_t n_tokens; /* of all places */
};

static void
count_value(struct tally *y, uint32_t feature, float value)
{
	struct seen *s = &y->seen[feature];

	if (s->place != y->n_places) {
		s->place = y->n_places;
		s->peak = 0;
		s->n_fired++;
	}
	if (value > s->peak) {
		s->strength += (double)value - (double)s->peak;
		s->peak = value;
	}
}

/* A place: the tokens with a byte of the span; none where the corpus ends inside. */
static int
count_place(struct req *q, struct tally *y, uint32_t window, const struct rec_window *w,
	const struct concept_span *span, struct err *e)
{
	uint32_t first = 0, end;
	struct rec_acts acts;
	int rc;

	while (first < w->n_tokens && w->text_end[first] <= span->from)
		first++;
	for (end = first; end < w->n_tokens && w->text_start[end] < span->to;)
		end++;
	if (first == end)
		return 0;
	rc = store_acts(q->view, y->t->run, y->t->slot, window, first, end - first,
		&acts, q->arena, e);
	if (rc < 0)
		return rc;
	y->n_places++;
	y->n_tokens += end - first;
	for (uint32_t i = 0; i < acts.row_start[acts.n_tokens]; i++)
		if (acts.feature[i] < y->t->s->d_sae)
			count_value(y, acts.feature[i], acts.value[i]);
	return 0;
}

static int
count_window(struct req *q, const struct concept *c, struct tally *y,
	enum concept_match how, uint32_t window, struct err *e)
{
	struct concept_span *span;
	struct rec_window w;
	uint32_t n;
	int rc = read_window(q, y->t->r->cut, window, &w, e);

	if (rc == 0)
		rc = concept_spans(&c->words, how, w.text, w.n_text_bytes, &span, &n,
			q->arena, e);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = count_place(q, y, window, &w, &span[i], e);
	return rc;
}

static int
rank_seen(struct req *q, const struct tally *y, uint32_t target, struct concept_list *l,
	struct err *e)
{
	double n_each = (double)y->n_tokens / (double)y->n_places;
	int rc = 0;

	for (uint32_t i = 0; i < y->t->s->d_sae && rc == 0; i++) {
		struct concept_row r = {.target = target,
			.feature = i,
			.n_fired = y->seen[i].n_fired,
			.n_matches = y->n_places};
		struct rec_feature f;
		struct feature_row row;

		if (r.n_fired == 0)
			continue;
		rc = read_feature(q, y->t, i, &f, e);
		if (rc < 0 || !(f.max > 0))
			continue;
		put_row_of(&row, i, &f, y->t->rs->n_tokens);
		r.strength = (float)(y->seen[i].strength / y->n_places / (double)f.max);
		r.score = specific_score((double)r.strength, r.n_fired, y->n_places,
			specific_chance(row.density, n_each));
		if (r.score > 0)
			rc = concept_put(l, &r, e);
	}
	return rc;
}

/* With an arena of its own for each window: many are looked at. */
static int
tally_target(struct req *q, const struct concept *c, const struct places *p,
	uint32_t target, struct concept_list *l, struct tally *y, struct err *e)
{
	struct arena *mine = q->arena, scratch;
	int rc = 0;

	*y = (struct tally){.t = &c->target[target]};
	y->seen = mem_new(y->t->s->d_sae, sizeof(*y->seen));
	if (y->seen == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u features",
			y->t->s->d_sae);
	arena_init(&scratch, DAEMON_ARENA_BYTES);
	q->arena = &scratch;
	for (uint32_t i = 0; i < p->n && rc == 0; i++) {
		rc = count_window(q, c, y, p->how, p->window[i], e);
		arena_reset(&scratch);
	}
	if (rc == 0 && y->n_places > 0)
		rc = rank_seen(q, y, target, l, e);
	q->arena = mine;
	arena_clear(&scratch);
	mem_free(y->seen);
	return rc;
}

int
concept_by_examples(struct req *q, const struct concept *c, struct concept_way *out,
	struct err *e)
{
	struct places p = {.cut = UINT32_MAX};
	struct concept_list l = {0};
	struct tally y;
	int rc = 0;

	*out = (struct concept_way){0};
	for (uint32_t i = 0; i < c->n_targets && rc == 0 && c->words.n > 0; i++) {
		if (c->target[i].r->cut != p.cut) {
			p.cut = c->target[i].r->cut;
			rc = find_places(q, c, &p, e);
			out->n_windows += p.n;
			out->match = p.how;
		}
		if (rc == 0)
			rc = tally_target(q, c, &p, i, &l, &y, e);
		if (rc == 0 && y.n_places > out->n_matches)
			out->n_matches = y.n_places;
	}
	if (concept_take(q, &l, rc == 0 ? out : NULL, e) < 0)
		return e->code;
	if (rc == 0 && out->n == 0) {
		out->code = ERR_NOTFOUND;
		out->missing = c->words.n == 0 ? "the text has no words"
			: out->n_windows == 0
			? "no window of the corpus has a word of the text"
			: "no feature fires on the words more than by chance";
	}
	return rc;
}
