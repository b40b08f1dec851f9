/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QUERY_BYTES 4096
#define SKIP_MOST 10000u
#define SNIPPET_BYTES ((size_t)160)

static const char stored_sql[] =
	"SELECT " LABEL_COLUMNS ", sum, id, rank FROM"
	" (SELECT rowid AS at, rank FROM label_text(?1)) JOIN label ON id=at"
	" ORDER BY source<>'person', rank, id";
static const char keyword_sql[] =
	"SELECT rowid, rank FROM keyword_text(?1) ORDER BY rank, rowid LIMIT ?2";
static const char keyword_text_sql[] = "SELECT text FROM keyword WHERE feature=?1";
static const char text_sql[] = "SELECT rowid, rank FROM window_text(?1) ORDER BY rank, "
			       "rowid LIMIT ?2 OFFSET ?3";

/* ---- queries --------------------------------------------------------------- */

struct query {
	const char *text; /* as it was given */
	struct buf
		words; /* each word of it as a phrase, for when that makes no sense */
	bool plain; /* it did not */
};

static bool
is_word_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* The next run of letters and digits at or behind *p; its length, 0 at the end. */
static size_t
next_word(const char **p)
{
	size_t n = 0;

	while (**p != '\0' && !is_word_byte(**p))
		++*p;
	while (is_word_byte((*p)[n]))
		n++;
	return n;
}

static int
query_init(struct query *q, const char *text, uint32_t skip, struct err *e)
{
	size_t n;

	*q = (struct query){.text = text};
	buf_init(&q->words);
	if (strlen(text) > QUERY_BYTES)
		return err_arg(e, ERR_LIMIT, "query", "a query has at most %d bytes",
			QUERY_BYTES);
	if (skip > SKIP_MOST)
		return err_arg(e, ERR_LIMIT, "skip", "at most %u rows can be skipped",
			SKIP_MOST);
	for (const char *p = text; (n = next_word(&p)) > 0; p += n) {
		buf_puts(&q->words, "\"");
		buf_put(&q->words, p, n);
		buf_puts(&q->words, "\" ");
	}
	if (buf_str(&q->words) == NULL) {
		buf_clear(&q->words);
		return err_set(e, ERR_NOMEM, "no memory for a query");
	}
	return 0;
}

/* The first step of a statement whose ?1 is the query. Where FTS5 cannot parse it,
 * its words are searched instead; nothing is found where it has none. */
static int
query_step(struct query *q, struct stmt *s, struct err *e)
{
	struct err first = ERR_INIT;
	int rc;

	if (q->words.n_bytes == 0)
		return 0;
	stmt_str(s, 1, q->plain ? (char *)q->words.data : q->text);
	rc = stmt_step(s, &first);
	if (rc >= 0)
		return rc;
	if (q->plain || !stmt_bad_query(s)) {
		if (e != NULL)
			*e = first;
		return rc;
	}
	q->plain = true;
	stmt_str(s, 1, (char *)q->words.data);
	return stmt_step(s, e);
}

/* ---- labels ---------------------------------------------------------------- */

struct hunt {
	struct store_view *v;
	struct query q;
	const struct store_scope *scope;
	size_t n_scopes;
	uint32_t skip, limit;
	uint32_t n_seen; /* rows so far, those skipped included */
	struct store_found *out;
	uint32_t n;
	struct arena *arena;
};

static const struct cat_sae *
sae_of(const struct hunt *h, size_t scope)
{
	const struct store_catalog *c = &h->v->gen->catalog;

	return &c->sae[c->run[h->scope[scope].run].sae[h->scope[scope].slot].sae];
}

/* A stored label, for each scope that has its SAE. */
static void
found_label(struct hunt *h, const struct store_label *l, double rank)
{
	for (size_t i = 0; i < h->n_scopes && h->n < h->limit; i++) {
		if (memcmp(sae_of(h, i)->hash, l->sae_hash, sizeof(l->sae_hash)) != 0 ||
			h->n_seen++ < h->skip)
			continue;
		h->out[h->n++] = (struct store_found){
			.run = h->scope[i].run,
			.slot = h->scope[i].slot,
			.feature = l->feature,
			.rank = -rank,
			.text = l->text,
			.source = l->source,
		};
	}
}

