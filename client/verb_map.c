/* SPDX-License-Identifier: ISC */
/* The verb map: what lies around a feature, as a picture or as rows. */
#include "client/cli.h"
#include "client/fmt.h"
#include "client/map_svg.h"
#include "client/rows.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

enum format { FORMAT_TABLE, FORMAT_SVG, FORMAT_JSON, FORMAT_CSV };

static void
show_map(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"feature", false, STYLE_ADDR},
		{"cosine", true, STYLE_PLAIN},
		{"x", true, STYLE_PLAIN},
		{"y", true, STYLE_PLAIN},
		{"cluster", true, STYLE_PLAIN},
		{"label", false, STYLE_LABEL},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "points");
	struct table t;

	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *row = saedb_at(list, i);
		int64_t cluster = saedb_int(saedb_get(row, "cluster"), -1);

		table_text(&t, str_of(row, "feature", "?"));
		table_printf(&t, "%.3f", float_of(row, "cosine"));
		table_printf(&t, "%.2f", float_of(row, "x"));
		table_printf(&t, "%.2f", float_of(row, "y"));
		if (cluster >= 0)
			table_printf(&t, "%lld", (long long)cluster);
		else
			table_put(&t, "-");
		table_text(&t, str_of(row, "label", ""));
	}
	show_table(c, &t);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), n_end = strlen(end);

	return n > n_end && strcmp(s + n - n_end, end) == 0;
}

/* By --format, else by the file's name. */
static int
find_format(struct cli *c, const char *path, enum format *out)
{
	static const char *const name[] = {"", "svg", "json", "csv"};
	static const char *const end[] = {"", ".svg", ".json", ".csv"};
	const char *given = cli_option(c, "format");

	*out = c->json ? FORMAT_JSON : FORMAT_TABLE;
	if (path == NULL && given == NULL)
		return 0;
	for (int i = FORMAT_SVG; i <= FORMAT_CSV; i++)
		if (given != NULL ? strcmp(given, name[i]) == 0
				  : ends_with(path, end[i])) {
			*out = (enum format)i;
			return 0;
		}
	if (c->json || (path != NULL && strcmp(path, "-") == 0)) {
		*out = c->json ? FORMAT_JSON : FORMAT_SVG;
		return 0;
	}
	return cli_usage(c,
		"-o %s: as what? a name in .svg, .json or .csv says it, or --format "
		"does",
		path);
}

static int
put_csv(FILE *f, const struct saedb_value *map)
{
	static const char *const columns[] = {"feature", "sae", "index", "x", "y",
		"cosine", "density", "cluster", "label", "source", NULL};
	const struct saedb_value *list = saedb_get(map, "points");
	struct rows rows = {.f = f, .csv = true, .column = columns};
	int rc = 0;

	for (size_t i = 0; i < saedb_length(list) && rc == 0; i++)
		rc = rows_put(&rows, saedb_at(list, i));
	return rc;
}

static int
put_json(FILE *f, const struct saedb_value *map)
{
	char *text = NULL;
	int rc = saedb_json(map, &text);

	if (rc == 0)
		fprintf(f, "%s\n", text);
	saedb_text_free(text);
	return rc;
}

static int
put_svg(struct cli *c, FILE *f, const struct saedb_value *map)
{
	struct buf b;
	int rc;

	buf_init(&b);
	rc = map_svg(&b, map, &c->err);
	if (rc == 0)
		fwrite(b.data, 1, b.n_bytes, f);
	buf_clear(&b);
	return rc;
}

static int
put_as(struct cli *c, FILE *f, enum format format, const struct saedb_value *map)
{
	int rc = format == FORMAT_SVG  ? put_svg(c, f, map)
		: format == FORMAT_CSV ? put_csv(f, map)
				       : put_json(f, map);

	return rc != 0 && c->err.code == 0
		? err_set(&c->err, ERR_NOMEM, "no memory for a map")
		: rc;
}

/* The file, or standard output. */
static int
write_map(struct cli *c, const char *path, enum format format,
	const struct saedb_value *map)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f;
	int rc;

	if (path == NULL || strcmp(path, "-") == 0)
		return put_as(c, c->term.out, format, map);
	f = open_memstream(&text, &n);
	if (f == NULL)
		return err_set(&c->err, ERR_NOMEM, "no memory for a map");
	rc = put_as(c, f, format, map);
	if (fclose(f) != 0 && rc == 0)
		rc = err_set(&c->err, ERR_NOMEM, "no memory for a map");
	if (rc == 0)
		rc = file_write_atomic(path, text, n, &c->err);
	if (rc == 0)
		term_printf(&c->term, "%s: %zu features\n", path,
			saedb_length(saedb_get(map, "points")));
	mem_free(text);
	return rc;
}

int
run_map(struct cli *c)
{
	const char *path = cli_option(c, "output");
	struct saedb_reply *r = NULL;
	struct saedb_args *a = NULL;
	enum format format;
	int rc = find_format(c, path, &format);

	if (rc == 0)
		rc = cli_args(c, &a);
	if (rc == 0)
		rc = cli_call(c, "map.feature", a, &r);
	if (rc == 0 && format == FORMAT_TABLE)
		show_map(c, saedb_result(r));
	else if (rc == 0)
		rc = write_map(c, path, format, saedb_result(r));
	saedb_reply_free(r);
	saedb_args_free(a);
	return rc;
}
