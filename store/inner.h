/* SPDX-License-Identifier: ISC */
/*
 * inner: what the files of this room share and nobody else sees. An object is a
 * published directory (a cut, a SAE, a run or a graph) with its open files; it
 * is shared by the generations that name it. A generation is the catalogue as
 * read once, and its objects. A pending object is a directory under tmp/.
 */
#ifndef STORE_INNER_H
#define STORE_INNER_H

#include "store/db.h"
#include "store/kv.h"
#include "store/store.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/pool.h"

/* Small files are hashed whole before they are used; of larger ones the size is
 * compared, and each value has its own checksum. */
#define CHECK_WHOLE_BYTES ((uint64_t)256 << 20)

enum kind { KIND_CUT, KIND_SAE, KIND_RUN, KIND_GRAPH, KIND_ANN, KINDS };
extern const char *const kind_name[KINDS]; /* and of its directory in the store */

#define OBJECT_ID_CHARS 40
#define PART_NAME_CHARS 32

/* ---- parts: the files of an object (object.c) ------------------------------ */

struct part {
	char name[PART_NAME_CHARS]; /* below the object's directory */
	uint64_t n_bytes;
	uint64_t hash; /* XXH3 of the whole file */
	/* the rest under the object's lock */
	bool checked;
	bool hashed; /* all of it */
	struct kv *kv;
	struct map map;
};

struct object {
	enum kind kind;
	char id[OBJECT_ID_CHARS];
	uint64_t digest; /* of the parts: a directory made again is another object */
	char *dir;
	struct part *part; /* (n_parts) by name */
	size_t n_parts;
	struct mutex *lock;
	struct ann *flat[STORE_DIRECTIONS][STORE_METRICS]; /* once asked for */
	struct ann_loaded *loaded; /* of an index */
	struct counts *counts; /* of a run, once a filter wants them (filter.c) */
	unsigned n_refs; /* under the store's lock */
	struct object *next; /* of the store */
};

/* The tables of the kv files, in the order of their numbers. */
enum { KV_WINDOW = 0, KV_LOGITS = 0, KV_NEIGHBORS = 0, KV_ACTS = 0, KV_PAIRS = 0 };
enum { KV_IMAGE, KV_BYTES, KV_HASH, KV_PATCHES, KV_IMAGE_TABLES };
enum { KV_FEATURE, KV_EXAMPLES, KV_POSTINGS, KV_TOKEN, KV_FEATURE_TABLES };
struct kv_layout {
	const char *file; /* "%02u/" and the slot stand in front in a run */
	const char *names[KV_TABLES];
	size_t n_tables;
};
extern const struct kv_layout layout_window, layout_image, layout_logits,
	layout_neighbors, layout_acts, layout_feature, layout_pairs;
#define FILE_CUT_DB "cut.db"
#define FILE_DECODER "decoder.f32"
#define FILE_ENCODER "encoder.f32" /* SAEs of before, or of no weights, have none */
#define FILE_DECODER_CODES "decoder.i8" /* the same rows in bytes */
#define FILE_ENCODER_CODES "encoder.i8"
#define FILE_FEATURE_DB "feature.db"
#define FILE_SUMS "sums" /* runs of before have none */

/* Takes part (n_parts) on success. new: object_free(). */
int object_new(struct object **out, enum kind kind, const char *id, const char *dir,
	struct part *part, size_t n_parts, struct err *e);
void object_free(struct object *o);
uint64_t part_digest(const struct part *part, size_t n_parts);
/* Every part is there and as long as it was: ERR_CORRUPT names it. */
int object_measure(const struct object *o, struct err *e);
int object_part(const struct object *o, const char *name, size_t *i, struct err *e);
/* The part opened, after its check. Borrowed until the object is freed. */
int object_kv(struct object *o, size_t i, const struct kv_layout *layout,
	struct kv **kv, struct err *e);
