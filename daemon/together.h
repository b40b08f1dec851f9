/* SPDX-License-Identifier: ISC */
/*
 * together: how often the features of SAEs fire on the same tokens as one feature, out of
 * the store's lists or counted from the stored activations; and SAEs whose positions
 * are the same.
 */
#ifndef DAEMON_TOGETHER_H
#define DAEMON_TOGETHER_H

#include "analysis/cooccur.h"
#include "daemon/req.h"

/* SAEs that are asked about, each in a run over the cut of the feature's run that counts
 * the same tokens: those of that run first, by slot. */
struct together_saes {
	struct target *to; /* (n) in the request's arena */
	uint32_t n;
};
/* By name or id, as arg says where it is wrong. */
int together_sae(struct req *q, const struct target *t, const char *name,
	size_t n_bytes, const char *arg, struct target *out, struct err *e);
/* The argument `sae`: a name, a list of them, "all", or nothing for t's own. */
int together_saes(struct req *q, const struct target *t, struct together_saes *out,
	struct err *e);

struct together {
	const struct target *t; /* the feature, in its run */
	const struct together_saes *saes;
	uint64_t count; /* tokens on which it fires */
	uint64_t min_count; /* n_both at least */
	struct cooccur_best best; /* .sae is an index of saes->to */
	bool stored; /* by the store's lists; else counted */
};
/* Fills best with its k best; the feature itself is left out. Slow: ends with
 * ERR_CANCELLED when the daemon gives up. */
int together_find(struct req *q, struct together *x, struct err *e);

/* n_both[i][f] of every feature f of saes->to[i], counted. new: together_free(). */
int together_count(struct req *q, const struct target *t,
	const struct together_saes *saes, uint64_t count, uint32_t ***n_both,
	struct err *e);
void together_free(uint32_t **n_both, uint32_t n);

#endif
