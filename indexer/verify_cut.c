/* SPDX-License-Identifier: ISC */
#include "indexer/verify_int.h"

#include "analysis/recorded.h"
#include "indexer/corpus.h"
#include "indexer/rows.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

#define WINDOWS_AT_A_TIME 64

/* ---- the stored windows ---------------------------------------------------------- */

static const char *
scratch_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir != NULL && dir[0] != '\0' ? dir : "/tmp";
}

static int
load_some(struct verify *v, uint32_t first, uint32_t n, struct arena *arena,
	struct err *e)
{
	struct store_place place = {TABLE_WINDOW, v->cat->cut, 0};
	struct store_value value[WINDOWS_AT_A_TIME];
	uint32_t id[WINDOWS_AT_A_TIME];
	struct rec_window w;

	for (uint32_t i = 0; i < n; i++)
		id[i] = first + i;
	if (store_mget(v->view, place, id, n, value, arena, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n; i++) {
		if (value[i].p == NULL)
			return err_set(e, ERR_CORRUPT, "window %u is missing", id[i]);
		if (rec_window_unpack(&w, value[i].p, value[i].n_bytes, arena, e) < 0 ||
			windows_add(&v->windows, &w, e) < 0)
			return e->code;
	}
	return 0;
}

static int
load_windows(struct verify *v, struct err *e)
{
	struct arena arena;
	int rc = windows_init(&v->windows, scratch_dir(), v->excluded,
		lm_info(v->lm)->n_vocab, e);

	arena_init(&arena, 0);
	for (uint32_t at = 0; at < v->cut->n_windows && rc == 0;
		at += WINDOWS_AT_A_TIME) {
		uint32_t n = v->cut->n_windows - at;

		arena_reset(&arena);
		rc = load_some(v, at, n < WINDOWS_AT_A_TIME ? n : WINDOWS_AT_A_TIME,
			&arena, e);
	}
	arena_clear(&arena);
	return rc == 0 ? windows_map(&v->windows, e) : rc;
}

/* ---- the corpus again ------------------------------------------------------------- */

/* false when it came from standard input. */
static int
read_paths(const struct value *corpus, const char ***paths, size_t *n, struct arena *a,
	bool *is_stdin, struct err *e)
{
	const struct value *list = corpus != NULL ? value_get(corpus, "paths") : NULL;

	*is_stdin = false;
	if (list == NULL || list->type != VALUE_ARRAY || list->n == 0)
		return err_set(e, ERR_CORRUPT,
			"the provenance lacks the corpus' paths");
	*n = list->n;
	*paths = arena_alloc(a, list->n, sizeof(**paths));
	if (*paths == NULL)
		return err_set(e, ERR_NOMEM, "no memory to verify");
	for (uint32_t i = 0; i < list->n; i++) {
		if (list->v[i].type != VALUE_STR)
			return err_set(e, ERR_CORRUPT,
				"a path of the corpus is no text");
		(*paths)[i] = arena_strndup(a, list->v[i].str, list->v[i].n);
		if ((*paths)[i] == NULL)
			return err_set(e, ERR_NOMEM, "no memory to verify");
		*is_stdin |= strcmp((*paths)[i], "-") == 0;
	}
	return 0;
}

static bool
is_true(const struct value *map, const char *key)
{
	const struct value *v = value_get(map, key);

	return v != NULL && v->type == VALUE_BOOL && v->boolean;
}

static int
spool_again(struct verify *v, struct spool *spool, const char *const *paths, size_t n,
	struct err *e)
{
	const struct value *corpus = value_get(v->provenance, "corpus");
	char text_field[1024], id_field[1024];
	struct corpus_rules rules = {text_field, id_field, false, false};
	struct corpus *c = NULL;
	int rc;

	if (recorded_str(corpus, "text_field", text_field, sizeof(text_field), e) < 0 ||
		recorded_str(corpus, "id_field", id_field, sizeof(id_field), e) < 0)
		return e->code;
	rules.lines = is_true(corpus, "lines");
	rules.strict = is_true(corpus, "strict");
	rc = corpus_open(&c, paths, n, &rules, e);
	if (rc == 0)
		rc = spool_fill(spool, scratch_dir(), c, NULL, NULL, e);
	corpus_close(c);
	return rc;
}

static int
check_corpus(const struct verify *v, struct spool *spool, uint64_t max_tokens,
	struct err *e)
{
	uint8_t hash[32];
	struct sha256 h;
	char hex[65];

	if (v->cut->joined)
		spool_unsort(spool);
	else
		spool_sort(spool);
	if (spool_sha256(spool, hash, e) < 0)
		return e->code;
	if (max_tokens != 0) {
		if (sha256_init(&h, e) < 0)
			return e->code;
		sha256_update(&h, hash, sizeof(hash));
		sha256_update(&h, &max_tokens, sizeof(max_tokens));
		sha256_final(&h, hash);
	}
	hash_hex(hash, 32, hex);
	if (strcmp(hex, v->cut->corpus_sha256) == 0)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"the corpus is not the one that was indexed: the SHA-256 of its "
		"documents "
		"is %s, recorded is %s",
		hex, v->cut->corpus_sha256);
}

