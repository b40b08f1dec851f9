/* SPDX-License-Identifier: ISC */
#include "indexer/corpus.h"

#include "schema/limits.h"
#include "schema/out.h"
#include "schema/value.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/stream.h"
#include "util/utf8.h"

#include <string.h>

enum form { FORM_UNKNOWN, FORM_JSON, FORM_TEXT };

struct corpus {
	const char *const *path;
	size_t n_paths;
	struct corpus_rules rules;
	size_t at; /* the file being read; n_paths at the end */
	struct stream *stream; /* NULL between files */
	enum form form;
	bool pending; /* first holds the first line, not yet given out */
	struct buf first;
	struct buf text; /* of a whole plain file */
	struct buf id, meta;
	struct arena arena;
	uint64_t done_bytes, total_bytes; /* of files before this one; of all */
	bool total_known;
};

static const struct extension {
	const char *name;
	enum form form;
} extensions[] = {
	{".jsonl", FORM_JSON},
	{".ndjson", FORM_JSON},
	{".json", FORM_JSON},
	{".txt", FORM_TEXT},
	{".text", FORM_TEXT},
	{".md", FORM_TEXT},
};

static const char *
shown(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Length of a name without what compression put behind it. */
static size_t
plain_length(const char *name)
{
	static const char *const packed[] = {".gz", ".zst", ".zstd"};
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++) {
		size_t m = strlen(packed[i]);

		if (n > m && memcmp(name + n - m, packed[i], m) == 0)
			return n - m;
	}
	return n;
}

static enum form
form_of_name(const char *path)
{
	const char *name = base_name(path);
	size_t n = plain_length(name);

	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		size_t m = strlen(extensions[i].name);

		if (n > m && memcmp(name + n - m, extensions[i].name, m) == 0)
			return extensions[i].form;
	}
	return FORM_UNKNOWN;
}

static int
no_memory(const char *path, struct err *e)
{
	return err_set(e, ERR_NOMEM, "%s: no memory to read it", shown(path));
}

/* One total for the progress, as far as it is known. */
static int
measure(struct corpus *c, struct err *e)
{
	c->total_known = true;
	for (size_t i = 0; i < c->n_paths; i++) {
		uint64_t n_bytes = 0;

		if (strcmp(c->path[i], "-") == 0) {
			c->total_known = false;
			continue;
		}
		if (file_is_dir(c->path[i]))
			return err_set(e, ERR_ARG,
				"%s is a directory; name the files in it", c->path[i]);
		if (file_size(c->path[i], &n_bytes, e) < 0)
			return e->code;
		c->total_bytes += n_bytes;
	}
	return 0;
}

