/* SPDX-License-Identifier: ISC */
/*
 * lm: the forward pass of a language model in float32, from a Hugging Face
 * directory, up to the hooks that are asked for. Bits depend neither on the
 * batch nor on the number of threads. Thread: a struct lm is read-only after
 * lm_open; each thread runs with its own struct lm_work.
 */
#ifndef MODEL_LM_H
#define MODEL_LM_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hook_site {
	HOOK_RESID_PRE,
	HOOK_RESID_MID,
	HOOK_RESID_POST,
	HOOK_ATTN_OUT,
	HOOK_MLP_OUT,
	HOOK_Z,
	HOOK_MLP_IN,
	HOOK_MLP_NORMALIZED,
	HOOK_MLP_INPUT,
	HOOK_ATTN_MODULE,
	HOOK_MLP_MODULE
};

/* A TransformerLens hook, blocks.LAYER. and
 *   hook_resid_pre, hook_resid_mid, hook_resid_post   the stream
 *   hook_attn_out, hook_mlp_out     what is added to it
 *   attn.hook_z    the heads' outputs, head-major, before the product out
 *   hook_mlp_in    the stream that the MLP's norm reads
 *   ln2.hook_normalized    that, normed, before the norm's gain and bias
 *   mlp.hook_in    that with gain and bias: what the MLP reads
 * or a module by Hugging Face's path (layers.8, h.8, model.layers.8: as
 * blocks.8.hook_resid_post; layers.8.mlp, layers.8.self_attn: its output, in
 * Gemma 2 and 3 before the norm behind it). name is the hook's one name. */
struct hook {
	char name[96];
	enum hook_site site;
	uint32_t layer;
};
/* ERR_ARG, naming what was understood and the hooks there are. */
int hook_parse(struct hook *h, const char *name, struct err *e);
/* The same place in another layer. */
void hook_move(struct hook *h, uint32_t layer);

struct lm; /* opaque */
struct lm_info {
	const char *family; /* "gpt2" */
	const char *architecture; /* as in config.json */
	uint32_t n_layers, d_model, n_heads, n_kv_heads, d_head, d_mlp, n_vocab;
	uint32_t n_ctx; /* 0: not known, of a head */
	uint64_t n_params; /* of what was loaded */
	const char *dtype_file; /* "F16": as stored; computing is in float32; "" if
				   nothing was */
};

/* A family of models: those with one model_type in config.json. */
struct lm_kind {
	const char *model_type;
	const char *models; /* what people call them; families may share it */
	/* Key of config.json: unless it is false, attention and MLP read the same
	 * stream, and there is no hook_resid_mid. NULL: they never do. */
	const char *parallel;
};
/* The families that load, one by one; NULL past the last. */
const struct lm_kind *lm_kind_at(size_t i);
/* The names behind blocks.LAYER., one by one; NULL past the last. */
const char *hook_name_at(size_t i);

/* dir: config.json and *.safetensors, of one of the families that lm_kind_at lists;
 * another is ERR_UNSUPPORTED by name. Shapes are checked against the config, weights for
 * NaN. new: lm_close(). */
int lm_open(struct lm **out, const char *dir, struct err *e);
/* The model_type of a model that is only described. */
#define LM_HEAD_TYPE "saedb_head"
/* A head: the model in dir as far as one must know it whose activations are made
 * elsewhere. It has hooks and widths, and what stands behind the last layer where
 * the files have it; layers are never read, and lm_can_run() is false. Weights may
 * be missing, all, or some of the shards that an index names; dtypes other than
 * floats are ERR_UNSUPPORTED.
 *   A family that lm_kind_at lists: config.json as for lm_open, but what saedb could
 * not run (such as a rope_type) does not matter. The unembedding is the family's,
 * or the embedding where it is tied.
 *   Any other model_type: hidden_size (or n_embd, d_model), num_hidden_layers
 * (n_layer, n_layers, num_layers), vocab_size, and if there is one
 * max_position_embeddings (n_positions, n_ctx), in "text_config" or beside it. Every
 * hook of its layers is accepted; attn.hook_z where the heads' number and width
 * are said. The unembedding is "unembed" (vocab_size, hidden_size), with the final
 * norm's gain in "final_gain" (hidden_size); LM_HEAD_TYPE's file must have it, the
 * others' may have "lm_head.weight" instead.
 * new: lm_close(). */
int lm_open_head(struct lm **out, const char *dir, struct err *e);
/* Else lm_work_new, lm_forward and lm_logits are ERR_UNSUPPORTED. */
bool lm_can_run(const struct lm *m);
void lm_close(struct lm *m);
const struct lm_info *lm_info(const struct lm *m); /* borrowed */
/* ERR_NOTFOUND when the model has no such layer, naming those it has, or no such
 * hook. */
int lm_check_hook(const struct lm *m, const struct hook *h, struct err *e);
/* The residual stream, or what is added to it? */
bool hook_in_stream(const struct hook *h);
/* Floats of a token at a hook: d_model, or n_heads * d_head at attn.hook_z. */
uint32_t lm_hook_width(const struct lm *m, const struct hook *h);
/* Always, but for a head whose files lack it. */
bool lm_has_unembed(const struct lm *m);
/* Unembedding W_U as (n_vocab, d_model) rows, borrowed; NULL if there is none. */
const float *lm_unembed(const struct lm *m);
/* Can lm_directions() tell? Always, but for a head's attn.hook_z. */
bool lm_has_directions(const struct lm *m, const struct hook *h);
/* What rows (n, lm_hook_width) at a hook add to the stream (n, d_model): at
 * attn.hook_z their product with the layer's output weights, without its bias
 * and a norm behind it; elsewhere the rows as they are. */
void lm_directions(const struct lm *m, const struct hook *h, const float *rows,
	size_t n, float *out);
/* The final norm's gain (d_model), as it is applied (Gemma stores it less 1); NULL
 * where a head's files lack it. */
const float *lm_final_gain(const struct lm *m);
/* Of the files of weights; of config.json where a head has none. */
int lm_sha256(const struct lm *m, uint8_t out[32], struct err *e);

struct lm_work; /* opaque */
/* max_tokens: the most tokens in one lm_forward call. */
int lm_work_new(struct lm_work **out, const struct lm *m, size_t max_tokens,
	struct err *e);
void lm_work_free(struct lm_work *w);
size_t lm_work_bytes(const struct lm *m, size_t max_tokens); /* what work_new takes */

/* One window or several laid end to end: n_tokens ids, cut at window_start
 * (n_windows + 1 offsets, the last is n_tokens); attention stays inside a
 * window, positions count from 0 in each. out[h] receives the (n_tokens,
 * lm_hook_width) floats at hooks[h]. An id past the vocabulary or a window longer
 * than n_ctx is ERR_ARG. */
int lm_forward(const struct lm *m, struct lm_work *w, const uint32_t *ids,
	const uint32_t *window_start, size_t n_windows, const struct hook *hooks,
	size_t n_hooks, float *const *out, struct err *e);

/* Log-probabilities of one window after a whole forward pass (n_tokens, n_vocab),
 * from the model's own final norm and unembedding, for checks;
 * not fast. */
int lm_logits(const struct lm *m, struct lm_work *w, const uint32_t *ids,
	size_t n_tokens, float *logits, struct err *e);

#endif
