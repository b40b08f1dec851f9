/* SPDX-License-Identifier: ISC */
/*
 * pass: all windows, in order and in batches, through the model up to the hooks,
 * through each SAE (or out of a source of active features), into the features' states and the run's
 * activations. What it
 * finds depends neither on threads nor on batches.
 */
#ifndef INDEXER_PASS_H
#define INDEXER_PASS_H

#include "indexer/act_source.h"
#include "indexer/encode.h"
#include "indexer/progress.h"
#include "indexer/state.h"
#include "indexer/sums.h"
#include "indexer/windows.h"
#include "model/lm.h"
#include "store/store.h"
#include "util/pool.h"

#define PASS_MAX_HOOKS (2 * LIMIT_SAES) /* a transcoder has two */

/* Of a pass: how often, and what came of it. */
struct checkpoints {
	double interval_s; /* 0: none are made */
	bool as_told; /* however long they take, for tests */
	uint32_t from; /* windows that were done before */
	uint64_t order; /* of the SAEs */
	uint32_t n; /* made */
	double seconds; /* that took */
	double next_s; /* on stopwatch_now_s()'s clock */
};

struct pass_job {
	/* NULL: there are no hooks, and how well SAEs fit is not computed. */
	const struct lm *lm;
	struct pool *pool;
	const struct windows *windows;
	struct run_writer *writer; /* slot i takes the activations of sae[i]; or NULL */
	struct progress *progress;
	const struct hook *hook; /* (n_hooks) */
	uint32_t n_hooks;
	const struct sae *const *sae; /* (n_saes); NULL where there is no lm */
	const uint32_t *d_sae; /* (n_saes) their features */
	const uint32_t *hook_of; /* (n_saes) index in hook of what it reads */
	/* (n_saes) of what its decoder gives; of cross-layer ones, what it reads */
	const uint32_t *out_of;
	uint32_t n_saes;
	/* Active features from elsewhere; with a model, only how well SAEs fit is
	 * computed, or, where it has only some windows, the model runs on the others.
	 * NULL: they are encoded. */
	const struct act_source *source;
	/* Of a source that has only some windows: the sums of these. (n_saes) */
	const struct sums *before;
	/* Features that are encoded; end 0: all. How well a part fits is not known. */
	uint32_t first, end;
	/* With a writer that was resumed, from windows done on; NULL: none are made. */
	struct checkpoints *checkpoints;
	uint32_t examples, dedup_radius;
	size_t batch_tokens; /* most tokens at a time */
	size_t hits_bytes; /* what found activations of a batch may take */
};

struct pass_result { /* of one SAE */
	struct state state;
	uint64_t *
		acts_of_token; /* (n_vocab) activations on each token id, counted ones */
	uint64_t n_tokens, n_active, n_alive;
	/* Not known where it gives only a part (cross-layer), where a part of the features
	 * was encoded, nor without a model. */
	struct sums sums;
	double explained, mse; /* NaN: not known */
};

/* out: (n_saes). new: pass_result_clear() each, also on error. */
int pass_run(const struct pass_job *job, struct pass_result *out, struct err *e);
void pass_result_clear(struct pass_result *r);
/* Memory it takes beside weights, states and found activations. */
size_t pass_bytes(const struct pass_job *job, size_t batch_tokens);

#endif
