/* SPDX-License-Identifier: ISC */
#include "indexer/reuse.h"

#include "analysis/recorded.h"
#include "indexer/provenance.h"
#include "indexer/stop.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define DOCUMENTS_EACH 64 /* read at a time */

/* What is looked for. */
struct search {
	struct reuse *r;
	const struct plan *plan;
	const struct plan_group *group;
	const struct cat_cut *cut;
	const struct spool *spool;
	const struct windows *windows;
	const struct store_catalog *catalog;
};

/* ---- which runs come into question -------------------------------------------------- */

static const struct plan_sae *
sae_of(const struct search *x, uint32_t i)
{
	return &x->plan->sae[x->group->sae[i]];
}

/* Each of the group's SAEs, of all features, in whatever slot. */
static bool
has_saes(struct search *x, const struct cat_run *run)
{
	for (uint32_t i = 0; i < x->group->n_saes; i++) {
		uint32_t slot = 0;

		for (; slot < run->n_saes; slot++) {
			const struct cat_sae *s = &x->catalog->sae[run->sae[slot].sae];

			if (strcmp(s->id, sae_of(x, i)->id) == 0 &&
				strcmp(s->hook, sae_of(x, i)->stream) == 0)
				break;
		}
		if (slot == run->n_saes || !cat_sought_all(x->catalog, &run->sae[slot]))
			return false;
		x->r->run.slot[i] = slot;
	}
	return true;
}

/* Computed by this format, by the model, of the same positions. */
static int
same_settings(const struct search *x, const struct cat_run *run, bool *same,
	struct err *e)
{
	const struct value *v, *special;
	struct arena arena;
	uint64_t format = 0;
	int rc;

	arena_init(&arena, 0);
	rc = value_parse_json(&v, run->provenance, strlen(run->provenance), &arena, e);
	if (rc == 0) {
		struct err ignored = ERR_INIT;

		special = value_get(v, "options");
		special = special != NULL ? value_get(special, "count_special") : NULL;
		*same = value_get(v, "elsewhere") == NULL &&
			recorded_u64(v, "format", &format, &ignored) == 0 &&
			format == RUN_FORMAT && special != NULL &&
			special->type == VALUE_BOOL &&
			special->boolean == x->plan->options->count_special;
	}
	arena_clear(&arena);
	return rc;
}

static int
fits(struct search *x, const struct cat_run *run, bool *yes, struct err *e)
{
	const struct cat_cut *a = &x->catalog->cut[run->cut], *b = x->cut;

	*yes = strcmp(x->catalog->model[run->model].weights_sha256,
		       x->plan->weights_sha256) == 0 &&
		strcmp(a->tokenizer_sha256, b->tokenizer_sha256) == 0 &&
		a->context == b->context && a->prepend_bos == b->prepend_bos &&
		a->bos == b->bos && !a->joined && a->n_documents <= b->n_documents &&
		a->n_windows <= b->n_windows && has_saes(x, run);
	return *yes ? same_settings(x, run, yes, e) : 0;
}

/* 0 where it lacks some that are needed. */
static int
load_sums(struct search *x, struct err *e)
{
	for (uint32_t i = 0; i < x->group->n_saes; i++) {
		const struct sae_info *info = &sae_of(x, i)->sae->info;
		struct store_value v;

		if (info->cross_layer)
			continue;
		if (store_sums(x->r->view, x->r->run.run, x->r->run.slot[i], &v, e) < 0)
			return e->code;
		if (v.p == NULL)
			return 0;
		if (sums_load(&x->r->sums[i], v.p, v.n_bytes, info->d_out, e) < 0)
			return e->code;
	}
	return 1;
}

static void
forget(struct reuse *r)
{
	for (uint32_t i = 0; i < LIMIT_SAES; i++)
		sums_clear(&r->sums[i]);
	stored_clear(&r->stored);
	r->n_windows = 0;
	r->cat = NULL;
}

/* ---- whose windows ------------------------------------------------------------------------ */

/* Two lists of documents by hash, side by side. */
struct match {
	const struct search *x;
	uint32_t number, window; /* of the new document at hand, and its first window */
};

static uint32_t
document_of(const struct windows *windows, uint32_t window)
{
	struct rec_window w;

	windows_get(windows, window, &w);
	return w.n_segments > 0 ? w.segment[0].document : UINT32_MAX;
}

/* Windows of the document at hand. */
static uint32_t
n_windows_of(const struct match *m)
{
	uint32_t n = 0;

	while (m->window + n < m->x->cut->n_windows &&
		document_of(m->x->windows, m->window + n) == m->number)
		n++;
	return n;
}

static int
compare(const struct match *m, const char *hash)
{
	char mine[SPOOL_HASH_BYTES * 2 + 1];

	hash_hex(m->x->spool->doc[m->number].hash, SPOOL_HASH_BYTES, mine);
	return strcmp(mine, hash);
}

