/* SPDX-License-Identifier: ISC */
#include "client/cli.h"

#include "client/local.h"
#include "schema/method.h"
#include "util/file.h"
#include "util/mem.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int
cli_usage(struct cli *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->usage = true;
	return err_set(&c->err, ERR_ARG, "%s", text);
}

int
cli_db_error(struct cli *c)
{
	return err_arg(&c->err, saedb_error_code(c->db), saedb_error_argument(c->db),
		"%s", saedb_error(c->db));
}

/* ---- words and options ---- */

static const struct command *
find_words(const char *first, const char *second, int *n_words)
{
	char two[64];

	for (*n_words = second != NULL ? 2 : 1; *n_words > 0; (*n_words)--) {
		snprintf(two, sizeof(two), "%s%s%s", first, *n_words == 2 ? " " : "",
			*n_words == 2 ? second : "");
		for (size_t i = 0; i < command_n; i++)
			if (strcmp(command_table[i].name, two) == 0)
				return &command_table[i];
	}
	return NULL;
}

const struct command *
command_find(char *const *word, int n, int *n_words)
{
	const struct command *found = NULL;
	const char *other;

	*n_words = 0;
	if (n > 0)
		found = find_words(word[0], n > 1 ? word[1] : NULL, n_words);
	if (found != NULL || n == 0)
		return found;
	other = method_spelling(word[0], strlen(word[0]));
	return other != NULL ? find_words(other, n > 1 ? word[1] : NULL, n_words)
			     : NULL;
}

const char *
cli_option(const struct cli *c, const char *name)
{
	const struct option *o = c->cmd->option;

	for (size_t i = 0; o != NULL && o[i].name != NULL; i++)
		if (strcmp(o[i].name, name) == 0)
			return c->value[i];
	return NULL;
}

bool
cli_flag(const struct cli *c, const char *name)
{
	return cli_option(c, name) != NULL;
}

int64_t
cli_int(const struct cli *c, const char *name, int64_t otherwise)
{
	const char *text = cli_option(c, name);
	double x;

	return text != NULL && option_number(text, &x) ? (int64_t)x : otherwise;
}

static const char *
global(const struct cli *c, const char *name)
{
	for (size_t i = 0; global_option[i].name != NULL; i++)
		if (strcmp(global_option[i].name, name) == 0)
			return c->global[i];
	return NULL;
}

/* A number against its parameter's row: what the daemon would say, before it is
 * asked. Paging makes more of a limit. */
static int
check_range(struct cli *c, const struct option *o, double x)
{
	int at = c->cmd->method != NULL
		? method_find(c->cmd->method, strlen(c->cmd->method))
		: -1;
	const struct method *m = at >= 0 ? &method_table[at] : NULL;

	for (size_t i = 0; m != NULL && o->param != NULL && i < m->n_params; i++) {
		const struct param *p = &m->param[i];
		bool pages = c->cmd->list != NULL && strcmp(o->param, "limit") == 0;

		if (strcmp(p->name, o->param) != 0)
			continue;
		if (x < p->min || (x > p->max && !pages))
			return cli_usage(c, "--%s %s: must be %s %.10g", o->name,
				cli_option(c, o->name),
				x < p->min ? "at least" : "at most",
				x < p->min ? p->min : p->max);
	}
	return 0;
}

static int
put_option(struct cli *c, struct saedb_args *a, const struct option *o,
	const char *text)
{
	double x = 0;

	if (o->type == OPTION_INT || o->type == OPTION_FLOAT)
		option_number(text, &x);
	if (o->type == OPTION_FLAG)
		saedb_args_bool(a, o->param, o->value[0] == 't');
	else if (o->type == OPTION_INT)
		saedb_args_int(a, o->param, (int64_t)x);
	else if (o->type == OPTION_FLOAT)
		saedb_args_float(a, o->param, x);
	else
		saedb_args_str(a, o->param, text);
	return o->type == OPTION_INT || o->type == OPTION_FLOAT ? check_range(c, o, x)
								: 0;
}

int
cli_args(struct cli *c, struct saedb_args **args)
{
	struct saedb_args *a = saedb_args_new();
	const struct option *o = c->cmd->option;
	int rc = 0;

	for (int i = 0; i < c->n_words && i < 2 && c->cmd->word[i] != NULL; i++)
		saedb_args_str(a, c->cmd->word[i], c->word[i]);
	for (size_t i = 0; rc == 0 && o != NULL && o[i].name != NULL; i++) {
		bool paged = c->cmd->list != NULL && o[i].param != NULL &&
			strcmp(o[i].param, "limit") == 0;

		if (c->value[i] != NULL && o[i].param != NULL && !paged)
			rc = put_option(c, a, &o[i], c->value[i]);
	}
	*args = a;
	return rc;
}

/* The words so far name no command. */
static int
no_command(struct cli *c)
{
	size_t len;

	if (c->n_words == 0)
		return cli_usage(c, "what is to be done? See saedb help");
	len = strlen(c->word[0]);
	for (size_t i = 0; i < command_n; i++) {
		const char *name = command_table[i].name;

		if (strncmp(name, c->word[0], len) == 0 && name[len] == ' ')
			return cli_usage(c, "%s what? See saedb help %s", c->word[0],
				c->word[0]);
	}
	return cli_usage(c, "no command %s; see saedb help", c->word[0]);
}

