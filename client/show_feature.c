/* SPDX-License-Identifier: ISC */
/* Features: lists of them, and all about one. */
#include "client/cli.h"
#include "client/fmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BAR_COLUMNS 24
#define SPARK_MOST 60

/* The source tells how far to trust a label; people need no mention. */
static void
put_label(struct table *t, const struct saedb_feature *f)
{
	char text[512];
	bool person = f->source == NULL || strcmp(f->source, "person") == 0;

	if (f->label == NULL)
		table_put(t, "");
	else if (person)
		table_text(t, f->label);
	else {
		snprintf(text, sizeof(text), "%.400s (%.40s)", f->label, f->source);
		table_text(t, text);
	}
}

/* Of a feature that the run did not seek nothing is known. */
static void
put_counts(struct table *t, const struct saedb_value *row,
	const struct saedb_feature *f)
{
	if (saedb_type(saedb_get(row, "count")) == SAEDB_NIL) {
		table_put(t, "not sought");
		for (int i = 0; i < 3; i++)
			table_put(t, "-");
		return;
	}
	table_put(t, f->count > 0 ? fmt_percent(f->density).s : "dead");
	table_put(t, fmt_count(f->count).s);
	table_put(t, fmt_value(f->max).s);
	table_put(t, fmt_value(f->mean).s);
}

void
show_features(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"feature", false, STYLE_ADDR},
		{"density", true, STYLE_PLAIN},
		{"count", true, STYLE_PLAIN},
		{"max", true, STYLE_PLAIN},
		{"mean", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "features");
	struct saedb_feature f;
	struct table t;

	if (saedb_length(list) == 0) {
		show_heading(c, "no features");
		return;
	}
	table_init(&t, columns, c->term.utf8);
	t.kept = c->width;
	t.no_titles = c->page > 0;
	for (size_t i = 0; i < saedb_length(list); i++) {
		saedb_read_feature(saedb_at(list, i), &f);
		table_text(&t, f.address);
		put_counts(&t, saedb_at(list, i), &f);
		put_label(&t, &f);
	}
	show_table(c, &t);
}

void
show_cooccurrence(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"feature", false, STYLE_ADDR},
		{"both", true, STYLE_PLAIN},
		{"jaccard", true, STYLE_PLAIN},
		{"pmi", true, STYLE_PLAIN},
		{"density", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "neighbors");
	struct saedb_feature f;
	struct table t;

	if (saedb_length(list) == 0) {
		show_heading(c, "no features fire on the same tokens");
		return;
	}
	show_heading(c, "%s fires on %s tokens", str_of(r, "feature", "?"),
		fmt_count((uint64_t)int_of(r, "count")).s);
	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *row = saedb_at(list, i);

		saedb_read_feature(row, &f);
		table_text(&t, f.address);
		table_put(&t, fmt_count((uint64_t)int_of(row, "n_both")).s);
		table_printf(&t, "%.3f", float_of(row, "jaccard"));
		table_printf(&t, "%+.2f", float_of(row, "pmi"));
		table_put(&t, fmt_percent(f.density).s);
		put_label(&t, &f);
	}
	show_table(c, &t);
}

void
show_token(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"feature", false, STYLE_ADDR},
		{"share", true, STYLE_PLAIN},
		{"fired", true, STYLE_PLAIN},
		{"mean", true, STYLE_PLAIN},
		{"density", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "features");
	uint64_t n = (uint64_t)int_of(r, "n_occurrences");
	struct saedb_feature f;
	struct table t;

	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *row = saedb_at(list, i);

		saedb_read_feature(row, &f);
		table_text(&t, f.address);
		table_put(&t, fmt_percent(float_of(row, "share")).s);
		table_put(&t, fmt_count((uint64_t)int_of(row, "n_fired")).s);
		table_put(&t, fmt_value(float_of(row, "mean_on_token")).s);
		table_put(&t, fmt_percent(f.density).s);
		put_label(&t, &f);
	}
	show_heading(c, "%s occurrences%s", fmt_count(n).s,
		saedb_bool(saedb_get(r, "truncated"), false)
			? "; rarer features are not kept"
			: "");
	show_table(c, &t);
}

