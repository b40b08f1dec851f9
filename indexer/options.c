/* SPDX-License-Identifier: ISC */
#include "indexer/options.h"

#include "schema/limits.h"
#include "util/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum option_type {
	OPT_FLAG,
	OPT_STR,
	OPT_INT,
	OPT_SIZE,
	OPT_LIST,
	OPT_CHOICE,
	OPT_RANGE
};

#define ON_INDEX 1u
#define ON_VERIFY 2u
#define ON_OTHER 4u
#define ON_INSPECT 8u
#define ON_DIAGNOSE 16u
#define ON_FORMATS 32u
#define ON_MERGE 64u
#define ON_ANN 128u
#define ON_STORE (ON_INDEX | ON_VERIFY | ON_OTHER | ON_MERGE)
#define ON_ALL (ON_STORE | ON_ANN | ON_INSPECT | ON_DIAGNOSE | ON_FORMATS)
#define ANY_NUMBER SIZE_MAX /* of arguments: they go to options.dir */

struct option {
	const char *name;
	enum option_type type;
	unsigned commands; /* ON_* that take it */
	size_t at; /* of its member in struct options */
	uint64_t min, max; /* of numbers and sizes */
	uint64_t preset;
	const char *text; /* preset of strings; the words of a choice, with | */
	const char *unit; /* what stands for the value in the help; NULL: a flag */
	const char *doc;
};

#define AT(member) offsetof(struct options, member)
#define MOST UINT64_MAX

