/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/child.h"

#include <stdio.h>
#include <string.h>

static const char feature_schema[] =
	"CREATE TABLE feature(feature INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
	" max REAL NOT NULL, mean REAL NOT NULL);"
	"CREATE TABLE keyword(feature INTEGER PRIMARY KEY, text TEXT NOT NULL,"
	" score REAL NOT NULL);"
	"CREATE VIRTUAL TABLE keyword_text USING fts5(text, content='keyword',"
	" content_rowid='feature', tokenize='unicode61 remove_diacritics 2', prefix='2 "
	"3');"
	"PRAGMA user_version=1;";
/* Both directions, for ties go by ascending feature in both. */
static const char feature_finish[] =
	"CREATE INDEX by_count ON feature(count, feature);"
	"CREATE INDEX by_count_down ON feature(count DESC, feature);"
	"CREATE INDEX by_max ON feature(max, feature);"
	"CREATE INDEX by_max_down ON feature(max DESC, feature);"
	"CREATE INDEX by_mean ON feature(mean, feature);"
	"CREATE INDEX by_mean_down ON feature(mean DESC, feature);"
	"INSERT INTO keyword_text(keyword_text) VALUES('rebuild');"
	"INSERT INTO keyword_text(keyword_text) VALUES('optimize');";

struct slot {
	uint32_t d_sae;
	struct kv *acts; /* written, then (acts_done) read */
	struct kv *feature;
	struct kv *pairs; /* NULL: there are none yet */
	struct db *db;
	struct buf packed;
};

struct run_writer {
	struct pending *pending;
	struct map checkpoint; /* what it was resumed from, until it is restored */
	bool acts_done;
	uint32_t n_slots;
	struct slot slot[];
};

static int
slot_dir(char path[PATH_BYTES], char sub[8], const struct run_writer *w, uint32_t i,
	struct err *e)
{
	snprintf(sub, 8, "%02u/", i % 1000);
	return path_join(path, e, "%s/%s", w->pending->dir, sub);
}

/* All but the activations, which are written first. */
static int
slot_rest(struct run_writer *w, uint32_t i, const char *sub, struct err *e)
{
	struct slot *x = &w->slot[i];
	int rc = pending_kv(&x->feature, w->pending, sub, &layout_feature, e);

	if (rc == 0)
		rc = pending_db(&x->db, w->pending, sub, FILE_FEATURE_DB,
			feature_schema, e);
	return rc;
}

static int
slot_new(struct run_writer *w, uint32_t i, uint32_t d_sae, struct err *e)
{
	char sub[8], path[PATH_BYTES];
	struct slot *x = &w->slot[i];
	int rc = slot_dir(path, sub, w, i, e);

	x->d_sae = d_sae;
	if (rc == 0)
		rc = dir_make(path, e);
	if (rc == 0)
		rc = pending_kv(&x->acts, w->pending, sub, &layout_acts, e);
	return rc == 0 ? slot_rest(w, i, sub, e) : rc;
}

static struct run_writer *
writer_new(uint32_t n_slots, struct err *e)
{
	struct run_writer *w;

	if (n_slots == 0 || n_slots > LIMIT_SAES) {
		err_set(e, ERR_LIMIT, "a run has 1 to %d SAEs, not %u", LIMIT_SAES,
			n_slots);
		return NULL;
	}
	w = mem_new(1, sizeof(*w) + n_slots * sizeof(w->slot[0]));
	if (w == NULL)
		err_set(e, ERR_NOMEM, "no memory for a run");
	else
		w->n_slots = n_slots;
	return w;
}

