/* SPDX-License-Identifier: ISC */
/*
 * The shards' documents in the order of one run, by their hashes, so each shard is read
 * from front to back: once to know what the whole is called, once to write it.
 */
#include "indexer/merge_int.h"

#include "indexer/stop.h"
#include "util/hash.h"
#include "util/mem.h"

#include <string.h>
#include <time.h>

#define DOCUMENTS_EACH 64 /* read at a time */
#define WINDOWS_EACH 64
#define TOKENS_EACH 1024
#define HASH_DIGITS 32

/* One shard's documents. */
struct docs {
	const struct merge_shard *shard;
	struct arena arena;
	struct store_document d[DOCUMENTS_EACH];
	uint32_t n, i; /* of d; the one at hand */
	uint32_t next; /* the first that is not in d */
	uint32_t n_windows; /* of documents before the one at hand */
	char last[HASH_DIGITS + 1]; /* the hash before */
	struct sha256 sha;
};

/* All shards', and what was made of them so far. */
struct whole {
	struct merging *g;
	struct docs *docs; /* (g->n) */
	struct sha256 sha;
	struct cut_writer *writer; /* NULL: the store has the cut */
	struct arena arena;
	uint32_t n_documents, n_windows;
};

/* ---- one shard ------------------------------------------------------------------- */

static int
damaged(const struct merge_shard *s, const char *why, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s: %s", s->name, why);
}

/* The next document is at hand, unless it was the last. */
static int
fill(struct docs *x, struct err *e)
{
	const struct merge_shard *s = x->shard;
	uint32_t left = s->cut->n_documents - x->next;

	x->n = x->i = 0;
	arena_reset(&x->arena);
	if (left == 0)
		return 0;
	if (store_documents(s->in->view, s->cat->cut, x->next, NULL, NULL,
		    left < DOCUMENTS_EACH ? left : DOCUMENTS_EACH, x->d, &x->n,
		    &x->arena, e) < 0)
		return e->code;
	if (x->n == 0 || x->d[0].number != x->next)
		return damaged(s, "a document is missing", e);
	x->next += x->n;
	return 0;
}

/* Numbers and windows are those of a cut by document. */
static int
check(struct docs *x, struct err *e)
{
	const struct store_document *d = &x->d[x->i];
	uint32_t number = x->next - x->n + x->i;

	if (strlen(d->hash) != HASH_DIGITS || strcmp(d->hash, x->last) < 0 ||
		d->number != number || d->first_window != x->n_windows ||
		d->n_windows > x->shard->cut->n_windows - x->n_windows)
		return err_set(e, ERR_MISMATCH,
			"%s cannot be merged: its windows are not those of its "
			"documents, one after another, as of a corpus of texts; index "
			"the whole corpus in one run",
			x->shard->name);
	return 0;
}

static void
start(struct whole *w)
{
	for (uint32_t i = 0; i < w->g->n; i++) {
		struct docs *x = &w->docs[i];

		x->shard = &w->g->shard[i];
		x->n = x->i = x->next = x->n_windows = 0;
		x->last[0] = '\0';
	}
	w->n_documents = w->n_windows = 0;
}

/* ---- in the order of the whole ------------------------------------------------------- */

/* The shard whose document comes next, copies by the order of shards (they are alike in
 * all); g->n: there is none. */
static int
next_shard(struct whole *w, uint32_t *out, struct err *e)
{
	*out = w->g->n;
	for (uint32_t i = 0; i < w->g->n; i++) {
		struct docs *x = &w->docs[i];

		if (x->i == x->n) {
			if (fill(x, e) < 0)
				return e->code;
			if (x->n > 0 && check(x, e) < 0)
				return e->code;
		}
		if (x->n > 0 &&
			(*out == w->g->n ||
				strcmp(x->d[x->i].hash,
					w->docs[*out].d[w->docs[*out].i].hash) < 0))
			*out = i;
	}
	return 0;
}

static int
step(struct docs *x, struct err *e)
{
	memcpy(x->last, x->d[x->i].hash, sizeof(x->last));
	x->n_windows += x->d[x->i].n_windows;
	x->i++;
	return x->i < x->n ? check(x, e) : 0;
}

static int
each_document(struct whole *w,
	int (*fn)(struct whole *w, uint32_t shard, const struct store_document *d,
		struct err *e),
	struct err *e)
{
	uint32_t i, all = w->g->cut.n_documents;

