/* SPDX-License-Identifier: ISC */
/* A state as bytes, for checkpoints. */
#include "indexer/state.h"

#include "util/mem.h"

#include <float.h>

/* ---- saving ---------------------------------------------------------------- */

static void
save_feature(const struct feature_state *f, struct buf *b)
{
	buf_varint(b, f->count);
	if (f->count == 0)
		return;
	buf_varint(b, f->n_windows);
	exact32_save(&f->sum, b);
	exact64_save(&f->sum_squares, b);
	buf_f32(b, f->max);
	buf_varint(b, f->max_window);
	buf_varint(b, f->max_offset);
	buf_varint(b, f->first_bin);
	buf_varint(b, f->n_bins);
	for (uint32_t i = 0; i < f->n_bins; i++)
		buf_varint(b, f->bin[i]);
	buf_varint(b, f->n_best);
	for (uint32_t i = 0; i < f->n_best; i++) {
		buf_u64(b, f->best[i].key);
		buf_f32(b, f->best[i].value);
		buf_varint(b, f->best[i].window);
		buf_varint(b, f->best[i].offset);
	}
}

void
state_save(const struct state *s, uint32_t first, uint32_t n, struct buf *b)
{
	for (uint32_t i = 0; i < n; i++)
		save_feature(&s->feature[first + i], b);
}

/* ---- loading ---------------------------------------------------------------- */

struct load {
	struct cur *c;
	uint32_t n_windows, k;
	struct err *e;
};

static int
bad(struct err *e)
{
	return err_set(e, ERR_CORRUPT,
		"the checkpoint's statistics are malformed; saedb-index gc removes it");
}

/* A number of at most `most`; 0, and failed, otherwise. */
static uint64_t
number(struct cur *c, uint64_t most)
{
	uint64_t v = cur_varint(c);

	c->failed |= v > most;
	return c->failed ? 0 : v;
}

static float
value(struct cur *c)
{
	float v = cur_f32(c);

	c->failed |= !(v > 0 && v <= FLT_MAX);
	return v;
}

static int
load_bins(struct feature_state *f, struct load *l)
{
	uint32_t first = (uint32_t)number(l->c, REC_HIST_BINS);
	uint32_t n = (uint32_t)number(l->c, REC_HIST_BINS - first);
	uint64_t sum = 0;

	if (l->c->failed || n == 0)
		return bad(l->e);
	f->bin = mem_new(n, sizeof(*f->bin));
	if (f->bin == NULL)
		return err_set(l->e, ERR_NOMEM,
			"no memory for the features' statistics");
	f->first_bin = (uint16_t)first;
	f->n_bins = (uint16_t)n;
	for (uint32_t i = 0; i < n; i++) {
		f->bin[i] = number(l->c, f->count - sum);
		sum += f->bin[i];
	}
	return l->c->failed || sum != f->count ? bad(l->e) : 0;
}

static int
load_best(struct feature_state *f, struct load *l)
{
	uint32_t n = (uint32_t)number(l->c, l->k);

	if (l->c->failed || n == 0)
		return bad(l->e);
	f->best = mem_new((size_t)l->k + 1, sizeof(*f->best));
	if (f->best == NULL)
		return err_set(l->e, ERR_NOMEM,
			"no memory for the features' statistics");
	for (uint32_t i = 0; i < n; i++) {
		struct best *b = &f->best[i];

		b->key = cur_u64(l->c);
		b->value = value(l->c);
		b->window = (uint32_t)number(l->c, l->n_windows - 1);
		b->offset = (uint32_t)number(l->c, UINT16_MAX);
		if (l->c->failed || (i > 0 && !best_before(b - 1, b)))
			return bad(l->e);
	}
	f->n_best = (uint16_t)n;
	return 0;
}

static int
load_feature(struct feature_state *f, struct load *l)
{
	uint64_t count = cur_varint(l->c);

	if (l->c->failed)
		return bad(l->e);
	if (count == 0)
		return 0;
	f->count = count;
	f->n_windows = number(l->c, count < l->n_windows ? count : l->n_windows);
	exact32_load(&f->sum, l->c);
	exact64_load(&f->sum_squares, l->c);
	f->max = value(l->c);
	f->max_window = (uint32_t)number(l->c, l->n_windows - 1);
	f->max_offset = (uint32_t)number(l->c, UINT16_MAX);
	if (l->c->failed || f->n_windows == 0)
		return bad(l->e);
	if (load_bins(f, l) < 0)
		return l->e->code;
	return load_best(f, l);
}

int
state_load(struct state *s, uint32_t first, uint32_t n, uint32_t n_windows,
	struct cur *c, struct err *e)
{
	struct load l = {c, n_windows, s->k, e};

	if (n_windows == 0)
		return bad(e);
	for (uint32_t i = 0; i < n; i++)
		if (load_feature(&s->feature[first + i], &l) < 0)
			return e->code;
	return 0;
}
