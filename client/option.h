/* SPDX-License-Identifier: ISC */
/*
 * option: command-line options as rows: parsed, checked, shown in help, completed
 * and sent on as a method's parameter, all from one table.
 */
#ifndef CLIENT_OPTION_H
#define CLIENT_OPTION_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTION_MAX 24 /* in one table */

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_FLOAT };

struct option {
	const char *name; /* behind -- ; NULL ends a table */
	char letter; /* behind - ; 0 for none */
	enum option_type type;
	const char *value; /* what help calls it; of a flag with param: true or false */
	const char *param; /* the method's parameter, or NULL */
	const char *words; /* "a|b|c": the choices; or NULL */
	const char *doc; /* one line */
};

/* Reads arg[0], which begins with -, by the table; arg[1] may be its value.
 * *n_used is 0 when the table has no such option, else 1 or 2. Values are
 * borrowed from arg. */
int option_read(const struct option *table, char *const *arg, const char **value,
	int *n_used, struct err *e);
/* Numbers as option_read() has accepted them: 1,000 or 1e3 are 1000, 5% is 0.05. */
bool option_number(const char *text, double *out);

#endif
