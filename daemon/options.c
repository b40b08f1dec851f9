/* SPDX-License-Identifier: ISC */
#include "daemon/options.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_TEXT, KIND_NUMBER, KIND_FLAG };
struct row {
	const char *name;
	enum kind kind;
	size_t at; /* offset in struct options */
	long min, max; /* of numbers */
	const char *arg; /* what --help calls it */
	const char *doc;
};
#define AT(field) offsetof(struct options, field)

static const struct row rows[] = {
	{"store", KIND_TEXT, AT(store), 0, 0, "DIR", "the store to serve (required)"},
	{"socket", KIND_TEXT, AT(socket), 0, 0, "PATH",
		"Unix socket to listen on (DIR/saedbd.sock)"},
	{"listen", KIND_TEXT, AT(listen), 0, 0, "ADDR:PORT",
		"listen on TCP too, loopback only, read-only"},
	{"idle-exit", KIND_NUMBER, AT(idle_exit_s), 1, 31536000, "SECONDS",
		"end when nobody was connected for so long"},
	{"workers", KIND_NUMBER, AT(n_workers), 1, 256, "N",
		"threads for slow requests (one per CPU)"},
	{"model", KIND_TEXT, AT(model), 0, 0, "DIR",
		"the indexed model, for texts (where the run says)"},
	{"no-model", KIND_FLAG, AT(no_model), 0, 0, NULL, "open no model"},
	{"model-memory", KIND_NUMBER, AT(model_mib), 1, 1L << 30, "MIB",
		"for the model's and SAEs' weights (half of it)"},
	{"verbose", KIND_FLAG, AT(verbose), 0, 0, NULL, "say more on standard error"},
	{"help", KIND_FLAG, AT(help), 0, 0, NULL, "print this"},
	{"version", KIND_FLAG, AT(version), 0, 0, NULL, "print the version"},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct row *
find_row(const char *name, size_t n)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
			return &rows[i];
	return NULL;
}

static int
read_number(long *out, const struct row *r, const char *text, struct err *e)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < r->min || v > r->max)
		return err_set(e, ERR_ARG,
			"--%s must be a number from %ld to %ld, not "
			"\"%s\"",
			r->name, r->min, r->max, text);
	*out = v;
	return 0;
}

/* text: the option's value, NULL for flags. */
static int
apply(struct options *o, const struct row *r, const char *text, struct err *e)
{
	void *at = (char *)o + r->at;

	switch (r->kind) {
	case KIND_FLAG:
		*(bool *)at = true;
		return 0;
	case KIND_NUMBER:
		return read_number(at, r, text, e);
	case KIND_TEXT:
		if (*text == '\0')
			return err_set(e, ERR_ARG, "--%s must not be empty", r->name);
		*(const char **)at = text;
		return 0;
	}
	return 0;
}

int
options_read(struct options *o, int argc, char **argv, struct err *e)
{
	*o = (struct options){0};
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *value = NULL, *equals;
		const struct row *r;
		int rc;

		if (strncmp(arg, "--", 2) != 0)
			return err_set(e, ERR_ARG,
				"\"%s\" is not an option; see --help", arg);
		arg += 2;
		equals = strchr(arg, '=');
		r = find_row(arg,
			equals != NULL ? (size_t)(equals - arg) : strlen(arg));
		if (r == NULL)
			return err_set(e, ERR_ARG,
				"there is no option \"--%s\"; see --help", arg);
		if (r->kind == KIND_FLAG && equals != NULL)
			return err_set(e, ERR_ARG, "--%s takes no value", r->name);
		if (r->kind != KIND_FLAG) {
			value = equals != NULL ? equals + 1
				: i + 1 < argc ? argv[++i]
					       : NULL;
			if (value == NULL)
				return err_set(e, ERR_MISSING, "--%s needs %s", r->name,
					r->arg);
		}
		rc = apply(o, r, value, e);
		if (rc < 0)
			return rc;
	}
	if (o->model != NULL && o->no_model)
		return err_set(e, ERR_ARG, "--model or --no-model, not both");
	if (o->store == NULL && !o->help && !o->version)
		return err_set(e, ERR_MISSING, "--store DIR is missing; see --help");
	return 0;
}

void
options_help(FILE *f)
{
	char left[40];

	fputs("usage: saedbd --store DIR [options]\n"
	      "Answers questions about the store that saedb-index made.\n\n",
		f);
	for (size_t i = 0; i < N_ROWS; i++) {
		snprintf(left, sizeof(left), "--%s %s", rows[i].name,
			rows[i].arg != NULL ? rows[i].arg : "");
		fprintf(f, "  %-22s %s\n", left, rows[i].doc);
	}
}