int
corpus_open(struct corpus **out, const char *const *paths, size_t n_paths,
	const struct corpus_rules *rules, struct err *e)
{
	struct corpus *c = mem_new(1, sizeof(*c));
	int rc;

	*out = NULL;
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "no memory to read the corpus");
	c->path = paths;
	c->n_paths = n_paths;
	c->rules = *rules;
	buf_init(&c->first);
	buf_init(&c->text);
	buf_init(&c->id);
	buf_init(&c->meta);
	arena_init(&c->arena, 0);
	rc = measure(c, e);
	if (rc < 0) {
		corpus_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
corpus_close(struct corpus *c)
{
	if (c == NULL)
		return;
	stream_close(c->stream);
	buf_clear(&c->first);
	buf_clear(&c->text);
	buf_clear(&c->id);
	buf_clear(&c->meta);
	arena_clear(&c->arena);
	mem_free(c);
}

void
corpus_progress(const struct corpus *c, uint64_t *done, uint64_t *total)
{
	uint64_t here = 0, all = 0;

	if (c->stream != NULL)
		stream_progress(c->stream, &here, &all);
	*done = c->done_bytes + here;
	*total = c->total_known ? c->total_bytes : 0;
}

/* ---- JSON Lines --------------------------------------------------------- */

static int
bad_line(const struct corpus *c, struct err *e)
{
	return err_wrap(e, "%s:%llu", shown(c->path[c->at]),
		(unsigned long long)stream_line_number(c->stream));
}

/* A string, or a number as text. */
static int
put_id(struct buf *b, const struct value *v, const char *field, struct err *e)
{
	buf_reset(b);
	if (v->type == VALUE_STR)
		buf_put(b, v->str, v->n);
	else if (v->type == VALUE_INT)
		buf_printf(b, "%lld", (long long)v->i);
	else
		return err_set(e, ERR_FORMAT,
			"\"%s\" is neither a string nor an integer", field);
	if (v->type == VALUE_STR && memchr(v->str, '\0', v->n) != NULL)
		return err_set(e, ERR_FORMAT, "\"%s\" holds a NUL character", field);
	if (b->n_bytes > LIMIT_META_BYTES)
		return err_set(e, ERR_LIMIT, "\"%s\" has %zu bytes; the limit is %d",
			field, b->n_bytes, LIMIT_META_BYTES);
	return b->failed ? err_set(e, ERR_NOMEM, "no memory for a document's id") : 0;
}

/* All fields but the text and the id, as one JSON object. */
static int
put_meta(struct corpus *c, const struct value *v, const struct value *text,
	const struct value *id, struct err *e)
{
	struct out o;
	uint32_t n = v->n - 1 - (id != NULL);

	buf_reset(&c->meta);
	out_init_json(&o, &c->meta, LIMIT_META_BYTES);
	out_map(&o, n);
	for (uint32_t i = 0; i < v->n; i++) {
		if (&v->v[2 * i + 1] == text || &v->v[2 * i + 1] == id)
			continue;
		out_strn(&o, v->v[2 * i].str, v->v[2 * i].n);
		value_write(&o, &v->v[2 * i + 1]);
	}
	out_end(&o);
	if (o.over_limit)
		return err_set(e, ERR_LIMIT,
			"the fields beside the text take more than the limit of %d "
			"bytes",
			LIMIT_META_BYTES);
	return out_failed(&o)
		? err_set(e, ERR_NOMEM, "no memory for a document's fields")
		: 0;
}

static int
parse_json(struct corpus *c, const char *line, size_t n_bytes, struct document *d,
	struct err *e)
{
	const struct value *v, *text, *id;
	int rc;

	arena_reset(&c->arena);
	rc = value_parse_json(&v, line, n_bytes, &c->arena, e);
	if (rc < 0)
		return rc;
	if (v->type != VALUE_MAP)
		return err_set(e, ERR_FORMAT,
			"not a JSON object; JSON Lines have one object a line");
	text = value_get(v, c->rules.text_field);
	if (text == NULL)
		return err_set(e, ERR_FORMAT,
			"the object has no \"%s\"; --text-field names its text",
			c->rules.text_field);
	if (text->type != VALUE_STR)
		return err_set(e, ERR_FORMAT, "\"%s\" is not a string",
			c->rules.text_field);
	id = value_get(v, c->rules.id_field);
	if (id == text)
		id = NULL;
	if (put_meta(c, v, text, id, e) < 0)
		return e->code;
	if (id != NULL && id->type == VALUE_NIL)
		id = NULL;
	if (id != NULL && put_id(&c->id, id, c->rules.id_field, e) < 0)
		return e->code;
	*d = (struct document){.text = text->str,
		.n_text = text->n,
		.id = id != NULL ? (const char *)c->id.data : NULL,
		.n_id = id != NULL ? c->id.n_bytes : 0,
		.meta = (const char *)c->meta.data,
		.n_meta = c->meta.n_bytes};
	if (id != NULL && d->id == NULL)
		d->id = "";
	return 1;
}

static bool
is_blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
			return false;
	return true;
}

/* The next line, or the pending first one. */
static int
take_line(struct corpus *c, char **line, size_t *n_bytes, struct err *e)
{
	if (!c->pending)
		return stream_line(c->stream, LIMIT_LINE_BYTES, line, n_bytes, e);
	c->pending = false;
	*line = (char *)c->first.data;
	*n_bytes = c->first.n_bytes;
	return 1;
}

static int
next_json(struct corpus *c, struct document *d, struct err *e)
{
	char *line;
	size_t n_bytes, bad;
	int rc;

	do
		rc = take_line(c, &line, &n_bytes, e);
	while (rc == 1 && is_blank(line, n_bytes));
	if (rc <= 0)
		return rc;
	bad = utf8_valid(line, n_bytes);
	if (bad < n_bytes)
		return err_set(e, ERR_FORMAT,
			"%s:%llu:%zu: byte 0x%02x is not valid UTF-8, which JSON must "
			"be",
			shown(c->path[c->at]),
			(unsigned long long)stream_line_number(c->stream), bad + 1,
			(unsigned char)line[bad]);
	rc = parse_json(c, line, n_bytes, d, e);
	return rc < 0 ? bad_line(c, e) : rc;
}

/* ---- plain text ---------------------------------------------------------- */

static int
check_utf8(const struct corpus *c, const char *p, size_t n, uint64_t line,
	struct err *e)
{
	size_t bad, start = 0;

	if (!c->rules.strict)
		return 0;
	bad = utf8_valid(p, n);
	if (bad == n)
		return 0;
	for (size_t i = 0; i < bad; i++)
		if (p[i] == '\n') {
			line++;
			start = i + 1;
		}
	return err_set(e, ERR_FORMAT,
		"%s:%llu:%zu: byte 0x%02x is not valid UTF-8 (--strict)",
		shown(c->path[c->at]), (unsigned long long)line, bad - start + 1,
		(unsigned char)p[bad]);
}

