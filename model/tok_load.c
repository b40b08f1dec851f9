/* SPDX-License-Identifier: ISC */
#include "model/tok_load.h"

#include "model/json.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <string.h>

#define JSON_MAX_BYTES ((size_t)256 << 20)
#define JSON_MAX_DEPTH 64
#define ADDED_MAX_BYTES 4096

static int
no_memory(const struct loader *l, struct err *e)
{
	return err_set(e, ERR_NOMEM, "%s: memory ran out", l->t->path);
}

int
load_bad(const struct loader *l, struct err *e, const char *what)
{
	return err_set(e, ERR_FORMAT, "%s: %s", l->t->path, what);
}

int
load_unsupported(const struct loader *l, const char *what, const char *name,
	struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "%s: %s \"%.80s\" is not supported",
		l->t->path, what, name ? name : "(without a type)");
}

bool
load_none(const struct js *v)
{
	return js_type(v) == JS_ABSENT || js_type(v) == JS_NULL;
}

bool
load_named(const struct js *v, const char *type)
{
	const char *s = js_str(js_get(v, "type"), NULL);

	return s && strcmp(s, type) == 0;
}

/* ---- the vocabulary ----------------------------------------------------- */

/* The byte that a character of the byte-level alphabet stands for, or -1. */
static int
byte_of(uint32_t cp)
{
	if ((cp >= 0x21 && cp <= 0x7e) || (cp >= 0xa1 && cp <= 0xac) ||
		(cp >= 0xae && cp <= 0xff))
		return (int)cp;
	if (cp < 0x100 || cp > 0x143)
		return -1;
	cp -= 0x100; /* the rest, in order: 00-20, 7F-A0, AD */
	return (int)(cp <= 0x20 ? cp : cp <= 0x42 ? cp - 0x21 + 0x7f : 0xad);
}

/* Appends the bytes that a spelling stands for; false (and nothing appended)
 * when it is not spelt in the byte-level alphabet. */
static bool
unspell(struct buf *out, const char *s, size_t n)
{
	size_t n_before = out->n_bytes, step;
	uint32_t cp;

	for (size_t i = 0; i < n; i += step) {
		int byte;

		step = utf8_next(s + i, n - i, &cp);
		byte = step > 0 ? byte_of(cp) : -1;
		if (byte < 0) {
			out->n_bytes = n_before;
			return false;
		}
		buf_u8(out, (uint8_t)byte);
	}
	return true;
}

/* One past the largest id of the vocabulary and the added tokens. */
static int
count_ids(struct loader *l, const struct js *added, struct err *e)
{
	uint64_t id, most = 0;
	bool any = false;

	for (void *it = js_first(l->vocab); it; it = js_next(l->vocab, it)) {
		if (!js_u64(js_value(it), &id) || id >= TOK_IDS_MAX)
			return err_set(e, ERR_FORMAT,
				"%s: the id of \"%.80s\" must be an integer below %u",
				l->t->path, js_key(it, NULL), TOK_IDS_MAX);
		most = id > most ? id : most;
		any = true;
	}
	for (size_t i = 0; i < js_n(added); i++) {
		if (!js_u64(js_get(js_at(added, i), "id"), &id) || id >= TOK_IDS_MAX)
			return err_set(e, ERR_FORMAT,
				"%s: added_tokens[%zu]: \"id\" must be an integer "
				"below %u",
				l->t->path, i, TOK_IDS_MAX);
		most = id > most ? id : most;
		any = true;
	}
	if (!any)
		return load_bad(l, e, "the vocabulary is empty");
	l->t->n_ids = (size_t)most + 1;
	l->t->entry = mem_new(l->t->n_ids, sizeof(*l->t->entry));
	return l->t->entry ? 0 : no_memory(l, e);
}

/* bytes holds an offset into the blob (plus 1) until blob_settle(). */
static void
entry_set(struct loader *l, uint32_t id, const char *s, size_t n, bool spelt)
{
	struct tok_entry *x = &l->t->entry[id];
	size_t at = l->blob.n_bytes;

	x->in_model = spelt && unspell(&l->blob, s, n);
	if (!x->in_model)
		buf_put(&l->blob, s, n);
	x->bytes = (const char *)(uintptr_t)(at + 1);
	x->n_bytes = (uint32_t)(l->blob.n_bytes - at);
}

static int
load_vocab(struct loader *l, struct err *e)
{
	for (void *it = js_first(l->vocab); it; it = js_next(l->vocab, it)) {
		uint64_t id = 0;
		size_t n;
		const char *s = js_key(it, &n);

		js_u64(js_value(it), &id);
		if (l->t->entry[id].bytes)
			return err_set(e, ERR_FORMAT,
				"%s: \"%.80s\" and another token both have id %u",
				l->t->path, s, (unsigned)id);
		entry_set(l, (uint32_t)id, s, n, true);
	}
	return 0;
}

