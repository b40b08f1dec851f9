/* SPDX-License-Identifier: ISC */
/*
 * A SentencePiece model of BPE type, as the tokenizer.json that transformers
 * makes of it: a merge for each way to cut a piece in two others, the order of
 * the pieces being that of the merges.
 */
#include "model/tok_spm.h"

#include "model/tok_files.h"
#include "model/tok_load.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <string.h>

struct by_piece {
	const struct spm *m;
	uint32_t *slot; /* ids, open addressing */
	size_t n_slots;
};

static uint32_t *
slot_of(const struct by_piece *b, const char *s, size_t n)
{
	size_t i = hash64(s, n, 0) & (b->n_slots - 1);

	for (;; i = (i + 1) & (b->n_slots - 1)) {
		const struct spm_str *x;

		if (b->slot[i] == TOK_NONE)
			return &b->slot[i];
		x = &b->m->piece[b->slot[i]].s;
		if (x->n_bytes == n && memcmp(x->p, s, n) == 0)
			return &b->slot[i];
	}
}

static int64_t
find(void *ctx, const char *s, size_t n_bytes)
{
	uint32_t id = *slot_of(ctx, s, n_bytes);

	return id == TOK_NONE ? -1 : (int64_t)id;
}

static int
index_pieces(struct by_piece *b, struct err *e)
{
	const struct spm *m = b->m;

	b->n_slots = 16;
	while (b->n_slots / 2 < m->n_pieces)
		b->n_slots *= 2;
	b->slot = mem_new(b->n_slots, sizeof(*b->slot));
	if (!b->slot)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", m->path);
	memset(b->slot, 0xff, b->n_slots * sizeof(*b->slot));
	for (size_t i = 0; i < m->n_pieces; i++) {
		uint32_t *slot = slot_of(b, m->piece[i].s.p, m->piece[i].s.n_bytes);

		if (*slot != TOK_NONE)
			return err_set(e, ERR_FORMAT,
				"%s: pieces[%zu].piece: is that of pieces[%u], too",
				m->path, i, *slot);
		*slot = (uint32_t)i;
	}
	return 0;
}

/* ---- what can be done exactly ------------------------------------------- */

static int
refuse(const struct spm *m, const char *field, const char *what, size_t n,
	struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "%s: %s: \"%.*s\" is not supported", m->path,
		field, (int)(n < 80 ? n : 80), what);
}

static int
check(const struct spm *m, struct err *e)
{
	static const char *const types[] = {"?", "unigram", "bpe", "word", "char"};
	const char *type = types[m->model_type < 5 ? m->model_type : 0];
	const struct spm_str *name = &m->normalizer;

	if (m->model_type != 2)
		return refuse(m, "trainer_spec.model_type", type, strlen(type), e);
	if (m->charsmap.n_bytes > 0 || m->rules.n_bytes > 0)
		return refuse(m, "normalizer_spec.name", name->p ? name->p : "",
			name->n_bytes, e);
	if (!m->byte_fallback)
		return refuse(m, "trainer_spec.byte_fallback", "false", 5, e);
	if (m->space_as_suffix)
		return refuse(m, "trainer_spec.treat_whitespace_as_suffix", "true", 4,
			e);
	if (!m->escape_spaces)
		return refuse(m, "normalizer_spec.escape_whitespaces", "false", 5, e);
	/* By score or by place, the order of merges must be one. */
	for (size_t i = 0, before = SIZE_MAX; i < m->n_pieces; i++) {
		if (m->piece[i].type != SPM_NORMAL)
			continue;
		if (before != SIZE_MAX && m->piece[i].score > m->piece[before].score)
			return err_set(e, ERR_UNSUPPORTED,
				"%s: pieces[%zu].score: a score above that of "
				"pieces[%zu] is not supported",
				m->path, i, before);
		before = i;
	}
	return 0;
}

/* ---- as whose tokenizer ------------------------------------------------- */

/* What a class of transformers makes of the file. */
struct spm_class {
	const char *class;
	bool is_gemma;
	const char *unk, *bos, *eos, *pad, *mask;
};

static const struct spm_class classes[] = {
	{"LlamaTokenizer", false, "<unk>", "<s>", "</s>", NULL, NULL},
	{"LlamaTokenizerFast", false, "<unk>", "<s>", "</s>", NULL, NULL},
	{"GemmaTokenizer", true, "<unk>", "<bos>", "<eos>", "<pad>", "<mask>"},
	{"GemmaTokenizerFast", true, "<unk>", "<bos>", "<eos>", "<pad>", "<mask>"},
};

/* Named in tokenizer_config.json; else the first where a space is put in front,
 * the third where not. */
static int
class_of(const struct spm *m, const struct files *f, const struct spm_class **out,
	struct err *e)
{
	const char *class = files_class(f);

	*out = &classes[m->dummy_prefix ? 0 : 2];
	if (!class)
		return 0;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		*out = &classes[i];
		if (strcmp(class, classes[i].class) == 0)
			return 0;
	}
	return err_set(e, ERR_UNSUPPORTED,
		"%s: tokenizer_class: \"%.80s\" is not supported without a "
		"tokenizer.json",
		f->config.name, class);
}

