/* SPDX-License-Identifier: ISC */
/*
 * make_shards MODEL CORPUS CONTEXT TOKENS HOOK... NAME=SAE...: the corpus' windows and
 * the activations at the hooks, computed by saedb's own forward pass, or the features of
 * SAEs by the plainest path, as a stream of shards (doc/shards.md) of about TOKENS
 * tokens each, on standard output. What is indexed from it must be what saedb-index
 * makes of the corpus itself.
 */
#include "indexer/corpus.h"
#include "model/lm.h"
#include "model/sae.h"
#include "model/tok.h"
#include "util/buf.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_HOOKS 8

struct latents {
	const char *name;
	size_t n_name;
	struct sae *sae;
	size_t hook; /* what it reads */
	uint32_t n; /* in this shard */
	float *dense; /* (d_sae) */
	struct buf rows, features, values;
};

struct maker {
	struct lm *lm;
	struct tok *tok;
	struct lm_work *work;
	struct tok_work *tok_work;
	struct hook hook[MOST_HOOKS];
	size_t n_hooks;
	struct latents sae[MOST_HOOKS];
	size_t n_saes;
	uint32_t context;
	size_t most;
	uint32_t shard, document; /* numbers of the next ones */
	uint32_t n_tokens;
	bool begun; /* a document begins in this shard */
	struct buf tokens, windows, documents, text, spans, notes, x[MOST_HOOKS];
};

static void
put_text(struct buf *b, const char *p, size_t n)
{
	buf_u8(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '"' || c == '\\' || c < ' ')
			buf_printf(b, "\\u%04x", c);
		else
			buf_u8(b, c);
	}
	buf_u8(b, '"');
}

static void
put_tensor(struct buf *header, struct buf *data, const char *name, const char *dtype,
	size_t rows, size_t cols, const struct buf *x)
{
	buf_printf(header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu", name, dtype,
		rows);
	if (cols > 0)
		buf_printf(header, ",%zu", cols);
	buf_printf(header, "],\"data_offsets\":[%zu,%zu]}", data->n_bytes,
		data->n_bytes + x->n_bytes);
	buf_put(data, x->data, x->n_bytes);
}

static void
put_latents(const struct maker *m, struct latents *s, struct buf *header,
	struct buf *data)
{
	char name[200];

	buf_u32(&s->rows, s->n);
	snprintf(name, sizeof(name), "%.*s.rows", (int)s->n_name, s->name);
	put_tensor(header, data, name, "I32", (size_t)m->n_tokens + 1, 0, &s->rows);
	snprintf(name, sizeof(name), "%.*s.features", (int)s->n_name, s->name);
	put_tensor(header, data, name, "I32", s->n, 0, &s->features);
	snprintf(name, sizeof(name), "%.*s.values", (int)s->n_name, s->name);
	put_tensor(header, data, name, "F32", s->n, 0, &s->values);
	buf_reset(&s->rows);
	buf_reset(&s->features);
	buf_reset(&s->values);
	s->n = 0;
}

static void
encode(struct latents *s, const float *x, uint32_t n)
{
	const struct sae_info *info = &s->sae->info;

	for (uint32_t i = 0; i < n; i++) {
		buf_u32(&s->rows, s->n);
		sae_encode_plain(s->sae, x + (size_t)i * info->d_in, s->dense);
		for (uint32_t f = 0; f < info->d_sae; f++) {
			if (!(s->dense[f] > 0))
				continue;
			buf_u32(&s->features, f);
			buf_f32(&s->values, s->dense[f]);
			s->n++;
		}
	}
}

