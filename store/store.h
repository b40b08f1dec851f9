/* SPDX-License-Identifier: ISC */
/*
 * store: the directory that holds models' features, behind one interface. The
 * only room with keys to the disk; above it nobody knows LMDB (kv.c), SQLite
 * (db.c) or FAISS (ann.c). What is published is immutable; a reader pins one
 * generation; one writer at a time publishes the next by rename and one
 * catalogue transaction. Layout: doc/disk.md.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "schema/limits.h"
#include "schema/record.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_VERSION 1
#define STORE_ID_CHARS 17 /* 16 hexadecimal digits and NUL */

struct store; /* opaque */

enum store_mode {
	STORE_READ, /* queries; many at once */
	STORE_WRITE, /* publishing; takes the writer's lock or fails with ERR_BUSY */
	STORE_CREATE /* STORE_WRITE, making it if the directory is absent or empty */
};
/* Another version is ERR_VERSION; a directory that is no store ERR_FORMAT. new:
 * store_close(). */
int store_open(struct store **out, const char *dir, enum store_mode mode,
	struct err *e);
void store_close(struct store *s);
const char *store_dir(const struct store *s);
/* From here on, what is pending and whole outlives the store's handle and the program,
 * and what an earlier one left with the same inputs is taken up. inputs: a text that
 * tells what decides the content of objects beside their ids. */
int store_keep(struct store *s, const char *inputs, struct err *e);

/* ======================= the catalogue (in memory) ====================== */

struct cat_model {
	char id[STORE_ID_CHARS]; /* of the weights' SHA-256 */
	char name[LIMIT_NAME_BYTES];
	char family[24], architecture[48], dtype_file[12];
	uint32_t n_layers, d_model, n_vocab, n_ctx;
	uint64_t n_params;
	char weights_sha256[65], tokenizer_sha256[65];
	int64_t created_s; /* Unix time */
};
struct cat_cut { /* a corpus cut into windows by one tokenizer and one rule */
	char id[STORE_ID_CHARS];
	char name[LIMIT_NAME_BYTES];
	char tokenizer_sha256[65], corpus_sha256[65];
	uint32_t context, n_documents, n_windows;
	bool prepend_bos, joined;
	int64_t bos; /* the id put in front, -1 = none */
	uint64_t n_tokens; /* BOS included */
	uint64_t n_bytes; /* of documents */
	int64_t created_s;
};
struct cat_sae {
	char id[STORE_ID_CHARS]; /* of hash */
	uint8_t hash[32]; /* of the canonical tensors and rules */
	char name[LIMIT_NAME_BYTES]; /* unique in the store, case ignored */
	char model_id[STORE_ID_CHARS];
	char hook[96], kind[16], family[24], architecture[32], rules[512];
	uint32_t d_in, d_sae, k, context;
	uint32_t d_out; /* of decoder rows: d_in, but for transcoders */
	bool prepend_bos;
	char weights_sha256[65];
	int64_t created_s;
};
struct cat_run_sae { /* what one run found of one SAE */
	uint32_t sae; /* index in store_catalog.sae */
	uint64_t n_tokens; /* positions counted: excluded ones left out */
	uint64_t n_active; /* activations at those */
	uint64_t n_alive; /* features that fired */
	double l0; /* n_active / n_tokens */
	double explained; /* fraction of variance explained over those; NAN: not known */
	double mse; /* mean squared error per position; NAN: not known */
	/* Features [first, end) alone were sought: of others nothing is known. Of all
	 * 0 and d_sae; published, end 0 stands for d_sae. */
	uint32_t first, end;
};
struct cat_run {
	uint32_t number; /* 1, 2, 3, ... never used twice */
	char id[STORE_ID_CHARS];
	uint32_t model, cut; /* indexes in store_catalog */
	const struct cat_run_sae *sae; /* (n_saes) */
	uint32_t n_saes;
	int64_t created_s;
	const char *provenance; /* JSON object */
};
struct cat_graph { /* neighbors of the features of one SAE among another's */
	uint32_t from, to; /* indexes in store_catalog.sae; may be equal */
	uint32_t k;
};
struct cat_ann { /* an approximate index of the directions of a SAE */
	uint32_t sae; /* index in store_catalog.sae */
	uint32_t direction; /* enum store_direction */
	char id[40]; /* of the object */
};
struct store_catalog {
	uint64_t generation;
	const struct cat_model *model;
	const struct cat_cut *cut;
	const struct cat_sae *sae;
	const struct cat_run *run; /* ascending number */
	const struct cat_graph *graph;
	const struct cat_ann *ann;
	uint32_t n_models, n_cuts, n_saes, n_runs, n_graphs, n_anns;
};

