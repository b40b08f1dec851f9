/* SPDX-License-Identifier: ISC */
#include "indexer/cut.h"

#include "indexer/stop.h"
#include "util/hash.h"
#include "util/mem.h"

#include <string.h>
#include <time.h>

#define BATCH_BYTES ((uint64_t)4 << 20) /* of text tokenized at a time */
#define BATCH_DOCS ((size_t)4096)

/* ---- tokens ---------------------------------------------------------------- */

int
cut_tokens_init(struct cut_tokens *t, const struct tok *tok, size_t n_threads,
	struct err *e)
{
	*t = (struct cut_tokens){.n_threads = n_threads};
	t->work = mem_new(n_threads, sizeof(*t->work));
	t->err = mem_new(n_threads, sizeof(*t->err));
	if (t->work == NULL || t->err == NULL) {
		cut_tokens_clear(t);
		return err_set(e, ERR_NOMEM, "no memory to tokenize");
	}
	for (size_t i = 0; i < n_threads; i++)
		if (tok_work_new(&t->work[i], tok, e) < 0) {
			cut_tokens_clear(t);
			return e->code;
		}
	return 0;
}

void
cut_tokens_clear(struct cut_tokens *t)
{
	for (size_t i = 0; i < t->cap; i++)
		tok_ids_clear(&t->ids[i]);
	for (size_t i = 0; t->work != NULL && i < t->n_threads; i++)
		tok_work_free(t->work[i]);
	mem_free(t->ids);
	mem_free(t->work);
	mem_free(t->err);
	*t = (struct cut_tokens){0};
}

size_t
cut_tokens_batch(const struct spool *s, size_t first)
{
	uint64_t n_bytes = 0;
	size_t n = 0;

	while (first + n < s->n_docs && n < BATCH_DOCS) {
		n_bytes += s->doc[first + n].n_text;
		if (n > 0 && n_bytes > BATCH_BYTES)
			break;
		n++;
	}
	return n;
}

struct tokens_run {
	struct cut_tokens *t;
	const struct tok *tok;
	const struct spool *spool;
	size_t first;
};

static void
run_one(void *ctx, size_t i, size_t thread)
{
	struct tokens_run *r = ctx;
	struct document d;

	spool_get(r->spool, r->first + i, &d);
	r->t->ids[i].n = 0;
	if (r->t->err[thread].code == 0)
		tok_encode(r->tok, r->t->work[thread], d.text, d.n_text, true,
			&r->t->ids[i], &r->t->err[thread]);
}

int
cut_tokens_run(struct cut_tokens *t, const struct tok *tok, struct pool *pool,
	const struct spool *s, size_t first, size_t n, struct err *e)
{
	struct tokens_run run = {t, tok, s, first};

	if (n > t->cap) {
		struct tok_ids *more = mem_resize(t->ids, n, sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_NOMEM, "no memory to tokenize");
		memset(more + t->cap, 0, (n - t->cap) * sizeof(*more));
		t->ids = more;
		t->cap = n;
	}
	pool_run(pool, n, run_one, &run);
	for (size_t i = 0; i < t->n_threads; i++)
		if (t->err[i].code != 0) {
			*e = t->err[i];
			return err_wrap(e, "cannot tokenize");
		}
	return 0;
}

/* ---- writing ---------------------------------------------------------------- */

static int
put_window(void *ctx, const struct rec_window *w, struct err *e)
{
	return cut_writer_window(ctx, w, e);
}

/* What identifies the text of the cut: the documents, and where it was cut off. */
static int
describe(const struct cut_job *job, struct cat_cut *info, struct err *e)
{
	uint8_t hash[32];

	*info = (struct cat_cut){.context = job->rule.context,
		.prepend_bos = job->rule.prepend_bos,
		.joined = job->rule.joined,
		.bos = job->rule.prepend_bos || job->rule.joined ? job->rule.bos : -1,
		.created_s = (int64_t)time(NULL)};
	memcpy(info->name, job->corpus_name,
		strnlen(job->corpus_name, LIMIT_NAME_BYTES - 1));
	memcpy(info->tokenizer_sha256, job->tokenizer_sha256,
		sizeof(info->tokenizer_sha256));
	if (job->rule.joined)
		spool_unsort(job->spool);
	else
		spool_sort(job->spool);
	if (spool_sha256(job->spool, hash, e) < 0)
		return e->code;
	if (job->rule.max_tokens != 0) {
		uint64_t limit = job->rule.max_tokens;
		struct sha256 h;

		if (sha256_init(&h, e) < 0)
			return e->code;
		sha256_update(&h, hash, sizeof(hash));
		sha256_update(&h, &limit, sizeof(limit));
		sha256_final(&h, hash);
	}
	hash_hex(hash, sizeof(hash), info->corpus_sha256);
	return 0;
}

int
cut_write_vocabulary(const struct cut_job *job, struct cut_writer *w, struct err *e)
{
	size_t n = tok_n_vocab(job->tok);

	for (size_t id = 0; id < n; id++) {
		size_t n_bytes;
		const char *bytes = tok_bytes(job->tok, (uint32_t)id, &n_bytes);

		if (bytes != NULL &&
			cut_writer_token(w, (uint32_t)id, bytes, n_bytes,
				tok_is_special(job->tok, (uint32_t)id), e) < 0)
			return e->code;
	}
	return 0;
}

