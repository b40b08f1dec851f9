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

enum sae_kind { SAE_RELU, SAE_JUMPRELU, SAE_TOPK, SAE_GATED, SAE_GROUPMAX };
enum sae_norm { SAE_NORM_NONE, SAE_NORM_CONSTANT, SAE_NORM_LAYER };

/* What stands beside the files of a release, where SAELens lists it. */
struct sae_given {
	bool center; /* it reads the stream less its mean */
	bool constant_norm; /* normalize_activations is constant_norm_rescale */
	double scale; /* what activations were multiplied by in training; 0: not told */
	const char *
		site; /* where in a layer it reads, if its files do not tell; or NULL */
};

struct sae_info {
	char family[24]; /* "saelens", as in sae_family_at() */
	char version[24]; /* of the library that wrote it, as recorded, or "" */
	char architecture[32]; /* as its files say: "standard", "topk", ... */
	enum sae_kind kind;
	uint32_t d_in, d_sae;
	uint32_t d_out; /* what decoding gives: d_in, but for transcoders */
	uint32_t k; /* TopK; GroupMax: the number of groups */
	/* The model's stream is centred first: its mean over d_in is removed
	 * (TransformerLens' center_writing_weights). */
	bool center;
	enum sae_norm norm; /* what is done to the input before b_dec */
	bool subtract_b_dec;
	bool rescale_by_decoder_norm; /* TopK ranks by pre * ||W_dec_i|| and stores that */
	bool prepend_bos;
	uint32_t context_size;
	bool hook_given; /* by the options, not by the files */
	bool saelens_rule; /* as the options asked */
	struct sae_given given; /* as the options said, where it was made use of */
	bool transcoder; /* what decoding gives stands at hook_out, not at hook */
	struct hook hook, hook_out;
	/* A layer of a cross-layer transcoder (then transcoder too) gives to n_targets
	 * layers, from hook_out's on: their rows lie end to end. It gives only a part:
	 * the layers below it give the rest. The others have one target. */
	bool cross_layer;
	uint32_t n_targets;
	char model_name[128];
	char dtype_file[12]; /* of W_enc in the file */
	char rules[512]; /* one line: every rule applied on loading and encoding */
};

struct sae {
	struct sae_info info;
	float *w_enc; /* (d_sae, d_in), one row per feature; owned */
	float *b_enc; /* (d_sae); gated: b_gate */
	float *w_dec; /* (d_sae, d_out), one row per feature */
	float *b_dec; /* (d_out); cross-layer: of the first target, then 0 */
	float *w_skip; /* (d_out / n_targets, d_in), to the first; skip transcoders only */
	float *threshold; /* (d_sae), JumpReLU only, else NULL */
	float *mag_scale; /* (d_sae) exp(r_mag), gated only, else NULL */
	float *mag_bias; /* (d_sae) b_mag, gated only, else NULL */
	float *dec_norm; /* (d_sae) kernel_norm of each row of w_dec */
	float *ones; /* (d_in) of 1, for canonical sums */
	/* SHA-256 of the canonical float32 tensors and the rules: what labels are
	 * keyed by. */
	uint8_t hash[32];
	/* SHA-256 of the weights file; where they are two, of the hashes of both. */
	uint8_t file_hash[32];
	struct kernel_rows *rows; /* w_enc, prepared */
};

/* What the files cannot tell, or are overruled in. */
struct sae_options {
	const char *hook; /* NULL: as the files say */
	/* Llama Scope: fire where SAELens does, not where its authors do. */
	bool saelens_rule;
	struct sae_given given;
};

/* path: a directory as a family leaves it, or the weights' file there
 * when there are several. options may be NULL. new: sae_close(). */
int sae_open(struct sae **out, const char *path, struct err *e);
int sae_open_with(struct sae **out, const char *path, const struct sae_options *options,
	struct err *e);
void sae_close(struct sae *s);

/* A kind of directory that holds an SAE. */
struct sae_family {
	const char *name;
	const char *needs; /* the files by which it is known */
	const char *kinds; /* which of them, by the names of sae_kind_name */
};
const struct sae_family *sae_family_at(size_t i); /* NULL past the last */
const char *sae_kind_name(enum sae_kind kind);
/* Where target i < n_targets stands. */
void sae_target(const struct sae_info *n, uint32_t i, struct hook *out);
/* Where what it gives stands, in one word: "blocks.3.hook_mlp_out", of several
 * layers "blocks.3-11.hook_mlp_out". */
void sae_gives(const struct sae_info *n, char *out, size_t size);
/* Whether it chooses among features: then hits are candidates until
 * sae_topk_merge() has decided, and at most k stay for a token. */
bool sae_chooses(const struct sae *s);

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
 * x_hat = x_hat' * scale + shift (1 and 0 for transcoders). */
void sae_prepare(const struct sae *s, float *y, const float *x, size_t m, float *scale,
	float *shift);

/* Encodes prepared tokens y (m, d_in) for the features in [first, first +
 * count): appends hits (query = token, row = feature, value = activation > 0),
 * ordered by (token, feature). For TopK these are candidates: the k best of the
 * range, for GroupMax the best of each group; sae_topk_merge() decides among
 * ranges. */
int sae_encode_range(const struct sae *s, struct kernel_hits *out, const float *y,
	size_t m, uint32_t first, uint32_t count, struct sae_work *w, struct err *e);
/* TopK: of the candidates of one token from all ranges (any order), keeps the k
 * largest by (value descending, feature ascending), drops those not above 0,
 * and orders them by feature. GroupMax: the largest of each group likewise.
 * Returns how many stay. */
size_t sae_topk_merge(const struct sae *s, struct kernel_hit *hits, size_t n);

/* x_hat (d_out) of one token from its active features, normalisation undone. */
void sae_decode(const struct sae *s, float *x_hat, const struct sae_act *acts, size_t n,
	float scale, float shift);
/* What decoder rows [first, first + n) add to the stream, out (n, d_model): where
 * there are several targets the sum over them, in their order. */
int sae_directions(const struct sae *s, const struct lm *m, uint32_t first, uint32_t n,
	float *out, struct err *e);
/* Adds what a skip transcoder passes on of the raw token x (d_in); nothing for
 * the others. */
void sae_skip(const struct sae *s, float *x_hat, const float *x);

/* The plainest path in the code, for verify: all d_sae activations of one raw
 * token x (d_in), by kernel_dot alone. out (d_sae). */
void sae_encode_plain(const struct sae *s, const float *x, float *out);
/* The same for features[0..n) alone: out (n). */
void sae_encode_plain_some(const struct sae *s, const float *x,
	const uint32_t *features, size_t n, float *out);

#endif
