/* SPDX-License-Identifier: ISC */
/* A request's parameters against its method's row. */
#include "schema/value.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for the arguments");
}

/* ---- defaults ----------------------------------------------------------- */

/* The table's own scalars as JSON: no parser is needed for them. */
static int
preset_value(struct value *v, const char *json, struct err *e)
{
	size_t n = strlen(json);
	char *end;

	*v = (struct value){.type = VALUE_NIL};
	if (json[0] == '"' && n >= 2)
		*v = (struct value){.type = VALUE_STR,
			.n = (uint32_t)n - 2,
			.str = json + 1};
	else if (strcmp(json, "true") == 0 || strcmp(json, "false") == 0)
		*v = (struct value){.type = VALUE_BOOL, .boolean = json[0] == 't'};
	else {
		*v = (struct value){.type = VALUE_F64, .f = strtod(json, &end)};
		if (*end != '\0')
			return err_set(e, ERR_INTERNAL,
				"the default %s is not a scalar", json);
	}
	return 0;
}

/* ---- one value against one parameter ------------------------------------ */

static int
wrong_type(const struct param *p, struct err *e)
{
	static const char *const what[] = {"a string", "an integer", "a number",
		"true or false", "bytes", "a list", "a value"};

	return err_arg(e, ERR_ARG, p->name, "%s must be %s", p->name, what[p->type]);
}

static int
check_number(const struct param *p, double x, struct err *e)
{
	if (!isfinite(x))
		return err_arg(e, ERR_ARG, p->name, "%s must be a finite number",
			p->name);
	if (x >= p->min && x <= p->max)
		return 0;
	if (isfinite(p->min) && isfinite(p->max))
		return err_arg(e, ERR_ARG, p->name, "%s must be from %.17g to %.17g",
			p->name, p->min, p->max);
	return err_arg(e, ERR_ARG, p->name, "%s must be at %s %.17g", p->name,
		x < p->min ? "least" : "most", x < p->min ? p->min : p->max);
}

static int
check_length(const struct param *p, uint32_t n, const char *unit, struct err *e)
{
	if (n >= p->min && n <= p->max)
		return 0;
	if (n < p->min && p->min == 1)
		return err_arg(e, ERR_ARG, p->name, "%s must not be empty", p->name);
	return err_arg(e, ERR_ARG, p->name, "%s has %u %s and must have %.0f to %.0f",
		p->name, n, unit, p->min, p->max);
}

static int
check_str(struct value *v, const struct param *p, struct arena *arena, struct err *e)
{
	char *copy;
	int rc;

	if (v->type != VALUE_STR && v->type != VALUE_BIN)
		return wrong_type(p, e);
	rc = check_length(p, v->n, "bytes", e);
	if (rc < 0)
		return rc;
	if (memchr(v->str, '\0', v->n) != NULL)
		return err_arg(e, ERR_ARG, p->name, "%s has a NUL byte in it", p->name);
	copy = arena_strndup(arena, v->str, v->n);
	if (copy == NULL)
		return no_memory(e);
	v->type = VALUE_STR;
	v->str = copy;
	return 0;
}

static int
check_value(struct value *v, const struct param *p, struct arena *arena, struct err *e)
{
	double x;
	int64_t i;

	switch (p->type) {
	case PARAM_STR:
		return check_str(v, p, arena, e);
	case PARAM_INT:
		if (!value_as_int(v, &i))
			return wrong_type(p, e);
		*v = (struct value){.type = VALUE_INT, .i = i};
		return check_number(p, (double)i, e);
	case PARAM_FLOAT:
		if (!value_as_float(v, &x))
			return wrong_type(p, e);
		*v = (struct value){.type = VALUE_F64, .f = x};
		return check_number(p, x, e);
	case PARAM_BOOL:
		return v->type == VALUE_BOOL ? 0 : wrong_type(p, e);
	case PARAM_BIN:
		if (v->type != VALUE_BIN)
			return wrong_type(p, e);
		return check_length(p, v->n, "bytes", e);
	case PARAM_LIST:
		if (v->type != VALUE_ARRAY)
			return wrong_type(p, e);
		return check_length(p, v->n, "items", e);
	case PARAM_ANY:
		break;
	}
	return 0;
}

/* ---- the request -------------------------------------------------------- */