void
show_labels(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"id", true, STYLE_DIM},
		{"source", false, STYLE_PLAIN},
		{"author", false, STYLE_PLAIN},
		{"made (UTC)", false, STYLE_PLAIN},
		{"score", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "labels");
	struct table t;

	if (saedb_length(list) == 0) {
		show_heading(c, "no labels");
		return;
	}
	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *l = saedb_at(list, i);
		const struct saedb_value *score = saedb_get(l, "score");

		if (int_of(l, "id") > 0)
			table_printf(&t, "%" PRId64, int_of(l, "id"));
		else
			table_put(&t, ""); /* kept with the run: cannot be deleted */
		table_text(&t, str_of(l, "source", ""));
		table_text(&t, str_of(l, "author", ""));
		table_put(&t, fmt_time(int_of(l, "time_s")).s);
		table_put(&t,
			saedb_type(score) == SAEDB_NIL
				? ""
				: fmt_value(saedb_float(score, 0)).s);
		table_text(&t, str_of(l, "text", ""));
	}
	show_table(c, &t);
}

/* ---- one feature ---- */

static void
key(struct cli *c, const char *name)
{
	term_printf(&c->term, "  ");
	term_put(&c->term, STYLE_DIM, name);
	term_printf(&c->term, "%*s", 13 - (int)strlen(name), "");
}

/* Neighboring bins are joined when there are more than a line has room for. */
static void
show_histogram(struct cli *c, const struct saedb_value *h, double max)
{
	const struct saedb_value *edges = saedb_get(h, "edges"),
				 *counts = saedb_get(h, "counts");
	size_t n = saedb_length(counts), each = (n + SPARK_MOST - 1) / SPARK_MOST;
	double sum[SPARK_MOST + 1] = {0}, most = 0;
	struct buf b;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		double *s = &sum[i / each];

		*s += saedb_float(saedb_at(counts, i), 0);
		most = *s > most ? *s : most;
	}
	buf_init(&b);
	for (size_t i = 0; i * each < n; i++)
		text_spark(&b, most > 0 ? sum[i] / most * 0.999 : 0, c->term.utf8);
	key(c, "histogram");
	term_printf(&c->term, "%s ", fmt_value(saedb_float(saedb_at(edges, 0), 0)).s);
	if (buf_str(&b) != NULL)
		term_put(&c->term, STYLE_ADDR, (const char *)b.data);
	term_printf(&c->term, " %s\n", fmt_value(max).s);
	buf_clear(&b);
}

static void
show_intervals(struct cli *c, const struct saedb_value *list, double max)
{
	size_t n = saedb_length(list), width = strlen(fmt_value(max).s);
	double most = 0;

	for (size_t i = 0; i < n; i++)
		if (saedb_float(saedb_at(list, i), 0) > most)
			most = saedb_float(saedb_at(list, i), 0);
	if (!(most > 0))
		return;
	term_printf(&c->term, "\n");
	show_heading(c, "  tenths of (0, max]");
	for (size_t i = 0; i < n; i++) {
		double x = saedb_float(saedb_at(list, i), 0);
		struct buf b;

		buf_init(&b);
		text_bar(&b, x / most, BAR_COLUMNS, c->term.utf8);
		term_printf(&c->term, "  %*s to %*s  %10s%s", (int)width + 1,
			fmt_value(max * (double)i / 10).s, (int)width + 1,
			fmt_value(max * (double)(i + 1) / 10).s,
			fmt_count((uint64_t)x).s, x > 0 ? "  " : "");
		if (buf_str(&b) != NULL)
			term_put(&c->term, STYLE_ADDR, (const char *)b.data);
		term_printf(&c->term, "\n");
		buf_clear(&b);
	}
}