int object_map(struct object *o, size_t i, const struct map **map, struct err *e);
/* The same, its hash checked whatever its size. */
int object_map_whole(struct object *o, size_t i, const struct map **map, struct err *e);
/* For a part that others open: only the check. */
int object_check(struct object *o, size_t i, struct err *e);
void counts_free(struct counts *x);
int part_path(char out[PATH_BYTES], const struct object *o, size_t i, struct err *e);
/* All files below dir, measured and hashed, by name. new: mem_free(*part). */
int parts_scan(const char *dir, struct part **part, size_t *n_parts, struct err *e);

/* ---- generations (generation.c) -------------------------------------------- */

struct generation {
	unsigned n_refs; /* its views, and 1 while it is the newest; under the lock */
	struct arena arena;
	struct store_catalog catalog;
	struct object **object[KINDS]; /* as in the catalogue */
	uint32_t n_objects[KINDS];
	size_t *handle[KINDS]; /* of each object's first part, in a view's handles */
	size_t n_handles;
	struct store_view *idle;
};

struct pending;

struct store {
	char *dir;
	enum store_mode mode;
	struct mutex *lock;
	struct generation *gen; /* the newest opened */
	struct object *objects; /* of all generations */
	struct db *catalog; /* reading connection, under the lock */
	struct lock writer, labeller;
	struct mutex *label_lock; /* for the next */
	struct db *labels; /* the writing connection, while labeller is held */
	struct pending *pending;
	char *inputs; /* store_keep(); NULL: nothing pending outlives it */
};

/* Opens what the catalogue names now, sharing objects with what is open. The
 * store's lock is held. */
int generation_open(struct generation **out, struct store *s, struct err *e);
void generation_unref(struct store *s, struct generation *g); /* the lock is held */

/* ---- the catalogue (catalog.c) --------------------------------------------- */

extern const char catalog_schema[];
/* Into g->catalog; the number of rows, and each object's files by catalog_parts. */
int catalog_load(struct db *db, struct generation *g, struct err *e);
int catalog_parts(struct db *db, enum kind kind, const char *id, struct part **part,
	size_t *n_parts, struct err *e);
int catalog_generation(struct db *db, uint64_t *generation, struct err *e);
/* Rows in, inside a transaction. */
int catalog_put_model(struct db *db, const struct cat_model *m, struct err *e);
int catalog_put_cut(struct db *db, const struct cat_cut *c, struct err *e);
int catalog_put_sae(struct db *db, const struct cat_sae *x, struct err *e);
int catalog_put_parts(struct db *db, enum kind kind, const char *id,
	const struct part *part, size_t n_parts, struct err *e);
int catalog_put_run_sae(struct db *db, uint32_t run, uint32_t slot, const char *sae_id,
	const struct cat_run_sae *x, struct err *e);
/* Whether the sum over all rows is what it was: ERR_CORRUPT. */
int catalog_check(struct db *db, struct err *e);
/* Writes the next generation's number and the sum over all rows. */
int catalog_seal(struct db *db, struct err *e);
/* Whether the catalogue names that object. */
int catalog_names(struct db *db, enum kind kind, const char *id, bool *named,
	struct err *e);
/* Seals, reads everything again and commits; else all is as it was. */
int catalog_commit(struct db *db, struct err *e);
/* For an empty database. */
int catalog_make(struct db *db, struct err *e);
/* Index by id, or -1. */
int64_t cat_find_cut_id(const struct store_catalog *c, const char *id);
int64_t cat_find_sae_id(const struct store_catalog *c, const char *id);
int64_t cat_find_run_id(const struct store_catalog *c, const char *id);
int64_t cat_find_model_id(const struct store_catalog *c, const char *id);
/* Whether a name may be a SAE's: not empty, no '/', no control characters, UTF-8. */
int cat_check_name(const char *name, struct err *e);

/* ---- views (view.c) -------------------------------------------------------- */

struct handle {
	struct kv_view *kv;
	struct db *db;
};
struct store_view {
	struct store *store;
	struct generation *gen;
	struct handle *handle; /* (gen->n_handles) opened when first asked for */
	struct db *labels;
	struct labelled *labelled; /* once a filter wants them (filter.c) */
	struct store_view *next; /* of the generation's idle ones */
};
void view_free(struct store_view *v);
void labelled_free(struct labelled *x);
int view_kv(struct store_view *v, enum kind kind, uint32_t i,
	const struct kv_layout *layout, uint32_t slot, struct kv_view **kv,
	struct err *e);