static int
blob_settle(struct loader *l, struct err *e)
{
	struct tok *t = l->t;

	if (l->blob.failed)
		return no_memory(l, e);
	t->blob = mem_new(l->blob.n_bytes + 1, 1);
	if (!t->blob)
		return no_memory(l, e);
	if (l->blob.n_bytes > 0)
		memcpy(t->blob, l->blob.data, l->blob.n_bytes);
	for (size_t i = 0; i < t->n_ids; i++) {
		if (t->entry[i].bytes)
			t->entry[i].bytes =
				t->blob + ((uintptr_t)t->entry[i].bytes - 1);
	}
	return 0;
}

/* ---- merges ------------------------------------------------------------- */

/* The id of n bytes of spelling, or TOK_NONE. */
static uint32_t
spelling_id(struct loader *l, const char *s, size_t n)
{
	uint64_t id;
	const char *key;

	buf_reset(&l->scratch);
	buf_put(&l->scratch, s, n);
	key = buf_str(&l->scratch);
	return key && js_u64(js_get(l->vocab, key), &id) ? (uint32_t)id : TOK_NONE;
}

/* Both halves of one merge: "a b", or ["a", "b"]. */
static bool
merge_halves(const struct js *v, const char **left, size_t *n_left, const char **right,
	size_t *n_right)
{
	size_t n;
	const char *s = js_str(v, &n);

	if (!s) {
		*left = js_str(js_at(v, 0), n_left);
		*right = js_str(js_at(v, 1), n_right);
		return js_n(v) == 2 && *left && *right;
	}
	*left = s;
	*right = memchr(s, ' ', n);
	if (!*right)
		return false;
	*n_left = (size_t)(*right - s);
	*n_right = n - *n_left - 1;
	++*right;
	return !memchr(*right, ' ', *n_right);
}

static int
load_merge(struct loader *l, const struct js *v, uint32_t rank, struct err *e)
{
	const char *left, *right;
	size_t n_left, n_right;
	uint32_t a, b, joined;

	if (!merge_halves(v, &left, &n_left, &right, &n_right))
		return err_set(e, ERR_FORMAT, "%s: merges[%u] is not a pair",
			l->t->path, rank);
	a = spelling_id(l, left, n_left);
	b = spelling_id(l, right, n_right);
	buf_reset(&l->scratch);
	buf_put(&l->scratch, left, n_left);
	buf_put(&l->scratch, right, n_right);
	{
		uint64_t id;
		const char *key = buf_str(&l->scratch);

		if (!key)
			return no_memory(l, e);
		joined = js_u64(js_get(l->vocab, key), &id) ? (uint32_t)id : TOK_NONE;
	}
	if (a == TOK_NONE || b == TOK_NONE || joined == TOK_NONE)
		return err_set(e, ERR_FORMAT,
			"%s: merges[%u] (\"%.*s\" and \"%.*s\"): a part or the whole "
			"is not in the vocabulary",
			l->t->path, rank, (int)n_left, left, (int)n_right, right);
	bpe_merge_put(&l->t->bpe, a, b, rank, joined);
	return 0;
}

static int
load_merges(struct loader *l, const struct js *merges, struct err *e)
{
	size_t n = js_n(merges);
	uint32_t rank = 0;
	int rc;

	if (js_type(merges) != JS_ARRAY)
		return load_bad(l, e, "model.merges must be an array");
	if (n > 4 * (size_t)TOK_IDS_MAX)
		return load_bad(l, e, "too many merges");
	rc = bpe_merges_alloc(&l->t->bpe, n, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const char *s = js_str(js_at(merges, i), NULL);

		if (!s || strncmp(s, "#version", 8) != 0)
			rc = load_merge(l, js_at(merges, i), rank++, e);
	}
	return rc;
}

/* ---- the model ---------------------------------------------------------- */

static int
check_empty(struct loader *l, const struct js *model, const char *key, struct err *e)
{
	const struct js *v = js_get(model, key);
	size_t n = 0;

	if (load_none(v) || (js_str(v, &n) && n == 0))
		return 0;
	return load_unsupported(l, "the BPE option", key, e);
}

