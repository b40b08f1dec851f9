/* SPDX-License-Identifier: ISC */
/* What most verbs do: ask, page, show. */
#include "client/cli.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

int
cli_call(struct cli *c, const char *method, const struct saedb_args *args,
	struct saedb_reply **reply)
{
	return saedb_call(c->db, reply, method, args) == 0 ? 0 : cli_db_error(c);
}

int
cli_show(struct cli *c, const struct saedb_reply *r)
{
	if (c->json)
		show_json(c, saedb_result(r));
	else
		c->cmd->show(c, saedb_result(r));
	return c->err.code;
}

int
cli_ask(struct cli *c, const struct saedb_args *args)
{
	struct saedb_reply *r = NULL;
	int rc = cli_call(c, c->cmd->method, args, &r);

	if (rc == 0)
		rc = cli_show(c, r);
	saedb_reply_free(r);
	return rc;
}

int
run_once(struct cli *c)
{
	struct saedb_args *a;
	int rc = cli_args(c, &a);

	if (rc == 0)
		rc = cli_ask(c, a);
	saedb_args_free(a);
	return rc;
}

/* ---- pages ---- */

/* One document of several pages: the last page's map with all rows. */
static void
put_json_page(struct cli *c, struct buf *rows, const struct saedb_value *r, bool last)
{
	const struct saedb_value *list = saedb_get(r, c->cmd->list);
	char *text;

	for (size_t i = 0; i < saedb_length(list); i++) {
		if (saedb_json(saedb_at(list, i), &text) != 0) {
			rows->failed = true;
			return;
		}
		buf_printf(rows, "%s", rows->n_bytes > 0 ? "," : "");
		buf_puts(rows, text);
		saedb_text_free(text);
	}
	if (!last || rows->failed)
		return;
	if (c->page == 0) {
		show_json(c, r);
		return;
	}
	term_printf(&c->term, "{");
	for (size_t i = 0; i < saedb_length(r); i++) {
		const char *key = saedb_str(saedb_key(r, i), "");

		term_printf(&c->term, "%s\"%s\":", i > 0 ? "," : "", key);
		if (strcmp(key, c->cmd->list) == 0) {
			term_printf(&c->term, "[%s]", buf_str(rows));
		} else if (saedb_json(saedb_pair(r, i), &text) == 0) {
			term_printf(&c->term, "%s", text);
			saedb_text_free(text);
		}
	}
	term_printf(&c->term, "}\n");
}

static void
say_more(struct cli *c)
{
	if (c->term.tty && !c->json)
		show_heading(c, "(more: --limit N or --all)");
}

/* The next page's reply. */
static int
ask_page(struct cli *c, const char *sae, int64_t n, const char *cursor,
	struct saedb_reply **reply)
{
	struct saedb_args *a;
	int rc = cli_args(c, &a);

	saedb_args_str(a, "sae", sae);
	saedb_args_int(a, "limit", n < CLI_PAGE ? n : CLI_PAGE);
	saedb_args_str(a, "cursor", cursor);
	if (rc == 0)
		rc = cli_call(c, c->cmd->method, a, reply);
	saedb_args_free(a);
	return rc;
}

static int
show_page(struct cli *c, struct buf *rows, const struct saedb_value *r, bool last)
{
	if (c->json)
		put_json_page(c, rows, r, last);
	else
		c->cmd->show(c, r);
	if (rows->failed)
		return err_set(&c->err, ERR_NOMEM, "no memory for the answer");
	return c->err.code != 0 ? c->err.code : ferror(c->term.out) ? ERR_CANCELLED : 0;
}

int
cli_pages(struct cli *c, const char *sae, int64_t limit)
{
	int64_t left = cli_flag(c, "all") ? INT64_MAX : cli_int(c, "limit", limit);
	char *cursor = NULL;
	struct buf rows;
	int rc = 0;

	if (left < 1)
		return cli_usage(c, "--limit %s: must be at least 1",
			cli_option(c, "limit"));
	buf_init(&rows);
	do {
		struct saedb_reply *r = NULL;
		const char *next = NULL;

		rc = ask_page(c, sae, left, cursor, &r);
		mem_free(cursor);
		cursor = NULL;
		if (rc == 0) {
			const struct saedb_value *result = saedb_result(r);

			left -= (int64_t)saedb_length(saedb_get(result, c->cmd->list));
			next = str_of(result, "next", NULL);
			rc = show_page(c, &rows, result, next == NULL || left <= 0);
		}
		if (rc == 0 && next != NULL) {
			cursor = mem_strdup(next);
			if (cursor == NULL)
				rc = err_set(&c->err, ERR_NOMEM,
					"no memory for a cursor");
		}
		saedb_reply_free(r);
		c->page++;
	} while (rc == 0 && cursor != NULL && left > 0);
	if (rc == 0 && cursor != NULL)
		say_more(c);
	mem_free(cursor);
	buf_clear(&rows);
	return rc;
}

/* The words of the line as one string. new: mem_free(). */
char *
cli_join(struct cli *c, int first)
{
	struct buf b;
	char *s;

	buf_init(&b);
	for (int i = first; i < c->n_words; i++) {
		buf_puts(&b, i > first ? " " : "");
		buf_puts(&b, c->word[i]);
	}
	s = buf_str(&b);
	if (s == NULL) {
		buf_clear(&b);
		err_set(&c->err, ERR_NOMEM, "no memory");
	}
	return s;
}

/* ---- which SAE ---- */

int
cli_sae(struct cli *c, const char *given, const char **sae)
{
	struct saedb_reply *r = NULL;
	const struct saedb_value *list;
	int64_t most = -1;
	int rc;

	*sae = given;
	if (given != NULL)
		return 0;
	rc = cli_call(c, "sae.list", NULL, &r);
	if (rc != 0)
		return rc;
	list = saedb_get(saedb_result(r), "saes");
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *s = saedb_at(list, i);

		if (int_of(s, "d_sae") <= most ||
			saedb_length(saedb_get(s, "runs")) == 0)
			continue;
		most = int_of(s, "d_sae");
		snprintf(c->sae, sizeof(c->sae), "%s", str_of(s, "name", "?"));
	}
	saedb_reply_free(r);
	if (most < 0)
		return err_set(&c->err, ERR_NOTFOUND, "the store has no run of an SAE");
	*sae = c->sae;
	return 0;
}