/* ======================= reading ======================================== */

/* A view pins one generation. Thread: one at a time per view; each thread of a
 * program opens its own. */
struct store_view;
int store_view_open(struct store_view **out, struct store *s, struct err *e);
void store_view_close(struct store_view *v);
const struct store_catalog *store_view_catalog(
	const struct store_view *v); /* borrowed */
/* Whether a newer generation was published. Cheap; callable often. */
bool store_has_newer(struct store *s);
/* Opens the newest generation for views to come; older views stay valid. */
int store_refresh(struct store *s, struct err *e);

/* Index of the SAE of that name (case matters first, then is ignored where
 * unambiguous) or id; -1 when there is none. */
int64_t cat_find_sae(const struct store_catalog *c, const char *name, size_t n_name);
/* The newest run that has this SAE, one of all its features before one of a range; or
 * the one with that number/id when run is not NULL or empty; sets *run and *slot (index
 * in cat_run.sae). */
int cat_find_run(const struct store_catalog *c, uint32_t sae, const char *run_name,
	uint32_t *run, uint32_t *slot, struct err *e);
/* The same among runs that sought this feature. */
int cat_find_feature_run(const struct store_catalog *c, uint32_t sae, uint32_t feature,
	const char *run_name, uint32_t *run, uint32_t *slot, struct err *e);
/* Whether the run sought this feature, and whether it sought all. */
bool cat_sought(const struct cat_run_sae *x, uint32_t feature);
bool cat_sought_all(const struct store_catalog *c, const struct cat_run_sae *x);

enum store_table {
	TABLE_WINDOW, /* of a cut: window -> rec_window */
	TABLE_LOGITS, /* of a sae: feature -> rec_logits; all features or none */
	TABLE_FEATURE, /* of (run, slot): feature that it sought -> rec_feature */
	TABLE_EXAMPLES, /* of (run, slot): feature -> rec_examples */
	TABLE_POSTINGS, /* of (run, slot): feature -> rec_postings */
	TABLE_TOKEN, /* of (run, slot): token id -> rec_token */
	TABLE_PAIRS, /* of (run, slot): feature -> rec_pairs; perhaps none: store_has() */
	TABLE_NEIGHBORS, /* of a graph: feature -> rec_neighbors */
};
struct store_place { /* whose table */
	enum store_table table;
	uint32_t a; /* cut, sae, run or graph index in the catalogue */
	uint32_t b; /* slot in the run, else 0 */
};
struct store_value {
	const void
		*p; /* borrowed until the view ends or the arena is cleared; NULL when
			  there is no such key (features that never fired have no
			  examples, postings) */
	size_t n_bytes;
};
/* Whether there is that table: runs have TABLE_PAIRS or not, and all others have theirs. */
int store_has(struct store_view *v, struct store_place place, bool *has, struct err *e);
/* The records of ids[0..n), in any order given; quickest ascending. A value that
 * fails its check is ERR_CORRUPT naming file and key. Values longer than a
 * chunk are put together in arena. */
int store_mget(struct store_view *v, struct store_place place, const uint32_t *ids,
	size_t n, struct store_value *out, struct arena *arena, struct err *e);

/* Active features of tokens [first, first + n) of a window, put together from
 * the stored chunks: row_start (n + 1), in arena. */
int store_acts(struct store_view *v, uint32_t run, uint32_t slot, uint32_t window,
	uint32_t first, uint32_t n, struct rec_acts *out, struct arena *arena,
	struct err *e);

/* All of a window's, as they were stored: n_tokens 0 where nothing was. */
int store_acts_all(struct store_view *v, uint32_t run, uint32_t slot, uint32_t window,
	struct rec_acts *out, struct arena *arena, struct err *e);

/* The bytes that run_writer_sums() took; p NULL where the run has none. Borrowed until
 * the view ends. */
int store_sums(struct store_view *v, uint32_t run, uint32_t slot,
	struct store_value *out, struct err *e);

/* Decoder rows (d_sae, d_out) of a SAE, mapped; borrowed until the view ends. */
int store_decoder(struct store_view *v, uint32_t sae, const float **rows,
	struct err *e);

/* ---- the nearest features (search.c) */