static int
load_options(struct loader *l, const struct js *model, struct err *e)
{
	struct bpe *b = &l->t->bpe;
	char unk[ADDED_MAX_BYTES];
	double dropout;
	int rc;

	rc = check_empty(l, model, "continuing_subword_prefix", e);
	if (rc == 0)
		rc = check_empty(l, model, "end_of_word_suffix", e);
	if (rc == 0)
		rc = js_opt_f64(&l->doc, model, "dropout", 0, &dropout, e);
	if (rc == 0 && dropout != 0)
		rc = load_unsupported(l, "the BPE option", "dropout", e);
	if (rc == 0)
		rc = js_opt_bool(&l->doc, model, "fuse_unk", false, &b->fuse_unk, e);
	if (rc == 0)
		rc = js_opt_bool(&l->doc, model, "ignore_merges", false,
			&b->ignore_merges, e);
	if (rc == 0)
		rc = js_opt_str(&l->doc, model, "unk_token", "", unk, sizeof(unk), e);
	if (rc < 0)
		return rc;
	b->unk = TOK_NONE;
	if (load_none(js_get(model, "unk_token")))
		return 0;
	b->unk = spelling_id(l, unk, strlen(unk));
	return b->unk == TOK_NONE ? load_bad(l, e, "unk_token is not in the vocabulary")
				  : 0;
}

/* With byte_fallback a byte without an id would be spelt <0xHH>. */
static int
check_fallback(struct loader *l, const struct js *model, struct err *e)
{
	bool fallback;
	int rc = js_opt_bool(&l->doc, model, "byte_fallback", false, &fallback, e);

	for (size_t i = 0; rc == 0 && fallback && i < 256; i++) {
		if (l->t->bpe.byte_id[i] == TOK_NONE)
			rc = load_unsupported(l, "the BPE option", "byte_fallback", e);
	}
	return rc;
}

/* ---- added tokens ------------------------------------------------------- */

static int
added_flags(struct loader *l, const struct js *v, struct added *x, struct err *e)
{
	const struct {
		const char *key;
		bool *out;
	} flags[] = {
		{"special", &x->special},
		{"single_word", &x->single_word},
		{"lstrip", &x->lstrip},
		{"rstrip", &x->rstrip},
		{"normalized", &x->normalized},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(flags) / sizeof(flags[0]); i++)
		rc = js_opt_bool(&l->doc, v, flags[i].key, false, flags[i].out, e);
	return rc;
}

/* The content as it is looked for: in normal form if the text is, too. */
static int
added_content(struct loader *l, struct added *x, const char *s, size_t n, struct err *e)
{
	struct buf out, from, to;

	buf_init(&out);
	buf_init(&from);
	buf_init(&to);
	if (x->normalized && l->t->nfc && !nfc_is(s, n))
		nfc_put(&out, &from, &to, s, n, 0);
	else
		buf_put(&out, s, n);
	if (!out.failed && !from.failed && !to.failed)
		x->content = mem_strndup((const char *)out.data, out.n_bytes);
	x->n_bytes = (uint32_t)out.n_bytes;
	buf_clear(&out);
	buf_clear(&from);
	buf_clear(&to);
	return x->content ? 0 : no_memory(l, e);
}

static int
load_added_one(struct loader *l, const struct js *v, struct err *e)
{
	struct added *x = &l->t->added[l->t->n_added];
	size_t n;
	const char *s = js_str(js_get(v, "content"), &n);
	struct tok_entry *entry;
	uint32_t in_vocab;
	int rc = js_need_u32(&l->doc, v, "id", &x->id, e);

	if (rc < 0)
		return rc;
	if (!s || n == 0 || n > ADDED_MAX_BYTES)
		return err_set(e, ERR_FORMAT,
			"%s: added token %u: \"content\" must be a string of 1 to %d "
			"bytes",
			l->t->path, x->id, ADDED_MAX_BYTES);
	rc = added_flags(l, v, x, e);
	if (rc == 0)
		rc = added_content(l, x, s, n, e);
	if (rc < 0)
		return rc;
	l->t->n_added++;
	in_vocab = spelling_id(l, s, n);
	entry = &l->t->entry[x->id];
	if (in_vocab != TOK_NONE ? in_vocab != x->id : entry->bytes != NULL)
		return err_set(e, ERR_MISMATCH,
			"%s: added token \"%.80s\" has id %u, but the vocabulary "
			"says otherwise",
			l->t->path, s, x->id);
	if (!entry->bytes)
		entry_set(l, x->id, s, n, false);
	entry->special = x->special;
	return 0;
}

static int
load_added(struct loader *l, const struct js *added, struct err *e)
{
	int rc = 0;

	l->t->added = mem_new(js_n(added), sizeof(*l->t->added));
	if (!l->t->added)
		return no_memory(l, e);
	for (size_t i = 0; rc == 0 && i < js_n(added); i++)
		rc = load_added_one(l, js_at(added, i), e);
	return rc;
}

/* ---- the rest ---------------------------------------------------------- */

/* What comes behind the model changes no ids here, but an unknown component
 * means a file that is not understood. */
