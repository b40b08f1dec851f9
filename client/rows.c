/* SPDX-License-Identifier: ISC */
#include "client/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void
rows_float(char *out, float v)
{
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(out, 32, "%.*g", digits, (double)v);
		if (strtof(out, NULL) == v)
			return;
	}
}

static void
put_csv(FILE *f, const char *s, size_t n_bytes)
{
	bool plain = n_bytes > 0 && s[0] != ' ' && s[n_bytes - 1] != ' ';

	for (size_t i = 0; i < n_bytes && plain; i++)
		plain = s[i] != '"' && s[i] != ',' && s[i] != '\n' && s[i] != '\r';
	if (plain || n_bytes == 0) {
		fwrite(s, 1, n_bytes, f);
		return;
	}
	fputc('"', f);
	for (size_t i = 0; i < n_bytes; i++) {
		if (s[i] == '"')
			fputc('"', f);
		fputc(s[i], f);
	}
	fputc('"', f);
}

static void
put_json_str(FILE *f, const char *s, size_t n_bytes)
{
	fputc('"', f);
	for (size_t i = 0; i < n_bytes; i++) {
		unsigned char ch = (unsigned char)s[i];

		if (ch == '"' || ch == '\\')
			fprintf(f, "\\%c", ch);
		else if (ch == '\n')
			fputs("\\n", f);
		else if (ch < 0x20)
			fprintf(f, "\\u%04x", ch);
		else
			fputc(ch, f);
	}
	fputc('"', f);
}

/* What stands before cell i. */
static void
lead(struct rows *r, size_t i)
{
	if (r->csv)
		fputs(i > 0 ? "," : "", r->f);
	else
		fprintf(r->f, "%s\"%s\":", i > 0 ? "," : "{", r->column[i]);
}

void
rows_begin(struct rows *r)
{
	for (size_t i = 0; r->csv && !r->begun && r->column[i] != NULL; i++)
		fprintf(r->f, "%s%s%s", i > 0 ? "," : "", r->column[i],
			r->column[i + 1] == NULL ? "\n" : "");
	r->begun = true;
}

void
rows_cell_str(struct rows *r, size_t i, const char *s, size_t n_bytes)
{
	lead(r, i);
	if (s == NULL)
		fputs(r->csv ? "" : "null", r->f);
	else if (r->csv)
		put_csv(r->f, s, n_bytes);
	else
		put_json_str(r->f, s, n_bytes);
}

void
rows_cell_int(struct rows *r, size_t i, long long v)
{
	lead(r, i);
	fprintf(r->f, "%lld", v);
}

void
rows_cell_f32(struct rows *r, size_t i, float v)
{
	char text[32] = "";

	lead(r, i);
	if (isfinite(v))
		rows_float(text, v);
	fputs(isfinite(v) ? text : r->csv ? "" : "null", r->f);
}

int
rows_cell_value(struct rows *r, size_t i, const struct saedb_value *v)
{
	char *text;
	int rc;

	if (saedb_type(v) == SAEDB_STR) {
		rows_cell_str(r, i, saedb_str(v, ""), saedb_length(v));
		return 0;
	}
	if (saedb_type(v) == SAEDB_NIL) {
		rows_cell_str(r, i, NULL, 0);
		return 0;
	}
	rc = saedb_json(v, &text);
	if (rc != 0)
		return rc;
	lead(r, i);
	if (r->csv)
		put_csv(r->f, text, strlen(text));
	else
		fputs(text, r->f);
	saedb_text_free(text);
	return 0;
}

void
rows_end(struct rows *r)
{
	fputs(r->csv ? "\n" : "}\n", r->f);
}

int
rows_put(struct rows *r, const struct saedb_value *map)
{
	int rc = 0;

	rows_begin(r);
	for (size_t i = 0; r->column[i] != NULL && rc == 0; i++)
		rc = rows_cell_value(r, i, saedb_get(map, r->column[i]));
	rows_end(r);
	return rc;
}