static const struct option table[] = {
	{"store", OPT_STR, ON_STORE, AT(store), 0, 0, 0, NULL, "DIR",
		"the store; made if absent or empty"},
	{"model", OPT_STR, ON_INDEX | ON_DIAGNOSE | ON_MERGE, AT(model), 0, 0, 0, NULL,
		"DIR",
		"language model: config.json, *.safetensors, tokenizer.json; or the "
		"name of one that Hugging Face's cache holds"},
	{"sae", OPT_LIST, ON_INDEX | ON_DIAGNOSE | ON_MERGE, AT(sae), 0, 0, 0, NULL,
		"[NAME=]DIR",
		"sparse autoencoder; may be repeated; ORG/REPO:FOLDER and SAELens' "
		"RELEASE:ID are looked up in Hugging Face's cache"},
	{"hook", OPT_STR, ON_INDEX | ON_DIAGNOSE | ON_INSPECT, AT(hook), 0, 0, 0, NULL,
		"HOOK",
		"where the SAEs read, as in blocks.8.hook_resid_pre; theirs if absent"},
	{"saelens-rule", OPT_FLAG, ON_INDEX | ON_DIAGNOSE | ON_INSPECT,
		AT(saelens_rule), 0, 0, 0, NULL, NULL,
		"Llama Scope: fire where SAELens does, not where its authors do"},
	{"corpus", OPT_LIST, ON_INDEX | ON_DIAGNOSE, AT(corpus), 0, 0, 0, NULL, "FILE",
		"JSON Lines or plain text, .gz and .zst too; - is standard input; "
		"may be repeated"},
	{"activations", OPT_LIST, ON_INDEX, AT(activations), 0, 0, 0, NULL, "SHARDS",
		"instead of --corpus: activations made elsewhere, in a directory or a "
		"file, on standard input (-) or a socket (unix:PATH); may be repeated"},
	{"latents", OPT_LIST, ON_INDEX, AT(latents), 0, 0, 0, NULL, "SHARDS",
		"the same for features encoded elsewhere; also a hookpoint's directory "
		"in delphi's cache"},
	{"text-field", OPT_STR, ON_INDEX | ON_DIAGNOSE, AT(text_field), 0, 0, 0, "text",
		"KEY", "JSON key of a document's text"},
	{"id-field", OPT_STR, ON_INDEX | ON_DIAGNOSE, AT(id_field), 0, 0, 0, "id",
		"KEY", "JSON key of a document's id"},
	{"lines", OPT_FLAG, ON_INDEX | ON_DIAGNOSE, AT(lines), 0, 0, 0, NULL, NULL,
		"plain text: each line is a document (otherwise each file)"},
	{"strict", OPT_FLAG, ON_INDEX | ON_DIAGNOSE, AT(strict), 0, 0, 0, NULL, NULL,
		"refuse text that is not valid UTF-8"},
	{"joined", OPT_FLAG, ON_INDEX, AT(joined), 0, 0, 0, NULL, NULL,
		"lay documents end to end with BOS between, as SAELens does"},
	{"context", OPT_INT, ON_INDEX | ON_DIAGNOSE, AT(context), 0, LIMIT_CONTEXT, 0,
		NULL, "TOKENS", "tokens in a window, BOS included; 0: as the SAE says"},
	{"bos", OPT_CHOICE, ON_INDEX | ON_DIAGNOSE, AT(bos), 0, 0, BOS_AUTO,
		"auto|yes|no", "RULE",
		"BOS in front of a window: auto (as the SAE says), yes, no"},
	{"max-tokens", OPT_INT, ON_INDEX, AT(max_tokens), 0, MOST, 0, NULL, "N",
		"stop the cut before it has more tokens; 0: no limit"},
	{"examples", OPT_INT, ON_INDEX, AT(examples), 1, LIMIT_EXAMPLES, 20, NULL, "N",
		"best examples kept for a feature"},
	{"dedup-radius", OPT_INT, ON_INDEX, AT(dedup_radius), 0, LIMIT_CONTEXT, 5, NULL,
		"TOKENS", "examples alike within so many tokens of the peak are one"},
	{"interval-samples", OPT_INT, ON_INDEX, AT(interval_samples), 0,
		LIMIT_INTERVAL_SAMPLES, LIMIT_INTERVAL_SAMPLES, NULL, "N",
		"random examples kept for each tenth of [0, maximum]"},
	{"count-special", OPT_FLAG, ON_INDEX, AT(count_special), 0, 0, 0, NULL, NULL,
		"let BOS and special tokens into the statistics"},
	{"neighbors", OPT_CHOICE, ON_INDEX | ON_MERGE, AT(neighbors), 0, 0,
		NEIGHBORS_AUTO, "auto|exact|none", "RULE",
		"each feature's nearest ones: exact, none, or auto, which leaves them "
		"out where SAEs are so large that they take longer than minutes"},
	{"ann", OPT_CHOICE, ON_INDEX, AT(ann), 0, 0, ANN_AUTO, "auto|none|all", "RULE",
		"approximate indexes for searches by any vector: none, all, or auto, "
		"of SAEs so large that going through them takes long"},
	{"factory", OPT_STR, ON_ANN, AT(factory), 0, 0, 0, NULL, "STRING",
		"ann: the index to build, as in FAISS; by size and memory if absent"},
	{"direction", OPT_CHOICE, ON_ANN, AT(direction), 0, 0, 0, "decoder|encoder",
		"ROWS", "ann: whose rows, decoder or encoder"},
	{"cooccurrence", OPT_CHOICE, ON_INDEX | ON_MERGE, AT(cooccurrence), 0, 0,
		COOCCUR_AUTO, "auto|none", "RULE",
		"the features that fire most on the same tokens as each: none, or "
		"auto, which leaves them out where counting takes too long"},
	{"seed", OPT_INT, ON_INDEX | ON_VERIFY, AT(seed), 0, MOST, 0, NULL, "N",
		"of the random samples"},
	{"features", OPT_RANGE, ON_INDEX, AT(range), 0, UINT32_MAX, 0, NULL,
		"FIRST:END",
		"index only features FIRST to END - 1 of each SAE; merge joins such "
		"runs"},
	{"features", OPT_INT, ON_VERIFY, AT(features), 1, 1u << 24, 64, NULL, "N",
		"verify: features recomputed per SAE"},
	{"run", OPT_STR, ON_VERIFY, AT(run), 0, 0, 0, NULL, "RUN",
		"verify: this run alone, by number or id"},
	{"sample", OPT_INT, ON_DIAGNOSE, AT(sample), 1, 1u << 20, 2048, NULL, "TOKENS",
		"diagnose: tokens of text to try the rules on"},
	{"model-name", OPT_STR, ON_INDEX, AT(model_name), 0, 0, 0, NULL, "NAME",
		"name in the store; what the SAEs call it, else the directory's"},
	{"corpus-name", OPT_STR, ON_INDEX | ON_MERGE, AT(corpus_name), 0, 0, 0, NULL,
		"NAME", "name in the store; the first file's if absent"},
	{"memory", OPT_SIZE, ON_INDEX | ON_MERGE | ON_ANN, AT(memory_bytes), 0, MOST, 0,
		NULL, "SIZE",
		"most memory to use, such as 4G; 0: half of the machine's"},
	{"threads", OPT_INT, ON_INDEX | ON_DIAGNOSE | ON_VERIFY | ON_MERGE | ON_ANN,
		AT(threads), 0, 1024, 0, NULL, "N", "0: one for each CPU"},
	{"batch-tokens", OPT_INT, ON_INDEX, AT(batch_tokens), 1, 1u << 20, 4096, NULL,
		"N", "tokens that go through the model at a time"},
	{"fresh", OPT_FLAG, ON_INDEX, AT(fresh), 0, 0, 0, NULL, NULL,
		"run the model on all windows, also on those that a run of the store "
		"has"},
	{"checkpoint", OPT_INT, ON_INDEX, AT(checkpoint_s), 0, 86400, 60, NULL,
		"SECONDS",
		"between two checkpoints, where the same command goes on after an "
		"interruption; 0: none"},
	{"report", OPT_STR, ON_INDEX, AT(report), 0, 0, 0, NULL, "FILE",
		"write what it did, and how long each stage took, as JSON; - is "
		"standard output"},
	{"progress-interval", OPT_INT, ON_INDEX | ON_MERGE | ON_ANN,
		AT(progress_interval_s), 1, 86400, 10, NULL, "SECONDS",
		"between lines, where there is no terminal"},
	{"quiet", OPT_FLAG, ON_STORE | ON_ANN, AT(quiet), 0, 0, 0, NULL, NULL,
		"print no progress"},
	{"help", OPT_FLAG, ON_ALL, AT(help), 0, 0, 0, NULL, NULL,
		"print this and exit"},
	{"version", OPT_FLAG, ON_ALL, AT(version), 0, 0, 0, NULL, NULL,
		"print the version and exit"},
};
#define TABLE_N (sizeof(table) / sizeof(table[0]))

