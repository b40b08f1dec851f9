/* SPDX-License-Identifier: ISC */
/* GPT-2's vocab.json and merges.txt, as the tokenizer.json they stand for. */
#include "model/tok_files.h"
#include "model/tok_load.h"
#include "util/file.h"

#include <string.h>

#define JSON_MAX_DEPTH 64

struct gpt2 {
	struct js_doc vocab;
	char vocab_path[PATH_BYTES], merges_path[PATH_BYTES];
	struct buf text, merges, scratch;
	bool no_memory;
};

static int64_t
find(void *ctx, const char *s, size_t n_bytes)
{
	struct gpt2 *g = ctx;
	const char *key;
	uint64_t id;

	buf_reset(&g->scratch);
	buf_put(&g->scratch, s, n_bytes);
	key = buf_str(&g->scratch);
	g->no_memory |= key == NULL;
	return key && js_u64(js_get(g->vocab.root, key), &id) && id < TOK_IDS_MAX
		? (int64_t)id
		: -1;
}

/* One line of merges.txt, at number. */
static int
put_merge(struct gpt2 *g, const char *p, size_t n, size_t number, bool first,
	struct buf *out, struct err *e)
{
	const char *space = memchr(p, ' ', n);
	size_t n_left = space ? (size_t)(space - p) : 0;
	size_t n_right = space ? n - n_left - 1 : 0;

	if (!space || n_left == 0 || n_right == 0 || memchr(space + 1, ' ', n_right))
		return err_set(e, ERR_FORMAT,
			"%s: line %zu: must be two tokens with a space between",
			g->merges_path, number);
	buf_reset(&g->text);
	buf_put(&g->text, p, n_left);
	buf_put(&g->text, space + 1, n_right);
	g->no_memory |= g->text.failed;
	if (find(g, p, n_left) < 0 || find(g, space + 1, n_right) < 0 ||
		find(g, (const char *)g->text.data, g->text.n_bytes) < 0)
		return err_set(e, ERR_FORMAT,
			"%s: line %zu: a part or the whole is not in vocab.json",
			g->merges_path, number);
	buf_puts(out, first ? "[" : ",[");
	json_put(out, p, n_left);
	buf_u8(out, ',');
	json_put(out, space + 1, n_right);
	buf_u8(out, ']');
	return 0;
}

static int
put_merges(struct gpt2 *g, struct buf *out, struct err *e)
{
	const char *p = (const char *)g->merges.data;
	size_t left = g->merges.n_bytes, number = 0, n_merges = 0;
	int rc = 0;

	buf_puts(out, "\"merges\":[");
	while (rc == 0 && left > 0) {
		const char *end = memchr(p, '\n', left);
		size_t n = end ? (size_t)(end - p) : left, step = end ? n + 1 : n;

		number++;
		if (n > 0 && p[n - 1] == '\r')
			n--;
		if (n < 8 || memcmp(p, "#version", 8) != 0)
			rc = put_merge(g, p, n, number, n_merges++ == 0, out, e);
		p += step;
		left -= step;
	}
	buf_puts(out, "],");
	return rc;
}

static int
check_vocab(const struct gpt2 *g, struct err *e)
{
	const struct js *v = g->vocab.root;
	uint64_t id;

	if (js_type(v) != JS_OBJECT)
		return err_set(e, ERR_FORMAT, "%s: must be an object", g->vocab_path);
	for (void *it = js_first(v); it; it = js_next(v, it)) {
		if (!js_u64(js_value(it), &id) || id >= TOK_IDS_MAX)
			return err_set(e, ERR_FORMAT,
				"%s: the id of \"%.80s\" must be an integer below %u",
				g->vocab_path, js_key(it, NULL), TOK_IDS_MAX);
	}
	return 0;
}

static int
read_files(struct gpt2 *g, struct files *f, const char *dir, struct err *e)
{
	int rc = path_join(g->vocab_path, e, "%s/vocab.json", dir);

	if (rc == 0)
		rc = path_join(g->merges_path, e, "%s/merges.txt", dir);
	if (rc == 0)
		rc = js_open(&g->vocab, g->vocab_path, TOK_FILE_MAX_BYTES,
			JSON_MAX_DEPTH, e);
	if (rc == 0)
		rc = check_vocab(g, e);
	if (rc == 0)
		rc = file_read(g->merges_path, TOK_FILE_MAX_BYTES, &g->merges, e);
	return rc == 0 ? files_open(f, dir, e) : rc;
}

static int
collect(struct files *f, struct err *e)
{
	static const char end[] = "<|endoftext|>";
	static const struct {
		const char *key, *own;
	} named[] = {
		{"unk_token", end},
		{"bos_token", end},
		{"eos_token", end},
		{"pad_token", NULL},
	};
	const char *class = files_class(f);
	int rc;

	if (class && strcmp(class, "GPT2Tokenizer") != 0 &&
		strcmp(class, "GPT2TokenizerFast") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: tokenizer_class: \"%.80s\" is not supported without a "
			"tokenizer.json",
			f->config.name, class);
	rc = files_decoder(f, e);
	for (size_t i = 0; rc == 0 && i < sizeof(named) / sizeof(named[0]); i++)
		rc = files_named(f, named[i].key, named[i].own, e);
	return rc;
}

static int
put_all(struct gpt2 *g, struct files *f, struct buf *out, struct err *e)
{
	int64_t end = find(g, "<|endoftext|>", 13);
	bool prefix;
	int rc = js_opt_bool(&f->config, f->config.root, "add_prefix_space", false,
		&prefix, e);

	if (rc < 0)
		return rc;
	buf_puts(out, "{");
	files_put(f, out);
	buf_printf(out,
		",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":%s},"
		"\"decoder\":{\"type\":\"ByteLevel\"},",
		prefix ? "true" : "false");
	if (end >= 0) /* says what bos and eos are */
		buf_printf(out,
			"\"post_processor\":{\"type\":\"BertProcessing\","
			"\"cls\":[\"\",%u],\"sep\":[\"\",%u]},",
			(unsigned)end, (unsigned)end);
	buf_puts(out, "\"model\":{\"type\":\"BPE\",");
	rc = put_merges(g, out, e);
	buf_puts(out, "\"vocab\":{");
	for (void *it = js_first(g->vocab.root); it; it = js_next(g->vocab.root, it)) {
		size_t n;
		const char *s = js_key(it, &n);
		uint64_t id = 0;

		js_u64(js_value(it), &id);
		json_put(out, s, n);
		buf_printf(out, ":%u,", (unsigned)id);
	}
	if (js_n(g->vocab.root) > 0 && !out->failed)
		out->n_bytes--; /* the last comma */
	buf_puts(out, "}}}");
	return rc;
}

int
gpt2_json(const char *dir, struct buf *out, struct err *e)
{
	struct gpt2 g = {0};
	struct files f = {.find = find, .ctx = &g};
	int rc = read_files(&g, &f, dir, e);

	if (rc == 0)
		rc = collect(&f, e);
	if (rc == 0)
		rc = put_all(&g, &f, out, e);
	if (g.no_memory || (rc == 0 && out->failed))
		rc = err_set(e, ERR_NOMEM, "%s: memory ran out", g.vocab_path);
	files_close(&f);
	js_close(&g.vocab);
	buf_clear(&g.text);
	buf_clear(&g.merges);
	buf_clear(&g.scratch);
	return rc;
}
