/* SPDX-License-Identifier: ISC */
#include "daemon/together.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- SAEs of one cut ------------------------------------------------------------- */

static bool
has_slot(const struct cat_run *r, uint32_t sae, uint32_t *slot)
{
	for (*slot = 0; *slot < r->n_saes; ++*slot)
		if (r->sae[*slot].sae == sae)
			return true;
	return false;
}

/* The feature's run if it has the SAE, else the newest over the same cut that has, one
 * of all its features before one of a range. */
static bool
find_run_of_cut(struct req *q, const struct target *t, struct target *out)
{
	uint32_t slot, run = t->run;
	bool found = has_slot(t->r, out->sae, &slot);

	out->slot = slot;
	for (uint32_t i = q->cat->n_runs; !found && i-- > 0;)
		if (q->cat->run[i].cut == t->r->cut &&
			has_slot(&q->cat->run[i], out->sae, &slot) &&
			cat_sought_all(q->cat, &q->cat->run[i].sae[slot])) {
			found = true;
			run = i;
			out->slot = slot;
		}
	for (uint32_t i = q->cat->n_runs; !found && i-- > 0;)
		if (q->cat->run[i].cut == t->r->cut &&
			has_slot(&q->cat->run[i], out->sae, &slot)) {
			found = true;
			run = i;
			out->slot = slot;
		}
	if (!found)
		return false;
	out->run = run;
	out->r = &q->cat->run[run];
	out->rs = &out->r->sae[out->slot];
	out->s = &q->cat->sae[out->sae];
	return true;
}

int
together_sae(struct req *q, const struct target *t, const char *name, size_t n_bytes,
	const char *arg, struct target *out, struct err *e)
{
	int64_t at = cat_find_sae(q->cat, name, n_bytes);

	*out = (struct target){0};
	if (at < 0)
		return err_arg(e, ERR_NOTFOUND, arg,
			"there is no SAE \"%.*s\"; sae.list names them",
			n_bytes < LIMIT_NAME_BYTES ? (int)n_bytes : LIMIT_NAME_BYTES,
			name);
	out->sae = (uint32_t)at;
	if (!find_run_of_cut(q, t, out))
		return err_arg(e, ERR_NOTFOUND, arg,
			"no run has %s over the corpus of run %u: positions of others "
			"are not the same",
			q->cat->sae[at].name, t->r->number);
	if (out->rs->n_tokens != t->rs->n_tokens)
		return err_arg(e, ERR_MISMATCH, arg,
			"run %u counts %llu tokens and run %u %llu: only one counts "
			"special ones",
			t->r->number, (unsigned long long)t->rs->n_tokens,
			out->r->number, (unsigned long long)out->rs->n_tokens);
	return 0;
}

/* All that can be told; those of runs that count other tokens are left out. */
static uint32_t
all_saes(struct req *q, const struct target *t, struct target *to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->cat->n_saes; i++) {
		to[n] = (struct target){.sae = i};
		if (find_run_of_cut(q, t, &to[n]) &&
			to[n].rs->n_tokens == t->rs->n_tokens)
			n++;
	}
	return n;
}

static int
add_named(struct req *q, const struct target *t, const struct value *v,
	struct together_saes *out, struct err *e)
{
	struct target x;
	int rc;

	if (v->type != VALUE_STR)
		return err_arg(e, ERR_ARG, "sae", "sae must be a name or names");
	rc = together_sae(q, t, v->str, v->n, "sae", &x, e);
	for (uint32_t i = 0; rc == 0 && i < out->n; i++)
		if (out->to[i].sae == x.sae)
			return 0; /* named twice */
	if (rc == 0)
		out->to[out->n++] = x;
	return rc;
}

/* The feature's run first: of what is equal, the first is the better. */
static int
by_place(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	if (x->run != y->run)
		return x->run < y->run ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static void
sort_saes(const struct target *t, struct together_saes *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->to[i].run == t->run) {
			struct target x = s->to[i];

			s->to[i] = s->to[n];
			s->to[n++] = x;
		}
	qsort(s->to, n, sizeof(*s->to), by_place);
	qsort(s->to + n, s->n - n, sizeof(*s->to), by_place);
}

