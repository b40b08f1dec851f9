/* SPDX-License-Identifier: ISC */
/* Documents, and windows found by their text. */
#include "client/cli.h"
#include "client/fmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "lang=en tags=[...]" */
static void
put_meta(struct table *t, const struct saedb_value *meta)
{
	struct buf b;

	buf_init(&b);
	for (size_t i = 0; i < saedb_length(meta); i++) {
		const struct saedb_value *v = saedb_pair(meta, i);
		char *json = NULL;

		if (saedb_type(v) != SAEDB_STR)
			saedb_json(v, &json);
		buf_printf(&b, "%s%s=%s", i > 0 ? " " : "",
			saedb_str(saedb_key(meta, i), "?"),
			json != NULL ? json : saedb_str(v, ""));
		saedb_text_free(json);
	}
	table_text(t, buf_str(&b));
	buf_clear(&b);
}

void
show_documents(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"document", false, STYLE_ADDR},
		{"bytes", true, STYLE_PLAIN},
		{"windows", true, STYLE_PLAIN},
		{"first", true, STYLE_PLAIN},
		{"metadata", false, STYLE_DIM},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "documents");
	struct table t;

	if (saedb_length(list) == 0) {
		show_heading(c, "no documents");
		return;
	}
	table_init(&t, columns, c->term.utf8);
	t.kept = c->width;
	t.no_titles = c->page > 0;
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *d = saedb_at(list, i);

		table_text(&t, str_of(d, "document", "?"));
		table_put(&t, fmt_count((uint64_t)int_of(d, "n_bytes")).s);
		table_put(&t, fmt_count((uint64_t)int_of(d, "n_windows")).s);
		table_printf(&t, "%" PRId64, int_of(d, "first_window"));
		put_meta(&t, saedb_get(d, "meta"));
	}
	show_table(c, &t);
}

void
show_feature_documents(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"document", false, STYLE_ADDR},
		{"max", true, STYLE_PLAIN},
		{"fired", true, STYLE_PLAIN},
		{"windows", true, STYLE_PLAIN},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "documents");
	struct table t;

	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *d = saedb_at(list, i);

		table_text(&t, str_of(d, "document", "?"));
		table_put(&t, fmt_value(float_of(d, "max")).s);
		table_put(&t, fmt_count((uint64_t)int_of(d, "n_fired")).s);
		table_put(&t, fmt_count((uint64_t)int_of(d, "n_windows")).s);
	}
	show_heading(c, "in %s documents",
		fmt_count((uint64_t)int_of(r, "n_documents")).s);
	show_table(c, &t);
}

/* A document's own line ends are kept. */
static void
put_lines(struct cli *c, const char *s, size_t n_bytes)
{
	struct buf b;

	while (n_bytes > 0) {
		const char *end = memchr(s, '\n', n_bytes);
		size_t n = end != NULL ? (size_t)(end - s) : n_bytes;

		buf_init(&b);
		text_show(&b, s, n, c->term.utf8);
		buf_puts(&b, "\n");
		fwrite(b.data, 1, b.n_bytes, c->term.out);
		buf_clear(&b);
		n += end != NULL;
		s += n;
		n_bytes -= n;
	}
}

void
show_document(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"", false, STYLE_DIM},
		{"", false, STYLE_PLAIN},
		{NULL, false, STYLE_PLAIN},
	};
	int64_t n_windows, first;
	size_t n_bytes;
	const char *text = bytes_of(saedb_get(r, "text"), &n_bytes);
	struct table t;

	if (cli_flag(c, "raw")) {
		fwrite(text, 1, n_bytes, c->term.out);
		return;
	}
	table_init(&t, columns, c->term.utf8);
	t.no_titles = true;
	table_put(&t, "document");
	table_text(&t, str_of(r, "document", "?"));
	table_put(&t, "size");
	n_windows = int_of(r, "n_windows");
	first = int_of(r, "first_window");
	if (n_windows == 1)
		table_printf(&t, "%s bytes, window %" PRId64,
			fmt_count((uint64_t)int_of(r, "n_bytes")).s, first);
	else
		table_printf(&t, "%s bytes, windows %" PRId64 " to %" PRId64,
			fmt_count((uint64_t)int_of(r, "n_bytes")).s, first,
			first + n_windows - 1);
	table_put(&t, "sha256");
	table_text(&t, str_of(r, "hash", ""));
	if (saedb_length(saedb_get(r, "meta")) > 0) {
		table_put(&t, "metadata");
		put_meta(&t, saedb_get(r, "meta"));
	}
	show_table(c, &t);
	term_printf(&c->term, "\n");
	put_lines(c, text, n_bytes);
}

void
show_texts(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"document", false, STYLE_ADDR},
		{"window", true, STYLE_PLAIN},
		{"text", false, STYLE_PLAIN},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "windows");
	struct table t;

	if (saedb_length(list) == 0) {
		show_heading(c, "no texts");
		return;
	}
	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *w = saedb_at(list, i);

		table_text(&t, str_of(w, "document", "?"));
		table_printf(&t, "%" PRId64, int_of(w, "window"));
		table_text(&t, str_of(w, "snippet", ""));
	}
	show_table(c, &t);
}