/* file: FILE_CUT_DB or FILE_FEATURE_DB. */
int view_db(struct store_view *v, enum kind kind, uint32_t i, const char *file,
	uint32_t slot, struct db **db, struct err *e);
/* A statement on a cut's database, the cut's index checked. */
int view_cut_stmt(struct store_view *v, uint32_t cut, const char *sql, struct stmt **s,
	struct err *e);
int view_labels(struct store_view *v, struct db **db, struct err *e);
/* rc, or ERR_STALE where the view's generation is gone: what is gone with it is no
 * damage. */
int view_stale(struct store_view *v, int rc, struct err *e);
/* Index checks with ERR_NOTFOUND. */
int view_has_run(const struct store_view *v, uint32_t run, uint32_t slot,
	struct err *e);
int view_has_cut(const struct store_view *v, uint32_t cut, struct err *e);
int view_has_sae(const struct store_view *v, uint32_t sae, struct err *e);

/* ---- labels ---------------------------------------------------------------- */

extern const char labels_schema[];
#define LABELS_DB_VERSION 1
/* A label's columns in this order, then its sum. */
#define LABEL_COLUMNS "sae_hash, feature, text, source, author, time_s, score"
enum { LABEL_N_COLUMNS = 7, LABEL_SUM = 7, LABEL_ID = 8 };
uint64_t label_sum(const struct stmt *s); /* of a row that starts with those */
/* The row as a label, strings in arena; ERR_CORRUPT if its sum does not match. */
int label_row(const struct stmt *s, struct store_label *out, struct arena *arena,
	struct err *e);

/* ---- pending objects (pending.c) ------------------------------------------- */

enum pending_state { PENDING_OPEN, PENDING_FINISHED, PENDING_MOVED };
struct pending {
	enum kind kind;
	char id[OBJECT_ID_CHARS];
	char *dir; /* below tmp/, also when it was moved */
	enum pending_state state;
	bool may_stay; /* the store was told to keep what is whole */
	bool stays; /* a mark beside it says what it is good for */
	struct pending *next;
};
/* A new directory; an older pending one of the same name is dropped. extra: what
 * decides its content beside the id and the store's inputs. Borrowed from the store. */
int pending_new(struct pending **out, struct store *s, enum kind kind, const char *id,
	const char *extra, struct err *e);
/* Of a directory that is there. */
int pending_add(struct pending **out, struct store *s, enum kind kind, const char *id,
	const char *dir, struct err *e);
struct pending *pending_find(struct store *s, enum kind kind, const char *id);
/* Forgets it; its directory goes too unless it was moved, and its marks. */
void pending_drop(struct store *s, struct pending *p);
/* Forgets all; those with a mark stay on the disk. */
void pending_leave(struct store *s);
/* Syncs its files, and (info not NULL) marks it as whole: a later program may find it,
 * and info. */
int pending_finish(struct pending *p, const struct buf *info, struct err *e);

/* ---- those that outlive a program (resume.c) ---------------------------------- */

#define PENDING_DONE ".done" /* behind the directory's name: it is whole */
#define PENDING_CHECKPOINT ".checkpoint" /* a run, so far */
int pending_dir(char out[PATH_BYTES], const struct store *s, enum kind kind,
	const char *id, const char *extra, struct err *e);
/* Removes the directory and its marks. */
int pending_clean(const char *dir, struct err *e);
int pending_mark(struct pending *p, const struct buf *info, struct err *e);
/* A whole one of before: 1 and *out, with info appended; 0 when there is none. */
int pending_take(struct pending **out, struct store *s, enum kind kind, const char *id,
	const char *extra, struct buf *info, struct err *e);
/* Where it stands: dir, or where a publication had moved it. 1, 0 for neither. */
int pending_locate(char at[PATH_BYTES], const struct store *s, enum kind kind,
	const char *id, const char *dir, struct err *e);