static const struct command {
	const char *name;
	unsigned on; /* ON_* */
	size_t min_args, max_args;
	const char *usage, *doc;
} commands[] = {
	{"index", ON_INDEX, 0, 0,
		"--store DIR --model DIR --sae [NAME=]DIR ... --corpus FILE ...",
		"index a corpus (the command when none is named); see --activations"},
	{"merge", ON_MERGE, 1, ANY_NUMBER, "merge STORE[@RUN] ... -o STORE",
		"join runs over parts of a corpus, or of ranges of features, into one"},
	{"plan", ON_INDEX, 0, 0,
		"plan --store DIR --model DIR --sae [NAME=]DIR ... --corpus FILE ...",
		"what index with the same arguments would take: time by stage, memory, "
		"disk; tried for ten seconds, nothing is stored"},
	{"ann", ON_ANN, 1, ANY_NUMBER, "ann STORE [SAE ...]",
		"build the approximate indexes that are missing, of all SAEs or of "
		"these"},
	{"list", ON_OTHER, 0, 1, "list STORE", "what the store holds"},
	{"rm", ON_OTHER, 1, 2, "rm RUN --store DIR",
		"remove a run; gc frees the space"},
	{"rename", ON_OTHER, 2, 2, "rename OLD NEW --store DIR", "rename an SAE"},
	{"gc", ON_OTHER, 0, 1, "gc STORE", "remove what no run names"},
	{"du", ON_OTHER, 0, 1, "du STORE", "bytes on disk by object"},
	{"verify", ON_VERIFY, 0, 1, "verify STORE",
		"recompute random features from the recorded inputs and compare"},
	{"inspect", ON_INSPECT, 1, ANY_NUMBER, "inspect DIR ...",
		"what models and SAEs are, the rules for them, what is odd"},
	{"diagnose", ON_DIAGNOSE, 0, 0,
		"diagnose --model DIR --sae [NAME=]DIR ... --corpus FILE ...",
		"try SAEs' rules, and others near them, on some text"},
	{"formats", ON_FORMATS, 0, 0, "formats",
		"which models, SAEs, tokenizers and files load"},
};
#define COMMANDS_N (sizeof(commands) / sizeof(commands[0]))

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS_N; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* The command's own where several have that name, else any. */
static const struct option *
find_option(const char *name, size_t n_bytes, unsigned on)
{
	const struct option *found = NULL;

	for (size_t i = 0; i < TABLE_N; i++)
		if (strlen(table[i].name) == n_bytes &&
			memcmp(table[i].name, name, n_bytes) == 0 &&
			(found == NULL || (table[i].commands & on) != 0))
			found = &table[i];
	return found;
}

