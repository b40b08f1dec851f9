/* SPDX-License-Identifier: ISC */
/* By the text's own residual: what fires on it in the model. */
#include "daemon/concept.h"

#include "analysis/specific.h"
#include "daemon/live.h"

#include <stdio.h>
#include <string.h>

struct on_text { /* of one feature */
	float peak, last;
	uint32_t token; /* of the peak */
};

static int
rank_one(struct req *q, const struct concept *c, uint32_t target, uint32_t feature,
	const struct on_text *x, uint32_t n_counted, struct concept_list *l,
	struct err *e)
{
	const struct target *t = &c->target[target];
	struct concept_row r = {.target = target,
		.feature = feature,
		.peak = x->peak,
		.last = x->last,
		.token = x->token};
	struct feature_row row;
	struct rec_feature f;
	int rc = read_feature(q, t, feature, &f, e);

	if (rc < 0 || !(f.max > 0)) /* with what never fired there is no comparing */
		return rc;
	put_row_of(&row, feature, &f, t->rs->n_tokens);
	r.strength = x->peak < f.max ? x->peak / f.max : 1;
	r.score = specific_score((double)r.strength, 1, 1,
		specific_chance(row.density, n_counted));
	return r.score > 0 ? concept_put(l, &r, e) : 0;
}

/* Special tokens do not count, as in all statistics. */
static int
rank_target(struct req *q, const struct concept *c, uint32_t target,
	const struct live_answer *a, const struct rec_acts *acts,
	struct concept_list *l, struct err *e)
{
	uint32_t d_sae = c->target[target].s->d_sae, n_counted = 0, last = 0;
	struct on_text *on = mem_new(d_sae, sizeof(*on));
	int rc = 0;

	if (on == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u features", d_sae);
	for (uint32_t t = 0; t < a->n_tokens; t++) {
		n_counted += !a->special[t];
		last = a->special[t] ? last : t;
	}
	for (uint32_t t = 0; t < a->n_tokens; t++)
		for (uint32_t i = acts->row_start[t];
			i < acts->row_start[t + 1] && !a->special[t]; i++) {
			struct on_text *x = &on[acts->feature[i]];

			if (acts->value[i] > x->peak)
				*x = (struct on_text){acts->value[i], x->last, t};
			if (t == last)
				x->last = acts->value[i];
		}
	for (uint32_t i = 0; i < d_sae && rc == 0; i++)
		if (on[i].peak > 0)
			rc = rank_one(q, c, target, i, &on[i], n_counted, l, e);
	mem_free(on);
	return rc;
}

/* One sentence for all that is missing; the first of each. */
static void
say_missing(struct req *q, struct concept_way *out, const struct cat_sae *s,
	const struct err *why)
{
	char text[sizeof(why->text) + LIMIT_NAME_BYTES + 32];

	if (out->missing != NULL)
		return;
	out->code = why->code;
	if (s != NULL)
		snprintf(text, sizeof(text), "of %s: %s", s->name, why->text);
	else
		snprintf(text, sizeof(text), "%s", why->text);
	out->missing = arena_strndup(q->arena, text, strlen(text));
}

/* The targets of one run, from first on. */
static int
ask_run(struct req *q, const struct concept *c, uint32_t first, struct concept_list *l,
	struct concept_way *out, struct err *e)
{
	uint32_t slot[LIMIT_SAES], of[LIMIT_SAES], n = 0;
	struct live_answer a = {0};
	struct err why = ERR_INIT;
	int rc;

	for (uint32_t i = first; i < c->n_targets && n < LIMIT_SAES; i++)
		if (c->target[i].run == c->target[first].run) {
			slot[n] = c->target[i].slot;
			of[n++] = i;
		}
	rc = live_text(q->daemon->live,
		&(struct live_want){.cat = q->cat,
			.run = c->target[first].run,
			.slot = slot,
			.n_slots = n,
			.text = c->text,
			.n_bytes = strlen(c->text),
			.inside = !args_bool(&q->args, "as_is"),
			.arena = q->arena},
		&a, &why);
	if (rc < 0) {
		say_missing(q, out, NULL, &why);
		return rc == ERR_NOMEM ? err_set(e, rc, "%s", why.text) : 0;
	}
	out->n_tokens = a.n_tokens;
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		if (a.sae[i].why.code != 0)
			say_missing(q, out, c->target[of[i]].s, &a.sae[i].why);
		else
			rc = rank_target(q, c, of[i], &a, &a.sae[i].acts, l, e);
	}
	return rc;
}

static bool
is_first_of_run(const struct concept *c, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (c->target[i].run == c->target[at].run)
			return false;
	return true;
}

int
concept_by_model(struct req *q, const struct concept *c, struct concept_way *out,
	struct err *e)
{
	struct concept_list l = {0};
	int rc = 0;

	*out = (struct concept_way){0};
	for (uint32_t i = 0; i < c->n_targets && rc == 0; i++)
		if (is_first_of_run(c, i))
			rc = ask_run(q, c, i, &l, out, e);
	if (concept_take(q, &l, rc == 0 ? out : NULL, e) < 0)
		return e->code;
	if (rc == 0 && out->n == 0 && out->missing == NULL) {
		out->code = ERR_NOTFOUND;
		out->missing = out->n_tokens == 0
			? "the text has no tokens"
			: "no feature fires on the text more than by chance";
	}
	return rc;
}
