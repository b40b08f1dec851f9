/* SPDX-License-Identifier: ISC */
/*
 * sae: a sparse autoencoder lowered to one canonical form, whatever its family
 * and files. Read-only after sae_open.
 */
#ifndef MODEL_SAE_H
#define MODEL_SAE_H

#include "kernel/kernel.h"
#include "model/lm.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sae_kind { SAE_RELU, SAE_JUMPRELU, SAE_TOPK, SAE_GATED };
enum sae_norm { SAE_NORM_NONE, SAE_NORM_CONSTANT, SAE_NORM_LAYER };

struct sae_info {
	char family[24]; /* "saelens" */
	char version[24]; /* of the library that wrote it, as recorded, or "" */
	char architecture[32]; /* as its files say: "standard", "topk", ... */
	enum sae_kind kind;
	uint32_t d_in, d_sae;
	uint32_t k; /* TopK only */
	/* The model's stream is centred first: its mean over d_in is removed
	 * (TransformerLens' center_writing_weights). */
	bool center;
	enum sae_norm norm; /* what is done to the input before b_dec */
	bool subtract_b_dec;
	bool rescale_by_decoder_norm; /* TopK ranks by pre * ||W_dec_i|| and stores that */
	bool prepend_bos;
	uint32_t context_size;
	struct hook hook;
	char model_name[128];
	char dtype_file[12]; /* of W_enc in the file */
	char rules[256]; /* one line: every rule applied on loading and encoding */
};

struct sae {
	struct sae_info info;
	float *w_enc; /* (d_sae, d_in), one row per feature; owned */
	float *b_enc; /* (d_sae); gated: b_gate */
	float *w_dec; /* (d_sae, d_in), one row per feature */
	float *b_dec; /* (d_in) */
	float *threshold; /* (d_sae), JumpReLU only, else NULL */
	float *mag_scale; /* (d_sae) exp(r_mag), gated only, else NULL */
	float *mag_bias; /* (d_sae) b_mag, gated only, else NULL */
	float *dec_norm; /* (d_sae) kernel_norm of each row of w_dec */
	float *ones; /* (d_in) of 1, for canonical sums */
	/* SHA-256 of the canonical float32 tensors and the rules: what labels are
	 * keyed by. */
	uint8_t hash[32];
	uint8_t file_hash[32]; /* SHA-256 of the weights file */
	struct kernel_rows *rows; /* w_enc, prepared */
};

/* dir: cfg.json and sae_weights.safetensors (SAELens v6). new: sae_close(). */
int sae_open(struct sae **out, const char *dir, struct err *e);
void sae_close(struct sae *s);
const char *sae_kind_name(enum sae_kind kind);

/* One active feature at one token. */
struct sae_act {
	uint32_t feature;
	float value;
};

/* Scratch of one thread. */
struct sae_work;
int sae_work_new(struct sae_work **out, const struct sae *s, struct err *e);
void sae_work_free(struct sae_work *w);

/* What the encoder reads: normalised, b_dec subtracted (d_in each). scale and
 * shift, (m) each or NULL, are what decoding must undo:
 * x_hat = x_hat' * scale + shift. */
void sae_prepare(const struct sae *s, float *y, const float *x, size_t m, float *scale,
	float *shift);

/* Encodes prepared tokens y (m, d_in) for the features in [first, first +
 * count): appends hits (query = token, row = feature, value = activation > 0),
 * ordered by (token, feature). For TopK these are candidates: the k best of the
 * range; sae_topk_merge() decides among ranges. */
int sae_encode_range(const struct sae *s, struct kernel_hits *out, const float *y,
	size_t m, uint32_t first, uint32_t count, struct sae_work *w, struct err *e);
/* TopK: of the candidates of one token from all ranges (any order), keeps the k
 * largest by (value descending, feature ascending), drops those not above 0,
 * and orders them by feature. Returns how many stay. */
size_t sae_topk_merge(const struct sae *s, struct kernel_hit *hits, size_t n);

/* x_hat (d_in) of one token from its active features, normalisation undone. */
void sae_decode(const struct sae *s, float *x_hat, const struct sae_act *acts, size_t n,
	float scale, float shift);

/* The plainest path in the code, for verify: all d_sae activations of one raw
 * token x (d_in), by kernel_dot alone. out (d_sae). */
void sae_encode_plain(const struct sae *s, const float *x, float *out);
/* The same for features[0..n) alone: out (n). */
void sae_encode_plain_some(const struct sae *s, const float *x,
	const uint32_t *features, size_t n, float *out);

#endif
