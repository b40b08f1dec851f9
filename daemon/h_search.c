/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "util/hash.h"

#include <string.h>

/* A page of what a search found: rows [skip, skip + limit). */
struct page {
	const char *query;
	uint32_t limit,
		skip; /* limit: one more than asked, to see whether more follow */
	uint64_t check;
	struct store_found *found;
	uint32_t n;
	bool more;
};

#define MAX_SKIP 1000000 /* rows; nobody reads so far */

static int
page_begin(struct req *q, struct page *p, uint64_t check, struct cursor *c,
	struct err *e)
{
	int rc;

	*p = (struct page){
		.query = args_str(&q->args, "query"),
		.limit = (uint32_t)args_int(&q->args, "limit") + 1,
	};
	p->check = hash64(p->query, strlen(p->query), check);
	rc = cursor_read(q, p->check, c, e);
	if (rc < 0)
		return rc;
	if (c->index > MAX_SKIP)
		return err_arg(e, ERR_LIMIT, "cursor", "a search ends after %d rows",
			MAX_SKIP);
	p->skip = (uint32_t)c->index;
	p->found = req_alloc(q, p->limit, sizeof(*p->found), e);
	return p->found != NULL ? rc : ERR_NOMEM;
}

static void
page_cut(struct page *p)
{
	p->more = p->n == p->limit;
	p->n -= p->more;
}

static void
put_next(struct out *o, const struct page *p, const char *run_id)
{
	struct cursor c = {.check = p->check, .index = (uint64_t)p->skip + p->n};
	char text[CURSOR_CHARS];

	memcpy(c.run_id, run_id, strlen(run_id) + 1);
	cursor_write(&c, text);
	out_key_str(o, "next", text);
}

/* ---- labels --------------------------------------------------------------- */

/* The newest run of one SAE, or of each. */
static int
find_scopes(struct req *q, struct store_scope **out, size_t *n, struct err *e)
{
	struct store_scope *scope = req_alloc(q, q->cat->n_saes, sizeof(*scope), e);
	struct target t = {0};
	int rc;

	*n = 0;
	if (scope == NULL)
		return ERR_NOMEM;
	*out = scope;
	if (args_has(&q->args, "sae")) {
		rc = find_sae(q, "sae", &t, e);
		if (rc == 0)
			rc = find_newest(q, &t, e);
		scope[(*n)++] = (struct store_scope){t.run, t.slot};
		return rc;
	}
	for (uint32_t i = 0; i < q->cat->n_saes; i++) {
		struct err ignored = ERR_INIT;
		struct store_scope *s = &scope[*n];

		*n += cat_find_run(q->cat, i, "", &s->run, &s->slot, &ignored) == 0;
	}
	return 0;
}

static int
put_found(struct req *q, struct out *o, const struct store_found *f, struct err *e)
{
	const struct store_label label = {.text = f->text, .source = f->source};
	struct target t = {.run = f->run, .slot = f->slot, .index = f->feature};
	struct rec_feature record;
	struct feature_row row;
	int rc;

	t.r = &q->cat->run[f->run];
	t.rs = &t.r->sae[f->slot];
	t.sae = t.rs->sae;
	t.s = &q->cat->sae[t.sae];
	rc = read_feature(q, &t, f->feature, &record, e);
	if (rc < 0)
		return rc;
	put_row_of(&row, f->feature, &record, t.rs->n_tokens);
	out_map(o, PUT_ROW_PAIRS + 1);
	put_row(o, &t, &row, &label);
	out_key_f64(o, "rank", f->rank);
	out_end(o);
	return 0;
}

int
h_label_search(struct req *q, struct out *o, struct err *e)
{
	struct store_scope *scope;
	struct cursor c;
	struct page p;
	size_t n_scopes;
	int rc = find_scopes(q, &scope, &n_scopes, e);

	if (rc == 0)
		rc = page_begin(q, &p, 4, &c, e);
	if (rc >= 0)
		rc = store_search_labels(q->view, scope, n_scopes, p.query, p.skip,
			p.limit, p.found, &p.n, q->arena, e);
	if (rc < 0)
		return rc;
	page_cut(&p);
	put_head(o, q, p.more ? 2 : 1);
	out_key(o, "features");
	out_array(o, p.n);
	for (uint32_t i = 0; i < p.n && rc == 0; i++)
		rc = put_found(q, o, &p.found[i], e);
	if (rc < 0)
		return rc;
	out_end(o);
	if (p.more)
		put_next(o, &p, "");
	out_end(o);
	return 0;
}

/* ---- text ----------------------------------------------------------------- */

static int
put_window(struct req *q, struct out *o, uint32_t cut, const struct store_found *f,
	struct err *e)
{
	struct store_document d = {0};
	struct rec_window w;
	int rc = read_window(q, cut, f->window, &w, e);

	if (rc == 0 && w.n_segments > 0)
		rc = store_document(q->view, cut, w.segment[0].document, &d, q->arena,
			e);
	if (rc < 0)
		return rc;
	out_map(o, 4);
	out_key_uint(o, "window", f->window);
	out_key(o, "document");
	if (d.id != NULL)
		out_text(o, d.id, strlen(d.id));
	else
		out_nil(o);
	out_key(o, "snippet");
	out_text(o, f->text, strlen(f->text));
	out_key_f64(o, "rank", f->rank);
	out_end(o);
	return 0;
}

int
h_text_search(struct req *q, struct out *o, struct err *e)
{
	const struct cat_run *r;
	struct cursor c;
	struct page p;
	uint32_t run;
	int rc = page_begin(q, &p, 5, &c, e);

	if (rc >= 0)
		rc = rc == 1 ? cursor_run(q, &c, &run, e) : find_any_run(q, &run, e);
	if (rc < 0)
		return rc;
	r = &q->cat->run[run];
	rc = store_search_text(q->view, r->cut, p.query, p.skip, p.limit, p.found, &p.n,
		q->arena, e);
	if (rc < 0)
		return rc;
	page_cut(&p);
	put_head(o, q, p.more ? 3 : 2);
	out_key_uint(o, "run", r->number);
	out_key(o, "windows");
	out_array(o, p.n);
	for (uint32_t i = 0; i < p.n && rc == 0; i++)
		rc = put_window(q, o, r->cut, &p.found[i], e);
	if (rc < 0)
		return rc;
	out_end(o);
	if (p.more)
		put_next(o, &p, r->id);
	out_end(o);
	return 0;
}
