/* SPDX-License-Identifier: ISC */
/*
 * ann_inner: what the files about approximate indexes share: the record that lies
 * beside an index, and what is loaded of one. An index gives candidates; scores are
 * canonical, from the rows themselves.
 */
#ifndef STORE_ANN_INNER_H
#define STORE_ANN_INNER_H

#include "store/ann.h"
#include "store/approximate.h"
#include "store/inner.h"

#define FILE_ANN_INDEX "index.faiss"
#define FILE_ANN_ABOUT "about"
#define ANN_RECALL_AT 10u /* of how many nearest a recall is the share that was found */

/* "SAE-decoder-HASH", the hash of the factory string. */
void ann_id(char out[OBJECT_ID_CHARS], const char *sae_id,
	enum store_direction direction, const char *factory);
/* The direction of such an id; false: it is none. */
bool ann_id_direction(const char *id, enum store_direction *direction);

/* Sets x->text. */
void ann_describe(struct store_ann *x);
int ann_about_write(const char *path, const struct store_ann *x, struct err *e);
/* ERR_CORRUPT names what is wrong; strings are in x. */
int ann_about_read(struct store_ann *x, const void *p, size_t n_bytes, struct err *e);

/* out = x / kernel_norm(x); zeros where that is no number to divide by. false: x has a
 * NaN, which is near to nothing. */
bool ann_unit(float *out, const float *x, uint32_t d);

/* Of an object of the kind: made when its loading begins, freed with it. */
struct ann_loaded;
void ann_loaded_free(struct ann_loaded *x);
/* Answers by the index of (SAE, direction): 1; 0 where it is not for this search and
 * another engine may answer. ERR_BUSY: it is still being loaded. */
int ann_answer(struct store_view *v, const struct store_search *s, const float *rows,
	uint32_t d, struct rec_scored *out, struct store_nearest *found, struct err *e);

#endif
