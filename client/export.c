/* SPDX-License-Identifier: ISC */
/* Features, examples and activations as CSV or JSON Lines, page by page. */
#include "client/cli.h"
#include "client/rows.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AHEAD 16 /* requests that wait for their answers at once */

static struct rows
rows_of(const struct cli *c, const char *const *column)
{
	const char *format = cli_option(c, "format");

	return (struct rows){.f = c->term.out,
		.column = column,
		.csv = format == NULL || strcmp(format, "csv") == 0};
}

/* What is to be done with a feature's row; 0 or a code. */
typedef int (*row_fn)(struct cli *c, struct rows *rows, const struct saedb_value *row);

/* Calls fn for all features of an SAE, or of those that fire. flush gets what fn
 * has left open at the end of each page. */
static int
each_feature(struct cli *c, struct rows *rows, const char *sae, bool alive, row_fn fn,
	int (*flush)(struct cli *c, struct rows *rows))
{
	struct saedb_args *a = saedb_args_new();
	bool more = true;
	int rc = 0;

	saedb_args_str(a, "sae", sae);
	saedb_args_str(a, "run", cli_option(c, "run"));
	saedb_args_int(a, "limit", CLI_PAGE);
	if (alive)
		saedb_args_bool(a, "dead", false);
	while (rc == 0 && more) {
		struct saedb_reply *r = NULL;
		const struct saedb_value *list;

		rc = cli_call(c, "feature.list", a, &r);
		list = saedb_get(saedb_result(r), "features");
		for (size_t i = 0; i < saedb_length(list) && rc == 0; i++)
			rc = fn(c, rows, saedb_at(list, i));
		if (rc == 0 && flush != NULL)
			rc = flush(c, rows);
		if (rc == 0 && ferror(rows->f))
			rc = ERR_CANCELLED;
		more = rc == 0 && saedb_next(r, a);
		saedb_reply_free(r);
	}
	saedb_args_free(a);
	return rc;
}

/* For each word, or for all SAEs with a run when there is none. */
static int
each_word(struct cli *c, struct rows *rows,
	int (*fn)(struct cli *c, struct rows *rows, const char *word))
{
	struct saedb_reply *r = NULL;
	const struct saedb_value *list;
	int rc = 0;

	rows_begin(rows);
	for (int i = 0; i < c->n_words && rc == 0; i++)
		rc = fn(c, rows, c->word[i]);
	if (c->n_words > 0)
		return rc;
	rc = cli_call(c, "sae.list", NULL, &r);
	list = saedb_get(saedb_result(r), "saes");
	for (size_t i = 0; i < saedb_length(list) && rc == 0; i++)
		if (saedb_length(saedb_get(saedb_at(list, i), "runs")) > 0)
			rc = fn(c, rows, str_of(saedb_at(list, i), "name", "?"));
	saedb_reply_free(r);
	return rc;
}

/* ---- features ---- */

static int
put_feature(struct cli *c, struct rows *rows, const struct saedb_value *row)
{
	int rc = rows_put(rows, row);

	return rc == 0 ? 0 : err_set(&c->err, rc, "no memory for a row");
}

static int
export_sae(struct cli *c, struct rows *rows, const char *sae)
{
	return each_feature(c, rows, sae, false, put_feature, NULL);
}

int
run_export_features(struct cli *c)
{
	static const char *const column[] = {"feature", "index", "count", "density",
		"max", "mean", "label", "source", NULL};
	struct rows rows = rows_of(c, column);

	return each_word(c, &rows, export_sae);
}

/* ---- examples ---- */

static const char *const example_column[] = {"feature", "interval", "value", "document",
	"window", "offset", "first", "tokens", "values", NULL};
static const char *const example_patch_column[] = {"feature", "interval", "value",
	"document", "window", "offset", "first", "tokens", "values", "patches", NULL};
static const char *const example_csv_column[] = {"feature", "interval", "value",
	"document", "window", "offset", "text", NULL};

/* Requests under way; one process exports one thing. */
static struct {
	uint32_t id[AHEAD];
	char address[AHEAD][LIMIT_NAME_BYTES * 2 + 32];
	size_t first, n;
} ahead;

/* The tokens as one text; the patches of an image as saedb examples has them. */
static void
put_text(struct buf *text, const struct saedb_value *x)
{
	const struct saedb_value *tokens = saedb_get(x, "tokens");
	const struct saedb_value *patches = saedb_get(x, "patches");
	const char *image = "";
	size_t at = 0;

	for (size_t i = 0; i < saedb_length(tokens); i++) {
		const struct saedb_value *patch = saedb_at(patches, at);
		const char *name = str_of(patch, "image", "");

		if (patch == NULL ||
			int_of(patch, "token") != int_of(x, "first") + (int64_t)i) {
			buf_puts(text, saedb_str(saedb_at(tokens, i), ""));
			continue;
		}
		if (strcmp(name, image) != 0)
			put_patches(text, x, patch);
		image = name;
		at++;
	}
}

static int
put_example(struct rows *rows, const char *address, const struct saedb_value *x)
{
	struct buf text;
	int rc = 0;

	rows_begin(rows);
	rows_cell_str(rows, 0, address, strlen(address));
	for (size_t i = 1; rows->column[i] != NULL && rc == 0; i++)
		if (strcmp(rows->column[i], "text") != 0)
			rc = rows_cell_value(rows, i, saedb_get(x, rows->column[i]));
	if (rows->csv && rc == 0) {
		buf_init(&text);
		put_text(&text, x);
		rows_cell_str(rows, 6, text.data != NULL ? (char *)text.data : "",
			text.n_bytes);
		rc = text.failed ? SAEDB_NO_MEMORY : 0;
		buf_clear(&text);
	}
	rows_end(rows);
	return rc;
}