int
run_writer_new(struct run_writer **out, uint32_t *have, struct store *s, const char *id,
	uint32_t n_slots, const uint32_t *d_sae, struct err *e)
{
	const struct store_catalog *c = &s->gen->catalog;
	struct run_writer *w;
	int64_t known = cat_find_run_id(c, id);
	int rc = store_need_write(s, e);

	*out = NULL;
	*have = known >= 0 ? c->run[known].number : 0;
	if (rc != 0 || known >= 0)
		return rc;
	w = writer_new(n_slots, e);
	if (w == NULL)
		return e->code;
	rc = pending_new(&w->pending, s, KIND_RUN, id, "", e);
	for (uint32_t i = 0; rc == 0 && i < n_slots; i++)
		rc = slot_new(w, i, d_sae[i], e);
	if (rc != 0) {
		run_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void
run_writer_free(struct run_writer *w)
{
	if (w == NULL)
		return;
	for (uint32_t i = 0; i < w->n_slots; i++) {
		kv_close(w->slot[i].acts);
		kv_close(w->slot[i].feature);
		kv_close(w->slot[i].pairs);
		db_close(w->slot[i].db);
		buf_clear(&w->slot[i].packed);
	}
	map_close(&w->checkpoint);
	mem_free(w);
}

/* ---- checkpoints ------------------------------------------------------------- */

/* The first slot's activations, by which a directory that was moved is known. */
static uint64_t
acts_file(const char *dir)
{
	char path[PATH_BYTES];

	return path_join(path, NULL, "%s/00/%s", dir, layout_acts.file) == 0
		? checkpoint_file(path)
		: 0;
}

int
run_writer_checkpoint(struct run_writer *w, uint32_t n_windows, uint64_t order,
	checkpoint_give give, void *ctx, struct err *e)
{
	struct checkpoint_head head = {.n_windows = n_windows,
		.order = order,
		.file = acts_file(w->pending->dir)};
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s" PENDING_CHECKPOINT, w->pending->dir);

	if (rc == 0 && (w->acts_done || !w->pending->may_stay))
		rc = err_set(e, ERR_INTERNAL, "a checkpoint of a run that cannot");
	for (uint32_t i = 0; rc == 0 && i < w->n_slots; i++)
		rc = kv_sync(w->slot[i].acts, e);
	if (rc == 0 && !w->pending->stays) /* the files' names too */
		rc = dir_sync_tree(w->pending->dir, e);
	memcpy(head.id, w->pending->id, sizeof(head.id));
	if (rc == 0)
		rc = checkpoint_write(path, &head, give, ctx, e);
	w->pending->stays |= rc == 0;
	return rc;
}

/* Its directory, moved back if a publication had it in its place already: then it
 * might be another attempt's, which the file tells. */
static int
bring_back(struct store *s, const char *id, const char *dir,
	const struct checkpoint_head *h, struct err *e)
{
	char from[PATH_BYTES];
	int rc = pending_locate(from, s, KIND_RUN, id, dir, e);
	bool moved = rc == 1 && strcmp(from, dir) != 0;

	if (rc < 0)
		return rc;
	if (rc == 0 || (moved && (h->file == 0 || acts_file(from) != h->file)))
		return err_set(e, ERR_CORRUPT,
			"%s: what was written up to the checkpoint is not there", dir);
	return moved ? file_rename(from, dir, e) : 0;
}

struct trial {
	const char *path;
	uint32_t n_windows;
};

static int
try_acts(void *ctx, struct err *e)
{
	const struct trial *t = ctx;
	struct kv *kv;

	return kv_resume(&kv, t->path, layout_acts.names, layout_acts.n_tables,
		t->n_windows, e);
}

/* In another process first: the file has no checksum of its own yet, and LMDB may fall
 * over a damaged page. */
static int
acts_resume(struct kv **out, const char *path, uint32_t n_windows, struct err *e)
{
	struct trial t = {path, n_windows};
	int rc = child_try(try_acts, &t, path, e);

	return rc == 0 ? kv_resume(out, path, layout_acts.names, layout_acts.n_tables,
				 n_windows, e)
		       : rc;
}

static int
slot_resume(struct run_writer *w, uint32_t i, uint32_t d_sae, uint32_t n_windows,
	struct err *e)
{
	char sub[8], dir[PATH_BYTES], path[PATH_BYTES], **names = NULL;
	struct slot *x = &w->slot[i];
	size_t n = 0;
	int rc = slot_dir(dir, sub, w, i, e);

	x->d_sae = d_sae;
	if (rc == 0)
		rc = dir_list(dir, &names, &n, e);
	for (size_t j = 0; j < n; j++) {
		if (rc == 0 && strcmp(names[j], layout_acts.file) != 0) {
			rc = path_join(path, e, "%s%s", dir, names[j]);
			if (rc == 0)
				rc = dir_remove(path, e);
		}
		mem_free(names[j]);
	}
	mem_free(names);
	if (rc == 0)
		rc = path_join(path, e, "%s%s", dir, layout_acts.file);
	if (rc == 0)
		rc = acts_resume(&x->acts, path, n_windows, e);
	return rc == 0 ? slot_rest(w, i, sub, e) : rc;
}

static int
check_head(const struct checkpoint_head *h, const char *path, const char *id,
	uint64_t order, struct err *e)
{
	if (strlen(id) != sizeof(h->id) || memcmp(h->id, id, sizeof(h->id)) != 0)
		return err_set(e, ERR_CORRUPT, "%s: the checkpoint of another run",
			path);
	if (h->order != order)
		return err_set(e, ERR_CORRUPT,
			"%s: the checkpoint has the SAEs in another order, or other "
			"windows were taken from another run",
			path);
	return 0;
}

int
run_writer_resume(struct run_writer **out, uint32_t *n_windows, struct store *s,
	const char *id, uint32_t n_slots, const uint32_t *d_sae, uint64_t order,
	struct err *e)
{
	char dir[PATH_BYTES], path[PATH_BYTES];
	struct checkpoint_head h;
	struct run_writer *w;
	int rc = pending_dir(dir, s, KIND_RUN, id, "", e);

	*out = NULL;
	if (rc == 0)
		rc = path_join(path, e, "%s" PENDING_CHECKPOINT, dir);
	if (rc != 0 || s->inputs == NULL || !file_exists(path) ||
		cat_find_run_id(&s->gen->catalog, id) >= 0)
		return rc;
	w = writer_new(n_slots, e);
	if (w == NULL)
		return e->code;
	rc = checkpoint_open(path, &w->checkpoint, &h, e);
	if (rc == 0)
		rc = check_head(&h, path, id, order, e);
	if (rc == 0)
		rc = bring_back(s, id, dir, &h, e);
	if (rc == 0)
		rc = pending_add(&w->pending, s, KIND_RUN, id, dir, e);
	if (rc == 0)
		w->pending->stays = true;
	for (uint32_t i = 0; rc == 0 && i < n_slots; i++)
		rc = slot_resume(w, i, d_sae[i], h.n_windows, e);
	if (rc != 0) {
		run_writer_free(w);
		return rc;
	}
	*n_windows = h.n_windows;
	*out = w;
	return 0;
}

int
run_writer_restore(struct run_writer *w, checkpoint_take take, void *ctx, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s" PENDING_CHECKPOINT, w->pending->dir);

	if (rc == 0)
		rc = checkpoint_read(path, &w->checkpoint, take, ctx, e);
	map_close(&w->checkpoint);
	return rc;
}

/* Its buffer is empty then. */
static int
find_slot(struct run_writer *w, uint32_t slot, uint32_t feature, struct slot **out,
	struct err *e)
{
	*out = NULL;
	if (slot >= w->n_slots)
		return err_set(e, ERR_INTERNAL, "a run of %u SAEs has no slot %u",
			w->n_slots, slot);
	*out = &w->slot[slot];
	if (feature >= (*out)->d_sae)
		return err_set(e, ERR_INTERNAL, "a SAE of %u has feature %u",
			(*out)->d_sae, feature);
	buf_reset(&(*out)->packed);
	return 0;
}

static int
put(struct slot *x, size_t table, uint32_t id, struct err *e)
{
	if (x->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for a record");
	return kv_put(x->feature, table, id, x->packed.data, x->packed.n_bytes, e);
}

/* ---- activations ----------------------------------------------------------- */

int
run_writer_acts(struct run_writer *w, uint32_t slot, uint32_t window,
	const struct rec_acts *x, struct err *e)
{
	struct slot *s;
	int rc = find_slot(w, slot, 0, &s, e);

	if (rc == 0 && w->acts_done)
		rc = err_set(e, ERR_INTERNAL, "activations after their end");
	return rc == 0 ? acts_put(s->acts, &s->packed, s->d_sae, window, x, e) : rc;
}

int
run_writer_acts_done(struct run_writer *w, struct err *e)
{
	char path[PATH_BYTES];
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < w->n_slots; i++) {
		struct slot *x = &w->slot[i];

		rc = kv_finish(x->acts, e);
		kv_close(x->acts);
		x->acts = NULL;
		if (rc == 0)
			rc = path_join(path, e, "%s/%02u/%s", w->pending->dir, i,
				layout_acts.file);
		if (rc == 0)
			rc = kv_open(&x->acts, path, layout_acts.names,
				layout_acts.n_tables, e);
	}
	w->acts_done = rc == 0;
	return rc;
}

int
run_writer_read_acts(struct run_writer *w, uint32_t slot, uint32_t window,
	struct rec_acts *out, struct arena *arena, struct err *e)
{
	struct kv_view *v;
	int rc;

	if (slot >= w->n_slots || !w->acts_done)
		return err_set(e, ERR_INTERNAL, "no activations to read yet");
	rc = kv_view_open(&v, w->slot[slot].acts, e);
	if (rc != 0)
		return rc;
	rc = acts_gather(v, window, 0, UINT32_MAX, out, arena, e);
	kv_view_close(v);
	return rc;
}

/* ---- records --------------------------------------------------------------- */

static int
put_row(struct slot *x, uint32_t feature, const struct rec_feature *r, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(x->db, &s, "INSERT INTO feature VALUES(?,?,?,?)", e);

	if (rc != 0)
		return rc;
	stmt_i64(s, 1, feature);
	stmt_i64(s, 2, (int64_t)r->count);
	stmt_f64(s, 3, (double)r->max);
	stmt_f64(s, 4, r->count > 0 ? r->sum / (double)r->count : 0);
	return stmt_done(s, e);
}

int
run_writer_feature(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_feature *r, struct err *e)
{
	struct slot *x = NULL;
	int rc = find_slot(w, slot, feature, &x, e);

	if (rc != 0)
		return rc;
	rec_feature_pack(&x->packed, r);
	rc = put(x, KV_FEATURE, feature, e);
	return rc == 0 ? put_row(x, feature, r, e) : rc;
}

int
run_writer_examples(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_examples *r, struct err *e)
{
	struct slot *x = NULL;
	int rc = find_slot(w, slot, feature, &x, e);

	if (rc != 0)
		return rc;
	rec_examples_pack(&x->packed, r);
	return put(x, KV_EXAMPLES, feature, e);
}

int
run_writer_postings(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_posting *p, size_t n, struct err *e)
{
	struct slot *x = NULL;
	int rc = find_slot(w, slot, feature, &x, e);

	if (rc != 0)
		return rc;
	rec_postings_pack(&x->packed, p, n);
	return put(x, KV_POSTINGS, feature, e);
}

int
run_writer_token(struct run_writer *w, uint32_t slot, uint32_t token,
	const struct rec_token *r, struct err *e)
{
	struct slot *x = NULL;
	int rc = find_slot(w, slot, 0, &x, e);

	if (rc != 0)
		return rc;
	rec_token_pack(&x->packed, r);
	return put(x, KV_TOKEN, token, e);
}

int
run_writer_pairs(struct run_writer *w, uint32_t slot, uint32_t feature,
	const struct rec_pairs *r, struct err *e)
{
	char sub[8], dir[PATH_BYTES];
	struct slot *x = NULL;
	int rc = find_slot(w, slot, feature, &x, e);

	if (rc == 0 && x->pairs == NULL) {
		rc = slot_dir(dir, sub, w, slot, e);
		if (rc == 0)
			rc = pending_kv(&x->pairs, w->pending, sub, &layout_pairs, e);
	}
	if (rc != 0)
		return rc;
	rec_pairs_pack(&x->packed, r);
	if (x->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for a record");
	return kv_put(x->pairs, KV_PAIRS, feature, x->packed.data, x->packed.n_bytes,
		e);
}

int
run_writer_keywords(struct run_writer *w, uint32_t slot, uint32_t feature,
	const char *text, double score, struct err *e)
{
	struct slot *x;
	struct stmt *s;
	int rc = find_slot(w, slot, feature, &x, e);

	if (rc == 0)
		rc = db_prepare(x->db, &s, "INSERT INTO keyword VALUES(?,?,?)", e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, feature);
	stmt_str(s, 2, text);
	stmt_f64(s, 3, score);
	return stmt_done(s, e);
}

int
run_writer_sums(struct run_writer *w, uint32_t slot, const void *p, size_t n_bytes,
	struct err *e)
{
	char sub[8], dir[PATH_BYTES], path[PATH_BYTES];
	struct slot *x;
	int rc = find_slot(w, slot, 0, &x, e);

	if (rc == 0)
		rc = slot_dir(dir, sub, w, slot, e);
	if (rc == 0)
		rc = path_join(path, e, "%s" FILE_SUMS, dir);
	return rc == 0 ? sums_write(path, p, n_bytes, e) : rc;
}

static int
slot_finish(struct slot *x, struct err *e)
{
	int rc = kv_finish(x->feature, e);

	if (rc == 0 && x->pairs != NULL)
		rc = kv_finish(x->pairs, e);
	if (rc == 0)
		rc = pending_db_finish(x->db, feature_finish, e);
	kv_close(x->feature);
	kv_close(x->pairs);
	kv_close(x->acts);
	db_close(x->db);
	x->feature = x->pairs = x->acts = NULL;
	x->db = NULL;
	return rc;
}

int
run_writer_finish(struct run_writer *w, struct err *e)
{
	int rc = w->acts_done ? 0 : run_writer_acts_done(w, e);

	for (uint32_t i = 0; rc == 0 && i < w->n_slots; i++)
		rc = slot_finish(&w->slot[i], e);
	/* a run is not marked: its checkpoint is its mark */
	return rc == 0 ? pending_finish(w->pending, NULL, e) : rc;
}
