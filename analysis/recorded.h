/* SPDX-License-Identifier: ISC */
/*
 * recorded: a run's inputs, found again by its provenance where they were or where they
 * are said to be now, and known to be the same to the bit. Computes nothing.
 */
#ifndef ANALYSIS_RECORDED_H
#define ANALYSIS_RECORDED_H

#include "model/lm.h"
#include "model/sae.h"
#include "model/tok.h"
#include "schema/value.h"
#include "util/file.h"

/* ERR_CORRUPT: the provenance has no such key, or not as it should be. */
int recorded_lacks(const char *key, struct err *e);
/* A string or whole number of the provenance; ERR_CORRUPT when it lacks it. */
int recorded_str(const struct value *map, const char *key, char *out, size_t size,
	struct err *e);
int recorded_u64(const struct value *map, const char *key, uint64_t *out,
	struct err *e);

struct recorded_sha256 { /* what a catalogue says, in hexadecimal; borrowed */
	const char *model, *tokenizer;
};
/* The model and the tokenizer; dir: where they are now, NULL: as recorded. ERR_MISMATCH
 * when they are not those of the catalogue. new: lm_close(), tok_close(), also on
 * error. */
int recorded_model(struct lm **lm, struct tok **tok, const struct value *provenance,
	const char *dir, const struct recorded_sha256 *catalog, struct err *e);
/* One of the provenance's "saes", by its options; dir as above; hash: as in the
 * catalogue; *path (PATH_BYTES): where it was. new: sae_close(), also on error. */
int recorded_sae(struct sae **out, const struct value *from, const char *dir,
	const uint8_t hash[32], char *path, struct err *e);

#endif
