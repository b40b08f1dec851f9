/* SPDX-License-Identifier: ISC */
/*
 * lm_int: what lm.c, the shared parts of the forward pass and the families
 * lm_*.c share and nobody else includes: a loaded model, a thread's buffers,
 * and what a family must be able to do. A family reads its config.json into
 * the traits of struct lm and says which tensors are which; lm_decoder.c runs
 * them all.
 */
#ifndef MODEL_LM_INT_H
#define MODEL_LM_INT_H

#include "kernel/kernel.h"
#include "model/json.h"
#include "model/lm.h"
#include "model/tensors.h"

#define LM_BLOCK_ROWS 192 /* tokens that pass the MLP together: as kernel_gemm does */
#define LM_BLOCK_KEYS 64 /* queries and keys that attend together */
#define LM_DIM_MAX (1u << 20)
#define LM_LAYERS_MAX 4096
#define LM_N_ROPES 2

enum lm_act { LM_GELU_TANH, LM_GELU, LM_SILU };

/* A matrix that is read row by row: where it stands in the file, or a copy. */
struct lm_table {
	const float *row; /* NULL: there is none */
	float *copy; /* owned; NULL: it is mapped */
};

struct lm_norm {
	float *gain; /* NULL: there is no such norm */
	float *bias; /* NULL: there is none */
};

struct lm_linear {
	struct kernel_packed *w; /* NULL: there is no such product */
	float *bias;
};

/* Dimension i < n_rotary / 2 of a head turns with dimension i + n_rotary / 2. */
struct lm_rope {
	uint32_t n_rotary; /* 0: positions do not turn heads */
	float *freq; /* (n_rotary / 2): radians for each position */
};

struct lm_layer {
	struct lm_norm norm1, norm2; /* before attention, before the MLP */
	struct lm_norm post1, post2; /* of what they give, before it is added */
	struct lm_norm q_norm, k_norm; /* of each head, before it turns */
	struct lm_linear qkv; /* d_model to q | k | v, each head-major */
	struct lm_linear out; /* the heads to d_model */
	struct lm_linear gate, up, down; /* d_model to d_mlp, twice, and back */
	float score_scale;
	uint32_t window; /* tokens a query sees, its own included; 0: all */
	uint8_t rope; /* which of the model's */
};

/* What config.json says that the tensors must agree with. */
struct lm_parts {
	bool qkv_bias, out_bias, mlp_bias, qk_norm, post_norms;
	bool gain_plus_one; /* stored gains are gains - 1 */
};

struct lm {
	struct lm_info info;
	const struct lm_family *family; /* NULL: a head of another */
	char type[64]; /* config.json's model_type */
	char architecture[64];
	char dtype_file[12];
	char *dir; /* as opened; owned */
	struct tensors *tensors; /* NULL: a head without weights */
	bool head; /* no layers are loaded */
	uint8_t config_sha256[32]; /* of a head without weights */
	const char *prefix; /* of tensor names: "" or "transformer." */
	bool tied;
	bool rms; /* RMS norms, not layer norms */
	bool parallel; /* attention and MLP read the same stream */
	enum lm_act act;
	struct lm_parts has;
	float norm_eps;
	float embed_scale; /* 0: not scaled */
	float score_cap, logit_cap; /* x becomes cap tanh(x / cap); 0: not */
	struct lm_rope rope[LM_N_ROPES];
	struct lm_table embed; /* (n_vocab, d_model) */
	struct lm_table position; /* (n_ctx, d_model); none: none is added */
	struct lm_table unembed; /* (n_vocab, d_model); none: tied to embed */
	struct lm_norm final;
	struct lm_layer *layer;
};