static int
next_text_line(struct corpus *c, struct document *d, struct err *e)
{
	char *line;
	size_t n_bytes;
	int rc;

	do {
		rc = take_line(c, &line, &n_bytes, e);
		if (rc == 1 && n_bytes > 0 && line[n_bytes - 1] == '\r')
			n_bytes--;
	} while (rc == 1 && n_bytes == 0);
	if (rc <= 0)
		return rc;
	if (check_utf8(c, line, n_bytes, stream_line_number(c->stream), e) < 0)
		return e->code;
	*d = (struct document){.text = line,
		.n_text = n_bytes,
		.meta = "{}",
		.n_meta = 2};
	return 1;
}

/* The pending first line and the rest of the stream, byte for byte. */
static int
read_whole(struct corpus *c, struct err *e)
{
	ssize_t n = 1;

	buf_reset(&c->text);
	if (c->pending)
		buf_put(&c->text, c->first.data, c->first.n_bytes);
	if (c->pending && stream_line_ended(c->stream))
		buf_u8(&c->text, '\n');
	c->pending = false;
	while (n > 0 && c->text.n_bytes <= LIMIT_LINE_BYTES) {
		char chunk[1 << 16];

		n = stream_read(c->stream, chunk, sizeof(chunk), e);
		if (n < 0)
			return (int)n;
		buf_put(&c->text, chunk, (size_t)n);
	}
	if (c->text.failed)
		return no_memory(c->path[c->at], e);
	if (c->text.n_bytes > LIMIT_LINE_BYTES)
		return err_set(e, ERR_LIMIT,
			"%s: longer than the limit of %d bytes for one document; "
			"--lines "
			"makes each line one",
			shown(c->path[c->at]), LIMIT_LINE_BYTES);
	return 0;
}

static int
next_text_file(struct corpus *c, struct document *d, struct err *e)
{
	const char *path = c->path[c->at];
	bool named = strcmp(path, "-") != 0;

	if (c->text.n_bytes > 0)
		return 0; /* given out already */
	if (read_whole(c, e) < 0)
		return e->code;
	if (c->text.n_bytes == 0)
		return 0;
	if (check_utf8(c, (char *)c->text.data, c->text.n_bytes, 1, e) < 0)
		return e->code;
	*d = (struct document){.text = (char *)c->text.data,
		.n_text = c->text.n_bytes,
		.id = named ? base_name(path) : NULL,
		.n_id = named ? plain_length(base_name(path)) : 0,
		.meta = "{}",
		.n_meta = 2};
	return 1;
}

/* ---- files ---------------------------------------------------------------- */

/* What the first line looks like: a JSON object that has the text is JSON. */
static int
look_at_first(struct corpus *c, struct err *e)
{
	const struct value *v;
	char *line;
	size_t n_bytes, i = 0;
	int rc = stream_line(c->stream, LIMIT_LINE_BYTES, &line, &n_bytes, e);

	c->form = FORM_TEXT;
	if (rc <= 0)
		return rc;
	buf_reset(&c->first);
	buf_put(&c->first, line, n_bytes);
	if (c->first.failed)
		return no_memory(c->path[c->at], e);
	c->pending = true;
	while (i < n_bytes && (line[i] == ' ' || line[i] == '\t'))
		i++;
	if (i == n_bytes || line[i] != '{')
		return 0;
	arena_reset(&c->arena);
	if (value_parse_json(&v, line, n_bytes, &c->arena, NULL) == 0 &&
		v->type == VALUE_MAP)
		c->form = FORM_JSON;
	return 0;
}

static int
open_file(struct corpus *c, struct err *e)
{
	const char *path = c->path[c->at];
	int rc = stream_open(&c->stream, path, e);

	if (rc < 0)
		return rc;
	c->pending = false;
	buf_reset(&c->text);
	c->form = form_of_name(path);
	return c->form == FORM_UNKNOWN ? look_at_first(c, e) : 0;
}

static void
close_file(struct corpus *c)
{
	uint64_t done, total;

	stream_progress(c->stream, &done, &total);
	c->done_bytes += done;
	stream_close(c->stream);
	c->stream = NULL;
	c->at++;
}

int
corpus_next(struct corpus *c, struct document *d, struct err *e)
{
	int rc = 0;

	while (c->at < c->n_paths) {
		if (c->stream == NULL && open_file(c, e) < 0)
			return e->code;
		if (c->form == FORM_JSON)
			rc = next_json(c, d, e);
		else if (c->rules.lines)
			rc = next_text_line(c, d, e);
		else
			rc = next_text_file(c, d, e);
		if (rc != 0)
			return rc;
		close_file(c);
	}
	return 0;
}
