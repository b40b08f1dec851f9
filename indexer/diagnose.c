/* SPDX-License-Identifier: ISC */
/*
 * FVU = sum |x - x_hat|^2 / sum |x - mean x|^2 over the tokens that count. A rule
 * that is not the one an SAE was trained with raises it, usually a lot; so the
 * rule with the lowest is the one to believe.
 */
#include "indexer/diagnose.h"

#include "indexer/encode.h"
#include "indexer/plan.h"
#include "indexer/sample.h"
#include "indexer/stats.h"
#include "util/mem.h"
#include "util/pool.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Another rule must leave this share of the error to be called better. */
#define CLEARLY 0.9
#define N_LAYERS 3 /* the hook's, the one below, the one above */

struct trial {
	const char *what; /* of what is other than the files say */
	int layer; /* -1, 0, 1: from the hook's */
	bool scaled; /* input times sqrt(d) / mean |x| */
	void (*change)(struct sae_info *n); /* NULL: nothing */
};

static void
b_dec_subtracted(struct sae_info *n)
{
	n->subtract_b_dec = true;
}

static void
b_dec_left(struct sae_info *n)
{
	n->subtract_b_dec = false;
}

static void
centred(struct sae_info *n)
{
	n->center = true;
}

static void
not_centred(struct sae_info *n)
{
	n->center = false;
}

static void
ranked_by_norm(struct sae_info *n)
{
	n->rescale_by_decoder_norm = n->kind == SAE_TOPK;
}

static void
ranked_alone(struct sae_info *n)
{
	n->rescale_by_decoder_norm = false;
}

static void
norm_none(struct sae_info *n)
{
	n->norm = SAE_NORM_NONE;
}

static void
norm_constant(struct sae_info *n)
{
	n->norm = SAE_NORM_CONSTANT;
}

static void
norm_layer(struct sae_info *n)
{
	n->norm = SAE_NORM_LAYER;
}

static const struct trial trials[] = {
	{"as its files say", 0, false, NULL},
	{"b_dec subtracted from the input", 0, false, b_dec_subtracted},
	{"b_dec not subtracted from the input", 0, false, b_dec_left},
	{"input centred: its mean over dimensions removed", 0, false, centred},
	{"input not centred", 0, false, not_centred},
	{"ranked by pre times the decoder row's norm", 0, false, ranked_by_norm},
	{"ranked by pre alone", 0, false, ranked_alone},
	{"input not normalised", 0, false, norm_none},
	{"input scaled to norm sqrt(d), each token", 0, false, norm_constant},
	{"input with mean 0 and deviation 1, each token", 0, false, norm_layer},
	{"input scaled to norm sqrt(d) on average (an unfolded SAE)", 0, true, NULL},
	{"the hook one layer below", -1, false, NULL},
	{"the hook one layer above", 1, false, NULL},
};
#define N_TRIALS (sizeof(trials) / sizeof(trials[0]))

struct fit {
	bool tried;
	double l0, fvu;
};

/* One SAE and the streams it is tried on. */
struct diagnosis {
	const struct plan *p;
	const struct plan_sae *s;
	struct pool *pool;
	struct sample sample;
	uint8_t *counts; /* (n_tokens) */
	/* What it reads, (n_tokens, d_in), and what it is to give, (n_tokens, d_out):
	 * the same but for transcoders. NULL: there is no such layer. */
	float *x[N_LAYERS], *y[N_LAYERS];
	float *scaled; /* (n_tokens, d_in) */
	struct fit fit[N_TRIALS];
};

/* ---- the streams --------------------------------------------------------------- */

static bool
neighbor_hook(const struct lm *m, const struct hook *at, int layer, struct hook *out)
{
	struct err e = ERR_INIT;
	int64_t wanted = (int64_t)at->layer + layer;

	*out = *at;
	if (layer == 0)
		return true;
	if (wanted < 0)
		return false;
	hook_move(out, (uint32_t)wanted);
	return lm_check_hook(m, out, &e) == 0;
}