struct lm_work {
	size_t max_tokens;
	size_t span; /* the longest window that fits */
	float *x; /* (max_tokens, d_model): the residual stream */
	float *qkv; /* (max_tokens, lm_qkv_width) */
	float *z; /* (max_tokens, lm_z_width): heads' outputs */
	float *norm; /* (LM_BLOCK_ROWS, d_model) */
	float *mid, *gate; /* (LM_BLOCK_ROWS, d_mlp) each; gate may be NULL */
	float *attn, *mlp; /* (LM_BLOCK_ROWS, d_model): what is added to x */
	float *score; /* (LM_BLOCK_KEYS, span) */
	float *cos[LM_N_ROPES], *sin[LM_N_ROPES]; /* (span, n_rotary / 2) each */
	struct kernel_packed **keys, **values; /* (span / LM_BLOCK_KEYS) each */
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

/* config.json, or the part of it that describes the language model. */
struct lm_config {
	const struct js_doc *doc; /* for errors */
	const struct js *c;
};

struct lm_family {
	struct lm_kind kind;
	bool tied; /* what no "tie_word_embeddings" means */
	/* Fills m->info and what else config.json says. */
	int (*configure)(struct lm *m, const struct lm_config *c, struct err *e);
	int (*load)(struct lm *m, struct err *e);
};

/* ---- lm.c, lm_head.c ----------------------------------------------------- */

/* Opens dir, its config.json by how. out is new: lm_close(). */
int lm_open_by(struct lm **out, const char *dir,
	int (*how)(struct lm *m, const struct lm_config *c, struct err *e),
	struct err *e);
/* model_type, and m->family if it is known. */
int lm_read_type(struct lm *m, const struct lm_config *c, struct err *e);
/* The family's traits. */
int lm_configure(struct lm *m, const struct lm_config *c, struct err *e);
/* What a head has around its layers, by a family's names. */
struct lm_names;
int lm_load_around(struct lm *m, const struct lm_names *names, struct err *e);

/* ERR_UNSUPPORTED for a head. */
int lm_need_run(const struct lm *m, struct err *e);
/* For errors: where the weights stand, or the directory. */
static inline const char *
lm_path(const struct lm *m)
{
	return m->tensors ? tensors_path(m->tensors) : m->dir;
}

extern const struct lm_family lm_gpt2, lm_llama, lm_mistral, lm_qwen2, lm_qwen3,
	lm_neox, lm_gemma, lm_gemma2, lm_gemma3_text, lm_gemma3, lm_neo;
/* lm_llama.c, for those that name their tensors as Llama does. */
int lm_llama_load(struct lm *m, struct err *e);

static inline size_t
lm_z_width(const struct lm *m)
{
	return (size_t)m->info.n_heads * m->info.d_head;
}

static inline size_t
lm_qkv_width(const struct lm *m)
{
	return ((size_t)m->info.n_heads + 2 * (size_t)m->info.n_kv_heads) *
		m->info.d_head;
}

/* ---- lm_config.c: config.json ------------------------------------------- */

/* A number from 1 to most; fallback 0: it must be there. */
int lm_config_dim(const struct lm_config *c, const char *key, uint32_t fallback,
	uint32_t most, uint32_t *out, struct err *e);
/* hidden_size, num_hidden_layers, intermediate_size, max_position_embeddings and
 * vocab_size, which all must be there. */
int lm_config_stack(struct lm *m, const struct lm_config *c, struct err *e);
int lm_config_eps(const struct lm_config *c, const char *key, double fallback,
	float *out, struct err *e);
int lm_config_act(const struct lm_config *c, const char *key, const char *fallback,
	enum lm_act *out, struct err *e);
/* ERR_UNSUPPORTED when key is true. */
int lm_config_refuse(const struct lm_config *c, const char *key, struct err *e);
/* n_heads, n_kv_heads and d_head go together? Then makes m->layer, scores
 * scaled by 1 / sqrt(d_head). */
int lm_config_heads(struct lm *m, const struct lm_config *c, struct err *e);
/* Each layer's window, where "layer_types" or, without it, sliding() says that
 * it has one. */
int lm_config_windows(struct lm *m, const struct lm_config *c, uint32_t window,
	bool (*sliding)(uint32_t layer, uint32_t arg), uint32_t arg, struct err *e);

/* ---- lm_rope.c: rotary positions ---------------------------------------- */

/* "rope_parameters" or, as transformers 4 wrote it, "rope_scaling"; *out NULL
 * where neither says anything. */
int lm_rope_params(const struct lm_config *c, const struct js **out, struct err *e);
/* What a member of params says, or the config beside it, or the fallback. */
struct lm_rope_from {
	const struct js *params; /* or NULL */
	const char *theta_key; /* beside params */
	double theta; /* fallback */
	const char *partial_key; /* beside params, NULL: all of a head turns */
	double partial;
};
/* r->freq is new: mem_free(). */
int lm_rope_init(struct lm_rope *r, const struct lm *m, const struct lm_config *c,
	const struct lm_rope_from *from, struct err *e);
/* m->rope[0] as most families have it: all of each head turns, rope_theta is 10000
 * if absent. */
int lm_rope_plain(struct lm *m, const struct lm_config *c, struct err *e);
/* Cosines and sines (n, n_rotary / 2) of positions 0, 1, ... */
void lm_rope_table(const struct lm_rope *r, size_t n, float *cos_of, float *sin_of);

/* ---- lm_load.c: tensors to weights -------------------------------------- */

/* The tensor "prefix name" or NULL. */
const struct tensor *lm_tensor(const struct lm *m, const char *name);
/* Sets m->prefix to the first of these (NULL behind the last) under which
 * there is a tensor of this name, or to the first of all. */
void lm_prefix(struct lm *m, const char *const *prefixes, const char *name);
/* Copies the tensor "prefix name", of this shape (n2 = 0: one dimension).
 * *out is new: mem_free(). */
int lm_floats(struct lm *m, const char *name, size_t n1, size_t n2, float **out,
	struct err *e);
/* The same, not copied where it can be used as it stands. */
int lm_load_table(struct lm *m, const char *name, size_t n1, size_t n2,
	struct lm_table *out, struct err *e);
/* The embedding; says as what the model is stored. */
int lm_load_embed(struct lm *m, const char *name, struct err *e);
/* lm_head.weight, by either of its names, unless it is tied to the embedding. */
int lm_load_unembed(struct lm *m, struct err *e);
/* (n) gains and, in a model of layer norms that runs, biases. */
int lm_load_norm(struct lm *m, const char *name, size_t n, struct lm_norm *norm,
	struct err *e);

struct lm_shape {
	size_t n_in, n_out;
	bool bias;
	bool in_rows; /* stored (n_in, n_out), else (n_out, n_in) */
};
int lm_load_linear(struct lm *m, const char *name, const struct lm_shape *s,
	struct lm_linear *l, struct err *e);
struct lm_part {
	const char *name; /* behind the layer's */
	struct lm_norm *norm; /* of d_model values; NULL: it is linear */
	struct lm_linear *linear;
	struct lm_shape shape; /* of linear */
};
/* Loads each part of a layer; layer is "layer.N.". */
int lm_load_parts(struct lm *m, const char *layer, const struct lm_part *part, size_t n,
	struct err *e);
/* How a family's files name what stands around the layers. */
struct lm_names {
	const char *const *prefixes; /* of all names; the last is NULL */
	const char *embed, *position; /* position may be NULL */
	const char *layers, *first; /* "h", and a layer's first norm: h.N.ln_1 */
	const char *n_layers_key; /* of config.json */
	const char *final; /* norm */
};
/* Loads the whole: the layers by load_layer, one after another. */
int lm_load_all(struct lm *m, const struct lm_names *names,
	int (*load_layer)(struct lm *m, uint32_t i, struct err *e), struct err *e);
/* q, k and v from tensors of their own: names are "layer.N." and q, k, v. */
int lm_load_qkv(struct lm *m, const char *layer, const char *const names[3],
	struct lm_linear *l, struct err *e);
/* The same from one whose rows are q, k, v of the first head, of the next... */
int lm_load_qkv_by_head(struct lm *m, const char *name, struct lm_linear *l,
	struct err *e);
/* ERR_MISMATCH when there is this tensor, of a layer past the last. */
int lm_no_more_layers(const struct lm *m, const char *name, const char *key,
	struct err *e);

/* ---- lm_decoder.c, lm_attn.c, lm_hook.c: the forward pass ---------------- */

/* Runs the layers up to the last hook. */
int lm_decode(const struct lm_pass *p, struct err *e);
/* The norm of n rows of width d, from x to y, which may be x. */
void lm_norm_rows(const struct lm *m, const struct lm_norm *norm, float *y,
	const float *x, size_t n, size_t d);
/* x = cap tanh(scale x / cap), or scale x where cap is 0. */
void lm_cap(float *x, size_t n, float scale, float cap);
/* Causal attention of every window, from w->qkv to w->z. */
int lm_attend(const struct lm_pass *p, const struct lm_layer *y, struct err *e);
/* Copies n rows at a site, from row `from` on, to every hook on it. */
void lm_tap(const struct lm_pass *p, enum hook_site site, uint32_t layer,
	const float *x, size_t from, size_t n);
/* Is a hook on this site? */
bool lm_wants(const struct lm_pass *p, enum hook_site site, uint32_t layer);
/* Is a hook that deep in this layer (0 before it, 1 at attention's heads, 2 behind
 * attention, 3 before the MLP, 4 behind it), or in a later one? */
bool lm_wants_depth(const struct lm_pass *p, uint32_t layer, int depth);

#endif