	start(w);
	for (;;) {
		if (next_shard(w, &i, e) < 0)
			return e->code;
		if (i == w->g->n)
			break;
		if (fn(w, i, &w->docs[i].d[w->docs[i].i], e) < 0 ||
			step(&w->docs[i], e) < 0)
			return e->code;
		w->n_documents++;
		if (w->n_documents % 256 == 0) {
			progress_cut(&w->g->m->progress, w->n_documents, all);
			if (stop_check(e) < 0)
				return e->code;
		}
	}
	for (i = 0; i < w->g->n; i++)
		if (w->docs[i].n_windows != w->g->shard[i].cut->n_windows)
			return damaged(&w->g->shard[i],
				"documents have fewer windows than there are", e);
	return 0;
}

/* ---- what it is called --------------------------------------------------------------- */

static int
digit(char c)
{
	return c >= '0' && c <= '9'    ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
				       : -1;
}

static int
hash_document(struct whole *w, uint32_t shard, const struct store_document *d,
	struct err *e)
{
	uint8_t hash[HASH_DIGITS / 2];

	for (size_t i = 0; i < sizeof(hash); i++) {
		int high = digit(d->hash[2 * i]), low = digit(d->hash[2 * i + 1]);

		if (high < 0 || low < 0)
			return damaged(w->docs[shard].shard,
				"a document's hash is none", e);
		hash[i] = (uint8_t)(high << 4 | low);
	}
	sha256_update(&w->docs[shard].sha, hash, sizeof(hash));
	sha256_update(&w->sha, hash, sizeof(hash));
	return 0;
}

/* A shard's corpus is its documents and nothing else, as its catalogue says. */
static int
check_corpus(const struct docs *x, const uint8_t hash[32], struct err *e)
{
	char hex[65];

	hash_hex(hash, 32, hex);
	if (strcmp(hex, x->shard->cut->corpus_sha256) == 0)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"%s cannot be merged: its windows came as they are (token ids), they "
		"were not cut from texts; index the whole corpus in one run",
		x->shard->name);
}

static int
hash_all(struct whole *w, struct err *e)
{
	uint8_t hash[32];
	uint32_t n = 0;
	int rc = sha256_init(&w->sha, e);

	if (rc < 0)
		return rc;
	for (; n < w->g->n && rc == 0; n++)
		rc = sha256_init(&w->docs[n].sha, e);
	if (rc < 0)
		n--;
	if (rc == 0)
		rc = each_document(w, hash_document, e);
	for (uint32_t i = 0; i < n; i++) {
		sha256_final(&w->docs[i].sha, hash);
		if (rc == 0)
			rc = check_corpus(&w->docs[i], hash, e);
	}
	sha256_final(&w->sha, hash);
	hash_hex(hash, sizeof(hash), w->g->cut.corpus_sha256);
	return rc;
}

static int
add_up(struct merging *g, struct err *e)
{
	const char *name = g->m->options->corpus_name;
	uint64_t n_documents = 0, n_windows = 0;

	g->cut = *g->shard[0].cut;
	g->cut.created_s = (int64_t)time(NULL);
	g->cut.n_tokens = g->cut.n_bytes = 0;
	if (name != NULL) {
		memset(g->cut.name, 0, sizeof(g->cut.name));
		memcpy(g->cut.name, name, strnlen(name, sizeof(g->cut.name) - 1));
	}
	for (uint32_t i = 0; i < g->n; i++) {
		const struct cat_cut *c = g->shard[i].cut;

		n_documents += c->n_documents;
		n_windows += c->n_windows;
		g->cut.n_tokens += c->n_tokens;
		g->cut.n_bytes += c->n_bytes;
	}
	if (n_documents > UINT32_MAX || n_windows >= STORED_NONE)
		return err_set(e, ERR_LIMIT,
			"together they have %llu documents and %llu windows; one run "
			"has at most %u",
			(unsigned long long)n_documents, (unsigned long long)n_windows,
			STORED_NONE - 1);
	g->cut.n_documents = (uint32_t)n_documents;
	g->cut.n_windows = (uint32_t)n_windows;
	return 0;
}

/* ---- writing --------------------------------------------------------------------------- */

