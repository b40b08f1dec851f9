/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include <string.h>

/* What the arguments ask for. */
struct asked {
	int64_t interval; /* -2 all, -1 the best, else one */
	uint32_t limit, context;
	bool raw;
};

/* Whether an example is asked for; no more than limit of each group. */
static bool
wanted(const struct asked *a, const struct rec_example *x, uint32_t taken[])
{
	uint32_t group = x->interval < LIMIT_INTERVALS ? x->interval : LIMIT_INTERVALS;

	if (a->interval == -1 && group != LIMIT_INTERVALS)
		return false;
	if (a->interval >= 0 && group != (uint32_t)a->interval)
		return false;
	return taken[group]++ < a->limit;
}

/* Keeps those asked for, in place of a copy. */
static int
choose(struct req *q, const struct asked *a, struct rec_examples *all, struct err *e)
{
	uint32_t taken[LIMIT_INTERVALS + 1] = {0}, n = 0;
	struct rec_example *x = req_alloc(q, all->n_examples, sizeof(*x), e);

	if (x == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < all->n_examples; i++)
		if (wanted(a, &all->example[i], taken))
			x[n++] = all->example[i];
	*all = (struct rec_examples){.example = x, .n_examples = n};
	return 0;
}

static int
read_examples(struct req *q, const struct target *t, const struct asked *a,
	struct rec_examples *out, struct err *e)
{
	struct store_place place = {TABLE_EXAMPLES, t->run, t->slot};
	struct store_value v;
	int rc = store_mget(q->view, place, &t->index, 1, &v, q->arena, e);

	*out = (struct rec_examples){0};
	if (rc < 0 || v.p == NULL)
		return rc;
	rc = rec_examples_unpack(out, v.p, v.n_bytes, q->arena, e);
	return rc < 0 ? rc : choose(q, a, out, e);
}

static void
put_values(struct out *o, const struct rec_example *x, uint32_t first, uint32_t n)
{
	uint32_t at = 0;

	out_key(o, "values");
	out_array(o, n);
	for (uint32_t i = first; i < first + n; i++) {
		while (at < x->n_at && x->at[at].offset < i)
			at++;
		out_f32(o, at < x->n_at && x->at[at].offset == i ? x->at[at].value : 0);
	}
	out_end(o);
}

/* Where the tokens of an example are. */
struct place {
	const char *document; /* its id; NULL = of none */
	uint64_t start, end; /* the peak's bytes in it */
	uint32_t first, n; /* tokens of the window that are shown */
	struct piece *piece; /* (n) */
	struct buf patches; /* owned */
};

/* Which tokens are shown: context on either side, and all of an image. */
static int
find_tokens(struct req *q, const struct target *t, const struct asked *a,
	const struct rec_example *x, const struct rec_window *w, struct place *at,
	struct err *e)
{
	uint32_t end = w->n_tokens - x->offset > a->context ? x->offset + a->context + 1
							    : w->n_tokens;
	int rc;

	at->first = x->offset > a->context ? x->offset - a->context : 0;
	rc = widen_to_image(q, t->r->cut, x->window, x->offset, &at->first, &end, e);
	if (end > w->n_tokens)
		end = w->n_tokens;
	at->n = end - at->first;
	if (rc == 0)
		rc = read_patches(q, t->r->cut, x->window, at->first, at->n,
			&at->patches, e);
	return rc < 0 ? rc
		      : read_pieces(q, t->r->cut, w, at->first, at->n, &at->piece, e);
}

static int
find_place(struct req *q, const struct target *t, const struct asked *a,
	const struct rec_example *x, struct place *at, struct err *e)
{
	const struct rec_segment *segment;
	struct store_document d = {0};
	struct rec_window w;
	int rc = read_window(q, t->r->cut, x->window, &w, e);

	if (rc < 0)
		return rc;
	if (x->offset >= w.n_tokens)
		return err_set(e, ERR_CORRUPT,
			"an example of %s/%u lies outside window %u", t->s->name,
			t->index, x->window);
	rc = find_tokens(q, t, a, x, &w, at, e);
	segment = window_segment(&w, x->offset);
	if (rc == 0 && segment != NULL)
		rc = store_document(q->view, t->r->cut, segment->document, &d, q->arena,
			e);
	if (rc < 0)
		return rc;
	at->document = d.id;
	at->start = window_doc_byte(&w, x->offset, w.text_start[x->offset]);
	at->end = window_doc_byte(&w, x->offset, w.text_end[x->offset]);
	return 0;
}

static int
put_example(struct req *q, struct out *o, uint32_t cut, const struct rec_example *x,
	const struct place *at, bool raw, struct err *e)
{
	int rc;

	out_map(o, 10 + N_PATCH_PAIRS(&at->patches));
	out_key_uint(o, "window", x->window);
	out_key_uint(o, "offset", x->offset);
	out_key_f32(o, "value", x->value);
	out_key_int(o, "interval",
		x->interval < LIMIT_INTERVALS ? (int)x->interval : -1);
	out_key(o, "document");
	if (at->document != NULL)
		out_text(o, at->document, strlen(at->document));
	else
		out_nil(o);
	out_key_uint(o, "start", at->start);
	out_key_uint(o, "end", at->end);
	out_key(o, "tokens");
	out_array(o, at->n);
	for (uint32_t i = 0; i < at->n; i++)
		put_bytes(o, at->piece[i].p, at->piece[i].n_bytes, raw);
	out_end(o);
	out_key_uint(o, "first", at->first);
	put_values(o, x, at->first, at->n);
	rc = put_patches(q, o, cut, &at->patches, false, e);
	if (rc == 0)
		out_end(o);
	return rc;
}

static int
example(struct req *q, struct out *o, const struct target *t, const struct asked *a,
	const struct rec_example *x, struct err *e)
{
	struct place at = {0};
	int rc;

	buf_init(&at.patches);
	rc = find_place(q, t, a, x, &at, e);
	if (rc == 0)
		rc = put_example(q, o, t->r->cut, x, &at, a->raw, e);
	buf_clear(&at.patches);
	return rc;
}

int
h_feature_examples(struct req *q, struct out *o, struct err *e)
{
	const struct asked a = {
		.interval = args_int(&q->args, "interval"),
		.limit = (uint32_t)args_int(&q->args, "limit"),
		.context = (uint32_t)args_int(&q->args, "context"),
		.raw = args_bool(&q->args, "raw"),
	};
	struct rec_examples found;
	struct rec_feature f;
	struct target t;
	int rc = find_feature_run(q, &t, e);

	if (rc == 0)
		rc = read_feature(q, &t, t.index, &f, e);
	if (rc == 0)
		rc = read_examples(q, &t, &a, &found, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &t, 3);
	out_key_f32(o, "max", f.max);
	out_key(o, "intervals");
	out_array(o, LIMIT_INTERVALS);
	for (size_t i = 0; i < LIMIT_INTERVALS; i++)
		out_uint(o, f.interval[i]);
	out_end(o);
	out_key(o, "examples");
	out_array(o, found.n_examples);
	for (uint32_t i = 0; i < found.n_examples && rc == 0; i++)
		rc = example(q, o, &t, &a, &found.example[i], e);
	if (rc < 0)
		return rc;
	out_end(o);
	out_end(o);
	return 0;
}
