/* SPDX-License-Identifier: ISC */
#include "model/tok_files.h"

#include "model/tok_load.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

#define JSON_MAX_DEPTH 64

static int
open_one(struct js_doc *d, const char *dir, const char *name, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/%s", dir, name);

	if (rc < 0 || !file_exists(path))
		return rc;
	rc = js_open(d, path, TOK_FILE_MAX_BYTES, JSON_MAX_DEPTH, e);
	if (rc == 0 && js_type(d->root) != JS_OBJECT)
		rc = err_set(e, ERR_FORMAT, "%s: must be an object", path);
	return rc;
}

int
files_open(struct files *f, const char *dir, struct err *e)
{
	int rc;

	f->dir = dir;
	rc = open_one(&f->config, dir, "tokenizer_config.json", e);
	if (rc == 0)
		rc = open_one(&f->map, dir, "special_tokens_map.json", e);
	if (rc == 0)
		rc = open_one(&f->added, dir, "added_tokens.json", e);
	return rc;
}

void
files_close(struct files *f)
{
	js_close(&f->config);
	js_close(&f->map);
	js_close(&f->added);
	mem_free(f->token);
}

const char *
files_class(const struct files *f)
{
	return js_str(js_get(f->config.root, "tokenizer_class"), NULL);
}

static struct file_token *
token_of(const struct files *f, const char *s, size_t n)
{
	for (size_t i = 0; i < f->n_tokens; i++) {
		if (f->token[i].n_bytes == n && memcmp(f->token[i].content, s, n) == 0)
			return &f->token[i];
	}
	return NULL;
}

int
files_token(struct files *f, const struct file_token *x, struct err *e)
{
	struct file_token *old = token_of(f, x->content, x->n_bytes);

	if (old) {
		*old = *x;
		return 0;
	}
	if (f->n_tokens == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		struct file_token *grown = mem_resize(f->token, cap, sizeof(*grown));

		if (!grown)
			return err_set(e, ERR_NOMEM, "%s: memory ran out", f->dir);
		f->token = grown;
		f->cap = cap;
	}
	f->token[f->n_tokens++] = *x;
	return 0;
}

/* "x", or {"content": "x", ...}. */
static const char *
content_of(const struct js *v, size_t *n)
{
	return js_str(js_type(v) == JS_OBJECT ? js_get(v, "content") : v, n);
}

int
files_named(struct files *f, const char *key, const char *own, struct err *e)
{
	size_t n;
	const char *s = content_of(js_get(f->config.root, key), &n);
	struct file_token x = {.special = true}, *known;
	int64_t id;

	if (!s)
		s = content_of(js_get(f->map.root, key), &n);
	if (!s && own) {
		s = own;
		n = strlen(own);
	}
	if (!s || n == 0)
		return 0;
	known = token_of(f, s, n);
	if (known) {
		known->special = true;
		return 0;
	}
	id = f->find(f->ctx, s, n);
	x.content = s;
	x.n_bytes = n;
	x.id = (uint32_t)id;
	if (id >= 0)
		return files_token(f, &x, e);
	return s == own ? 0
			: err_set(e, ERR_UNSUPPORTED,
				  "%s: %s \"%.80s\" is not in the vocabulary, and "
				  "added_tokens_decoder of tokenizer_config.json gives "
				  "it no id",
				  f->dir, key, s);
}

static int
decoder_one(struct files *f, const char *key, const struct js *v, struct err *e)
{
	struct file_token x = {0};
	const struct {
		const char *key;
		bool *out;
	} flags[] = {
		{"special", &x.special},
		{"single_word", &x.single_word},
		{"lstrip", &x.lstrip},
		{"rstrip", &x.rstrip},
		{"normalized", &x.normalized},
	};
	char *end;
	unsigned long id = strtoul(key, &end, 10);
	int64_t known;

	x.content = js_str(js_get(v, "content"), &x.n_bytes);
	if (*end || key[0] < '0' || key[0] > '9' || id >= TOK_IDS_MAX || !x.content ||
		x.n_bytes == 0)
		return err_set(e, ERR_FORMAT,
			"%s: added_tokens_decoder.%.40s: must be an id below %u with "
			"a content",
			f->config.name, key, TOK_IDS_MAX);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (js_opt_bool(&f->config, v, flags[i].key, false, flags[i].out, e) <
			0)
			return err_set(e, ERR_FORMAT,
				"%s: added_tokens_decoder.%.40s.%s: must be true or "
				"false",
				f->config.name, key, flags[i].key);
	}
	known = f->find(f->ctx, x.content, x.n_bytes); /* the vocabulary wins */
	x.id = known >= 0 ? (uint32_t)known : (uint32_t)id;
	return files_token(f, &x, e);
}

int
files_decoder(struct files *f, struct err *e)
{
	const struct js *list = js_get(f->config.root, "added_tokens_decoder");
	const struct js *added = f->added.root;
	int rc = 0;
	size_t n;

	for (void *it = js_first(list); rc == 0 && it; it = js_next(list, it))
		rc = decoder_one(f, js_key(it, NULL), js_value(it), e);
	for (void *it = js_first(added); rc == 0 && it; it = js_next(added, it)) {
		const char *s = js_key(it, &n);

		if (!token_of(f, s, n) && f->find(f->ctx, s, n) < 0)
			rc = err_set(e, ERR_UNSUPPORTED,
				"%s: \"%.80s\" is not in the vocabulary, and "
				"added_tokens_decoder of tokenizer_config.json does "
				"not "
				"say how it is matched",
				f->added.name, s);
	}
	return rc;
}

void
json_put(struct buf *out, const char *s, size_t n_bytes)
{
	buf_u8(out, '"');
	for (size_t i = 0; i < n_bytes; i++) {
		uint8_t c = (uint8_t)s[i];

		if (c < 0x20)
			buf_printf(out, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else
			buf_u8(out, c);
	}
	buf_u8(out, '"');
}

void
files_put(const struct files *f, struct buf *out)
{
	static const char *const names[] = {"false", "true"};

	buf_puts(out, "\"added_tokens\":[");
	for (size_t i = 0; i < f->n_tokens; i++) {
		const struct file_token *x = &f->token[i];

		buf_printf(out, "%s{\"id\":%u,\"content\":", i ? "," : "", x->id);
		json_put(out, x->content, x->n_bytes);
		buf_printf(out,
			",\"special\":%s,\"single_word\":%s,\"lstrip\":%s,"
			"\"rstrip\":%s,\"normalized\":%s}",
			names[x->special], names[x->single_word], names[x->lstrip],
			names[x->rstrip], names[x->normalized]);
	}
	buf_puts(out, "]");
}