static bool
parse_u64(const char *text, uint64_t *out, const char **rest)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	*rest = end;
	return errno == 0;
}

bool
options_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *rest, *unit;
	uint64_t n;

	if (!parse_u64(text, &n, &rest))
		return false;
	if (*rest != '\0' && *rest != 'B') {
		unit = strchr(units, *rest >= 'a' ? *rest - 'a' + 'A' : *rest);
		if (unit == NULL || *unit == '\0')
			return false;
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(n, UINT64_C(1024), &n))
				return false;
		rest++;
		if (*rest == 'i')
			rest++;
	}
	if (*rest == 'B')
		rest++;
	*out = n;
	return *rest == '\0';
}

static int
take_number(const struct option *p, uint64_t *to, const char *value, struct err *e)
{
	const char *rest = "";
	bool good = p->type == OPT_SIZE ? options_size(value, to)
					: parse_u64(value, to, &rest) && *rest == '\0';

	if (!good)
		return err_arg(e, ERR_ARG, p->name, "--%s: '%s' is no %s", p->name,
			value,
			p->type == OPT_SIZE ? "size, such as 512M or 4G"
					    : "whole number");
	if (*to < p->min || *to > p->max)
		return err_arg(e, ERR_ARG, p->name,
			"--%s: %s is out of range: it takes %llu to %llu", p->name,
			value, (unsigned long long)p->min, (unsigned long long)p->max);
	return 0;
}

/* FIRST:END, two whole numbers, the second the larger. */
static int
take_range(const struct option *p, uint64_t to[2], const char *value, struct err *e)
{
	const char *rest;

	if (!parse_u64(value, &to[0], &rest) || *rest != ':' ||
		!parse_u64(rest + 1, &to[1], &rest) || *rest != '\0')
		return err_arg(e, ERR_ARG, p->name,
			"--%s: '%s' is no %s, such as 0:4096", p->name, value, p->unit);
	if (to[0] >= to[1])
		return err_arg(e, ERR_ARG, p->name,
			"--%s: %s is empty: FIRST is below END, which is the first "
			"left "
			"out",
			p->name, value);
	if (to[1] > p->max)
		return err_arg(e, ERR_ARG, p->name, "--%s: %s is out of range", p->name,
			value);
	return 0;
}

/* The number of the word in p->text, words parted by |. */
static int
take_choice(const struct option *p, uint64_t *to, const char *value, struct err *e)
{
	size_t n = strlen(value);
	const char *word = p->text;

	for (uint64_t i = 0; word != NULL; i++) {
		size_t n_word = strcspn(word, "|");

		if (n_word == n && memcmp(word, value, n) == 0) {
			*to = i;
			return 0;
		}
		word = word[n_word] == '|' ? word + n_word + 1 : NULL;
	}
	return err_arg(e, ERR_ARG, p->name, "--%s: '%s' is none of %s", p->name, value,
		p->text);
}

