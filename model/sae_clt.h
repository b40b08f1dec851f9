/* SPDX-License-Identifier: ISC */
/*
 * sae_clt: what the two forms of cross-layer transcoders share, of which one layer is
 * loaded as an SAE. Only sae_clt*.c include it.
 */
#ifndef MODEL_SAE_CLT_H
#define MODEL_SAE_CLT_H

#include "model/sae_int.h"

#define NAME_BYTES 32

struct clt {
	struct sae_loading *l;
	uint32_t layer, n_layers; /* of the layer it is, of all */
	const char *suffix; /* of its file, behind the layer's number: ".safetensors" */
};

/* Layer and suffix from the weights' name, which is prefix, a number and a suffix. */
int clt_init(struct clt *c, struct sae_loading *l, const char *prefix, struct err *e);
/* "W_enc_" and 3 give "W_enc_3": returns out. */
const char *clt_named(char out[NAME_BYTES], const char *what, uint32_t layer);
/* A decoder (features, targets, dimensions), or NULL and an error. */
const struct tensor *clt_find_decoder(const struct tensors *t, const char *name,
	struct err *e);
/* n_targets and d_out from n_layers, held against w; d_out is b_dec's length until
 * then. */
int clt_set_dims(struct clt *c, const struct tensor *w, struct err *e);
/* The kind, and what all have in common. */
void clt_set_kind(struct clt *c, enum sae_kind kind);
/* The hooks that where told must be of the layer. */
int clt_check_hooks(const struct clt *c, const char *where, struct err *e);

/* Holds each file there is of another layer against this one. */
typedef int clt_check_fn(const struct clt *c, const struct tensors *t, uint32_t layer,
	struct err *e);
int clt_check_others(const struct clt *c, const char *prefix, clt_check_fn *check,
	struct err *e);
int clt_same_layers(const struct clt *c, const struct tensor *w, size_t n_layers,
	struct err *e);
/* The error of a file that has what this one lacks, or lacks what it has. */
int clt_mixed(const struct clt *c, const struct tensors *t, const char *what, bool has,
	struct err *e);

/* As sae_parts(). They fill the first target's share of b_dec; the others' stand in
 * the files of other layers, and stay 0. */
int clt_load_parts(struct clt *c, const struct sae_part *parts, size_t n,
	const char *const *ignored, struct err *e);
/* Without the targets below, which come first in w. any: whether one is not 0. */
int clt_load_decoder(struct clt *c, const struct tensor *w, uint32_t below, bool *any,
	struct err *e);
void clt_note(const struct clt *c);

#endif
