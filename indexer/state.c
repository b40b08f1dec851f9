/* SPDX-License-Identifier: ISC */
#include "indexer/state.h"

#include "util/hash.h"
#include "util/mem.h"

#include <assert.h>
#include <string.h>

bool
best_before(const struct best *a, const struct best *b)
{
	if (a->value != b->value)
		return a->value > b->value;
	if (a->window != b->window)
		return a->window < b->window;
	return a->offset < b->offset;
}

uint64_t
best_key(const uint32_t *token, uint32_t n_tokens, uint32_t offset, uint32_t radius)
{
	uint32_t from = offset > radius ? offset - radius : 0;
	uint32_t to = n_tokens - offset > radius ? offset + radius + 1 : n_tokens;

	return hash64(token + from, (to - from) * sizeof(*token), offset - from);
}

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for the features' statistics");
}

int
state_init(struct state *s, uint32_t n_features, uint32_t k, uint32_t radius,
	struct err *e)
{
	*s = (struct state){.n_features = n_features, .k = k, .radius = radius};
	s->feature = mem_new(n_features, sizeof(*s->feature));
	return s->feature != NULL ? 0 : no_memory(e);
}

void
state_clear(struct state *s)
{
	for (uint32_t i = 0; s->feature != NULL && i < s->n_features; i++) {
		mem_free(s->feature[i].bin);
		mem_free(s->feature[i].best);
	}
	mem_free(s->feature);
	*s = (struct state){0};
}

size_t
state_bytes(uint32_t n_features, uint32_t k)
{
	size_t each = sizeof(struct feature_state) + 64 * sizeof(uint64_t) +
		(k + 1) * sizeof(struct best);

	return n_features * each;
}

/* ---- histogram ---------------------------------------------------------- */

/* Makes [first, first + n) the stretch, which holds the old one. */
static int
stretch_bins(struct feature_state *f, uint32_t first, uint32_t n, struct err *e)
{
	uint64_t *bin = mem_new(n, sizeof(*bin));

	if (bin == NULL)
		return no_memory(e);
	if (f->n_bins > 0)
		memcpy(bin + (f->first_bin - first), f->bin, f->n_bins * sizeof(*bin));
	mem_free(f->bin);
	f->bin = bin;
	f->first_bin = (uint16_t)first;
	f->n_bins = (uint16_t)n;
	return 0;
}

/* The stretch grows by whole octaves, so that it rarely grows. */
static int
count_bin(struct feature_state *f, uint32_t bin, uint64_t n, struct err *e)
{
	uint32_t first = bin / 4 * 4, last = first + 4;

	if (f->n_bins > 0 && bin >= f->first_bin && bin < f->first_bin + f->n_bins) {
		f->bin[bin - f->first_bin] += n;
		return 0;
	}
	if (f->n_bins > 0 && f->first_bin < first)
		first = f->first_bin;
	if (f->n_bins > 0 && (uint32_t)f->first_bin + f->n_bins > last)
		last = (uint32_t)f->first_bin + f->n_bins;
	if (stretch_bins(f, first, last - first, e) < 0)
		return e->code;
	f->bin[bin - first] += n;
	return 0;
}

uint32_t
state_bins(const struct feature_state *f, struct rec_bin *bin)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n_bins; i++)
		if (f->bin[i] > 0)
			bin[n++] = (struct rec_bin){f->first_bin + i, f->bin[i]};
	return n;
}

/* ---- best ------------------------------------------------------------------ */

/* Puts b where it belongs; of two with one key only the better stays. */
static int
insert_best(struct state *s, struct feature_state *f, const struct best *b,
	struct err *e)
{
	uint32_t i, old;

	if (f->best == NULL) {
		f->best = mem_new((size_t)s->k + 1, sizeof(*f->best));
		if (f->best == NULL)
			return no_memory(e);
	}
	for (old = 0; old < f->n_best && f->best[old].key != b->key; old++)
		;
	if (old < f->n_best && !best_before(b, &f->best[old]))
		return 0;
	if (old == f->n_best) {
		if (f->n_best < s->k)
			f->n_best++;
		else
			old = s->k; /* the extra place */
	}
	for (i = old; i > 0 && best_before(b, &f->best[i - 1]); i--)
		f->best[i] = f->best[i - 1];
	f->best[i] = *b;
	return 0;
}

static bool
may_enter(const struct state *s, const struct feature_state *f, const struct best *b)
{
	return f->n_best < s->k || best_before(b, &f->best[f->n_best - 1]);
}

/* ---- adding ---------------------------------------------------------------- */

static void
take_max(struct feature_state *f, const struct best *b)
{
	struct best old = {0, f->max, f->max_window, f->max_offset};

	if (f->max > 0 && !best_before(b, &old))
		return;
	f->max = b->value;
	f->max_window = b->window;
	f->max_offset = b->offset;
}

int
state_add(struct state *s, uint32_t feature, uint32_t window, const uint32_t *token,
	uint32_t n_tokens, const struct rec_at *at, uint32_t n, struct err *e)
{
	struct feature_state *f = &s->feature[feature];
	struct best b = {0, 0, window, 0};

	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		float v = at[i].value;

		exact32_add(&f->sum, v);
		exact64_add_square(&f->sum_squares, v);
		if (count_bin(f, rec_hist_bin(v), 1, e) < 0)
			return e->code;
		if (v > b.value) {
			b.value = v;
			b.offset = at[i].offset;
		}
	}
	f->count += n;
	f->n_windows++;
	take_max(f, &b);
	if (!may_enter(s, f, &b))
		return 0;
	b.key = best_key(token, n_tokens, b.offset, s->radius);
	return insert_best(s, f, &b, e);
}

static int
merge_feature(struct state *s, struct feature_state *f, const struct feature_state *g,
	struct err *e)
{
	struct best max = {0, g->max, g->max_window, g->max_offset};

	if (g->count == 0)
		return 0;
	f->count += g->count;
	f->n_windows += g->n_windows;
	exact32_merge(&f->sum, &g->sum);
	exact64_merge(&f->sum_squares, &g->sum_squares);
	take_max(f, &max);
	for (uint32_t i = 0; i < g->n_bins; i++)
		if (g->bin[i] > 0 && count_bin(f, g->first_bin + i, g->bin[i], e) < 0)
			return e->code;
	for (uint32_t i = 0; i < g->n_best; i++)
		if (insert_best(s, f, &g->best[i], e) < 0)
			return e->code;
	return 0;
}

int
state_merge(struct state *into, const struct state *from, struct err *e)
{
	assert(into->n_features == from->n_features && into->k == from->k);
	for (uint32_t i = 0; i < into->n_features; i++)
		if (merge_feature(into, &into->feature[i], &from->feature[i], e) < 0)
			return e->code;
	return 0;
}

uint64_t
state_n_alive(const struct state *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n_features; i++)
		n += s->feature[i].count > 0;
	return n;
}