enum store_direction { STORE_DECODER, STORE_ENCODER, STORE_DIRECTIONS };
enum store_metric {
	STORE_COSINE, /* canonical dot of both divided by kernel_norm(); a 0 stays 0 */
	STORE_IP, /* canonical dot of the vector and the row as they are */
	STORE_METRICS
};
enum store_engine {
	STORE_AUTO, /* exact where that is fast enough, else approximate */
	STORE_EXACT,
	STORE_FAISS, /* exact, by FAISS's flat index */
	STORE_APPROXIMATE /* by an index that was built with the store */
};
struct store_search {
	uint32_t sae;
	enum store_direction direction;
	enum store_metric metric;
	enum store_engine engine;
	const float *vector; /* as wide as the rows; finite */
	uint32_t k;
	const uint64_t *allowed; /* bit i % 64 of word i / 64: feature i; NULL: all */
	struct pool *pool; /* for an exact search; NULL: on the caller's thread */
};
struct store_nearest {
	uint32_t n; /* at most k, and what there is */
	enum store_engine engine; /* that answered */
	/* STORE_APPROXIMATE: what the index is, borrowed until the view ends, and the
	 * share of the ten nearest that it found when it was built; NULL and 0 else. */
	const char *index;
	double recall;
	uint32_t n_decided; /* exact: rows that bounds did not exclude */
};
/* Rows of a direction, mapped, and their width; borrowed until the view ends.
 * ERR_NOTFOUND where the store does not have them. */
int store_rows(struct store_view *v, uint32_t sae, enum store_direction direction,
	const float **rows, uint32_t *d, struct err *e);
/* out (k): the nearest, best first, by score descending, then index ascending. Slow
 * on first use of a SAE by FAISS (its index is built). */
int store_search(struct store_view *v, const struct store_search *s,
	struct rec_scored *out, struct store_nearest *found, struct err *e);

/* ---- which features may be found (filter.c) */

enum tristate { ANY, NO, YES };
struct store_filter {
	enum tristate alive; /* it fires in the run */
	enum tristate labelled; /* by people or imports; keyword labels do not count */
	double min_density, max_density; /* count / n_tokens; 0 and 1 for all */
};
/* Takes from allowed, the bits of store_search, those features of a run's SAE that the
 * filter does not let through; of what the run did not seek, neither alive nor a density
 * is known. Slow once for each SAE of a run: its counts are read, and kept. */
int store_filter(struct store_view *v, uint32_t run, uint32_t slot,
	const struct store_filter *f, uint64_t *allowed, struct err *e);

struct store_document {
	uint32_t number;
	const char *id; /* as in the corpus, or the hash's first 16 digits */
	const char *meta; /* JSON object without id and text, or "{}" */
	const char *hash; /* 32 hexadecimal digits */
	uint64_t n_bytes;
	uint32_t first_window, n_windows; /* by-document cuts: its windows */
};
/* Strings in arena. ERR_NOTFOUND names the id. */
int store_document(struct store_view *v, uint32_t cut, uint32_t number,
	struct store_document *out, struct arena *arena, struct err *e);
int store_document_by_id(struct store_view *v, uint32_t cut, const char *id,
	struct store_document *out, struct arena *arena, struct err *e);
/* Documents with number >= after, at most limit, whose meta has key = value
 * (key NULL: all); a list value holds the value. */
int store_documents(struct store_view *v, uint32_t cut, uint32_t after, const char *key,
	const char *value, uint32_t limit, struct store_document *out, uint32_t *n_out,
	struct arena *arena, struct err *e);

/* The vocabulary of a cut's tokenizer. */
struct store_token {
	uint32_t id;
	const char *bytes; /* NULL when the vocabulary has no such id; in arena */
	uint32_t n_bytes;
	bool special;
};
int store_tokens(struct store_view *v, uint32_t cut, const uint32_t *ids, size_t n,
	struct store_token *out, struct arena *arena, struct err *e);
/* One more than the largest id of the cut's vocabulary; 0: it has none. */
int store_n_tokens(struct store_view *v, uint32_t cut, uint32_t *n, struct err *e);
/* Ids whose bytes equal these (usually one), at most limit, ascending. */
int store_token_find(struct store_view *v, uint32_t cut, const char *bytes,
	size_t n_bytes, uint32_t limit, uint32_t *ids, uint32_t *n_out, struct err *e);

/* Images whose patches are tokens of windows; few cuts have them. */
struct store_image {
	uint32_t number; /* in the cut: 0, 1, 2, ... */
	uint8_t sha256[32]; /* of bytes */
	char type[16]; /* "image/png" */
	const void *bytes; /* the file; NULL where only the rest is told */
	size_t n_bytes;
};
/* By the SHA-256 in hexadecimal, or by its first digits, at least 8, where they are
 * one image's. bytes borrowed as those of store_mget. ERR_NOTFOUND, or ERR_ARG,
 * about the argument image. */