static void
write_shard(struct maker *m, bool last)
{
	struct buf header, data;
	size_t n_windows = m->windows.n_bytes / 4;

	buf_init(&header);
	buf_init(&data);
	buf_u32(&m->windows, m->n_tokens);
	buf_printf(&header,
		"{\"__metadata__\":{\"saedb\":\"shards 1\",\"shard\":\"%u\"",
		m->shard++);
	if (last)
		buf_puts(&header, ",\"last\":\"true\"");
	buf_puts(&m->notes, "]");
	buf_puts(&header, ",\"made_by\":\"make_shards\",\"documents\":");
	put_text(&header, (char *)m->notes.data, m->notes.n_bytes);
	buf_puts(&header, "}");
	put_tensor(&header, &data, "tokens", "I32", m->n_tokens, 0, &m->tokens);
	put_tensor(&header, &data, "windows", "I32", n_windows + 1, 0, &m->windows);
	put_tensor(&header, &data, "documents", "I32", n_windows, 0, &m->documents);
	put_tensor(&header, &data, "text", "U8", m->text.n_bytes, 0, &m->text);
	put_tensor(&header, &data, "spans", "I32", m->n_tokens, 2, &m->spans);
	for (size_t i = 0; i < m->n_saes; i++)
		put_latents(m, &m->sae[i], &header, &data);
	for (size_t h = 0; h < m->n_hooks; h++) {
		if (m->n_saes > 0) {
			buf_reset(&m->x[h]);
			continue;
		}
		put_tensor(&header, &data, m->hook[h].name, "F32", m->n_tokens,
			lm_hook_width(m->lm, &m->hook[h]), &m->x[h]);
		buf_reset(&m->x[h]);
	}
	buf_puts(&header, "}");
	while (header.n_bytes % 8 != 0)
		buf_u8(&header, ' ');
	for (int i = 0; i < 8; i++)
		putchar((int)((uint64_t)header.n_bytes >> 8 * i & 255));
	fwrite(header.data, 1, header.n_bytes, stdout);
	fwrite(data.data, 1, data.n_bytes, stdout);
	buf_clear(&header);
	buf_clear(&data);
	buf_reset(&m->tokens);
	buf_reset(&m->windows);
	buf_reset(&m->documents);
	buf_reset(&m->text);
	buf_reset(&m->spans);
	buf_reset(&m->notes);
	buf_puts(&m->notes, "[");
	m->n_tokens = 0;
	m->begun = false;
}

/* BOS and tokens [at, at + n) of a document. */
static int
put_window(struct maker *m, const struct tok_ids *ids, size_t at, uint32_t n,
	struct err *e)
{
	uint32_t *id = mem_new((size_t)n + 1, sizeof(*id)), start[2] = {0, n + 1};
	float *out[MOST_HOOKS];
	int rc;

	if (id == NULL)
		return err_set(e, ERR_NOMEM, "no memory");
	id[0] = (uint32_t)tok_bos(m->tok);
	memcpy(id + 1, ids->id + at, n * sizeof(*id));
	for (size_t h = 0; h < m->n_hooks; h++)
		out[h] = buf_extend(&m->x[h],
			((size_t)n + 1) * lm_hook_width(m->lm, &m->hook[h]) *
				sizeof(float));
	rc = lm_forward(m->lm, m->work, id, start, 1, m->hook, m->n_hooks, out, e);
	for (size_t i = 0; rc == 0 && i < m->n_saes; i++)
		encode(&m->sae[i], out[m->sae[i].hook], n + 1);
	buf_u32(&m->windows, m->n_tokens);
	buf_u32(&m->documents, m->document);
	for (uint32_t i = 0; i <= n; i++) {
		buf_u32(&m->tokens, id[i]);
		buf_u32(&m->spans, i == 0 ? 0 : ids->start[at + i - 1]);
		buf_u32(&m->spans, i == 0 ? 0 : ids->end[at + i - 1]);
	}
	m->n_tokens += n + 1;
	mem_free(id);
	return rc;
}

static void
begin_document(struct maker *m, const struct document *d)
{
	if (m->begun)
		buf_puts(&m->notes, ",");
	m->begun = true;
	buf_printf(&m->notes, "{\"n_bytes\":%zu,\"meta\":%.*s", d->n_text,
		(int)d->n_meta, d->meta);
	if (d->id != NULL) {
		buf_puts(&m->notes, ",\"id\":");
		put_text(&m->notes, d->id, d->n_id);
	}
	buf_puts(&m->notes, "}");
	buf_put(&m->text, d->text, d->n_text);
}

