/* SPDX-License-Identifier: ISC */
/*
 * progress: what is being done, how fast, and what bounds it, on standard error: a bar
 * that is drawn again and again on a terminal, no wider than it, else a line every few
 * seconds. Nothing when quiet.
 */
#ifndef INDEXER_PROGRESS_H
#define INDEXER_PROGRESS_H

#include "indexer/stages.h"

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool quiet, terminal;
	uint64_t interval_s; /* between lines */
	struct pool *pool; /* whose stopwatches tell what bounds it; NULL: not known */
	struct pool_time last[STOPWATCH_STAGES]; /* when something was shown */
	uint64_t last_done;
	double start_s, shown_s; /* of the phase; when something was shown */
	uint64_t from; /* done before the phase began */
	char phase[32];
	bool drawn; /* a bar stands on the terminal's line */
};

void progress_init(struct progress *p, bool quiet, uint64_t interval_s);
/* borrowed: the pool whose threads do the work. */
void progress_watch(struct progress *p, struct pool *pool);
/* Starts the clock of a phase: "reading", "cutting", "model". */
void progress_phase(struct progress *p, const char *phase);
/* What was done before the phase began: rates leave it out. */
void progress_from(struct progress *p, uint64_t done);
/* Whether it is time to show something; asked before costly counting. */
bool progress_due(const struct progress *p);
void progress_read(struct progress *p, uint64_t n_docs, uint64_t done_bytes,
	uint64_t total_bytes);
void progress_cut(struct progress *p, uint64_t done, uint64_t total); /* documents */
void progress_tokens(struct progress *p, uint64_t done, uint64_t total,
	uint64_t n_alive, uint64_t n_features);
/* A stream: total 0 = not known; then bytes tell how far it is, if these are known. */
void progress_stream(struct progress *p, uint64_t done, uint64_t total,
	uint64_t done_bytes, uint64_t total_bytes);
void progress_part(struct progress *p, uint64_t done, uint64_t total); /* of anything */
/* Wipes the bar, so that a line can be printed. */
void progress_wipe(struct progress *p);
double progress_elapsed_s(const struct progress *p); /* since the phase began */

#endif
