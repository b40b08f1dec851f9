/* SPDX-License-Identifier: ISC */
/*
 * Rotary positions. Frequencies and angles are computed in float32, step by
 * step as transformers does: at position 4,000 the last bit of a frequency is
 * already 10^-4 of a radian. Powers, cosines and sines are rounded from double,
 * so that they do not depend on the C library's float versions.
 */
#include "model/lm_int.h"
#include "util/mem.h"

#include <math.h>
#include <string.h>

#define TWO_PI 6.283185307179586

struct scaling {
	char type[32];
	double theta, partial;
	double factor, low, high, trained; /* those that the type has */
};

int
lm_rope_params(const struct lm_config *c, const struct js **out, struct err *e)
{
	static const char *const keys[] = {"rope_scaling", "rope_parameters"};

	*out = NULL;
	for (size_t i = 0; i < 2; i++) {
		const struct js *v = js_get(c->c, keys[i]);

		if (js_type(v) == JS_ABSENT || js_type(v) == JS_NULL)
			continue;
		if (js_type(v) != JS_OBJECT)
			return err_set(e, ERR_FORMAT, "%s: \"%s\" must be an object",
				c->doc->name, keys[i]);
		if (js_n(v) > 0 && !*out)
			*out = v;
	}
	return 0;
}

/* A number that is there and above 0. */
static int
need_positive(const struct lm_config *c, const struct js *v, const char *key,
	double *out, struct err *e)
{
	int rc = js_opt_f64(c->doc, v, key, NAN, out, e);

	if (rc == 0 && !(*out > 0 && isfinite(*out)))
		rc = err_set(e, ERR_FORMAT,
			"%s: \"%s\" of the RoPE settings must be a number above 0",
			c->doc->name, key);
	return rc;
}

/* The type, by either of its names. */
static int
read_type(const struct lm_config *c, const struct js *v, struct scaling *s,
	struct err *e)
{
	const char *key = js_get(v, "rope_type") ? "rope_type" : "type";

	if (js_get(v, "full_attention") || js_get(v, "sliding_attention"))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: RoPE settings for each type of layer are not supported "
			"for this family",
			c->doc->name);
	return js_opt_str(c->doc, v, key, "default", s->type, sizeof(s->type), e);
}

/* transformers takes the length the model was trained at from beside the
 * settings, from the settings, or from the model's own length. */
static int
read_llama3(const struct lm_config *c, const struct js *v, struct scaling *s,
	struct err *e)
{
	static const char key[] = "original_max_position_embeddings";
	const struct js *from = js_get(c->c, key) ? c->c : v;
	int rc = need_positive(c, v, "low_freq_factor", &s->low, e);

	if (rc == 0)
		rc = need_positive(c, v, "high_freq_factor", &s->high, e);
	if (rc == 0)
		rc = js_get(from, key)
			? need_positive(c, from, key, &s->trained, e)
			: need_positive(c, c->c, "max_position_embeddings", &s->trained,
				  e);
	if (rc == 0 && !(s->high > s->low))
		rc = err_set(e, ERR_FORMAT,
			"%s: \"high_freq_factor\" of the RoPE settings must be above "
			"\"low_freq_factor\"",
			c->doc->name);
	return rc;
}

/* "dynamic" changes nothing for windows up to the length the model takes. */
static int
read_scaling(const struct lm_config *c, const struct js *v, struct scaling *s,
	struct err *e)
{
	int rc;

	s->factor = 1;
	if (strcmp(s->type, "default") == 0)
		return 0;
	if (strcmp(s->type, "linear") != 0 && strcmp(s->type, "dynamic") != 0 &&
		strcmp(s->type, "llama3") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: rope_type \"%s\" is not supported (default, linear, "
			"dynamic and llama3 are)",
			c->doc->name, s->type);
	rc = need_positive(c, v, "factor", &s->factor, e);
	if (rc == 0 && strcmp(s->type, "llama3") == 0)
		rc = read_llama3(c, v, s, e);
	return rc;
}