/* Tokens in quotes, so that their spaces are seen. */
static void
put_effect(struct table *t, const struct saedb_value *row)
{
	char text[300];

	if (row == NULL) {
		table_put(t, "");
		table_put(t, "");
		return;
	}
	snprintf(text, sizeof(text), "'%.250s'", str_of(row, "token", "?"));
	table_text(t, text);
	table_printf(t, "%+.3f", float_of(row, "value"));
}

static void
show_effects(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"promotes", false, STYLE_PLAIN},
		{"", true, STYLE_DIM},
		{"suppresses", false, STYLE_PLAIN},
		{"", true, STYLE_DIM},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *up = saedb_get(r, "promoted");
	const struct saedb_value *down = saedb_get(r, "suppressed");
	size_t n = saedb_length(up) > saedb_length(down) ? saedb_length(up)
							 : saedb_length(down);
	struct table t;

	term_printf(&c->term, "\n");
	if (n == 0) {
		show_heading(c,
			"  no logit effects: the store was made without the "
			"model's unembedding");
		return;
	}
	table_init(&t, columns, c->term.utf8);
	t.indent = 2;
	for (size_t i = 0; i < n; i++) {
		put_effect(&t, saedb_at(up, i));
		put_effect(&t, saedb_at(down, i));
	}
	show_table(c, &t);
}

static void
show_other_labels(struct cli *c, const struct saedb_value *list)
{
	/* The best one stands on top already. */
	for (size_t i = 0; saedb_length(list) > 1 && i < saedb_length(list); i++) {
		const struct saedb_value *l = saedb_at(list, i);
		const char *author = str_of(l, "author", "");

		key(c, i == 0 ? "labels" : "");
		term_text(&c->term, STYLE_LABEL, str_of(l, "text", ""));
		term_put(&c->term, STYLE_DIM, "  ");
		term_text(&c->term, STYLE_DIM, str_of(l, "source", ""));
		if (author[0] != '\0') {
			term_put(&c->term, STYLE_DIM, ", ");
			term_text(&c->term, STYLE_DIM, author);
		}
		term_printf(&c->term, "\n");
	}
}

static void
show_numbers(struct cli *c, const struct saedb_value *r)
{
	const struct term *t = &c->term;

	key(c, "fires on");
	if (saedb_bool(saedb_get(r, "dead"), false)) {
		term_printf(t, "none of %s tokens: dead\n",
			fmt_count((uint64_t)int_of(r, "n_tokens")).s);
		return;
	}
	term_printf(t, "%s of %s tokens (%s)",
		fmt_count((uint64_t)int_of(r, "count")).s,
		fmt_count((uint64_t)int_of(r, "n_tokens")).s,
		fmt_percent(float_of(r, "density")).s);
	term_printf(t, ", in %s windows of %s documents\n",
		fmt_count((uint64_t)int_of(r, "n_windows")).s,
		fmt_count((uint64_t)int_of(r, "n_documents")).s);
	key(c, "values");
	term_printf(t, "mean %s, max %s (window %" PRId64 ", token %" PRId64 ")\n",
		fmt_value(float_of(r, "mean")).s, fmt_value(float_of(r, "max")).s,
		int_of(r, "max_window"), int_of(r, "max_offset"));
	show_histogram(c, saedb_get(r, "histogram"), float_of(r, "max"));
}

void
show_feature(struct cli *c, const struct saedb_value *r)
{
	const char *model = str_of(r, "model", NULL);

	term_text(&c->term, STYLE_BOLD, str_of(r, "feature", "?"));
	term_printf(&c->term, "  ");
	show_label_text(c, str_of(r, "label", NULL), str_of(r, "source", NULL));
	if (model != NULL)
		term_text(&c->term, STYLE_DIM, model);
	term_printf(&c->term, "\n\n");
	show_numbers(c, r);
	key(c, "decoder");
	term_printf(&c->term, "norm %s\n", fmt_value(float_of(r, "decoder_norm")).s);
	show_other_labels(c, saedb_get(r, "labels"));
	show_intervals(c, saedb_get(r, "intervals"), float_of(r, "max"));
	show_effects(c, r);
}
