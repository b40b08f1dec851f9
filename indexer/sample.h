/* SPDX-License-Identifier: ISC */
/*
 * sample: the first windows of a corpus as token ids in memory, for what looks
 * at a little text. Never writes.
 */
#ifndef INDEXER_SAMPLE_H
#define INDEXER_SAMPLE_H

#include "indexer/cutter.h"
#include "indexer/options.h"
#include "model/tok.h"

struct sample {
	uint32_t *id; /* (n_tokens) windows end to end, as lm_forward() takes them */
	uint32_t *window_start; /* (n_windows + 1) */
	size_t n_tokens, n_windows;
	size_t cap_tokens, cap_windows;
};

/* o: corpus and how to read it. At most rule->max_tokens tokens; documents in the
 * order of the files. None at all is ERR_ARG. new: sample_clear(). */
int sample_read(struct sample *s, const struct options *o, const struct tok *t,
	const struct cut_rule *rule, struct err *e);
void sample_clear(struct sample *s);

#endif