/* In JSON, rows with patches have them too. */
static int
put_row(struct rows *rows, const char *address, const struct saedb_value *x)
{
	const char *const *column = rows->column;
	int rc;

	if (!rows->csv && saedb_get(x, "patches") != NULL)
		rows->column = example_patch_column;
	rc = put_example(rows, address, x);
	rows->column = column;
	return rc;
}

/* The oldest request's examples. */
static int
take_examples(struct cli *c, struct rows *rows)
{
	struct saedb_reply *r = NULL;
	const struct saedb_value *list;
	size_t at = ahead.first;
	int rc = 0;

	ahead.first = (ahead.first + 1) % AHEAD;
	ahead.n--;
	if (saedb_receive(c->db, ahead.id[at], &r) != 0)
		return cli_db_error(c);
	list = saedb_get(saedb_result(r), "examples");
	for (size_t i = 0; i < saedb_length(list) && rc == 0; i++)
		if (put_row(rows, ahead.address[at], saedb_at(list, i)) != 0)
			rc = err_set(&c->err, ERR_NOMEM, "no memory for a row");
	saedb_reply_free(r);
	return rc == 0 && ferror(rows->f) ? ERR_CANCELLED : rc;
}

static int
take_all(struct cli *c, struct rows *rows)
{
	int rc = 0;

	while (ahead.n > 0 && rc == 0)
		rc = take_examples(c, rows);
	return rc;
}

static int
ask_examples(struct cli *c, struct rows *rows, const char *address)
{
	size_t at = (ahead.first + ahead.n) % AHEAD;
	struct saedb_args *a = NULL;
	int rc = 0;

	if (ahead.n == AHEAD) {
		at = ahead.first;
		rc = take_examples(c, rows);
	}
	if (rc == 0)
		rc = cli_args(c, &a);
	saedb_args_str(a, "feature", address);
	snprintf(ahead.address[at], sizeof(ahead.address[at]), "%s", address);
	if (rc == 0 && saedb_send(c->db, "feature.examples", a, &ahead.id[at]) != 0)
		rc = cli_db_error(c);
	ahead.n += rc == 0;
	saedb_args_free(a);
	return rc;
}

static int
ask_row(struct cli *c, struct rows *rows, const struct saedb_value *row)
{
	return ask_examples(c, rows, str_of(row, "feature", "?"));
}

/* A word is an SAE, or a feature when it ends with a number behind / or _. */
static int
export_examples(struct cli *c, struct rows *rows, const char *word)
{
	size_t n = strlen(word);
	size_t digits = n;

	while (digits > 0 && word[digits - 1] >= '0' && word[digits - 1] <= '9')
		digits--;
	if (digits == n || digits < 2 ||
		(word[digits - 1] != '/' && word[digits - 1] != '_'))
		return each_feature(c, rows, word, true, ask_row, take_all);
	return ask_examples(c, rows, word);
}

int
run_export_examples(struct cli *c)
{
	struct rows rows = rows_of(c, example_column);
	int rc;

	if (rows.csv)
		rows.column = example_csv_column;
	rc = each_word(c, &rows, export_examples);
	return rc == 0 ? take_all(c, &rows) : rc;
}

/* ---- activations ---- */

static void
put_activations(struct rows *rows, const char *feature, const struct saedb_value *r)
{
	const struct saedb_value *windows = saedb_get(r, "windows");
	const struct saedb_value *offsets = saedb_get(r, "offsets");
	const struct saedb_value *values = saedb_get(r, "values");

	for (size_t i = 0; i < saedb_length(windows); i++) {
		rows_begin(rows);
		rows_cell_str(rows, 0, feature, strlen(feature));
		rows_cell_int(rows, 1, (long long)saedb_int(saedb_at(windows, i), -1));
		rows_cell_int(rows, 2, (long long)saedb_int(saedb_at(offsets, i), -1));
		rows_cell_f32(rows, 3, (float)saedb_float(saedb_at(values, i), 0));
		rows_end(rows);
	}
}

static int
export_activations(struct cli *c, struct rows *rows, const char *feature)
{
	int64_t after = -1;
	bool more = true;

	while (more) {
		struct saedb_reply *r = NULL;
		const struct saedb_value *next;

		if (saedb_ask(c->db, &r, "feature.activations",
			    "feature=%s run=%s after=%lld limit=%d", feature,
			    cli_option(c, "run"), (long long)after, CLI_PAGE) != 0)
			return cli_db_error(c);
		put_activations(rows, feature, saedb_result(r));
		next = saedb_get(saedb_result(r), "next");
		more = saedb_type(next) == SAEDB_INT && saedb_int(next, -1) > after;
		after = saedb_int(next, -1);
		saedb_reply_free(r);
		if (ferror(rows->f))
			return ERR_CANCELLED;
	}
	return 0;
}

int
run_export_activations(struct cli *c)
{
	static const char *const column[] = {"feature", "window", "offset", "value",
		NULL};
	struct rows rows = rows_of(c, column);

	return each_word(c, &rows, export_activations);
}
