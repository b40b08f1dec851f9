/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/utf8.h"

#include <string.h>
#include <time.h>

#define SELECT "SELECT " LABEL_COLUMNS ", sum, id FROM label"
/* People's newest first; of the others the best score, then the newest. */
#define BEST_FIRST \
	" ORDER BY source<>'person', CASE source WHEN 'person' THEN NULL ELSE score " \
	"END" \
	" DESC, time_s DESC, id DESC"
static const char of_feature[] = SELECT " WHERE sae_hash=?1 AND feature=?2" BEST_FIRST;
static const char best_of_feature[] =
	SELECT " WHERE sae_hash=?1 AND feature=?2" BEST_FIRST " LIMIT 1";
static const char behind_id[] =
	SELECT " WHERE id>?1 AND (?2 IS NULL OR sae_hash=?2) ORDER BY id LIMIT ?3";
static const char keyword[] = "SELECT text, score FROM keyword WHERE feature=?1";

uint64_t
label_sum(const struct stmt *s)
{
	return row_hash(s, 0, LABEL_N_COLUMNS, 0);
}

int
label_row(const struct stmt *s, struct store_label *out, struct arena *arena,
	struct err *e)
{
	size_t n;
	const void *hash = row_blob(s, 0, &n);

	if ((uint64_t)row_i64(s, LABEL_SUM) != label_sum(s) ||
		n != sizeof(out->sae_hash))
		return err_set(e, ERR_CORRUPT,
			"labels.db: label %lld does not match its checksum",
			(long long)row_i64(s, LABEL_ID));
	*out = (struct store_label){
		.id = row_i64(s, LABEL_ID),
		.feature = (uint32_t)row_i64(s, 1),
		.text = arena_strndup(arena, row_str(s, 2), SIZE_MAX),
		.source = arena_strndup(arena, row_str(s, 3), SIZE_MAX),
		.author = arena_strndup(arena, row_str(s, 4), SIZE_MAX),
		.time_s = row_i64(s, 5),
		.has_score = !row_null(s, 6),
		.score = row_f64(s, 6),
	};
	memcpy(out->sae_hash, hash, n);
	if (out->text == NULL || out->source == NULL || out->author == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a label");
	return 0;
}

/* ---- of features ----------------------------------------------------------- */

struct place {
	const struct cat_run *run;
	const struct cat_sae *sae;
	struct db *labels, *feature;
};

static int
find_place(struct store_view *v, uint32_t run, uint32_t slot, struct place *p,
	struct err *e)
{
	int rc = view_has_run(v, run, slot, e);

	if (rc != 0)
		return rc;
	p->run = &v->gen->catalog.run[run];
	p->sae = &v->gen->catalog.sae[p->run->sae[slot].sae];
	rc = view_labels(v, &p->labels, e);
	return rc == 0
		? view_db(v, KIND_RUN, run, FILE_FEATURE_DB, slot, &p->feature, e)
		: rc;
}

/* 1 and the keyword label of a feature, or 0. */
static int
get_keyword(const struct place *p, uint32_t feature, struct store_label *out,
	struct arena *arena, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(p->feature, &s, keyword, e);

	if (rc != 0)
		return rc;
	stmt_i64(s, 1, feature);
	rc = stmt_step(s, e);
	if (rc != 1)
		return rc;
	*out = (struct store_label){
		.feature = feature,
		.text = arena_strndup(arena, row_str(s, 0), SIZE_MAX),
		.source = LABEL_KEYWORDS,
		.author = "",
		.time_s = p->run->created_s,
		.has_score = true,
		.score = row_f64(s, 1),
	};
	memcpy(out->sae_hash, p->sae->hash, sizeof(out->sae_hash));
	stmt_reset(s);
	return out->text != NULL ? 1 : err_set(e, ERR_NOMEM, "no memory for a label");
}

static int
start(const struct place *p, const char *sql, uint32_t feature, struct stmt **s,
	struct err *e)
{
	int rc = db_prepare(p->labels, s, sql, e);

