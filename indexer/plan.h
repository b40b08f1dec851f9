/* SPDX-License-Identifier: ISC */
/*
 * plan: the inputs of one `saedb-index`, opened and checked against one another
 * before any work is done, and the groups of SAEs that share a cut and a pass.
 */
#ifndef INDEXER_PLAN_H
#define INDEXER_PLAN_H

#include "indexer/options.h"
#include "indexer/pass.h"
#include "model/lm.h"
#include "model/release.h"
#include "model/sae.h"
#include "model/tok.h"
#include "store/store.h"
#include "util/file.h"

#include <stdbool.h>
#include <stdint.h>

struct plan_sae {
	char name[LIMIT_NAME_BYTES]; /* in the store */
	char dir[PATH_BYTES];
	char release[2 * RELEASE_TEXT_BYTES]; /* RELEASE:ID, or "" */
	struct sae *sae;
	char id[STORE_ID_CHARS];
	uint32_t group;
	uint32_t hook, out; /* what it reads and gives: indexes in its group's hooks */
	/* The store's word for both: the hook, "IN>OUT" for transcoders, with all the
	 * layers that a cross-layer one gives to. Only SAEs of one stream have
	 * neighbors in one another. */
	char stream[96];
};

/* SAEs that agree on context and BOS: one cut, one pass, one run. */
struct plan_group {
	uint32_t context;
	bool prepend_bos;
	uint32_t sae[LIMIT_SAES]; /* indexes in plan.sae */
	uint32_t n_saes;
	struct hook hook[PASS_MAX_HOOKS];
	uint32_t n_hooks;
};

struct plan {
	const struct options *options;
	struct lm *lm;
	struct tok *tok;
	struct plan_sae *sae; /* (n_saes) as on the command line */
	uint32_t n_saes;
	struct plan_group *group; /* (n_groups) */
	uint32_t n_groups;
	char weights_sha256[65], tokenizer_sha256[65];
	char model_dir[PATH_BYTES];
	char model_id[STORE_ID_CHARS];
	char model_name[LIMIT_NAME_BYTES], corpus_name[LIMIT_NAME_BYTES];
	/* Streams of shards in place of a corpus; borrowed from the options. */
	const char *const *source; /* (n_sources), 0: the model runs */
	uint32_t n_sources;
	bool latents; /* they are active features, not activations */
	bool rows; /* the corpus is token ids: windows as they stand */
	uint8_t *excluded; /* (n_vocab) by token id: left out of statistics */
	/* Of the model; where it does not run, of it and the tokenizer, and one for
	 * <patch>. */
	uint32_t n_vocab;
	size_t n_threads;
	uint64_t memory_bytes;
	/* Features that are sought of each SAE; end 0: all. */
	uint32_t first, end;
	size_t corpus_bytes; /* what is held of the corpus, once it is read */
};

/* Opens the model, the tokenizer and the SAEs. Warnings are logged. new:
 * plan_close(). */
int plan_open(struct plan *p, const struct options *o, struct err *e);
void plan_close(struct plan *p);
/* Names that the store gave to other SAEs, and SAEs that it has at another hook, are
 * found before any work is done. */
int plan_check_store(const struct plan *p, struct store *s, struct err *e);

/* The number of a hook among the group's, where it is put if it is not there. */
uint32_t plan_add_hook(struct plan_group *g, const struct hook *hook);

/* Which token ids statistics leave out: special ones, unless count_special.
 * new: mem_free(). */
uint8_t *plan_excluded(const struct tok *t, uint32_t n_vocab, bool count_special);
/* The last part of a path, without .gz and the like when a file; "stdin" for "-".
 * Characters that no name may have become _. */
void plan_name_of(char out[LIMIT_NAME_BYTES], const char *path);

/* ---- memory: plan_memory.c ---------------------------------------------------- */

#define PLAN_SHARD_SHARE 4 /* a shard may take this part of the memory */

/* From here on resident memory stays below memory_bytes, until paged_end(). What does
 * not fit goes to files near the directory dir. */
int plan_memory_begin(const char *dir, uint64_t memory_bytes, struct err *e);
/* Before there are windows: whether all groups will fit. Weights that would take the
 * place of a batch go to files. What each pass has is job's threads and hooks. */
int plan_memory_check(const struct plan *p, struct pool *pool, struct err *e);

/* What fits the memory, for one group. ERR_NOMEM with numbers when nothing does. */
struct plan_memory {
	size_t batch_tokens, hits_bytes, finish_bytes;
};
int plan_memory(const struct plan *p, const struct plan_group *g,
	const struct pass_job *job, struct plan_memory *out, struct err *e);

/* The least --memory that is enough for that; while memory is bounded. */
uint64_t plan_memory_least(const struct plan *p, const struct plan_group *g,
	const struct pass_job *job);

/* The same where activations come from elsewhere; batch_tokens 0 where only active
 * features do. */
int plan_ingest_memory(const struct plan *p, const struct plan_group *g,
	struct plan_memory *out, struct err *e);

#endif