/* NUL-terminated copies, since that is what the store takes. */
int
cut_write_document(struct cut_writer *w, const struct spool *s, size_t i,
	uint64_t first, uint64_t n_windows, struct buf *b, struct err *e)
{
	struct store_document out = {.number = (uint32_t)i,
		.n_bytes = s->doc[i].n_text,
		.first_window = (uint32_t)first,
		.n_windows = (uint32_t)n_windows};
	char hash[SPOOL_HASH_BYTES * 2 + 1];
	struct document d;
	size_t at_meta;

	spool_get(s, i, &d);
	hash_hex(s->doc[i].hash, SPOOL_HASH_BYTES, hash);
	buf_reset(b);
	if (d.id != NULL && d.n_id > 0)
		buf_put(b, d.id, d.n_id);
	else
		buf_put(b, hash, 16);
	buf_u8(b, 0);
	at_meta = b->n_bytes;
	buf_put(b, d.meta, d.n_meta);
	buf_u8(b, 0);
	if (b->failed)
		return err_set(e, ERR_NOMEM, "no memory for a document's metadata");
	out.id = (const char *)b->data;
	out.meta = (const char *)b->data + at_meta;
	out.hash = hash;
	return cut_writer_document(w, &out, e);
}

static int
check_ids(const struct cut_job *job, const struct tok_ids *ids, struct err *e)
{
	for (size_t i = 0; i < ids->n; i++)
		if (ids->id[i] >= job->n_vocab)
			return err_set(e, ERR_MISMATCH,
				"the tokenizer gives id %u, but the model's vocabulary "
				"has %u entries: they do not belong together",
				ids->id[i], job->n_vocab);
	return 0;
}

struct writing {
	struct cut_writer *writer;
	struct cutter cutter;
	struct cut_tokens tokens;
	struct buf buf;
	struct cat_cut *info;
};

static int
write_batch(const struct cut_job *job, struct writing *w, size_t first, size_t n,
	struct err *e)
{
	struct cutter *c = &w->cutter;

	for (size_t i = 0; i < n && !c->full; i++) {
		const struct tok_ids *ids = &w->tokens.ids[i];
		uint64_t windows = job->rule.joined ? 0 : cutter_windows_of(c, ids->n);
		uint64_t at = job->rule.joined ? 0 : c->n_windows;
		struct document d;

		if (c->n_windows + windows > UINT32_MAX)
			return err_set(e, ERR_LIMIT,
				"the corpus has more than %u windows", UINT32_MAX);
		if (check_ids(job, ids, e) < 0)
			return e->code;
		if (!job->rule.joined && windows == 0 && ids->n > 0) {
			c->full = true;
			break;
		}
		if (cut_write_document(w->writer, job->spool, first + i, at, windows,
			    &w->buf, e) < 0)
			return e->code;
		w->info->n_documents++;
		w->info->n_bytes += job->spool->doc[first + i].n_text;
		spool_get(job->spool, first + i, &d);
		if (cutter_document(c, (uint32_t)(first + i), d.text, ids, e) < 0)
			return e->code;
	}
	return stop_check(e);
}

static int
write_documents(const struct cut_job *job, struct writing *w, struct err *e)
{
	const struct spool *s = job->spool;
	size_t at, n;
	int rc = 0;

	for (at = 0; at < s->n_docs && !w->cutter.full && rc == 0; at += n) {
		n = cut_tokens_batch(s, at);
		pool_stage(job->pool, STAGE_TOKENIZE);
		rc = cut_tokens_run(&w->tokens, job->tok, job->pool, s, at, n, e);
		pool_stage(job->pool, STAGE_CUT);
		if (rc == 0)
			rc = write_batch(job, w, at, n, e);
		progress_cut(job->progress, at + n, s->n_docs);
	}
	return rc;
}

static int
check_windows(const struct cutter *c, struct err *e)
{
	if (c->n_windows > 0)
		return 0;
	if (c->full)
		return err_arg(e, ERR_ARG, "max-tokens",
			"--max-tokens %llu leaves not one window",
			(unsigned long long)c->rule.max_tokens);
	if (c->rule.joined)
		return err_set(e, ERR_FORMAT,
			"the corpus has %u tokens, fewer than one joined window of %u; "
			"use a smaller --context, or leave --joined out",
			cutter_left(c), c->rule.context);
	return err_set(e, ERR_FORMAT, "the corpus is empty: it has no token");
}

static int
write_all(const struct cut_job *job, struct cut_writer *writer, struct cat_cut *info,
	struct err *e)
{
	struct window_sink sink = {put_window, writer};
	struct writing w = {.writer = writer, .info = info};
	int rc;

	buf_init(&w.buf);
	rc = cutter_init(&w.cutter, &job->rule, sink, e);
	if (rc == 0)
		rc = cut_tokens_init(&w.tokens, job->tok, pool_n_threads(job->pool), e);
	if (rc == 0)
		rc = cut_write_vocabulary(job, writer, e);
	if (rc == 0)
		rc = write_documents(job, &w, e);
	if (rc == 0)
		rc = check_windows(&w.cutter, e);
	info->n_windows = (uint32_t)w.cutter.n_windows;
	info->n_tokens = w.cutter.n_tokens_all;
	buf_clear(&w.buf);
	cut_tokens_clear(&w.tokens);
	cutter_clear(&w.cutter);
	return rc == 0 ? cut_writer_finish(writer, info, e) : rc;
}

int
cut_write(const struct cut_job *job, struct cat_cut *info, int64_t *have, struct err *e)
{
	struct cut_writer *w = NULL;
	int rc;

	*have = -1;
	if (job->rule.prepend_bos && job->rule.bos < 0)
		return err_arg(e, ERR_MISMATCH, "bos",
			"the SAE wants BOS in front of each window, but the tokenizer "
			"names no bos_token; use --bos no");
	rc = describe(job, info, e);
	if (rc == 0)
		rc = cut_writer_new(&w, have, job->store, info, e);
	if (rc == 0 && w != NULL)
		rc = write_all(job, w, info, e);
	cut_writer_free(w);
	return rc;
}
