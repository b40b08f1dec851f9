/* SPDX-License-Identifier: ISC */
/* What all the printers use, and JSON. */
#include "client/cli.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

const char *
str_of(const struct saedb_value *map, const char *key, const char *otherwise)
{
	return saedb_str(saedb_get(map, key), otherwise);
}

int64_t
int_of(const struct saedb_value *map, const char *key)
{
	return saedb_int(saedb_get(map, key), 0);
}

double
float_of(const struct saedb_value *map, const char *key)
{
	return saedb_float(saedb_get(map, key), 0);
}

const char *
bytes_of(const struct saedb_value *v, size_t *n_bytes)
{
	const char *s = saedb_str(v, NULL);
	const void *p = saedb_bin(v, n_bytes);

	if (p != NULL)
		return p;
	*n_bytes = s != NULL ? saedb_length(v) : 0;
	return s != NULL ? s : "";
}

/* Whether a reader wants a new line between p[0], one of { [ , } ], and what is
 * next to it. Lists of scalars stay on one line. */
static bool
breaks(const char *p, bool in_map)
{
	if (*p == '}' || *p == ']')
		return in_map ? p[-1] != '{' : p[-1] == '}' || p[-1] == ']';
	if (p[1] == '}' || p[1] == ']')
		return false;
	return in_map || p[1] == '{' || p[1] == '[';
}

static void
put_indented(FILE *f, const char *json)
{
	uint64_t maps = 0; /* a bit for each level, the innermost lowest */
	bool in_string = false;
	int depth = 0;

	for (const char *p = json; *p != '\0'; p++) {
		bool closes = *p == '}' || *p == ']';

		if (in_string || *p == '"') {
			if (in_string && *p == '\\' && p[1] != '\0')
				fputc(*p++, f);
			else if (*p == '"')
				in_string = !in_string;
			fputc(*p, f);
			continue;
		}
		if (*p == '{' || *p == '[') {
			maps = maps << 1 | (*p == '{');
			depth++;
		}
		if (closes) {
			depth--;
			if (breaks(p, maps & 1))
				fprintf(f, "\n%*s", depth * 2, "");
			maps >>= 1;
		}
		fputc(*p, f);
		if (*p == ':')
			fputc(' ', f);
		else if (!closes && strchr("{[,", *p) != NULL && breaks(p, maps & 1))
			fprintf(f, "\n%*s", depth * 2, "");
		else if (*p == ',')
			fputc(' ', f);
	}
}

/* One line for a program, indented lines for a reader. */
void
show_json_text(struct cli *c, const char *json)
{
	if (c->term.tty)
		put_indented(c->term.out, json);
	else
		fputs(json, c->term.out);
	fputc('\n', c->term.out);
}

void
show_json(struct cli *c, const struct saedb_value *v)
{
	char *text;

	if (saedb_json(v, &text) != 0) {
		err_set(&c->err, ERR_NOMEM, "no memory for the answer");
		return;
	}
	show_json_text(c, text);
	saedb_text_free(text);
}

void
show_heading(struct cli *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	term_put(&c->term, STYLE_DIM, text);
	term_printf(&c->term, "\n");
}

void
show_table(struct cli *c, struct table *t)
{
	if (t->failed)
		err_set(&c->err, ERR_NOMEM, "no memory for the answer");
	else
		table_print(t, &c->term);
	table_clear(t);
}

void
show_label_text(struct cli *c, const char *label, const char *source)
{
	if (label == NULL)
		return;
	term_text(&c->term, STYLE_LABEL, label);
	if (source != NULL && strcmp(source, "person") != 0) {
		term_put(&c->term, STYLE_DIM, " (");
		term_text(&c->term, STYLE_DIM, source);
		term_put(&c->term, STYLE_DIM, ")");
	}
}
