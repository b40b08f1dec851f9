/* SPDX-License-Identifier: ISC */
#include "indexer/sample.h"

#include "indexer/corpus.h"
#include "util/mem.h"

#include <string.h>

static int
grow(uint32_t **array, size_t *cap, size_t need, struct err *e)
{
	size_t more = need * 2;
	uint32_t *p;

	if (need <= *cap)
		return 0;
	p = mem_resize(*array, more, sizeof(*p));
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %zu tokens", more);
	*array = p;
	*cap = more;
	return 0;
}

static int
put_window(void *ctx, const struct rec_window *w, struct err *e)
{
	struct sample *s = ctx;

	if (grow(&s->id, &s->cap_tokens, s->n_tokens + w->n_tokens, e) < 0 ||
		grow(&s->window_start, &s->cap_windows, s->n_windows + 2, e) < 0)
		return e->code;
	memcpy(s->id + s->n_tokens, w->token, w->n_tokens * sizeof(*w->token));
	s->window_start[s->n_windows++] = (uint32_t)s->n_tokens;
	s->n_tokens += w->n_tokens;
	s->window_start[s->n_windows] = (uint32_t)s->n_tokens;
	return 0;
}

static int
read_documents(struct corpus *c, struct cutter *cut, const struct tok *t, struct err *e)
{
	struct tok_work *work = NULL;
	struct tok_ids ids = {0};
	struct document d;
	int rc = tok_work_new(&work, t, e);

	for (uint32_t n = 0; rc == 0 && !cut->full; n++) {
		rc = corpus_next(c, &d, e);
		if (rc <= 0)
			break;
		ids.n = 0;
		rc = tok_encode(t, work, d.text, d.n_text, true, &ids, e);
		if (rc == 0)
			rc = cutter_document(cut, n, d.text, &ids, e);
	}
	tok_ids_clear(&ids);
	tok_work_free(work);
	return rc;
}

int
sample_read(struct sample *s, const struct options *o, const struct tok *t,
	const struct cut_rule *rule, struct err *e)
{
	const struct corpus_rules rules = {o->text_field, o->id_field, o->strict,
		o->lines};
	struct corpus *c = NULL;
	struct cutter cut = {0};
	int rc;

	*s = (struct sample){0};
	rc = cutter_init(&cut, rule, (struct window_sink){put_window, s}, e);
	if (rc == 0)
		rc = corpus_open(&c, o->corpus.item, o->corpus.n, &rules, e);
	if (rc == 0)
		rc = read_documents(c, &cut, t, e);
	if (rc == 0 && s->n_tokens == 0)
		rc = err_arg(e, ERR_ARG, "corpus",
			"%s: not one window of text to try the rules on",
			o->corpus.item[0]);
	corpus_close(c);
	cutter_clear(&cut);
	return rc;
}

void
sample_clear(struct sample *s)
{
	mem_free(s->id);
	mem_free(s->window_start);
	*s = (struct sample){0};
}