static int
read_settings(const struct lm_config *c, const struct lm_rope_from *from,
	struct scaling *s, struct err *e)
{
	const struct js *v = from->params;
	const struct js *at = js_get(v, "rope_theta") ? v : c->c;
	const char *key = at == v ? "rope_theta" : from->theta_key;
	int rc = js_opt_f64(c->doc, at, key, from->theta, &s->theta, e);

	if (rc == 0 && !(s->theta > 0 && isfinite(s->theta)))
		rc = err_set(e, ERR_FORMAT, "%s: \"%s\" must be above 0, not %g",
			c->doc->name, key, s->theta);
	at = js_get(v, "partial_rotary_factor") || !from->partial_key ? v : c->c;
	key = at == v ? "partial_rotary_factor" : from->partial_key;
	if (rc == 0)
		rc = js_opt_f64(c->doc, at, key, from->partial, &s->partial, e);
	if (rc == 0 && !from->partial_key && s->partial != 1)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: partial_rotary_factor %g is not supported for this family",
			c->doc->name, s->partial);
	if (rc == 0)
		rc = read_type(c, v, s, e);
	return rc == 0 ? read_scaling(c, v, s, e) : rc;
}

/* Long waves are stretched by the factor, short ones are left, and between
 * them it goes over smoothly. */
static float
llama3_freq(const struct scaling *s, float freq)
{
	float factor = (float)s->factor, low = (float)s->low;
	float wave = (float)TWO_PI / freq, smooth;

	if (wave < (float)(s->trained / s->high))
		return freq;
	if (wave > (float)(s->trained / s->low))
		return freq / factor;
	smooth = ((float)s->trained / wave - low) / (float)(s->high - s->low);
	return (1.0f - smooth) * freq / factor + smooth * freq;
}

static float
freq_of(const struct scaling *s, uint32_t i, uint32_t n_rotary)
{
	float exponent = (float)(2 * i) / (float)n_rotary;
	float freq = 1.0f / (float)pow((double)(float)s->theta, (double)exponent);

	if (strcmp(s->type, "linear") == 0)
		return freq / (float)s->factor;
	return strcmp(s->type, "llama3") == 0 ? llama3_freq(s, freq) : freq;
}

int
lm_rope_init(struct lm_rope *r, const struct lm *m, const struct lm_config *c,
	const struct lm_rope_from *from, struct err *e)
{
	uint32_t d_head = m->info.d_head;
	struct scaling s = {0};
	int rc = read_settings(c, from, &s, e);

	if (rc < 0)
		return rc;
	if (!(s.partial > 0 && s.partial <= 1))
		return err_set(e, ERR_FORMAT,
			"%s: the part of a head that turns must lie between 0 and 1, "
			"not %g",
			c->doc->name, s.partial);
	r->n_rotary = (uint32_t)(d_head * s.partial);
	if (r->n_rotary == 0 || r->n_rotary % 2 != 0)
		return err_set(e, ERR_FORMAT,
			"%s: %u of the %u dimensions of a head (head_dim) would turn "
			"with the position; their number must be even and above 0",
			c->doc->name, r->n_rotary, d_head);
	r->freq = mem_new(r->n_rotary / 2, sizeof(*r->freq));
	if (!r->freq)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", c->doc->name);
	for (uint32_t i = 0; i < r->n_rotary / 2; i++)
		r->freq[i] = freq_of(&s, i, r->n_rotary);
	return 0;
}

void
lm_rope_table(const struct lm_rope *r, size_t n, float *cos_of, float *sin_of)
{
	size_t half = r->n_rotary / 2;

	for (size_t t = 0; t < n; t++) {
		for (size_t i = 0; i < half; i++) {
			float angle = (float)t * r->freq[i];

			cos_of[t * half + i] = (float)cos((double)angle);
			sin_of[t * half + i] = (float)sin((double)angle);
		}
	}
}

int
lm_rope_plain(struct lm *m, const struct lm_config *c, struct err *e)
{
	struct lm_rope_from from = {.theta_key = "rope_theta",
		.theta = 10000,
		.partial = 1};
	int rc = lm_rope_params(c, &from.params, e);

	return rc == 0 ? lm_rope_init(&m->rope[0], m, c, &from, e) : rc;
}
