/* SPDX-License-Identifier: ISC */
#include "indexer/ranges.h"

#include <stdlib.h>
#include <string.h>

static const struct cat_run *
run_of(const struct range_part *p)
{
	return &store_view_catalog(p->view)->run[p->run];
}

static const struct cat_sae *
sae_of(const struct range_part *p, uint32_t slot)
{
	return &store_view_catalog(p->view)->sae[run_of(p)->sae[slot].sae];
}

bool
ranges_is_part(const struct store_catalog *c, uint32_t run)
{
	for (uint32_t i = 0; i < c->run[run].n_saes; i++)
		if (!cat_sought_all(c, &c->run[run].sae[i]))
			return true;
	return false;
}

/* ---- what belongs together ----------------------------------------------------------- */

/* Its SAEs, by the slots of another. */
static int
match_slots(struct range_part *p, const struct range_part *with, struct err *e)
{
	const struct cat_run *r = run_of(p), *w = run_of(with);

	if (r->n_saes != w->n_saes)
		return err_set(e, ERR_MISMATCH,
			"run %u of %s has %u SAEs, run %u of %s has %u: runs of ranges "
			"are joined that have the same SAEs",
			w->number, with->dir, w->n_saes, r->number, p->dir, r->n_saes);
	for (uint32_t i = 0; i < w->n_saes; i++) {
		uint32_t j = 0;

		while (j < r->n_saes &&
			strcmp(sae_of(p, j)->id, sae_of(with, i)->id) != 0)
			j++;
		if (j == r->n_saes)
			return err_set(e, ERR_MISMATCH,
				"run %u of %s has the SAE %s (%s), run %u of %s has "
				"not",
				w->number, with->dir, sae_of(with, i)->name,
				sae_of(with, i)->id, r->number, p->dir);
		p->slot[i] = j;
	}
	return 0;
}

static int
take_range(struct range_part *p, struct err *e)
{
	const struct cat_run *r = run_of(p);

	p->first = r->sae[0].first;
	p->end = r->sae[0].end;
	for (uint32_t i = 1; i < r->n_saes; i++)
		if (r->sae[i].first != p->first || r->sae[i].end != p->end)
			return err_set(e, ERR_MISMATCH,
				"run %u of %s sought unlike ranges of its SAEs",
				r->number, p->dir);
	return 0;
}

static int
check_cut(const struct range_part *p, const struct range_part *with, struct err *e)
{
	const struct store_catalog *c = store_view_catalog(p->view),
				   *w = store_view_catalog(with->view);
	const struct cat_cut *x = &c->cut[run_of(p)->cut],
			     *y = &w->cut[run_of(with)->cut];

	if (strcmp(x->id, y->id) == 0)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"run %u of %s is over %s (%s), run %u of %s over %s (%s): ranges are "
		"joined first of each corpus, then the corpora",
		run_of(with)->number, with->dir, y->name, y->id, run_of(p)->number,
		p->dir, x->name, x->id);
}