/* By its name, or by another spelling of it. */
static int
find_param(const struct method *m, const struct value *key)
{
	const char *other =
		key->type == VALUE_STR ? method_spelling(key->str, key->n) : NULL;

	for (size_t i = 0; i < m->n_params; i++)
		if (value_is_str(key, m->param[i].name))
			return (int)i;
	for (size_t i = 0; i < m->n_params && other != NULL; i++)
		if (strcmp(other, m->param[i].name) == 0)
			return (int)i;
	return -1;
}

static int
take_named(struct args *a, const struct method *m, const struct value *map,
	struct err *e)
{
	for (uint32_t i = 0; i < map->n; i++) {
		const struct value *key = &map->v[2 * i];
		int at = find_param(m, key);

		if (key->type != VALUE_STR)
			return err_set(e, ERR_ARG,
				"names of parameters must be strings");
		if (at < 0) {
			char name[sizeof(e->arg)];
			size_t n =
				key->n < sizeof(name) - 1 ? key->n : sizeof(name) - 1;

			memcpy(name, key->str, n);
			name[n] = '\0';
			return err_arg(e, ERR_ARG, name, "%s has no parameter %s",
				m->name, name);
		}
		if (a->arg[at] != NULL)
			return err_arg(e, ERR_ARG, m->param[at].name,
				"%s is given twice", m->param[at].name);
		a->arg[at] = &map->v[2 * i + 1];
	}
	return 0;
}

static int
take_ordered(struct args *a, const struct method *m, const struct value *list,
	struct err *e)
{
	if (list->n > m->n_params)
		return err_set(e, ERR_ARG,
			"%s takes at most %zu parameters and was given %u", m->name,
			m->n_params, list->n);
	for (uint32_t i = 0; i < list->n; i++)
		a->arg[i] = &list->v[i];
	return 0;
}

/* Replaces what was given by a checked copy, or by the default. */
static int
settle(const struct value **arg, const struct param *p, struct arena *arena,
	struct err *e)
{
	const struct value *given = *arg;
	struct value *v;
	int rc;

	*arg = NULL;
	if (given != NULL && given->type == VALUE_NIL)
		given = NULL;
	if (given == NULL && p->required)
		return err_arg(e, ERR_MISSING, p->name, "%s is missing", p->name);
	if (given == NULL && p->preset == NULL)
		return 0;
	v = arena_alloc(arena, 1, sizeof(*v));
	if (v == NULL)
		return no_memory(e);
	if (given != NULL)
		*v = *given;
	else if ((rc = preset_value(v, p->preset, e)) < 0)
		return rc;
	rc = check_value(v, p, arena, e);
	if (rc == 0)
		*arg = v;
	return rc;
}

int
args_check(struct args *a, const struct method *m, const struct value *params,
	struct arena *arena, struct err *e)
{
	int rc = 0;

	assert(m->n_params <= METHOD_MAX_PARAMS);
	*a = (struct args){.method = m};
	if (params != NULL && params->type == VALUE_ARRAY && params->n == 1 &&
		params->v[0].type == VALUE_MAP)
		params = &params->v[0];
	if (params != NULL && params->type == VALUE_MAP)
		rc = take_named(a, m, params, e);
	else if (params != NULL && params->type == VALUE_ARRAY)
		rc = take_ordered(a, m, params, e);
	else if (params != NULL && params->type != VALUE_NIL)
		rc = err_set(e, ERR_ARG,
			"the parameters of %s must be an array or a map", m->name);
	for (size_t i = 0; i < m->n_params && rc == 0; i++)
		rc = settle(&a->arg[i], &m->param[i], arena, e);
	return rc;
}

/* ---- for handlers ------------------------------------------------------- */

const struct value *
args_get(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->method->n_params; i++)
		if (strcmp(a->method->param[i].name, name) == 0)
			return a->arg[i];
	assert(!"a parameter of this method");
	return NULL;
}

bool
args_has(const struct args *a, const char *name)
{
	return args_get(a, name) != NULL;
}

int64_t
args_int(const struct args *a, const char *name)
{
	const struct value *v = args_get(a, name);

	return v != NULL ? v->i : 0;
}

double
args_float(const struct args *a, const char *name)
{
	const struct value *v = args_get(a, name);

	return v != NULL ? v->f : 0;
}

bool
args_bool(const struct args *a, const char *name)
{
	const struct value *v = args_get(a, name);

	return v != NULL && v->boolean;
}

const char *
args_str(const struct args *a, const char *name)
{
	const struct value *v = args_get(a, name);

	return v != NULL ? v->str : NULL;
}
