/* SPDX-License-Identifier: ISC */
#include "indexer/inspect_odd.h"

#include "util/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_SLACK 0.02f /* a norm this near to 1 was meant to be 1 */
#define ALIGNED 0.1f /* below it, rows of encoder and decoder have nothing in common */
#define TINY 1e-6f /* of the median norm: a row that is not there */

__attribute__((format(printf, 2, 3))) static void
say(struct odd *o, const char *form, ...)
{
	va_list ap;

	if (o->n == ODD_MOST)
		return;
	va_start(ap, form);
	vsnprintf(o->text[o->n++], ODD_CHARS, form, ap);
	va_end(ap);
}

static int
by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* Sorts v. */
static struct odd_spread
spread_of(float *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return (struct odd_spread){n, v[0], v[n / 2], v[n - 1]};
}

static size_t
count_below(const float *sorted, size_t n, float limit)
{
	size_t i = 0;

	while (i < n && sorted[i] < limit)
		i++;
	return i;
}

static void
look_at_decoder(struct odd *o, float *norm, const struct sae *s)
{
	size_t n = s->info.d_sae, gone;

	memcpy(norm, s->dec_norm, n * sizeof(*norm));
	o->dec_norm = spread_of(norm, n);
	gone = count_below(norm, n, o->dec_norm.median * TINY + 1e-30f);
	if (gone > 0)
		say(o, "%zu decoder rows are zero: dead features", gone);
	if (fabsf(o->dec_norm.median - 1) > UNIT_SLACK)
		say(o,
			"decoder rows are not of unit norm: values of features are not "
			"to be compared with those of other SAEs");
	else if (norm[gone] < 1 - UNIT_SLACK || o->dec_norm.max > 1 + UNIT_SLACK)
		say(o, "some decoder rows are not of unit norm, most are");
}

static void
look_at_encoder(struct odd *o, float *norm, const struct sae *s)
{
	size_t n = s->info.d_sae, d = s->info.d_in, silent = 0;

	for (size_t i = 0; i < n; i++) {
		norm[i] = kernel_norm(s->w_enc + i * d, d);
		silent += norm[i] == 0 && s->b_enc[i] <= 0;
	}
	if (silent > 0)
		say(o, "%zu features can never fire: encoder row zero, bias not above",
			silent);
	o->enc_norm = spread_of(norm, n);
}

/* Encoder and decoder rows of one feature point alike in every trained SAE; they
 * do not when a matrix was read the wrong way round. */
static void
look_at_alignment(struct odd *o, float *cosine, const struct sae *s)
{
	size_t d = s->info.d_in, n = 0;

	if (s->info.transcoder)
		return;
	for (size_t i = 0; i < s->info.d_sae; i++) {
		const float *a = s->w_enc + i * d, *b = s->w_dec + i * d;
		float size = kernel_norm(a, d) * kernel_norm(b, d);

		if (size > 0)
			cosine[n++] = kernel_dot(a, b, d) / size;
	}
	if (n == 0)
		return;
	o->cosine = spread_of(cosine, n);
	if (o->cosine.median < ALIGNED)
		say(o,
			"encoder and decoder rows hardly align (median cosine %.3f): "
			"untrained, or a matrix the wrong way round",
			(double)o->cosine.median);
}

static void
look_at_threshold(struct odd *o, float *v, const struct sae *s)
{
	size_t n = s->info.d_sae, negative;

	if (!s->threshold)
		return;
	memcpy(v, s->threshold, n * sizeof(*v));
	o->threshold = spread_of(v, n);
	negative = count_below(v, n, 0);
	if (negative > 0)
		say(o,
			"%zu thresholds are negative: they act as 0, being met by a "
			"relu",
			negative);
	if (o->threshold.max == 0)
		say(o, "every threshold is 0: a plain relu");
}

static void
look_at_k(struct odd *o, const struct sae *s)
{
	if (s->info.kind == SAE_TOPK && s->info.k * (uint64_t)2 > s->info.d_sae)
		say(o, "k is %" PRIu32 " of %" PRIu32 " features: hardly sparse",
			s->info.k, s->info.d_sae);
}

/* SAELens loaded models with centred weights until then, and no config says so. */
static bool
before_raw(const char *version)
{
	unsigned major = 0, minor = 0, patch = 0;

	if (sscanf(version, "%u.%u.%u", &major, &minor, &patch) < 2)
		return true; /* older files do not tell */
	return major < 3 || (major == 3 && (minor < 19 || (minor == 19 && patch < 2)));
}

static void
look_at_training(struct odd *o, const struct sae *s)
{
	const struct sae_info *n = &s->info;

	if (strcmp(n->family, "saelens") == 0 && !n->center && !n->transcoder &&
		hook_in_stream(&n->hook) && before_raw(n->version))
		say(o,
			"trained before SAELens 3.19.2, which centred what models with "
			"LayerNorm write: diagnose tells whether its input was "
			"centred");
}

int
odd_find(struct odd *o, const struct sae *s, struct err *e)
{
	float *v = mem_new(s->info.d_sae, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, "no memory to look at an SAE");
	look_at_decoder(o, v, s);
	look_at_encoder(o, v, s);
	look_at_alignment(o, v, s);
	look_at_threshold(o, v, s);
	look_at_k(o, s);
	look_at_training(o, s);
	mem_free(v);
	return 0;
}