static int
by_first(const void *a, const void *b)
{
	const struct range_part *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

static int
gap(const struct range_part *p, uint32_t first, uint32_t end, struct err *e)
{
	return err_set(e, ERR_MISMATCH,
		"features %u to %u of %s are in none of the runs: index them with "
		"--features %u:%u",
		first, end - 1, sae_of(p, 0)->name, first, end);
}

static int
check_whole(const struct range_part *part, uint32_t n, struct err *e)
{
	uint32_t at = 0, d_sae = sae_of(part, 0)->d_sae;

	for (uint32_t i = 0; i < n; i++) {
		const struct range_part *p = &part[i];

		if (p->first > at)
			return gap(p, at, p->first, e);
		if (p->first < at)
			return err_set(e, ERR_MISMATCH,
				"features %u to %u of %s are in run %u of %s and in "
				"run "
				"%u of %s: leave one out",
				p->first, (p->end < at ? p->end : at) - 1,
				sae_of(p, 0)->name, run_of(p - 1)->number, (p - 1)->dir,
				run_of(p)->number, p->dir);
		at = p->end;
	}
	return at < d_sae ? gap(part, at, d_sae, e) : 0;
}

int
ranges_order(struct range_part *part, uint32_t n, struct err *e)
{
	for (uint32_t i = 0; i < n; i++)
		if (take_range(&part[i], e) < 0 || check_cut(&part[i], part, e) < 0)
			return e->code;
	qsort(part, n, sizeof(*part), by_first);
	for (uint32_t i = 0; i < n; i++)
		if (match_slots(&part[i], part, e) < 0)
			return e->code;
	return check_whole(part, n, e);
}

/* ---- active features ------------------------------------------------------------------ */

/* A row of a part: its features are of its range. */
static int
add_row(const struct range_part *p, const struct rec_acts *a, uint32_t t,
	uint32_t *feature, float *value, uint32_t *at, struct err *e)
{
	uint32_t from = a->row_start[t], n = a->row_start[t + 1] - from;

	if (n == 0)
		return 0;
	if (a->feature[from] < p->first || a->feature[from + n - 1] >= p->end)
		return err_set(e, ERR_CORRUPT,
			"run %u of %s has activations of features that it did not seek",
			run_of(p)->number, p->dir);
	memcpy(feature + *at, a->feature + from, n * sizeof(*feature));
	memcpy(value + *at, a->value + from, n * sizeof(*value));
	*at += n;
	return 0;
}

/* Of each part, all of one length: the tokens of the window. *sum: activations. */
static int
read_parts(const struct range_part *part, uint32_t n, uint32_t slot, uint32_t window,
	struct rec_acts *a, size_t *sum, struct arena *arena, struct err *e)
{
	*sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct range_part *p = &part[i];

		if (store_acts_all(p->view, p->run, p->slot[slot], window, &a[i], arena,
			    e) < 0)
			return e->code;
		if (a[i].n_tokens != a[0].n_tokens || a[i].first_token != 0)
			return err_set(e, ERR_CORRUPT,
				"run %u of %s has activations of %u tokens of window "
				"%u, "
				"run %u of %s of %u",
				run_of(part)->number, part->dir, a[0].n_tokens, window,
				run_of(p)->number, p->dir, a[i].n_tokens);
		if (a[i].n_tokens > 0)
			*sum += a[i].row_start[a[i].n_tokens];
	}
	return 0;
}

int
ranges_acts(const struct range_part *part, uint32_t n, uint32_t slot, uint32_t window,
	struct rec_acts *out, struct arena *arena, struct err *e)
{
	struct rec_acts *a = arena_alloc(arena, n, sizeof(*a));
	uint32_t *row_start, *feature, at = 0;
	size_t sum;
	float *value;

	if (a == NULL)
		return err_set(e, ERR_NOMEM, "no memory to join ranges");
	if (read_parts(part, n, slot, window, a, &sum, arena, e) < 0)
		return e->code;
	row_start = arena_alloc(arena, a[0].n_tokens + (size_t)1, sizeof(*row_start));
	feature = arena_alloc(arena, sum, sizeof(*feature));
	value = arena_alloc(arena, sum, sizeof(*value));
	if (row_start == NULL || feature == NULL || value == NULL || sum > UINT32_MAX)
		return err_set(e, ERR_NOMEM, "no memory to join ranges");
	row_start[0] = 0;
	for (uint32_t t = 0; t < a[0].n_tokens; t++) {
		for (uint32_t i = 0; i < n; i++)
			if (add_row(&part[i], &a[i], t, feature, value, &at, e) < 0)
				return e->code;
		row_start[t + 1] = at;
	}
	*out = (struct rec_acts){.n_tokens = a[0].n_tokens,
		.row_start = row_start,
		.feature = feature,
		.value = value};
	return 0;
}
