/* SPDX-License-Identifier: ISC */
/* Labels: one feature's, and all of them out and in. */
#include "client/cli.h"
#include "client/label_file.h"
#include "client/rows.h"
#include "util/mem.h"
#include "util/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_MOST ((size_t)1 << 30)
#define BATCH_BYTES ((size_t)512 << 10) /* of texts in one call */

/* ---- one feature's ---- */

static int
show_current(struct cli *c, const char *feature)
{
	struct saedb_reply *r = NULL;
	int rc = 0;

	if (saedb_ask(c->db, &r, "label.get", "feature=%s", feature) != 0)
		rc = cli_db_error(c);
	else
		rc = cli_show(c, r);
	saedb_reply_free(r);
	return rc;
}

static int
set_label(struct cli *c)
{
	struct saedb_reply *r = NULL;
	struct saedb_args *a = NULL;
	char *text = cli_join(c, 1);
	int rc = text == NULL ? c->err.code : cli_args(c, &a);

	saedb_args_str(a, "text", text);
	if (rc == 0)
		rc = cli_call(c, "label.set", a, &r);
	if (rc == 0 && c->json)
		show_json(c, saedb_result(r));
	else if (rc == 0)
		rc = show_current(c, c->word[0]);
	saedb_reply_free(r);
	saedb_args_free(a);
	mem_free(text);
	return rc != 0 ? rc : c->err.code;
}

/* The id of the label of that source and author, or -1. */
static int64_t
find_label(const struct saedb_value *list, const char *source, const char *author)
{
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *l = saedb_at(list, i);

		if (strcmp(str_of(l, "source", ""), source) == 0 &&
			strcmp(str_of(l, "author", ""), author) == 0)
			return int_of(l, "id");
	}
	return -1;
}

static int
delete_label(struct cli *c)
{
	const char *source = cli_option(c, "source"), *author = cli_option(c, "author");
	struct saedb_reply *r = NULL;
	int64_t id = cli_int(c, "id", -1);

	source = source != NULL ? source : "person";
	author = author != NULL ? author : "";
	if (id < 0) {
		if (saedb_ask(c->db, &r, "label.get", "feature=%s", c->word[0]) != 0)
			return cli_db_error(c);
		id = find_label(saedb_get(saedb_result(r), "labels"), source, author);
		saedb_reply_free(r);
		r = NULL;
	}
	if (id < 0)
		return err_set(&c->err, ERR_NOTFOUND,
			"%s has no label of source %s and author '%s'", c->word[0],
			source, author);
	if (saedb_ask(c->db, &r, "label.delete", "id=%lld", (long long)id) != 0)
		return cli_db_error(c);
	if (c->json)
		show_json(c, saedb_result(r));
	saedb_reply_free(r);
	return c->json ? c->err.code : show_current(c, c->word[0]);
}

int
run_label(struct cli *c)
{
	if (cli_flag(c, "delete") || cli_flag(c, "id")) {
		if (c->n_words > 1 || cli_flag(c, "score") || !cli_flag(c, "delete"))
			return cli_usage(c,
				"usage: saedb label ADDRESS --delete [--id ID] "
				"[--author NAME] [--source WORD]");
		return delete_label(c);
	}
	if (c->n_words > 1)
		return set_label(c);
	if (cli_flag(c, "author") || cli_flag(c, "source") || cli_flag(c, "score"))
		return cli_usage(c, "label %s: a text is missing", c->word[0]);
	return show_current(c, c->word[0]);
}

/* ---- all of them, out ---- */

int
run_labels_export(struct cli *c)
{
	static const char *const column[] = {"feature", "sae_hash", "index", "text",
		"source", "author", "time_s", "score", NULL};
	const char *format = cli_option(c, "format");
	struct rows rows = {.f = c->term.out,
		.column = column,
		.csv = format != NULL && strcmp(format, "csv") == 0};
	struct saedb_args *a = NULL;
	bool more = true;
	int rc = cli_args(c, &a);

	saedb_args_int(a, "limit", CLI_PAGE);
	rows_begin(&rows);
	while (rc == 0 && more && !ferror(rows.f)) {
		struct saedb_reply *r = NULL;
		const struct saedb_value *list;

		rc = cli_call(c, "label.export", a, &r);
		list = saedb_get(saedb_result(r), "labels");
		for (size_t i = 0; i < saedb_length(list) && rc == 0; i++)
			rc = rows_put(&rows, saedb_at(list, i));
		more = rc == 0 && saedb_next(r, a);
		saedb_reply_free(r);
	}
	saedb_args_free(a);
	return rc;
}

/* ---- all of them, in ---- */

