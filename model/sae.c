/* SPDX-License-Identifier: ISC */
#include "model/sae.h"

#include "model/sae_int.h"
#include "util/hash.h"
#include "util/mem.h"
#include "util/paged.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
	[SAE_RELU] = "relu",
	[SAE_JUMPRELU] = "jumprelu",
	[SAE_TOPK] = "topk",
	[SAE_GATED] = "gated",
	[SAE_GROUPMAX] = "groupmax",
};

const char *
sae_kind_name(enum sae_kind kind)
{
	return kind_names[kind];
}

/* ---- what was applied, and the hash over it ------------------------------ */

static const char *const kind_rules[] = {
	[SAE_RELU] = "relu(pre)",
	[SAE_JUMPRELU] = "relu(pre) where pre > threshold",
	[SAE_TOPK] = "relu(pre) of the k largest pre, ties to the lowest index",
	[SAE_GATED] = "relu(dot * exp(r_mag) + b_mag) where dot + b_gate > 0",
	[SAE_GROUPMAX] = "relu(pre) of the largest pre in each of k groups side by "
			 "side, ties to the lowest index",
};

static const char *const norm_rules[] = {
	[SAE_NORM_NONE] = "",
	[SAE_NORM_CONSTANT] = "x * sqrt(d)/|x|; ",
	[SAE_NORM_LAYER] = "(x - mean)/(sd + 1e-5), sd unbiased; ",
};

/* Puts the line of rules in front of what the family has already noted. */
static void
write_rules(struct sae_info *n)
{
	char noted[320];

	snprintf(noted, sizeof(noted), "%.319s", n->rules);
	snprintf(n->rules, sizeof(n->rules), "float32; %s%s%s%s%s%s%s",
		n->center ? "x - mean(x); " : "", norm_rules[n->norm],
		n->subtract_b_dec ? "x - b_dec; " : "", kind_rules[n->kind],
		n->rescale_by_decoder_norm ? ", pre times |W_dec row|" : "",
		noted[0] ? "; " : "", noted);
}

static void
hash_floats(struct sha256 *h, const float *p, size_t n)
{
	uint64_t present = p ? n : 0;

	sha256_update(h, &present, sizeof(present));
	if (p)
		sha256_update(h, p, n * sizeof(*p));
}

static int
hash_canonical(struct sae *s, struct err *e)
{
	const struct sae_info *n = &s->info;
	size_t d = n->d_in, f = n->d_sae;
	uint32_t head[] = {(uint32_t)n->kind, n->d_in, n->d_sae, n->k};
	struct sha256 h;
	int rc = sha256_init(&h, e);

	if (rc < 0)
		return rc;
	sha256_update(&h, head, sizeof(head));
	sha256_update(&h, n->rules, strlen(n->rules) + 1);
	hash_floats(&h, s->w_enc, f * d);
	hash_floats(&h, s->b_enc, f);
	hash_floats(&h, s->w_dec, f * n->d_out);
	hash_floats(&h, s->b_dec, n->d_out);
	hash_floats(&h, s->threshold, f);
	hash_floats(&h, s->mag_scale, f);
	hash_floats(&h, s->mag_bias, f);
	if (s->w_skip)
		hash_floats(&h, s->w_skip, d * (n->d_out / n->n_targets));
	sha256_final(&h, s->hash);
	return 0;
}

/* What every kind needs and no file holds. */
static int
derive(struct sae *s, struct err *e)
{
	size_t d = s->info.d_in, f = s->info.d_sae;

	s->dec_norm = paged_new(f, sizeof(float), e);
	if (!s->dec_norm)
		return e->code;
	s->ones = mem_new_aligned(d, sizeof(float));
	if (!s->ones)
		return err_set(e, ERR_NOMEM, "memory ran out");
	for (size_t i = 0; i < f; i++) {
		paged_passed(s->info.d_out * sizeof(float));
		s->dec_norm[i] =
			kernel_norm(s->w_dec + i * s->info.d_out, s->info.d_out);
	}
	for (size_t i = 0; i < d; i++)
		s->ones[i] = 1;
	return kernel_rows_new(&s->rows, s->w_enc, f, d, e);
}

int
sae_open_with(struct sae **out, const char *path, const struct sae_options *options,
	struct err *e)
{
	const struct sae_options none = {0};
	struct err own = ERR_INIT;
	struct sae *s = mem_new(1, sizeof(*s));
	int rc;

	e = e ? e : &own;
	if (!s)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	rc = sae_family_load(s, path, options ? options : &none, e);
	if (rc == 0) {
		write_rules(&s->info);
		rc = hash_canonical(s, e);
	}
	if (rc == 0)
		rc = derive(s, e);
	if (rc < 0)
		sae_close(s);
	else
		*out = s;
	return rc;
}

int
sae_open(struct sae **out, const char *path, struct err *e)
{
	return sae_open_with(out, path, NULL, e);
}

void
sae_close(struct sae *s)
{
	if (!s)
		return;
	kernel_rows_free(s->rows);
	mem_free(s->w_enc);
	mem_free(s->b_enc);
	mem_free(s->w_dec);
	mem_free(s->b_dec);
	mem_free(s->w_skip);
	mem_free(s->threshold);
	mem_free(s->mag_scale);
	mem_free(s->mag_bias);
	mem_free(s->dec_norm);
	mem_free(s->ones);
	mem_free(s);
}