static int
collect(const struct spm *m, struct files *f, const struct spm_class *s, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->n_pieces; i++) {
		const struct spm_piece *x = &m->piece[i];

		if (x->type == SPM_CONTROL || x->type == SPM_USER_DEFINED)
			rc = files_token(f,
				&(struct file_token){.content = x->s.p,
					.n_bytes = x->s.n_bytes,
					.id = (uint32_t)i,
					.special = x->type == SPM_CONTROL},
				e);
	}
	if (rc == 0)
		rc = files_decoder(f, e);
	if (rc == 0)
		rc = files_named(f, "unk_token", s->unk, e);
	if (rc == 0)
		rc = files_named(f, "bos_token", s->bos, e);
	if (rc == 0)
		rc = files_named(f, "eos_token", s->eos, e);
	if (rc == 0)
		rc = files_named(f, "pad_token", s->pad, e);
	return rc == 0 ? files_named(f, "mask_token", s->mask, e) : rc;
}

/* ---- writing ------------------------------------------------------------ */

#define MARK "\xe2\x96\x81" /* U+2581 */

static int
put_text(const struct files *f, const struct spm_class *s, struct buf *out,
	struct err *e)
{
	bool legacy, prefix;
	int rc = js_opt_bool(&f->config, f->config.root, "legacy", false, &legacy, e);

	if (rc == 0)
		rc = js_opt_bool(&f->config, f->config.root, "add_prefix_space", true,
			&prefix, e);
	if (rc < 0)
		return rc;
	if (s->is_gemma)
		buf_puts(out,
			",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{"
			"\"String\":\" \"},\"content\":\"" MARK "\"}");
	else
		buf_printf(out,
			",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":"
			"\"" MARK "\",\"prepend_scheme\":\"%s\",\"split\":false}",
			!prefix          ? "never"
				: legacy ? "always"
					 : "first");
	buf_puts(out,
		",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"
		"\"Replace\",\"pattern\":{\"String\":\"" MARK "\"},\"content\":\" \"},"
		"{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}");
	return 0;
}

static void
put_merges(const struct by_piece *b, struct buf *out)
{
	bool any = false;

	buf_puts(out, "\"merges\":[");
	for (size_t i = 0; i < b->m->n_pieces; i++) {
		const struct spm_str *x = &b->m->piece[i].s;
		size_t at = utf8_next(x->p, x->n_bytes, NULL);

		for (; at < x->n_bytes;
			at += utf8_next(x->p + at, x->n_bytes - at, NULL)) {
			if (*slot_of(b, x->p, at) == TOK_NONE ||
				*slot_of(b, x->p + at, x->n_bytes - at) == TOK_NONE)
				continue;
			buf_puts(out, any ? ",[" : "[");
			json_put(out, x->p, at);
			buf_u8(out, ',');
			json_put(out, x->p + at, x->n_bytes - at);
			buf_u8(out, ']');
			any = true;
		}
	}
	buf_puts(out, "]");
}

static void
put_model(const struct by_piece *b, const struct spm_class *s, struct buf *out)
{
	const struct spm *m = b->m;

	/* Says what bos and eos are. */
	if (m->bos < m->n_pieces && m->eos < m->n_pieces)
		buf_printf(out,
			",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":["
			"\"\",%u],\"sep\":[\"\",%u]}",
			(unsigned)m->bos, (unsigned)m->eos);
	buf_puts(out,
		",\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,"
		"\"fuse_unk\":true,");
	if (s->is_gemma && *slot_of(b, s->unk, strlen(s->unk)) != TOK_NONE)
		buf_printf(out, "\"unk_token\":\"%s\",", s->unk);
	put_merges(b, out);
	buf_puts(out, ",\"vocab\":{");
	for (size_t i = 0; i < m->n_pieces; i++) {
		buf_puts(out, i ? "," : "");
		json_put(out, m->piece[i].s.p, m->piece[i].s.n_bytes);
		buf_printf(out, ":%zu", i);
	}
	buf_puts(out, "}}}");
}

static int
write_json(const struct by_piece *b, const char *dir, struct buf *out, struct err *e)
{
	struct files f = {.find = find, .ctx = (void *)(uintptr_t)b};
	const struct spm_class *s;
	int rc = files_open(&f, dir, e);

	if (rc == 0)
		rc = class_of(b->m, &f, &s, e);
	if (rc == 0)
		rc = collect(b->m, &f, s, e);
	if (rc == 0) {
		buf_puts(out, "{");
		files_put(&f, out);
		rc = put_text(&f, s, out, e);
	}
	if (rc == 0)
		put_model(b, s, out);
	if (rc == 0 && out->failed)
		rc = err_set(e, ERR_NOMEM, "%s: memory ran out", b->m->path);
	files_close(&f);
	return rc;
}

int
spm_json(const char *dir, const char *path, struct buf *out, struct err *e)
{
	struct by_piece b = {0};
	struct buf file = {0};
	struct spm m = {0};
	int rc = file_read(path, TOK_FILE_MAX_BYTES, &file, e);

	if (rc == 0)
		rc = spm_read(&m, path, file.data, file.n_bytes, e);
	if (rc == 0)
		rc = check(&m, e);
	b.m = &m;
	if (rc == 0)
		rc = index_pieces(&b, e);
	if (rc == 0)
		rc = write_json(&b, dir, out, e);
	mem_free(b.slot);
	spm_clear(&m);
	buf_clear(&file);
	return rc;
}