/* ---- cut once more, token by token -------------------------------------------------- */

struct recut {
	struct verify *v;
	uint32_t window; /* the stored one being compared */
	uint32_t at; /* tokens of it compared so far */
	uint64_t n_tokens; /* of finished windows */
	uint64_t max_tokens;
	bool full;
	struct rec_window stored;
	size_t n_wrong;
};

/* The next token of the windows as they should be; text NULL: inserted. */
static void
expect(struct recut *r, uint32_t id, const char *text, size_t n_text)
{
	const struct rec_window *w = &r->stored;

	if (r->window >= r->v->windows.n_windows) {
		r->n_wrong++;
		return;
	}
	if (r->at == 0)
		windows_get(&r->v->windows, r->window, &r->stored);
	if (r->at >= w->n_tokens || w->token[r->at] != id ||
		w->text_end[r->at] - w->text_start[r->at] != n_text ||
		memcmp(w->text + w->text_start[r->at], text, n_text) != 0) {
		if (r->n_wrong++ == 0)
			verify_wrong(r->v,
				"window %u, token %u: stored %lld, cut again %u",
				r->window, r->at,
				r->at < w->n_tokens ? (long long)w->token[r->at] : -1,
				id);
	}
	r->at++;
}

static void
end_window(struct recut *r)
{
	if (r->window < r->v->windows.n_windows && r->at != r->stored.n_tokens &&
		r->n_wrong++ == 0)
		verify_wrong(r->v,
			"window %u: stored with %u tokens, cut again with %u",
			r->window, r->stored.n_tokens, r->at);
	r->n_tokens += r->at;
	r->window++;
	r->at = 0;
}

/* How long the window that starts at token i of a document will be. */
static uint64_t
length_of(const struct recut *r, size_t i, size_t n)
{
	uint32_t bos = r->v->cut->prepend_bos;
	size_t room = r->v->cut->context - bos;

	if (r->v->cut->joined)
		return r->v->cut->context;
	return (n - i < room ? n - i : room) + bos;
}

static void
recut_document(struct recut *r, const char *text, const struct tok_ids *ids)
{
	const struct cat_cut *cut = r->v->cut;
	uint32_t bos = (uint32_t)cut->bos;

	for (size_t i = 0; i < ids->n && !r->full; i++) {
		bool first = r->at == 0;

		if (first && r->max_tokens != 0 &&
			r->n_tokens + length_of(r, i, ids->n) > r->max_tokens) {
			r->full = true;
			break;
		}
		if (first && cut->prepend_bos && !(cut->joined && ids->id[i] == bos))
			expect(r, bos, "", 0);
		else if (!first && cut->joined && i == 0 && cut->bos >= 0 &&
			ids->id[i] != bos)
			expect(r, bos, "", 0);
		if (r->at == cut->context) {
			end_window(r);
			i--; /* the token begins the next window */
			continue;
		}
		expect(r, ids->id[i], text + ids->start[i],
			ids->end[i] - ids->start[i]);
		if (r->at == cut->context)
			end_window(r);
	}
	if (!cut->joined && r->at > 0)
		end_window(r);
}

static int
recut_all(struct recut *r, const struct spool *spool, struct err *e)
{
	struct tok_work *work = NULL;
	struct tok_ids ids = {0};
	struct document d;
	int rc = tok_work_new(&work, r->v->tok, e);

	for (size_t i = 0; i < spool->n_docs && rc == 0 && !r->full; i++) {
		spool_get(spool, i, &d);
		ids.n = 0;
		rc = tok_encode(r->v->tok, work, d.text, d.n_text, true, &ids, e);
		if (rc == 0)
			recut_document(r, d.text, &ids);
	}
	tok_ids_clear(&ids);
	tok_work_free(work);
	if (rc == 0 && r->window != r->v->cut->n_windows)
		verify_wrong(r->v, "%u windows are stored, cut again there are %u",
			r->v->cut->n_windows, r->window);
	return rc;
}

int
verify_cut(struct verify *v, struct err *e)
{
	const struct value *cut = value_get(v->provenance, "cut");
	struct recut r = {.v = v};
	struct spool spool = {0};
	const char **paths = NULL;
	bool is_stdin = false;
	size_t n = 0;
	int rc;

	if (recorded_u64(cut, "max_tokens", &r.max_tokens, e) < 0)
		return e->code;
	rc = load_windows(v, e);
	if (rc == 0)
		rc = read_paths(value_get(v->provenance, "corpus"), &paths, &n,
			&v->arena, &is_stdin, e);
	if (rc == 0 && is_stdin)
		log_put(LOG_WARNING,
			"run %u: its corpus came from standard input, so its windows "
			"are not cut again",
			v->cat->number);
	else if (rc == 0 && rows_is(paths[0]))
		rc = verify_rows(v, paths, n, scratch_dir(), e);
	else if (rc == 0) {
		rc = spool_again(v, &spool, paths, n, e);
		if (rc == 0)
			rc = check_corpus(v, &spool, r.max_tokens, e);
		if (rc == 0)
			rc = recut_all(&r, &spool, e);
	}
	spool_clear(&spool);
	return rc;
}
