/* SPDX-License-Identifier: ISC */
/* A tree of features through SAEs of growing width. */
#include "client/cli.h"
#include "client/fmt.h"
#include "util/buf.h"

#include <stdio.h>
#include <string.h>

static size_t
parent_of(const struct saedb_value *nodes, size_t i)
{
	return (size_t)int_of(saedb_at(nodes, i), "parent");
}

static size_t
last_child(const struct saedb_value *nodes, size_t parent)
{
	size_t last = 0;

	for (size_t i = 1; i < saedb_length(nodes); i++)
		if (parent_of(nodes, i) == parent)
			last = i;
	return last;
}

/* Lines from those above, then the branch. */
static void
put_branch(struct buf *b, const struct saedb_value *nodes, size_t i, bool utf8)
{
	char *up;
	struct buf above;

	if (i == 0)
		return;
	buf_init(&above);
	for (size_t at = parent_of(nodes, i); at > 0; at = parent_of(nodes, at)) {
		bool last = last_child(nodes, parent_of(nodes, at)) == at;
		const char *line = last ? "   " : utf8 ? "\xe2\x94\x82  " : "|  ";
		struct buf more;

		buf_init(&more);
		buf_puts(&more, line);
		buf_put(&more, above.data, above.n_bytes);
		buf_clear(&above);
		above = more;
	}
	up = buf_str(&above);
	buf_puts(b, up != NULL ? up : "");
	buf_clear(&above);
	if (last_child(nodes, parent_of(nodes, i)) == i)
		buf_puts(b, utf8 ? "\xe2\x94\x94\xe2\x94\x80 " : "`- ");
	else
		buf_puts(b, utf8 ? "\xe2\x94\x9c\xe2\x94\x80 " : "|- ");
}

static void
put_number(struct table *t, const struct saedb_value *row, const char *key, int digits)
{
	if (saedb_type(saedb_get(row, key)) == SAEDB_NIL)
		table_put(t, "");
	else
		table_printf(t, "%.*f", digits, float_of(row, key));
}

static void
put_node(struct table *t, const struct saedb_value *nodes, size_t i, bool utf8)
{
	const struct saedb_value *row = saedb_at(nodes, i);
	const char *label = str_of(row, "label", NULL);
	struct buf b;
	char *text;

	buf_init(&b);
	put_branch(&b, nodes, i, utf8);
	buf_puts(&b, str_of(row, "feature", "?"));
	text = buf_str(&b);
	table_put(t, text != NULL ? text : "?");
	buf_clear(&b);
	put_number(t, row, "cosine", 3);
	put_number(t, row, "n_both", 0);
	put_number(t, row, "share", 2);
	put_number(t, row, "count", 0);
	table_text(t, label != NULL ? label : "");
	for (size_t j = i + 1; j < saedb_length(nodes); j++)
		if (parent_of(nodes, j) == i)
			put_node(t, nodes, j, utf8);
}

void
show_splitting(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"feature", false, STYLE_ADDR},
		{"cosine", true, STYLE_PLAIN},
		{"both", true, STYLE_PLAIN},
		{"share", true, STYLE_PLAIN},
		{"count", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *nodes = saedb_get(r, "nodes");
	struct table t;

	if (saedb_length(saedb_get(r, "saes")) == 0) {
		show_heading(c, "no %s SAE of the store is on its hook",
			strcmp(str_of(r, "direction", ""), "parents") == 0 ? "narrower"
									   : "wider");
		return;
	}
	table_init(&t, columns, c->term.utf8);
	put_node(&t, nodes, 0, c->term.utf8);
	show_table(c, &t);
}
