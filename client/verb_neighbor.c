/* SPDX-License-Identifier: ISC */
/* The neighbors of a feature, or of a vector on standard input. */
#include "client/cli.h"
#include "client/rows.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_BYTES ((size_t)1 << 19) /* less than a request may have */
#define BETWEEN ", \t\r\n"

/* ---- lists ---- */

static size_t
count_words(const char *text, const char *between)
{
	size_t n = 0;

	for (const char *p = text + strspn(text, between); *p != '\0';
		p += strspn(p, between)) {
		p += strcspn(p, between);
		n++;
	}
	return n;
}

/* An index or an address; an address keeps its digits as text. */
static void
put_word(struct saedb_args *a, const char *p, size_t n)
{
	if (strspn(p, "0123456789") >= n && n < 12)
		saedb_args_int(a, NULL, strtoll(p, NULL, 10));
	else
		saedb_args_strn(a, NULL, p, n);
}

static void
put_features(struct saedb_args *a, const char *text)
{
	saedb_args_list(a, "features", count_words(text, BETWEEN));
	for (const char *p = text + strspn(text, BETWEEN); *p != '\0';
		p += strspn(p, BETWEEN)) {
		size_t n = strcspn(p, BETWEEN);

		put_word(a, p, n);
		p += n;
	}
}

/* LIST, or @FILE of the same with spaces or lines between. */
static int
read_features(struct cli *c, struct saedb_args *a, const char *given)
{
	struct buf b;
	char *text;
	int rc;

	if (given == NULL)
		return 0;
	if (given[0] != '@') {
		put_features(a, given);
		return 0;
	}
	buf_init(&b);
	rc = file_read(given + 1, VECTOR_BYTES, &b, &c->err);
	text = rc == 0 ? buf_str(&b) : NULL;
	if (rc == 0 && text == NULL)
		rc = err_set(&c->err, ERR_NOMEM, "no memory for %s", given + 1);
	if (rc == 0)
		put_features(a, text);
	buf_clear(&b);
	return rc;
}

/* One name, or several with commas between. */
static void
put_saes(struct saedb_args *a, const char *given)
{
	size_t n = given != NULL ? count_words(given, ",") : 0;

	if (n < 2) {
		saedb_args_str(a, "sae", given);
		return;
	}
	saedb_args_list(a, "sae", n);
	for (const char *p = given + strspn(given, ","); *p != '\0';
		p += strspn(p, ",")) {
		saedb_args_strn(a, NULL, p, strcspn(p, ","));
		p += strcspn(p, ",");
	}
}

/* ---- asking ---- */

/* A vector from standard input: little-endian float32. */
static int
put_vector(struct cli *c, struct saedb_args *a)
{
	char *bytes = mem_new(1, VECTOR_BYTES);
	size_t n = bytes != NULL ? fread(bytes, 1, VECTOR_BYTES, stdin) : 0;
	int rc = 0;

	if (bytes == NULL)
		rc = err_set(&c->err, ERR_NOMEM, "no memory for a vector");
	else if (n == 0 || n % 4 != 0 || !feof(stdin))
		rc = cli_usage(c,
			"neighbors -: standard input is no vector of float32");
	else
		saedb_args_bin(a, "vector", bytes, n);
	mem_free(bytes);
	return rc;
}

static int
put_question(struct cli *c, struct saedb_args **a, bool is_vector)
{
	int n_words = c->n_words, rc;

	c->n_words = is_vector ? 0 : n_words;
	rc = cli_args(c, a);
	c->n_words = n_words;
	put_saes(*a, cli_option(c, "sae"));
	if (rc == 0)
		rc = read_features(c, *a, cli_option(c, "features"));
	if (cli_flag(c, "self"))
		saedb_args_bool(*a, "exclude_self", false);
	if (rc == 0 && is_vector)
		rc = put_vector(c, *a);
	return rc;
}

static int
check_usage(struct cli *c, bool is_vector)
{
	if (is_vector && cli_option(c, "sae") == NULL)
		return cli_usage(c, "neighbors -: --sae SAE is needed");
	if (is_vector && cli_flag(c, "self"))
		return cli_usage(c, "neighbors -: a vector has no --self");
	if (cli_flag(c, "alive") && cli_flag(c, "dead"))
		return cli_usage(c, "--alive or --dead, not both");
	if (cli_flag(c, "labelled") && cli_flag(c, "unlabelled"))
		return cli_usage(c, "--labelled or --unlabelled, not both");
	if (c->json && cli_flag(c, "format"))
		return cli_usage(c, "--json or --format, not both");
	return 0;
}

/* The rows alone, as CSV or JSON Lines. */
static int
put_rows(struct cli *c, const struct saedb_value *r)
{
	const char *column[] = {"feature", "index", "sae",
		str_of(r, "metric", "cosine"), "density", "label", "source", NULL};
	const struct saedb_value *list = saedb_get(r, "neighbors");
	struct rows rows = {.f = c->term.out,
		.column = column,
		.csv = strcmp(cli_option(c, "format"), "csv") == 0};

	rows_begin(&rows); /* its first line, also where there are no rows */
	for (size_t i = 0; i < saedb_length(list); i++)
		if (rows_put(&rows, saedb_at(list, i)) != 0)
			return err_set(&c->err, ERR_NOMEM, "no memory for a row");
	return 0;
}

static int
run_nearest(struct cli *c)
{
	bool is_vector = strcmp(c->word[0], "-") == 0;
	struct saedb_args *a = NULL;
	struct saedb_reply *r = NULL;
	int rc = check_usage(c, is_vector);

	if (rc == 0)
		rc = put_question(c, &a, is_vector);
	if (rc == 0)
		rc = cli_call(c, is_vector ? "vector.neighbors" : c->cmd->method, a,
			&r);
	if (rc == 0)
		rc = cli_flag(c, "format") ? put_rows(c, saedb_result(r))
					   : cli_show(c, r);
	saedb_reply_free(r);
	saedb_args_free(a);
	return rc;
}

int
run_neighbors(struct cli *c)
{
	if (cli_flag(c, "text"))
		return run_concept(c);
	if (cli_flag(c, "via") || cli_flag(c, "neighbors") || cli_flag(c, "top"))
		return cli_usage(c, "--via, --neighbors and --top go with --text");
	if (c->n_words == 0)
		return cli_usage(c, "usage: saedb neighbors ADDRESS|- | --text WORDS");
	return run_nearest(c);
}
