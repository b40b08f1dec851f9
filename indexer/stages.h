/* SPDX-License-Identifier: ISC */
/*
 * stages: what an index does, by name, and what the pool's stopwatches found each stage
 * to take: the table that is printed at the end, and what bounds it at the moment.
 */
#ifndef INDEXER_STAGES_H
#define INDEXER_STAGES_H

#include "util/buf.h"
#include "util/pool.h"

#include <stdint.h>

enum stage {
	STAGE_OTHER,
	STAGE_OPEN, /* models and SAEs: read, hashed, checked */
	STAGE_READ, /* documents, or shards: decompressed, hashed, put aside */
	STAGE_TOKENIZE,
	STAGE_CUT,
	STAGE_LOGITS,
	STAGE_NEIGHBORS,
	STAGE_FORWARD,
	STAGE_ENCODE,
	STAGE_COUNT, /* features' states, how well SAEs fit */
	STAGE_WRITE, /* the run's activations, beside STAGE_COUNT */
	STAGE_CHECKPOINT,
	STAGE_FEATURES, /* examples, intervals, postings, keywords, tokens */
	STAGE_COOCCUR, /* which features fire on the same tokens */
	STAGE_PUBLISH,
	STAGES
};

const char *stage_name(enum stage s);

/* What threads did from one moment to another. */
struct stages_span {
	struct pool_time of[STOPWATCH_STAGES];
	double wall_s;
};
/* after less before. */
void stages_span(struct stages_span *out, const struct pool_time *before,
	const struct pool_time *after);
/* Of the time that n_threads had: at work on anything, and on a CPU. */
double stages_busy(const struct stages_span *s, size_t n_threads);
double stages_cpu(const struct stages_span *s, size_t n_threads);

enum bound {
	BOUND_CPU, /* threads compute */
	BOUND_WAITING, /* threads wait, for a disk or for CPUs that others use */
	BOUND_ONE_THREAD, /* one thread works, the others have nothing to do */
};
struct stages_bound {
	enum stage stage; /* that most of the time went to */
	enum bound by;
};
struct stages_bound stages_bound(const struct stages_span *s, size_t n_threads);
const char *stages_bound_name(enum bound by);

/* Appends a line for each stage that took time: seconds on the wall (of the thread
 * that conducts), share of the threads' time, CPU seconds, waiting. */
void stages_table(struct buf *b, const struct pool_time *t, size_t n_threads);

#endif