static int
hunt_stored(struct hunt *h, struct err *e)
{
	struct store_label label;
	struct stmt *s;
	struct db *db;
	int rc = view_labels(h->v, &db, e);

	if (rc == 0)
		rc = db_prepare(db, &s, stored_sql, e);
	if (rc != 0)
		return rc;
	for (rc = query_step(&h->q, s, e); rc == 1 && h->n < h->limit;
		rc = stmt_step(s, e)) {
		int got = label_row(s, &label, h->arena, e);

		if (got != 0) {
			stmt_reset(s);
			return got;
		}
		found_label(h, &label, row_f64(s, LABEL_ID + 1));
	}
	stmt_reset(s);
	return rc < 0 ? rc : 0;
}

struct hit {
	double rank; /* FTS5's: lower is better */
	uint32_t scope, feature;
};

static int
better_first(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->scope != y->scope)
		return x->scope < y->scope ? -1 : 1;
	return x->feature < y->feature ? -1 : x->feature > y->feature;
}

/* At most limit keyword labels of one scope that match, best first. */
static int
keyword_hits(struct hunt *h, uint32_t scope, uint32_t limit, struct hit *hit, size_t *n,
	struct err *e)
{
	const struct store_scope *x = &h->scope[scope];
	struct stmt *s;
	struct db *db;
	uint32_t i = 0;
	int rc = view_db(h->v, KIND_RUN, x->run, FILE_FEATURE_DB, x->slot, &db, e);

	if (rc == 0)
		rc = db_prepare(db, &s, keyword_sql, e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 2, limit);
	for (rc = query_step(&h->q, s, e); rc == 1 && i < limit;
		rc = stmt_step(s, e), i++)
		hit[(*n)++] =
			(struct hit){row_f64(s, 1), scope, (uint32_t)row_i64(s, 0)};
	stmt_reset(s);
	return rc < 0 ? rc : 0;
}