static int
take_item(struct option_list *list, const char *value, struct err *e)
{
	const char **more = mem_resize(list->item, list->n + 1, sizeof(*list->item));

	if (more == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the command line");
	more[list->n++] = value;
	list->item = more;
	return 0;
}

static int
take_value(struct options *o, const struct option *p, const char *value, struct err *e)
{
	void *to = (char *)o + p->at;

	switch (p->type) {
	case OPT_FLAG:
		*(bool *)to = true;
		return 0;
	case OPT_STR:
		if (value[0] == '\0')
			return err_arg(e, ERR_ARG, p->name, "--%s is empty", p->name);
		*(const char **)to = value;
		return 0;
	case OPT_LIST:
		if (value[0] == '\0')
			return err_arg(e, ERR_ARG, p->name, "--%s is empty", p->name);
		return take_item(to, value, e);
	case OPT_CHOICE:
		return take_choice(p, to, value, e);
	case OPT_RANGE:
		return take_range(p, to, value, e);
	case OPT_INT:
	case OPT_SIZE:
		break;
	}
	return take_number(p, to, value, e);
}

static void
set_defaults(struct options *o)
{
	*o = (struct options){.command = "index"};
	for (size_t i = 0; i < TABLE_N; i++) {
		void *to = (char *)o + table[i].at;

		if (table[i].type == OPT_STR)
			*(const char **)to = table[i].text;
		else if (table[i].type == OPT_INT || table[i].type == OPT_SIZE ||
			table[i].type == OPT_CHOICE)
			*(uint64_t *)to = table[i].preset;
	}
}

/* One --name, --name=value or --name value at argv[*i]. */
static int
take_option(struct options *o, const struct command *c, int argc, char **argv, int *i,
	struct err *e)
{
	const char *name = argv[*i] + 2;
	size_t n = strcspn(name, "=");
	const char *value = name[n] == '=' ? name + n + 1 : NULL;
	const struct option *p = find_option(name, n, c->on);

	if (p == NULL)
		return err_set(e, ERR_ARG, "there is no option --%.*s; see --help",
			(int)n, name);
	if ((p->commands & c->on) == 0)
		return err_arg(e, ERR_ARG, p->name, "--%s is no option of %s", p->name,
			c->name);
	if (p->type == OPT_FLAG) {
		if (value != NULL)
			return err_arg(e, ERR_ARG, p->name, "--%s takes no value",
				p->name);
		return take_value(o, p, "", e);
	}
	if (value == NULL) {
		if (*i + 1 >= argc)
			return err_arg(e, ERR_MISSING, p->name, "--%s needs its %s",
				p->name, p->unit);
		value = argv[++*i];
	}
	return take_value(o, p, value, e);
}

/* -o STORE: the store that merge writes to. */
static int
take_out(struct options *o, int argc, char **argv, int *i, struct err *e)
{
	if (*i + 1 >= argc || argv[*i + 1][0] == '\0')
		return err_arg(e, ERR_MISSING, "store", "-o needs its STORE");
	o->store = argv[++*i];
	return 0;
}

static int
take_argument(struct options *o, const struct command *c, const char *value,
	struct err *e)
{
	if (o->n_args >= c->max_args)
		return err_set(e, ERR_ARG, "%s takes no argument '%s'; see --help",
			c->name, value);
	if (c->max_args == ANY_NUMBER) {
		o->n_args++;
		return take_item(&o->dir, value, e);
	}
	o->arg[o->n_args++] = value;
	return 0;
}

static int
need(const char *value, const char *name, struct err *e)
{
	if (value != NULL)
		return 0;
	return err_arg(e, ERR_MISSING, name, "--%s is missing; see --help", name);
}

/* A corpus and its model, or what somebody else made of them. */
static int
check_sources(const struct options *o, struct err *e)
{
	size_t n = o->activations.n + o->latents.n;

	if (n == 0)
		return need(o->model, "model", e) < 0
			? e->code
			: need(o->corpus.n > 0 ? "" : NULL, "corpus", e);
	if (o->range[1] != 0)
		return err_arg(e, ERR_ARG, "features",
			"--features is of no use with --activations and --latents: it "
			"shares out what saedb's own encoder does");
	if (o->corpus.n > 0 || (o->activations.n > 0 && o->latents.n > 0))
		return err_arg(e, ERR_ARG, o->corpus.n > 0 ? "corpus" : "latents",
			"--corpus, --activations and --latents exclude one another");
	if (n > LIMIT_SOURCES)
		return err_arg(e, ERR_LIMIT, "activations",
			"%zu streams; one run takes %d", n, LIMIT_SOURCES);
	return 0;
}

/* Commands on a store take it as their argument too: `list STORE`. */
static int
check_needed(struct options *o, const struct command *c, struct err *e)
{
	if (c->max_args == ANY_NUMBER) {
		if (o->n_args < c->min_args || (c->on == ON_MERGE && o->store == NULL))
			return err_set(e, ERR_ARG, "usage: saedb-index %s", c->usage);
		return 0;
	}
	if (c->max_args > c->min_args && o->n_args == c->max_args && o->store == NULL)
		o->store = o->arg[--o->n_args];
	if (o->n_args < c->min_args || o->n_args > c->max_args ||
		(c->max_args > c->min_args && o->n_args > c->min_args))
		return err_set(e, ERR_ARG, "usage: saedb-index %s", c->usage);
	if ((c->on & ON_STORE) != 0 && need(o->store, "store", e) < 0)
		return e->code;
	if ((c->on & (ON_INDEX | ON_DIAGNOSE)) == 0)
		return 0;
	if (check_sources(o, e) < 0 || need(o->sae.n > 0 ? "" : NULL, "sae", e) < 0)
		return e->code;
	if (o->sae.n > LIMIT_SAES)
		return err_arg(e, ERR_LIMIT, "sae", "%zu SAEs; one run takes %d",
			o->sae.n, LIMIT_SAES);
	return 0;
}

int
options_parse(struct options *o, int argc, char **argv, struct err *e)
{
	const struct command *c = &commands[0];
	bool only_arguments = false;
	int i = 1, rc;

	set_defaults(o);
	if (argc > 1 && argv[1][0] != '-') {
		c = find_command(argv[1]);
		if (c == NULL)
			return err_set(e, ERR_ARG,
				"there is no command '%s'; see --help", argv[1]);
		o->command = c->name;
		i = 2;
	}
	for (; i < argc; i++) {
		if (!only_arguments && strcmp(argv[i], "--") == 0) {
			only_arguments = true;
			continue;
		}
		rc = 0;
		if (!only_arguments && strcmp(argv[i], "-h") == 0)
			o->help = true;
		else if (!only_arguments && c->on == ON_MERGE &&
			strcmp(argv[i], "-o") == 0)
			rc = take_out(o, argc, argv, &i, e);
		else if (!only_arguments && strncmp(argv[i], "--", 2) == 0)
			rc = take_option(o, c, argc, argv, &i, e);
		else
			rc = take_argument(o, c, argv[i], e);
		if (rc < 0)
			return rc;
	}
	return o->help || o->version ? 0 : check_needed(o, c, e);
}

void
options_clear(struct options *o)
{
	mem_free(o->sae.item);
	mem_free(o->corpus.item);
	mem_free(o->activations.item);
	mem_free(o->latents.item);
	mem_free(o->dir.item);
	*o = (struct options){0};
}

static void
help_option(struct buf *b, const struct option *p)
{
	buf_printf(b, "  --%s%s%s\n      %s", p->name, p->unit ? " " : "",
		p->unit ? p->unit : "", p->doc);
	if (p->type == OPT_STR && p->text != NULL)
		buf_printf(b, " [%s]", p->text);
	else if (p->type == OPT_INT || p->type == OPT_SIZE)
		buf_printf(b, " [%llu]", (unsigned long long)p->preset);
	buf_puts(b, "\n");
}

void
options_help(struct buf *b)
{
	buf_puts(b, "usage:");
	for (size_t i = 0; i < COMMANDS_N; i++)
		buf_printf(b, "%s saedb-index %s\n        %s\n", i == 0 ? "" : "      ",
			commands[i].usage, commands[i].doc);
	buf_puts(b, "\noptions:\n");
	for (size_t i = 0; i < TABLE_N; i++)
		help_option(b, &table[i]);
}
