/* SPDX-License-Identifier: ISC */
/*
 * sae_int: what sae.c and the families sae_*.c share and nobody else includes.
 */
#ifndef MODEL_SAE_INT_H
#define MODEL_SAE_INT_H

#include "model/json.h"
#include "model/sae.h"
#include "model/tensors.h"
#include "util/file.h"

#define SAE_CFG_MAX_BYTES ((size_t)16 << 20)
#define SAE_CFG_MAX_DEPTH 64
#define SAE_DIM_MAX (1u << 28)

/* ---- one directory being loaded ------------------------------------------ */

struct sae_loading {
	struct sae *s;
	const struct sae_options *options;
	const char *family;
	char dir[PATH_BYTES]; /* that holds the config and the weights */
	char path[PATH_BYTES]; /* of the weights */
	struct js_doc cfg; /* root is NULL where the family has none */
	struct tensors *t, *more; /* more: a second file of weights, or NULL */
	const char
		*says; /* who tells the shapes, for errors: the config or the weights */
};

/* sae_family.c: finds the family, loads, and hashes the weights. */
int sae_family_load(struct sae *s, const char *path, const struct sae_options *options,
	struct err *e);
/* Opens dir/name as the config; absent is fine and leaves root NULL. */
int sae_config(struct sae_loading *l, const char *name, struct err *e);
/* The weights' path from the root on: of families without a config it tells things. */
int sae_full_path(const struct sae_loading *l, char out[PATH_BYTES], struct err *e);
/* Adds to info.rules. */
void sae_note(struct sae_loading *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The families: each fills info and the tensors from l->cfg and l->t. */
int saelens_load(struct sae_loading *l, struct err *e);
int sparsify_load(struct sae_loading *l, struct err *e);
int gemma_load(struct sae_loading *l, struct err *e);
int gemma2_load(struct sae_loading *l, struct err *e);
int dictionary_load(struct sae_loading *l, struct err *e);
int openai_load(struct sae_loading *l, struct err *e);
int goodfire_load(struct sae_loading *l, struct err *e);
int qresearch_load(struct sae_loading *l, struct err *e);
int qwen_load(struct sae_loading *l, struct err *e);
int llama_scope_load(struct sae_loading *l, struct err *e);
int llama_distill_load(struct sae_loading *l, struct err *e);
int llamascopium_load(struct sae_loading *l, struct err *e);
int circuit_load(struct sae_loading *l, struct err *e);
int circuit_clt_load(struct sae_loading *l, struct err *e);
int gemma_clt_load(struct sae_loading *l, struct err *e);

/* What circuit-tracer's config.yaml says; "" for what it does not, or when there is
 * none. kind: the model_kind that it must be. */
struct circuit_config {
	char kind[64], in[96], out[96], model[128], k[16];
};
int circuit_config(const struct sae_loading *l, const char *kind,
	struct circuit_config *y, struct err *e);
int circuit_hooks(struct sae_loading *l, const struct circuit_config *y, bool known,
	uint32_t layer, struct err *e);
int circuit_check_threshold(const struct sae_loading *l, struct err *e);

/* ---- sae_hook.c ----------------------------------------------------------- */

/* said: TransformerLens' name, or a Hugging Face module's path with .output or
 * .input behind it; "" or NULL when no file tells, which needs the option. where
 * names the file and key. */
int sae_hook_in(struct sae_loading *l, const char *said, const char *where,
	struct err *e);
int sae_hook_out(struct sae_loading *l, const char *said, const char *where,
	struct err *e);
/* The number that stands behind what in a path, such as "layer_"; the last one.
 * False when there is none. */
bool sae_path_number(const char *path, const char *what, uint32_t *out);

/* ---- sae_parts.c: tensors to their places --------------------------------- */

enum sae_axis { AXIS_NONE, AXIS_IN, AXIS_SAE, AXIS_OUT };

/* One tensor of the file and where it goes. */
struct sae_part {
	const char *name;
	enum sae_axis axis[2]; /* as in the file */
	float **to;
	bool transpose;
};

/* d_sae and d_out from the lengths of two biases, d_in from the encoder's other
 * dimension. */
int sae_dims(struct sae_loading *l, const char *enc, const char *enc_bias,
	const char *dec_bias, struct err *e);
/* ERR_FORMAT unless d_in, d_sae and d_out are sane. */
int sae_check_dims(const struct sae_loading *l, struct err *e);
/* Loads the parts, the first of which is the encoder, and refuses any other
 * tensor of the file but those in ignored (ends with NULL; "x.*" is a prefix). */
int sae_parts(struct sae_loading *l, const struct sae_part *parts, size_t n,
	const char *const *ignored, struct err *e);
/* For a matrix that files store either way: sets axis and transpose by its shape.
 * rows and cols as saedb keeps it. ERR_UNSUPPORTED where both fit. */
int sae_orient(const struct sae_loading *l, struct sae_part *p, enum sae_axis rows,
	enum sae_axis cols, struct err *e);
/* A tensor of one value, or a number beside the tensors; *found false when there
 * is none of that name. */
int sae_scalar(const struct sae_loading *l, const char *name, double *out, bool *found,
	struct err *e);
/* A threshold of n equal values. new: into s->threshold. */
int sae_threshold_fill(struct sae *s, float value, struct err *e);
/* b_dec or b_enc of zeros, where a family may leave it out. */
int sae_zeros(float **to, size_t n, struct err *e);
/* ERR_MISMATCH unless 1 <= k <= d_sae (and, for GroupMax, k divides d_sae). */
int sae_check_k(const struct sae_loading *l, struct err *e);

/* w_enc times in, w_dec and b_dec by out: what was trained on scaled activations,
 * for activations as they are. */
void sae_fold_scale(struct sae *s, float in, float out);
/* Rows of w_enc and b_enc times the norms of the rows of w_dec, which become
 * unit. */
void sae_fold_norms(struct sae *s);

#endif