/* Removes what no command can take up. */
int pending_sweep(struct store *s, struct err *e);
/* Calls fn for each that can be taken up: where it stands, and its mark. */
int pending_each(struct store *s,
	int (*fn)(void *ctx, enum kind kind, const char *id, const char *dir,
		const char *mark, struct err *e),
	void *ctx, struct err *e);

/* ---- checkpoints (checkpoint.c) ------------------------------------------------ */

struct checkpoint_head {
	char id[16]; /* the run's, without a NUL */
	uint32_t n_windows; /* done */
	uint64_t order; /* of the slots */
	uint64_t file; /* checkpoint_file() of the first acts.mdb */
};
/* Written beside, synced and renamed; one block is in memory. */
int checkpoint_write(const char *path, const struct checkpoint_head *h,
	checkpoint_give give, void *ctx, struct err *e);
/* Checks all of it: ERR_CORRUPT says what is wrong. new: map_close(m). */
int checkpoint_open(const char *path, struct map *m, struct checkpoint_head *h,
	struct err *e);
int checkpoint_read(const char *path, const struct map *m, checkpoint_take take,
	void *ctx, struct err *e);
/* A number that the file keeps when it is renamed, and no other has; 0: none. */
uint64_t checkpoint_file(const char *path);

/* A SAE's rows (d_sae, d_in or d_out) into a pending directory, as floats and in bytes
 * (codes.c). */
int codes_write(const struct pending *p, const struct cat_sae *info,
	enum store_direction direction, const float *rows, struct err *e);
/* Panels of kernel/scan.h, mapped; NULL where the SAE has none. */
int codes_map(struct store_view *v, uint32_t sae, enum store_direction direction,
	const void **codes, struct err *e);

/* Bytes that are framed and checked, in a file of their own (sums.c). */
int sums_write(const char *path, const void *p, size_t n_bytes, struct err *e);

int store_path(char out[PATH_BYTES], const struct store *s, const char *name,
	struct err *e);
int object_path(char out[PATH_BYTES], const struct store *s, enum kind kind,
	const char *id, struct err *e);
/* The directory's name of a graph. */
void graph_id(char out[OBJECT_ID_CHARS], const char *from_id, const char *to_id,
	uint32_t k);
int store_need_write(const struct store *s, struct err *e);
int store_refresh_locked(struct store *s, struct err *e);
/* A kv file of a pending directory; sub "" or "00/" and so on. */
int pending_kv(struct kv **out, const struct pending *p, const char *sub,
	const struct kv_layout *layout, struct err *e);
int pending_db(struct db **out, const struct pending *p, const char *sub,
	const char *file, const char *schema, struct err *e);
/* What was being built, complete: indexes and the like, then committed. */
int pending_db_finish(struct db *db, const char *sql, struct err *e);
/* Active features of tokens [first, first + n) of a window, from its chunks; n
 * UINT32_MAX: to the last. Tokens without a chunk are ERR_CORRUPT; a window
 * without any has no tokens. */
int acts_gather(struct kv_view *v, uint32_t window, uint32_t first, uint32_t n,
	struct rec_acts *out, struct arena *arena, struct err *e);
/* Puts them in chunks of whole tokens; a single token's is as long as it is. */
int acts_put(struct kv *kv, struct buf *packed, uint32_t d_sae, uint32_t window,
	const struct rec_acts *x, struct err *e);
/* n tokens without any. */
int acts_none(uint32_t first, uint32_t n, struct rec_acts *out, struct arena *arena,
	struct err *e);
/* The images of a pending cut (write_image.c), made with the first of them. */
struct image_writer;
int image_writer_new(struct image_writer **out, const struct pending *p, struct err *e);
void image_writer_free(struct image_writer *w);
int image_writer_image(struct image_writer *w, const struct store_image *x,
	struct err *e);
int image_writer_patches(struct image_writer *w, uint32_t window,
	const struct rec_patch *x, size_t n, struct err *e);
int image_writer_finish(struct image_writer *w, uint32_t n_windows, struct err *e);
/* A connection for changing the catalogue. new: db_close(). */
int store_catalog_write(struct store *s, struct db **db, struct err *e);

/* Tests only: called with the name of each step of a publication. */
extern void (*publish_step)(const char *step);

#endif
