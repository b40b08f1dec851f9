/* SPDX-License-Identifier: ISC */
/* Any method: methods, call. */
#include "client/cli.h"
#include "schema/method.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- methods ---- */

static void
show_params(struct cli *c, const struct saedb_value *m)
{
	static const struct column columns[] = {
		{"parameter", false, STYLE_BOLD},
		{"type", false, STYLE_PLAIN},
		{"default", false, STYLE_PLAIN},
		{"", false, STYLE_PLAIN},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(m, "params");
	struct table t;

	term_text(&c->term, STYLE_ADDR, str_of(m, "name", "?"));
	term_printf(&c->term, "  ");
	term_text(&c->term, STYLE_PLAIN, str_of(m, "doc", ""));
	term_printf(&c->term, "\n");
	if (saedb_length(list) == 0)
		return;
	table_init(&t, columns, c->term.utf8);
	t.indent = 2;
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *p = saedb_at(list, i);
		bool required = saedb_bool(saedb_get(p, "required"), false);
		char *preset = NULL;

		saedb_json(saedb_get(p, "default"), &preset);
		table_text(&t, str_of(p, "name", "?"));
		table_text(&t, str_of(p, "type", "?"));
		table_text(&t, required ? "required" : preset != NULL ? preset : "");
		table_text(&t, str_of(p, "doc", ""));
		saedb_text_free(preset);
	}
	show_table(c, &t);
}

static void
show_methods(struct cli *c, const struct saedb_value *list)
{
	static const struct column columns[] = {
		{"method", false, STYLE_ADDR},
		{"", false, STYLE_PLAIN},
		{NULL, false, STYLE_PLAIN},
	};
	struct table t;

	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		table_text(&t, str_of(saedb_at(list, i), "name", "?"));
		table_text(&t, str_of(saedb_at(list, i), "doc", ""));
	}
	show_table(c, &t);
}

int
run_methods(struct cli *c)
{
	struct saedb_reply *r = NULL;
	const struct saedb_value *list, *one = NULL;
	int rc = cli_call(c, "server.methods", NULL, &r);

	list = saedb_get(saedb_result(r), "methods");
	for (size_t i = 0; c->n_words > 0 && i < saedb_length(list); i++)
		if (strcmp(str_of(saedb_at(list, i), "name", ""), c->word[0]) == 0)
			one = saedb_at(list, i);
	if (rc == 0 && c->n_words > 0 && one == NULL)
		rc = err_set(&c->err, ERR_METHOD, "no method %s", c->word[0]);
	else if (rc == 0 && c->json)
		show_json(c, one != NULL ? one : saedb_result(r));
	else if (rc == 0 && one != NULL)
		show_params(c, one);
	else if (rc == 0)
		show_methods(c, list);
	saedb_reply_free(r);
	return rc != 0 ? rc : c->err.code;
}

/* ---- call ---- */

static enum param_type
type_of(const char *method, const char *name)
{
	int at = method_find(method, strlen(method));

	for (size_t i = 0; at >= 0 && i < method_table[at].n_params; i++)
		if (strcmp(method_table[at].param[i].name, name) == 0)
			return method_table[at].param[i].type;
	return PARAM_ANY;
}

/* NAME=VALUE: a string where the method wants one, else JSON, else a string. */
static int
put_pair(struct cli *c, struct saedb_args *a, const char *method, const char *word)
{
	const char *equals = strchr(word, '=');
	char name[64];
	struct saedb_args *trial;
	int rc;

	if (equals == NULL || equals == word || (size_t)(equals - word) >= sizeof(name))
		return cli_usage(c, "%s: expected JSON or NAME=VALUE", word);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - word), word);
	if (type_of(method, name) == PARAM_STR) {
		saedb_args_str(a, name, equals + 1);
		return 0;
	}
	trial = saedb_args_new();
	rc = saedb_args_json(trial, name, equals + 1);
	saedb_args_free(trial);
	if (rc == 0)
		saedb_args_json(a, name, equals + 1);
	else
		saedb_args_str(a, name, equals + 1);
	return 0;
}

int
run_call(struct cli *c)
{
	struct saedb_args *a = saedb_args_new();
	struct saedb_reply *r = NULL;
	int rc = 0;

	if (c->n_words == 2 && c->word[1][strspn(c->word[1], " \t\n")] == '{') {
		if (saedb_args_json(a, NULL, c->word[1]) != 0)
			rc = cli_usage(c, "the parameters are not a JSON object");
	} else {
		for (int i = 1; i < c->n_words && rc == 0; i++)
			rc = put_pair(c, a, c->word[0], c->word[i]);
	}
	if (rc == 0)
		rc = cli_call(c, c->word[0], a, &r);
	if (rc == 0)
		show_json(c, saedb_result(r));
	saedb_reply_free(r);
	saedb_args_free(a);
	return rc != 0 ? rc : c->err.code;
}