int
together_saes(struct req *q, const struct target *t, struct together_saes *out,
	struct err *e)
{
	const struct value *v = args_get(&q->args, "sae");
	uint32_t most = v != NULL && v->type == VALUE_ARRAY ? v->n : q->cat->n_saes;
	int rc = 0;

	*out = (struct together_saes){
		.to = req_alloc(q, (size_t)most + 1, sizeof(*out->to), e)};
	if (out->to == NULL)
		return ERR_NOMEM;
	if (v == NULL)
		out->to[out->n++] = *t;
	else if (value_is_str(v, "all"))
		out->n = all_saes(q, t, out->to);
	else if (v->type != VALUE_ARRAY)
		rc = add_named(q, t, v, out, e);
	else if (v->n == 0)
		rc = err_arg(e, ERR_ARG, "sae", "sae must not be empty");
	else
		for (uint32_t i = 0; i < v->n && rc == 0; i++)
			rc = add_named(q, t, &v->v[i], out, e);
	if (rc == 0)
		sort_saes(t, out);
	return rc;
}

/* ---- counting -------------------------------------------------------------------- */

struct counting {
	const struct target *t;
	const struct together_saes *saes;
	uint8_t *excluded; /* (n_vocab) by token id; NULL: all tokens count */
	uint32_t n_vocab;
	uint32_t **n_both; /* (saes->n, d_sae) */
	uint64_t n_fired;
	struct arena arena; /* of a window */
};

/* The token ids that the run leaves out, as its provenance has them. */
static int
read_excluded(struct req *q, struct counting *c, struct err *e)
{
	const struct cat_run *r = c->t->r;
	const struct value *v, *list;
	int64_t id;

	if (c->t->rs->n_tokens == q->cat->cut[r->cut].n_tokens)
		return 0;
	if (value_parse_json(&v, r->provenance, strlen(r->provenance), q->arena, e) < 0)
		return err_wrap(e, "the provenance of run %u", r->number);
	list = value_get(v, "excluded_tokens");
	c->n_vocab = q->cat->model[r->model].n_vocab;
	c->excluded = req_alloc(q, c->n_vocab, 1, e);
	if (c->excluded == NULL)
		return ERR_NOMEM;
	memset(c->excluded, 0, c->n_vocab);
	for (uint32_t i = 0; list != NULL && list->type == VALUE_ARRAY && i < list->n;
		i++)
		if (value_as_int(&list->v[i], &id) && id >= 0 && id < c->n_vocab)
			c->excluded[id] = 1;
	return 0;
}

static bool
counts(const struct counting *c, const struct rec_window *w, uint32_t token)
{
	return c->excluded == NULL || w->token[token] >= c->n_vocab ||
		!c->excluded[w->token[token]];
}

/* The tokens of the window on which the feature fires and that count. */
static int
fired_tokens(struct req *q, struct counting *c, uint32_t window,
	const struct rec_acts *a, uint32_t *token, uint32_t *n, struct err *e)
{
	struct arena *mine = q->arena;
	struct rec_window w = {.n_tokens = a->n_tokens};
	int rc = 0;

	q->arena = &c->arena;
	if (c->excluded != NULL)
		rc = read_window(q, c->t->r->cut, window, &w, e);
	q->arena = mine;
	if (rc == 0 && w.n_tokens != a->n_tokens)
		rc = err_set(e, ERR_CORRUPT, "window %u has %u tokens, %u stored",
			window, w.n_tokens, a->n_tokens);
	*n = 0;
	for (uint32_t i = 0; i < a->n_tokens && rc == 0; i++)
		if (acts_value(a, i, c->t->index) != NULL && counts(c, &w, i))
			token[(*n)++] = i;
	return rc;
}

static int
count_sae(struct req *q, struct counting *c, uint32_t sae, uint32_t window,
	const struct rec_acts *own, const uint32_t *token, uint32_t n, struct err *e)
{
	const struct target *to = &c->saes->to[sae];
	struct cooccur_rows rows;
	struct rec_acts a = *own;
	int rc = 0;

	if (to->run != c->t->run || to->slot != c->t->slot)
		rc = store_acts_all(q->view, to->run, to->slot, window, &a, &c->arena,
			e);
	if (rc == 0 && a.n_tokens == 0) /* nothing fires there */
		return 0;
	if (rc == 0 && a.n_tokens != own->n_tokens)
		rc = err_set(e, ERR_CORRUPT,
			"window %u has %u tokens in run %u, %u in run %u", window,
			own->n_tokens, c->t->r->number, a.n_tokens, to->r->number);
	for (uint32_t j = 0; rc == 0 && j < a.row_start[a.n_tokens]; j++)
		if (a.feature[j] >= to->s->d_sae)
			rc = err_set(e, ERR_CORRUPT,
				"window %u has an activation of feature %u of %s, "
				"which has %u",
				window, a.feature[j], to->s->name, to->s->d_sae);
	if (rc < 0)
		return rc;
	rows = (struct cooccur_rows){a.row_start, a.feature};
	cooccur_add(c->n_both[sae], &rows, token, n);
	return 0;
}