	if (rc != 0)
		return rc;
	stmt_blob(*s, 1, p->sae->hash, sizeof(p->sae->hash));
	stmt_i64(*s, 2, feature);
	return 0;
}

/* Labels as they come, in a list that doubles in the arena. */
static int
get_stored(struct stmt *s, struct store_label **list, uint32_t *n, struct arena *arena,
	struct err *e)
{
	uint32_t cap = 4;
	int rc = 0;

	*n = 0;
	*list = arena_alloc(arena, cap, sizeof(**list));
	while (*list != NULL && (rc = stmt_step(s, e)) == 1) {
		if (*n + 1 == cap) { /* one place stays for the keyword label */
			struct store_label *more;

			more = arena_alloc(arena, (size_t)cap * 2, sizeof(*more));
			if (more != NULL)
				memcpy(more, *list, *n * sizeof(*more));
			*list = more;
			cap *= 2;
		}
		rc = *list != NULL ? label_row(s, &(*list)[*n], arena, e) : 0;
		if (rc != 0)
			break;
		if (*list != NULL)
			++*n;
	}
	stmt_reset(s);
	if (*list == NULL)
		return err_set(e, ERR_NOMEM, "no memory for labels");
	return rc;
}

int
store_labels(struct store_view *v, uint32_t run, uint32_t slot, uint32_t feature,
	const struct store_label **out, uint32_t *n_out, struct arena *arena,
	struct err *e)
{
	struct store_label *list = NULL;
	struct place p;
	struct stmt *s;
	int rc = find_place(v, run, slot, &p, e);

	*n_out = 0;
	if (rc == 0)
		rc = start(&p, of_feature, feature, &s, e);
	if (rc == 0)
		rc = get_stored(s, &list, n_out, arena, e);
	if (rc == 0)
		rc = get_keyword(&p, feature, &list[*n_out], arena, e);
	if (rc < 0)
		return rc;
	if (rc == 1)
		++*n_out;
	*out = list;
	return 0;
}

static int
best(const struct place *p, uint32_t feature, struct store_label *out,
	struct arena *arena, struct err *e)
{
	struct stmt *s;
	int rc = start(p, best_of_feature, feature, &s, e);

	if (rc != 0)
		return rc;
	rc = stmt_step(s, e);
	if (rc == 1) {
		rc = label_row(s, out, arena, e);
		stmt_reset(s);
		return rc;
	}
	if (rc == 0)
		rc = get_keyword(p, feature, out, arena, e);
	return rc < 0 ? rc : 0;
}

int
store_best_labels(struct store_view *v, uint32_t run, uint32_t slot,
	const uint32_t *ids, size_t n, struct store_label *out, struct arena *arena,
	struct err *e)
{
	struct place p;
	int rc = find_place(v, run, slot, &p, e);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		out[i] = (struct store_label){.feature = ids[i]};
		rc = best(&p, ids[i], &out[i], arena, e);
	}
	return rc;
}

int
store_label_list(struct store_view *v, const uint8_t *sae_hash, int64_t after,
	uint32_t limit, struct store_label *out, uint32_t *n_out, struct arena *arena,
	struct err *e)
{
	struct stmt *s;
	struct db *db;
	uint32_t n = 0;
	int rc = view_labels(v, &db, e);

	*n_out = 0;
	if (rc == 0)
		rc = db_prepare(db, &s, behind_id, e);
	if (rc != 0)
		return rc;
	stmt_i64(s, 1, after);
	stmt_blob(s, 2, sae_hash, 32);
	stmt_i64(s, 3, limit);
	while (n < limit && (rc = stmt_step(s, e)) == 1) {
		rc = label_row(s, &out[n], arena, e);
		if (rc != 0)
			break;
		n++;
	}
	stmt_reset(s);
	*n_out = n;
	return rc < 0 ? rc : 0;
}
