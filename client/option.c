/* SPDX-License-Identifier: ISC */
#include "client/option.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
option_number(const char *text, double *out)
{
	char plain[64], *end;
	size_t n = 0;

	for (; *text != '\0' && n < sizeof(plain) - 1; text++)
		if (*text != ',')
			plain[n++] = *text;
	plain[n] = '\0';
	*out = strtod(plain, &end);
	if (*end == '%') {
		*out /= 100;
		end++;
	}
	return *text == '\0' && n > 0 && *end == '\0' && isfinite(*out);
}

static bool
is_choice(const char *words, const char *text)
{
	size_t n = strlen(text);

	if (strchr(text, '|') != NULL)
		return false;
	for (const char *p = words; p != NULL; p = strchr(p, '|')) {
		p += *p == '|';
		if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0') && n > 0)
			return true;
	}
	return false;
}

static int
check(const struct option *o, const char *text, struct err *e)
{
	double x;

	if (o->words != NULL && !is_choice(o->words, text))
		return err_set(e, ERR_ARG, "--%s %s: expected one of %s", o->name, text,
			o->words);
	if (o->type != OPTION_INT && o->type != OPTION_FLOAT)
		return 0;
	if (!option_number(text, &x) ||
		(o->type == OPTION_INT && (x != trunc(x) || fabs(x) > 9e15)))
		return err_set(e, ERR_ARG, "--%s %s: expected a%s number", o->name,
			text, o->type == OPTION_INT ? " whole" : "");
	return 0;
}

/* -l, -lVALUE or -l VALUE */
static int
read_short(const struct option *table, char *const *arg, const char **value,
	int *n_used, struct err *e)
{
	const char *rest = arg[0] + 2;

	for (size_t i = 0; table[i].name != NULL; i++) {
		if (table[i].letter != arg[0][1])
			continue;
		*n_used = 1;
		if (table[i].type == OPTION_FLAG && *rest != '\0')
			return err_set(e, ERR_ARG, "-%c takes no value", arg[0][1]);
		if (table[i].type == OPTION_FLAG) {
			value[i] = "";
			return 0;
		}
		if (*rest == '\0') {
			rest = arg[1];
			*n_used = 2;
		}
		if (rest == NULL)
			return err_set(e, ERR_ARG, "-%c needs %s", arg[0][1],
				table[i].value);
		value[i] = rest;
		return check(&table[i], rest, e);
	}
	return 0;
}

int
option_read(const struct option *table, char *const *arg, const char **value,
	int *n_used, struct err *e)
{
	const char *name = arg[0] + 2, *equals = strchr(name, '=');
	size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);

	*n_used = 0;
	if (table == NULL)
		return 0;
	if (arg[0][1] != '-')
		return read_short(table, arg, value, n_used, e);
	for (size_t i = 0; table[i].name != NULL; i++) {
		const char *given = equals != NULL ? equals + 1 : NULL;

		if (strlen(table[i].name) != n || strncmp(table[i].name, name, n) != 0)
			continue;
		*n_used = 1;
		if (table[i].type == OPTION_FLAG) {
			value[i] = "";
			return given == NULL
				? 0
				: err_set(e, ERR_ARG, "--%s takes no value",
					  table[i].name);
		}
		if (given == NULL) {
			given = arg[1];
			*n_used = 2;
		}
		if (given == NULL)
			return err_set(e, ERR_ARG, "--%s needs %s", table[i].name,
				table[i].value);
		value[i] = given;
		return check(&table[i], given, e);
	}
	return 0;
}
