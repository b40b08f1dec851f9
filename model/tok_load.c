/* SPDX-License-Identifier: ISC */
#include "model/tok_load.h"

#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"

#include <string.h>

#define JSON_MAX_DEPTH 64

enum { FILE_JSON, FILE_GPT2, FILE_SPM, N_FILES };
static const char *const file_names[] = {
	[FILE_JSON] = "tokenizer.json",
	[FILE_GPT2] = "vocab.json",
	[FILE_SPM] = "tokenizer.model",
};
static const char model_type[] = "BPE";

int
load_no_memory(const struct loader *l, struct err *e)
{
	return err_set(e, ERR_NOMEM, "%s: memory ran out", l->t->path);
}

/* ---- the model ---------------------------------------------------------- */

static int
check_empty(const struct part *model, const char *key, struct err *e)
{
	struct part x = part_get(model, key);
	size_t n = 0;

	if (part_none(&x) || (js_str(x.v, &n) && n == 0))
		return 0;
	return part_unsupported(model, "the BPE option", key, e);
}

static int
check_dropout(const struct part *model, struct err *e)
{
	struct part x = part_get(model, "dropout");
	double dropout;

	if (js_opt_f64(&model->l->doc, model->v, "dropout", 0, &dropout, e) < 0)
		return part_bad(&x, e, "must be a number");
	return dropout == 0 ? 0
			    : part_unsupported(model, "the BPE option", "dropout", e);
}

static int
load_unk(struct loader *l, const struct part *model, struct err *e)
{
	struct part x = part_get(model, "unk_token");
	const char *s;
	size_t n;
	int rc;

	l->t->bpe.unk = TOK_NONE;
	if (part_none(&x))
		return 0;
	rc = part_str(model, "unk_token", &s, &n, e);
	if (rc < 0)
		return rc;
	l->t->bpe.unk = load_id(l, s, n);
	return l->t->bpe.unk == TOK_NONE
		? part_bad(&x, e, "\"%.80s\" is not in the vocabulary", s)
		: 0;
}

static int
load_options(struct loader *l, const struct part *model, struct err *e)
{
	struct bpe *b = &l->t->bpe;
	int rc = check_empty(model, "continuing_subword_prefix", e);

	if (rc == 0)
		rc = check_empty(model, "end_of_word_suffix", e);
	if (rc == 0)
		rc = check_dropout(model, e);
	if (rc == 0)
		rc = part_bool(model, "fuse_unk", false, &b->fuse_unk, e);
	if (rc == 0)
		rc = part_bool(model, "ignore_merges", false, &b->ignore_merges, e);
	if (rc == 0)
		rc = part_bool(model, "byte_fallback", false, &b->byte_fallback, e);
	if (rc == 0)
		rc = load_unk(l, model, e);
	/* Of the byte-level alphabet itself, a letter would fall back. */
	for (size_t i = 0; rc == 0 && b->byte_fallback && !b->chars && i < 256; i++) {
		if (b->byte_id[i] == TOK_NONE)
			rc = part_unsupported(model, "with ByteLevel, the BPE option",
				"byte_fallback", e);
	}
	return rc;
}

static int
check_model(struct loader *l, const struct part *model, struct err *e)
{
	struct part vocab = part_get(model, "vocab");
	const char *type = part_type(model);
	int rc = part_object(model, e);

	if (rc < 0)
		return rc;
	if (type ? strcmp(type, model_type) != 0
		 : js_type(js_get(model->v, "merges")) != JS_ARRAY)
		return part_unsupported(model, "the model", type, e);
	l->vocab = vocab.v;
	return part_object(&vocab, e);
}

/* ---- in order ----------------------------------------------------------- */

static int
load_text(struct loader *l, const struct part *root, struct err *e)
{
	struct tok *t = l->t;
	struct part normalizer = part_get(root, "normalizer");
	struct part pre = part_get(root, "pre_tokenizer");
	struct part decoder = part_get(root, "decoder");
	int rc = load_normalizer(l, &normalizer, e);

	if (rc == 0)
		rc = load_pre(l, &pre, e);
	t->bpe.chars = t->n_stages == 0 || !t->stage[t->n_stages - 1].byte_level;
	return rc == 0 ? load_decoder(l, &decoder, e) : rc;
}

