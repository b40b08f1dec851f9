/* SPDX-License-Identifier: ISC */
/* Text with values on its tokens. Tokens may end inside a character: they are
 * laid end to end, and a character belongs to the token that begins it. */
#include "client/cli.h"
#include "client/fmt.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

struct passage {
	struct cli *c;
	const struct saedb_value *tokens, *values;
	double max; /* what full shade stands for */
	int indent;
	int column; /* of the terminal, so far on this line */
	struct buf text; /* the tokens' bytes */
	struct buf shown; /* of one token */
};

static double
value_at(const struct passage *p, size_t i)
{
	return saedb_float(saedb_at(p->values, i), 0);
}

/* A token goes to the next line as a whole, its leading space stays behind. */
static void
put_token(struct passage *p, double value)
{
	const struct term *t = &p->c->term;
	char *s = buf_str(&p->shown), mark[64] = "";
	int w;

	if (s == NULL || *s == '\0')
		return;
	if (value > 0 && !t->color)
		snprintf(mark, sizeof(mark), "{%s}", fmt_value(value).s);
	w = (int)(text_width(s, strlen(s)) + strlen(mark));
	if (t->width > 0 && p->column + w > t->width && p->column > p->indent) {
		term_printf(t, "\n%*s", p->indent, "");
		p->column = p->indent;
		w -= *s == ' ';
		s += *s == ' ';
	}
	if (value > 0)
		term_shade(t, p->max > 0 ? value / p->max : 1);
	fputs(s, t->out);
	if (value > 0)
		term_shade(t, 0);
	fputs(mark, t->out);
	p->column += w;
}

static void
put_passage(struct passage *p)
{
	size_t n = saedb_length(p->tokens), start = 0, at = 0;
	const char *bytes;

	buf_init(&p->text);
	buf_init(&p->shown);
	for (size_t i = 0; i < n; i++) {
		size_t n_bytes;
		const char *s = bytes_of(saedb_at(p->tokens, i), &n_bytes);

		buf_put(&p->text, s, n_bytes);
	}
	bytes = (const char *)p->text.data;
	for (size_t i = 0; i < n && !p->text.failed; i++) {
		size_t n_bytes;

		bytes_of(saedb_at(p->tokens, i), &n_bytes);
		start += n_bytes;
		buf_reset(&p->shown);
		while (at < start)
			at += text_show_char(&p->shown, bytes + at,
				p->text.n_bytes - at, p->c->term.utf8);
		put_token(p, value_at(p, i));
	}
	term_printf(&p->c->term, "\n");
	buf_clear(&p->text);
	buf_clear(&p->shown);
}

static void
show_example(struct cli *c, const struct saedb_value *row, double max, int id_columns)
{
	struct saedb_example x;
	struct passage p = {.c = c, .max = max};
	char head[96];

	if (saedb_read_example(row, &x) != 0)
		return;
	p.tokens = x.tokens;
	p.values = x.values;
	snprintf(head, sizeof(head), "  %8s  ", fmt_value(x.value).s);
	term_put(&c->term, STYLE_BOLD, head);
	p.indent = p.column = (int)strlen(head) + id_columns + 2;
	snprintf(head, sizeof(head), "%-*.*s  ", id_columns, id_columns,
		x.document != NULL ? x.document : "");
	term_text(&c->term, STYLE_DIM, head);
	put_passage(&p);
}

/* Documents' ids as wide as they are, within reason. */
static int
id_width(const struct saedb_value *list)
{
	size_t most = 0;

	for (size_t i = 0; i < saedb_length(list); i++) {
		const char *id = str_of(saedb_at(list, i), "document", "");

		if (strlen(id) > most)
			most = strlen(id);
	}
	return most > 16 ? 16 : (int)most;
}

static void
interval_heading(struct cli *c, const struct saedb_value *r, int64_t interval,
	double max)
{
	const struct saedb_value *n =
		saedb_at(saedb_get(r, "intervals"), (size_t)interval);

	if (interval < 0) {
		show_heading(c, "  the best");
		return;
	}
	show_heading(c, "  from %s to %s: a sample of %s",
		fmt_value(max * (double)interval / 10).s,
		fmt_value(max * (double)(interval + 1) / 10).s,
		fmt_count((uint64_t)saedb_int(n, 0)).s);
}

/* intervals: with a heading over each. */
void
show_example_list(struct cli *c, const struct saedb_value *r, bool intervals)
{
	const struct saedb_value *list = saedb_get(r, "examples");
	double max = float_of(r, "max");
	int64_t interval = -2;
	int width = id_width(list);

	if (saedb_length(list) == 0)
		show_heading(c, "  no examples");
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *row = saedb_at(list, i);

		if (intervals && int_of(row, "interval") != interval) {
			interval = int_of(row, "interval");
			term_printf(&c->term, i > 0 ? "\n" : "");
			interval_heading(c, r, interval, max);
		}
		show_example(c, row, max, width);
	}
}

void
show_examples(struct cli *c, const struct saedb_value *r)
{
	show_example_list(c, r, cli_flag(c, "intervals") || cli_flag(c, "interval"));
}
