/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

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
	struct db *db;
	struct buf packed;
};

struct run_writer {
	struct pending *pending;
	bool acts_done;
	uint32_t n_slots;
	struct slot slot[];
};

static int
slot_new(struct run_writer *w, uint32_t i, uint32_t d_sae, struct err *e)
{
	char sub[8], path[PATH_BYTES];
	struct slot *x = &w->slot[i];
	int rc;

	x->d_sae = d_sae;
	snprintf(sub, sizeof(sub), "%02u/", i % 1000);
	rc = path_join(path, e, "%s/%s", w->pending->dir, sub);
	if (rc == 0)
		rc = dir_make(path, e);
	if (rc == 0)
		rc = pending_kv(&x->acts, w->pending, sub, &layout_acts, e);
	if (rc == 0)
		rc = pending_kv(&x->feature, w->pending, sub, &layout_feature, e);
	if (rc == 0)
		rc = pending_db(&x->db, w->pending, sub, FILE_FEATURE_DB,
			feature_schema, e);
	return rc;
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
	if (n_slots == 0 || n_slots > LIMIT_SAES)
		return err_set(e, ERR_LIMIT, "a run has 1 to %d SAEs, not %u",
			LIMIT_SAES, n_slots);
	w = mem_new(1, sizeof(*w) + n_slots * sizeof(w->slot[0]));
	if (w == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a run");
	w->n_slots = n_slots;
	rc = pending_new(&w->pending, s, KIND_RUN, id, e);
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
		db_close(w->slot[i].db);
		buf_clear(&w->slot[i].packed);
	}
	mem_free(w);
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

static int
check_rows(const struct slot *slot, const struct rec_acts *x, struct err *e)
{
	if (x->first_token > UINT16_MAX || x->n_tokens > UINT16_MAX)
		return err_set(e, ERR_LIMIT, "a window of over %u tokens", UINT16_MAX);
	for (uint32_t i = 0; i < x->n_tokens; i++)
		for (uint32_t j = x->row_start[i]; j < x->row_start[i + 1]; j++)
			if (x->feature[j] >= slot->d_sae ||
				(j > x->row_start[i] &&
					x->feature[j] <= x->feature[j - 1]))
				return err_set(e, ERR_INTERNAL,
					"features of a token do not ascend");
	return 0;
}

/* A chunk of all tokens, or one of each half where that is too long; a single
 * token's is as long as it is. */
static int
put_acts(struct slot *slot, uint32_t window, const struct rec_acts *x, struct err *e)
{
	struct rec_acts part = *x;
	int rc;

	buf_reset(&slot->packed);
	rec_acts_pack(&slot->packed, x);
	if (slot->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for activations");
	if (slot->packed.n_bytes <= LIMIT_CHUNK_BYTES || x->n_tokens <= 1)
		return kv_put_part(slot->acts, KV_ACTS, window,
			(uint16_t)x->first_token, slot->packed.data,
			slot->packed.n_bytes, e);
	part.n_tokens = x->n_tokens / 2;
	rc = put_acts(slot, window, &part, e);
	if (rc != 0)
		return rc;
	part.first_token = x->first_token + part.n_tokens;
	part.row_start = x->row_start + part.n_tokens;
	part.n_tokens = x->n_tokens - part.n_tokens;
	return put_acts(slot, window, &part, e);
}

int
run_writer_acts(struct run_writer *w, uint32_t slot, uint32_t window,
	const struct rec_acts *x, struct err *e)
{
	struct slot *s;
	int rc = find_slot(w, slot, 0, &s, e);

	if (rc == 0 && w->acts_done)
		rc = err_set(e, ERR_INTERNAL, "activations after their end");
	if (rc == 0)
		rc = check_rows(s, x, e);
	return rc == 0 ? put_acts(s, window, x, e) : rc;
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

static int
slot_finish(struct slot *x, struct err *e)
{
	int rc = kv_finish(x->feature, e);

	if (rc == 0)
		rc = pending_db_finish(x->db, feature_finish, e);
	kv_close(x->feature);
	kv_close(x->acts);
	db_close(x->db);
	x->feature = x->acts = NULL;
	x->db = NULL;
	return rc;
}

int
run_writer_finish(struct run_writer *w, struct err *e)
{
	int rc = w->acts_done ? 0 : run_writer_acts_done(w, e);

	for (uint32_t i = 0; rc == 0 && i < w->n_slots; i++)
		rc = slot_finish(&w->slot[i], e);
	return rc == 0 ? pending_finish(w->pending, e) : rc;
}
