/* SPDX-License-Identifier: ISC */
#include "client/label_file.h"

#include "schema/limits.h"
#include "schema/value.h"
#include "util/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COLUMNS 64

enum field {
	FIELD_NONE,
	FIELD_FEATURE,
	FIELD_SAE_HASH,
	FIELD_INDEX,
	FIELD_TEXT,
	FIELD_SOURCE,
	FIELD_AUTHOR,
	FIELD_TIME,
	FIELD_SCORE,
};

static const struct {
	const char *name;
	enum field field;
} field_names[] = {
	{"feature", FIELD_FEATURE},
	{"sae_hash", FIELD_SAE_HASH},
	{"index", FIELD_INDEX},
	{"text", FIELD_TEXT},
	{"explanation", FIELD_TEXT},
	{"description", FIELD_TEXT},
	{"source", FIELD_SOURCE},
	{"author", FIELD_AUTHOR},
	{"time_s", FIELD_TIME},
	{"score", FIELD_SCORE},
};

/* What is being filled. */
struct reading {
	struct label_row *row; /* (cap) in the arena */
	size_t n, cap;
	struct arena *arena;
	struct err *e;
};

static enum field
field_of(const char *name, size_t n_bytes)
{
	for (size_t i = 0; i < sizeof(field_names) / sizeof(*field_names); i++)
		if (strlen(field_names[i].name) == n_bytes &&
			memcmp(field_names[i].name, name, n_bytes) == 0)
			return field_names[i].field;
	return FIELD_NONE;
}

static struct label_row *
new_row(struct reading *r, uint64_t line)
{
	if (r->n == r->cap) {
		size_t cap = r->cap > 0 ? r->cap * 2 : 256;
		struct label_row *grown = arena_alloc(r->arena, cap, sizeof(*grown));

		if (grown == NULL) {
			err_set(r->e, ERR_NOMEM, "no memory for labels");
			return NULL;
		}
		if (r->n > 0)
			memcpy(grown, r->row, r->n * sizeof(*grown));
		r->row = grown;
		r->cap = cap;
	}
	r->row[r->n] = (struct label_row){.line = line};
	return &r->row[r->n++];
}

static int
bad(struct reading *r, const struct label_row *row, const char *what)
{
	return err_set(r->e, ERR_FORMAT, "line %" PRIu64 ": %s", row->line, what);
}

static bool
whole(const char *s, int64_t *out)
{
	char *end;
	double x = strtod(s, &end);

	if (*s == '\0' || *end != '\0' || x != trunc(x) || fabs(x) > 9e15)
		return false;
	*out = (int64_t)x;
	return true;
}

/* One field as text; an empty one is as if absent. */
static int
set_field(struct reading *r, struct label_row *row, enum field field, const char *s,
	size_t n_bytes)
{
	char *end, *copy;

	if (field == FIELD_NONE || n_bytes == 0)
		return 0;
	if (utf8_valid(s, n_bytes) != n_bytes || memchr(s, '\0', n_bytes) != NULL)
		return bad(r, row, "not UTF-8");
	copy = arena_strndup(r->arena, s, n_bytes);
	if (copy == NULL)
		return err_set(r->e, ERR_NOMEM, "no memory for labels");
	if (field == FIELD_FEATURE)
		row->feature = copy;
	else if (field == FIELD_SAE_HASH)
		row->sae_hash = copy;
	else if (field == FIELD_TEXT)
		row->text = copy;
	else if (field == FIELD_SOURCE)
		row->source = copy;
	else if (field == FIELD_AUTHOR)
		row->author = copy;
	else if (field == FIELD_INDEX) {
		row->has_index = whole(copy, &row->index) && row->index >= 0;
		return row->has_index ? 0 : bad(r, row, "index is no whole number");
	} else if (field == FIELD_TIME) {
		row->has_time = whole(copy, &row->time_s);
		return row->has_time ? 0 : bad(r, row, "time_s is no whole number");
	} else {
		row->score = strtod(copy, &end);
		row->has_score = *end == '\0' && isfinite(row->score);
		return row->has_score ? 0 : bad(r, row, "score is no number");
	}
	return 0;
}

static int
check_row(struct reading *r, const struct label_row *row)
{
	if (row->text == NULL)
		return bad(r, row, "no text (nor explanation, nor description)");
	if (strlen(row->text) > LIMIT_LABEL_BYTES)
		return bad(r, row, "the text is longer than 2000 bytes");
	if (row->feature == NULL && !row->has_index)
		return bad(r, row, "no feature, nor an index");
	return 0;
}

/* ---- JSON Lines ---- */

static int
set_json(struct reading *r, struct label_row *row, enum field field,
	const struct value *v)
{
	char number[40];
	double x;

	if (v->type == VALUE_STR)
		return set_field(r, row, field, v->str, v->n);
	if (v->type == VALUE_NIL || field == FIELD_NONE)
		return 0;
	if ((field != FIELD_INDEX && field != FIELD_TIME && field != FIELD_SCORE) ||
		!value_as_float(v, &x))
		return bad(r, row, "a field has the wrong type");
	snprintf(number, sizeof(number), "%.17g", x);
	return set_field(r, row, field, number, strlen(number));
}