static int
count_window(struct req *q, struct counting *c, uint32_t window, struct err *e)
{
	struct rec_acts own;
	uint32_t *token, n = 0;
	int rc;

	arena_reset(&c->arena);
	rc = store_acts_all(q->view, c->t->run, c->t->slot, window, &own, &c->arena, e);
	if (rc < 0)
		return rc;
	token = arena_alloc(&c->arena, (size_t)own.n_tokens + 1, sizeof(*token));
	if (token == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a window's activations");
	rc = fired_tokens(q, c, window, &own, token, &n, e);
	c->n_fired += n;
	for (uint32_t i = 0; i < c->saes->n && rc == 0 && n > 0; i++)
		rc = count_sae(q, c, i, window, &own, token, n, e);
	return rc;
}

static int
count_windows(struct req *q, struct counting *c, struct err *e)
{
	const struct rec_posting *p;
	size_t n;
	int rc = read_postings(q, c->t, &p, &n, e);

	for (size_t i = 0; i < n && rc == 0; i++) {
		if (atomic_load(&q->daemon->giving_up))
			return err_set(e, ERR_CANCELLED, "the daemon stops");
		rc = count_window(q, c, p[i].window, e);
	}
	return rc;
}

void
together_free(uint32_t **n_both, uint32_t n)
{
	for (uint32_t i = 0; n_both != NULL && i < n; i++)
		mem_free(n_both[i]);
	mem_free(n_both);
}

int
together_count(struct req *q, const struct target *t, const struct together_saes *saes,
	uint64_t count, uint32_t ***n_both, struct err *e)
{
	struct counting c = {.t = t, .saes = saes};
	int rc = read_excluded(q, &c, e);

	arena_init(&c.arena, DAEMON_ARENA_BYTES);
	c.n_both = mem_new(saes->n, sizeof(*c.n_both));
	for (uint32_t i = 0; c.n_both != NULL && i < saes->n && rc == 0; i++) {
		c.n_both[i] = mem_new(saes->to[i].s->d_sae, sizeof(**c.n_both));
		if (c.n_both[i] == NULL)
			rc = err_set(e, ERR_NOMEM, "no memory to count features of %s",
				saes->to[i].s->name);
	}
	if (rc == 0 && c.n_both == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to count features");
	if (rc == 0)
		rc = count_windows(q, &c, e);
	if (rc == 0 && c.n_fired > count)
		rc = err_set(e, ERR_CORRUPT,
			"%s/%u fires on %llu tokens and its activations are on %llu",
			t->s->name, t->index, (unsigned long long)count,
			(unsigned long long)c.n_fired);
	arena_clear(&c.arena);
	if (rc < 0) {
		together_free(c.n_both, saes->n);
		c.n_both = NULL;
	}
	*n_both = c.n_both;
	return rc;
}

/* ---- the best -------------------------------------------------------------------- */

/* Tokens on which a feature fires. */
static int
read_count(struct req *q, const struct target *to, uint32_t feature,
	struct arena *scratch, uint64_t *count, struct err *e)
{
	struct arena *mine = q->arena;
	struct rec_feature f;
	int rc;

	arena_reset(scratch);
	q->arena = scratch;
	rc = read_feature(q, to, feature, &f, e);
	q->arena = mine;
	*count = f.count;
	return rc;
}

/* Whether n_both alone keeps it out of a full list. */
static bool
is_below(const struct cooccur_best *b, uint64_t n_both)
{
	const struct cooccur_pair *last = &b->pair[b->k - 1];

	if (b->n < b->k)
		return false;
	if (b->sort == COOCCUR_BY_COUNT)
		return n_both < last->n_both;
	return b->sort == COOCCUR_BY_JACCARD && b->count > 0 &&
		(double)n_both / (double)b->count < last->score;
}

static int
offer(struct req *q, struct together *x, uint32_t sae, uint32_t feature,
	uint64_t n_both, struct arena *scratch, struct err *e)
{
	struct cooccur_pair pair = {.sae = sae, .feature = feature, .n_both = n_both};
	const struct target *to = &x->saes->to[sae];
	int rc;

	if (n_both < x->min_count || is_below(&x->best, n_both) ||
		(to->sae == x->t->sae && feature == x->t->index))
		return 0;
	rc = read_count(q, to, feature, scratch, &pair.count, e);
	if (rc == 0 && pair.count < n_both)
		rc = err_set(e, ERR_CORRUPT,
			"%s/%u fires on %llu tokens, on %llu of them with %s/%u",
			to->s->name, feature, (unsigned long long)pair.count,
			(unsigned long long)n_both, x->t->s->name, x->t->index);
	if (rc == 0)
		cooccur_offer(&x->best, pair);
	return rc;
}

static int
find_counted(struct req *q, struct together *x, struct arena *scratch, struct err *e)
{
	uint32_t **n_both;
	int rc = together_count(q, x->t, x->saes, x->count, &n_both, e);

	for (uint32_t i = 0; i < x->saes->n && rc == 0; i++)
		for (uint32_t f = 0; f < x->saes->to[i].s->d_sae && rc == 0; f++)
			if (n_both[i][f] > 0)
				rc = offer(q, x, i, f, n_both[i][f], scratch, e);
	together_free(n_both, x->saes->n);
	return rc;
}

/* The feature's list; NULL where the run has none. */
static int
read_pairs(struct req *q, const struct target *t, struct rec_pairs *out, bool *has,
	struct err *e)
{
	struct store_place place = {TABLE_PAIRS, t->run, t->slot};
	struct store_value v = {0};
	int rc = store_has(q->view, place, has, e);

	*out = (struct rec_pairs){0};
	if (rc == 0 && *has)
		rc = store_mget(q->view, place, &t->index, 1, &v, q->arena, e);
	*has = *has && v.p != NULL;
	if (rc == 0 && *has)
		rc = rec_pairs_unpack(out, v.p, v.n_bytes, q->arena, e);
	for (uint32_t i = 0; i < out->n_pairs && rc == 0; i++)
		if (out->pair[i].slot >= t->r->n_saes ||
			out->pair[i].feature >=
				q->cat->sae[t->r->sae[out->pair[i].slot].sae].d_sae)
			rc = err_set(e, ERR_CORRUPT,
				"what fires with %s/%u is no feature of run %u",
				t->s->name, t->index, t->r->number);
	return rc;
}

/* Sets x->stored if the list has all that is asked for: it has all that fire together,
 * or enough of the first. */
static int
find_stored(struct req *q, struct together *x, struct arena *scratch, struct err *e)
{
	struct rec_pairs pairs;
	bool has;
	int rc = read_pairs(q, x->t, &pairs, &has, e);
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->saes->n; i++)
		has = has && x->saes->to[i].run == x->t->run;
	for (uint32_t i = 0; i < pairs.n_pairs && rc == 0 && has; i++)
		for (uint32_t s = 0; s < x->saes->n && rc == 0; s++)
			if (x->saes->to[s].slot == pairs.pair[i].slot) {
				n += pairs.pair[i].n_both >= x->min_count;
				rc = offer(q, x, s, pairs.pair[i].feature,
					pairs.pair[i].n_both, scratch, e);
			}
	x->stored = rc == 0 && has &&
		(pairs.n_pairs == pairs.n_pairs_all ||
			(n >= x->best.k && x->best.sort == COOCCUR_BY_JACCARD));
	if (!x->stored)
		x->best.n = 0;
	return rc;
}

int
together_find(struct req *q, struct together *x, struct err *e)
{
	struct arena scratch;
	int rc;

	x->stored = false;
	if (x->count == 0)
		return 0;
	arena_init(&scratch, DAEMON_ARENA_BYTES);
	rc = find_stored(q, x, &scratch, e);
	if (rc == 0 && !x->stored)
		rc = find_counted(q, x, &scratch, e);
	arena_clear(&scratch);
	return rc;
}
