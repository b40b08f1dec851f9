/* SPDX-License-Identifier: ISC */
/*
 * cli: the saedb command: a table of verbs, each of which asks a method and shows
 * its answer. Sees the daemon only through libsaedb. Errors are left in cli.err
 * and printed once, by cli_main().
 */
#ifndef CLIENT_CLI_H
#define CLIENT_CLI_H

#include "client/option.h"
#include "client/saedb.h"
#include "client/table.h"
#include "client/term.h"
#include "schema/limits.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

#define EXIT_FAILED 1 /* not there, or the daemon says no */
#define EXIT_USAGE 2

#define CLI_PAGE 1000 /* rows asked for at once */

struct cli;

struct command {
	const char *name; /* one or two words */
	const char *args; /* as shown in the usage: "ADDRESS [TEXT]" */
	const char *summary; /* one line */
	const char *method; /* whose parameters the options give; NULL for none */
	const char *word[2]; /* the parameters that words are for */
	int min_words, max_words; /* max_words -1: any number */
	const struct option *option; /* ends with a NULL name; or NULL */
	int (*run)(struct cli *c);
	/* Of commands that ask `method` once and show the answer. */
	void (*show)(struct cli *c, const struct saedb_value *result);
	const char *list; /* of commands that page: the answer's list */
	const char *more; /* a paragraph for help; or NULL */
};

extern const struct command command_table[];
extern const size_t command_n;
extern const struct option global_option[];

struct cli {
	const struct command *cmd;
	char **word; /* (n_words) what is no option, behind the command's name */
	int n_words;
	const char *value[OPTION_MAX]; /* of cmd's options, as given; NULL = not */
	const char *global[OPTION_MAX]; /* of global_option */
	bool json;
	bool quiet; /* tables without a heading of their own */
	bool usage; /* the error is one of usage: exit 2 */
	struct term term;
	struct saedb *db;
	int indent; /* of tables */
	size_t page; /* of cli_pages(), from 0 */
	size_t width[TABLE_COLUMNS]; /* of its columns so far */
	char sae[LIMIT_NAME_BYTES + 1]; /* cli_sae()'s answer */
	struct err err;
};

int cli_main(int argc, char **argv);

/* Errors. Each returns the code. */
int cli_usage(struct cli *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int cli_db_error(struct cli *c); /* the connection's last */

/* A command's option, as given, or NULL; and numbers that were checked. */
const char *cli_option(const struct cli *c, const char *name);
bool cli_flag(const struct cli *c, const char *name);
int64_t cli_int(const struct cli *c, const char *name, int64_t otherwise);
/* Words and options as the method's parameters. new: saedb_args_free(). */
int cli_args(struct cli *c, struct saedb_args **args);
/* The SAE meant: --sae or the word, else the only one, or the one with the most
 * features. Borrowed from c. */
int cli_sae(struct cli *c, const char *given, const char **sae);

/* Asking; each returns 0 or a code that is left in c->err. */
int cli_call(struct cli *c, const char *method, const struct saedb_args *args,
	struct saedb_reply **reply);
int cli_show(struct cli *c, const struct saedb_reply *r); /* as JSON, or by cmd->show */
int cli_ask(struct cli *c, const struct saedb_args *args); /* cmd->method, and show */
/* Page by page up to --limit rows (default: limit), or --all. sae may be NULL. */
int cli_pages(struct cli *c, const char *sae, int64_t limit);
char *cli_join(struct cli *c, int first); /* words from that on; new: mem_free() */

/* run functions of the table */
int run_once(struct cli *c); /* ask method, show */
int run_help(struct cli *c);
int run_completion(struct cli *c);
int run_methods(struct cli *c);
int run_call(struct cli *c);
int run_features(struct cli *c);
int run_feature(struct cli *c);
int run_neighbors(struct cli *c);
int run_concept(struct cli *c);
int run_map(struct cli *c);
int run_tokens(struct cli *c);
int run_token(struct cli *c);
int run_documents(struct cli *c);
int run_document(struct cli *c);
int run_examples(struct cli *c);
int run_search(struct cli *c);
int run_image(struct cli *c);
int run_vector(struct cli *c);
int run_label(struct cli *c);
int run_labels_export(struct cli *c);
int run_labels_import(struct cli *c);
int run_export_features(struct cli *c);
int run_export_examples(struct cli *c);
int run_export_activations(struct cli *c);

/* show functions of the table */
void show_info(struct cli *c, const struct saedb_value *result);
void show_models(struct cli *c, const struct saedb_value *result);
void show_saes(struct cli *c, const struct saedb_value *result);
void show_runs(struct cli *c, const struct saedb_value *result);
void show_run(struct cli *c, const struct saedb_value *result);
void show_features(struct cli *c, const struct saedb_value *result);
void show_feature(struct cli *c, const struct saedb_value *result);
void show_neighbors(struct cli *c, const struct saedb_value *result);
void show_splitting(struct cli *c, const struct saedb_value *result);
void show_cooccurrence(struct cli *c, const struct saedb_value *result);
void show_concept(struct cli *c, const struct saedb_value *result);
void show_examples(struct cli *c, const struct saedb_value *result);
void show_example_list(struct cli *c, const struct saedb_value *result, bool intervals);
void show_tokens(struct cli *c, const struct saedb_value *result);
void show_token(struct cli *c, const struct saedb_value *result);
void show_documents(struct cli *c, const struct saedb_value *result);
void show_feature_documents(struct cli *c, const struct saedb_value *result);
void show_document(struct cli *c, const struct saedb_value *result);
void show_texts(struct cli *c, const struct saedb_value *result);
void show_labels(struct cli *c, const struct saedb_value *result);

/* Helpers of those. */
void show_json(struct cli *c, const struct saedb_value *v);
void show_json_text(struct cli *c, const char *json);
void show_heading(struct cli *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void show_table(struct cli *c, struct table *t); /* prints and clears */
void show_label_text(struct cli *c, const char *label, const char *source);
const char *str_of(const struct saedb_value *map, const char *key,
	const char *otherwise);
int64_t int_of(const struct saedb_value *map, const char *key);
double float_of(const struct saedb_value *map, const char *key);
/* The bytes of a str or a bin; "" and 0 of others. */
const char *bytes_of(const struct saedb_value *v, size_t *n_bytes);

/* A patch of an image: "[3f2a91c0 5,7]". */
void put_patch_name(struct buf *b, const struct saedb_value *patch);
/* An example's patches of the image of one of them, those that fire strongest first:
 * "[image 3f2a91c0 patch 5,7 of 16x16] 3.21; 5,8 2.93". Returns the first value, 0
 * when none fires. */
double put_patches(struct buf *b, const struct saedb_value *row,
	const struct saedb_value *patch);

void help_usage(struct cli *c, FILE *f);
void help_command(struct cli *c, const struct command *cmd);
/* The command whose name the first words are; *n_words of them. NULL if none. */
const struct command *command_find(char *const *word, int n, int *n_words);

#endif
