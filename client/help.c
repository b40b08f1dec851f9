/* SPDX-License-Identifier: ISC */
/* Help and completion, from the tables. */
#include "client/cli.h"
#include "schema/method.h"

#include <stdio.h>
#include <string.h>

/* s broken into lines of at most width columns, each behind indent spaces. */
static void
print_wrapped(FILE *f, const char *s, int indent, int width)
{
	int at = 0;

	while (*s != '\0') {
		int n = (int)strcspn(s, " ");

		if (at == 0)
			at = fprintf(f, "%*s", indent, "");
		else if (at + 1 + n > width)
			at = fprintf(f, "\n%*s", indent, "") - 1;
		else
			at += fprintf(f, " ");
		at += fprintf(f, "%.*s", n, s);
		s += n;
		s += *s == ' ';
	}
	fprintf(f, "\n");
}

static void
print_option(FILE *f, const struct option *o)
{
	char left[64];
	int n;

	n = snprintf(left, sizeof(left), o->letter != 0 ? "-%c, " : "    ", o->letter);
	snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", o->name,
		o->type != OPTION_FLAG ? " " : "",
		o->type != OPTION_FLAG ? o->value : "");
	fprintf(f, "  %-24s %s\n", left, o->doc);
}

static void
print_options(FILE *f, const char *title, const struct option *o)
{
	if (o == NULL)
		return;
	fprintf(f, "\n%s\n", title);
	for (; o->name != NULL; o++)
		print_option(f, o);
}

void
help_usage(struct cli *c, FILE *f)
{
	(void)c;
	fprintf(f,
		"usage: saedb [--store DIR | --connect ADDRESS] COMMAND ...\n\n"
		"Asks about the features of sparse autoencoders: a store that "
		"saedb-index wrote,\nor the saedbd that serves it.\n\nCommands\n");
	for (size_t i = 0; i < command_n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", command_table[i].name,
			command_table[i].args);
		if (strlen(left) > 28)
			fprintf(f, "  %s\n  %-28s %s\n", left, "",
				command_table[i].summary);
		else
			fprintf(f, "  %-28s %s\n", left, command_table[i].summary);
	}
	print_options(f, "Options", global_option);
	fprintf(f,
		"\nsaedb help COMMAND tells more. Exit status: 0 done, 1 not found or "
		"an error of\nthe daemon, 2 wrong usage.\n");
}

void
help_command(struct cli *c, const struct command *cmd)
{
	FILE *f = c->term.out;

	fprintf(f, "usage: saedb %s%s%s%s\n\n", cmd->name,
		cmd->args[0] != '\0' ? " " : "", cmd->args,
		cmd->option != NULL ? " [OPTION...]" : "");
	fprintf(f, "%c%s.",
		cmd->summary[0] -
			('a' <= cmd->summary[0] && cmd->summary[0] <= 'z' ? 'a' - 'A'
									  : 0),
		cmd->summary + 1);
	if (cmd->method != NULL)
		fprintf(f, " (%s)", cmd->method);
	fprintf(f, "\n");
	if (cmd->more != NULL) {
		fprintf(f, "\n");
		print_wrapped(f, cmd->more, 0, 78);
	}
	print_options(f, "Options", cmd->option);
	fprintf(f, "\nsaedb help lists the options that all commands have.\n");
}

int
run_help(struct cli *c)
{
	const struct command *cmd;
	int n = 0;

	if (c->n_words == 0) {
		help_usage(c, c->term.out);
		return 0;
	}
	cmd = command_find(c->word, c->n_words, &n);
	if (cmd != NULL) {
		help_command(c, cmd);
		return 0;
	}
	for (size_t i = 0; i < command_n; i++) {
		size_t len = strlen(c->word[0]);

		if (strncmp(command_table[i].name, c->word[0], len) != 0 ||
			command_table[i].name[len] != ' ')
			continue;
		if (n++ > 0)
			fprintf(c->term.out, "\n");
		help_command(c, &command_table[i]);
	}
	return n > 0 ? 0 : cli_usage(c, "no command %s; see saedb help", c->word[0]);
}

/* ---- completion ---- */

static void
put_options(FILE *f, const struct option *o)
{
	for (; o != NULL && o->name != NULL; o++)
		fprintf(f, " --%s", o->name);
}