/* The old document among the new ones from the one at hand on: 1, or 0. */
static int
place(struct match *m, const struct store_document *d)
{
	struct reuse *r = m->x->r;

	for (; m->number < m->x->cut->n_documents; m->number++) {
		uint32_t n = n_windows_of(m);
		int order = compare(m, d->hash);

		if (order > 0 || (order == 0 && n != d->n_windows))
			return 0;
		for (uint32_t i = 0; order == 0 && i < n; i++)
			r->stored.window[m->window + i] = d->first_window + i;
		m->window += n;
		if (order == 0) {
			r->n_windows += n;
			m->number++;
			return 1;
		}
	}
	return 0;
}

/* 1: all documents of the run are among the new ones. */
static int
place_all(const struct search *x, const struct cat_run *run, struct err *e)
{
	struct store_document d[DOCUMENTS_EACH];
	uint32_t n, all = x->catalog->cut[run->cut].n_documents;
	struct match m = {.x = x};
	struct arena arena;
	int rc = 1;

	arena_init(&arena, 0);
	for (uint32_t at = 0; at < all && rc == 1; at += n) {
		arena_reset(&arena);
		if (store_documents(x->r->view, run->cut, at, NULL, NULL,
			    DOCUMENTS_EACH, d, &n, &arena, e) < 0 ||
			stop_check(e) < 0)
			rc = e->code;
		else if (n == 0)
			rc = 0;
		for (uint32_t i = 0; i < n && rc == 1; i++)
			rc = place(&m, &d[i]);
	}
	arena_clear(&arena);
	return rc;
}

/* ---- the search --------------------------------------------------------------------------- */

/* 1: the run's windows are taken. */
static int
try(struct search *x, uint32_t i, struct err *e)
{
	const struct cat_run *run = &x->catalog->run[i];
	struct reuse *r = x->r;
	bool yes;
	int rc;

	if (fits(x, run, &yes, e) < 0)
		return e->code;
	if (!yes)
		return 0;
	r->run.view = r->view;
	r->run.run = i;
	rc = load_sums(x, e);
	if (rc == 1)
		rc = stored_init(&r->stored, &r->run, x->cut->n_windows, e) < 0
			? e->code
			: place_all(x, run, e);
	if (rc != 1)
		forget(r);
	else
		r->cat = run;
	return rc;
}

/* Runs that are larger first; of these the newest. A run that cannot be read is no
 * reason not to index. */
static int
search(struct search *x, struct err *e)
{
	const struct store_catalog *c = x->catalog;
	uint32_t most = UINT32_MAX;

	for (uint32_t left = c->n_runs; left > 0 && x->r->cat == NULL;) {
		uint32_t next = 0;

		for (uint32_t i = 0; i < c->n_runs; i++) {
			uint32_t n = c->cut[c->run[i].cut].n_windows;

			next = n < most && n > next ? n : next;
		}
		most = next;
		for (uint32_t i = c->n_runs; i-- > 0 && x->r->cat == NULL;) {
			struct err mine = ERR_INIT;

			if (c->cut[c->run[i].cut].n_windows != most)
				continue;
			left--;
			if (try(x, i, &mine) >= 0)
				continue;
			forget(x->r);
			if (mine.code != ERR_CORRUPT && mine.code != ERR_VERSION) {
				*e = mine;
				return e->code;
			}
			log_put(LOG_WARNING, "run %u is not reused: %s",
				c->run[i].number, mine.text);
		}
		if (most == 0)
			break;
	}
	return 0;
}

int
reuse_find(struct reuse *r, struct store *s, const char *id, const struct plan *p,
	const struct plan_group *g, const struct cat_cut *cut,
	const struct spool *spool, const struct windows *windows, struct err *e)
{
	struct search x = {r, p, g, cut, spool, windows, NULL};

	*r = (struct reuse){.n_saes = g->n_saes};
	if (cut->joined)
		return 0;
	if (store_view_open(&r->view, s, e) < 0)
		return e->code;
	x.catalog = store_view_catalog(r->view);
	for (uint32_t i = 0; i < x.catalog->n_runs; i++)
		if (strcmp(x.catalog->run[i].id, id) == 0)
			return 0;
	if (search(&x, e) < 0)
		return e->code;
	if (r->cat == NULL)
		return 0;
	for (uint32_t i = 0; i < g->n_saes; i++)
		r->d_sae[i] = sae_of(&x, i)->sae->info.d_sae;
	r->run.name = "the run that is reused (--fresh does without)";
	r->stored.windows = windows;
	r->stored.d_sae = r->d_sae;
	r->source = stored_source(&r->stored, true);
	return 0;
}

void
reuse_clear(struct reuse *r)
{
	forget(r);
	store_view_close(r->view);
	r->view = NULL;
}

uint64_t
reuse_n_tokens(const struct reuse *r, uint32_t first)
{
	const struct windows *w = r->stored.windows;
	uint64_t n = 0;

	for (uint32_t i = first; r->cat != NULL && i < r->stored.n_windows; i++)
		if (r->stored.window[i] != STORED_NONE)
			n += w->token_at[i + 1] - w->token_at[i];
	return n;
}
