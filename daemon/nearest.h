/* SPDX-License-Identifier: ISC */
/*
 * nearest: the features nearest to a direction, in one SAE or in several: what the
 * arguments of a request ask, and the rows found. What is in the way of an answer (rows
 * of unlike width, a zero) is an error that names the argument.
 */
#ifndef DAEMON_NEAREST_H
#define DAEMON_NEAREST_H

#include "daemon/req.h"

enum nearest_engine { NEAREST_BY_GRAPH = -1 }; /* beside enum store_engine */

struct nearest_in { /* one SAE that is searched */
	struct target t; /* with the run that filters and densities are of */
	const uint64_t *allowed; /* NULL: all but skip */
	uint32_t skip; /* the feature itself; UINT32_MAX: none */
	uint32_t n_allowed; /* that may be found */
	int64_t graph; /* that has the answer; -1: none */
	int engine; /* that answered */
	const char *index; /* by which: what it is, and its recall; NULL: by none */
	double recall;
};
struct nearest_row {
	uint32_t in, id; /* which SAE, and its feature */
	float score;
};
struct nearest {
	enum store_direction of;
	enum store_metric metric;
	enum store_engine engine; /* as asked */
	uint32_t k;
	bool self; /* the feature is a neighbor of its own */
	const struct target *from; /* whose neighbors; NULL: a vector's */
	const float *vector; /* (d) */
	uint32_t d;
	struct nearest_in *in; /* (n_in) */
	uint32_t n_in;
	struct nearest_row *row; /* (n) */
	uint32_t n;
};

/* The words of the tables in doc/protocol.md. */
const char *nearest_metric_name(const struct nearest *x);
const char *nearest_of_name(const struct nearest *x);
const char *nearest_engine_name(int engine); /* also NEAREST_BY_GRAPH */

/* From arguments `of`, `metric`, `engine`, `k`; from, vector and d are the caller's. */
int nearest_ask(struct req *q, struct nearest *x, struct err *e);
/* The SAEs of the argument `sae`, from's own where it is absent, each with its run.
 * ERR_MISMATCH where they cannot be compared with one another; d is set. */
int nearest_saes(struct req *q, struct nearest *x, struct err *e);
/* The filters' arguments: what may be found in each SAE, or the graph to look it up. */
int nearest_filter(struct req *q, struct nearest *x, struct err *e);
/* Whether it is all in graphs, and few. */
bool nearest_is_quick(const struct nearest *x);
/* Sets row, best first: by score, then the SAEs' order, then number. */
int nearest_find(struct req *q, struct nearest *x, struct err *e);

#endif
