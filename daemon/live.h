/* SPDX-License-Identifier: ISC */
/*
 * live: the language model and the SAEs of a store, opened when they are first asked
 * for and found again where the run says or --model tells, the same to the bit; and
 * what fires on a text, as an index run would store it for a document that is that
 * text. Opening is done beside, on a thread of its own; texts go through the model one
 * at a time. One model is open at once. Writes nothing, answers nobody.
 */
#ifndef DAEMON_LIVE_H
#define DAEMON_LIVE_H

#include "schema/record.h"
#include "store/store.h"
#include "util/err.h"
#include "util/mem.h"

#include <stdbool.h>

struct live; /* opaque; NULL is one that is off */

struct live_options {
	const char *model; /* a directory; NULL: where a run's provenance says */
	bool off; /* there is none, whatever is recorded */
	size_t most_bytes; /* for weights in memory; 0: half of the machine's */
	size_t n_workers; /* threads that may call live_text() */
};

/* Opens nothing yet; a model that is no directory is ERR_NOTFOUND. new: live_free(). */
int live_new(struct live **out, const struct live_options *o, struct err *e);
void live_stop(struct live *l); /* who waits for the model gives up */
void live_free(struct live *l); /* waits for what is being opened */

struct live_state {
	const char *is; /* "off", "closed", "opening", "open", "failed" */
	uint64_t n_bytes; /* of weights in memory, SAEs' too */
	uint32_t n_saes; /* that are open */
	char why[sizeof(((struct err *)0)->text)]; /* of "failed" */
};
void live_state(struct live *l, struct live_state *out);

struct live_want {
	const struct store_catalog *cat;
	uint32_t run; /* whose model, tokenizer and rule of BOS and context */
	const uint32_t *slot; /* (n_slots) SAEs of the run */
	uint32_t n_slots;
	const char *text;
	size_t n_bytes;
	/* As it would stand inside a sentence: with a space in front where it begins with
	 * a letter or digit of a script that has spaces, unless the tokenizer puts one. */
	bool inside;
	struct arena *arena; /* for what is answered */
};
struct live_sae {
	struct err why; /* code 0: acts is there; else why it is not */
	struct rec_acts acts; /* of all tokens, as store_acts() would give them */
};
/* Windows laid end to end. */
struct live_answer {
	uint32_t n_tokens, n_windows;
	const uint32_t *id; /* (n_tokens), BOS included */
	const uint32_t *start, *end; /* bytes in the text; BOS: empty */
	const bool *special; /* (n_tokens) that statistics leave out */
	const uint32_t *window_start; /* (n_windows + 1) */
	const struct live_sae *sae; /* (n_slots) */
};
/* A text without tokens gives none, and no error. ERR_NOTFOUND: no model is at hand,
 * and why; ERR_BUSY: it is being opened, or too many ask. Waits some seconds for it
 * while that leaves another worker free. Windows are by document, also where the cut
 * was joined. Thread: any. */
int live_text(struct live *l, const struct live_want *w, struct live_answer *out,
	struct err *e);

#endif