int store_image(struct store_view *v, uint32_t cut, const char *sha256_hex,
	struct store_image *out, struct arena *arena, struct err *e);
/* By number, without the bytes: for patches. */
int store_image_of(struct store_view *v, uint32_t cut, uint32_t number,
	struct store_image *out, struct err *e);
/* The patches of a window, ascending; none (*n 0) where it has none. */
int store_patches(struct store_view *v, uint32_t cut, uint32_t window,
	const struct rec_patch **x, size_t *n, struct arena *arena, struct err *e);

enum feature_sort {
	FEATURE_BY_INDEX,
	FEATURE_BY_COUNT,
	FEATURE_BY_MAX,
	FEATURE_BY_MEAN
};
struct feature_query {
	enum feature_sort sort; /* ties by index, ascending */
	bool descending;
	double min_density, max_density; /* count / n_tokens; 0 and 1 for all */
	double min_max, max_max; /* of the maximum; 0 and INFINITY for all */
	uint64_t min_count, max_count; /* 0 and UINT64_MAX for all */
	enum tristate dead;
	enum tristate labelled; /* by people or imports; keyword labels do not count */
	bool has_after; /* continue behind this row: */
	double after_key; /* its sort value (index, count, max or mean) */
	uint32_t after_index;
	uint32_t limit;
};
struct feature_row {
	uint32_t index;
	uint64_t count;
	double density, mean; /* mean over the positions where it fires; 0 if none */
	float max;
	double key; /* the sort value, for the next page */
};
int store_features(struct store_view *v, uint32_t run, uint32_t slot,
	const struct feature_query *q, struct feature_row *out, uint32_t *n_out,
	struct err *e);

/* ---- labels ---------------------------------------------------------------- */

#define LABEL_KEYWORDS "keywords" /* source of the labels computed at index time */
#define LABEL_PERSON "person"
#define LABEL_IMPORT "import"

struct store_label {
	int64_t id; /* of a stored label; 0 for a keyword label */
	uint8_t sae_hash[32];
	uint32_t feature;
	const char *text;
	const char *source; /* one of the above, or what an import said */
	const char *author; /* "" if unknown */
	int64_t time_s; /* Unix time */
	bool has_score;
	double score;
};
/* All labels of a feature, best first: people's newest first, imports by score
 * then newest, the keyword label of (run, slot) last. Strings in arena. */
int store_labels(struct store_view *v, uint32_t run, uint32_t slot, uint32_t feature,
	const struct store_label **out, uint32_t *n_out, struct arena *arena,
	struct err *e);
/* The best label of each of ids[0..n), text NULL where there is none. */
int store_best_labels(struct store_view *v, uint32_t run, uint32_t slot,
	const uint32_t *ids, size_t n, struct store_label *out, struct arena *arena,
	struct err *e);

struct store_found {
	uint32_t run, slot, feature; /* of a label */
	uint32_t window; /* of a text */
	double rank; /* higher is better */
	const char *text; /* the label, or a snippet; in arena */
	const char *source;
};
/* Full-text search over labels of the SAEs' newest runs (n_places pairs; words
 * are joined by AND; "phrases", prefix*, AND OR NOT as in FTS5; a query that
 * FTS5 cannot parse is searched word by word). People's labels outrank
 * keyword labels. skip rows are left out. */
struct store_scope {
	uint32_t run, slot;
};
int store_search_labels(struct store_view *v, const struct store_scope *scope,
	size_t n_scopes, const char *query, uint32_t skip, uint32_t limit,
	struct store_found *out, uint32_t *n_out, struct arena *arena, struct err *e);
/* The same over the text of a cut's windows. */
int store_search_text(struct store_view *v, uint32_t cut, const char *query,
	uint32_t skip, uint32_t limit, struct store_found *out, uint32_t *n_out,
	struct arena *arena, struct err *e);

/* Writing labels: one process at a time (ERR_BUSY names it). */
int store_labels_lock(struct store *s, struct err *e);
/* Inserts, or replaces the label of the same (SAE, feature, source, author); sets
 * *id. What is replaced stays in the history table. All n or none. */
int store_label_put(struct store *s, const struct store_label *labels, size_t n,
	int64_t *ids, struct err *e);