/* The same window of a document with another number. */
static int
write_window(struct whole *w, const struct store_value *v, struct err *e)
{
	struct rec_segment *segment;
	struct rec_window r;

	if (v->p == NULL)
		return err_set(e, ERR_CORRUPT, "a window is missing");
	if (rec_window_unpack(&r, v->p, v->n_bytes, &w->arena, e) < 0)
		return e->code;
	segment = arena_alloc(&w->arena, r.n_segments, sizeof(*segment));
	if (segment == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a window");
	for (uint32_t i = 0; i < r.n_segments; i++) {
		segment[i] = r.segment[i];
		segment[i].document = w->n_documents;
	}
	r.segment = segment;
	return cut_writer_window(w->writer, &r, e);
}

static int
write_windows(struct whole *w, uint32_t shard, uint32_t first, uint32_t n,
	struct err *e)
{
	const struct merge_shard *s = &w->g->shard[shard];
	struct store_place place = {TABLE_WINDOW, s->cat->cut, 0};
	struct store_value value[WINDOWS_EACH];
	uint32_t id[WINDOWS_EACH];

	for (uint32_t i = 0; i < n; i++)
		id[i] = first + i;
	arena_reset(&w->arena);
	if (store_mget(s->in->view, place, id, n, value, &w->arena, e) < 0)
		return err_wrap(e, "%s", s->name);
	for (uint32_t i = 0; i < n; i++)
		if (write_window(w, &value[i], e) < 0)
			return err_wrap(e, "%s", s->name);
	return 0;
}

static int
write_document(struct whole *w, uint32_t shard, const struct store_document *d,
	struct err *e)
{
	struct store_document out = *d;

	for (uint32_t i = 0; i < d->n_windows; i++) {
		w->g->stored.window[w->n_windows + i] = d->first_window + i;
		w->g->stored.of[w->n_windows + i] = (uint16_t)shard;
	}
	out.number = w->n_documents;
	out.first_window = w->n_windows;
	if (w->writer != NULL && cut_writer_document(w->writer, &out, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < d->n_windows && w->writer != NULL; i += WINDOWS_EACH) {
		uint32_t n = d->n_windows - i;

		if (write_windows(w, shard, d->first_window + i,
			    n < WINDOWS_EACH ? n : WINDOWS_EACH, e) < 0)
			return e->code;
	}
	w->n_windows += d->n_windows;
	return 0;
}

static int
write_vocabulary(struct whole *w, struct err *e)
{
	const struct merge_shard *s = &w->g->shard[0];
	struct store_token token[TOKENS_EACH];
	uint32_t id[TOKENS_EACH], all;

	if (store_n_tokens(s->in->view, s->cat->cut, &all, e) < 0)
		return e->code;
	for (uint32_t at = 0; at < all; at += TOKENS_EACH) {
		uint32_t n = all - at < TOKENS_EACH ? all - at : TOKENS_EACH;

		for (uint32_t i = 0; i < n; i++)
			id[i] = at + i;
		arena_reset(&w->arena);
		if (store_tokens(s->in->view, s->cat->cut, id, n, token, &w->arena, e) <
			0)
			return e->code;
		for (uint32_t i = 0; i < n; i++)
			if (token[i].bytes != NULL &&
				cut_writer_token(w->writer, id[i], token[i].bytes,
					token[i].n_bytes, token[i].special, e) < 0)
				return e->code;
	}
	return 0;
}

static int
write_all(struct whole *w, struct err *e)
{
	struct merging *g = w->g;
	int64_t have;

	if (cut_writer_new(&w->writer, &have, g->m->store, &g->cut, e) < 0 ||
		stored_init(&g->stored, g->from, g->cut.n_windows, e) < 0)
		return e->code;
	g->cut_is_new = have < 0;
	if (w->writer != NULL && write_vocabulary(w, e) < 0)
		return e->code;
	if (each_document(w, write_document, e) < 0)
		return e->code;
	return w->writer != NULL ? cut_writer_finish(w->writer, &g->cut, e) : 0;
}

int
merge_cut(struct merging *g, struct err *e)
{
	struct whole w = {.g = g};
	int rc = add_up(g, e);

	progress_phase(&g->m->progress, "cutting");
	arena_init(&w.arena, 0);
	w.docs = mem_new(g->n, sizeof(*w.docs));
	if (w.docs == NULL)
		return err_set(e, ERR_NOMEM, "no memory to merge");
	for (uint32_t i = 0; i < g->n; i++)
		arena_init(&w.docs[i].arena, 0);
	if (rc == 0)
		rc = hash_all(&w, e);
	if (rc == 0)
		rc = write_all(&w, e);
	cut_writer_free(w.writer);
	for (uint32_t i = 0; i < g->n; i++)
		arena_clear(&w.docs[i].arena);
	arena_clear(&w.arena);
	mem_free(w.docs);
	return rc;
}
