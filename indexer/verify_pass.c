/* SPDX-License-Identifier: ISC */
#include "indexer/verify_int.h"

#include "indexer/stop.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512 /* windows between two looks at the signals */

/* What one thread needs. */
struct worker {
	struct lm_work *work;
	struct store_view *view;
	struct arena arena;
	float *x[LIMIT_SAES]; /* (max_tokens, d) by slot */
	float *value; /* (most features of a slot) */
	struct found_list *list[LIMIT_SAES]; /* (n_features) */
	struct err err;
	bool wrong; /* a difference was noted in text */
	char text[256];
};

struct recompute {
	struct verify *v;
	struct worker *worker; /* (n_threads) */
	size_t n_threads;
	uint32_t first; /* window of the block */
};

int
found_add(struct found_list *l, struct found f, struct err *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct found *more = mem_resize(l->found, cap, sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_NOMEM, "no memory to verify");
		l->found = more;
		l->cap = cap;
	}
	l->found[l->n++] = f;
	return 0;
}

static int
worker_init(struct worker *w, const struct verify *v, struct err *e)
{
	size_t most = 0;

	arena_init(&w->arena, 0);
	if (lm_work_new(&w->work, v->lm, v->windows.max_tokens, e) < 0 ||
		store_view_open(&w->view, v->store, e) < 0)
		return e->code;
	for (uint32_t s = 0; s < v->cat->n_saes; s++) {
		size_t d = lm_hook_width(v->lm, &v->sae[s].sae->info.hook);

		w->x[s] = mem_new_aligned(v->windows.max_tokens, d * sizeof(float));
		w->list[s] = mem_new(v->sae[s].n_features, sizeof(*w->list[s]));
		if (w->x[s] == NULL || w->list[s] == NULL)
			return err_set(e, ERR_NOMEM, "no memory to verify");
		most = v->sae[s].n_features > most ? v->sae[s].n_features : most;
	}
	w->value = mem_new(most, sizeof(*w->value));
	return w->value != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory to verify");
}

static void
worker_clear(struct worker *w, const struct verify *v)
{
	for (uint32_t s = 0; s < v->cat->n_saes; s++) {
		for (uint32_t f = 0; w->list[s] != NULL && f < v->sae[s].n_features;
			f++)
			mem_free(w->list[s][f].found);
		mem_free(w->list[s]);
		mem_free(w->x[s]);
	}
	mem_free(w->value);
	arena_clear(&w->arena);
	lm_work_free(w->work);
	store_view_close(w->view);
}

/* ---- one window ----------------------------------------------------------------------- */

/* The stored value of a feature at a token; 0 where there is none. */
static float
stored_value(const struct rec_acts *a, uint32_t token, uint32_t feature)
{
	for (uint32_t i = a->row_start[token]; i < a->row_start[token + 1]; i++)
		if (a->feature[i] == feature)
			return a->value[i];
	return 0;
}

static void
check_value(struct worker *w, const struct verify *v, uint32_t slot, uint32_t feature,
	uint32_t window, uint32_t token, float stored, float value)
{
	if (stored == value || w->wrong)
		return;
	w->wrong = true;
	snprintf(w->text, sizeof(w->text),
		"%s/%u: activation at window %u, token %u: stored %.9g, recomputed "
		"%.9g",
		v->catalog->sae[v->sae[slot].index].name, feature, window, token,
		(double)stored, (double)value);
}

static int
check_slot(struct worker *w, const struct verify *v, uint32_t slot, uint32_t window,
	const struct rec_window *r, struct err *e)
{
	const struct verify_sae *s = &v->sae[slot];
	size_t d = s->sae->info.d_in;
	struct rec_acts a;

	if (store_acts(w->view, v->run, slot, window, 0, r->n_tokens, &a, &w->arena,
		    e) < 0)
		return e->code;
	for (uint32_t t = 0; t < r->n_tokens; t++) {
		sae_encode_plain_some(s->sae, w->x[slot] + t * d, s->feature,
			s->n_features, w->value);
		for (uint32_t f = 0; f < s->n_features; f++) {
			check_value(w, v, slot, s->feature[f], window, t,
				stored_value(&a, t, s->feature[f]), w->value[f]);
			if (w->value[f] > 0 &&
				windows_counts(&v->windows, r->token[t]) &&
				found_add(&w->list[slot][f],
					(struct found){window, t, w->value[f]}, e) < 0)
				return e->code;
		}
	}
	return 0;
}

static void
check_window(void *ctx, size_t i, size_t thread)
{
	struct recompute *c = ctx;
	const struct verify *v = c->v;
	struct worker *w = &c->worker[thread];
	uint32_t window = c->first + (uint32_t)i, start[2] = {0};
	struct hook hook[LIMIT_SAES];
	struct rec_window r;

	if (w->err.code != 0)
		return;
	arena_reset(&w->arena);
	windows_get(&v->windows, window, &r);
	start[1] = r.n_tokens;
	for (uint32_t s = 0; s < v->cat->n_saes; s++)
		hook[s] = v->sae[s].sae->info.hook;
	if (lm_forward(v->lm, w->work, r.token, start, 1, hook, v->cat->n_saes, w->x,
		    &w->err) < 0)
		return;
	for (uint32_t s = 0; s < v->cat->n_saes; s++)
		if (check_slot(w, v, s, window, &r, &w->err) < 0)
			return;
}

/* ---- all of them ---------------------------------------------------------------------- */

static int
by_place(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The threads' lists into one, by place. */
static int
gather(struct recompute *c, struct err *e)
{
	struct verify *v = c->v;

	for (uint32_t s = 0; s < v->cat->n_saes; s++)
		for (uint32_t f = 0; f < v->sae[s].n_features; f++) {
			struct found_list *to = &v->sae[s].list[f];

			for (size_t i = 0; i < c->n_threads; i++) {
				const struct found_list *l = &c->worker[i].list[s][f];

				for (size_t j = 0; j < l->n; j++)
					if (found_add(to, l->found[j], e) < 0)
						return e->code;
			}
			if (to->n > 0)
				qsort(to->found, to->n, sizeof(*to->found), by_place);
		}
	return 0;
}

static int
run_blocks(struct recompute *c, struct err *e)
{
	uint32_t n_windows = c->v->windows.n_windows;

	for (; c->first < n_windows; c->first += BLOCK) {
		uint32_t n =
			n_windows - c->first < BLOCK ? n_windows - c->first : BLOCK;

		pool_run(c->v->pool, n, check_window, c);
		if (stop_check(e) < 0)
			return e->code;
		for (size_t i = 0; i < c->n_threads; i++)
			if (c->worker[i].err.code != 0) {
				*e = c->worker[i].err;
				return e->code;
			}
	}
	for (size_t i = 0; i < c->n_threads; i++)
		if (c->worker[i].wrong)
			verify_wrong(c->v, "%s", c->worker[i].text);
	return gather(c, e);
}

int
verify_pass(struct verify *v, struct err *e)
{
	struct recompute c = {.v = v, .n_threads = pool_n_threads(v->pool)};
	int rc = 0;

	c.worker = mem_new(c.n_threads, sizeof(*c.worker));
	if (c.worker == NULL)
		return err_set(e, ERR_NOMEM, "no memory to verify");
	for (size_t i = 0; i < c.n_threads && rc == 0; i++)
		rc = worker_init(&c.worker[i], v, e);
	if (rc == 0)
		rc = run_blocks(&c, e);
	for (size_t i = 0; i < c.n_threads; i++)
		worker_clear(&c.worker[i], v);
	mem_free(c.worker);
	return rc;
}