static int
run_model(struct diagnosis *d, struct err *e)
{
	const struct sample *s = &d->sample;
	const struct sae_info *n = &d->s->sae->info;
	struct hook hook[2 * N_LAYERS];
	float *out[2 * N_LAYERS];
	struct lm_work *w = NULL;
	size_t n_hooks = 0;
	int rc = 0;

	for (int i = 0; i < N_LAYERS; i++) {
		struct hook *at = &hook[n_hooks];

		if (!neighbor_hook(d->p->lm, &n->hook, i - 1, at) ||
			!neighbor_hook(d->p->lm, &n->hook_out, i - 1, at + 1))
			continue;
		d->x[i] = mem_new_aligned(s->n_tokens * n->d_in, sizeof(*d->x[i]));
		d->y[i] = n->transcoder
			? mem_new_aligned(s->n_tokens * n->d_out, sizeof(*d->y[i]))
			: d->x[i];
		if (d->x[i] == NULL || d->y[i] == NULL)
			return err_set(e, ERR_NOMEM, "no memory for %zu tokens",
				s->n_tokens);
		out[n_hooks++] = d->x[i];
		if (n->transcoder)
			out[n_hooks++] = d->y[i];
	}
	rc = lm_work_new(&w, d->p->lm, s->n_tokens, e);
	if (rc == 0)
		rc = lm_forward(d->p->lm, w, s->id, s->window_start, s->n_windows, hook,
			n_hooks, out, e);
	lm_work_free(w);
	return rc;
}

static int
read_text(struct diagnosis *d, struct err *e)
{
	const struct plan_group *g = &d->p->group[d->s->group];
	const struct cut_rule rule = {.context = g->context,
		.prepend_bos = g->prepend_bos,
		.bos = tok_bos(d->p->tok),
		.max_tokens = d->p->options->sample};
	int rc = sample_read(&d->sample, d->p->options, d->p->tok, &rule, e);

	if (rc < 0)
		return rc;
	d->counts = mem_new(d->sample.n_tokens, 1);
	d->scaled = mem_new_aligned(d->sample.n_tokens * d->s->sae->info.d_in,
		sizeof(*d->scaled));
	if (d->counts == NULL || d->scaled == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %zu tokens",
			d->sample.n_tokens);
	for (size_t t = 0; t < d->sample.n_tokens; t++)
		d->counts[t] = !d->p->excluded[d->sample.id[t]];
	return 0;
}

static double
mean_norm(const struct diagnosis *d, const float *x)
{
	size_t n = 0, d_in = d->s->sae->info.d_in;
	double sum = 0;

	for (size_t t = 0; t < d->sample.n_tokens; t++)
		if (d->counts[t]) {
			sum += (double)kernel_norm(x + t * d_in, d_in);
			n++;
		}
	return n > 0 ? sum / (double)n : 0;
}

/* ---- one rule ------------------------------------------------------------------- */

