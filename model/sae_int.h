/* SPDX-License-Identifier: ISC */
/*
 * sae_int: what sae.c and the families sae_*.c share and nobody else includes.
 */
#ifndef MODEL_SAE_INT_H
#define MODEL_SAE_INT_H

#include "model/sae.h"

/* sae_saelens.c: fills info, the tensors and file_hash from dir. */
int saelens_load(struct sae *s, const char *dir, struct err *e);

#endif
