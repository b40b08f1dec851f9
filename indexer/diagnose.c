/* SPDX-License-Identifier: ISC */
/*
 * FVU = sum |x - x_hat|^2 / sum |x - mean x|^2 over the tokens that count. A rule
 * that is not the one an SAE was trained with raises it, usually a lot; so the
 * rule with the lowest is the one to believe.
 */
#include "indexer/diagnose.h"

#include "indexer/diagnose_int.h"
#include "indexer/encode.h"
#include "indexer/stats.h"
#include "util/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Another rule must leave this share of the error to be called better. */
#define CLEARLY 0.9
/* More features explain more by themselves: n times as many leave no less than 1 / sqrt(n)
 * of the error where lower thresholds let them through. But an SAE that hardly fires by
 * its own rule tells no number to compare with. */
#define MOST_PENALTY 2.0
#define UNIT_SLACK 0.02f /* norms and factors this near to 1 change nothing */

struct trial {
	const char *what; /* of what is other than the files say */
	enum diagnose_at at;
	/* x and y, (n_tokens, d_in and d_out), to d->x and d->y. NULL: as they are. */
	void (*input)(struct diagnosis *d, const struct diagnose_stream *s);
	/* Of a copy whose tensors are the SAE's: they are replaced, not changed.
	 * NULL: nothing. */
	void (*change)(const struct diagnosis *d, struct sae *s);
};

/* ---- rules ----------------------------------------------------------------------- */

static void
b_dec_subtracted(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.subtract_b_dec = s->info.d_in == s->info.d_out;
}

static void
b_dec_left(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.subtract_b_dec = false;
}

static void
centred(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.center = true;
}

static void
not_centred(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.center = false;
}

static void
ranked_by_norm(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.rescale_by_decoder_norm = s->info.kind == SAE_TOPK;
}

static void
ranked_alone(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.rescale_by_decoder_norm = false;
}

static void
norm_none(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.norm = SAE_NORM_NONE;
}

static void
norm_constant(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.norm = SAE_NORM_CONSTANT;
}

static void
norm_layer(const struct diagnosis *d, struct sae *s)
{
	(void)d;
	s->info.norm = SAE_NORM_LAYER;
}

/* Every threshold times by, and times the norm of its decoder row to that power. */
static void
thresholds(const struct diagnosis *d, struct sae *s, float by, int power)
{
	bool other = fabsf(by - 1) > UNIT_SLACK;

	for (size_t i = 0; s->threshold != NULL && i < s->info.d_sae; i++) {
		float norm = s->dec_norm[i];

		d->threshold[i] = s->threshold[i] * by;
		if (power != 0 && norm > 0)
			d->threshold[i] *= power > 0 ? norm : 1 / norm;
		other |= power != 0 && fabsf(norm - 1) > UNIT_SLACK;
	}
	if (s->threshold != NULL && other)
		s->threshold = d->threshold;
}

static void
thresholds_left(const struct diagnosis *d, struct sae *s)
{
	thresholds(d, s, (float)(1 / d->factor), 0);
}

static void
thresholds_twice(const struct diagnosis *d, struct sae *s)
{
	thresholds(d, s, (float)d->factor, 0);
}

static void
thresholds_of_unit(const struct diagnosis *d, struct sae *s)
{
	thresholds(d, s, 1, -1);
}

static void
thresholds_by_norm(const struct diagnosis *d, struct sae *s)
{
	thresholds(d, s, 1, 1);
}

static void
skip_turned(const struct diagnosis *d, struct sae *s)
{
	size_t n = s->info.d_in;

	if (s->w_skip == NULL || s->info.d_out != n)
		return;
	for (size_t i = 0; i < n * n; i++)
		d->w_skip[i] = s->w_skip[i % n * n + i / n];
	s->w_skip = d->w_skip;
}

/* ---- what is done to the streams --------------------------------------------------- */

/* A transcoder's output has a norm of its own. */
static void
scale(struct diagnosis *d, const struct diagnose_stream *s, bool up)
{
	const struct sae_info *n = &d->s->sae->info;
	size_t n_tokens = s->text->sample.n_tokens;
	const float *from[2] = {s->x, s->y};
	float *to[2] = {d->x, d->y};
	size_t width[2] = {n->d_in, n->d_out};

	for (size_t k = 0; k < 2; k++) {
		double norm = diagnose_mean_norm(s->text, from[k], width[k]);
		double by = norm > 0 ? sqrt((double)width[k]) / norm : 1;

		for (size_t i = 0; i < n_tokens * width[k]; i++)
			to[k][i] = from[k][i] * (float)(up ? by : 1 / by);
	}
}

