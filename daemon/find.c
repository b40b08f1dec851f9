/* SPDX-License-Identifier: ISC */
/* What the arguments of a request name in the catalogue. */
#include "daemon/req.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Errors of rooms below know nothing of arguments. */
static int
blame(struct err *e, const char *arg)
{
	if (e != NULL && e->arg[0] == '\0')
		snprintf(e->arg, sizeof(e->arg), "%s", arg);
	return e != NULL ? e->code : ERR_INTERNAL;
}

static int
sae_by_name(struct req *q, const char *name, const char *arg, struct target *t,
	struct err *e)
{
	int64_t at = cat_find_sae(q->cat, name, strlen(name));

	if (at < 0)
		return err_arg(e, ERR_NOTFOUND, arg,
			"there is no SAE \"%s\"; sae.list names "
			"them",
			name);
	t->sae = (uint32_t)at;
	t->s = &q->cat->sae[at];
	return 0;
}

int
find_sae(struct req *q, const char *arg, struct target *t, struct err *e)
{
	*t = (struct target){0};
	return sae_by_name(q, args_str(&q->args, arg), arg, t, e);
}

int
find_run_text(struct req *q, char out[FIND_RUN_BYTES], struct err *e)
{
	const struct value *v = args_get(&q->args, "run");
	int64_t i;

	out[0] = '\0';
	if (v == NULL)
		return 0;
	if (v->type == VALUE_STR && v->n < FIND_RUN_BYTES &&
		memchr(v->str, '\0', v->n) == NULL) {
		memcpy(out, v->str, v->n);
		out[v->n] = '\0';
		return 0;
	}
	if (v->type != VALUE_STR && !value_as_int(v, &i))
		return err_arg(e, ERR_ARG, "run", "run must be a number or an id");
	if (v->type == VALUE_STR)
		return err_arg(e, ERR_NOTFOUND, "run", "there is no run of that id");
	snprintf(out, FIND_RUN_BYTES, "%" PRId64, i);
	return 0;
}

/* The catalogue's answer rc, into the target. */
static int
take_run(struct req *q, struct target *t, int rc, struct err *e)
{
	if (rc < 0)
		return blame(e, "run");
	t->r = &q->cat->run[t->run];
	t->rs = &t->r->sae[t->slot];
	return 0;
}

static int
run_of(struct req *q, struct target *t, const char *text, struct err *e)
{
	return take_run(q, t, cat_find_run(q->cat, t->sae, text, &t->run, &t->slot, e),
		e);
}

int
find_newest(struct req *q, struct target *t, struct err *e)
{
	return run_of(q, t, "", e);
}

int
find_run(struct req *q, struct target *t, struct err *e)
{
	char text[FIND_RUN_BYTES];
	int rc = find_run_text(q, text, e);

	return rc < 0 ? rc : run_of(q, t, text, e);
}

int
find_any_run(struct req *q, uint32_t *run, struct err *e)
{
	char text[FIND_RUN_BYTES], number[16];
	int rc = find_run_text(q, text, e);

	if (rc < 0)
		return rc;
	if (q->cat->n_runs == 0)
		return err_arg(e, ERR_NOTFOUND, "run", "the store has no run yet");
	*run = q->cat->n_runs - 1;
	if (text[0] == '\0')
		return 0;
	for (uint32_t i = 0; i < q->cat->n_runs; i++) {
		snprintf(number, sizeof(number), "%u", q->cat->run[i].number);
		if (strcmp(text, number) == 0 ||
			strcasecmp(text, q->cat->run[i].id) == 0) {
			*run = i;
			return 0;
		}
	}
	return err_arg(e, ERR_NOTFOUND, "run",
		"there is no run %s; run.list names them", text);
}

/* An address may name the model too; names of SAEs are unique, so it only has to
 * be true. */
static int
check_model(struct req *q, const struct addr *a, const struct target *t,
	const char *arg, struct err *e)
{
	if (a->model[0] == '\0' || strcasecmp(a->model, t->s->model_id) == 0)
		return 0;
	for (uint32_t i = 0; i < q->cat->n_models; i++)
		if (strcmp(q->cat->model[i].id, t->s->model_id) == 0 &&
			strcasecmp(q->cat->model[i].name, a->model) == 0)
			return 0;
	return err_arg(e, ERR_NOTFOUND, arg, "the SAE \"%s\" is not of a model \"%s\"",
		t->s->name, a->model);
}

int
find_address(struct req *q, const char *text, size_t n_bytes, const char *arg,
	struct target *t, struct err *e)
{
	struct addr a;
	int rc;

	*t = (struct target){0};
	if (addr_parse(&a, text, n_bytes, e) < 0) {
		snprintf(e->arg, sizeof(e->arg), "%s", arg);
		return e->code;
	}
	rc = sae_by_name(q, a.sae, arg, t, e);
	if (rc == 0)
		rc = check_model(q, &a, t, arg, e);
	if (rc < 0)
		return rc;
	t->index = a.index;
	if (a.index >= t->s->d_sae)
		return err_arg(e, ERR_NOTFOUND, arg, "%s has features 0 to %u, not %u",
			t->s->name, t->s->d_sae - 1, a.index);
	return 0;
}

int
find_feature(struct req *q, struct target *t, struct err *e)
{
	const struct value *v = args_get(&q->args, "feature");

	return find_address(q, v->str, v->n, "feature", t, e);
}

int
find_run_of_feature(struct req *q, struct target *t, struct err *e)
{
	char text[FIND_RUN_BYTES];
	int rc = find_run_text(q, text, e);

	if (rc < 0)
		return rc;
	return take_run(q, t,
		cat_find_feature_run(q->cat, t->sae, t->index, text, &t->run, &t->slot,
			e),
		e);
}

int
find_feature_run(struct req *q, struct target *t, struct err *e)
{
	int rc = find_feature(q, t, e);

	return rc < 0 ? rc : find_run_of_feature(q, t, e);
}
