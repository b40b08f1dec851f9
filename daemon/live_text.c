/* SPDX-License-Identifier: ISC */
/* A text through the open model and SAEs. */
#include "daemon/live_int.h"

#include "model/fold.h"
#include "util/utf8.h"

#include <string.h>

#define FIRST_UNSPACED 0x2e80 /* scripts from here on have no spaces, mostly */

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for the text's activations");
}

struct run {
	struct live_model *m;
	const struct live_want *w;
	const struct cat_cut *cut;
	struct tok_ids ids;
	uint32_t *id, *start, *end, *window_start; /* in the arena */
	bool *special;
	uint32_t n_tokens, n_windows;
};

/* Whether a space has to be put in front: text as it is gave ids. */
static bool
wants_space(const struct run *r)
{
	const char *bytes;
	uint32_t cp;
	size_t n;

	if (!r->w->inside || r->ids.n == 0 ||
		utf8_next(r->w->text, r->w->n_bytes, &cp) == 0 ||
		cp >= FIRST_UNSPACED || !fold_is_word(cp))
		return false;
	bytes = tok_bytes(r->m->tok, r->ids.id[0], &n);
	return bytes == NULL || n == 0 || bytes[0] != ' ';
}

static int
encode_spaced(struct run *r, struct tok_work *work, struct err *e)
{
	size_t n = r->w->n_bytes + 1;
	char *text = mem_new(n, 1);
	int rc;

	if (text == NULL)
		return no_memory(e);
	text[0] = ' ';
	memcpy(text + 1, r->w->text, n - 1);
	r->ids.n = 0;
	rc = tok_encode(r->m->tok, work, text, n, true, &r->ids, e);
	for (size_t i = 0; i < r->ids.n; i++) {
		r->ids.start[i] -= r->ids.start[i] > 0;
		r->ids.end[i] -= r->ids.end[i] > 0;
	}
	mem_free(text);
	return rc;
}

static int
read_tokens(struct run *r, struct err *e)
{
	uint32_t n_vocab = lm_info(r->m->lm)->n_vocab;
	struct tok_work *work = NULL;
	int rc = tok_work_new(&work, r->m->tok, e);

	if (rc == 0)
		rc = tok_encode(r->m->tok, work, r->w->text, r->w->n_bytes, true,
			&r->ids, e);
	if (rc == 0 && wants_space(r))
		rc = encode_spaced(r, work, e);
	tok_work_free(work);
	for (size_t i = 0; rc == 0 && i < r->ids.n; i++)
		if (r->ids.id[i] >= n_vocab)
			rc = err_set(e, ERR_MISMATCH,
				"the tokenizer gives id %u, but the model's vocabulary "
				"has %u entries",
				r->ids.id[i], n_vocab);
	return rc;
}

static void
put_token(struct run *r, uint32_t id, uint32_t start, uint32_t end)
{
	r->id[r->n_tokens] = id;
	r->start[r->n_tokens] = start;
	r->end[r->n_tokens] = end;
	r->special[r->n_tokens++] = tok_is_special(r->m->tok, id);
}

/* As indexer/cutter.c cuts a document: [BOS] and up to context - 1 tokens. */
static int
cut_windows(struct run *r, struct err *e)
{
	bool bos = r->cut->prepend_bos;
	size_t step = r->cut->context - bos, n = r->ids.n;
	size_t n_windows = (n + step - 1) / step, most = n + n_windows;
	struct arena *a = r->w->arena;

	r->id = arena_alloc(a, most, sizeof(*r->id));
	r->start = arena_alloc(a, most, sizeof(*r->start));
	r->end = arena_alloc(a, most, sizeof(*r->end));
	r->special = arena_alloc(a, most, sizeof(*r->special));
	r->window_start = arena_alloc(a, n_windows + 1, sizeof(*r->window_start));
	if (r->id == NULL || r->start == NULL || r->end == NULL || r->special == NULL ||
		r->window_start == NULL)
		return no_memory(e);
	for (size_t at = 0; at < n; at++) {
		if (at % step == 0) {
			r->window_start[r->n_windows++] = r->n_tokens;
			if (bos)
				put_token(r, (uint32_t)r->cut->bos, r->ids.start[at],
					r->ids.start[at]);
		}
		put_token(r, r->ids.id[at], r->ids.start[at], r->ids.end[at]);
	}
	r->window_start[r->n_windows] = r->n_tokens;
	return 0;
}

/* One SAE over x (n_tokens, d_in). */
static int
encode(struct run *r, const struct sae *s, const float *x, struct rec_acts *out,
	struct err *e)
{
	struct kernel_hits hits = {0};
	struct sae_work *work = NULL;
	uint32_t n = r->n_tokens, *row_start, *feature;
	float *y = mem_new_aligned(n, s->info.d_in * sizeof(*y)), *value;
	int rc = y != NULL ? sae_work_new(&work, s, e) : no_memory(e);

