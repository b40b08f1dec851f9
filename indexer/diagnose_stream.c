/* SPDX-License-Identifier: ISC */
/*
 * The streams of one model that an SAE may have been trained on, over one text.
 */
#include "indexer/diagnose_int.h"
#include "util/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Hooks that are taken for one another, by group. */
static const struct {
	enum diagnose_at at;
	enum hook_site site;
	enum { STREAM, NORM, MLP_OUT, ATTN_OUT } group;
	const char *before, *after; /* the layer's number */
} siblings[] = {
	{AT_PRE, HOOK_RESID_PRE, STREAM, "blocks.", ".hook_resid_pre"},
	{AT_MID, HOOK_RESID_MID, STREAM, "blocks.", ".hook_resid_mid"},
	{AT_POST, HOOK_RESID_POST, STREAM, "blocks.", ".hook_resid_post"},
	{AT_MLP_IN, HOOK_MLP_IN, NORM, "blocks.", ".hook_mlp_in"},
	{AT_NORMALIZED, HOOK_MLP_NORMALIZED, NORM, "blocks.", ".ln2.hook_normalized"},
	{AT_MLP_INPUT, HOOK_MLP_INPUT, NORM, "blocks.", ".mlp.hook_in"},
	{AT_MLP_OUT, HOOK_MLP_OUT, MLP_OUT, "blocks.", ".hook_mlp_out"},
	{AT_MLP_MODULE, HOOK_MLP_MODULE, MLP_OUT, "layers.", ".mlp"},
	{AT_ATTN_OUT, HOOK_ATTN_OUT, ATTN_OUT, "blocks.", ".hook_attn_out"},
	{AT_ATTN_MODULE, HOOK_ATTN_MODULE, ATTN_OUT, "layers.", ".self_attn"},
};
#define N_SIBLINGS (sizeof(siblings) / sizeof(siblings[0]))

/* ---- hooks ------------------------------------------------------------------- */

static bool
hook_of(const struct diagnosis *d, struct hook *out, const char *name)
{
	struct err e = ERR_INIT;

	return hook_parse(out, name, &e) == 0 && lm_check_hook(d->p->lm, out, &e) == 0;
}

static bool
neighbor_hook(const struct diagnosis *d, const struct hook *at, int layer,
	struct hook *out)
{
	const char *number = strchr(at->name, '.');
	int64_t wanted = (int64_t)at->layer + layer;
	char name[sizeof(at->name)];

	if (wanted < 0 || number == NULL)
		return false;
	number++;
	snprintf(name, sizeof(name), "%.*s%" PRId64 "%s", (int)(number - at->name),
		at->name, wanted, number + strspn(number, "0123456789"));
	return hook_of(d, out, name);
}

/* The i-th of them, if the SAE's hook is one of its group. What transcoders are said
 * to read in the stream may be what the MLP reads. */
static bool
sibling_hook(const struct diagnosis *d, size_t i, struct hook *out)
{
	const struct sae_info *n = &d->s->sae->info;
	char name[sizeof(out->name)];
	bool kin = n->transcoder && n->hook.site == HOOK_RESID_MID &&
		siblings[i].group == NORM;

	if (siblings[i].site == n->hook.site)
		return false;
	for (size_t k = 0; k < N_SIBLINGS; k++)
		kin |= siblings[k].site == n->hook.site &&
			siblings[k].group == siblings[i].group;
	snprintf(name, sizeof(name), "%s%" PRIu32 "%s", siblings[i].before,
		n->hook.layer, siblings[i].after);
	return kin && hook_of(d, out, name);
}

/* ---- the model ---------------------------------------------------------------- */

/* Hooks that one forward pass is to fill. */
struct wanted {
	struct hook hook[2 * N_AT];
	float *out[2 * N_AT];
	size_t n;
};