int store_label_delete(struct store *s, int64_t id, struct err *e); /* ERR_NOTFOUND */
/* Stored labels (not keywords) with id > after, ascending, for export. hash NULL:
 * of all SAEs. */
int store_label_list(struct store_view *v, const uint8_t *sae_hash, int64_t after,
	uint32_t limit, struct store_label *out, uint32_t *n_out, struct arena *arena,
	struct err *e);

/* ======================= publishing ===================================== */

/* Everything below needs STORE_WRITE. A pending object is written under
 * STORE/tmp/ and comes into being with store_publish(); closing the store
 * without that removes it, and the next writer sweeps what a kill left. Records
 * go in by ascending key within a table. */

struct cut_writer;
/* info.id is set here from (tokenizer, corpus, context, BOS, packing). If the
 * store has that cut already, *out is NULL and *have its index; if it is pending and
 * whole (store_keep), *out is NULL, *have -1, and info has its numbers. */
int cut_writer_new(struct cut_writer **out, int64_t *have, struct store *s,
	struct cat_cut *info, struct err *e);
int cut_writer_document(struct cut_writer *w, const struct store_document *d,
	struct err *e); /* number 0, 1, 2, ... */
int cut_writer_token(struct cut_writer *w, uint32_t id, const char *bytes,
	size_t n_bytes, bool special, struct err *e); /* the vocabulary */
int cut_writer_window(struct cut_writer *w, const struct rec_window *r,
	struct err *e); /* window 0, 1, 2, ... */
/* The images of windows that have any, before the patches; number 0, 1, 2, ... The
 * bytes of one hash are kept once. ERR_LIMIT past LIMIT_IMAGE_BYTES. */
int cut_writer_image(struct cut_writer *w, const struct store_image *x, struct err *e);
int cut_writer_patches(struct cut_writer *w, uint32_t window, const struct rec_patch *x,
	size_t n, struct err *e); /* windows ascending */
/* Syncs. Until publishing, its windows can be read with cut_reader below. */
int cut_writer_finish(struct cut_writer *w, const struct cat_cut *info, struct err *e);
void cut_writer_free(struct cut_writer *w); /* the pending directory stays */

/* Windows of a pending or published cut, for the indexer. */
struct cut_reader;
int cut_reader_open(struct cut_reader **out, struct store *s, const char *cut_id,
	struct err *e);
void cut_reader_close(struct cut_reader *r);
/* Borrowed from the reader until it closes, arrays in arena. Thread: one. */
int cut_reader_window(struct cut_reader *r, uint32_t window, struct rec_window *out,
	struct arena *arena, struct err *e);

struct sae_writer;
/* Decoder rows (d_sae, d_out) and encoder rows (d_sae, d_in; NULL: not known). If the store has that SAE (by hash) already, *out is
 * NULL and *have its index (its name stays); if it is pending and whole, *out is NULL
 * and *have -1. A name that another SAE has is ERR_ARG. */
int sae_writer_new(struct sae_writer **out, int64_t *have, struct store *s,
	const struct cat_sae *info, const float *decoder, const float *encoder,
	struct err *e);
/* What rows take in bytes, beside their floats; 0 where rows are too wide for it. */
uint64_t store_codes_bytes(uint32_t n, uint32_t d);
/* For every feature; for none where the model's unembedding is not known. */
int sae_writer_logits(struct sae_writer *w, uint32_t feature,
	const struct rec_logits *r, struct err *e);
int sae_writer_finish(struct sae_writer *w, struct err *e);
void sae_writer_free(struct sae_writer *w);

struct graph_writer;
/* *out is NULL if the store has it already (*have), or if it is pending and whole. */
int graph_writer_new(struct graph_writer **out, bool *have, struct store *s,
	const char *from_id, const char *to_id, uint32_t k, struct err *e);
int graph_writer_put(struct graph_writer *w, uint32_t feature,
	const struct rec_scored *x, size_t n, struct err *e);
int graph_writer_finish(struct graph_writer *w, struct err *e);
void graph_writer_free(struct graph_writer *w);

struct run_writer; /* one run; slots are its SAEs */
/* id: 16 hexadecimal digits, a hash of everything that decides the result. If the
 * store has that run already, *out is NULL and *have its number. */
int run_writer_new(struct run_writer **out, uint32_t *have, struct store *s,
	const char *id, uint32_t n_slots, const uint32_t *d_sae, struct err *e);
