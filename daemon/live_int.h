/* SPDX-License-Identifier: ISC */
/*
 * live_int: between live.c, which knows what is open, and live_text.c, which makes use
 * of it.
 */
#ifndef DAEMON_LIVE_INT_H
#define DAEMON_LIVE_INT_H

#include "daemon/live.h"
#include "model/lm.h"
#include "model/sae.h"
#include "model/tok.h"

struct live_slot { /* an SAE that was asked for */
	uint8_t hash[32];
	struct sae *sae; /* owned; NULL where it could not be opened: */
	struct err why;
	int64_t at_ms; /* of the try */
	uint64_t used; /* the turn when it was last asked for */
};

struct live_model {
	char id[STORE_ID_CHARS]; /* of the model; "" none */
	char tokenizer[65];
	struct lm *lm; /* owned */
	struct tok *tok; /* owned */
	struct live_slot sae[LIMIT_SAES];
	uint32_t n_saes;
};

/* The open SAE of a hash, or why it is not; NULL: never tried. */
struct live_slot *live_find(struct live_model *m, const uint8_t hash[32]);
size_t live_sae_bytes(const struct cat_sae *s);
/* What fires, with an open model that nobody changes meanwhile. */
int live_run(struct live_model *m, const struct live_want *w, struct live_answer *out,
	struct err *e);

#endif
