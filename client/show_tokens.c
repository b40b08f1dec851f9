/* SPDX-License-Identifier: ISC */
/* The features on each token of a document. */
#include "client/cli.h"
#include "client/fmt.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_INDEX (1 << 26)

/* Labels by their features' indexes. */
struct names {
	const char **text; /* (n) NULL where there is none; borrowed from the answer */
	size_t n;
};

/* A map's keys may be numbers, or in JSON's manner strings of them. */
static int64_t
index_of(const struct saedb_value *key)
{
	const char *text = saedb_str(key, NULL);

	return text != NULL ? strtoll(text, NULL, 10) : saedb_int(key, -1);
}

/* Without memory there are no labels. */
static void
names_init(struct names *names, const struct saedb_value *labels)
{
	int64_t most = -1;

	*names = (struct names){0};
	for (size_t i = 0; i < saedb_length(labels); i++) {
		int64_t index = index_of(saedb_key(labels, i));

		if (index > most && index < MOST_INDEX)
			most = index;
	}
	names->text = mem_new((size_t)(most + 1), sizeof(*names->text));
	names->n = names->text != NULL ? (size_t)(most + 1) : 0;
	for (size_t i = 0; i < saedb_length(labels); i++) {
		int64_t index = index_of(saedb_key(labels, i));

		if (index >= 0 && (size_t)index < names->n)
			names->text[index] = saedb_str(saedb_pair(labels, i), NULL);
	}
}

/* A feature, its value, its label; at column at. */
static void
put_active(struct cli *c, const struct saedb_value *r, const struct names *names,
	size_t i, int at)
{
	int64_t index = saedb_int(saedb_at(saedb_get(r, "features"), i), -1);
	double value = saedb_float(saedb_at(saedb_get(r, "values"), i), 0);
	const char *label = NULL;
	char head[LIMIT_NAME_BYTES + 32];
	struct buf b;

	if (index >= 0 && (size_t)index < names->n)
		label = names->text[index];
	snprintf(head, sizeof(head), "%s/%" PRId64, str_of(r, "sae", "?"), index);
	term_text(&c->term, STYLE_ADDR, head);
	term_printf(&c->term, "%*s %6s",
		(int)(strlen(head) < 10 ? 10 - strlen(head) : 0), "",
		fmt_value(value).s);
	if (label != NULL) {
		term_printf(&c->term, "  ");
		at += (strlen(head) < 10 ? 10 : (int)strlen(head)) + 9;
		buf_init(&b);
		text_show(&b, label, strlen(label), c->term.utf8);
		if (buf_str(&b) != NULL)
			term_fit(&c->term, STYLE_LABEL, (const char *)b.data,
				c->term.width > at + 8 ? (size_t)(c->term.width - at)
						       : 8);
		buf_clear(&b);
	}
	term_printf(&c->term, "\n");
}

#define MOST_ON_TOKEN 8192

/* Where each feature on token i stands in the answer's lists, strongest first.
 * Returns how many. */
static size_t
sort_row(const struct saedb_value *r, size_t i, int64_t *place)
{
	const struct saedb_value *starts = saedb_get(r, "row_start");
	const struct saedb_value *values = saedb_get(r, "values");
	int64_t from = saedb_int(saedb_at(starts, i), 0);
	int64_t to = saedb_int(saedb_at(starts, i + 1), 0);
	size_t n = 0;

	for (int64_t k = from; k < to && n < MOST_ON_TOKEN; k++) {
		double v = saedb_float(saedb_at(values, (size_t)k), 0);
		size_t at = n++;

		while (at > 0 &&
			saedb_float(saedb_at(values, (size_t)place[at - 1]), 0) < v) {
			place[at] = place[at - 1];
			at--;
		}
		place[at] = k;
	}
	return n;
}

/* The patch that token i is, or NULL. *next is where to look among them, by
 * ascending tokens. */
static const struct saedb_value *
patch_at(const struct saedb_value *r, size_t i, size_t *next)
{
	const struct saedb_value *patch = saedb_at(saedb_get(r, "patches"), *next);

	if (patch == NULL ||
		int_of(patch, "token") !=
			saedb_int(saedb_at(saedb_get(r, "offsets"), i), -1) ||
		int_of(patch, "window") !=
			saedb_int(saedb_at(saedb_get(r, "windows"), i), -1))
		return NULL;
	++*next;
	return patch;
}

static void
put_name(struct cli *c, struct buf *b, const struct saedb_value *r, size_t i,
	const struct saedb_value *patch)
{
	size_t n_bytes;
	const char *s = bytes_of(saedb_at(saedb_get(r, "tokens"), i), &n_bytes);

	if (patch != NULL)
		put_patch_name(b, patch);
	else
		text_show(b, s, n_bytes, c->term.utf8);
}

/* One line for a token's strongest feature, and one for each other. */
static void
show_token_row(struct cli *c, const struct saedb_value *r, const struct names *names,
	size_t i, const struct saedb_value *patch, int width)
{
	static int64_t place[MOST_ON_TOKEN];
	size_t n = sort_row(r, i, place);
	const char *s;
	struct buf b;

	buf_init(&b);
	put_name(c, &b, r, i, patch);
	term_printf(&c->term, "%6" PRId64 "  ", cli_int(c, "first", 0) + (int64_t)i);
	if (buf_str(&b) != NULL) {
		b.data[text_fit((const char *)b.data, (size_t)width)] = '\0';
		term_put(&c->term, STYLE_BOLD, (const char *)b.data);
		s = (const char *)b.data;
		term_printf(&c->term, "%*s",
			n > 0 ? width - (int)text_width(s, strlen(s)) + 2 : 0, "");
	}
	buf_clear(&b);
	if (n == 0)
		term_printf(&c->term, "\n");
	for (size_t k = 0; k < n; k++) {
		if (k > 0)
			term_printf(&c->term, "%*s", 10 + width, "");
		put_active(c, r, names, (size_t)place[k], 10 + width);
	}
}

void
show_tokens(struct cli *c, const struct saedb_value *r)
{
	const struct saedb_value *tokens = saedb_get(r, "tokens");
	size_t n = saedb_length(tokens), next = 0;
	struct names names;
	size_t width = saedb_get(r, "patches") != NULL ? 16 : 5;

	for (size_t i = 0; i < n; i++) {
		size_t n_bytes, w;
		const char *s = bytes_of(saedb_at(tokens, i), &n_bytes);

		w = text_width(s, n_bytes);
		width = w > width ? w : width;
	}
	width = width > 20 ? 20 : width;
	names_init(&names, saedb_get(r, "labels"));
	show_heading(c, "%6s  %-*s  %-10s %6s", "token", (int)width, "", "feature",
		"value");
	for (size_t i = 0; i < n; i++)
		show_token_row(c, r, &names, i, patch_at(r, i, &next), (int)width);
	mem_free(names.text);
}