static int
read_all(struct cli *c, const char *path, struct buf *out)
{
	struct stream *s = NULL;
	char part[1 << 16];
	ssize_t n = stream_open(&s, path, &c->err);

	while (n == 0 || (n > 0 && out->n_bytes < FILE_MOST)) {
		n = stream_read(s, part, sizeof(part), &c->err);
		if (n <= 0)
			break;
		buf_put(out, part, (size_t)n);
	}
	stream_close(s);
	if (n < 0)
		return (int)n;
	if (out->n_bytes >= FILE_MOST)
		return err_set(&c->err, ERR_LIMIT, "%s: more than 1 GiB of labels",
			path);
	return out->failed ? err_set(&c->err, ERR_NOMEM, "no memory for %s", path) : 0;
}

static enum label_format
format_of(const struct cli *c, const char *path, const struct buf *b)
{
	const char *format = cli_option(c, "format");
	size_t n = strlen(path), i = 0;

	if (format != NULL)
		return strcmp(format, "csv") == 0 ? LABEL_CSV : LABEL_JSONL;
	if (n > 4 && strcmp(path + n - 4, ".csv") == 0)
		return LABEL_CSV;
	while (i < b->n_bytes && strchr(" \t\r\n", (char)b->data[i]) != NULL)
		i++;
	return i < b->n_bytes && b->data[i] != '{' ? LABEL_CSV : LABEL_JSONL;
}

/* The content's hash outlives names, so it comes first. */
static int
put_row(struct cli *c, struct saedb_args *a, const struct label_row *row)
{
	const char *sae = cli_option(c, "sae"), *source = row->source,
		   *author = row->author;
	bool by_hash = row->sae_hash != NULL && row->has_index;
	char address[LIMIT_NAME_BYTES + 32];

	source = source != NULL ? source : cli_option(c, "source");
	author = author != NULL ? author : cli_option(c, "author");
	if (!by_hash && row->feature == NULL && sae == NULL)
		return err_set(&c->err, ERR_MISSING,
			"line %" PRIu64 ": an index without sae_hash needs --sae SAE",
			row->line);
	saedb_args_map(a, NULL,
		2 + (size_t)by_hash + (source != NULL) + (author != NULL) +
			row->has_time + row->has_score);
	saedb_args_str(a, "text", row->text);
	if (by_hash) {
		saedb_args_str(a, "sae_hash", row->sae_hash);
		saedb_args_int(a, "index", row->index);
	} else if (row->feature != NULL) {
		saedb_args_str(a, "feature", row->feature);
	} else {
		snprintf(address, sizeof(address), "%s/%" PRId64, sae, row->index);
		saedb_args_str(a, "feature", address);
	}
	if (source != NULL)
		saedb_args_str(a, "source", source);
	if (author != NULL)
		saedb_args_str(a, "author", author);
	if (row->has_time)
		saedb_args_int(a, "time_s", row->time_s);
	if (row->has_score)
		saedb_args_float(a, "score", row->score);
	return 0;
}

/* How many rows from there go into one call. */
static size_t
batch_of(const struct label_row *row, size_t n)
{
	size_t i = 0, bytes = 0;

	while (i < n && i < LIMIT_BATCH && bytes < BATCH_BYTES)
		bytes += strlen(row[i++].text) + 400;
	return i;
}

static int
send_rows(struct cli *c, const struct label_row *row, size_t n)
{
	size_t done = 0;
	int rc = 0;

	while (done < n && rc == 0) {
		size_t batch = batch_of(row + done, n - done);
		struct saedb_args *a = saedb_args_new();
		struct saedb_reply *r = NULL;

		saedb_args_list(a, "labels", batch);
		for (size_t i = 0; i < batch && rc == 0; i++)
			rc = put_row(c, a, &row[done + i]);
		if (rc == 0)
			rc = cli_call(c, "label.import", a, &r);
		if (rc != 0 && done > 0)
			err_wrap(&c->err, "%zu of %zu labels are imported; then", done,
				n);
		done += rc == 0 ? batch : 0;
		saedb_reply_free(r);
		saedb_args_free(a);
	}
	if (rc == 0 && c->json)
		term_printf(&c->term, "{\"n\":%zu}\n", n);
	else if (rc == 0)
		term_printf(&c->term, "%zu label%s imported\n", n, n == 1 ? "" : "s");
	return rc;
}

int
run_labels_import(struct cli *c)
{
	const char *path = c->word[0];
	struct label_row *row = NULL;
	struct arena arena;
	struct buf b;
	size_t n = 0;
	int rc;

	buf_init(&b);
	arena_init(&arena, 0);
	rc = read_all(c, path, &b);
	if (rc == 0)
		rc = label_file_read(&row, &n,
			b.data != NULL ? (const char *)b.data : "", b.n_bytes,
			format_of(c, path, &b), &arena, &c->err);
	if (rc == 0)
		rc = send_rows(c, row, n);
	if (rc != 0 && strstr(c->err.text, path) == NULL)
		err_wrap(&c->err, "%s", path);
	arena_clear(&arena);
	buf_clear(&b);
	return rc;
}