/* Options may stand anywhere; -- ends them. Words are moved to the front. */
static int
read_line(struct cli *c, int argc, char **argv)
{
	bool plain = false;

	c->word = argv;
	for (int i = 0; i < argc;) {
		int used = 0, rc = 0, n;

		if (!plain && strcmp(argv[i], "--") == 0) {
			plain = true;
			i++;
			continue;
		}
		if (plain || argv[i][0] != '-' || argv[i][1] == '\0') {
			c->word[c->n_words++] = argv[i++];
			/* A command is known by its first words, its options after them. */
			if (!plain && c->cmd == NULL)
				c->cmd = command_find(c->word, c->n_words, &n);
			continue;
		}
		if (c->cmd != NULL)
			rc = option_read(c->cmd->option, argv + i, c->value, &used,
				&c->err);
		if (rc == 0 && used == 0)
			rc = option_read(global_option, argv + i, c->global, &used,
				&c->err);
		if (rc == 0 && used == 0 && c->cmd == NULL && c->n_words > 0)
			rc = no_command(c);
		else if (rc == 0 && used == 0 && c->cmd == NULL && argv[i + 1] != NULL)
			rc = cli_usage(c, "%s: options of a command stand behind it",
				argv[i]);
		else if (rc == 0 && used == 0)
			rc = cli_usage(c, "no option %s; see saedb help%s%s", argv[i],
				c->cmd != NULL ? " " : "",
				c->cmd != NULL ? c->cmd->name : "");
		if (rc != 0) {
			c->usage = true;
			return rc;
		}
		i += used;
	}
	return 0;
}

static int
find_command(struct cli *c)
{
	int n = 0;

	c->cmd = c->n_words > 0 ? command_find(c->word, c->n_words, &n) : NULL;
	if (c->cmd == NULL)
		return no_command(c);
	c->word += n;
	c->n_words -= n;
	if (c->n_words < c->cmd->min_words ||
		(c->cmd->max_words >= 0 && c->n_words > c->cmd->max_words))
		return cli_usage(c, "usage: saedb %s%s%s", c->cmd->name,
			c->cmd->args[0] != '\0' ? " " : "", c->cmd->args);
	return 0;
}

/* ---- the run ---- */

static int
open_db(struct cli *c)
{
	const char *connect = global(c, "connect"), *store = global(c, "store");
	const char *timeout = global(c, "timeout");
	double s;

	c->db = saedb_new();
	if (timeout != NULL && option_number(timeout, &s))
		saedb_set_timeout(c->db,
			s * 1000 < 1      ? 1
				: s > 2e6 ? -1
					  : (int)(s * 1000));
	if (connect != NULL)
		return saedb_connect(c->db, connect) == 0 ? 0 : cli_db_error(c);
	if (store == NULL)
		store = getenv("SAEDB_STORE");
	if (store == NULL || store[0] == '\0')
		store = file_is_dir("saedb.store") ? "saedb.store" : NULL;
	if (store == NULL)
		return cli_usage(c,
			"which store? --store DIR, $SAEDB_STORE, or --connect "
			"ADDRESS");
	return local_open(c->db, store, &c->err);
}

static bool
needs_db(const struct command *cmd)
{
	return cmd->run != run_help && cmd->run != run_completion;
}

/* A daemon of our own may not write labels while another has them: then we wait
 * for that one to end. */
static int
run_command(struct cli *c)
{
	struct timespec nap = {.tv_nsec = 100000000};
	int rc = c->cmd->run(c);

	for (int tries = 0; rc == SAEDB_DENIED && local_is_ours() && tries < 50;
		tries++) {
		saedb_free(c->db);
		c->db = NULL;
		local_close();
		nanosleep(&nap, NULL);
		c->err = ERR_INIT;
		rc = open_db(c);
		if (rc == 0)
			rc = c->cmd->run(c);
	}
	return rc;
}

static int
run(struct cli *c, int argc, char **argv)
{
	static const char *const when[] = {"auto", "always", "never"};
	enum term_color color = COLOR_AUTO;
	int rc = read_line(c, argc, argv);

	for (int i = 0; i < 3; i++)
		if (global(c, "color") != NULL &&
			strcmp(global(c, "color"), when[i]) == 0)
			color = (enum term_color)i;
	term_init(&c->term, stdout, color);
	if (rc != 0)
		return rc;
	c->json = global(c, "json") != NULL;
	if (global(c, "version") != NULL) {
		term_printf(&c->term, "saedb %s\n", saedb_version());
		return 0;
	}
	if (global(c, "help") != NULL) {
		if (c->cmd != NULL)
			help_command(c, c->cmd);
		else
			help_usage(c, stdout);
		return 0;
	}
	rc = find_command(c);
	if (rc == 0 && needs_db(c->cmd))
		rc = open_db(c);
	return rc != 0 ? rc : run_command(c);
}

int
cli_main(int argc, char **argv)
{
	struct cli c = {.err = ERR_INIT};
	int rc, broken;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	rc = run(&c, argc - 1, argv + 1);
	saedb_free(c.db);
	local_close();
	errno = 0;
	broken = fflush(stdout) != 0 || ferror(stdout);
	if (broken && errno != EPIPE && errno != 0 && rc == 0)
		rc = err_sys(&c.err, "standard output");
	if (rc == 0)
		return 0;
	if (broken && rc == ERR_CANCELLED)
		return 0; /* who read has read enough */
	if (rc != 0)
		fprintf(stderr, "saedb: %s\n", c.err.text);
	return c.usage ? EXIT_USAGE : EXIT_FAILED;
}
