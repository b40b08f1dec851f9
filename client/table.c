/* SPDX-License-Identifier: ISC */
#include "client/table.h"

#include "util/mem.h"

#include <stdarg.h>
#include <string.h>

#define GAP 2

void
table_init(struct table *t, const struct column *column, bool utf8)
{
	*t = (struct table){.column = column, .utf8 = utf8};
	while (column[t->n_columns].title != NULL && t->n_columns < TABLE_COLUMNS)
		t->n_columns++;
}

void
table_clear(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		mem_free(t->cell[i]);
	mem_free(t->cell);
	t->cell = NULL;
	t->n_cells = t->cap_cells = 0;
}

/* Takes s. */
static void
add(struct table *t, char *s)
{
	if (t->n_cells == t->cap_cells) {
		size_t cap = t->cap_cells > 0 ? t->cap_cells * 2 : 64;
		char **grown = mem_resize(t->cell, cap, sizeof(*grown));

		if (grown == NULL) {
			t->failed = true;
			mem_free(s);
			return;
		}
		t->cell = grown;
		t->cap_cells = cap;
	}
	if (s == NULL)
		t->failed = true;
	else
		t->cell[t->n_cells++] = s;
}

void
table_put(struct table *t, const char *s)
{
	add(t, mem_strdup(s));
}

void
table_text(struct table *t, const char *s)
{
	struct buf b;

	buf_init(&b);
	if (s != NULL)
		text_show(&b, s, strlen(s), t->utf8);
	add(t, buf_str(&b));
}

void
table_printf(struct table *t, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_put(t, text);
}

static void
measure(const struct table *t, size_t *width)
{
	for (size_t c = 0; c < t->n_columns; c++)
		width[c] = t->no_titles ? 0 : strlen(t->column[c].title);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t w = text_width(t->cell[i], strlen(t->cell[i]));

		if (w > width[i % t->n_columns])
			width[i % t->n_columns] = w;
	}
	for (size_t c = 0; t->kept != NULL && c < t->n_columns; c++) {
		if (t->kept[c] > width[c])
			width[c] = t->kept[c];
		t->kept[c] = width[c];
	}
}

/* Columns that are left of a line, with room for something in any case. */
static size_t
left_of(const struct term *term, size_t at)
{
	return (size_t)term->width > at + 8 ? (size_t)term->width - at : 8;
}

static void
print_row(const struct table *t, const struct term *term, const size_t *width,
	char *const *row, bool titles)
{
	size_t at = (size_t)t->indent, end = t->n_columns;

	while (end > 1 && (titles ? t->column[end - 1].title : row[end - 1])[0] == '\0')
		end--; /* no spaces behind a line */
	term_printf(term, "%*s", t->indent, "");
	for (size_t c = 0; c < end; c++) {
		const char *s = titles ? t->column[c].title : row[c];
		enum style style = titles ? STYLE_DIM : t->column[c].style;
		size_t pad = width[c] - text_width(s, strlen(s));
		bool last = c + 1 == end;

		if (t->column[c].right)
			term_printf(term, "%*s", (int)pad, "");
		if (last && end == t->n_columns)
			term_fit(term, style, s,
				left_of(term, at + (t->column[c].right ? pad : 0)));
		else
			term_put(term, style, s);
		if (!last)
			term_printf(term, "%*s",
				(int)(t->column[c].right ? 0 : pad) + GAP, "");
		at += width[c] + GAP;
	}
	term_printf(term, "\n");
}

void
table_print(const struct table *t, const struct term *term)
{
	size_t width[TABLE_COLUMNS];

	measure(t, width);
	if (!t->no_titles)
		print_row(t, term, width, NULL, true);
	for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
		print_row(t, term, width, t->cell + i, false);
}