/* What reconstruction leaves of y, by the activations in c and what was read. */
static int
measure(const struct diagnosis *d, const struct encoder *c, const float *x,
	const float *y, struct fit *fit, struct err *e)
{
	size_t d_in = c->sae->info.d_in, d_out = c->sae->info.d_out;
	size_t n = d->sample.n_tokens, nnz = 0;
	struct stream_stats stats;
	struct sae_act *acts = mem_new(c->sae->info.d_sae, sizeof(*acts));
	double *error = mem_new(d_out, sizeof(*error)), all = 0, variance;
	float *y_hat = mem_new_aligned(d_out, sizeof(*y_hat));
	int rc = stream_stats_init(&stats, d_out, e);

	if (acts == NULL || error == NULL || y_hat == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to reconstruct");
	for (size_t t = 0; rc == 0 && t < n; t++) {
		uint32_t from = c->acts.row_start[t], to = c->acts.row_start[t + 1];

		if (!d->counts[t])
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
		stream_stats_add(&stats, y, d_out, d->counts, n);
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
	const float *x = d->x[1 + t->layer], *y = d->y[1 + t->layer];
	struct sae changed = *d->s->sae;
	struct err *each = mem_new(d->p->n_threads, sizeof(*each));
	struct encoder c = {0};
	int rc = each == NULL ? err_set(e, ERR_NOMEM, "no memory to try a rule") : 0;

	if (t->change != NULL)
		t->change(&changed.info);
	if (t->scaled) {
		size_t n = d->sample.n_tokens * changed.info.d_in;
		double norm = mean_norm(d, x);
		float by = norm > 0 ? (float)(sqrt(changed.info.d_in) / norm) : 1;

		for (size_t i = 0; i < n; i++)
			d->scaled[i] = x[i] * by;
		x = y = d->scaled;
	}
	if (rc == 0)
		rc = encoder_init(&c, &changed, d->p->n_threads, d->sample.n_tokens, e);
	if (rc == 0)
		rc = encoder_run(&c, d->pool, x, (uint32_t)d->sample.n_tokens, each, e);
	if (rc == 0)
		rc = measure(d, &c, x, y, fit, e);
	encoder_clear(&c);
	mem_free(each);
	return rc;
}

/* A change that changes nothing is the first trial again. */
static bool
is_other(const struct diagnosis *d, const struct trial *t)
{
	struct sae_info n = d->s->sae->info;

	if (d->x[1 + t->layer] == NULL || (t->scaled && n.transcoder))
		return false;
	if (t->change == NULL)
		return true;
	t->change(&n);
	return n.subtract_b_dec != d->s->sae->info.subtract_b_dec ||
		n.center != d->s->sae->info.center ||
		n.rescale_by_decoder_norm != d->s->sae->info.rescale_by_decoder_norm ||
		n.norm != d->s->sae->info.norm;
}

/* ---- the answer ------------------------------------------------------------------ */

static size_t
best_of(const struct fit *fit)
{
	size_t best = 0;

	for (size_t i = 1; i < N_TRIALS; i++)
		if (fit[i].tried && fit[i].fvu < fit[best].fvu)
			best = i;
	return fit[best].fvu < CLEARLY * fit[0].fvu ? best : 0;
}

static void
print_answer(const struct diagnosis *d, size_t best)
{
	const struct sae_info *n = &d->s->sae->info;

	printf("%s (%s) at %s: %zu tokens, mean |x| %.4g\n", d->s->name, d->s->dir,
		d->s->stream, d->sample.n_tokens, mean_norm(d, d->x[1]));
	printf("  rules: %s\n       L0      FVU\n", n->rules);
	for (size_t i = 0; i < N_TRIALS; i++)
		if (d->fit[i].tried)
			printf("%c %7.1f %8.4f  %s\n", i == best ? '*' : ' ',
				d->fit[i].l0, d->fit[i].fvu, trials[i].what);
	if (best == 0)
		printf("  its own rules fit best\n");
	else
		printf("  this fits better: %s: it leaves %.4f of the variance, its "
		       "own "
		       "rules %.4f\n",
			trials[best].what, d->fit[best].fvu, d->fit[0].fvu);
}

static int
diagnose_sae(struct diagnosis *d, size_t *n_other, struct err *e)
{
	size_t best;
	int rc;

	if (d->s->sae->info.cross_layer)
		return err_set(e, ERR_UNSUPPORTED,
			"%s is a layer of a cross-layer transcoder: it gives only a "
			"part of what stands at %s, so no rule can be held against it",
			d->s->dir, d->s->sae->info.hook_out.name);
	rc = read_text(d, e);
	if (rc == 0)
		rc = run_model(d, e);
	for (size_t i = 0; rc == 0 && i < N_TRIALS; i++)
		if (is_other(d, &trials[i]))
			rc = try_rule(d, &trials[i], &d->fit[i], e);
	if (rc == 0) {
		best = best_of(d->fit);
		*n_other += best != 0;
		print_answer(d, best);
	}
	sample_clear(&d->sample);
	mem_free(d->counts);
	mem_free(d->scaled);
	for (int i = 0; i < N_LAYERS; i++) {
		if (d->y[i] != d->x[i])
			mem_free(d->y[i]);
		mem_free(d->x[i]);
	}
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
