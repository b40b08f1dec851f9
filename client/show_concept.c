/* SPDX-License-Identifier: ISC */
/* From words to features, and on to their neighbors: asking and showing. */
#include "client/cli.h"
#include "client/fmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- asking ------------------------------------------------------------------- */

/* One SAE, or several with commas between. */
static void
put_saes(struct saedb_args *a, const char *sae)
{
	size_t n = 1;

	if (sae == NULL)
		return;
	for (const char *p = sae; *p != '\0'; p++)
		n += *p == ',';
	if (n == 1) {
		saedb_args_str(a, "sae", sae);
		return;
	}
	saedb_args_list(a, "sae", n);
	for (const char *p = sae; n > 0; n--) {
		size_t n_bytes = strcspn(p, ",");

		saedb_args_strn(a, NULL, p, n_bytes);
		p += n_bytes + 1;
	}
}

int
run_concept(struct cli *c)
{
	static const char *const number[] = {"k", "neighbors", "top"};
	const char *run = cli_option(c, "run");
	struct saedb_reply *r = NULL;
	struct saedb_args *a;
	int rc;

	if (c->n_words > 0)
		return cli_usage(c, "neighbors: an address or --text, not both");
	a = saedb_args_new();
	saedb_args_str(a, "text", cli_option(c, "text"));
	put_saes(a, cli_option(c, "sae"));
	saedb_args_str(a, "run", run);
	saedb_args_str(a, "via", cli_option(c, "via"));
	for (size_t i = 0; i < sizeof(number) / sizeof(*number); i++)
		if (cli_flag(c, number[i]))
			saedb_args_int(a, number[i], cli_int(c, number[i], 0));
	rc = cli_call(c, "concept.neighbors", a, &r);
	if (rc == 0 && c->json)
		show_json(c, saedb_result(r));
	else if (rc == 0)
		show_concept(c, saedb_result(r));
	saedb_reply_free(r);
	saedb_args_free(a);
	return rc != 0 ? rc : c->err.code;
}

/* ---- showing ------------------------------------------------------------------ */

static void
show_way(struct cli *c, const struct saedb_value *w)
{
	const char *via = str_of(w, "via", ""), *missing = str_of(w, "missing", NULL);
	const char *match = str_of(w, "match", NULL);
	int64_t n = int_of(w, "n");
	char text[160] = "";

	if (match != NULL)
		snprintf(text, sizeof(text),
			", %s in %" PRId64 " places of %" PRId64 " windows",
			strcmp(match, "phrase") == 0        ? "the words"
				: strcmp(match, "all") == 0 ? "each word"
							    : "some word",
			int_of(w, "n_matches"), int_of(w, "n_windows"));
	else if (saedb_get(w, "n_tokens") != NULL)
		snprintf(text, sizeof(text), ", %" PRId64 " tokens",
			int_of(w, "n_tokens"));
	if (n > 0)
		show_heading(c, "by %s: %" PRId64 " features%s", via, n, text);
	if (missing == NULL)
		return;
	term_put(&c->term, STYLE_DIM, "by ");
	term_put(&c->term, STYLE_DIM, via);
	term_put(&c->term, STYLE_DIM, n > 0 ? ", not all: " : ": ");
	term_text(&c->term, STYLE_DIM, missing);
	term_printf(&c->term, "\n");
}

static void
put_label(struct table *t, const struct saedb_feature *f)
{
	char text[512];

	if (f->label != NULL && f->source != NULL && strcmp(f->source, "person") != 0)
		snprintf(text, sizeof(text), "%.400s (%.40s)", f->label, f->source);
	else
		snprintf(text, sizeof(text), "%.500s",
			f->label != NULL ? f->label : "");
	table_text(t, text);
}

static void
put_row(struct table *t, const struct saedb_value *row, const char *indent,
	const char *how)
{
	struct saedb_feature f;
	char address[400];

	saedb_read_feature(row, &f);
	snprintf(address, sizeof(address), "%s%.300s", indent,
		f.address != NULL ? f.address : "?");
	table_text(t, address);
	table_put(t, how);
	table_put(t,
		saedb_type(saedb_get(row, "density")) == SAEDB_NIL
			? "-"
			: fmt_percent(f.density).s);
	put_label(t, &f);
}

/* Its places by each way: "labels 19, examples 1". */
static void
put_feature(struct table *t, const struct saedb_value *row)
{
	const struct saedb_value *found = saedb_get(row, "found"),
				 *near = saedb_get(row, "neighbors");
	char how[160];
	size_t n = 0;

	how[0] = '\0';
	for (size_t i = 0; i < saedb_length(found) && n < sizeof(how); i++)
		n += (size_t)snprintf(how + n, sizeof(how) - n, "%s%.16s %" PRId64,
			i > 0 ? ", " : "", saedb_str(saedb_key(found, i), "?"),
			int_of(saedb_pair(found, i), "rank"));
	put_row(t, row, "", how);
	for (size_t i = 0; i < saedb_length(near); i++) {
		snprintf(how, sizeof(how), "cosine %.3f",
			float_of(saedb_at(near, i), "cosine"));
		put_row(t, saedb_at(near, i), "  ", how);
	}
}

void
show_concept(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"feature", false, STYLE_ADDR},
		{"place by each way", false, STYLE_PLAIN},
		{"density", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *ways = saedb_get(r, "ways"),
				 *list = saedb_get(r, "features");
	struct table t;

	for (size_t i = 0; i < saedb_length(ways); i++)
		show_way(c, saedb_at(ways, i));
	if (saedb_length(list) == 0)
		return;
	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++)
		put_feature(&t, saedb_at(list, i));
	show_table(c, &t);
}