static void
scaled(struct diagnosis *d, const struct diagnose_stream *s)
{
	scale(d, s, true);
}

static void
scaled_back(struct diagnosis *d, const struct diagnose_stream *s)
{
	scale(d, s, false);
}

/* Each head's first dimension, then each one's second. */
static void
interleaved(struct diagnosis *d, const struct diagnose_stream *s)
{
	const struct sae_info *n = &d->s->sae->info;
	size_t heads = lm_info(d->p->lm)->n_heads, width = n->d_in / heads;

	for (size_t t = 0; t < s->text->sample.n_tokens; t++)
		for (size_t h = 0; h < heads; h++)
			for (size_t i = 0; i < width; i++)
				d->x[t * n->d_in + i * heads + h] =
					s->x[t * n->d_in + h * width + i];
	memcpy(d->y, n->transcoder ? s->y : d->x,
		s->text->sample.n_tokens * n->d_out * sizeof(*d->y));
}

static const struct trial trials[] = {
	{"as its files say", AT_HOOK, NULL, NULL},
	{"b_dec subtracted from the input", AT_HOOK, NULL, b_dec_subtracted},
	{"b_dec not subtracted from the input", AT_HOOK, NULL, b_dec_left},
	{"input centred: its mean over dimensions removed", AT_HOOK, NULL, centred},
	{"input not centred", AT_HOOK, NULL, not_centred},
	{"ranked by pre times the decoder row's norm", AT_HOOK, NULL, ranked_by_norm},
	{"ranked by pre alone", AT_HOOK, NULL, ranked_alone},
	{"thresholds for pre times the decoder row's norm", AT_HOOK, NULL,
		thresholds_of_unit},
	{"thresholds times the decoder row's norm", AT_HOOK, NULL, thresholds_by_norm},
	{"thresholds for input of norm sqrt(d) on average (not folded)", AT_HOOK, NULL,
		thresholds_left},
	{"thresholds times sqrt(d) / mean |x| (folded twice)", AT_HOOK, NULL,
		thresholds_twice},
	{"input not normalised", AT_HOOK, NULL, norm_none},
	{"input scaled to norm sqrt(d), each token", AT_HOOK, NULL, norm_constant},
	{"input with mean 0 and deviation 1, each token", AT_HOOK, NULL, norm_layer},
	{"input scaled to norm sqrt(d) on average (an unfolded SAE)", AT_HOOK, scaled,
		NULL},
	{"input scaled the other way (an SAE folded twice)", AT_HOOK, scaled_back,
		NULL},
	{"heads interleaved: the first dimension of each, then the second", AT_HOOK,
		interleaved, NULL},
	{"W_skip the other way round", AT_HOOK, NULL, skip_turned},
	{"the hook one layer below", AT_BELOW, NULL, NULL},
	{"the hook one layer above", AT_ABOVE, NULL, NULL},
	{"hook_resid_pre of its layer", AT_PRE, NULL, NULL},
	{"hook_resid_mid of its layer", AT_MID, NULL, NULL},
	{"hook_resid_post of its layer", AT_POST, NULL, NULL},
	{"hook_mlp_in, before the norm", AT_MLP_IN, NULL, NULL},
	{"ln2.hook_normalized, before the norm's gain", AT_NORMALIZED, NULL, NULL},
	{"mlp.hook_in, behind the norm's gain", AT_MLP_INPUT, NULL, NULL},
	{"hook_mlp_out, behind the norm that follows the MLP", AT_MLP_OUT, NULL, NULL},
	{"the MLP's output before the norm that follows it", AT_MLP_MODULE, NULL, NULL},
	{"hook_attn_out, behind the norm that follows attention", AT_ATTN_OUT, NULL,
		NULL},
	{"attention's output before the norm that follows it", AT_ATTN_MODULE, NULL,
		NULL},
	{"BOS in front of each window", AT_WITH_BOS, NULL, NULL},
	{"no BOS in front of windows", AT_WITHOUT_BOS, NULL, NULL},
};
#define N_TRIALS (sizeof(trials) / sizeof(trials[0]))