/* The names' first words, each once, or the second words behind one. */
static void
put_names(FILE *f, const char *first)
{
	for (size_t i = 0; i < command_n; i++) {
		const char *name = command_table[i].name;
		size_t n = strcspn(name, " ");
		bool again = i > 0 &&
			strncmp(command_table[i - 1].name, name, n) == 0 &&
			command_table[i - 1].name[n] == ' ' && name[n] == ' ';

		if (first == NULL && !again)
			fprintf(f, " %.*s", (int)n, name);
		else if (first != NULL && strncmp(name, first, strlen(first)) == 0 &&
			name[strlen(first)] == ' ')
			fprintf(f, " %s", name + n + 1);
	}
}

/* Choices of an option stand in the table as a|b|c. */
static void
put_choices(FILE *f, const char *cmd, const struct option *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		if (o->words == NULL)
			continue;
		fprintf(f, "\t\"%s--%s\") words=\"", cmd, o->name);
		for (const char *p = o->words; *p != '\0'; p++)
			fputc(*p == '|' ? ' ' : *p, f);
		fprintf(f, "\" ;;\n");
	}
}

static void
put_cases(FILE *f)
{
	char prefix[64];

	fprintf(f, "\tcase \"$cmd $prev\" in\n");
	for (size_t i = 0; i < command_n; i++) {
		snprintf(prefix, sizeof(prefix), "%s ", command_table[i].name);
		put_choices(f, prefix, command_table[i].option);
	}
	fprintf(f,
		"\t*\" --store\" | *\" -S\") kind=-d ;;\n"
		"\t*\" --connect\" | *\" -c\") kind=-f ;;\n"
		"\t*\" --color\") words=\"auto always never\" ;;\n"
		"\t*)\n\t\tcase $cmd in\n\t\t'') words=\"");
	put_names(f, NULL);
	put_options(f, global_option);
	fprintf(f, "\" ;;\n");
	for (size_t i = 0; i < command_n; i++) {
		const struct command *cmd = &command_table[i];

		fprintf(f, "\t\t\"%s\") words=\"", cmd->name);
		put_options(f, cmd->option);
		put_options(f, global_option);
		if (cmd->run == run_call)
			for (size_t m = 0; m < method_n; m++)
				fprintf(f, " %s", method_table[m].name);
		if (cmd->run == run_help)
			put_names(f, NULL);
		if (cmd->run == run_completion)
			fprintf(f, " bash");
		fprintf(f, "\"%s ;;\n",
			cmd->run == run_labels_import ? " kind=-f" : "");
	}
	fprintf(f, "\t\tlabels) words=\"");
	put_names(f, "labels");
	fprintf(f, "\" ;;\n\t\texport) words=\"");
	put_names(f, "export");
	fprintf(f, "\" ;;\n\t\tesac ;;\n\tesac\n");
}

int
run_completion(struct cli *c)
{
	FILE *f = c->term.out;

	if (c->n_words > 0 && strcmp(c->word[0], "bash") != 0)
		return cli_usage(c, "completion %s: only bash is known", c->word[0]);
	fprintf(f,
		"# SPDX-License-Identifier: ISC\n"
		"# Generated by `saedb completion bash` from its table of commands.\n"
		"_saedb()\n{\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} "
		"prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\tlocal cmd= words= kind= i skip=\n"
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tif [ -n \"$skip\" ]; then skip=; continue; fi\n"
		"\t\tcase ${COMP_WORDS[i]} in\n"
		"\t\t--store | -S | --connect | -c | --color | --timeout) skip=1 ;;\n"
		"\t\t-*) ;;\n"
		"\t\t*)\n"
		"\t\t\tcase \"$cmd\" in\n"
		"\t\t\t'') cmd=${COMP_WORDS[i]} ;;\n"
		"\t\t\tlabels | export) cmd=\"$cmd ${COMP_WORDS[i]}\" ;;\n"
		"\t\t\tesac ;;\n"
		"\t\tesac\n\tdone\n");
	put_cases(f);
	fprintf(f,
		"\tCOMPREPLY=($(compgen ${kind:+$kind} -W \"$words\" -- \"$cur\"))\n}\n"
		"complete -F _saedb saedb\n");
	return 0;
}