static int
load_tokens(struct loader *l, const struct part *root, const struct part *model,
	struct err *e)
{
	struct part added = part_get(root, "added_tokens");
	struct part merges = part_get(model, "merges");
	int rc = load_vocab(l, &added, e);

	if (rc == 0)
		rc = load_added(l, &added, e);
	if (rc == 0)
		rc = load_settle(l, e);
	if (rc == 0)
		rc = vocab_index(l->t, e);
	if (rc == 0)
		rc = load_options(l, model, e);
	if (rc == 0)
		rc = load_merges(l, &merges, e);
	if (rc == 0)
		vocab_settle(l->t);
	return rc;
}

static int
load_parts(struct loader *l, const char *dir, struct err *e)
{
	struct part root = part_root(l);
	struct part model = part_get(&root, "model");
	struct part post = part_get(&root, "post_processor");
	int rc = check_model(l, &model, e);

	if (rc == 0)
		rc = load_text(l, &root, e);
	if (rc == 0)
		rc = load_tokens(l, &root, &model, e);
	if (rc == 0)
		rc = load_post(l, &post, e);
	return rc == 0 ? load_config(l, dir, e) : rc;
}

/* ---- the files ---------------------------------------------------------- */

static int
read_json(struct loader *l, const char *path, struct err *e)
{
	int rc = js_open(&l->doc, path, TOK_FILE_MAX_BYTES, JSON_MAX_DEPTH, e);

	return rc == 0 ? sha256_file(path, l->t->hash, e) : rc;
}

/* What stands for a tokenizer.json where there is none, in text; hashed as if it
 * were the file. */
static int
read_others(struct loader *l, const char *dir, struct buf *text, struct err *e)
{
	char vocab[PATH_BYTES], spm[PATH_BYTES];
	int rc = path_join(vocab, e, "%s/%s", dir, file_names[FILE_GPT2]);
	bool is_gpt2;

	if (rc == 0)
		rc = path_join(spm, e, "%s/%s", dir, file_names[FILE_SPM]);
	if (rc < 0)
		return rc;
	is_gpt2 = file_exists(vocab);
	if (!is_gpt2 && !file_exists(spm))
		return err_set(e, ERR_NOTFOUND,
			"%s: there is no such file, nor tokenizer.model, nor "
			"vocab.json "
			"with merges.txt",
			l->t->path);
	mem_free(l->t->path);
	l->t->path = mem_strdup(is_gpt2 ? vocab : spm);
	if (!l->t->path)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", dir);
	rc = is_gpt2 ? gpt2_json(dir, text, e) : spm_json(dir, spm, text, e);
	if (rc == 0)
		rc = sha256_of(text->data, text->n_bytes, l->t->hash, e);
	if (rc == 0)
		rc = js_parse(&l->doc, l->t->path, text->data, text->n_bytes,
			JSON_MAX_DEPTH, e);
	return rc;
}

int
tok_load(struct tok *t, const char *dir, struct err *e)
{
	struct loader l = {.t = t, .first = -1, .last = -1};
	struct buf text = {0};
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/%s", dir, file_names[FILE_JSON]);

	if (rc < 0)
		return rc;
	t->path = mem_strdup(path);
	if (!t->path)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	rc = file_exists(path) ? read_json(&l, path, e)
			       : read_others(&l, dir, &text, e);
	if (rc == 0)
		rc = load_parts(&l, dir, e);
	js_close(&l.doc);
	buf_clear(&text);
	buf_clear(&l.blob);
	buf_clear(&l.scratch);
	buf_clear(&l.decoded[0]);
	buf_clear(&l.decoded[1]);
	return rc;
}

const char *
tok_known_at(enum tok_part part, size_t i)
{
	switch (part) {
	case TOK_FILES:
		return i < N_FILES ? file_names[i] : NULL;
	case TOK_MODELS:
		return i == 0 ? model_type : NULL;
	case TOK_NORMALIZERS:
		return normalizer_at(i);
	case TOK_PRE_TOKENIZERS:
		return pre_at(i);
	case TOK_POST_PROCESSORS:
		return post_at(i);
	case TOK_DECODERS:
		break;
	}
	return decoder_at(i);
}