struct fit {
	bool tried;
	double l0, fvu;
};

/* ---- one rule ------------------------------------------------------------------- */

/* What reconstruction leaves of y, by the activations in c and what was read. */
static int
measure(const struct diagnose_text *text, const struct encoder *c, const float *x,
	const float *y, struct fit *fit, struct err *e)
{
	size_t d_in = c->sae->info.d_in, d_out = c->sae->info.d_out;
	size_t n = text->sample.n_tokens, nnz = 0;
	struct stream_stats stats;
	struct sae_act *acts = mem_new(c->sae->info.d_sae, sizeof(*acts));
	double *error = mem_new(d_out, sizeof(*error)), all = 0, variance;
	float *y_hat = mem_new_aligned(d_out, sizeof(*y_hat));
	int rc = stream_stats_init(&stats, d_out, e);

	if (acts == NULL || error == NULL || y_hat == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to reconstruct");
	for (size_t t = 0; rc == 0 && t < n; t++) {
		uint32_t from = c->acts.row_start[t], to = c->acts.row_start[t + 1];

		if (!text->counts[t])
			continue;
		for (uint32_t i = from; i < to; i++)
			acts[i - from] =
				(struct sae_act){c->acts.feature[i], c->acts.value[i]};
		nnz += to - from;
		sae_decode(c->sae, y_hat, acts, to - from, c->scale[t], c->shift[t]);
		sae_skip(c->sae, y_hat, x + t * d_in);
		stats_error(error, y + t * d_out, y_hat, d_out);
	}
	if (rc == 0) {
		stream_stats_add(&stats, y, d_out, text->counts, n);
		variance = stream_stats_variance(&stats);
		for (size_t i = 0; i < d_out; i++)
			all += error[i];
		*fit = (struct fit){true, (double)nnz / (double)stats.n,
			variance > 0 ? all / variance : INFINITY};
	}
	stream_stats_clear(&stats);
	mem_free(acts);
	mem_free(error);
	mem_free(y_hat);
	return rc;
}

static int
try_rule(struct diagnosis *d, const struct trial *t, struct fit *fit, struct err *e)
{
	const struct diagnose_stream *s = &d->stream[t->at];
	const float *x = s->x, *y = s->y;
	size_t n_tokens = s->text->sample.n_tokens;
	struct sae changed = *d->s->sae;
	struct err *each = mem_new(d->p->n_threads, sizeof(*each));
	struct encoder c = {0};
	int rc = each == NULL ? err_set(e, ERR_NOMEM, "no memory to try a rule") : 0;

	if (t->change != NULL)
		t->change(d, &changed);
	if (t->input != NULL) {
		t->input(d, s);
		x = d->x;
		y = d->y;
	}
	if (rc == 0)
		rc = encoder_init(&c, &changed, d->p->n_threads, n_tokens, e);
	if (rc == 0)
		rc = encoder_run(&c, d->pool, x, (uint32_t)n_tokens, each, e);
	if (rc == 0)
		rc = measure(s->text, &c, x, y, fit, e);
	encoder_clear(&c);
	mem_free(each);
	return rc;
}

/* A change that changes nothing is the first trial again. */
static bool
is_other(const struct diagnosis *d, const struct trial *t)
{
	const struct sae *own = d->s->sae;
	struct sae s = *own;

	if (d->stream[t->at].x == NULL)
		return false;
	if (t->input == interleaved)
		return own->info.hook.site == HOOK_Z;
	if (t->input == scaled || t->input == scaled_back)
		return own->info.norm == SAE_NORM_NONE;
	if (t->change == NULL)
		return true;
	t->change(d, &s);
	return s.info.subtract_b_dec != own->info.subtract_b_dec ||
		s.info.center != own->info.center ||
		s.info.rescale_by_decoder_norm != own->info.rescale_by_decoder_norm ||
		s.info.norm != own->info.norm || s.threshold != own->threshold ||
		s.w_skip != own->w_skip;
}

/* ---- the answer ------------------------------------------------------------------ */

/* The share of the variance that it leaves, more for more features than own has. */
static double
score(const struct fit *fit, const struct fit *own)
{
	double more = own->l0 > 0 ? sqrt(fit->l0 / own->l0) : MOST_PENALTY;

	return fit->fvu * fmin(fmax(more, 1), MOST_PENALTY);
}

static size_t
best_of(const struct fit *fit)
{
	size_t best = 0;

	for (size_t i = 1; i < N_TRIALS; i++)
		if (fit[i].tried && score(&fit[i], fit) < score(&fit[best], fit))
			best = i;
	return score(&fit[best], fit) < CLEARLY * fit[0].fvu ? best : 0;
}

static void
print_answer(const struct diagnosis *d, const struct fit *fit, size_t best)
{
	const struct sae_info *n = &d->s->sae->info;

	printf("%s (%s) at %s: %zu tokens, mean |x| %.4g\n", d->s->name, d->s->dir,
		d->s->stream, d->text[0].sample.n_tokens,
		diagnose_mean_norm(&d->text[0], d->stream[AT_HOOK].x, n->d_in));
	printf("  rules: %s\n       L0      FVU\n", n->rules);
	for (size_t i = 0; i < N_TRIALS; i++)
		if (fit[i].tried)
			printf("%c %7.1f %8.4f  %s\n", i == best ? '*' : ' ', fit[i].l0,
				fit[i].fvu, trials[i].what);
	if (best == 0)
		printf("  its own rules fit best\n");
	else
		printf("  this fits better: %s: it leaves %.4f of the variance, its "
		       "own "
		       "rules %.4f\n",
			trials[best].what, fit[best].fvu, fit[0].fvu);
}

/* What trials change, as long as the longest stream. */
static int
make_room(struct diagnosis *d, struct err *e)
{
	const struct sae *s = d->s->sae;
	size_t d_in = s->info.d_in, d_out = s->info.d_out;
	size_t n = d->text[0].sample.n_tokens;

	d->x = mem_new_aligned(n * d_in, sizeof(*d->x));
	d->y = mem_new_aligned(n * d_out, sizeof(*d->y));
	d->threshold = mem_new_aligned(s->info.d_sae, sizeof(*d->threshold));
	if (s->w_skip != NULL)
		d->w_skip = mem_new_aligned(d_in * d_out, sizeof(*d->w_skip));
	if (d->x == NULL || d->y == NULL || d->threshold == NULL ||
		(s->w_skip != NULL && d->w_skip == NULL))
		return err_set(e, ERR_NOMEM, "no memory to try rules");
	return 0;
}

static int
diagnose_sae(struct diagnosis *d, size_t *n_other, struct err *e)
{
	struct fit fit[N_TRIALS] = {0};
	size_t best;
	int rc;

	if (d->s->sae->info.cross_layer)
		return err_set(e, ERR_UNSUPPORTED,
			"%s is a layer of a cross-layer transcoder: it gives only a "
			"part of what stands at %s, so no rule can be held against it",
			d->s->dir, d->s->sae->info.hook_out.name);
	rc = diagnose_streams(d, e);
	if (rc == 0)
		rc = make_room(d, e);
	for (size_t i = 0; rc == 0 && i < N_TRIALS; i++)
		if (is_other(d, &trials[i]))
			rc = try_rule(d, &trials[i], &fit[i], e);
	if (rc == 0) {
		best = best_of(fit);
		*n_other += best != 0;
		print_answer(d, fit, best);
	}
	diagnose_streams_clear(d);
	mem_free(d->x);
	mem_free(d->y);
	mem_free(d->threshold);
	mem_free(d->w_skip);
	return rc;
}

int
diagnose_run(const struct options *o, struct err *e)
{
	struct pool *pool = NULL;
	struct plan p;
	size_t n_other = 0;
	int rc = plan_open(&p, o, e);

	if (rc == 0)
		rc = pool_new(&pool, p.n_threads, e);
	for (uint32_t i = 0; rc == 0 && i < p.n_saes; i++) {
		struct diagnosis d = {.p = &p, .s = &p.sae[i], .pool = pool};

		rc = diagnose_sae(&d, &n_other, e);
	}
	if (rc == 0 && n_other > 0)
		rc = err_set(e, ERR_MISMATCH,
			"%zu of %" PRIu32
			" SAEs fit another rule better than their own",
			n_other, p.n_saes);
	pool_free(pool);
	plan_close(&p);
	return rc;
}
