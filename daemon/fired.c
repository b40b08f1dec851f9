/* SPDX-License-Identifier: ISC */
/* Where things are in windows: a feature's activations, a document's windows. */
#include "daemon/req.h"

/* Leaves out special tokens, which are stored and shown but stay out of every
 * statistic unless the run counted them. */
static int
drop_special(struct req *q, const struct target *t, const struct rec_window *w,
	struct rec_at *at, uint32_t *n, struct err *e)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < *n; i++) {
		struct store_token token;
		int rc = vocab_get(q->vocab, q->view, t->r->cut,
			&w->token[at[i].offset], 1, &token, q->arena, e);

		if (rc < 0)
			return rc;
		if (!token.special)
			at[kept++] = at[i];
	}
	*n = kept;
	return 0;
}

int
read_fired(struct req *q, const struct target *t, const struct rec_posting *p,
	struct rec_window *w, const struct rec_at **out, uint32_t *n, struct err *e)
{
	struct rec_acts acts;
	struct rec_at *at;
	int rc = read_window(q, t->r->cut, p->window, w, e);

	if (rc == 0)
		rc = store_acts(q->view, t->run, t->slot, p->window, 0, w->n_tokens,
			&acts, q->arena, e);
	if (rc < 0)
		return rc;
	at = req_alloc(q, acts.n_tokens, sizeof(*at), e);
	if (at == NULL)
		return ERR_NOMEM;
	*n = 0;
	for (uint32_t i = 0; i < acts.n_tokens; i++) {
		const float *v = acts_value(&acts, i, t->index);

		if (v != NULL)
			at[(*n)++] = (struct rec_at){i, *v};
	}
	*out = at;
	return *n == p->n_fired ? 0 : drop_special(q, t, w, at, n, e);
}

/* The documents that a window touches, first and last. */
static int
window_documents(struct req *q, uint32_t cut, uint32_t window, uint32_t *first,
	uint32_t *last, struct err *e)
{
	struct arena *mine = q->arena, scratch;
	struct rec_window w;
	int rc;

	arena_init(&scratch, DAEMON_ARENA_BYTES);
	q->arena = &scratch;
	rc = read_window(q, cut, window, &w, e);
	if (rc == 0 && w.n_segments == 0)
		rc = err_set(e, ERR_CORRUPT, "window %u is of no document", window);
	if (rc == 0) {
		*first = w.segment[0].document;
		*last = w.segment[w.n_segments - 1].document;
	}
	q->arena = mine;
	arena_clear(&scratch);
	return rc;
}

int
find_windows(struct req *q, uint32_t cut, struct store_document *d, struct err *e)
{
	uint32_t lo = 0, hi = q->cat->cut[cut].n_windows, first, last;
	int rc = 0;

	if (d->n_windows > 0 || !q->cat->cut[cut].joined)
		return 0;
	while (lo < hi) { /* the first window whose last document is d or behind it */
		uint32_t mid = lo + (hi - lo) / 2;

		rc = window_documents(q, cut, mid, &first, &last, e);
		if (rc < 0)
			return rc;
		if (last < d->number)
			lo = mid + 1;
		else
			hi = mid;
	}
	d->first_window = lo;
	for (; lo < q->cat->cut[cut].n_windows; lo++) {
		rc = window_documents(q, cut, lo, &first, &last, e);
		if (rc < 0 || first > d->number)
			return rc;
		d->n_windows++;
	}
	return 0;
}
