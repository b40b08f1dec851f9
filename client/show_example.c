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
	const struct saedb_value *row, *tokens, *values;
	const struct saedb_value **patch; /* (tokens) NULL where none; owned */
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

/* A word goes to the next line as a whole, its leading space stays behind. */
static void
put_word(struct passage *p, double value, const char *mark)
{
	const struct term *t = &p->c->term;
	char *s = buf_str(&p->shown);
	int w;

	if (s == NULL || *s == '\0')
		return;
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
put_token(struct passage *p, double value)
{
	char mark[64] = "";

	if (value > 0 && !p->c->term.color)
		snprintf(mark, sizeof(mark), "{%s}", fmt_value(value).s);
	put_word(p, value, mark);
}

/* Which tokens are patches. Without memory none is. */
static void
find_patches(struct passage *p, size_t n)
{
	const struct saedb_value *list = saedb_get(p->row, "patches");
	int64_t first = int_of(p->row, "first");

	if (saedb_length(list) > 0)
		p->patch = mem_new(n, sizeof(*p->patch));
	for (size_t i = 0; p->patch != NULL && i < saedb_length(list); i++) {
		int64_t at = int_of(saedb_at(list, i), "token") - first;

		if (at >= 0 && (size_t)at < n)
			p->patch[at] = saedb_at(list, i);
	}
}

/* A token's bytes; a patch has none. */
static const char *
piece(const struct passage *p, size_t i, size_t *n_bytes)
{
	*n_bytes = 0;
	return p->patch != NULL && p->patch[i] != NULL
		? ""
		: bytes_of(saedb_at(p->tokens, i), n_bytes);
}

static void
put_gap(struct passage *p, bool wanted)
{
	buf_reset(&p->shown);
	buf_puts(&p->shown, wanted ? " " : "");
	put_word(p, 0, "");
	buf_reset(&p->shown);
}

/* All patches of an image stand where the first does. */
static void
put_image(struct passage *p, size_t i, size_t n)
{
	const char *image = str_of(p->patch[i], "image", "");
	double value;

	for (size_t j = i; j-- > 0;)
		if (p->patch[j] != NULL &&
			strcmp(str_of(p->patch[j], "image", ""), image) == 0)
			return;
	put_gap(p, p->column > p->indent);
	value = put_patches(&p->shown, p->row, p->patch[i]);
	put_word(p, value, "");
	while (i < n && p->patch[i] != NULL)
		i++;
	put_gap(p, i < n);
}

static void
put_passage(struct passage *p)
{
	size_t n = saedb_length(p->tokens), start = 0, at = 0;
	const char *bytes;

	buf_init(&p->text);
	buf_init(&p->shown);
	find_patches(p, n);
	for (size_t i = 0; i < n; i++) {
		size_t n_bytes;
		const char *s = piece(p, i, &n_bytes);

		buf_put(&p->text, s, n_bytes);
	}
	bytes = (const char *)p->text.data;
	for (size_t i = 0; i < n && !p->text.failed; i++) {
		size_t n_bytes;

		piece(p, i, &n_bytes);
		start += n_bytes;
		buf_reset(&p->shown);
		while (at < start)
			at += text_show_char(&p->shown, bytes + at,
				p->text.n_bytes - at, p->c->term.utf8);
		if (p->patch != NULL && p->patch[i] != NULL)
			put_image(p, i, n);
		else
			put_token(p, value_at(p, i));
	}
	mem_free(p->patch);
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
	p.row = row;
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
