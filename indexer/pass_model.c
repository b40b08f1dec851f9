/* SPDX-License-Identifier: ISC */
/*
 * Of a pass whose source has some windows already: the others are packed for the model,
 * and what is found of them is put back among the source's.
 */
#include "indexer/pass_int.h"

#include "util/mem.h"

#include <string.h>

int
pass_model_init(struct pass *p, struct err *e)
{
	struct pass_model *m = &p->model;

	if (!pass_is_mixed(p->job))
		return 0;
	m->ids = mem_new(p->max_tokens, sizeof(*m->ids));
	m->counts = mem_new(p->max_tokens, sizeof(*m->counts));
	m->window_start = mem_new(p->max_tokens + 1, sizeof(*m->window_start));
	m->window = mem_new(p->max_tokens, sizeof(*m->window));
	if (m->ids == NULL || m->counts == NULL || m->window_start == NULL ||
		m->window == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a batch");
	return 0;
}

void
pass_model_clear(struct pass *p)
{
	struct pass_model *m = &p->model;

	if (!pass_is_mixed(p->job))
		return; /* they are the batch's */
	mem_free(m->ids);
	mem_free(m->counts);
	mem_free(m->window_start);
	mem_free(m->window);
}

void
pass_model_fill(struct pass *p)
{
	const struct act_source *source = p->job->source;
	struct pass_model *m = &p->model;

	if (!pass_is_mixed(p->job)) {
		*m = (struct pass_model){p->ids, p->counts, p->window_start, NULL,
			p->n_windows, p->n_tokens};
		return;
	}
	m->n_windows = m->n_tokens = 0;
	for (uint32_t w = 0; w < p->n_windows; w++) {
		uint32_t from = p->window_start[w], n = p->window_start[w + 1] - from;

		if (source->has(source->ctx, p->first + w))
			continue;
		memcpy(m->ids + m->n_tokens, p->ids + from, n * sizeof(*m->ids));
		memcpy(m->counts + m->n_tokens, p->counts + from, n);
		m->window[m->n_windows] = w;
		m->window_start[m->n_windows++] = m->n_tokens;
		m->n_tokens += n;
	}
	m->window_start[m->n_windows] = m->n_tokens;
}

int
pass_model_join(struct pass *p, uint32_t sae, struct err *e)
{
	const struct act_source *source = p->job->source;
	const struct pass_model *m = &p->model;
	struct pass_sae *s = &p->sae[sae];
	const struct sparse *mine = &s->encoder.acts;
	size_t n = m->n_tokens > 0 ? mine->row_start[m->n_tokens] : 0;
	uint32_t k = 0;

	if (source->get(source->ctx, sae, p->first, p->n_windows, &s->there, e) < 0 ||
		sparse_reserve(&s->both, p->n_tokens,
			n + s->there.row_start[p->n_tokens], e) < 0)
		return e->code;
	for (uint32_t w = 0; w < p->n_windows; w++) {
		uint32_t from = p->window_start[w];
		bool run = k < m->n_windows && m->window[k] == w;

		const struct sparse *a = run ? mine : &s->there;

		sparse_append(&s->both, from,
			a->row_start + (run ? m->window_start[k] : from), a->feature,
			a->value, p->window_start[w + 1] - from);
		k += run;
	}
	s->acts = &s->both;
	return 0;
}