static int
read_json_line(struct reading *r, const char *p, size_t n_bytes, uint64_t line)
{
	const struct value *v;
	struct label_row *row;
	int rc = value_parse_json(&v, p, n_bytes, r->arena, r->e);

	if (rc != 0)
		return err_wrap(r->e, "line %" PRIu64, line);
	row = new_row(r, line);
	if (row == NULL)
		return ERR_NOMEM;
	if (v->type != VALUE_MAP)
		return bad(r, row, "not a JSON object");
	for (uint32_t i = 0; i < v->n && rc == 0; i++) {
		const struct value *key = &v->v[2 * i];

		rc = set_json(r, row, field_of(key->str, key->n), &v->v[2 * i + 1]);
	}
	return rc != 0 ? rc : check_row(r, row);
}

static int
read_jsonl(struct reading *r, const char *p, size_t n_bytes)
{
	uint64_t line = 0;
	int rc = 0;

	while (n_bytes > 0 && rc == 0) {
		const char *end = memchr(p, '\n', n_bytes);
		size_t n = end != NULL ? (size_t)(end - p) : n_bytes, i = 0;

		line++;
		while (i < n && strchr(" \t\r", p[i]) != NULL && p[i] != '\0')
			i++;
		if (i < n)
			rc = read_json_line(r, p, n, line);
		p += n + (end != NULL);
		n_bytes -= n + (end != NULL);
	}
	return rc;
}

/* ---- CSV (RFC 4180) ---- */

struct csv {
	const char *p, *end;
	uint64_t line;
	struct buf cell;
	bool row_ends; /* behind the last cell */
};

/* The next cell into c->cell. */
static int
csv_cell(struct csv *c, struct err *e)
{
	uint64_t line = c->line;
	bool quoted = c->p < c->end && *c->p == '"';

	buf_reset(&c->cell);
	for (c->p += quoted; c->p < c->end; c->p++) {
		if (quoted && *c->p == '"') {
			if (c->p + 1 == c->end || c->p[1] != '"')
				break;
			c->p++;
		} else if (!quoted &&
			(*c->p == ',' || *c->p == '\n' || *c->p == '\r')) {
			break;
		}
		c->line += *c->p == '\n';
		buf_u8(&c->cell, (uint8_t)*c->p);
	}
	if (quoted && c->p == c->end)
		return err_set(e, ERR_FORMAT, "line %" PRIu64 ": a quote is not closed",
			line);
	c->p += quoted;
	if (c->end - c->p >= 2 && c->p[0] == '\r' && c->p[1] == '\n')
		c->p++;
	c->row_ends = c->p >= c->end || *c->p == '\n' || *c->p == '\r';
	if (!c->row_ends && *c->p != ',')
		return err_set(e, ERR_FORMAT, "line %" PRIu64 ": text behind a quote",
			line);
	c->line += c->p < c->end && c->row_ends;
	c->p += c->p < c->end;
	if (c->cell.failed)
		return err_set(e, ERR_NOMEM, "no memory for a cell");
	return 0;
}

static int
csv_head(struct csv *c, enum field *field, size_t *n_fields, struct err *e)
{
	bool any = false;
	int rc;

	*n_fields = 0;
	do {
		rc = csv_cell(c, e);
		if (rc != 0)
			return rc;
		if (*n_fields == MOST_COLUMNS)
			return err_set(e, ERR_LIMIT, "more than %d columns",
				MOST_COLUMNS);
		field[*n_fields] =
			field_of((const char *)c->cell.data, c->cell.n_bytes);
		any |= field[*n_fields] == FIELD_TEXT;
		(*n_fields)++;
	} while (!c->row_ends);
	if (!any)
		return err_set(e, ERR_FORMAT,
			"line 1 names no column text, explanation or "
			"description");
	return 0;
}

static int
csv_row(struct reading *r, struct csv *c, const enum field *field, size_t n_fields)
{
	struct label_row *row = new_row(r, c->line);
	size_t i = 0;
	int rc;

	if (row == NULL)
		return ERR_NOMEM;
	do {
		rc = csv_cell(c, r->e);
		if (rc == 0 && i < n_fields)
			rc = set_field(r, row, field[i], (const char *)c->cell.data,
				c->cell.n_bytes);
		if (rc != 0)
			return rc;
		i++;
	} while (!c->row_ends);
	if (i == 1 && c->cell.n_bytes == 0) { /* an empty line */
		r->n--;
		return 0;
	}
	if (i != n_fields)
		return bad(r, row, "not as many cells as the first line");
	return check_row(r, row);
}

static int
read_csv(struct reading *r, const char *p, size_t n_bytes)
{
	struct csv c = {.p = p, .end = p + n_bytes, .line = 1};
	enum field field[MOST_COLUMNS];
	size_t n_fields;
	int rc;

	if (n_bytes >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		c.p += 3; /* spreadsheets put it there */
	buf_init(&c.cell);
	rc = csv_head(&c, field, &n_fields, r->e);
	while (rc == 0 && c.p < c.end)
		rc = csv_row(r, &c, field, n_fields);
	buf_clear(&c.cell);
	return rc;
}

int
label_file_read(struct label_row **rows, size_t *n_rows, const char *p, size_t n_bytes,
	enum label_format format, struct arena *arena, struct err *e)
{
	struct reading r = {.arena = arena, .e = e};
	int rc = format == LABEL_CSV ? read_csv(&r, p, n_bytes)
				     : read_jsonl(&r, p, n_bytes);

	*rows = r.row;
	*n_rows = r.n;
	return rc;
}