static int
check_rest(struct loader *l, const char *key, const char *const *known, struct err *e)
{
	const struct js *v = js_get(l->doc.root, key);

	if (load_none(v))
		return 0;
	for (size_t i = 0; known[i]; i++) {
		if (load_named(v, known[i]))
			return 0;
	}
	return load_unsupported(l, key, js_str(js_get(v, "type"), NULL), e);
}

/* ---- the files ---------------------------------------------------------- */

/* A token named in tokenizer_config.json: "x", or {"content": "x", ...}. */
static int64_t
config_token(struct loader *l, const struct js *config, const char *key)
{
	const struct js *v = js_get(config, key);
	size_t n;
	const char *s = js_str(js_type(v) == JS_OBJECT ? js_get(v, "content") : v, &n);

	for (size_t i = 0; s && i < l->t->n_added; i++) {
		const struct added *x = &l->t->added[i];

		if (x->n_bytes == n && memcmp(x->content, s, n) == 0)
			return x->id;
	}
	if (s && spelling_id(l, s, n) != TOK_NONE)
		return spelling_id(l, s, n);
	return -1;
}

static int
load_config(struct loader *l, const char *dir, struct err *e)
{
	struct tok *t = l->t;
	char path[PATH_BYTES];
	struct js_doc config;
	size_t n_special = 0;
	int rc = path_join(path, e, "%s/tokenizer_config.json", dir);

	t->bos = t->eos = -1;
	if (rc == 0 && file_exists(path)) {
		rc = js_open(&config, path, JSON_MAX_BYTES, JSON_MAX_DEPTH, e);
		if (rc == 0) {
			t->bos = config_token(l, config.root, "bos_token");
			t->eos = config_token(l, config.root, "eos_token");
			js_close(&config);
		}
	}
	for (size_t i = 0; i < t->n_added; i++)
		n_special += t->added[i].special;
	for (size_t i = 0; t->bos < 0 && n_special == 1 && i < t->n_added; i++) {
		if (t->added[i].special)
			t->bos = t->added[i].id;
	}
	return rc;
}

static int
load_parts(struct loader *l, const char *dir, struct err *e)
{
	static const char *const posts[] = {"ByteLevel", "TemplateProcessing",
		"RobertaProcessing", "BertProcessing", "Sequence", NULL};
	static const char *const decoders[] = {"ByteLevel", "Sequence", NULL};
	const struct js *model = js_get(l->doc.root, "model");
	const struct js *added = js_get(l->doc.root, "added_tokens");
	const char *type = js_str(js_get(model, "type"), NULL);
	int rc;

	if (js_type(model) != JS_OBJECT)
		return load_bad(l, e, "\"model\" must be an object");
	if (type ? strcmp(type, "BPE") != 0
		 : js_type(js_get(model, "merges")) != JS_ARRAY)
		return load_unsupported(l, "the model", type, e);
	l->vocab = js_get(model, "vocab");
	if (js_type(l->vocab) != JS_OBJECT)
		return load_bad(l, e, "model.vocab must be an object");
	rc = load_normalizer(l, js_get(l->doc.root, "normalizer"), e);
	if (rc == 0)
		rc = load_pre(l, js_get(l->doc.root, "pre_tokenizer"), e);
	if (rc == 0)
		rc = check_rest(l, "post_processor", posts, e);
	if (rc == 0)
		rc = check_rest(l, "decoder", decoders, e);
	if (rc == 0)
		rc = count_ids(l, added, e);
	if (rc == 0)
		rc = load_vocab(l, e);
	if (rc == 0)
		rc = load_added(l, added, e);
	if (rc == 0)
		rc = blob_settle(l, e);
	if (rc == 0)
		rc = bpe_index(l->t, e);
	if (rc == 0)
		rc = load_options(l, model, e);
	if (rc == 0)
		rc = check_fallback(l, model, e);
	if (rc == 0)
		rc = load_merges(l, js_get(model, "merges"), e);
	return rc == 0 ? load_config(l, dir, e) : rc;
}

int
tok_load(struct tok *t, const char *dir, struct err *e)
{
	struct loader l = {.t = t};
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/tokenizer.json", dir);

	if (rc < 0)
		return rc;
	t->path = mem_strdup(path);
	if (!t->path)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	buf_init(&l.blob);
	buf_init(&l.scratch);
	rc = js_open(&l.doc, path, JSON_MAX_BYTES, JSON_MAX_DEPTH, e);
	if (rc == 0)
		rc = sha256_file(path, t->hash, e);
	if (rc == 0)
		rc = load_parts(&l, dir, e);
	js_close(&l.doc);
	buf_clear(&l.blob);
	buf_clear(&l.scratch);
	return rc;
}
