/* SPDX-License-Identifier: ISC */
/* Which tokens begin and end a text: tokenizer_config.json and its fallbacks. */
#include "model/tok_load.h"
#include "util/file.h"

#include <string.h>

#define JSON_MAX_DEPTH 64

/* A token named in tokenizer_config.json: "x", or {"content": "x", ...}. */
static int64_t
config_token(struct loader *l, const struct js *config, const char *key)
{
	const struct js *v = js_get(config, key);
	size_t n;
	const char *s = js_str(js_type(v) == JS_OBJECT ? js_get(v, "content") : v, &n);

	for (size_t i = 0; s && i < l->t->n_added; i++) {
		const struct added *x = &l->t->added[i];

		if (x->n_spelt == n && memcmp(x->spelt, s, n) == 0)
			return x->id;
	}
	if (s && load_id(l, s, n) != TOK_NONE)
		return load_id(l, s, n);
	return -1;
}

static int
read_config(struct loader *l, const char *path, struct err *e)
{
	struct js_doc config;
	int rc = js_open(&config, path, TOK_FILE_MAX_BYTES, JSON_MAX_DEPTH, e);

	if (rc < 0)
		return rc;
	l->t->bos = config_token(l, config.root, "bos_token");
	l->t->eos = config_token(l, config.root, "eos_token");
	js_close(&config);
	return 0;
}

int
load_config(struct loader *l, const char *dir, struct err *e)
{
	struct tok *t = l->t;
	char path[PATH_BYTES];
	size_t n_special = 0, special = 0;
	int rc = path_join(path, e, "%s/tokenizer_config.json", dir);

	t->bos = t->eos = -1;
	if (rc == 0 && file_exists(path))
		rc = read_config(l, path, e);
	if (t->bos < 0)
		t->bos = l->first;
	if (t->eos < 0)
		t->eos = l->last;
	for (size_t i = 0; i < t->n_added; i++) {
		if (t->added[i].special) {
			n_special++;
			special = i;
		}
	}
	if (t->bos < 0 && n_special == 1)
		t->bos = t->added[special].id;
	return rc;
}
