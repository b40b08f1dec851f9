/* SPDX-License-Identifier: ISC */
/*
 * vocab: token strings that were asked for lately, beside a view: the same few
 * thousand stand in most answers. Thread: one at a time, as its view.
 */
#ifndef DAEMON_VOCAB_H
#define DAEMON_VOCAB_H

#include "store/store.h"
#include "util/err.h"
#include "util/mem.h"

struct vocab {
	struct store_token *slot; /* (VOCAB_SLOTS), by a hash of cut and id */
	uint32_t *cut; /* (VOCAB_SLOTS) of each slot, plus 1; 0 = empty */
	struct arena text;
};

#define VOCAB_SLOTS 16384
#define VOCAB_TEXT_BYTES ((size_t)4 << 20)

void vocab_init(struct vocab *c);
void vocab_clear(struct vocab *c);
/* Between requests: forgets all when it has grown too large. */
void vocab_trim(struct vocab *c);
/* As store_tokens; bytes are borrowed until vocab_trim, or in arena. */
int vocab_get(struct vocab *c, struct store_view *v, uint32_t cut, const uint32_t *ids,
	size_t n, struct store_token *out, struct arena *arena, struct err *e);

#endif