static int
found_keyword(struct hunt *h, const struct hit *hit, struct err *e)
{
	const struct store_scope *x = &h->scope[hit->scope];
	const char *text;
	struct stmt *s;
	struct db *db;
	int rc = view_db(h->v, KIND_RUN, x->run, FILE_FEATURE_DB, x->slot, &db, e);

	if (rc == 0)
		rc = db_prepare(db, &s, keyword_text_sql, e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, hit->feature);
	rc = stmt_step(s, e);
	if (rc < 0)
		return rc;
	text = arena_strndup(h->arena, rc == 1 ? row_str(s, 0) : "", SIZE_MAX);
	stmt_reset(s);
	if (text == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a label");
	h->out[h->n++] = (struct store_found){
		.run = x->run,
		.slot = x->slot,
		.feature = hit->feature,
		.rank = -hit->rank,
		.text = text,
		.source = LABEL_KEYWORDS,
	};
	return 0;
}

static int
hunt_keywords(struct hunt *h, struct err *e)
{
	uint32_t skip = h->skip > h->n_seen ? h->skip - h->n_seen : 0;
	uint32_t most = skip + (h->limit - h->n);
	size_t n = 0, n_all;
	struct hit *hit;
	int rc = 0;

	if (h->n == h->limit || !mem_mul(h->n_scopes, most, &n_all))
		return 0;
	hit = mem_new(n_all, sizeof(*hit));
	if (hit == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a search");
	for (uint32_t i = 0; rc == 0 && i < h->n_scopes; i++)
		rc = keyword_hits(h, i, most, hit, &n, e);
	if (rc == 0)
		qsort(hit, n, sizeof(*hit), better_first);
	for (size_t i = skip; rc == 0 && i < n && h->n < h->limit; i++)
		rc = found_keyword(h, &hit[i], e);
	mem_free(hit);
	return rc;
}

int
store_search_labels(struct store_view *v, const struct store_scope *scope,
	size_t n_scopes, const char *query, uint32_t skip, uint32_t limit,
	struct store_found *out, uint32_t *n_out, struct arena *arena, struct err *e)
{
	struct hunt h = {.v = v,
		.scope = scope,
		.n_scopes = n_scopes,
		.skip = skip,
		.limit = limit,
		.out = out,
		.arena = arena};
	int rc = query_init(&h.q, query, skip, e);

	*n_out = 0;
	for (size_t i = 0; rc == 0 && i < n_scopes; i++)
		rc = view_has_run(v, scope[i].run, scope[i].slot, e);
	if (rc == 0)
		rc = hunt_stored(&h, e);
	if (rc == 0)
		rc = hunt_keywords(&h, e);
	buf_clear(&h.q.words);
	*n_out = h.n;
	return rc;
}

/* ---- text ------------------------------------------------------------------ */

/* Where the query's first word that stands in the text begins; else 0. */
static size_t
find_word(const char *text, size_t n_text, const char *query)
{
	size_t n;

	for (const char *p = query; (n = next_word(&p)) > 0; p += n)
		for (size_t i = 0; i + n <= n_text; i++)
			if ((i == 0 || !is_word_byte(text[i - 1])) &&
				strncasecmp(text + i, p, n) == 0)
				return i;
	return 0;
}

static bool
inside_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Some of the window's text around the first match, cut between characters. */
static const char *
snippet(const char *text, size_t n_text, const char *query, struct arena *arena)
{
	size_t at = find_word(text, n_text, query);
	size_t from = at > SNIPPET_BYTES / 4 ? at - SNIPPET_BYTES / 4 : 0;
	size_t to = n_text - from > SNIPPET_BYTES ? from + SNIPPET_BYTES : n_text;

	while (from < n_text && inside_character(text[from]))
		from++;
	while (to > from && to < n_text && inside_character(text[to]))
		to--;
	return arena_strndup(arena, text + from, to - from);
}

static int
show_window(struct store_view *v, uint32_t cut, const char *query,
	struct store_found *found, struct arena *arena, struct err *e)
{
	struct store_place place = {TABLE_WINDOW, cut, 0};
	struct store_value x;
	struct rec_window w;
	struct buf shown;
	int rc = store_mget(v, place, &found->window, 1, &x, arena, e);

	if (rc == 0 && x.p == NULL)
		rc = err_set(e, ERR_CORRUPT, "the text index names window %u",
			found->window);
	if (rc == 0)
		rc = rec_window_unpack(&w, x.p, x.n_bytes, arena, e);
	if (rc != 0)
		return rc;
	buf_init(&shown);
	utf8_show(&shown, w.text, w.n_text_bytes);
	if (!shown.failed)
		found->text = snippet(shown.n_bytes > 0 ? (char *)shown.data : "",
			shown.n_bytes, query, arena);
	buf_clear(&shown);
	return found->text != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory for a text");
}

static int
text_hits(struct store_view *v, uint32_t cut, struct query *q, uint32_t skip,
	uint32_t limit, struct store_found *out, uint32_t *n, struct err *e)
{
	struct stmt *s;
	int rc = view_cut_stmt(v, cut, text_sql, &s, e);

	if (rc != 0)
		return rc;
	stmt_i64(s, 2, limit);
	stmt_i64(s, 3, skip);
	for (rc = query_step(q, s, e); rc == 1 && *n < limit; rc = stmt_step(s, e))
		out[(*n)++] =
			(struct store_found){.window = (uint32_t)(row_i64(s, 0) - 1),
				.rank = -row_f64(s, 1),
				.source = ""};
	stmt_reset(s);
	return rc < 0 ? rc : 0;
}

int
store_search_text(struct store_view *v, uint32_t cut, const char *query, uint32_t skip,
	uint32_t limit, struct store_found *out, uint32_t *n_out, struct arena *arena,
	struct err *e)
{
	struct query q;
	int rc = query_init(&q, query, skip, e);

	*n_out = 0;
	if (rc == 0)
		rc = view_has_cut(v, cut, e);
	if (rc == 0)
		rc = text_hits(v, cut, &q, skip, limit, out, n_out, e);
	buf_clear(&q.words);
	for (uint32_t i = 0; rc == 0 && i < *n_out; i++)
		rc = show_window(v, cut, query, &out[i], arena, e);
	return rc;
}