/* One more block of a checkpoint into b: 1; when that was all: 0, b empty. */
typedef int (*checkpoint_give)(void *ctx, struct buf *b, struct err *e);
/* The next block. */
typedef int (*checkpoint_take)(void *ctx, struct cur *c, struct err *e);
/* All that was put of windows before n_windows is on the disk for good, and beside it
 * what give gives; nothing is put meanwhile. Only with store_keep(). order: a number
 * for what stands in which slot. */
int run_writer_checkpoint(struct run_writer *w, uint32_t n_windows, uint64_t order,
	checkpoint_give give, void *ctx, struct err *e);
/* The run at its last checkpoint, *n_windows done; *out NULL where there is none.
 * Windows from *n_windows on are put again; what is stored of them must be the same.
 * ERR_CORRUPT when it cannot be used; run_writer_new() starts anew then. */
int run_writer_resume(struct run_writer **out, uint32_t *n_windows, struct store *s,
	const char *id, uint32_t n_slots, const uint32_t *d_sae, uint64_t order,
	struct err *e);
/* Once, after run_writer_resume(): the checkpoint's blocks. */
int run_writer_restore(struct run_writer *w, checkpoint_take take, void *ctx,
	struct err *e);
/* Activations of a stretch of a window's tokens; window, then first_token
 * ascending, in each slot. Cut so that a packed chunk is at most
 * LIMIT_CHUNK_BYTES: done inside. Each slot may have its own thread. */
int run_writer_acts(struct run_writer *w, uint32_t slot, uint32_t window,
	const struct rec_acts *x, struct err *e);
/* Ends the acts; from here they can be read back, from several threads. */
int run_writer_acts_done(struct run_writer *w, struct err *e);
int run_writer_read_acts(struct run_writer *w, uint32_t slot, uint32_t window,
	struct rec_acts *out, struct arena *arena, struct err *e);
int run_writer_feature(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_feature *r, struct err *e);
int run_writer_examples(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_examples *r, struct err *e);
int run_writer_postings(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_posting *x, size_t n, struct err *e);
int run_writer_token(struct run_writer *w, uint32_t slot, uint32_t token,
	const struct rec_token *r, struct err *e);
/* Of every feature that fires, or of none. */
int run_writer_pairs(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_pairs *x, struct err *e);
int run_writer_keywords(struct run_writer *w, uint32_t slot, uint32_t feature,
	const char *text, double score, struct err *e);
/* What the indexer puts a slot together from again; perhaps none. */
int run_writer_sums(struct run_writer *w, uint32_t slot, const void *p, size_t n_bytes,
	struct err *e);
int run_writer_finish(struct run_writer *w, struct err *e);
void run_writer_free(struct run_writer *w);

/* What becomes visible at once: the finished pending objects of this store
 * handle, and the run that ties them together. */
struct store_publish {
	const struct cat_model *model; /* inserted unless the store has that id */
	const struct cat_cut *cut; /* NULL: run_cut_id is published already */
	const struct cat_sae *sae; /* (n_saes) the new ones */
	uint32_t n_saes;
	struct {
		const char *from_id, *to_id;
		uint32_t k;
	} * graph;
	uint32_t n_graphs;
	const char *ann_id; /* a pending index; one of the same directions gives way */
	const char *run_id, *run_cut_id, *provenance;
	const char *const *run_sae_id; /* (n_run_saes) by slot */
	const struct cat_run_sae *run_sae; /* (n_run_saes) .sae is ignored */
	uint32_t n_run_saes;
};
/* Sets *number of the new run. After this returns 0 it is durable. */
int store_publish(struct store *s, const struct store_publish *p, uint32_t *number,
	struct err *e);

int store_remove_run(struct store *s, uint32_t number, struct err *e);
int store_rename_sae(struct store *s, const char *from, const char *to, struct err *e);
/* Removes what no run names (SAEs, cuts, graphs, models included) and what was
 * left pending, resumable or not. *freed_bytes by blocks. */
int store_gc(struct store *s, uint64_t *freed_bytes, struct err *e);
struct store_usage {
	/* "cut", "sae", "run", "graph", "ann", "labels", "catalog", "tmp", and "resumable" of
	 * what an interrupted index left, its kind being the name */
	char what[16];
	char id[40];
	char name[LIMIT_NAME_BYTES];
	uint64_t n_bytes;
};
/* Of those, "resumable" ones only; fine while another program writes. new: mem_free(). */
int store_resumable(struct store *s, struct store_usage **out, size_t *n_out,
	struct err *e);
/* new: mem_free(). */
int store_du(struct store *s, struct store_usage **out, size_t *n_out, struct err *e);

#endif
