/* SPDX-License-Identifier: ISC */
/*
 * diagnose_int: what diagnose.c and diagnose_*.c share and nobody else includes.
 */
#ifndef INDEXER_DIAGNOSE_INT_H
#define INDEXER_DIAGNOSE_INT_H

#include "indexer/plan.h"
#include "indexer/sample.h"
#include "util/pool.h"

/* Where an SAE is tried: at its own hook, or near it. */
enum diagnose_at {
	AT_HOOK,
	AT_BELOW,
	AT_ABOVE,
	AT_PRE,
	AT_MID,
	AT_POST,
	AT_MLP_IN,
	AT_NORMALIZED,
	AT_MLP_INPUT,
	AT_MLP_OUT,
	AT_MLP_MODULE,
	AT_ATTN_OUT,
	AT_ATTN_MODULE,
	AT_WITH_BOS,
	AT_WITHOUT_BOS,
	N_AT
};

/* Windows, and which of their tokens count: none that is special, nor the first
 * of a window, whose activations are many times as large as others where there is
 * no BOS. */
struct diagnose_text {
	struct sample sample;
	uint8_t *counts; /* (n_tokens) */
};

/* What an SAE reads, (n_tokens, d_in), and what it is to give, (n_tokens, d_out): the
 * same but for transcoders. x is NULL where there is no such stream. */
struct diagnose_stream {
	const struct diagnose_text *text;
	float *x, *y;
	bool owns_y;
};

/* One SAE and the streams it is tried on. */
struct diagnosis {
	const struct plan *p;
	const struct plan_sae *s;
	struct pool *pool;
	struct diagnose_text text[2]; /* as its rule cuts it; BOS the other way */
	struct diagnose_stream stream[N_AT];
	double factor; /* sqrt(d) / mean |x| at its hook */
	float *x, *y; /* changed for a trial, as long as a stream */
	float *threshold; /* (d_sae) and */
	float *w_skip; /* (d_out, d_in) likewise; NULL where the SAE has none */
};

/* ---- diagnose_stream.c ----------------------------------------------------- */

/* Reads the text, runs the model, fills d->text, stream and factor. d->p, s and pool
 * are set, all else is zeroed; diagnose_streams_clear() also after an error. */
int diagnose_streams(struct diagnosis *d, struct err *e);
void diagnose_streams_clear(struct diagnosis *d);
/* The mean norm of the tokens that count, of rows x (n_tokens, d). */
double diagnose_mean_norm(const struct diagnose_text *t, const float *x, size_t d);

#endif
