/* SPDX-License-Identifier: ISC */
/* Neighbors: which they are, and how they were found. */
#include "client/cli.h"
#include "client/fmt.h"

#include <stdio.h>
#include <string.h>

/* "1k", "1k, 8k" or "5 SAEs". */
static void
put_saes(char *out, size_t cap, const struct saedb_value *searched)
{
	size_t n = saedb_length(searched), at = 0;

	snprintf(out, cap, "%zu SAEs", n);
	for (size_t i = 0; n <= 3 && i < n && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i > 0 ? ", " : "",
			str_of(saedb_at(searched, i), "sae", "?"));
}

/* Where an index answered: it may have missed some. */
static void
show_recall(struct cli *c, const struct saedb_value *searched)
{
	for (size_t i = 0; i < saedb_length(searched); i++) {
		const struct saedb_value *x = saedb_at(searched, i);

		if (saedb_type(saedb_get(x, "index")) == SAEDB_STR)
			show_heading(c, "%s: by %s; recall@10 %.4f",
				str_of(x, "sae", "?"), str_of(x, "index", "?"),
				float_of(x, "recall"));
	}
}

/* Said where it is not what one gets without options. */
static void
show_how(struct cli *c, const struct saedb_value *r)
{
	const char *engine = str_of(r, "engine", ""), *metric = str_of(r, "metric", "");
	uint64_t n = (uint64_t)int_of(r, "n_allowed"),
		 all = (uint64_t)int_of(r, "n_rows");
	char saes[200];

	if (strcmp(engine, "graph") == 0 || c->quiet || metric[0] == '\0')
		return;
	put_saes(saes, sizeof(saes), saedb_get(r, "searched"));
	if (all > n + 1)
		show_heading(c, "%s of %s rows, %s: %s of %s features of %s pass",
			strcmp(metric, "ip") == 0 ? "inner product" : metric,
			str_of(r, "of", ""), engine, fmt_count(n).s, fmt_count(all).s,
			saes);
	else
		show_heading(c, "%s of %s rows, %s: among %s features of %s",
			strcmp(metric, "ip") == 0 ? "inner product" : metric,
			str_of(r, "of", ""), engine, fmt_count(n).s, saes);
	show_recall(c, saedb_get(r, "searched"));
}

static void
put_row(struct table *t, const struct saedb_value *row, const char *metric)
{
	struct saedb_feature f;
	char text[512];

	saedb_read_feature(row, &f);
	table_text(t, f.address);
	if (strcmp(metric, "cosine") == 0)
		table_printf(t, "%.3f", f.cosine);
	else
		table_put(t, fmt_value(float_of(row, metric)).s);
	table_put(t,
		saedb_type(saedb_get(row, "density")) == SAEDB_NIL
			? "-"
			: fmt_percent(f.density).s);
	if (f.label == NULL || f.source == NULL || strcmp(f.source, "person") == 0) {
		table_text(t, f.label);
		return;
	}
	snprintf(text, sizeof(text), "%.400s (%.40s)", f.label, f.source);
	table_text(t, text);
}

void
show_neighbors(struct cli *c, const struct saedb_value *r)
{
	struct column columns[] = {
		{"feature", false, STYLE_ADDR},
		{"cosine", true, STYLE_PLAIN},
		{"density", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "neighbors");
	const char *metric = str_of(r, "metric", "cosine");
	struct table t;

	show_how(c, r);
	if (saedb_length(list) == 0) {
		show_heading(c, "no neighbors");
		return;
	}
	columns[1].title = metric;
	table_init(&t, columns, c->term.utf8);
	t.indent = c->indent;
	for (size_t i = 0; i < saedb_length(list); i++)
		put_row(&t, saedb_at(list, i), metric);
	show_table(c, &t);
}