	if (rc == 0) {
		sae_prepare(s, y, x, n, NULL, NULL);
		rc = sae_encode_range(s, &hits, y, n, 0, s->info.d_sae, work, e);
	}
	row_start = arena_alloc(r->w->arena, (size_t)n + 1, sizeof(*row_start));
	feature = arena_alloc(r->w->arena, hits.n, sizeof(*feature));
	value = arena_alloc(r->w->arena, hits.n, sizeof(*value));
	if (rc == 0 && (row_start == NULL || feature == NULL || value == NULL))
		rc = no_memory(e);
	for (size_t t = 0, i = 0; rc == 0 && t <= n; t++) {
		for (; i < hits.n && hits.hit[i].query < t; i++) {
			feature[i] = hits.hit[i].row;
			value[i] = hits.hit[i].value;
		}
		row_start[t] = (uint32_t)i;
	}
	if (rc == 0)
		*out = (struct rec_acts){.n_tokens = n,
			.row_start = row_start,
			.feature = feature,
			.value = value};
	kernel_hits_clear(&hits);
	sae_work_free(work);
	mem_free(y);
	return rc;
}

/* The hooks of the SAEs that are open, each once. */
static uint32_t
list_hooks(struct live_slot *const *slot, uint32_t n, struct hook *hook,
	uint32_t *hook_of)
{
	uint32_t n_hooks = 0, h;

	for (uint32_t i = 0; i < n; i++) {
		if (slot[i]->sae == NULL)
			continue;
		for (h = 0; h < n_hooks; h++)
			if (strcmp(hook[h].name, slot[i]->sae->info.hook.name) == 0)
				break;
		hook[h] = slot[i]->sae->info.hook;
		hook_of[i] = h;
		n_hooks += h == n_hooks;
	}
	return n_hooks;
}

static int
forward(struct run *r, const struct hook *hook, uint32_t n_hooks, float **x,
	struct err *e)
{
	struct lm_work *work = NULL;
	int rc = 0;

	for (uint32_t h = 0; h < n_hooks && rc == 0; h++) {
		rc = lm_check_hook(r->m->lm, &hook[h], e);
		x[h] = rc == 0
			? mem_new_aligned(r->n_tokens,
				  lm_hook_width(r->m->lm, &hook[h]) * sizeof(**x))
			: NULL;
		if (rc == 0 && x[h] == NULL)
			rc = no_memory(e);
	}
	if (rc == 0)
		rc = lm_work_new(&work, r->m->lm, r->n_tokens, e);
	if (rc == 0)
		rc = lm_forward(r->m->lm, work, r->id, r->window_start, r->n_windows,
			hook, n_hooks, x, e);
	lm_work_free(work);
	return rc;
}

static int
encode_all(struct run *r, struct live_slot *const *slot, struct live_sae *sae,
	struct err *e)
{
	struct hook hook[LIMIT_SAES];
	uint32_t hook_of[LIMIT_SAES] = {0};
	uint32_t n_hooks = list_hooks(slot, r->w->n_slots, hook, hook_of);
	float *x[LIMIT_SAES] = {NULL};
	int rc = 0;

	if (r->n_tokens > 0 && n_hooks > 0)
		rc = forward(r, hook, n_hooks, x, e);
	for (uint32_t i = 0; i < r->w->n_slots && rc == 0; i++) {
		static const uint32_t no_row[1];

		sae[i].why = slot[i]->sae == NULL ? slot[i]->why : ERR_INIT;
		if (slot[i]->sae == NULL)
			continue;
		if (r->n_tokens == 0)
			sae[i].acts.row_start = no_row;
		else
			rc = encode(r, slot[i]->sae, x[hook_of[i]], &sae[i].acts, e);
	}
	for (uint32_t h = 0; h < n_hooks; h++)
		mem_free(x[h]);
	return rc;
}

int
live_run(struct live_model *m, const struct live_want *w, struct live_answer *out,
	struct err *e)
{
	const struct cat_run *run = &w->cat->run[w->run];
	struct run r = {.m = m, .w = w, .cut = &w->cat->cut[run->cut]};
	struct live_sae *sae = arena_alloc(w->arena, w->n_slots, sizeof(*sae));
	struct live_slot *slot[LIMIT_SAES];
	int rc = sae != NULL ? 0 : no_memory(e);

	if (rc == 0)
		memset(sae, 0, w->n_slots * sizeof(*sae));
	for (uint32_t i = 0; i < w->n_slots; i++)
		slot[i] = live_find(m, w->cat->sae[run->sae[w->slot[i]].sae].hash);
	if (rc == 0)
		rc = read_tokens(&r, e);
	if (rc == 0)
		rc = cut_windows(&r, e);
	tok_ids_clear(&r.ids);
	if (rc == 0)
		rc = encode_all(&r, slot, sae, e);
	if (rc == 0)
		*out = (struct live_answer){.n_tokens = r.n_tokens,
			.n_windows = r.n_windows,
			.id = r.id,
			.start = r.start,
			.end = r.end,
			.special = r.special,
			.window_start = r.window_start,
			.sae = sae};
	return rc;
}