static int
want(struct diagnosis *d, struct wanted *w, enum diagnose_at at, size_t text,
	const struct hook *in, const struct hook *out, struct err *e)
{
	const struct sae_info *n = &d->s->sae->info;
	struct diagnose_stream *s = &d->stream[at];
	size_t n_tokens = d->text[text].sample.n_tokens;

	s->text = &d->text[text];
	s->x = mem_new_aligned(n_tokens * n->d_in, sizeof(*s->x));
	s->owns_y = n->transcoder && out != NULL;
	s->y = s->owns_y        ? mem_new_aligned(n_tokens * n->d_out, sizeof(*s->y))
		: n->transcoder ? d->stream[AT_HOOK].y
				: s->x;
	if (s->x == NULL || s->y == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %zu tokens", n_tokens);
	w->hook[w->n] = *in;
	w->out[w->n++] = s->x;
	if (s->owns_y) {
		w->hook[w->n] = *out;
		w->out[w->n++] = s->y;
	}
	return 0;
}

static int
forward(struct diagnosis *d, const struct wanted *wanted, size_t text, struct err *e)
{
	const struct sample *s = &d->text[text].sample;
	struct lm_work *w = NULL;
	int rc = lm_work_new(&w, d->p->lm, s->n_tokens, e);

	if (rc == 0)
		rc = lm_forward(d->p->lm, w, s->id, s->window_start, s->n_windows,
			wanted->hook, wanted->n, wanted->out, e);
	lm_work_free(w);
	return rc;
}

static int
run_model(struct diagnosis *d, struct err *e)
{
	const struct sae_info *n = &d->s->sae->info;
	struct wanted w = {.n = 0};
	struct hook in, out;
	int rc = want(d, &w, AT_HOOK, 0, &n->hook, &n->hook_out, e);

	for (int i = -1; rc == 0 && i <= 1; i += 2)
		if (neighbor_hook(d, &n->hook, i, &in) &&
			neighbor_hook(d, &n->hook_out, i, &out))
			rc = want(d, &w, i < 0 ? AT_BELOW : AT_ABOVE, 0, &in, &out, e);
	for (size_t i = 0; rc == 0 && i < N_SIBLINGS; i++)
		if (sibling_hook(d, i, &in))
			rc = want(d, &w, siblings[i].at, 0, &in, NULL, e);
	if (rc == 0)
		rc = forward(d, &w, 0, e);
	if (rc < 0 || d->text[1].sample.n_tokens == 0)
		return rc;
	w.n = 0;
	rc = want(d, &w,
		d->p->group[d->s->group].prepend_bos ? AT_WITHOUT_BOS : AT_WITH_BOS, 1,
		&n->hook, &n->hook_out, e);
	return rc == 0 ? forward(d, &w, 1, e) : rc;
}

/* What is the same as a stream before it tells nothing: the norm that a model
 * lacks, the layer's end that is the next one's start. */
static void
drop_same(struct diagnosis *d)
{
	const struct sae_info *n = &d->s->sae->info;
	size_t bytes = d->text[0].sample.n_tokens * n->d_in * sizeof(float);

	for (size_t i = AT_PRE; i < AT_WITH_BOS; i++)
		for (size_t k = 0; k < i && d->stream[i].x != NULL; k++) {
			struct diagnose_stream *s = &d->stream[i];

			bool layer = k == AT_BELOW || k == AT_ABOVE;

			if (d->stream[k].x == NULL || (n->transcoder && layer) ||
				memcmp(d->stream[k].x, s->x, bytes) != 0)
				continue;
			mem_free(s->x);
			*s = (struct diagnose_stream){0};
		}
}

/* ---- the text ------------------------------------------------------------------ */

/* *n: of tokens that count, none of the first n_first of a window. */
static int
count_tokens(struct diagnosis *d, size_t text, uint32_t n_first, size_t *n,
	struct err *e)
{
	struct diagnose_text *t = &d->text[text];
	const struct sample *s = &t->sample;

	*n = 0;
	t->counts = mem_new(s->n_tokens, 1);
	if (t->counts == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %zu tokens", s->n_tokens);
	for (size_t i = 0; i < s->n_windows; i++) {
		uint32_t from = s->window_start[i];

		for (uint32_t k = from; k < s->window_start[i + 1]; k++) {
			t->counts[k] = k >= from + n_first && !d->p->excluded[s->id[k]];
			*n += t->counts[k];
		}
	}
	return 0;
}

/* The same windows with BOS in front, or without the one that they have. */
static int
turn_bos(struct diagnosis *d, const struct cut_rule *rule, struct err *e)
{
	const struct sample *from = &d->text[0].sample;
	struct sample *to = &d->text[1].sample;
	uint32_t skip = rule->prepend_bos, n;

	to->id = mem_new(from->n_tokens + from->n_windows, sizeof(*to->id));
	to->window_start = mem_new(from->n_windows + 1, sizeof(*to->window_start));
	if (to->id == NULL || to->window_start == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %zu tokens",
			from->n_tokens);
	for (size_t i = 0; i < from->n_windows; i++) {
		const uint32_t *id = from->id + from->window_start[i] + skip;

		n = from->window_start[i + 1] - from->window_start[i] - skip;
		if (!skip) {
			to->id[to->n_tokens++] = (uint32_t)rule->bos;
			n -= n == rule->context;
		}
		if (n == 0 && skip)
			continue;
		memcpy(to->id + to->n_tokens, id, n * sizeof(*id));
		to->n_tokens += n;
		to->window_start[++to->n_windows] = (uint32_t)to->n_tokens;
	}
	return 0;
}

static int
read_text(struct diagnosis *d, struct err *e)
{
	const struct plan_group *g = &d->p->group[d->s->group];
	const struct cut_rule rule = {.context = g->context,
		.prepend_bos = g->prepend_bos,
		.bos = tok_bos(d->p->tok),
		.max_tokens = d->p->options->sample};
	size_t n;
	int rc = sample_read(&d->text[0].sample, d->p->options, d->p->tok, &rule, e);

	if (rc == 0)
		rc = count_tokens(d, 0, 1, &n, e);
	if (rc == 0 && n == 0)
		rc = err_arg(e, ERR_ARG, "corpus",
			"%s: not one token behind a window's first to try the rules on",
			d->p->options->corpus.item[0]);
	if (rc < 0 || rule.bos < 0)
		return rc;
	rc = turn_bos(d, &rule, e);
	if (rc == 0) /* the same tokens of the text */
		rc = count_tokens(d, 1, rule.prepend_bos ? 1 : 2, &n, e);
	if (rc == 0 && n == 0)
		d->text[1].sample.n_tokens = 0;
	return rc;
}

double
diagnose_mean_norm(const struct diagnose_text *t, const float *x, size_t d)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < t->sample.n_tokens; i++)
		if (t->counts[i]) {
			sum += (double)kernel_norm(x + i * d, d);
			n++;
		}
	return n > 0 ? sum / (double)n : 0;
}

int
diagnose_streams(struct diagnosis *d, struct err *e)
{
	size_t d_in = d->s->sae->info.d_in;
	double norm;
	int rc = read_text(d, e);

	if (rc == 0)
		rc = run_model(d, e);
	if (rc < 0)
		return rc;
	drop_same(d);
	norm = diagnose_mean_norm(&d->text[0], d->stream[AT_HOOK].x, d_in);
	d->factor = norm > 0 ? sqrt((double)d_in) / norm : 1;
	return 0;
}

void
diagnose_streams_clear(struct diagnosis *d)
{
	for (size_t i = 0; i < 2; i++) {
		sample_clear(&d->text[i].sample);
		mem_free(d->text[i].counts);
	}
	for (size_t i = 0; i < N_AT; i++) {
		mem_free(d->stream[i].x);
		if (d->stream[i].owns_y)
			mem_free(d->stream[i].y);
	}
}
