/* SPDX-License-Identifier: ISC */
/*
 * report: what an index did, for people on standard output and, with --report, for
 * programs as JSON, whose keys saedb-index(1) lists.
 */
#ifndef INDEXER_REPORT_H
#define INDEXER_REPORT_H

#include "indexer/pass.h"
#include "indexer/plan.h"
#include "indexer/reading.h"
#include "indexer/reuse.h"
#include "indexer/stages.h"
#include "schema/out.h"

/* A file that is written beside and renamed, or standard output. A zeroed one takes
 * everything and writes nothing. */
struct report {
	const char *path; /* borrowed; NULL: none is wanted */
	char beside[PATH_BYTES]; /* "": standard output */
	int fd;
	struct buf runs; /* their JSON, one behind the other */
	uint32_t n_runs;
	double start_s; /* on stopwatch_now_s()'s clock */
	int64_t started_s; /* since 1970 */
};

/* Opens what will be written, so that it fails before any work is done. With "-" what
 * is printed for people goes to standard error from then on. new: report_clear(). */
int report_open(struct report *r, const char *path, struct err *e);
void report_clear(struct report *r); /* what was not written is removed */
int report_put(struct report *r, const struct buf *json, struct err *e);

/* One run that was made or found, all borrowed. */
struct report_run {
	const struct plan *plan;
	const struct plan_group *group;
	const struct fed *fed; /* or NULL */
	const struct reuse *reuse; /* of what another run had */
	const struct cat_cut *cut;
	const char *id;
	uint32_t number;
	bool is_new; /* else the store had it, and what follows is not known */
	const struct windows *windows;
	const struct pass_result *result; /* (group->n_saes) */
	const struct checkpoints *checkpoints;
	const struct plan_memory *memory;
	double pass_s;
};
void report_print(const struct report_run *x);
int report_add(struct report *r, const struct report_run *x, struct err *e);
/* All of it, at the end. open: of what was done before there was a pool. quiet: no
 * table for people. */
int report_end(struct report *r, const struct plan *p, struct pool *pool,
	const struct stopwatch *open, bool quiet, struct err *e);

/* Parts that plans have too; the head has five keys. */
void report_head(struct out *o, const struct report *r, const char *command);
void report_machine(struct out *o, const struct plan *p);
void report_options(struct out *o, const struct options *opt);
void report_stages(struct out *o, const struct pool_time *t, size_t n_threads);
/* key: [...], of n JSON texts that stand in list one behind the other, each with its
 * NUL. */
int report_list(struct out *o, const char *key, const struct buf *list, size_t n,
	struct err *e);

#endif