static int
put_document(struct maker *m, const struct document *d, struct err *e)
{
	struct tok_ids ids = {0};
	int rc = tok_encode(m->tok, m->tok_work, d->text, d->n_text, true, &ids, e);
	size_t step = m->context - 1;

	if (m->n_tokens >= m->most)
		write_shard(m, false);
	begin_document(m, d);
	for (size_t at = 0; at < ids.n && rc == 0; at += step) {
		size_t n = ids.n - at < step ? ids.n - at : step;

		if (at > 0 && m->n_tokens >= m->most)
			write_shard(m, false);
		rc = put_window(m, &ids, at, (uint32_t)n, e);
	}
	/* one without a token begins and has no window */
	m->document += ids.n > 0;
	tok_ids_clear(&ids);
	return rc;
}

static int
run(struct maker *m, const char *corpus, struct err *e)
{
	struct corpus_rules rules = {"text", "id", false, false};
	struct corpus *c;
	struct document d;
	int rc = corpus_open(&c, &corpus, 1, &rules, e);

	if (rc < 0)
		return rc;
	buf_puts(&m->notes, "[");
	while ((rc = corpus_next(c, &d, e)) == 1)
		if (d.n_text > 0 && put_document(m, &d, e) < 0)
			break;
	corpus_close(c);
	if (e->code == 0)
		write_shard(m, true);
	return e->code;
}

static int
open_sae(struct maker *m, const char *arg, struct err *e)
{
	struct latents *s = &m->sae[m->n_saes++];

	s->name = arg;
	s->n_name = strcspn(arg, "=");
	if (sae_open(&s->sae, arg + s->n_name + 1, e) < 0)
		return e->code;
	s->dense = mem_new(s->sae->info.d_sae, sizeof(*s->dense));
	s->hook = m->n_hooks;
	m->hook[m->n_hooks++] = s->sae->info.hook;
	return s->dense != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory");
}

static int
open_all(struct maker *m, char **argv, int argc, struct err *e)
{
	m->context = (uint32_t)strtoul(argv[3], NULL, 10);
	m->most = strtoul(argv[4], NULL, 10);
	if (lm_open(&m->lm, argv[1], e) < 0 || tok_open(&m->tok, argv[1], e) < 0 ||
		lm_work_new(&m->work, m->lm, m->context, e) < 0 ||
		tok_work_new(&m->tok_work, m->tok, e) < 0)
		return e->code;
	for (int i = 5; i < argc && m->n_hooks < MOST_HOOKS; i++)
		if ((strchr(argv[i], '=') != NULL ? open_sae(m, argv[i], e)
						  : hook_parse(&m->hook[m->n_hooks++],
							    argv[i], e)) < 0)
			return e->code;
	return 0;
}

int
main(int argc, char **argv)
{
	struct maker m = {0};
	struct err e = ERR_INIT;

	if (argc < 6) {
		fprintf(stderr,
			"usage: make_shards MODEL CORPUS CONTEXT TOKENS "
			"HOOK|NAME=SAE...\n");
		return 2;
	}
	if (open_all(&m, argv, argc, &e) < 0 || run(&m, argv[2], &e) < 0)
		fprintf(stderr, "make_shards: %s\n", e.text);
	for (size_t h = 0; h < m.n_hooks; h++)
		buf_clear(&m.x[h]);
	for (size_t i = 0; i < m.n_saes; i++) {
		sae_close(m.sae[i].sae);
		mem_free(m.sae[i].dense);
		buf_clear(&m.sae[i].rows);
		buf_clear(&m.sae[i].features);
		buf_clear(&m.sae[i].values);
	}
	buf_clear(&m.tokens);
	buf_clear(&m.windows);
	buf_clear(&m.documents);
	buf_clear(&m.text);
	buf_clear(&m.spans);
	buf_clear(&m.notes);
	lm_work_free(m.work);
	tok_work_free(m.tok_work);
	tok_close(m.tok);
	lm_close(m.lm);
	return e.code == 0 && fflush(stdout) == 0 ? 0 : 1;
}
