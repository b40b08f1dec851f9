/* SPDX-License-Identifier: ISC */
/*
 * lm_int: what lm.c and the families lm_*.c share and nobody else includes: a
 * loaded model, a thread's buffers, and what a family must be able to do.
 */
#ifndef MODEL_LM_INT_H
#define MODEL_LM_INT_H

#include "kernel/kernel.h"
#include "model/json.h"
#include "model/lm.h"
#include "model/tensors.h"

#define LM_BLOCK_ROWS 256 /* tokens that pass the MLP together */
#define LM_BLOCK_KEYS 64 /* queries and keys that attend together */

struct lm_norm {
	float *gain, *bias; /* (d_model) each */
};

struct lm_linear {
	struct kernel_packed *w;
	float *bias;
};

struct lm_layer {
	struct lm_norm norm1, norm2;
	struct lm_linear qkv; /* d_model to q | k | v, each head-major */
	struct lm_linear out; /* d_model to d_model */
	struct lm_linear up, down; /* d_model to d_mlp and back */
	float score_scale;
};

struct lm {
	struct lm_info info;
	const struct lm_family *family;
	char architecture[64];
	char dtype_file[12];
	struct tensors *tensors;
	const char *prefix; /* of tensor names: "" or "transformer." */
	float norm_eps;
	float *embed; /* (n_vocab, d_model) */
	float *position; /* (n_ctx, d_model) */
	float *unembed; /* (n_vocab, d_model), NULL: tied to embed */
	struct lm_norm final;
	struct lm_layer *layer;
};

struct lm_work {
	size_t max_tokens;
	float *x; /* (max_tokens, d_model): the residual stream */
	float *qkv; /* (max_tokens, 3 d_model) */
	float *z; /* (max_tokens, d_model): heads' outputs */
	float *norm; /* (LM_BLOCK_ROWS, d_model) */
	float *mid; /* (LM_BLOCK_ROWS, d_mlp) */
	float *add; /* (LM_BLOCK_ROWS, d_model): what is added to x */
	float *score; /* (LM_BLOCK_KEYS, n_ctx) */
	struct kernel_packed **keys, **values; /* (n_ctx / LM_BLOCK_KEYS) each */
};

/* One call's input and output, as in lm_forward(). */
struct lm_pass {
	const struct lm *m;
	struct lm_work *w;
	const uint32_t *ids;
	const uint32_t *window_start;
	size_t n_windows, n_tokens;
	const struct hook *hooks;
	size_t n_hooks;
	float *const *out;
};

struct lm_family {
	const char *model_type; /* of config.json */
	/* Fills m->info and what else config.json says. */
	int (*configure)(struct lm *m, const struct js_doc *config, struct err *e);
	int (*load)(struct lm *m, struct err *e);
	/* Runs the layers up to the last hook. */
	int (*forward)(const struct lm_pass *p, struct err *e);
};

extern const struct lm_family lm_gpt2;

/* For families, in lm.c. Copies the tensor "prefix name", of this shape
 * (n2 = 0: one dimension). *out is new: mem_free(). */
int lm_floats(struct lm *m, const char *name, size_t n1, size_t n2, float **out,
	struct err *e);
/* The tensor "prefix name" or NULL. */
const struct tensor *lm_tensor(const struct lm *m, const char *name);
/* Copies rows [from, from + n) of the stream at a site to every hook on it. */
void lm_tap(const struct lm_pass *p, enum hook_site site, uint32_t layer,
	const float *x, size_t from, size_t n);

/* lm_attn.c: causal attention of every window, from w->qkv to w->z. */
int lm_attend(const struct lm_pass *p, float score_scale, struct err *e);

#endif
